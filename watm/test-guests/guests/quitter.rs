//! The handshake gives up as rudely as it can: it ends and closes the network's connection itself, then
//! fails with -65 (`EPROTO`).
#![cfg_attr(target_family = "wasm", no_std)]

use watm_sdk::{Conn, Errno};
use watm_test_guests::relay::relay;
use watm_test_guests::{BUFFER, Behaviour, Conns, Guest};

struct Quitter;

impl Behaviour for Quitter {
    fn handshake(outer: Conn) -> Result<(), Errno> {
        outer.shutdown_write()?;
        outer.close()?;
        Err(Errno::PROTO)
    }

    fn work(conns: Conns, _: &mut [u8; BUFFER]) -> Result<(), Errno> {
        relay(conns)
    }
}

watm_sdk::export!(Guest<Quitter>: dialer, listener);
