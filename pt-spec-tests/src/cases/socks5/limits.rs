//! Time: how long a client may take for the handshake, and that no limit of it outlives the handshake.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::{Port, expect, on_time, refusal};
use crate::bench::{Bench, UNUSED_ORPORT};
use crate::case::{Case, Level, Side, run};
use crate::instruments::pair::Pair;
use crate::instruments::socks::{Target, connect, credentials, greeting, request};
use crate::instruments::wire::{Ended, SOON, hex, read_exactly, read_to_end, write_all};
use crate::verdict::{Verdict, deviation, ensure};

/// How long a client may be waited for: six times what obfs4proxy waits.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client of a busy machine between two messages.
const SLOWLY: Duration = Duration::from_secs(1);

/// Between two bytes of a client that means to stay for ever.
const DRIP: Duration = Duration::from_millis(400);

/// Longer than any limit of a handshake that a transport in use has.
const IDLE: Duration = Duration::from_secs(12);

/// What is said after that.
const LATE: &[u8] = b"still there";

/// The cases, in the ledger's order.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "rfc1928-3/silent-clients",
        line: 108,
        level: Level::Should,
        side: Side::Client,
        limit: Duration::from_secs(45),
        requirement: "A client that falls silent anywhere in the handshake is given up in time.",
        reference: "obfs4proxy closes after 5 seconds (measured)",
        reading: "No text sets the limit; more than 30 seconds is too long.",
        check: run!(silent_clients),
    },
    Case {
        id: "rfc1928-3/silent-clients-hold-nobody-up",
        line: 108,
        level: Level::Should,
        side: Side::Client,
        requirement: "While clients are silent, others are served.",
        reference: "RFC 1928 3: each connection is negotiated by itself; tor opens several at a time",
        check: run!(silent_clients_hold_nobody_up),
        ..Case::BASE
    },
    Case {
        id: "rfc1928-3/dripping-clients",
        line: 108,
        level: Level::Should,
        side: Side::Client,
        limit: Duration::from_secs(45),
        requirement: "The limit is for the whole handshake: a client that sends a byte now and then is given up as well.",
        reference: "obfs4proxy closes after 5 seconds (measured)",
        reading: "No text sets the limit; more than 30 seconds is too long.",
        check: run!(dripping_clients),
    },
    Case {
        id: "rfc1928-3/slow-clients",
        line: 108,
        level: Level::Should,
        side: Side::Client,
        requirement: "A client that takes a second before each message is served.",
        reference: "obfs4proxy waits for 5 seconds (measured); a parent may be busy",
        check: run!(slow_clients),
        ..Case::BASE
    },
    Case {
        id: "tor-connection/idle-connections-stay",
        line: 108,
        level: Level::Real,
        side: Side::Both,
        limit: Duration::from_secs(45),
        requirement: "The limit ends with the handshake: a granted connection on which nothing is said for a while still carries bytes.",
        reference: "tor's connections to bridges are idle for minutes",
        check: run!(idle_connections_stay),
        ..Case::BASE
    },
];

async fn silent_clients(bench: &Bench) -> Verdict {
    let (methods, args) = (greeting(&[2]), credentials(b"key=value", &[0]));
    let ask = connect(&Target::Ip(UNUSED_ORPORT));
    // What is said, each message after the answer to the one before.
    let stages: [&[&[u8]]; 9] = [
        &[],
        &[&methods[..1]],
        &[&methods[..2]],
        &[&methods],
        &[&methods, &args[..1]],
        &[&methods, &args[..5]],
        &[&methods, &args],
        &[&methods, &args, &ask[..1]],
        &[&methods, &args, &ask[..ask.len() - 1]],
    ];
    let mut clients = Vec::new();
    for said in stages {
        // Each has a port of its own: that they do not wait for each other is another case.
        let port = Port::start(bench).await?;
        let mut socks = port.dial().await?;
        for (message, answer) in said.iter().zip([[5, 2], [1, 0], [0, 0]]) {
            socks.send(message).await;
            if *message == methods || *message == args {
                expect(&mut socks, &answer, &hex(message)).await?;
            }
        }
        clients.push((said.concat(), port, socks));
    }
    // All of them together, so that time passes once.
    let end = Instant::now() + PATIENCE;
    for (said, port, mut socks) in clients {
        let left = end.saturating_duration_since(Instant::now());
        let (answer, ended) = socks.ends(left).await;
        ensure!(
            ended != Ended::Silent,
            "a client that fell silent after {} is waited for longer than {PATIENCE:?} (it is told {})",
            hex(&said),
            hex(&answer)
        );
        port.still_serves().await?;
    }
    Ok(())
}

async fn silent_clients_hold_nobody_up(bench: &Bench) -> Verdict {
    let port = Port::start(bench).await?;
    // One after the other they would be waited for longer than the answer is.
    let silent = [
        port.dial().await?,
        port.dial().await?,
        port.dial().await?,
        port.dial().await?,
    ];
    port.still_serves().await?;
    drop(silent);
    Ok(())
}

async fn dripping_clients(bench: &Bench) -> Verdict {
    let port = Port::start(bench).await?;
    let mut socks = port.dial().await?;
    let end = Instant::now() + PATIENCE;
    // Long enough for what is at most sent.
    let methods = greeting(&[3; 255]);
    for byte in methods {
        socks.send(&[byte]).await;
        let (said, ended) = socks.ends(DRIP).await;
        ensure!(
            said.is_empty(),
            "half a greeting is answered with {}",
            hex(&said)
        );
        if ended != Ended::Silent {
            return port.still_serves().await;
        }
        ensure!(
            Instant::now() < end,
            "a client that sends a byte every {DRIP:?} is listened to for more than {PATIENCE:?}"
        );
    }
    deviation!("a greeting that took {:?} got no answer", DRIP * 257)
}

async fn slow_clients(bench: &Bench) -> Verdict {
    let port = Port::start(bench).await?;
    let start = Instant::now();
    let mut socks = port.dial().await?;
    sleep(SLOWLY).await;
    socks.send(&greeting(&[0])).await;
    on_time(start + 2 * SLOWLY)?;
    expect(&mut socks, &[5, 0], "a greeting after a second").await?;
    sleep(SLOWLY).await;
    // BIND: every transport has the same reply to it.
    socks.send(&request(2, &Target::Ip(port.addr))).await;
    on_time(start + 4 * SLOWLY)?;
    refusal(&mut socks, "BIND after two seconds")
        .await
        .map(drop)
}

async fn idle_connections_stay(bench: &Bench) -> Verdict {
    let pair = Pair::start(bench).await?;
    let mut tunnel = pair.open().await?;
    let (said, ended) = read_to_end(&mut tunnel.app, IDLE).await;
    ensure!(
        said.is_empty() && ended == Ended::Silent,
        "an idle connection is {ended} and says {}",
        hex(&said)
    );
    still_passes(&mut tunnel.app, &mut tunnel.tor, "to the bridge").await?;
    still_passes(&mut tunnel.tor, &mut tunnel.app, "to the application").await
}

async fn still_passes(from: &mut TcpStream, to: &mut TcpStream, way: &str) -> Verdict {
    if let Err(ended) = write_all(from, LATE, SOON).await {
        deviation!("after {IDLE:?} nothing can be said {way}: the connection is {ended}");
    }
    match read_exactly(to, LATE.len(), SOON).await {
        Ok(got) if got == LATE => Ok(()),
        Ok(got) => deviation!("after {IDLE:?} what is said {way} arrives as {}", hex(&got)),
        Err(cut) => deviation!("after {IDLE:?} nothing arrives of what is said {way}: it is {cut}"),
    }
}
