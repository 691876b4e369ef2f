//! The published TinyGo modules up to April 2024: 16 KiB reads, one write that must take
//! everything (else -29), and -64 at the first end.
#![cfg_attr(target_family = "wasm", no_std)]

use watm_sdk::Errno;
use watm_test_guests::upstream::{Generation, write_once};
use watm_test_guests::{BUFFER, Behaviour, Conns, Guest};

struct UpstreamA;

impl Behaviour for UpstreamA {
    fn work(conns: Conns, space: &mut [u8; BUFFER]) -> Result<(), Errno> {
        let generation = Generation {
            write: write_once,
            write_errors_are_fatal: true,
            at_end: Err(Errno::PIPE),
        };
        generation.work(conns, space)
    }
}

watm_sdk::export!(Guest<UpstreamA>: dialer, listener);
