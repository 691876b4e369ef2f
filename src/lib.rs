//! ouzel: a pluggable transport that runs every connection through a WebAssembly Transport Module.
//!
//! One byte's way, client and server:
//!
//! ```text
//! tor client ──SOCKS5──▶ front ──▶ tunnel ──▶ session (guest: inner fd ⇄ outer fd) ──▶ net::dial ──▶ network
//! network ──▶ net::listen ──▶ tunnel ──▶ session (guest: outer fd ⇄ inner fd) ──▶ net::orport ──▶ tor bridge
//! ```
//!
//! [`pt`] is the conversation with the parent, [`front`] and [`net`] are the edges, [`watm`] runs the
//! modules, [`transport`] finds them, [`client`] and [`server`] put it together. `ARCHITECTURE.md` has the
//! invariants and says who may use whom.

pub mod cli;
pub mod client;
pub mod config;
pub mod error;
pub mod front;
pub mod log;
pub mod managed;
pub mod net;
pub mod platform;
pub mod pt;
#[cfg(all(unix, feature = "ptrs"))]
pub mod ptrs;
pub mod server;
pub mod standalone;
pub mod tools;
pub mod transport;
pub mod tunnel;
pub mod watm;
