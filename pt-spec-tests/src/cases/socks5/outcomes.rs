//! What the code of the reply tells of the way to the bridge.
//!
//! A transport need not go where the request says: some are told by an argument where their bridge is, and take the
//! address for a name. The cases notice, and do not apply then.

use std::cell::Cell;
use std::time::Duration;

use rustix::process::Signal;
use socket2::{Domain, Socket, Type};
use tokio::time::Instant;

use super::{Port, well_formed};
use crate::bench::Bench;
use crate::case::{Case, Level, Side, run};
use crate::instruments::negotiation::Args;
use crate::instruments::pair::Pair;
use crate::instruments::socks::{Reply, Target, connect};
use crate::instruments::upstream::{blackhole, dead_address};
use crate::instruments::wire::{A_WHILE, Ended, SOON, hex, listen};
use crate::verdict::{Failure, Verdict, deviation, ensure};

/// How long a bridge may be waited for that does not answer: obfs4proxy waits for 60 seconds.
const PATIENCE: Duration = Duration::from_secs(90);

/// The cases, in the ledger's order.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "rfc1928-6/no-success-without-a-bridge",
        line: 105,
        level: Level::Should,
        side: Side::Client,
        limit: Duration::from_secs(45),
        requirement: "The reply 00 comes when the transport is connected and not before: it never comes where there is no bridge.",
        reference: "RFC 1928 6: the reply tells the result of the request; tor takes 00 for a bridge that answers",
        reading: "A client that is tested without its server has nobody to connect to, wherever its arguments lead.",
        check: run!(no_success_without_a_bridge),
    },
    Case {
        id: "rfc1928-6/connection-refused",
        line: 105,
        level: Level::Should,
        side: Side::Both,
        limit: Duration::from_secs(45),
        requirement: "A bridge that refuses the connection is the reply 05 (connection refused).",
        reference: "RFC 1928 6; tor shows the text of the code to its user",
        check: run!(connection_refused),
        ..Case::BASE
    },
    Case {
        id: "rfc1928-6/host-unreachable",
        line: 105,
        level: Level::Should,
        side: Side::Both,
        requirement: "A domain name without an address is the reply 04 (host unreachable).",
        reference: "RFC 1928 6",
        reading: "No code says that a name is unknown; its host cannot be reached.",
        check: run!(host_unreachable),
        ..Case::BASE
    },
    Case {
        id: "rfc1928-6/network-unreachable",
        line: 105,
        level: Level::Should,
        side: Side::Both,
        requirement: "A bridge in a network that cannot be reached is the reply 03 (network unreachable).",
        reference: "RFC 1928 6",
        reading: "255.255.255.255 stands for such a network: the kernel refuses it at once, with that error.",
        check: run!(network_unreachable),
        ..Case::BASE
    },
    Case {
        id: "rfc1928-6/no-answer-from-the-network",
        line: 105,
        level: Level::Should,
        side: Side::Client,
        limit: Duration::from_secs(100),
        requirement: "A bridge whose address never answers is given up in time, with the reply 06.",
        reference: "RFC 1928 6 has TTL expired, which tor shows; the kernel's own limit is two minutes",
        reading: "06 stands for a time-out, as everywhere. No text sets the limit; more than 90 seconds is too long.",
        check: run!(no_answer_from_the_network),
    },
    Case {
        id: "rfc1928-6/bridge-that-hangs-up",
        line: 105,
        level: Level::Should,
        side: Side::Client,
        limit: Duration::from_secs(60),
        requirement: "A bridge that hangs up in the transport's handshake is a reply other than 00; where there is no handshake the connection ends after it.",
        reference: "RFC 1928 6",
        check: run!(bridge_that_hangs_up),
        ..Case::BASE
    },
    Case {
        id: "rfc1928-6/reset-in-the-handshake",
        line: 105,
        level: Level::Should,
        side: Side::Client,
        limit: Duration::from_secs(45),
        requirement: "A bridge that accepts the connection and resets it in the transport's handshake is the reply 05 (connection refused).",
        reference: "RFC 1928 6; tor shows the text of the code to its user",
        reading: "No code says that a connection was reset; what resets every connection refuses them, a moment late. A transport whose server says nothing in the handshake replies 00 at once.",
        check: run!(reset_in_the_handshake),
    },
    Case {
        id: "rfc1928-6/closed-when-the-bridge-fails",
        line: 107,
        side: Side::Both,
        limit: Duration::from_secs(60),
        requirement: "After the reply that a bridge cannot be reached the connection is closed, in order.",
        reference: "RFC 1928 6: at most 10 seconds after a failure",
        check: run!(closed_when_the_bridge_fails),
        ..Case::BASE
    },
    Case {
        id: "rfc1928-6/silent-bridge",
        line: 108,
        level: Level::Should,
        side: Side::Client,
        limit: Duration::from_secs(100),
        requirement: "A bridge that accepts the connection and then says nothing is given up in time, with a reply.",
        reference: "obfs4proxy replies 01 after 60 seconds (measured)",
        reading: "No text sets the limit; more than 90 seconds is too long. A transport whose server says nothing in the handshake replies 00 at once.",
        check: run!(silent_bridge),
    },
];

