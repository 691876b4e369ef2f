//! The upstream proxy of `TOR_PT_PROXY` (pt-spec 3.2.2, 3.3.2 and 4): what is said about it, what it hears, and that
//! nothing ever goes around it.
//!
//! An executable may refuse a kind of proxy with `PROXY-ERROR`; cases about such proxies do not apply to it then.

mod closed;
mod route;
mod uri;

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::bench::Bench;
use crate::case::{Case, Side};
use crate::instruments::parent::{Launch, Ready};
use crate::instruments::upstream::{Behaviour, Kind, Upstream};
use crate::verdict::{Failure, Verdict, deviation, ensure};

/// The cases, in the ledger's order.
pub const TABLES: &[&[Case]] = &[uri::CASES, route::CASES, closed::CASES];

/// The base of every case here: many start a process for each of many values.
const BASE: Case = Case {
    side: Side::Client,
    limit: Duration::from_secs(60),
    ..Case::BASE
};

/// One proxy of each kind.
const KINDS: [Kind; 3] = [Kind::Http, Kind::Socks5(0), Kind::Socks4a];

/// An address in a URI that is refused for another reason.
const SOMEWHERE: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9);

/// The URI of a proxy; `user` is what stands before the `@`, or empty.
fn uri(kind: Kind, user: &str, proxy: SocketAddr) -> String {
    let scheme = match kind {
        Kind::Http => "http",
        Kind::Socks5(_) => "socks5",
        Kind::Socks4a => "socks4a",
    };
    let at = if user.is_empty() { "" } else { "@" };
    format!("{scheme}://{user}{at}{proxy}")
}

/// A client behind a proxy, about to be started.
fn launch(bench: &Bench, uri: &str) -> Launch {
    bench.client().set("TOR_PT_PROXY", uri)
}

/// Starts a client behind a proxy: with `PROXY DONE` and the transport launched it is there, with `PROXY-ERROR` it is
/// not. Anything else is a deviation.
async fn behind(bench: &Bench, uri: &str) -> Verdict<Option<Ready>> {
    answered(bench, launch(bench, uri), uri).await
}

async fn answered(bench: &Bench, launch: Launch, uri: &str) -> Verdict<Option<Ready>> {
    let (pt, said) = launch.negotiate().await?;
    match &said.fatal {
        Some(line) if line.split(' ').next() == Some("PROXY-ERROR") => return Ok(None),
        Some(line) => deviation!("with the proxy {uri} it says {line:?}"),
        None => {}
    }
    ensure!(
        said.done,
        "with the proxy {uri} it comes neither to CMETHODS DONE nor to PROXY-ERROR: {:?}",
        said.lines
    );
    ensure!(
        said.proxy_done,
        "with the proxy {uri} it says neither PROXY DONE nor PROXY-ERROR: {:?}",
        said.lines
    );
    let method = said.method(bench.transport())?.clone();
    Ok(Some(Ready { pt, said, method }))
}

/// The same; the case does not apply where it refuses proxies of the kind.
async fn accepted(bench: &Bench, uri: &str) -> Verdict<Ready> {
    behind(bench, uri).await?.ok_or_else(|| {
        let kind = uri.split(':').next().unwrap_or_default();
        Failure::NotApplicable(format!("it refuses {kind} proxies with PROXY-ERROR"))
    })
}

/// A proxy that is there: an executable may refuse one that is not. It grants nothing.
async fn live(kind: Kind) -> Verdict<Upstream> {
    Upstream::start(kind, Behaviour::Hang).await
}

/// The kinds of proxies that it takes; the case does not apply where there are none.
async fn kinds(bench: &Bench) -> Verdict<Vec<Kind>> {
    let mut kinds = Vec::new();
    for kind in KINDS {
        let proxy = live(kind).await?;
        if behind(bench, &uri(kind, "", proxy.addr())).await?.is_some() {
            kinds.push(kind);
        }
    }
    if kinds.is_empty() {
        return Err(Failure::NotApplicable(
            "it refuses every kind of proxy with PROXY-ERROR".to_owned(),
        ));
    }
    Ok(kinds)
}

/// A listener for proxies with an IPv6 address.
async fn ipv6_listener() -> Verdict<(TcpListener, SocketAddr)> {
    let Ok(listener) = TcpListener::bind("[::1]:0").await else {
        return Err(Failure::NotApplicable(
            "this machine has no IPv6".to_owned(),
        ));
    };
    let addr = listener.local_addr()?;
    Ok((listener, addr))
}
