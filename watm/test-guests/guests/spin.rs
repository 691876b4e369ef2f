//! The worker never returns and never calls the host.
#![cfg_attr(target_family = "wasm", no_std)]

use watm_sdk::Errno;
use watm_test_guests::{BUFFER, Behaviour, Conns, Guest};

struct Spin;

impl Behaviour for Spin {
    fn work(_: Conns, _: &mut [u8; BUFFER]) -> Result<(), Errno> {
        loop {
            core::hint::spin_loop();
        }
    }
}

watm_sdk::export!(Guest<Spin>: dialer, listener);