async fn no_success_without_a_bridge(bench: &Bench) -> Verdict {
    let reply = nobody_there(bench).await?;
    well_formed(&reply)?;
    ensure!(
        reply.code != 0,
        "the reply is {reply}, although there is no bridge"
    );
    Ok(())
}

async fn connection_refused(bench: &Bench) -> Verdict {
    let reply = nobody_there(bench).await?;
    ensure!(reply.code == 5, "expected 05, the reply is {reply}");
    Ok(())
}

/// The reply where nobody listens.
async fn nobody_there(bench: &Bench) -> Verdict<Reply> {
    let gone = Gone::start(bench).await?;
    let port = Port::start(bench).await?;
    let dead = dead_address()?;
    port.asked(&gone.args, &dead.addr().into()).await
}

/// Arguments that lead nowhere, for transports that go where they say: those of a server that has ended.
struct Gone {
    args: Args,
    /// Its port, so that nobody else is given it meanwhile.
    _kept: Option<Socket>,
}

impl Gone {
    async fn start(bench: &Bench) -> Verdict<Gone> {
        let subject = bench.subject();
        if !subject.bridge_args.is_empty() || !subject.sides.server() {
            return Ok(Gone {
                args: subject.bridge_args.clone(),
                _kept: None,
            });
        }
        let mut bridge = bench.bridge().await?;
        bridge.server.signal(Signal::KILL);
        bridge.server.must_exit(SOON).await?;
        let kept = Socket::new(Domain::for_address(bridge.door), Type::STREAM, None)?;
        kept.set_reuse_address(true)?;
        kept.bind(&bridge.door.into())?;
        Ok(Gone {
            args: bridge.args,
            _kept: Some(kept),
        })
    }
}

async fn host_unreachable(bench: &Bench) -> Verdict {
    // No label has 64 letters, so that nobody is asked on the network.
    let name = format!("{}.invalid", "a".repeat(64));
    replies(bench, Target::Name(name, 443), 4).await
}

async fn network_unreachable(bench: &Bench) -> Verdict {
    replies(bench, Target::Ip(([255, 255, 255, 255], 443).into()), 3).await
}

/// Expects this code although the bridge is there.
async fn replies(bench: &Bench, target: Target, code: u8) -> Verdict {
    let pair = Pair::start(bench).await?;
    let reply = Port::of(&pair).asked(&pair.bridge.args, &target).await?;
    if reply.code == 0 {
        return Err(elsewhere());
    }
    ensure!(
        reply.code == code,
        "expected {code:02x}, the reply is {reply}"
    );
    Ok(())
}

fn elsewhere() -> Failure {
    Failure::NotApplicable("the transport does not go where the request says".to_owned())
}

async fn no_answer_from_the_network(bench: &Bench) -> Verdict {
    let args = bench.bridge_args().await?;
    let port = Port::start(bench).await?;
    let nowhere = blackhole().await?;
    let mut socks = port.authenticated(&args).await?;
    let asked = Instant::now();
    socks.send(&connect(&nowhere.addr().into())).await;
    match socks.reply_within(PATIENCE).await {
        Ok(_) if asked.elapsed() < A_WHILE => Err(elsewhere()),
        Ok(reply) if reply.code == 6 => Ok(()),
        Ok(reply) => deviation!(
            "expected 06, the reply after {:?} is {reply}",
            asked.elapsed()
        ),
        Err(cut) => deviation!("no reply within {PATIENCE:?}: the connection is {cut}"),
    }
}

