//! Random input by the thousand, from numbers: the same number is the same case on every machine.
//!
//! `FUZZ_CASES` says how many of each kind (by default few), `FUZZ_FIRST` with which number to begin; a case that fails
//! tells its own.

mod boxes;
mod cases;
mod conversations;
mod files;
mod frames;
mod handshakes;
mod link;
#[path = "../../src/secretbox/reference.rs"]
mod reference;
