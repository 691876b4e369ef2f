//! The TinyGo SDK since the end of June 2024: 1 KiB reads, and after an EAGAIN of a write the
//! whole buffer again from its start, even when a part of it was taken. 0 at the first end.
#![cfg_attr(target_family = "wasm", no_std)]

use watm_sdk::Errno;
use watm_test_guests::upstream::{Generation, write_again};
use watm_test_guests::{BUFFER, Behaviour, Conns, Guest};

struct UpstreamC;

impl Behaviour for UpstreamC {
    fn work(conns: Conns, space: &mut [u8; BUFFER]) -> Result<(), Errno> {
        let generation = Generation {
            write: write_again,
            write_errors_are_fatal: false,
            at_end: Ok(()),
        };
        generation.work(conns, &mut space[..1024])
    }
}

watm_sdk::export!(Guest<UpstreamC>: dialer, listener);