async fn bridge_that_hangs_up(bench: &Bench) -> Verdict {
    let args = bench.bridge_args().await?;
    let port = Port::start(bench).await?;
    let (listener, addr) = listen().await?;
    let visits = Cell::new(0);
    let hanging_up = async {
        // What an accept may fail for concerns one connection only.
        loop {
            if listener.accept().await.is_ok() {
                visits.set(visits.get() + 1);
            }
        }
    };
    let asking = async {
        let mut socks = port.authenticated(&args).await?;
        socks.send(&connect(&addr.into())).await;
        let reply = match socks.reply_within(super::REPLIES).await {
            Ok(reply) => reply,
            Err(cut) => deviation!("CONNECT was not answered: the SOCKS connection is {cut}"),
        };
        well_formed(&reply)?;
        if reply.code != 0 {
            return Ok(());
        }
        let (said, ended) = socks.ends(super::CLOSES).await;
        ensure!(
            said.is_empty(),
            "{} comes from a bridge that said nothing",
            hex(&said)
        );
        match ended {
            Ended::Silent if visits.get() == 1 => {
                deviation!("the bridge hung up, but the reply is 00 and the connection stays")
            }
            // Nobody went there, or it is tried again and again below a connection that stays.
            Ended::Silent => Err(elsewhere()),
            _ => Ok(()),
        }
    };
    tokio::select! {
        verdict = asking => verdict,
        () = hanging_up => Ok(()),
    }
}

async fn reset_in_the_handshake(bench: &Bench) -> Verdict {
    let args = bench.bridge_args().await?;
    let port = Port::start(bench).await?;
    let (listener, addr) = listen().await?;
    let visits = Cell::new(0);
    let resetting = async {
        loop {
            if let Ok((stream, _)) = listener.accept().await {
                visits.set(visits.get() + 1);
                // It fails only on a connection that is gone.
                let _ = stream.set_zero_linger();
            }
        }
    };
    let asking = async {
        let mut socks = port.authenticated(&args).await?;
        socks.send(&connect(&addr.into())).await;
        match socks.reply_within(super::REPLIES).await {
            Ok(_) if visits.get() == 0 => Err(elsewhere()),
            Ok(reply) if reply.code == 0 => Err(Failure::NotApplicable(
                "the transport waits for nothing from its bridge before it replies".to_owned(),
            )),
            Ok(reply) if reply.code == 5 => Ok(()),
            Ok(reply) => deviation!("expected 05, the reply is {reply}"),
            Err(cut) => deviation!("CONNECT was not answered: the SOCKS connection is {cut}"),
        }
    };
    tokio::select! {
        verdict = asking => verdict,
        () = resetting => Ok(()),
    }
}

async fn closed_when_the_bridge_fails(bench: &Bench) -> Verdict {
    let gone = Gone::start(bench).await?;
    let port = Port::start(bench).await?;
    let dead = dead_address()?;
    let mut socks = port.authenticated(&gone.args).await?;
    socks.send(&connect(&dead.addr().into())).await;
    let (reply, ended) = super::refusal(&mut socks, "CONNECT to where nobody listens").await?;
    ensure!(
        ended == Ended::Eof,
        "after the reply {reply} the connection is {ended}"
    );
    Ok(())
}

async fn silent_bridge(bench: &Bench) -> Verdict {
    let args = bench.bridge_args().await?;
    let port = Port::start(bench).await?;
    // Connections to it are made, and nobody accepts them.
    let (_listener, addr) = listen().await?;
    let mut socks = port.authenticated(&args).await?;
    socks.send(&connect(&addr.into())).await;
    match socks.reply_within(PATIENCE).await {
        Ok(reply) => well_formed(&reply),
        Err(cut) => deviation!("no reply within {PATIENCE:?}: the connection is {cut}"),
    }
}
