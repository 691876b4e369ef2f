//! In blocking mode it copies what the network sends, 1,000 bytes at a time, and nothing else: it never
//! waits in anything but the read. 0 at the network's end.
#![cfg_attr(target_family = "wasm", no_std)]

use watm_sdk::Errno;
use watm_test_guests::relay::copy;
use watm_test_guests::{BUFFER, Behaviour, Conns, Guest};

struct Trickle;

impl Behaviour for Trickle {
    fn work(conns: Conns, space: &mut [u8; BUFFER]) -> Result<(), Errno> {
        copy(conns.outer, conns.inner, &mut space[..1000])
    }
}

watm_sdk::export!(Guest<Trickle>: dialer, listener);
