//! A stream's far end, looked at by the host and not by the guest.
//!
//! A guest mostly reads both of its ends and finds out by itself that one is gone. One that does not must not keep the
//! connection for ever; so the host looks while the guest waits, without a timer and without losing a byte.

use super::{Io, Stream};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use tokio::io::{Interest, Ready};
use tokio::net::TcpStream;

/// What can be seen of a far end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::watm) enum Far {
    /// There; the task is woken when that changes.
    Present,
    /// Behind more bytes than are read ahead, which nobody reads: there or not.
    Hidden,
    /// It has sent its last, and may still take something.
    Ended,
    /// It neither sends nor takes.
    Gone,
}

impl Stream {
    /// Looks for the far end, with bytes before it read ahead.
    pub(in crate::watm) fn look(&mut self, cx: &mut Context<'_>) -> Far {
        if matches!(self.io, Io::Unconnected) {
            return Far::Present;
        }
        if self.broken.is_some() {
            return Far::Gone;
        }
        if !self.eof {
            if let Io::Tcp(socket) = &self.io
                && socket.poll_read_ready(cx).is_pending()
            {
                return Far::Present;
            }
            if self.ahead.is_empty() {
                match self.poll_fill(cx) {
                    Poll::Pending => return Far::Present,
                    // The guest may have asked just before.
                    Poll::Ready(_) => cx.waker().wake_by_ref(),
                }
            }
        }
        let Io::Tcp(socket) = &self.io else {
            return match (self.eof, self.broken) {
                (_, Some(_)) => Far::Gone,
                (true, None) => Far::Ended,
                (false, None) => Far::Hidden,
            };
        };
        let seen = readiness(socket);
        let may_send = !self.eof && !seen.is_read_closed();
        if self.broken.is_some() || (!may_send && seen.is_write_closed() && self.is_unfinished()) {
            Far::Gone
        } else if !may_send {
            Far::Ended
        } else if socket.poll_read_ready(cx).is_pending() {
            Far::Present
        } else {
            Far::Hidden
        }
    }

    /// Whether the host has not closed its own direction, which a kernel reports like a far end that is gone.
    fn is_unfinished(&self) -> bool {
        self.fin == super::Fin::Open
    }
}

/// What the runtime knows of a socket, without asking the kernel.
fn readiness(socket: &TcpStream) -> Ready {
    let every = Interest::READABLE | Interest::WRITABLE;
    let ready = pin!(socket.ready(every));
    match ready.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(ready)) => ready,
        _ => Ready::EMPTY,
    }
}
