//! One end of a guest's conversation: a socket (or any byte stream) as the guest's fd sees it.
//!
//! In: bytes that the guest writes and bytes that the far end sends. Out: the same bytes, in order.
//! What can go wrong: the far end breaks, which is remembered as an errno and told to the guest at its
//! next call; a far end that takes nothing, which holds the guest at [`HARD`].
//!
//! Published modules treat a short count or EAGAIN from `fd_write` as fatal, or send the buffer again
//! from its start. So a write always takes everything: the socket first, the rest into `queue`. What a
//! slow reader makes the guest feel instead is the *other* end becoming unreadable (see [`Stream::is_full`]),
//! which is what keeps two full pipes from waiting for each other.

mod far;

pub(super) use far::Far;

use super::errno::Errno;
use super::framing::Framing;
use super::grants::Wire;
use super::io::Io;
use super::readahead::ReadAhead;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncWrite, ReadBuf};
use tokio::task::unconstrained;

/// Above this many queued bytes the other ends become unreadable: two good socket buffers' worth, so
/// that a flush never runs dry while the guest is woken.
pub(super) const HIGH: usize = 256 << 10;
/// Below this many they become readable again: a quarter, so that the guest is not woken for crumbs.
pub(super) const LOW: usize = 64 << 10;
/// With this many a write itself waits: the bound for guests that write more than they read.
pub(super) const HARD: usize = 4 << 20;
/// Writes below this are gathered, reads below it are served from the read-ahead: a system call costs
/// about as much as copying this much.
pub(super) const SMALL: usize = 32 << 10;
/// Gathered writes go out when there are this many.
const GATHER: usize = 64 << 10;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fin {
    Open,
    /// Asked for; goes out when the queue is empty.
    Wanted,
    Sent,
}

/// One end of a guest's conversation.
pub struct Stream {
    io: Io,
    /// Until the SOCKS client or the ORPort is answered: reads find nothing, writes are kept.
    gated: bool,
    ahead: ReadAhead,
    queue: VecDeque<u8>,
    full: bool,
    fin: Fin,
    /// An application that ends before it was answered, and has said nothing, has left.
    awaits_answer: bool,
    /// Keeps the FIN back: a prober must not see when a handshake gives up.
    holds_end: bool,
    eof: bool,
    broken: Option<Errno>,
    /// Write readiness is reported once, and again only after a write or after the queue was full:
    /// guests built on tokio subscribe to it for ever and would spin (the edge that epoll gives them).
    pub(super) write_edge: bool,
    /// The guest was told of the end by `poll_oneoff`, so `fd_read` must not hide it again.
    pub(super) eof_told: bool,
    /// The guest has read the end, or the error: asking again is no news.
    pub(super) end_read: bool,
    /// The guest closed its descriptor: what still arrives has no reader.
    pub(super) abandoned: bool,
    /// Bytes read since the guest last waited; see `preview1::io`.
    pub(super) turn: usize,
    /// Where the guest is in the records that it reads.
    pub(super) framing: Framing,
    /// What the network may see; nothing special towards an application.
    pub(super) wire: Wire,
    cut: Option<Arc<AtomicBool>>,
    received: u64,
    sent: u64,
}

impl Stream {
    /// A stream that is open both ways.
    pub fn new(io: impl Into<Io>) -> Self {
        Stream {
            io: io.into(),
            gated: false,
            ahead: ReadAhead::empty(),
            queue: VecDeque::new(),
            full: false,
            fin: Fin::Open,
            awaits_answer: false,
            holds_end: false,
            eof: false,
            broken: None,
            write_edge: true,
            eof_told: false,
            end_read: false,
            abandoned: false,
            turn: 0,
            framing: Framing::default(),
            wire: Wire::default(),
            cut: None,
            received: 0,
            sent: 0,
        }
    }

    /// A stream that the guest can hold and write to, but that says nothing until [`Stream::open`];
    /// `early` are bytes that its far end has already sent.
    pub fn gated(io: impl Into<Io>, early: &[u8]) -> Self {
        let mut stream = Stream::new(io);
        stream.gated = true;
        stream.ahead = ReadAhead::holding(early);
        stream.received = early.len() as u64;
        stream
    }

    /// Says that the far end waits for an answer before it speaks: one that ends before that, without a word, has left.
    pub fn await_answer(&mut self) {
        self.awaits_answer = true;
    }

    /// Whether the end of a far end that was not answered yet means that it has left. One that has sent something may
    /// have sent all of it.
    pub(super) fn leaves_with_its_end(&self) -> bool {
        self.awaits_answer && self.received == 0
    }

