//! Two readers that ouzel did not write judge every line that it can print: arti's parser, and tor itself.
//!
//! [`scenes`] plays the parent and provokes the lines, one [`transcript`] per run. [`mod@line`] reads a line by the
//! contract alone, so that there is something to hold the oracles' readings against. [`arti`] parses each line, and
//! [`runtime`] lets arti be the parent of a real process; [`heard`] keeps what arti says then. [`replay`] puts
//! transcripts before a real tor, and [`verdict`] reads from tor's log what it took each line for.

pub mod arti;
pub mod deadline;
pub mod heard;
pub mod line;
pub mod ouzel;
pub mod replay;
pub mod runtime;
pub mod scenes;
pub mod socks;
pub mod tor;
pub mod transcript;
pub mod verdict;
