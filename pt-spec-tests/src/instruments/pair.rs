//! The executable as both ends of a tunnel: a client, a server with a fake ORPort behind it, and what the server
//! announces carried over to the client as a bridge line would.

use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::listeners::door;
use super::negotiation::Args;
use super::orport::OrPort;
use super::parent::Launch;
use super::process::Pt;
use super::socks::{self, Target};
use super::wire::{SOON, read_exactly, write_all};
use crate::bench::Bench;
use crate::verdict::{Failure, Verdict};

/// What an application says first in every tunnel. tor's client speaks first too, and a transport may wait for it.
const HELLO: &[u8] = b"the client speaks first";

/// A running server.
pub struct Bridge {
    /// The process.
    pub server: Pt,
    /// Where its `SMETHOD` line says that it listens; clients are told this.
    pub addr: SocketAddr,
    /// Where it takes connections: the same, unless what it announces is synthetic.
    pub door: SocketAddr,
    /// Arguments for a client: what the line announced, and what the person who runs the suite added.
    pub args: Args,
    /// The ORPort behind it.
    pub orport: OrPort,
}

/// Both ends, ready.
pub struct Pair {
    /// The server and its ORPort.
    pub bridge: Bridge,
    /// The client's process.
    pub client: Pt,
    /// The client's SOCKS port.
    pub socks: SocketAddr,
}

/// One connection through both ends.
#[derive(Debug)]
pub struct Tunnel {
    /// The application's end, at the client's SOCKS port.
    pub app: TcpStream,
    /// The bridge's end, at the ORPort.
    pub tor: TcpStream,
}

impl Bridge {
    /// Starts a server; `change` may alter how.
    pub async fn start(bench: &Bench, change: impl FnOnce(Launch) -> Launch) -> Verdict<Bridge> {
        let orport = OrPort::listen().await?;
        let ready = change(bench.server(orport.addr())).ready().await?;
        let mut args = ready.method.args.clone();
        args.extend(bench.subject().bridge_args.iter().cloned());
        Ok(Bridge {
            door: door(&ready.pt, &ready.method)?,
            server: ready.pt,
            addr: ready.method.addr,
            args,
            orport,
        })
    }
}

impl Pair {
    /// Starts both as tor does.
    pub async fn start(bench: &Bench) -> Verdict<Pair> {
        Pair::start_with(bench, |server| server, |client| client).await
    }

    /// Starts both, each in a way of the case's choosing.
    pub async fn start_with(
        bench: &Bench,
        server: impl FnOnce(Launch) -> Launch,
        client: impl FnOnce(Launch) -> Launch,
    ) -> Verdict<Pair> {
        let bridge = Bridge::start(bench, server).await?;
        let ready = client(bench.client()).ready().await?;
        Ok(Pair {
            bridge,
            client: ready.pt,
            socks: ready.method.addr,
        })
    }

    /// Opens a tunnel to the bridge.
    pub async fn open(&self) -> Verdict<Tunnel> {
        self.open_at(self.bridge.addr).await
    }

    /// Opens a tunnel by way of an address in front of the bridge.
    pub async fn open_at(&self, addr: SocketAddr) -> Verdict<Tunnel> {
        let mut app = self.dial(addr).await?;
        write_all(&mut app, HELLO, SOON).await.map_err(|ended| {
            Failure::Deviation(format!(
                "the SOCKS connection took no byte after its reply: {ended}"
            ))
        })?;
        let mut tor = self.bridge.orport.accept(SOON).await?;
        match read_exactly(&mut tor, HELLO.len(), SOON).await {
            Ok(got) if got == HELLO => Ok(Tunnel { app, tor }),
            Ok(got) => Err(Failure::Deviation(format!(
                "the first bytes arrived as {}",
                super::wire::hex(&got)
            ))),
            Err(cut) => Err(Failure::Deviation(format!(
                "the first bytes did not arrive at the ORPort: {cut}"
            ))),
        }
    }

    /// Opens a SOCKS connection to an address and has it granted, without a look at the other end.
    pub async fn dial(&self, addr: SocketAddr) -> Verdict<TcpStream> {
        let target = Target::Ip(addr);
        let (app, reply) = socks::open(self.socks, &self.bridge.args, &target, SOON).await?;
        match reply.code {
            0 => Ok(app),
            _ => Err(Failure::Deviation(format!(
                "the SOCKS port refused the bridge: {reply}"
            ))),
        }
    }
}