    /// Has `cut` set before the stream is closed in the middle: for far ends that know no RST.
    pub fn tell_cut(&mut self, cut: Arc<AtomicBool>) {
        self.cut = Some(cut);
    }

    /// Connects a stream that had no far end yet.
    pub fn attach(&mut self, io: impl Into<Io>) {
        self.io = io.into();
    }

    /// Keeps the guest's end of the stream from being seen, or lets it be.
    pub fn hold_end(&mut self, hold: bool) {
        self.holds_end = hold;
    }

    /// Lets the bytes flow.
    pub fn open(&mut self) {
        self.gated = false;
    }

    /// The socket alone, with nothing of what was queued.
    pub fn into_io(self) -> Io {
        self.io
    }

    /// The socket, to answer the application on before the stream is opened.
    pub fn io(&mut self) -> &mut Io {
        &mut self.io
    }

    /// Bytes received from the far end so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Bytes that the far end's socket has taken so far.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Why the stream broke, if it did.
    pub fn broken(&self) -> Option<Errno> {
        self.broken
    }

    /// Bytes that the kernel has taken and not delivered, if it says.
    pub(super) fn undelivered(&self) -> usize {
        self.io.undelivered()
    }

    /// Whether the far end has ended, all of it read.
    pub fn ended(&self) -> bool {
        self.eof && self.ahead.is_empty()
    }

    /// Whether a read would be served without a system call.
    pub(super) fn has_read_ahead(&self) -> bool {
        !self.ahead.is_empty()
    }

