//! The worker loop of the published TinyGo modules, with its three generations of writing.
//!
//! The loop waits for three reads and ignores which of them is ready. It reads the control fd
//! first (which must answer "not now"), then passes on all that the inner side has, then all that
//! the outer side has. It never waits for room, and the first end ends it.

use watm_sdk::{Conn, Errno, Poll};

use crate::Conns;

/// How a generation writes: what `TCPConn.Write` of that age answers.
pub type Write = fn(Conn, &[u8]) -> Result<usize, Errno>;

/// One generation of the SDK.
pub struct Generation {
    /// How it writes.
    pub write: Write,
    /// Whether an error of a write, `EAGAIN` included, is the worker's end.
    pub write_errors_are_fatal: bool,
    /// What the worker returns at the end of either side.
    pub at_end: Result<(), Errno>,
}

/// Up to April 2024: one write, and it had better take everything.
pub fn write_once(to: Conn, bytes: &[u8]) -> Result<usize, Errno> {
    to.write(bytes)
}

/// The week of June 2024: short counts are continued, `EAGAIN` comes out.
pub fn write_through(to: Conn, bytes: &[u8]) -> Result<usize, Errno> {
    let mut done = 0;
    while done < bytes.len() {
        match to.write(&bytes[done..])? {
            0 => return Err(Errno::IO),
            n => done += n,
        }
    }
    Ok(done)
}

/// Since then: after `EAGAIN` the whole buffer again, from its start.
pub fn write_again(to: Conn, bytes: &[u8]) -> Result<usize, Errno> {
    loop {
        match write_through(to, bytes) {
            Err(Errno::AGAIN) => {}
            other => return other,
        }
    }
}

impl Generation {
    /// The loop (`unfairWorker`).
    pub fn work(&self, conns: Conns, space: &mut [u8]) -> Result<(), Errno> {
        conns.set_nonblocking()?;
        loop {
            wait(conns)?;
            for (from, to) in [(conns.inner, conns.outer), (conns.outer, conns.inner)] {
                match self.pass_all(from, to, space) {
                    Err(Errno::AGAIN) => {}
                    Err(errno) => return Err(errno),
                    Ok(()) => return self.at_end,
                }
            }
        }
    }

    /// `untilError`: `Ok` is the end of `from`, `EAGAIN` that it has nothing more now.
    pub fn pass_all(&self, from: Conn, to: Conn, space: &mut [u8]) -> Result<(), Errno> {
        loop {
            let n = from.read(space)?;
            if n == 0 {
                return Ok(());
            }
            match (self.write)(to, &space[..n]) {
                Ok(written) if written == n => {}
                Ok(_) | Err(_) if self.write_errors_are_fatal => return Err(Errno::IO),
                Ok(_) => return Err(Errno::MSGSIZE),
                // An EAGAIN is taken for the read's: the rest of these bytes is forgotten.
                Err(errno) => return Err(errno),
            }
        }
    }
}

/// Waits until any of the three has something to read, and sees to control first.
pub fn wait(conns: Conns) -> Result<(), Errno> {
    loop {
        let mut poll = Poll::<3>::new();
        for (token, conn) in (0..).zip([conns.control, conns.inner, conns.outer]) {
            poll.readable(token, conn);
        }
        if poll.wait()?.next().is_some() {
            break;
        }
    }
    match conns.control.read(&mut [0; 64]) {
        Err(Errno::AGAIN) => Ok(()),
        Ok(_) => Err(Errno::CANCELED),
        Err(_) => Err(Errno::IO),
    }
}
