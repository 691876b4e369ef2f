//! The worker waits for a century and for nothing else: not for its ends, not for the host.
#![cfg_attr(target_family = "wasm", no_std)]

use watm_sdk::{Errno, Poll};
use watm_test_guests::{BUFFER, Behaviour, Conns, Guest};

const CENTURY: u64 = 100 * 365 * 86_400 * 1_000_000_000;

struct Deaf;

impl Behaviour for Deaf {
    fn work(_: Conns, _: &mut [u8; BUFFER]) -> Result<(), Errno> {
        loop {
            let mut poll = Poll::<1>::new();
            poll.after(0, CENTURY);
            poll.wait()?.for_each(drop);
        }
    }
}

watm_sdk::export!(Guest<Deaf>: dialer, listener);
