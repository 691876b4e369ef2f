//! The worker traps as soon as a byte comes from either side.
#![cfg_attr(target_family = "wasm", no_std)]

use watm_sdk::{Errno, Poll};
use watm_test_guests::{BUFFER, Behaviour, Conns, Guest};

struct Trap;

impl Behaviour for Trap {
    fn work(conns: Conns, space: &mut [u8; BUFFER]) -> Result<(), Errno> {
        conns.set_nonblocking()?;
        loop {
            let mut poll = Poll::<3>::new();
            for (token, conn) in (0..).zip([conns.control, conns.inner, conns.outer]) {
                poll.readable(token, conn);
            }
            if poll.wait()?.any(|event| event == Ok(0)) {
                return Err(Errno::CANCELED);
            }
            for conn in [conns.inner, conns.outer] {
                match conn.read(space) {
                    Err(Errno::AGAIN) => {}
                    Ok(0) => return Ok(()),
                    Ok(_) => panic!("the first byte"),
                    Err(errno) => return Err(errno),
                }
            }
        }
    }
}

watm_sdk::export!(Guest<Trap>: dialer, listener);
