//! Both ends of a transport: an application, a client, a server and an ORPort, with real processes between.

use std::path::PathBuf;

use tokio::net::TcpStream;

use super::orport::OrPort;
use super::pt::{Launch, Method, Pt};
use super::{peers, socks};

/// A client and a server of one transport.
pub(crate) struct Pair {
    /// The client process.
    pub(crate) client: Pt,
    /// The server process.
    pub(crate) server: Pt,
    /// The client's SOCKS port.
    pub(crate) socks: Method,
    /// The bridge's address, and the arguments of its bridge line.
    pub(crate) bridge: Method,
    /// Behind the server.
    pub(crate) orport: OrPort,
}

impl Pair {
    /// A pair of the program under test with a built-in transport.
    pub(crate) async fn of(transport: &str) -> Self {
        Pair::with(peers::ouzel(), transport, |launch| launch).await
    }

    /// A pair of the program under test, each side adjusted.
    pub(crate) async fn adjusted(transport: &str, adjust: impl Fn(Launch) -> Launch) -> Self {
        Pair::with(peers::ouzel(), transport, adjust).await
    }

    /// A pair of any program, each side adjusted.
    pub(crate) async fn with(
        program: PathBuf,
        transport: &str,
        adjust: impl Fn(Launch) -> Launch,
    ) -> Self {
        let orport = OrPort::listen().await;
        let server = adjust(Launch::of(program.clone()).serving(transport, orport.addr));
        let client = adjust(Launch::of(program).set("TOR_PT_CLIENT_TRANSPORTS", transport));
        Pair::between(transport, orport, client, server).await
    }

    /// A pair of any two programs; the server has been told of `orport`.
    pub(crate) async fn between(
        transport: &str,
        orport: OrPort,
        client: Launch,
        server: Launch,
    ) -> Self {
        let (server, client) = (server.start(), client.start());
        Pair {
            socks: client.method(transport).await,
            bridge: server.method(transport).await,
            client,
            server,
            orport,
        }
    }

    /// An application's stream through the client, without waiting for the ORPort.
    pub(crate) async fn dial(&self) -> TcpStream {
        let target = self.bridge.addr.into();
        match socks::open(self.socks.addr, &target, &self.bridge.args).await {
            Ok(stream) => stream,
            Err(refusal) => panic!(
                "{refusal:?}\nclient {}\nserver {}",
                self.client.story(),
                self.server.story()
            ),
        }
    }

    /// Both ends of a stream: the application's and the ORPort's.
    pub(crate) async fn open(&self) -> (TcpStream, TcpStream) {
        let application = self.dial().await;
        (application, self.orport.accept().await)
    }
}
