//! A way to the server on which the suite knows the address that the server sees.
//!
//! In: where the client dials, where the server listens, the source to come from. Out: the application, the server's
//! conversation with the Extended ORPort, and that address. Can go wrong: a transport that does not dial its bridge's
//! address never comes this way.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::instruments::orport::Conversation;
use crate::instruments::wire::{SOON, listen, write_all};
use crate::verdict::{Failure, Verdict};

use super::scene::{HELLO, Scene, authenticated, introduced};
use crate::instruments::orport::Script;

/// A connection that came this way, introduced up to DONE.
pub(super) struct Reached {
    /// Keeps the application's end open.
    pub(super) _app: TcpStream,
    pub(super) server: Conversation,
    /// What the server's socket has for its peer.
    pub(super) from: SocketAddr,
    _way: JoinSet<()>,
}

/// Comes to the server at `bridge` from an address of one's choosing, whose port is 0.
pub(super) async fn reach(
    scene: &Scene,
    bridge: SocketAddr,
    source: SocketAddr,
) -> Verdict<Reached> {
    let (listener, addr) = listen().await?;
    let (tell, mut told) = oneshot::channel();
    let mut way = JoinSet::new();
    way.spawn_local(async move {
        // A failure shows as an address that is never told.
        if let Ok((mut near, mut far)) = join(listener, bridge, source).await
            && let Ok(from) = far.local_addr()
            && tell.send(from).is_ok()
        {
            let _ = copy_bidirectional(&mut near, &mut far).await;
        }
    });
    let mut app = scene.pair.dial(addr).await?;
    let _ = write_all(&mut app, HELLO, SOON).await;
    let mut server = scene.ext.accept(SOON).await?;
    let from = told.try_recv().map_err(|_| {
        Failure::NotApplicable("the transport does not dial the address of its bridge".to_owned())
    })?;
    authenticated(&mut server, &Script::default()).await?;
    introduced(&mut server).await?;
    Ok(Reached {
        _app: app,
        server,
        from,
        _way: way,
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "a connection of the suite's own on loopback"
)]
async fn join(
    listener: TcpListener,
    bridge: SocketAddr,
    source: SocketAddr,
) -> std::io::Result<(TcpStream, TcpStream)> {
    let (near, _) = listener.accept().await?;
    let socket = if source.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.bind(source)?;
    Ok((near, socket.connect(bridge).await?))
}
