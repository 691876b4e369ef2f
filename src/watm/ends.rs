//! How connections end: everything queued is delivered first, then both ends hear the same thing.
//!
//! A FIN says "that was all", so it follows only a guest that ended well; after an error both ends get a
//! RST, because a truncated stream must not look complete (a transport may ask for FIN on the network's side). A server's network end that fails before the
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
/// How long a far end that has everything may take for its own end.
const LINGER: Duration = Duration::from_secs(1);
/// How often the kernel is asked what it still holds.
const LOOK: Duration = Duration::from_millis(100);
/// With what a kernel holds, even a slow path is done by then.
const LONGEST_LINGER: Duration = Duration::from_secs(600);

/// What is left when the guest is gone.
pub(super) struct Finished {
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
        let ends = [self.inner, self.outer];
        let broken = ends.iter().find_map(|&at| self.streams.get(at)?.broken());
        let result = match (worked, broken) {
            // The guest only passes on what the host told it.
            (Ok(()) | Err(Failure::Module(_)), Some(errno)) => {
                Err(Failure::Broken(errno.to_string()))
            }
            (worked, _) => worked.and(drained),
        };
        let (from_inner, from_outer) = (self.received(self.inner), self.received(self.outer));
        if result.is_ok() {
            self.streams.iter_mut().for_each(Stream::finish);
            let _ = self.drain().await;
            self.linger().await;
        } else {
            self.delivered().await;
            self.reset().await;
        }
        Outcome {
            result,
            from_inner,
            from_outer,
        }
    }

    fn received(&self, at: usize) -> u64 {
        self.streams.get(at).map_or(0, Stream::received)
    }

    /// RST, but for those that never end so.
    async fn reset(&mut self) {
        let (fin, mut reset): (Vec<_>, Vec<_>) = std::mem::take(&mut self.streams)
            .into_iter()
            .partition(|stream| stream.wire.always_fin);
        reset.iter_mut().for_each(Stream::reset_on_close);
        // The others are just closed, and the kernel says FIN, or RST where something is unread.
        drop((reset, fin));
    }

    async fn drain(&mut self) -> Result<(), Failure> {
        for _ in 0..DRAIN_ROUNDS {
            let before: u64 = self.streams.iter().map(Stream::sent).sum();
            let flushed = poll_fn(|cx| all(&mut self.streams, |stream| stream.poll_flush(cx)));
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

    /// Waits until what was sent before a failure has arrived: the RST would take it along.
    async fn delivered(&mut self) {
        let start = Instant::now();
        let mut idle = Idle::default();
        while start.elapsed() < LONGEST_LINGER {
            let whole = self.streams.iter().filter(|s| s.broken().is_none());
            let held = whole.map(Stream::undelivered).sum();
            if held == 0 || idle.is_over(held) {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until the far ends have what the kernel holds for them, reading what they still send: closing
    /// with unread bytes, or before late ones, is a RST that throws the rest away.
    async fn linger(&mut self) {
        let start = Instant::now();
        let mut idle = Idle::default();
        while start.elapsed() < LONGEST_LINGER {
            let ended = poll_fn(|cx| all(&mut self.streams, |stream| stream.poll_to_end(cx)));
            if timeout(LOOK, ended).await.is_ok() {
                return;
            }
            let left = self.streams.iter().filter(|stream| !stream.ended());
            if idle.is_over(left.map(Stream::undelivered).sum()) {
                return;
            }
        }
    }
}

/// How long nothing has changed in what the kernel holds.
#[derive(Default)]
struct Idle {
    held: usize,
    looks: u32,
}

impl Idle {
    fn is_over(&mut self, held: usize) -> bool {
        self.looks = if held == self.held { self.looks + 1 } else { 0 };
        self.held = held;
        let patience = if held == 0 { LINGER } else { DRAIN_STALL };
        LOOK * self.looks >= patience
    }
}

/// Ready when every stream is; each is asked every time.
fn all(streams: &mut [Stream], mut poll: impl FnMut(&mut Stream) -> Poll<()>) -> Poll<()> {
    let mut all = Poll::Ready(());
    for stream in streams {
        if poll(stream).is_pending() {
            all = Poll::Pending;
        }
    }
    all
}

async fn discard(stream: &mut Stream, until: Instant) {
    let _ = timeout_at(until, poll_fn(|cx| stream.poll_to_end(cx))).await;
}

/// The quiet rule of a server: whatever went wrong before the transport was up, the network side sees the
/// same, namely nothing until `until`, then a FIN. Its own FIN closes at once. What it sends is read and
/// forgotten, so that no RST answers it.
pub async fn quiet(mut stream: Stream, until: Instant) {
    stream.drop_queue();
    discard(&mut stream, until).await;
    stream.open();
    stream.hold_end(false);
    // Closing says FIN, and RST to what comes later, as with every program that just closes.
}
