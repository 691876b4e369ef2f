//! The TinyGo SDK of June 2024: 1 KiB reads, short counts continued, but an EAGAIN of a write is
//! taken for the read's, and what was not written is lost. 0 at the first end.
#![cfg_attr(target_family = "wasm", no_std)]

use watm_sdk::Errno;
use watm_test_guests::upstream::{Generation, write_through};
use watm_test_guests::{BUFFER, Behaviour, Conns, Guest};

struct UpstreamB;

impl Behaviour for UpstreamB {
    fn work(conns: Conns, space: &mut [u8; BUFFER]) -> Result<(), Errno> {
        let generation = Generation {
            write: write_through,
            write_errors_are_fatal: false,
            at_end: Ok(()),
        };
        generation.work(conns, &mut space[..1024])
    }
}

watm_sdk::export!(Guest<UpstreamB>: dialer, listener);
