//! Never waits for readiness: in blocking mode it copies what the application sends up to its
//! end, passes the end on, then copies what the network sends up to its end.
#![cfg_attr(target_family = "wasm", no_std)]

use watm_sdk::Errno;
use watm_test_guests::relay::copy;
use watm_test_guests::{BUFFER, Behaviour, Conns, Guest};

struct Sequential;

impl Behaviour for Sequential {
    fn work(conns: Conns, space: &mut [u8; BUFFER]) -> Result<(), Errno> {
        copy(conns.inner, conns.outer, space)?;
        conns.outer.shutdown_write()?;
        copy(conns.outer, conns.inner, space)?;
        conns.inner.shutdown_write()
    }
}

watm_sdk::export!(Guest<Sequential>: dialer, listener);
