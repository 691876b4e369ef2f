//! Leaves its fds in blocking mode and waits with a clock of one second beside two reads, then
//! reads once from what is ready. Passes ends on. Never looks at the control fd.
#![cfg_attr(target_family = "wasm", no_std)]

use watm_sdk::{Errno, Poll};
use watm_test_guests::{BUFFER, Behaviour, Conns, Guest};

struct Blocking;

const TIMER: u64 = 2;
const SECOND: u64 = 1_000_000_000;

impl Behaviour for Blocking {
    fn work(conns: Conns, space: &mut [u8; BUFFER]) -> Result<(), Errno> {
        let pairs = [(conns.inner, conns.outer), (conns.outer, conns.inner)];
        let mut open = [true; 2];
        while open.contains(&true) {
            let mut poll = Poll::<3>::new();
            for (token, (from, _)) in (0..).zip(pairs) {
                if open[token as usize] {
                    poll.readable(token, from);
                }
            }
            poll.after(TIMER, SECOND);
            for event in poll.wait()? {
                let token = event?;
                if token == TIMER {
                    continue;
                }
                let (from, to) = pairs[token as usize];
                match from.read(space)? {
                    0 => {
                        open[token as usize] = false;
                        to.shutdown_write()?;
                    }
                    n => to.write_all(&space[..n])?,
                }
            }
        }
        Ok(())
    }
}

watm_sdk::export!(Guest<Blocking>: dialer, listener);
