//! The handshake fails: -65 (`EPROTO`), as when the peer does not know the secret.
#![cfg_attr(target_family = "wasm", no_std)]

use watm_sdk::{Conn, Errno};
use watm_test_guests::relay::relay;
use watm_test_guests::{BUFFER, Behaviour, Conns, Guest};

struct Refuse;

impl Behaviour for Refuse {
    fn handshake(_: Conn) -> Result<(), Errno> {
        Err(Errno::PROTO)
    }

    fn work(conns: Conns, _: &mut [u8; BUFFER]) -> Result<(), Errno> {
        relay(conns)
    }
}

watm_sdk::export!(Guest<Refuse>: dialer, listener);
