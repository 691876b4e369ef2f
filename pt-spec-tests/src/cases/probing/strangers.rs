//! Connections of real clients that are not this bridge's: with another bridge's line, or said before.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::bench::Bench;
use crate::case::{Case, Level, Side, run};
use crate::instruments::link::{Direction, Link};
use crate::instruments::negotiation::Args;
use crate::instruments::pair::{Bridge, Pair};
use crate::instruments::socks::{self, Target};
use crate::instruments::wire::{
    self, A_WHILE, SOON, eventually, hex, listen, read_exactly, read_to_end, write_all,
};
use crate::verdict::{Failure, Verdict, deviation, ensure};

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "pt-4/other-bridge-s-line",
        line: 127,
        side: Side::Both,
        requirement: "A client that comes with the arguments of another bridge gets no byte from the server, and does not reach the ORPort.",
        reference: "pt-spec 3.3.3 and 4: what SMETHOD announces is for those who know the bridge",
        reading: "Nothing is asked of a transport whose bridges announce the same arguments or none.",
        check: run!(other_bridge),
        ..Case::BASE
    },
    Case {
        id: "pt-4/handshake-said-again",
        line: 127,
        level: Level::Should,
        side: Side::Both,
        requirement: "The first flight of a client's handshake, recorded and sent a second time, gets no byte and does not reach the ORPort.",
        reference: "pt-spec 4; censors send again what they have recorded (Alice et al., IMC 2020); obfs4proxy keeps a filter",
        reading: "Nothing is asked of a transport without a handshake, or whose server says nothing after the first flight.",
        check: run!(said_again),
        ..Case::BASE
    },
    Case {
        id: "pt-2/probes-keep-nobody-out",
        line: 127,
        level: Level::Should,
        side: Side::Both,
        limit: Duration::from_secs(90),
        requirement: "While 200 probes are open, half of them silent and half of them garbage, a client is served as ever.",
        reference: "pt-spec 2; a scan must not take a bridge out of service",
        reading: "The text asks for no number of them, so it is what a bridge should do.",
        check: run!(keep_nobody_out),
    },
];

async fn other_bridge(bench: &Bench) -> Verdict {
    let other = bench.bridge().await?;
    let pair = Pair::start(bench).await?;
    if other.args == pair.bridge.args {
        return Err(Failure::NotApplicable(
            "two bridges of the transport announce the same arguments".to_owned(),
        ));
    }
    let link = Link::start(pair.bridge.door).await?;
    let _client = knock(&pair, &other.args, Target::Ip(link.addr()));
    let said = || (link.bytes(Direction::Onward) > 0).then_some(());
    if eventually(SOON, said).await.is_none() {
        return Err(Failure::NotApplicable(
            "the client says nothing to the address of the bridge".to_owned(),
        ));
    }
    pair.bridge.orport.unused(2 * A_WHILE).await?;
    let answered = link.bytes(Direction::Back);
    ensure!(
        answered == 0,
        "the server answers a client with another bridge's arguments with {answered} bytes"
    );
    Ok(())
}

/// A client dials, and nobody waits for what comes of it.
fn knock(pair: &Pair, args: &Args, target: Target) -> JoinSet<()> {
    let (socks, args) = (pair.socks, args.clone());
    let mut tasks = JoinSet::new();
    tasks.spawn_local(async move {
        let stream = socks::open(socks, &args, &target, Duration::from_secs(60)).await;
        // The connection stays until the case ends.
        std::future::pending::<()>().await;
        drop(stream);
    });
    tasks
}

async fn said_again(bench: &Bench) -> Verdict {
    let pair = Pair::start(bench).await?;
    let flight = first_flight(&pair).await?;
    if flight.is_empty() {
        return Err(Failure::NotApplicable(
            "a client of the transport says nothing of its own accord".to_owned(),
        ));
    }
    let (_first, got) = answer(&pair.bridge, &flight).await?;
    if got.is_empty() {
        return Err(Failure::NotApplicable(
            "the server says nothing after the first flight of a client".to_owned(),
        ));
    }
    // Whether tor was dialled for the first one does not matter here.
    while pair.bridge.orport.accept(A_WHILE).await.is_ok() {}
    let (_second, got) = answer(&pair.bridge, &flight).await?;
    ensure!(
        got.is_empty(),
        "a handshake that is said again is answered with {}",
        hex(&got)
    );
    pair.bridge.orport.unused(A_WHILE).await
}

/// What a client says before anybody answers.
async fn first_flight(pair: &Pair) -> Verdict<Vec<u8>> {
    let (listener, addr) = listen().await?;
    let _client = knock(pair, &pair.bridge.args, Target::Ip(addr));
    let Ok(mut stream) = wire::accept(&listener, "a connection to the bridge", SOON).await else {
        return Ok(Vec::new());
    };
    Ok(read_to_end(&mut stream, A_WHILE).await.0)
}

/// Sends the flight on a connection of its own; gives what comes back.
async fn answer(bridge: &Bridge, flight: &[u8]) -> Verdict<(TcpStream, Vec<u8>)> {
    let mut stream = wire::dial(bridge.door).await?;
    let _ = write_all(&mut stream, flight, SOON).await;
    let (got, _) = read_to_end(&mut stream, 2 * A_WHILE).await;
    Ok((stream, got))
}

async fn keep_nobody_out(bench: &Bench) -> Verdict {
    let mut pair = Pair::start(bench).await?;
    let mut probes = Vec::new();
    for number in 0..200 {
        let mut probe = wire::dial(pair.bridge.door).await?;
        if number % 2 == 1 {
            let _ = write_all(&mut probe, &[0xa5; 500], SOON).await;
        }
        probes.push(probe);
    }
    let served = async {
        let mut app = pair.dial(pair.bridge.addr).await?;
        let hello = b"the client is served";
        let _ = write_all(&mut app, hello, SOON).await;
        match read_exactly(&mut app, hello.len(), 2 * SOON).await {
            Ok(got) => ensure!(got == hello, "the echo is {}", hex(&got)),
            Err(cut) => deviation!("with 200 probes open a client gets no echo: {cut}"),
        }
        Ok(())
    };
    // Probes that are taken for clients get an echo too.
    tokio::select! {
        biased;
        served = served => served?,
        failure = echo(&pair) => return Err(failure),
    }
    pair.bridge.server.must_run().await
}

/// Everything that comes to the ORPort is sent back.
async fn echo(pair: &Pair) -> Failure {
    let mut echoes = JoinSet::new();
    loop {
        match pair.bridge.orport.accept(Duration::from_secs(60)).await {
            Err(failure) => return failure,
            Ok(mut tor) => {
                echoes.spawn_local(async move {
                    let (mut from, mut to) = tor.split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        }
    }
}
