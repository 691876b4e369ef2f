//! The two-way pump: moves bytes between two connections, through a codec for each direction.
//!
//! In: two connections, the codecs, the control fd. Out: every byte once, in order, and the end of
//! each direction on its own: the end of one connection is passed on to the other while the
//! opposite direction goes on. The first error ends both.
//!
//! On a host whose `fd_write` takes everything, one buffer serves both directions. Elsewhere a
//! write may be cut short or refused, and a codec may pause; the rest then waits in its buffer,
//! that direction reads no more, and the other one goes on in the second buffer: neither waits
//! for the other.

use crate::codec::{Codec, MAX_READ, Piece, SPACE};
use crate::errno::Errno;
use crate::host::{Host, Interest, Side, Want};

/// The first read: large enough that hosts read straight into it, small enough for a short
/// connection to touch eight pages only.
const MIN_READ: usize = 32 << 10;
/// How much of a pause may be missing, in nanoseconds: hosts count whole milliseconds and round up, and pauses would be
/// half of one too long.
pub(crate) const SLACK: u64 = 500_000;
/// Bytes that one direction moves before the other has its turn.
const QUANTUM: usize = 1 << 20;
/// Reads that fill their buffer before it doubles: a page of 64 KiB each way leaves it small.
const FULL_READS: u8 = 4;

/// Zeroed memory for the pump: pages that no read reaches cost nothing.
pub struct Buffers([[u8; SPACE]; 2]);

impl Buffers {
    /// Both of them, empty.
    #[must_use]
    pub const fn new() -> Buffers {
        Buffers([[0; SPACE]; 2])
    }

    /// The one in which the outer side's stream begins.
    pub(crate) fn first(&mut self) -> &mut [u8] {
        &mut self.0[0]
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

/// One direction.
struct Flow {
    from: Side,
    open: bool,
    ready: bool,
    appetite: Appetite,
    /// The buffer that its codec has something in.
    buffer: Option<usize>,
    /// What of that is being written.
    piece: Option<Piece>,
    /// When the codec wants to go on.
    pause: Option<u64>,
}

impl Flow {
    const fn new(from: Side) -> Flow {
        Flow {
            from,
            open: true,
            ready: false,
            appetite: Appetite::new(),
            buffer: None,
            piece: None,
            pause: None,
        }
    }

    /// Nothing more comes; a flow that still counted as ready would keep the pump from waiting.
    fn close(&mut self) {
        self.open = false;
        self.ready = false;
    }

    fn want(&self) -> Want {
        match (self.open, self.pause, self.piece) {
            (false, ..) => Want::Nothing,
            (true, Some(until), _) => Want::Time(until),
            (true, None, Some(_)) => Want::Write(self.from.opposite()),
            (true, None, None) => Want::Read(self.from),
        }
    }
}

struct Pump<'a, H> {
    host: &'a mut H,
    buffers: &'a mut Buffers,
    /// The host cannot end one direction alone: what is there is passed on, then all ends.
    last_turn: bool,
}

/// Runs until both directions have ended, the host cancels, or something fails. `up` gets what
/// comes from the inner side, `down` what comes from the outer one.
pub(crate) fn pump<H: Host>(
    host: &mut H,
    buffers: &mut Buffers,
    up: &mut impl Codec,
    down: &mut impl Codec,
) -> Result<(), Errno> {
    let mut inner = Flow::new(Side::Inner);
    let mut outer = Flow::new(Side::Outer);
    let mut pump = Pump {
        host,
        buffers,
        last_turn: false,
    };
    // What came together with the handshake.
    outer.buffer = Some(0);
    pump.send(&mut outer, down, 0)?;
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
        codec: &mut impl Codec,
    ) -> Result<(), Errno> {
        if !flow.open || !flow.ready {
            return Ok(());
        }
        let at = flow
            .buffer
            .unwrap_or_else(|| usize::from(other.buffer == Some(0)));
        let mut moved = 0;
        loop {
            if flow.buffer.is_some() && !self.send(flow, codec, at)? {
                return Ok(());
            }
            if !flow.ready || moved >= QUANTUM {
                break;
            }
            let space = codec.space(&mut self.buffers.0[at], flow.appetite.size);
            match self.host.read(flow.from, space) {
                Ok(0) => return self.end(flow, other, codec),
                Ok(n) => {
                    flow.appetite.learn(n);
                    moved += n;
                    codec.arrived(&mut self.buffers.0[at], n)?;
                    flow.buffer = Some(at);
                }
                Err(Errno::AGAIN) => flow.ready = false,
                Err(errno) => return Err(errno),
            }
        }
        if self.last_turn {
            flow.close();
        }
        Ok(())
    }

    /// Writes what the codec has; false when not all of it could be written now.
    fn send(&mut self, flow: &mut Flow, codec: &mut impl Codec, at: usize) -> Result<bool, Errno> {
        loop {
            if let Some(until) = flow.pause {
                if self.host.now()? + SLACK < until {
                    flow.ready = false;
                    return Ok(false);
                }
                flow.pause = None;
            }
            let piece = match flow.piece.take() {
                Some(piece) => Some(piece),
                None => codec.next(&mut self.buffers.0[at])?,
            };
            let Some(mut piece) = piece else {
                flow.buffer = None;
                return Ok(true);
            };
            while piece.start < piece.end {
                let bytes = &self.buffers.0[at][piece.start..piece.end];
                match self.host.write(flow.from.opposite(), bytes) {
                    Ok(0) => return Err(Errno::IO),
                    Ok(n) => piece.start += n,
                    Err(Errno::AGAIN) => {
                        flow.piece = Some(piece);
                        flow.ready = false;
                        return Ok(false);
                    }
                    Err(errno) => return Err(errno),
                }
            }
            if piece.pause > 0 {
                flow.pause = Some(self.host.now()? + piece.pause);
            }
        }
    }

    /// Passes the end of one direction on.
    fn end(
        &mut self,
        flow: &mut Flow,
        other: &mut Flow,
        codec: &mut impl Codec,
    ) -> Result<(), Errno> {
        codec.end()?;
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
