//! Sessions of two connections with the pump between them.
//!
//! In: the application's and the network's connection, and what changes the bytes of each
//! direction: a [`Transform`] where one byte stays one byte ([`Duplex`]), a [`Codec`] where it
//! does not ([`Coded`]). Out: what [`Session::run`] promises.

use crate::codec::{Codec, InPlace, Transform};
use crate::conn::Conn;
use crate::errno::Errno;
use crate::host::Fds;
use crate::pump::{Buffers, pump};
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
        let mut host = Fds::new(self.inner, self.outer, control)?;
        let (up, down) = (&mut self.up, &mut self.down);
        BUFFERS.enter(|buffers| {
            pump(
                &mut host,
                buffers,
                &mut InPlace::new(up),
                &mut InPlace::new(down),
            )
        })
    }
}

/// A session of frames, padding or pauses: `up` for what the application sends, `down` for what
/// it gets.
pub struct Coded<U, D> {
    inner: Conn,
    outer: Conn,
    up: U,
    down: D,
}

impl<U: Codec, D: Codec> Coded<U, D> {
    /// Joins two connections whose handshake is done.
    pub const fn new(inner: Conn, outer: Conn, up: U, down: D) -> Coded<U, D> {
        Coded {
            inner,
            outer,
            up,
            down,
        }
    }
}

impl<U: Codec, D: Codec> Session for Coded<U, D> {
    fn outer(&self) -> Conn {
        self.outer
    }

    fn run(&mut self, control: Conn) -> Result<(), Errno> {
        let mut host = Fds::new(self.inner, self.outer, control)?;
        BUFFERS.enter(|buffers| pump(&mut host, buffers, &mut self.up, &mut self.down))
    }
}

/// Works with the first of the buffers that a session will use, before it runs: a handshake in
/// it costs no memory of its own.
pub fn with_buffer<R>(work: impl FnOnce(&mut [u8]) -> Result<R, Errno>) -> Result<R, Errno> {
    BUFFERS.enter(|buffers| work(buffers.first()))
}
