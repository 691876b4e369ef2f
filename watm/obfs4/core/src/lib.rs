//! The obfs4 protocol, wire-compatible with obfs4proxy and lyrebird, without I/O, clocks or files.
//!
//! - [`random`]: what is asked of the world, and nothing else is
//! - [`salsa20`], [`poly1305`], [`secretbox`]: the box of a frame (XSalsa20-Poly1305), made for many frames of one key
//! - [`field`], `comb`, `x25519`, [`elligator`], [`keys`], [`ntor`]: keys that look like noise, and the agreement
//! - [`drbg`], [`go_rand`], [`distribution`]: the length and delay tables of a seed, value for value as Go's
//! - [`cert`], [`arguments`], [`identity`]: bridge lines, options, and what a bridge keeps
//! - [`prepared`]: what all connections of a bridge have in common, computed once
//! - [`fault`], [`text`]: what is wrong with one of these, in words; texts of bounded length
//! - [`handshake`], [`framing`], [`burst`]: the two messages, the frames, and the shape of what goes out
#![cfg_attr(not(test), no_std)]

pub mod arguments;
pub mod burst;
pub mod cert;
mod comb;
pub mod distribution;
pub mod drbg;
pub mod elligator;
pub mod fault;
pub mod field;
pub mod framing;
pub mod go_rand;
pub mod handshake;
mod hex;
pub mod identity;
pub mod keys;
pub mod ntor;
pub mod poly1305;
pub mod prepared;
pub mod random;
pub mod salsa20;
pub mod secretbox;
pub mod text;
mod x25519;
