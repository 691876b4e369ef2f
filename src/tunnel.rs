//! One connection's life on either side: slot, handshake under a deadline, session, end.
//!
//! In: the two sockets' makings and a transport. Out: bytes moved, and a [`Failure`] where they were not.
//! [`Slots`] bounds how many connections there are; whoever comes when all are taken is told no, by a
//! bounded number of tasks that hold no instance.

use crate::error::{Blame, Failure};
use crate::net::tune_local;
use crate::say;
use crate::transport::Transport;
use crate::watm::{Connect, Io, Outcome, Session, Stream, quiet};
use std::future::Future;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// Connections that are told no at the same time; they hold a descriptor each and nothing else.
const MAX_REFUSALS: usize = 1024;

/// How many connections may be open.
#[derive(Clone, Debug)]
pub struct Slots {
    open: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
    count: usize,
}

/// A connection's right to exist.
pub type Slot = OwnedSemaphorePermit;

impl Slots {
    /// That many.
    pub fn new(count: usize) -> Self {
        let count = count.min(Semaphore::MAX_PERMITS);
        Slots {
            open: Arc::new(Semaphore::new(count)),
            refusals: Arc::new(Semaphore::new(MAX_REFUSALS)),
            count,
        }
    }

    /// A slot, or the failure that says there is none.
    pub fn take(&self) -> Result<Slot, Failure> {
        Arc::clone(&self.open)
            .try_acquire_owned()
            .map_err(|_| Failure::PoolFull(self.count))
    }

    /// The right to tell somebody no.
    pub async fn refusal(&self) -> Slot {
        Arc::clone(&self.refusals)
            .acquire_owned()
            .await
            .expect("the semaphore is never closed")
    }

    /// Waits until no connection is open.
    pub async fn all_free(&self) {
        for _ in 0..self.count {
            let permit = self
                .open
                .acquire()
                .await
                .expect("the semaphore is never closed");
            permit.forget();
        }
    }
}

/// Tells why a connection of a transport failed before it was up.
pub fn tell(transport: &str, failure: &Failure) {
    say!(
        failure.severity(),
        "{transport}: a connection failed: {failure}"
    );
}

/// Tells how a connection ended. Peers that break off are everybody's daily life.
fn tell_end(transport: &str, outcome: &Outcome) {
    let (up, down) = (outcome.from_inner, outcome.from_outer);
    match &outcome.result {
        Ok(()) => {
            tracing::trace!("{transport}: a connection ended after {up} bytes up and {down} down")
        }
        Err(failure) if failure.blame() == Blame::Peer => {
            tracing::debug!("{transport}: a connection ended early: {failure}");
        }
        Err(failure) => say!(
            failure.severity(),
            "{transport}: a connection was lost: {failure}"
        ),
    }
}

/// Runs a client's connection. `socket` is the application, whose first bytes may be `early`; it gets
/// `answer(Ok)` as soon as the transport is up, or is handed back with the failure.
pub async fn client(
    transport: &Transport,
    conf: Option<Arc<[u8]>>,
    socket: TcpStream,
    early: &[u8],
    connect: Connect,
    answer: &[u8],
) -> Result<(), (Option<TcpStream>, Failure)> {
    let deadline = Instant::now() + transport.handshake;
    let too_late = Failure::HandshakeTimeout(transport.handshake.as_secs());
    let mut session = match timeout_at(deadline, Session::new(&transport.program, conf)).await {
        Ok(Ok(session)) => session,
        Ok(Err(failure)) => return Err((Some(socket), failure)),
        Err(_) => return Err((Some(socket), too_late)),
    };
    let inner = Stream::gated(socket, early);
    let up = timeout_at(deadline, session.dial(inner, connect))
        .await
        .unwrap_or(Err(too_late));
    if let Err(failure) = up {
        let socket = match session.into_inner().map(Stream::into_io) {
            Some(Io::Tcp(socket)) => Some(socket),
            _ => None,
        };
        return Err((socket, failure));
    }
    if let Io::Tcp(socket) = session.inner().io()
        && socket.write_all(answer).await.is_err()
    {
        return Err((
            None,
            Failure::Broken("the application left during the handshake".to_owned()),
        ));
    }
    session.inner().open();
    tell_end(&transport.name, &session.run().await);
    Ok(())
}

/// Runs a server's connection: `socket` came from the network, `relay` dials the relay once the transport
/// is up. Until then every failure looks the same from outside, see [`quiet`].
pub async fn server(
    transport: &Transport,
    conf: Option<Arc<[u8]>>,
    socket: TcpStream,
    quiet_until: Instant,
    relay: impl Future<Output = Result<TcpStream, Failure>>,
) {
    let deadline = Instant::now() + transport.handshake;
    let too_late = Failure::HandshakeTimeout(transport.handshake.as_secs());
    let mut session = match timeout_at(deadline, Session::new(&transport.program, conf)).await {
        Ok(Ok(session)) => session,
        created => {
            tell(
                &transport.name,
                &created.map_or(too_late, |result| {
                    result.err().expect("the good case is above")
                }),
            );
            return quiet(Stream::new(socket), quiet_until).await;
        }
    };
    let inner = Stream::gated(Io::Unconnected, &[]);
    let up = timeout_at(deadline, session.accept(inner, Stream::new(socket)))
        .await
        .unwrap_or(Err(too_late));
    if let Err(failure) = up {
        tell_probe(&transport.name, &failure);
        if let Some(outer) = session.into_outer() {
            quiet(outer, quiet_until).await;
        }
        return;
    }
    match relay.await {
        Ok(relay) => {
            tune_local(&relay);
            session.inner().attach(relay);
            session.inner().open();
            tell_end(&transport.name, &session.run().await);
        }
        Err(failure) => {
            tell(&transport.name, &failure);
            if let Some(outer) = session.into_outer() {
                quiet(outer, Instant::now()).await;
            }
        }
    }
}

/// A handshake that fails on a server is mostly a prober or a scanner: no news, unless the module broke.
fn tell_probe(transport: &str, failure: &Failure) {
    match failure {
        Failure::Trap(_) | Failure::Stuck | Failure::Host(_) => tell(transport, failure),
        _ => tracing::debug!("{transport}: a handshake failed: {failure}"),
    }
}
