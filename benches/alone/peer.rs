//! What stands behind every relay: echoes a byte, swallows, or pours, as it is told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;

const BUFFER: usize = 256 << 10;

/// What is done with each connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// Everything goes back.
    Echo,
    /// Everything is counted and forgotten.
    Swallow,
    /// This many bytes come, then the end.
    Pour(u64),
}

/// A listener in this process.
pub(crate) struct Peer {
    pub(crate) addr: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// 0 echoes, 1 swallows, more pours that many.
    task: AtomicU64,
    swallowed: AtomicU64,
    ended: Notify,
}

impl Peer {
    pub(crate) async fn listen() -> anyhow::Result<Peer> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let listener = socket.listen(4096)?;
        let shared = Arc::new(Shared::default());
        let peer = Peer {
            addr: listener.local_addr()?,
            shared: Arc::clone(&shared),
        };
        tokio::spawn(serve(listener, shared));
        Ok(peer)
    }

    pub(crate) fn set(&self, task: Task) {
        let number = match task {
            Task::Echo => 0,
            Task::Swallow => 1,
            Task::Pour(bytes) => bytes.max(2),
        };
        self.shared.swallowed.store(0, Ordering::Release);
        self.shared.task.store(number, Ordering::Release);
    }

    /// How much a connection brought, once it has ended.
    pub(crate) async fn swallowed(&self) -> u64 {
        self.shared.ended.notified().await;
        self.shared.swallowed.load(Ordering::Acquire)
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            // How a connection ended is for its other end to judge.
            let _ = attend(stream, &shared).await;
        });
    }
}

async fn attend(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    match shared.task.load(Ordering::Acquire) {
        0 => {
            let mut byte = [0; 512];
            loop {
                match stream.read(&mut byte).await? {
                    0 => return Ok(()),
                    n => stream.write_all(&byte[..n]).await?,
                }
            }
        }
        1 => {
            let mut buffer = vec![0; BUFFER];
            loop {
                match stream.read(&mut buffer).await? {
                    0 => break,
                    n => shared.swallowed.fetch_add(n as u64, Ordering::AcqRel),
                };
            }
            shared.ended.notify_one();
            Ok(())
        }
        mut left => {
            let buffer = vec![b'x'; BUFFER];
            while left > 0 {
                let n = left.min(BUFFER as u64) as usize;
                stream.write_all(&buffer[..n]).await?;
                left -= n as u64;
            }
            stream.shutdown().await?;
            // The other end closes when it has everything.
            let mut rest = [0; 64];
            while stream.read(&mut rest).await? > 0 {}
            Ok(())
        }
    }
}
