//! The bridge behind a server: an ORPort and an Extended ORPort.
//!
//! In: connections. Out: the same, in order, and how many there were. Can go wrong: a connection that does not come, or
//! comes unwanted, is the executable's doing.

mod conversation;
mod extended;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;

pub use conversation::{
    Conversation, DENY, DONE, Frame, OKAY, Script, TRANSPORT, USERADDR, client_hash, frame,
    server_hash,
};
pub use extended::{COOKIE_HEADER, ExtOrPort};

use super::wire::{due, listen};
use crate::verdict::{Failure, Verdict, deviation};

/// Connections that no case has asked for yet; more than any case opens.
const WAITING: usize = 1024;

/// Between two attempts to accept.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(10);

/// A plain ORPort, which accepts whatever comes from the start on.
#[derive(Debug)]
pub struct OrPort {
    addr: SocketAddr,
    connections: Arc<AtomicUsize>,
    waiting: Mutex<mpsc::Receiver<TcpStream>>,
    listener: JoinSet<()>,
}

impl OrPort {
    /// Listens on a free port of 127.0.0.1.
    pub async fn listen() -> Verdict<OrPort> {
        let (listener, _) = listen().await?;
        OrPort::over(listener)
    }

    /// Listens at a given address: one where a port was closed before.
    pub async fn listen_at(addr: SocketAddr) -> Verdict<OrPort> {
        OrPort::over(TcpListener::bind(addr).await?)
    }

    fn over(listener: TcpListener) -> Verdict<OrPort> {
        let addr = listener.local_addr()?;
        let connections = Arc::new(AtomicUsize::new(0));
        let (give, waiting) = mpsc::channel(WAITING);
        let count = connections.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    // A connection that left the queue again, or no descriptor for the moment.
                    tokio::time::sleep(PAUSE).await;
                    continue;
                };
                count.fetch_add(1, Ordering::Relaxed);
                if give.send(stream).await.is_err() {
                    return;
                }
            }
        });
        Ok(OrPort {
            addr,
            connections,
            waiting: Mutex::new(waiting),
            listener: tasks,
        })
    }

    /// Where.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The next connection.
    pub async fn accept(&self, within: Duration) -> Verdict<TcpStream> {
        let next = async { self.waiting.lock().await.recv().await };
        let stream = due("a connection to the ORPort", within, next).await?;
        let stream = stream.ok_or_else(|| {
            Failure::Instrument("the ORPort of the suite has stopped listening".to_owned())
        })?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Finds out that nobody connects in `window`, and that nobody has but those that were accepted.
    pub async fn unused(&self, window: Duration) -> Verdict {
        let next = async { self.waiting.lock().await.recv().await };
        if let Ok(Some(_)) = timeout(window, next).await {
            deviation!("the ORPort was dialled, which it should not have been");
        }
        Ok(())
    }

    /// How many connections there have been, accepted by a case or not.
    pub fn connections_so_far(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Stops listening; when this returns, connections are refused.
    pub async fn close(mut self) {
        self.listener.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instruments::wire::{A_WHILE, SOON, dial};

    #[tokio::test]
    async fn connections_are_counted_and_given_in_order() {
        let port = OrPort::listen().await.expect("a free port");
        port.unused(Duration::from_millis(50)).await.expect("new");
        let addr = port.addr();
        let first = dial(addr).await.expect("listens");
        let seen = port.accept(SOON).await.expect("comes");
        assert_eq!(
            seen.peer_addr().expect("connected"),
            first.local_addr().expect("connected")
        );
        let _second = dial(addr).await.expect("listens");
        assert!(port.unused(A_WHILE).await.is_err());
        assert_eq!(port.connections_so_far(), 2);
        assert!(port.accept(Duration::from_millis(50)).await.is_err());
        port.close().await;
        assert!(dial(addr).await.is_err());
        assert!(OrPort::listen_at(addr).await.is_ok());
    }
}
