//! Returns 0 at the first end, passing nothing on and closing nothing: the host ends the rest.
#![cfg_attr(target_family = "wasm", no_std)]

use watm_sdk::Errno;
use watm_test_guests::upstream::{Generation, write_through};
use watm_test_guests::{BUFFER, Behaviour, Conns, Guest};

struct HalfExit;

impl Behaviour for HalfExit {
    fn work(conns: Conns, space: &mut [u8; BUFFER]) -> Result<(), Errno> {
        let generation = Generation {
            write: write_through,
            write_errors_are_fatal: true,
            at_end: Ok(()),
        };
        generation.work(conns, space)
    }
}

watm_sdk::export!(Guest<HalfExit>: dialer, listener);
