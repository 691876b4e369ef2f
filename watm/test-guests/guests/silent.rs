//! The handshake reads from the network for ever and says nothing; the peer's end is -64.
#![cfg_attr(target_family = "wasm", no_std)]

use watm_sdk::{Conn, Errno};
use watm_test_guests::relay::relay;
use watm_test_guests::{BUFFER, Behaviour, Conns, Guest};

struct Silent;

impl Behaviour for Silent {
    fn handshake(outer: Conn) -> Result<(), Errno> {
        let mut ignored = [0; 256];
        loop {
            outer.read_exact(&mut ignored)?;
        }
    }

    fn work(conns: Conns, _: &mut [u8; BUFFER]) -> Result<(), Errno> {
        relay(conns)
    }
}

watm_sdk::export!(Guest<Silent>: dialer, listener);
