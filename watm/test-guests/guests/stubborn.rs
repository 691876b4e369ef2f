//! Keeps asking for everything of both ends, reading and writing, whatever it was told about them, until
//! the network ends. What it reads it forgets.
#![cfg_attr(target_family = "wasm", no_std)]

use watm_sdk::{Errno, Poll};
use watm_test_guests::{BUFFER, Behaviour, Conns, Guest};

struct Stubborn;

impl Behaviour for Stubborn {
    fn work(conns: Conns, space: &mut [u8; BUFFER]) -> Result<(), Errno> {
        conns.set_nonblocking()?;
        loop {
            let mut poll = Poll::<4>::new();
            for conn in [conns.inner, conns.outer] {
                poll.readable(0, conn);
                poll.writable(0, conn);
            }
            poll.wait()?.for_each(drop);
            // An application that is gone is none of its business.
            let _ = conns.inner.read(space);
            if conns.outer.read(space) == Ok(0) {
                return Ok(());
            }
        }
    }
}

watm_sdk::export!(Guest<Stubborn>: dialer, listener);
