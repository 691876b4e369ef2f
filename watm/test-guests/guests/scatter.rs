//! Reads into two buffers at a time, of 700 and 900 bytes, without waiting in the read; writes what it
//! got in one piece. 0 when both directions have ended.
#![cfg_attr(target_family = "wasm", no_std)]
#![allow(unsafe_code, reason = "the SDK reads into one buffer at a time")]

use watm_sdk::raw::{MutVec, preview1};
use watm_sdk::{Conn, Errno, Poll};
use watm_test_guests::{BUFFER, Behaviour, Conns, Guest};

struct Scatter;

const FIRST: usize = 700;
const SECOND: usize = 900;

impl Behaviour for Scatter {
    fn work(conns: Conns, space: &mut [u8; BUFFER]) -> Result<(), Errno> {
        conns.set_nonblocking()?;
        let pairs = [(conns.inner, conns.outer), (conns.outer, conns.inner)];
        let mut open = [true; 2];
        while open.contains(&true) {
            let mut poll = Poll::<2>::new();
            for (token, (from, _)) in (0..).zip(pairs) {
                if open[token as usize] {
                    poll.readable(token, from);
                }
            }
            for event in poll.wait()? {
                let token = event? as usize;
                let (from, to) = pairs[token];
                open[token] = drain(from, to, space)?;
            }
        }
        Ok(())
    }
}

/// Passes on what there is; `false` at the end.
fn drain(from: Conn, to: Conn, space: &mut [u8; BUFFER]) -> Result<bool, Errno> {
    loop {
        match read(from, space) {
            Ok(0) => {
                to.shutdown_write()?;
                return Ok(false);
            }
            Ok(n) => to.write_all(&space[..n])?,
            Err(Errno::AGAIN) => return Ok(true),
            Err(errno) => return Err(errno),
        }
    }
}

fn read(from: Conn, space: &mut [u8; BUFFER]) -> Result<usize, Errno> {
    let (first, rest) = space.split_at_mut(FIRST);
    let parts = [(first.as_mut_ptr(), FIRST), (rest.as_mut_ptr(), SECOND)];
    let iovs = parts.map(|(buf, len)| MutVec { buf, len });
    let mut n = 0;
    // SAFETY: two iovecs over disjoint parts of a live exclusive slice, and a count to write to.
    let errno = unsafe { preview1::fd_read(from.fd(), iovs.as_ptr(), iovs.len(), &raw mut n) };
    match errno {
        0 => Ok(n),
        errno => Err(Errno(errno as u16)),
    }
}

watm_sdk::export!(Guest<Scatter>: dialer, listener);
