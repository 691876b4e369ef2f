//! A Rust guest on tokio and mio: waits for reading *and* writing on all three fds at once,
//! remembers readiness until a call says "not now", reads 1 KiB at a time, looks at the clock
//! every 61 turns, sleeps 10 ms in init, and closes its fds itself.
//!
//! On a host that reports write readiness as a level it never sleeps. An error on any of the six
//! subscriptions is a panic, as it is in tokio.
#![cfg_attr(target_family = "wasm", no_std)]

use watm_sdk::{Config, Conn, Errno, Poll};
use watm_test_guests::{BUFFER, Behaviour, Conns, Guest};

struct TokioLike;

const CHUNK: usize = 1024;
const EVENT_INTERVAL: u32 = 61;
const TIMER: u64 = 6;
const INNER: usize = 1;
const OUTER: usize = 2;

/// Cached readiness of control, inner, outer, as tokio's `ScheduledIo` has it.
struct Driver {
    conns: [Conn; 3],
    readable: [bool; 3],
    writable: [bool; 3],
    turns: u32,
}

impl Behaviour for TokioLike {
    fn init(_: Config<'_>) -> Result<(), Errno> {
        let mut sleep = Poll::<1>::new();
        sleep.after(TIMER, 10_000_000);
        let fired = sleep.wait()?.next();
        match fired {
            Some(Ok(TIMER)) => Ok(()),
            _ => Err(Errno::IO),
        }
    }

    fn work(conns: Conns, space: &mut [u8; BUFFER]) -> Result<(), Errno> {
        conns.set_nonblocking()?;
        let mut driver = Driver {
            conns: [conns.control, conns.inner, conns.outer],
            readable: [false; 3],
            writable: [false; 3],
            turns: 0,
        };
        driver.select(&mut space[..CHUNK])?;
        conns.inner.close()?;
        conns.outer.close()
    }
}

impl Driver {
    /// `select!` over three reads; ends at the first end, or when something came on control.
    fn select(&mut self, chunk: &mut [u8]) -> Result<(), Errno> {
        loop {
            if self.read(0, chunk)?.is_some() {
                return Ok(());
            }
            for (from, to) in [(INNER, OUTER), (OUTER, INNER)] {
                match self.read(from, chunk)? {
                    Some(0) => return Ok(()),
                    Some(n) => self.write_all(to, &chunk[..n])?,
                    None => {}
                }
            }
            self.turns += 1;
            if !self.readable.contains(&true) {
                self.park(false)?;
            } else if self.turns.is_multiple_of(EVENT_INTERVAL) {
                self.park(true)?;
            }
        }
    }

    fn read(&mut self, index: usize, chunk: &mut [u8]) -> Result<Option<usize>, Errno> {
        if !self.readable[index] {
            return Ok(None);
        }
        match self.conns[index].read(chunk) {
            Ok(n) => Ok(Some(n)),
            Err(Errno::AGAIN) => {
                self.readable[index] = false;
                Ok(None)
            }
            Err(errno) => Err(errno),
        }
    }

    fn write_all(&mut self, index: usize, mut bytes: &[u8]) -> Result<(), Errno> {
        while !bytes.is_empty() {
            if !self.writable[index] {
                self.park(false)?;
                continue;
            }
            match self.conns[index].write(bytes) {
                Ok(0) => return Err(Errno::IO),
                Ok(n) => bytes = &bytes[n..],
                Err(Errno::AGAIN) => self.writable[index] = false,
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    /// mio's `select`: two subscriptions per source, and the clock if it must not block.
    fn park(&mut self, only_look: bool) -> Result<(), Errno> {
        let mut poll = Poll::<7>::new();
        for (token, conn) in (0..).step_by(2).zip(self.conns) {
            poll.readable(token, conn);
            poll.writable(token + 1, conn);
        }
        if only_look {
            poll.after(TIMER, 0);
        }
        for event in poll.wait()? {
            match event.expect("tokio panics when a source cannot be waited for") {
                TIMER => {}
                token if token % 2 == 0 => self.readable[token as usize / 2] = true,
                token => self.writable[token as usize / 2] = true,
            }
        }
        Ok(())
    }
}

watm_sdk::export!(Guest<TokioLike>: dialer, listener);
