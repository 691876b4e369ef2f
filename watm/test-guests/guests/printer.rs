//! Prints a line, half a line, a line with control characters and a line that never ends, then as many lines as it can,
//! and ends when the network does.
#![cfg_attr(target_family = "wasm", no_std)]

use watm_sdk::Errno;
use watm_sdk::raw::fd_write;
use watm_test_guests::relay::relay;
use watm_test_guests::{BUFFER, Behaviour, Conns, Guest};

const LINES: usize = 10_000;

struct Printer;

impl Behaviour for Printer {
    fn work(conns: Conns, space: &mut [u8; BUFFER]) -> Result<(), Errno> {
        fd_write(1, b"a line to 192.0.2.1:443\nhalf ")?;
        fd_write(2, b"a line\n\x1b[31mred\tand\0bad \xff\xfe\n")?;
        space.fill(b'x');
        fd_write(1, space)?;
        fd_write(1, b"\n")?;
        for n in 0..LINES {
            let digits = [1000, 100, 10, 1].map(|unit| b'0' + (n / unit % 10) as u8);
            fd_write(1, b"line ")?;
            fd_write(1, &digits)?;
            fd_write(1, b"\n")?;
        }
        relay(conns)
    }
}

watm_sdk::export!(Guest<Printer>: dialer, listener);
