//! The two connections of a session, and what its loop needs of the host.
//!
//! In: fds. Out: bytes and readiness. A trait, so that tests can play a host that cuts writes short.

use crate::conn::Conn;
use crate::errno::Errno;
use crate::poll::Poll;
use crate::pump::SLACK;
use crate::raw;

/// One of the two connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    Inner,
    Outer,
}

impl Side {
    pub(crate) const fn opposite(self) -> Side {
        match self {
            Side::Inner => Side::Outer,
            Side::Outer => Side::Inner,
        }
    }
}

/// What a direction waits for; times are nanoseconds of [`Host::now`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Want {
    Nothing,
    Read(Side),
    Write(Side),
    Time(u64),
}

/// What the pump waits for, beside the control fd: one entry per direction.
pub(crate) struct Interest(pub(crate) [Want; 2]);

/// What a wait brought: the directions that have something to do.
pub(crate) struct Ready {
    pub(crate) control: bool,
    pub(crate) flows: [bool; 2],
}

/// What the pump needs of the host.
pub(crate) trait Host {
    fn read(&mut self, side: Side, buf: &mut [u8]) -> Result<usize, Errno>;
    fn write(&mut self, side: Side, buf: &[u8]) -> Result<usize, Errno>;
    fn shutdown_write(&mut self, side: Side) -> Result<(), Errno>;
    fn close(&mut self, side: Side) -> Result<(), Errno>;
    /// Nanoseconds of a clock that never goes back.
    fn now(&mut self) -> Result<u64, Errno>;
    /// Whether the host wants the worker to end: any byte, or the end, on the control fd.
    fn cancelled(&mut self) -> Result<bool, Errno>;
    fn wait(&mut self, interest: Interest) -> Result<Ready, Errno>;
}

/// The host's fds.
pub(crate) struct Fds {
    conns: [Conn; 2],
    control: Conn,
}

impl Fds {
    /// Makes all three non-blocking.
    pub(crate) fn new(inner: Conn, outer: Conn, control: Conn) -> Result<Fds, Errno> {
        for conn in [inner, outer, control] {
            conn.set_nonblocking()?;
        }
        Ok(Fds {
            conns: [inner, outer],
            control,
        })
    }

    fn conn(&self, side: Side) -> Conn {
        self.conns[side as usize]
    }
}

const CONTROL: u64 = 2;
const MONOTONIC: u8 = 1;

impl Host for Fds {
    fn read(&mut self, side: Side, buf: &mut [u8]) -> Result<usize, Errno> {
        self.conn(side).read(buf)
    }

    fn write(&mut self, side: Side, buf: &[u8]) -> Result<usize, Errno> {
        self.conn(side).write(buf)
    }

    fn shutdown_write(&mut self, side: Side) -> Result<(), Errno> {
        self.conn(side).shutdown_write()
    }

    fn close(&mut self, side: Side) -> Result<(), Errno> {
        self.conn(side).close()
    }

    fn now(&mut self) -> Result<u64, Errno> {
        raw::clock_time_get(MONOTONIC)
    }

    fn cancelled(&mut self) -> Result<bool, Errno> {
        match self.control.read(&mut [0]) {
            Ok(_) => Ok(true),
            Err(Errno::AGAIN) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    fn wait(&mut self, interest: Interest) -> Result<Ready, Errno> {
        let mut poll = Poll::<3>::new();
        poll.readable(CONTROL, self.control);
        for (flow, want) in interest.0.iter().enumerate() {
            match *want {
                Want::Nothing => {}
                Want::Read(side) => poll.readable(flow as u64, self.conn(side)),
                Want::Write(side) => poll.writable(flow as u64, self.conn(side)),
                Want::Time(until) => {
                    // Relative, since not every host knows absolute ones.
                    let left = until.saturating_sub(self.now()? + SLACK);
                    poll.after(flow as u64, left);
                }
            }
        }
        let mut ready = Ready {
            control: false,
            flows: [false; 2],
        };
        let mut any = false;
        for event in poll.wait()? {
            any = true;
            match event? {
                CONTROL => ready.control = true,
                flow => ready.flows[usize::from(flow == 1)] = true,
            }
        }
        if !any {
            // Some hosts wake up now and then and say nothing: look everywhere.
            ready = Ready {
                control: true,
                flows: interest.0.map(|want| want != Want::Nothing),
            };
        }
        Ok(ready)
    }
}
