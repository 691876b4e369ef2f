//! Asks the host what every guest may rely on, and answers with the number of the first thing
//! that is wrong: -1000 - k from init (no sockets yet) and from dial or accept (k above 50). When
//! nothing is wrong it passes bytes as they are.
//!
//! Errors that the ABI fixes are compared by number; where hosts may differ, any error will do,
//! but never a success and never a trap.
#![cfg_attr(target_family = "wasm", no_std)]
#![allow(unsafe_code, reason = "addresses that no slice can have")]

use watm_sdk::raw::Slot;
use watm_sdk::{Config, Conn, Errno};
use watm_test_guests::relay::relay;
use watm_test_guests::{BUFFER, Behaviour, Conns, Guest};

struct Abi;

impl Behaviour for Abi {
    fn init(_: Config<'_>) -> Result<(), Errno> {
        checks::init()
    }

    fn handshake(outer: Conn) -> Result<(), Errno> {
        checks::socket(outer)
    }

    fn work(conns: Conns, _: &mut [u8; BUFFER]) -> Result<(), Errno> {
        EARLY.enter(|early| match early {
            Some(byte) => conns.inner.write_all(byte),
            None => Ok(()),
        })?;
        relay(conns)
    }
}

/// The first byte from the network, if the peer was quicker than the checks.
static EARLY: Slot<Option<[u8; 1]>> = Slot::new(None);

watm_sdk::export!(Guest<Abi>: dialer, listener);

#[cfg(not(target_family = "wasm"))]
mod checks {
    use super::{Conn, Errno};

    pub(crate) fn init() -> Result<(), Errno> {
        Err(Errno::NOSYS)
    }

    pub(crate) fn socket(_: Conn) -> Result<(), Errno> {
        Err(Errno::NOSYS)
    }
}

#[cfg(target_family = "wasm")]
#[path = "abi/checks.rs"]
mod checks;
#[cfg(target_family = "wasm")]
#[path = "abi/rest.rs"]
mod rest;
