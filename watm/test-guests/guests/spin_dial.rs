//! The handshake never returns and never calls the host.
#![cfg_attr(target_family = "wasm", no_std)]

use watm_sdk::{Conn, Errno};
use watm_test_guests::relay::relay;
use watm_test_guests::{BUFFER, Behaviour, Conns, Guest};

struct SpinDial;

impl Behaviour for SpinDial {
    fn handshake(_: Conn) -> Result<(), Errno> {
        loop {
            core::hint::spin_loop();
        }
    }

    fn work(conns: Conns, _: &mut [u8; BUFFER]) -> Result<(), Errno> {
        relay(conns)
    }
}

watm_sdk::export!(Guest<SpinDial>: dialer, listener);
