//! A session of two connections with the pump between them.
//!
//! In: the application's and the network's connection, a transform for each direction. Out: what
//! [`Session::run`] promises. `Host` is what the pump needs of the host, so that tests can play
//! one that cuts writes short.

use crate::conn::Conn;
use crate::errno::Errno;
use crate::poll::Poll;
use crate::pump::{Buffers, Transform, pump};
use crate::raw::Slot;
use crate::role::Session;

static BUFFERS: Slot<Buffers> = Slot::new(Buffers::new());

/// A session that transforms in place: `up` what the application sends, `down` what it gets.
pub struct Duplex<U, D> {
    inner: Conn,
    outer: Conn,
    up: U,
    down: D,
}

impl<U: Transform, D: Transform> Duplex<U, D> {
    /// Joins two connections whose handshake is done.
    pub const fn new(inner: Conn, outer: Conn, up: U, down: D) -> Duplex<U, D> {
        Duplex {
            inner,
            outer,
            up,
            down,
        }
    }
}

impl<U: Transform, D: Transform> Session for Duplex<U, D> {
    fn outer(&self) -> Conn {
        self.outer
    }

    fn run(&mut self, control: Conn) -> Result<(), Errno> {
        control.set_nonblocking()?;
        self.inner.set_nonblocking()?;
        self.outer.set_nonblocking()?;
        let mut host = Fds {
            conns: [self.inner, self.outer],
            control,
        };
        BUFFERS.enter(|buffers| pump(&mut host, buffers, &mut self.up, &mut self.down))
    }
}

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

/// What a direction waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Want {
    Nothing,
    Read(Side),
    Write(Side),
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
    /// Whether the host wants the worker to end: any byte, or the end, on the control fd.
    fn cancelled(&mut self) -> Result<bool, Errno>;
    fn wait(&mut self, interest: Interest) -> Result<Ready, Errno>;
}

struct Fds {
    conns: [Conn; 2],
    control: Conn,
}

impl Fds {
    fn conn(&self, side: Side) -> Conn {
        self.conns[side as usize]
    }
}

const CONTROL: u64 = 2;

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