    /// Whether so much is queued that the other ends must not be read.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// Whether something waits to be sent.
    pub(super) fn has_queued(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Whether a gate keeps the guest from reading.
    pub fn is_gated(&self) -> bool {
        self.gated
    }

    fn is_live(&self) -> bool {
        !self.gated && !matches!(self.io, Io::Unconnected)
    }

    fn break_with(&mut self, error: &io::Error) -> Errno {
        let errno = Errno::of(error);
        self.broken.get_or_insert(errno);
        self.drop_queue();
        errno
    }

    /// Gives up what is queued.
    pub fn drop_queue(&mut self) {
        self.queue = VecDeque::new();
        self.settle();
    }

    fn settle(&mut self) {
        if self.queue.len() > HIGH {
            self.full = true;
        } else if self.full && self.queue.len() < LOW {
            self.full = false;
            self.write_edge = true;
        }
        if self.queue.is_empty() && self.queue.capacity() > 0 {
            self.queue = VecDeque::new();
        }
    }

    /// Asks for a FIN once everything queued is out; writes after it are EPIPE.
    pub fn finish(&mut self) {
        if self.fin == Fin::Open {
            self.fin = Fin::Wanted;
        }
    }

    /// Sends what is queued, then the FIN that was asked for. Ready when nothing is left to send.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.broken.is_some() {
            return Poll::Ready(());
        }
        if !self.is_live() {
            let idle = self.queue.is_empty() && self.fin != Fin::Wanted;
            return if idle { Poll::Ready(()) } else { Poll::Pending };
        }
        while !self.queue.is_empty() {
            let (head, tail) = self.queue.as_slices();
            match self.io.poll_write(cx, [head, tail, &[]]) {
                Poll::Ready(Ok(n)) => {
                    self.queue.drain(..n);
                    self.sent += n as u64;
                }
                Poll::Ready(Err(error)) => {
                    self.break_with(&error);
                    return Poll::Ready(());
                }
                Poll::Pending => {
                    self.settle();
                    return Poll::Pending;
                }
            }
        }
        self.settle();
        if let Io::Any(io) = &mut self.io
            && self.sent > 0
            && let Err(error) = ready!(Pin::new(io).poll_flush(cx))
        {
            self.break_with(&error);
            return Poll::Ready(());
        }
        if self.fin == Fin::Wanted && !self.holds_end {
            // A far end that is gone already needs no FIN.
            let _ = ready!(self.io.poll_shutdown(cx));
            self.fin = Fin::Sent;
        }
        Poll::Ready(())
    }

    /// Takes bytes from the guest: all of them, unless the queue is at its bound, where it takes what
    /// fits and is pending only when nothing does.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, Errno>> {
        self.write_edge = true;
        if let Some(errno) = self.broken {
            return Poll::Ready(Err(errno));
        }
        if self.fin != Fin::Open {
            return Poll::Ready(Err(Errno::EPIPE));
        }
        let gathers = data.len() < SMALL && !self.wire.whole_writes;
        if gathers && self.queue.len() + data.len() <= GATHER {
            self.queue.extend(data);
            return Poll::Ready(Ok(data.len()));
        }
        let mut taken = 0;
        while self.is_live() && (taken < data.len() || !self.queue.is_empty()) {
            let (head, tail) = self.queue.as_slices();
            match self.io.poll_write(cx, [head, tail, &data[taken..]]) {
                Poll::Ready(Ok(n)) => {
                    let of_queue = n.min(self.queue.len());
                    self.queue.drain(..of_queue);
                    taken += n - of_queue;
                    self.sent += n as u64;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(self.break_with(&error))),
                Poll::Pending => break,
            }
        }
        let rest = &data[taken..];
        let kept = rest.len().min(HARD.saturating_sub(self.queue.len()));
        self.queue.extend(&rest[..kept]);
        self.settle();
        if taken + kept == 0 && !data.is_empty() {
            return Poll::Pending;
        }
        Poll::Ready(Ok(taken + kept))
    }

    /// Reads into `buf`; 0 is the end. The caller has checked the gate.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<Result<usize, Errno>> {
        if self.ahead.is_empty() && !self.eof {
            if let Some(errno) = self.broken {
                return Poll::Ready(Err(errno));
            }
            if buf.len() >= SMALL {
                let mut target = ReadBuf::new(buf);
                let read =
                    ready!(self.io.poll_read(cx, &mut target)).map(|()| target.filled().len());
                return Poll::Ready(self.arrived(read));
            }
            ready!(self.poll_fill(cx))?;
        }
        let n = self.ahead.take(buf);
        self.turn = self.turn.saturating_add(n);
        Poll::Ready(Ok(n))
    }

    /// Fills the read-ahead from the far end. Ready when it holds something or the end is known.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Errno>> {
        let (io, ahead) = (&mut self.io, &mut self.ahead);
        let read = ready!(ahead.poll_fill(|target| io.poll_read(cx, target)));
        let turn = self.turn;
        let filled = self.arrived(read);
        self.turn = turn;
        Poll::Ready(filled.map(|_| ()))
    }

    fn arrived(&mut self, read: io::Result<usize>) -> Result<usize, Errno> {
        match read {
            Ok(0) => {
                self.eof = true;
                Ok(0)
            }
            Ok(n) => {
                self.received += n as u64;
                self.turn = self.turn.saturating_add(n);
                Ok(n)
            }
            Err(error) => Err(self.break_with(&error)),
        }
    }

    /// Whether a read would find something: bytes, the end or an error. `exactly` looks into the socket,
    /// which an fd in blocking mode needs: it would wait where readiness was only a guess.
    pub fn poll_readable(&mut self, cx: &mut Context<'_>, exactly: bool) -> Poll<()> {
        if !self.ahead.is_empty() || self.eof || self.broken.is_some() {
            return Poll::Ready(());
        }
        match &mut self.io {
            Io::Tcp(socket) if !exactly => match ready!(socket.poll_read_ready(cx)) {
                Ok(()) => Poll::Ready(()),
                Err(error) => {
                    self.break_with(&error);
                    Poll::Ready(())
                }
            },
            // An error is remembered, so a read will find it.
            _ => self.poll_fill(cx).map(|_| ()),
        }
    }

    /// Whether bytes have arrived that the guest has not read (the end is none).
    pub fn has_unread(&mut self, cx: &mut Context<'_>) -> bool {
        if self.gated || self.abandoned || matches!(self.io, Io::Unconnected) {
            return false;
        }
        if self.ahead.is_empty() && !self.eof && self.broken.is_none() {
            // tokio's budget makes a task that was busy see nothing; here that would lose bytes.
            let mut fill = pin!(unconstrained(poll_fn(|cx| self.poll_fill(cx))));
            let _ = fill.as_mut().poll(cx);
        }
        !self.ahead.is_empty()
    }

    /// Reads and forgets; ready at the end of the stream, or where it broke.
    pub fn poll_to_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            self.ahead = ReadAhead::empty();
            if self.eof || self.broken.is_some() || matches!(self.io, Io::Unconnected) {
                return Poll::Ready(());
            }
            // An error is remembered, and ends the loop.
            let _ = ready!(self.poll_fill(cx));
        }
    }

    /// Makes closing the stream a RST, so that a truncated stream cannot look complete.
    pub fn reset_on_close(&mut self) {
        if let Some(cut) = &self.cut {
            cut.store(true, Ordering::Release);
        }
        self.io.reset_on_close();
    }
}
