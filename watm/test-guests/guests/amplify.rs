//! Sends each chunk of up to 256 bytes from the application 64 times, without waiting for room;
//! the other way bytes pass as they are. 0 at the first end.
#![cfg_attr(target_family = "wasm", no_std)]

use watm_sdk::Errno;
use watm_test_guests::upstream::{Generation, wait, write_again};
use watm_test_guests::{BUFFER, Behaviour, Conns, Guest};

struct Amplify;

const FACTOR: usize = 64;

impl Behaviour for Amplify {
    fn work(conns: Conns, space: &mut [u8; BUFFER]) -> Result<(), Errno> {
        let down = Generation {
            write: write_again,
            write_errors_are_fatal: false,
            at_end: Ok(()),
        };
        amplify(conns, &down, space)
    }
}

fn amplify(conns: Conns, down: &Generation, space: &mut [u8; BUFFER]) -> Result<(), Errno> {
    conns.set_nonblocking()?;
    loop {
        wait(conns)?;
        loop {
            match conns.inner.read(&mut space[..BUFFER / FACTOR]) {
                Ok(0) => return Ok(()),
                Ok(n) => {
                    // Laid out 64 times over, so that one write carries all of it.
                    for copy in 1..FACTOR {
                        space.copy_within(..n, copy * n);
                    }
                    write_again(conns.outer, &space[..n * FACTOR])?;
                }
                Err(Errno::AGAIN) => break,
                Err(errno) => return Err(errno),
            }
        }
        match down.pass_all(conns.outer, conns.inner, space) {
            Err(Errno::AGAIN) => {}
            other => return other,
        }
    }
}

watm_sdk::export!(Guest<Amplify>: dialer, listener);
