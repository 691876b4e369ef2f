//! The two-way pump: moves bytes between two connections and transforms them on the way.
//!
//! In: two connections, one transform per direction, the control fd. Out: every byte once, in
//! order, and the end of each direction on its own: the end of one connection is passed on to
//! the other while the opposite direction goes on. The first error ends both.
//!
//! On a host whose `fd_write` takes everything, one buffer serves both directions. Elsewhere a
//! write may be cut short or refused; the rest then waits in its buffer, that direction reads no
//! more, and the other one goes on in the second buffer: neither waits for the other.

use crate::duplex::{Host, Interest, Side, Want};
use crate::errno::Errno;

/// Changes bytes in place on their way through. What one end's transform does, the other end's
/// undoes, and chunks arrive cut anywhere: a transform sees a stream.
pub trait Transform {
    /// Changes the next bytes of the stream.
    fn apply(&mut self, bytes: &mut [u8]);
}

/// Changes nothing.
#[derive(Clone, Copy, Default, Debug)]
pub struct Identity;

impl Transform for Identity {
    fn apply(&mut self, _bytes: &mut [u8]) {}
}

/// The largest read.
pub const MAX_READ: usize = 256 << 10;
/// The first read: large enough that hosts read straight into it, small enough for a short
/// connection to touch eight pages only.
const MIN_READ: usize = 32 << 10;
/// Bytes that one direction moves before the other has its turn.
const QUANTUM: usize = 1 << 20;
/// Reads that fill their buffer before it doubles: a page of 64 KiB each way leaves it small.
const FULL_READS: u8 = 4;

/// Zeroed memory for the pump: pages that no read reaches cost nothing.
pub struct Buffers([[u8; MAX_READ]; 2]);

impl Buffers {
    /// Both of them, empty.
    #[must_use]
    pub const fn new() -> Buffers {
        Buffers([[0; MAX_READ]; 2])
    }
}

/// How much to read at once, learned from what reads brought.
struct Appetite {
    size: usize,
    full: u8,
}

impl Appetite {
    const fn new() -> Appetite {
        Appetite {
            size: MIN_READ,
            full: 0,
        }
    }

    fn learn(&mut self, n: usize) {
        if n == self.size {
            self.full += 1;
            if self.full >= FULL_READS {
                self.full = 0;
                self.size = (self.size * 2).min(MAX_READ);
            }
        } else {
            self.full = 0;
            if n < self.size / 4 {
                self.size = (self.size / 2).max(MIN_READ);
            }
        }
    }
}

/// Bytes that were read and not taken yet.
#[derive(Clone, Copy)]
struct Held {
    buffer: usize,
    start: usize,
    end: usize,
}

/// One direction.
#[derive(Clone, Copy)]
struct Flow {
    from: Side,
    open: bool,
    ready: bool,
    held: Option<Held>,
}

impl Flow {
    const fn new(from: Side) -> Flow {
        Flow {
            from,
            open: true,
            ready: false,
            held: None,
        }
    }

    /// Nothing more comes; a flow that still counted as ready would keep the pump from waiting.
    fn close(&mut self) {
        self.open = false;
        self.ready = false;
    }

    fn want(&self) -> Want {
        match (self.open, self.held) {
            (false, _) => Want::Nothing,
            (true, None) => Want::Read(self.from),
            (true, Some(_)) => Want::Write(self.from.opposite()),
        }
    }
}

struct Pump<'a, H> {
    host: &'a mut H,
    buffers: &'a mut Buffers,
    appetite: Appetite,
    /// The host cannot end one direction alone: what is there is passed on, then all ends.
    last_turn: bool,
}

/// Runs until both directions have ended, the host cancels, or something fails. `up` transforms
/// what comes from the inner side, `down` what comes from the outer one.
pub(crate) fn pump<H: Host>(
    host: &mut H,
    buffers: &mut Buffers,
    up: &mut impl Transform,
    down: &mut impl Transform,
) -> Result<(), Errno> {
    let mut inner = Flow::new(Side::Inner);
    let mut outer = Flow::new(Side::Outer);
    let mut pump = Pump {
        host,
        buffers,
        appetite: Appetite::new(),
        last_turn: false,
    };
    while inner.open || outer.open {
        if inner.ready || outer.ready {
            if pump.host.cancelled()? {
                return Err(Errno::CANCELED);
            }
            // Nobody waits while one direction is busy, so the other one is simply tried.
            inner.ready = inner.open;
            outer.ready = outer.open;
        } else {
            let interest = Interest([inner.want(), outer.want()]);
            let ready = pump.host.wait(interest)?;
            if ready.control && pump.host.cancelled()? {
                return Err(Errno::CANCELED);
            }
            inner.ready = ready.flows[0];
            outer.ready = ready.flows[1];
        }
        pump.turn(&mut inner, &mut outer, up)?;
        pump.turn(&mut outer, &mut inner, down)?;
    }
    if pump.last_turn {
        pump.host.close(Side::Inner)?;
        pump.host.close(Side::Outer)?;
    }
    Ok(())
}

impl<H: Host> Pump<'_, H> {
    /// Moves what one direction has, up to a quantum.
    fn turn(
        &mut self,
        flow: &mut Flow,
        other: &mut Flow,
        transform: &mut impl Transform,
    ) -> Result<(), Errno> {
        if !flow.open || !flow.ready {
            return Ok(());
        }
        if let Some(held) = flow.held {
            self.send(flow, held)?;
        }
        let buffer = usize::from(other.held.is_some_and(|held| held.buffer == 0));
        let mut moved = 0;
        while flow.ready && moved < QUANTUM {
            let space = &mut self.buffers.0[buffer][..self.appetite.size];
            match self.host.read(flow.from, space) {
                Ok(0) => return self.end(flow, other),
                Ok(n) => {
                    transform.apply(&mut space[..n]);
                    self.appetite.learn(n);
                    moved += n;
                    let held = Held {
                        buffer,
                        start: 0,
                        end: n,
                    };
                    self.send(flow, held)?;
                }
                Err(Errno::AGAIN) => flow.ready = false,
                Err(errno) => return Err(errno),
            }
        }
        if self.last_turn && flow.held.is_none() {
            flow.close();
        }
        Ok(())
    }

    /// Writes `held`, and leaves in the flow what was not taken.
    fn send(&mut self, flow: &mut Flow, mut held: Held) -> Result<(), Errno> {
        flow.held = None;
        let to = flow.from.opposite();
        while held.start < held.end {
            let bytes = &self.buffers.0[held.buffer][held.start..held.end];
            match self.host.write(to, bytes) {
                Ok(0) => return Err(Errno::IO),
                Ok(n) => held.start += n,
                Err(Errno::AGAIN) => {
                    flow.held = Some(held);
                    flow.ready = false;
                    return Ok(());
                }
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    /// Passes the end of one direction on.
    fn end(&mut self, flow: &mut Flow, other: &mut Flow) -> Result<(), Errno> {
        flow.close();
        if self.last_turn {
            return Ok(());
        }
        match self.host.shutdown_write(flow.from.opposite()) {
            // NOTCONN: the peer is gone already; reading from it will tell.
            Ok(()) | Err(Errno::NOTCONN) => Ok(()),
            Err(Errno::NOSYS | Errno::NOTSUP | Errno::NOTSOCK | Errno::BADF) => {
                self.last_turn = true;
                other.ready = true;
                Ok(())
            }
            Err(errno) => Err(errno),
        }
    }
}

#[cfg(test)]
#[path = "pump_tests.rs"]
mod tests;
