//! The SOCKS port of a client: what its messages are, and what becomes of any other (RFC 1928, RFC 1929, pt-spec 2).
//!
//! The cases stand in the modules below, one for each step of the conversation. Here are the steps that they share.

mod credentials;
mod greeting;
mod limits;
mod outcomes;
mod replies;
mod request;
mod segments;

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use crate::bench::Bench;
use crate::case::Case;
use crate::instruments::negotiation::Args;
use crate::instruments::orport::OrPort;
use crate::instruments::pair::Pair;
use crate::instruments::process::Pt;
use crate::instruments::socks::{self, Reply, Socks, Target, connect, greeting};
use crate::instruments::wire::{Ended, SOON, hex, read_exactly, write_all};
use crate::verdict::{Failure, Verdict, deviation, ensure};

/// The cases, in the ledger's order.
pub const TABLES: &[&[Case]] = &[
    greeting::CASES,
    credentials::CASES,
    request::CASES,
    outcomes::CASES,
    replies::CASES,
    limits::CASES,
    segments::CASES,
];

/// A port has 10 seconds to close after a failure (RFC 1928 section 6); the rest is for a busy machine.
pub(super) const CLOSES: Duration = Duration::from_secs(15);

/// For the reply to a CONNECT that leads nowhere on this machine: a dial and a handshake fail at once then, but a
/// transport may try more than one way.
pub(super) const REPLIES: Duration = Duration::from_secs(25);

/// How many conversations there are at once where a case needs hundreds; a process may be limited to 256 files.
const AT_ONCE: usize = 32;

/// What a bridge says back in a round trip.
const ANSWER: &[u8] = b"and the bridge answers";

/// A client's SOCKS port.
pub(super) struct Port {
    /// Where.
    pub(super) addr: SocketAddr,
    /// The process, where the port has to keep it.
    _client: Option<Pt>,
}

impl Port {
    /// Starts a client.
    pub(super) async fn start(bench: &Bench) -> Verdict<Port> {
        let ready = bench.client().ready().await?;
        match ready.method.protocol.as_str() {
            "socks5" => Ok(Port {
                addr: ready.method.addr,
                _client: Some(ready.pt),
            }),
            "socks4" => Err(Failure::NotApplicable("its port speaks SOCKS 4".to_owned())),
            other => deviation!("CMETHOD names the protocol {other:?}"),
        }
    }

    /// The port of a pair's client.
    pub(super) fn of(pair: &Pair) -> Port {
        Port::at(pair.socks)
    }

    /// The port of a client that something else keeps.
    pub(super) fn at(addr: SocketAddr) -> Port {
        Port {
            addr,
            _client: None,
        }
    }

    /// A connection.
    pub(super) async fn dial(&self) -> Verdict<Socks> {
        Socks::dial(self.addr).await
    }

    /// A connection on which these methods were offered and this one was chosen.
    pub(super) async fn greeted(&self, methods: &[u8], chosen: u8) -> Verdict<Socks> {
        let mut socks = self.dial().await?;
        socks.send(&greeting(methods)).await;
        expect(
            &mut socks,
            &[5, chosen],
            &format!("the methods {}", hex(methods)),
        )
        .await?;
        Ok(socks)
    }

    /// A connection that is past its authentication, with these arguments as tor sends them.
    pub(super) async fn authenticated(&self, args: &Args) -> Verdict<Socks> {
        let Some(message) = socks::tor_arguments(args) else {
            return self.greeted(&[0], 0).await;
        };
        let mut socks = self.greeted(&[0, 2], 2).await?;
        socks.send(&message).await;
        expect(&mut socks, &[1, 0], &format!("the arguments {args:?}")).await?;
        Ok(socks)
    }

    /// The reply to a CONNECT with these arguments.
    pub(super) async fn asked(&self, args: &Args, target: &Target) -> Verdict<Reply> {
        let (_, reply) = socks::open(self.addr, args, target, REPLIES).await?;
        Ok(reply)
    }

    /// Holds a conversation about each of many things, several at once: on a busy machine each is mostly waiting. The
    /// first that fails ends them all.
    pub(super) async fn each<T, F>(
        &self,
        things: impl IntoIterator<Item = T>,
        converse: impl Fn(Port, T) -> F,
    ) -> Verdict
    where
        F: Future<Output = Verdict> + 'static,
    {
        let mut running = JoinSet::new();
        for thing in things {
            if running.len() >= AT_ONCE {
                finished(running.join_next().await)?;
            }
            running.spawn_local(converse(Port::at(self.addr), thing));
        }
        while let Some(one) = running.join_next().await {
            finished(Some(one))?;
        }
        Ok(())
    }

    /// Makes sure that it still serves after what was done to it.
    pub(super) async fn still_serves(&self) -> Verdict {
        self.greeted(&[0], 0).await.map(drop)
    }
}

fn finished(one: Option<Result<Verdict, JoinError>>) -> Verdict {
    match one {
        None => Ok(()),
        Some(Ok(verdict)) => verdict,
        Some(Err(error)) => Err(Failure::Instrument(error.to_string())),
    }
}

