//! The parts of the world that a pluggable transport talks to, played by the suite.
//!
//! A parent that starts it, an application on its SOCKS port, a bridge behind it, a proxy in front of it and the network
//! in between. Each instrument records what it was told, sends what a case wants, right or wrong, and never waits
//! without a limit. What the executable does is given back as an observation; errors are the machine's own.

pub mod folder;

pub mod grammar;
pub mod leftovers;
pub mod link;
pub mod listeners;
pub mod negotiation;
pub mod orport;
pub mod output;
pub mod pair;
pub mod parent;
pub mod pattern;
pub mod process;
pub mod removal;
pub mod socks;
pub mod trace;
pub mod upstream;
pub mod wire;
