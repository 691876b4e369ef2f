//! One connection through a link: two directions, each a reader and a writer with a bounded queue between them, so that
//! a delay holds bytes up without holding the next ones off.
//!
//! In: bytes of one end. Out: the same bytes at the other, when they are due. Can go wrong: either end resets, which is
//! then the other's fate as well.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::select;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::{Counts, Direction, Settings, reset};

/// What is read at once.
const PIECE: usize = 8 << 10;

/// How many pieces may wait: 64 KiB with the one in the reader's hands.
const PIECES: usize = 7;

/// The connection is to be reset.
struct Broken;

/// Bytes and when they are due; none are the end.
struct Held {
    due: Instant,
    bytes: Vec<u8>,
}

/// Carries both directions until both have ended, or one is broken. `start` are the settings at the connection's start.
pub(super) async fn both_ways(
    mut near: TcpStream,
    mut far: TcpStream,
    start: Settings,
    settings: watch::Receiver<Settings>,
    counts: &Counts,
) {
    // Without it, small pieces would be put together again.
    let _ = near.set_nodelay(true);
    let (near_read, near_write) = near.split();
    let (far_read, far_write) = far.split();
    let onward = Way {
        direction: Direction::Onward,
        start,
        settings: settings.clone(),
    };
    let back = Way {
        direction: Direction::Back,
        start,
        settings: settings.clone(),
    };
    let both = async {
        tokio::try_join!(
            onward.carry(near_read, far_write, counts),
            back.carry(far_read, near_write, counts),
        )
    };
    let mut resets = settings;
    let whole = select! {
        biased;
        _ = resets.wait_for(|now| now.resets != start.resets) => false,
        ended = both => ended.is_ok(),
    };
    if !whole {
        reset(near);
        reset(far);
    }
}

/// One direction of one connection.
struct Way {
    direction: Direction,
    start: Settings,
    settings: watch::Receiver<Settings>,
}

impl Way {
    async fn carry(
        self,
        from: ReadHalf<'_>,
        to: WriteHalf<'_>,
        counts: &Counts,
    ) -> Result<(), Broken> {
        let (give, take) = mpsc::channel(PIECES);
        let (direction, settings) = (self.direction, self.settings.clone());
        let write = write(to, take, direction, settings, counts.of(direction));
        tokio::try_join!(self.read(from, give), write).map(drop)
    }

    /// Reads until the end, or until this direction is closed; throws away what comes after that.
    async fn read(
        mut self,
        mut from: ReadHalf<'_>,
        give: mpsc::Sender<Held>,
    ) -> Result<(), Broken> {
        let mut give = Some(give);
        let mut buffer = vec![0; PIECE];
        loop {
            let faults = self.settings.borrow_and_update().of(self.direction);
            if faults.closed != self.start.of(self.direction).closed {
                // The writer sees the end of the queue, and ends after what is in it.
                give = None;
            }
            // Both arms lose nothing when the other one wins.
            let read = select! {
                biased;
                changed = self.settings.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return Err(Broken),
                },
                read = from.read(&mut buffer), if !faults.stalled => read,
            };
            let count = read.map_err(|_| Broken)?;
            let held = Held {
                due: Instant::now() + faults.delay,
                bytes: buffer[..count].to_vec(),
            };
            if let Some(give) = &give {
                give.send(held).await.map_err(|_| Broken)?;
            }
            if count == 0 {
                return Ok(());
            }
        }
    }
}

/// Writes what is due, and the end after it.
async fn write(
    mut to: WriteHalf<'_>,
    mut take: mpsc::Receiver<Held>,
    direction: Direction,
    settings: watch::Receiver<Settings>,
    count: &AtomicU64,
) -> Result<(), Broken> {
    while let Some(Held { due, bytes }) = take.recv().await {
        sleep_until(due).await;
        if bytes.is_empty() {
            break;
        }
        let size = settings.borrow().of(direction).piece;
        for piece in bytes.chunks(size) {
            to.write_all(piece).await.map_err(|_| Broken)?;
            count.fetch_add(piece.len() as u64, Ordering::Relaxed);
            // The reader may be on the same thread, and is to see every piece.
            tokio::task::yield_now().await;
        }
    }
    // A FIN to who has gone already is nobody's loss.
    let _ = to.shutdown().await;
    Ok(())
}