/// Expects this answer to `what`.
pub(super) async fn expect(socks: &mut Socks, answer: &[u8], what: &str) -> Verdict {
    match socks.read(answer.len()).await {
        Ok(got) if got == answer => Ok(()),
        Ok(got) => deviation!(
            "expected {} in answer to {what}, got {}",
            hex(answer),
            hex(&got)
        ),
        Err(cut) => deviation!("expected {} in answer to {what}; it is {cut}", hex(answer)),
    }
}

/// Whether credentials that were sent are accepted. Anything but a status, and the end behind a failure, is a deviation.
pub(super) async fn accepted(socks: &mut Socks, what: &str) -> Verdict<bool> {
    match socks.read(2).await {
        Ok(status) if status == [1, 0] => Ok(true),
        Ok(status) if status[0] == 1 => {
            closed(socks, &format!("{what}, answered with {}", hex(&status))).await?;
            Ok(false)
        }
        Ok(other) => deviation!("{what}: the status is {}", hex(&other)),
        Err(cut) => deviation!("{what}: there is no status; the connection is {cut}"),
    }
}

/// Waits for the end of a connection on which nothing more may be said; says how it ended.
pub(super) async fn closed(socks: &mut Socks, what: &str) -> Verdict<Ended> {
    let (more, ended) = socks.ends(CLOSES).await;
    ensure!(more.is_empty(), "{what}: {} follows", hex(&more));
    ensure!(
        matches!(ended, Ended::Eof | Ended::Reset),
        "{what}: {CLOSES:?} later the connection is {ended}"
    );
    Ok(ended)
}

/// The reply to a request that has to fail: whole and well formed, with nothing but the end behind it.
pub(super) async fn refusal(socks: &mut Socks, what: &str) -> Verdict<(Reply, Ended)> {
    let reply = match socks.reply_within(REPLIES).await {
        Ok(reply) => reply,
        Err(cut) => deviation!("{what}: there is no reply; the connection is {cut}"),
    };
    well_formed(&reply)?;
    ensure!(reply.code != 0, "{what}: the reply is {reply}");
    let ended = closed(socks, &format!("{what}, answered with the reply {reply}")).await?;
    Ok((reply, ended))
}

/// A reply as RFC 1928 section 6 has it.
pub(super) fn well_formed(reply: &Reply) -> Verdict {
    let [version, _, reserved, kind, ..] = reply.raw[..] else {
        deviation!("the reply is {}", hex(&reply.raw));
    };
    ensure!(
        version == 5 && reserved == 0 && matches!(kind, 1 | 3 | 4),
        "expected a reply of 05, a code, 00 and an address type of 01, 03 or 04, got {}",
        hex(&reply.raw)
    );
    Ok(())
}

/// Asks for the bridge on a connection that is past its authentication, and expects the reply 00.
pub(super) async fn granted(socks: &mut Socks, target: &Target) -> Verdict {
    socks.send(&connect(target)).await;
    grants(socks).await.map(drop)
}

/// Expects the reply 00.
pub(super) async fn grants(socks: &mut Socks) -> Verdict<Reply> {
    match socks.reply_within(REPLIES).await {
        Ok(reply) if reply.code == 0 => Ok(reply),
        Ok(reply) => deviation!("the SOCKS port refused the bridge: {reply}"),
        Err(cut) => deviation!("CONNECT was not answered: the SOCKS connection is {cut}"),
    }
}

/// Makes sure that a granted connection leads to the bridge and back.
pub(super) async fn round_trip(socks: &mut Socks, orport: &OrPort) -> Verdict {
    let hello = b"the application speaks first";
    socks.send(hello).await;
    arrives(socks, orport, hello).await
}

/// Expects what was said on a granted connection to arrive at the bridge, and an answer to come back.
pub(super) async fn arrives(socks: &mut Socks, orport: &OrPort, said: &[u8]) -> Verdict {
    let mut tor = orport.accept(SOON).await?;
    match read_exactly(&mut tor, said.len(), SOON).await {
        Ok(got) if got == said => {}
        Ok(got) => deviation!("{} arrives at the ORPort as {}", hex(said), hex(&got)),
        Err(cut) => deviation!("of {} this arrives at the ORPort: {cut}", hex(said)),
    }
    if let Err(ended) = write_all(&mut tor, ANSWER, SOON).await {
        deviation!("the connection to the ORPort takes no answer: it is {ended}");
    }
    expect(socks, ANSWER, "what arrived at the ORPort").await
}

/// A port may give clients up after 5 seconds: where the suite itself is late, it cannot tell whose fault an end is.
fn on_time(limit: Instant) -> Verdict {
    if Instant::now() > limit {
        return Err(Failure::Instrument(
            "this machine is too busy to say a few bytes in time".to_owned(),
        ));
    }
    Ok(())
}

/// The address of a pair's bridge.
pub(super) fn bridge_of(pair: &Pair) -> Target {
    Target::Ip(pair.bridge.addr)
}
