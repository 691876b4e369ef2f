//! Somebody on the line between a client and a bridge: hears everything, and may change one byte.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the client to the bridge.
    Up,
    /// From the bridge to the client.
    Down,
}

/// A byte to change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flip {
    /// In which stream.
    pub(crate) way: Way,
    /// Which byte of it.
    pub(crate) at: usize,
}

/// A relay for one connection.
pub(crate) struct Tap {
    /// Where clients find it.
    pub(crate) addr: SocketAddr,
    first: Arc<Mutex<Vec<u8>>>,
}

/// As much of the client's bytes as is kept: more than a first flight.
const KEPT: usize = 16 << 10;

impl Tap {
    /// Stands before `bridge`.
    pub(crate) async fn before(bridge: SocketAddr, flip: Option<Flip>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let first = Arc::new(Mutex::new(Vec::new()));
        let kept = first.clone();
        tokio::spawn(async move {
            let (near, _) = listener.accept().await.unwrap();
            let far = TcpStream::connect(bridge).await.unwrap();
            for stream in [&near, &far] {
                stream.set_nodelay(true).unwrap();
            }
            let (from_client, to_client) = near.into_split();
            let (from_bridge, to_bridge) = far.into_split();
            let at = |way| flip.filter(|flip| flip.way == way).map(|flip| flip.at);
            tokio::join!(
                pass(from_client, to_bridge, at(Way::Up), |bytes| {
                    let mut kept = kept.lock().unwrap();
                    let room = KEPT.saturating_sub(kept.len()).min(bytes.len());
                    kept.extend(&bytes[..room]);
                }),
                pass(from_bridge, to_client, at(Way::Down), |_| ()),
            );
        });
        Tap { addr, first }
    }

    /// What the client has said. Until it has the bridge's answer, that is its first flight and nothing else.
    pub(crate) fn heard(&self) -> Vec<u8> {
        self.first.lock().unwrap().clone()
    }
}

/// Passes bytes on to the end of either side.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    flip: Option<usize>,
    keep: impl Fn(&[u8]),
) {
    let mut block = vec![0; 64 << 10];
    let mut done = 0;
    while let Ok(n @ 1..) = from.read(&mut block).await {
        keep(&block[..n]);
        if let Some(at) = flip.and_then(|at| at.checked_sub(done))
            && at < n
        {
            block[at] ^= 0x80;
        }
        done += n;
        if to.write_all(&block[..n]).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}
