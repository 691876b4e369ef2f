//! The worker waits for the host's word alone, says goodbye to the network, and ends well; its ends are none of its
//! business.
#![cfg_attr(target_family = "wasm", no_std)]

use watm_sdk::{Errno, Poll};
use watm_test_guests::{BUFFER, Behaviour, Conns, Guest};

struct Obedient;

impl Behaviour for Obedient {
    fn work(conns: Conns, _: &mut [u8; BUFFER]) -> Result<(), Errno> {
        let mut poll = Poll::<1>::new();
        poll.readable(0, conns.control);
        poll.wait()?.for_each(drop);
        // Whether anybody hears it is none either.
        let _ = conns.outer.write_all(b"goodbye");
        Ok(())
    }
}

watm_sdk::export!(Guest<Obedient>: dialer, listener);
