//! A way between two programs on which the first bytes come so slowly that each is read alone, and the rest in small
//! pieces.
//!
//! In: connections. Out: the same bytes and the same ends. Can go wrong: nothing; a connection that breaks is broken on
//! the other side as well.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::instruments::wire::{dial, listen};
use crate::verdict::Verdict;

/// How many bytes of each direction come one by one: a handshake's beginning.
const SLOW: usize = 20;

/// Between two of them, so that a reader has run; one that is kept from it for longer reads two at once, which makes it
/// easier.
const PAUSE: Duration = Duration::from_millis(20);

/// What is handed over at once afterwards: smaller than any frame, not so small that it takes all of the machine.
const PIECE: usize = 16;

/// The way; cut when it goes out of scope.
pub(super) struct Dripping {
    pub(super) addr: SocketAddr,
    connections: Rc<Cell<usize>>,
    _tasks: JoinSet<()>,
}

impl Dripping {
    /// Listens, and carries every connection on to `onward`.
    pub(super) async fn start(onward: SocketAddr) -> Verdict<Dripping> {
        let (listener, addr) = listen().await?;
        let connections = Rc::new(Cell::new(0));
        let count = connections.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn_local(async move {
            let mut carried = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                count.set(count.get() + 1);
                carried.spawn_local(carry(near, onward));
            }
        });
        Ok(Dripping {
            addr,
            connections,
            _tasks: tasks,
        })
    }

    /// How many connections there have been.
    pub(super) fn connections(&self) -> usize {
        self.connections.get()
    }
}

async fn carry(mut near: TcpStream, onward: SocketAddr) {
    let Ok(mut far) = dial(onward).await else {
        return;
    };
    // Without it, single bytes would be put together again.
    let _ = near.set_nodelay(true);
    let (near_read, near_write) = near.split();
    let (far_read, far_write) = far.split();
    // What breaks closes both.
    let _ = tokio::try_join!(drip(near_read, far_write), drip(far_read, near_write));
}

async fn drip(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) -> io::Result<()> {
    // Small, so that others on the thread have their turn.
    let mut buffer = [0; 256];
    let mut slow = SLOW;
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return to.shutdown().await;
        }
        let (single, rest) = buffer[..count].split_at(slow.min(count));
        slow -= single.len();
        for byte in single {
            to.write_all(&[*byte]).await?;
            sleep(PAUSE).await;
        }
        for piece in rest.chunks(PIECE) {
            to.write_all(piece).await?;
        }
        tokio::task::yield_now().await;
    }
}
