//! How connections end: everything queued is delivered first, then both ends hear the same thing.
//!
//! A FIN says "that was all", so it follows only a guest that ended well; after an error both ends get a
//! RST, because a truncated stream must not look complete. A server's network end that fails before the
//! transport is up gets neither at once: see [`quiet`].

use super::session::Outcome;
use super::stream::Stream;
use crate::error::Failure;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// A far end that takes not one byte for this long will take none.
const DRAIN_STALL: Duration = Duration::from_secs(30);
/// The most such waits: what is queued is at most 4 MiB, and nobody reads that slowly on purpose for good.
const DRAIN_ROUNDS: u32 = 20;
/// Closing a socket with unread bytes in it sends a RST that can overtake what was sent before; so for this
/// long, or this much, what still arrives is read.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 64 << 10;

/// What is left when the guest is gone.
pub struct Finished {
    pub(super) streams: Vec<Stream>,
    pub(super) inner: usize,
    pub(super) outer: usize,
}

impl Finished {
    /// Delivers what is queued and closes every stream as the guest's end deserves.
    pub(super) async fn close(mut self, worked: Result<(), Failure>) -> Outcome {
        // A guest may return before the application was answered, or with its ends gated.
        self.streams.iter_mut().for_each(Stream::open);
        let drained = self.drain().await;
        let broken = self.streams.iter().find_map(Stream::broken);
        let result = match (worked, broken) {
            // The guest only passes on what the host told it.
            (Ok(()) | Err(Failure::Module(_)), Some(errno)) => {
                Err(Failure::Broken(errno.to_string()))
            }
            (worked, _) => worked.and(drained),
        };
        if result.is_ok() {
            self.streams.iter_mut().for_each(Stream::finish);
            let _ = self.drain().await;
            self.linger().await;
        } else {
            self.streams.iter_mut().for_each(Stream::reset_on_close);
        }
        let received = |at: usize| self.streams.get(at).map_or(0, Stream::received);
        Outcome {
            result,
            from_inner: received(self.inner),
            from_outer: received(self.outer),
        }
    }

    async fn drain(&mut self) -> Result<(), Failure> {
        for _ in 0..DRAIN_ROUNDS {
            let before: u64 = self.streams.iter().map(Stream::sent).sum();
            let flushed = poll_fn(|cx| {
                let pending = self
                    .streams
                    .iter_mut()
                    .filter_map(|s| s.poll_flush(cx).is_pending().then_some(()))
                    .count();
                if pending == 0 {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            });
            if timeout(DRAIN_STALL, flushed).await.is_ok() {
                return Ok(());
            }
            if before == self.streams.iter().map(Stream::sent).sum::<u64>() {
                break;
            }
        }
        self.streams.iter_mut().for_each(Stream::drop_queue);
        Err(Failure::Stalled(DRAIN_STALL.as_secs()))
    }

    async fn linger(&mut self) {
        let until = Instant::now() + LINGER;
        for stream in &mut self.streams {
            discard(stream, until, LINGER_BYTES).await;
        }
    }
}

/// Reads and forgets until the stream ends, the time is up or the bound is reached.
async fn discard(stream: &mut Stream, until: Instant, bound: usize) {
    let mut left = bound;
    let reading = poll_fn(|cx| {
        loop {
            match stream.poll_discard(cx) {
                Poll::Ready((_, true)) => return Poll::Ready(()),
                Poll::Ready((n, false)) if n >= left => return Poll::Ready(()),
                Poll::Ready((n, false)) => left -= n,
                Poll::Pending => return Poll::Pending,
            }
        }
    });
    let _ = timeout_at(until, reading).await;
}

/// The quiet rule of a server: whatever went wrong before the transport was up, the network side sees the
/// same, namely nothing until `until`, then a FIN. Its own FIN closes at once. What it sends is read and
/// forgotten, so that no RST answers it.
pub async fn quiet(mut stream: Stream, until: Instant) {
    stream.drop_queue();
    discard(&mut stream, until, usize::MAX).await;
    stream.open();
    stream.hold_end(false);
    stream.finish();
    let _ = timeout(LINGER, poll_fn(|cx| stream.poll_flush(cx))).await;
    discard(&mut stream, Instant::now() + LINGER, LINGER_BYTES).await;
}
