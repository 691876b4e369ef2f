//! The handshake traps.
#![cfg_attr(target_family = "wasm", no_std)]

use watm_sdk::{Conn, Errno};
use watm_test_guests::relay::relay;
use watm_test_guests::{BUFFER, Behaviour, Conns, Guest};

struct TrapDial;

impl Behaviour for TrapDial {
    fn handshake(_: Conn) -> Result<(), Errno> {
        panic!("in the handshake")
    }

    fn work(conns: Conns, _: &mut [u8; BUFFER]) -> Result<(), Errno> {
        relay(conns)
    }
}

watm_sdk::export!(Guest<TrapDial>: dialer, listener);
