//! What must not end a process, nor its listener: whatever others send, and a kernel that has nothing left to give.

use std::fs::read_dir;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, interval, timeout};

use super::serves;
use crate::bench::{Bench, UNUSED_ORPORT};
use crate::case::{Case, Level, Side, run};
use crate::cases::faults::{self, Faults};
use crate::cases::launching::Role;
use crate::instruments::negotiation::Args;
use crate::instruments::pair::Pair;
use crate::instruments::parent::{Launch, Ready};
use crate::instruments::pattern::pattern;
use crate::instruments::socks::{self, Socks, Target};
use crate::instruments::upstream::dead_address;
use crate::instruments::wire::{A_WHILE, SOON, dial, read_exactly, write_all};
use crate::verdict::{Failure, Verdict, deviation, ensure};

/// What a crash costs, for every case here that provokes one.
const RESTARTS: &str = "measured: tor restarts what crashes every second, for ever, and its user sees one warning in five minutes";

/// What an accept loop must not do, for the cases that provoke it.
const ACCEPTING: &str = "accept(2): errors of the network and of full tables are to be retried; a listener that has gone is noticed by nobody";

const FULL: &str = "The limit is set to what the process uses when idle and a dozen more; four times as many connections come.";

const EVERY_OTHER: &str = "Every other accept fails, from the first on.";

/// The base of the cases that provoke a crash.
const CRASH: Case = Case {
    line: 93,
    level: Level::Real,
    limit: Duration::from_secs(60),
    reference: RESTARTS,
    ..Case::BASE
};

/// The base of the cases that provoke errors of accept.
const ACCEPT: Case = Case {
    line: 95,
    level: Level::Real,
    limit: Duration::from_secs(90),
    reference: ACCEPTING,
    ..Case::BASE
};

pub(super) const CASES: &[Case] = &[
    Case {
        id: "tor-process/garbage-on-the-socks-port",
        side: Side::Client,
        requirement: "Nothing that is sent to the SOCKS port ends the process or keeps it from serving.",
        check: run!(garbage_to_client),
        ..CRASH
    },
    Case {
        id: "tor-process/garbage-on-the-server-port",
        side: Side::Both,
        requirement: "Nothing that is sent to a server's port ends the process or keeps it from serving.",
        check: run!(garbage_to_server),
        ..CRASH
    },
    Case {
        id: "tor-process/bad-bridge-lines",
        side: Side::Client,
        requirement: "No arguments of a bridge line end the process: they are data from strangers.",
        check: run!(bad_arguments),
        ..CRASH
    },
    Case {
        id: "unix-accept/client-out-of-descriptors",
        side: Side::Client,
        requirement: "A client that has run out of file descriptors accepts connections again once it has some.",
        reading: FULL,
        check: run!(client_full),
        ..ACCEPT
    },
    Case {
        id: "unix-accept/server-out-of-descriptors",
        side: Side::Both,
        requirement: "A server that has run out of file descriptors accepts connections again once it has some.",
        reading: FULL,
        check: run!(server_full),
        ..ACCEPT
    },
    Case {
        id: "unix-accept/errors-on-the-socks-port",
        side: Side::Client,
        requirement: "An accept that fails with ECONNABORTED, EMFILE or ENFILE does not end a client's listener.",
        reading: EVERY_OTHER,
        check: run!(client_accept),
        ..ACCEPT
    },
    Case {
        id: "unix-accept/errors-on-the-server-port",
        side: Side::Both,
        requirement: "An accept that fails with ECONNABORTED, EMFILE or ENFILE does not end a server's listener.",
        reading: EVERY_OTHER,
        check: run!(server_accept),
        ..ACCEPT
    },
];

const ERRORS: [&str; 3] = ["ECONNABORTED", "EMFILE", "ENFILE"];

/// More than a process uses when idle.
const SPARE: usize = 12;

async fn garbage_to_client(bench: &Bench) -> Verdict {
    let mut ready = bench.client().ready().await?;
    garbage(ready.method.addr).await?;
    serves(Role::Client, &mut ready, "after garbage").await
}

async fn garbage_to_server(bench: &Bench) -> Verdict {
    let mut pair = Pair::start(bench).await?;
    garbage(pair.bridge.door).await?;
    pair.bridge.server.must_run().await?;
    gets_through(&pair, "after garbage").await
}

/// Random bytes of many lengths, messages of other protocols, and ends and resets in the middle.
async fn garbage(port: SocketAddr) -> Verdict {
    let mut said = vec![
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        b"\x04\x01\x00\x50\x7f\x00\x00\x01\x00".to_vec(),
        b"\x05\x00".to_vec(),
        b"\x05\xff".to_vec(),
        b"\x05\x01\x02\x01\xff".to_vec(),
        b"\x05\x01\x00\x05\x01\x00\x03\x00".to_vec(),
        b"\x05\x01\x00\x05\xff\xff\xff\xff\xff\xff".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        vec![0; 70_000],
        vec![0xff; 70_000],
    ];
    said.extend((0..10).map(|power| pattern(power, 0, 1 << power)));
    for (number, bytes) in said.iter().enumerate() {
        let mut socks = Socks::over(dial(port).await?);
        // A port that does not read on, or hangs up, is none of our business here.
        let _ = timeout(Duration::from_millis(200), socks.send(bytes)).await;
        if number % 2 == 0 {
            socks.finish().await;
            let _ = socks.read_within(1, Duration::from_millis(50)).await;
        } else {
            // What it has sent and we have not read makes this a reset.
            socks.stream.set_zero_linger()?;
        }
    }
    Ok(())
}

async fn bad_arguments(bench: &Bench) -> Verdict {
    let known = bench.bridge_args().await?;
    let mut ready = bench.client().ready().await?;
    let nobody = dead_address()?;
    let target = Target::Ip(nobody.addr());
    let text = |pairs: &[(&str, &str)]| -> Args {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    };
    let long = "x".repeat(400);
    let mut lines = vec![
        text(&[("pt_spec_no_such", "argument")]),
        text(&[("pt_spec_no_such", "")]),
        text(&[("pt_spec_no_such", &long)]),
        text(&[("\u{fffd}", "\u{0}\u{1}\n%s%n")]),
    ];
    // Each value that the transport does know, spoilt: emptied, cut, doubled, and of the wrong kind.
    for place in 0..known.len() {
        let value = &known[place].1;
        let half = value.chars().take(value.chars().count() / 2).collect();
        for spoilt in [
            String::new(),
            half,
            value.repeat(2),
            "-1".to_owned(),
            "\u{0}".to_owned(),
        ] {
            let mut line = known.to_vec();
            line[place].1 = spoilt;
            lines.push(line);
        }
        let mut line = known.to_vec();
        line.remove(place);
        lines.push(line);
    }
    for line in &lines {
        // Refused, and at which step, is for other cases to see.
        let _ = timeout(
            A_WHILE,
            socks::open(ready.method.addr, line, &target, A_WHILE),
        )
        .await;
        if let Some(exit) = ready.pt.exit(Duration::ZERO).await? {
            deviation!("the arguments {line:?} end the process: {exit}");
        }
    }
    serves(Role::Client, &mut ready, "after bad arguments").await
}

async fn client_full(bench: &Bench) -> Verdict {
    let limit = descriptors(&bench.client().ready().await?)? + SPARE;
    let mut ready = bench
        .client()
        .limited(&format!("-n {limit}"))
        .ready()
        .await?;
    let mut crowd = Vec::new();
    for _ in 0..4 * SPARE {
        crowd.push(dial(ready.method.addr).await?);
    }
    // Whatever it does about them, it gets the time to do it.
    if let Some(exit) = ready.pt.exit(A_WHILE).await? {
        deviation!("{} connections end the process: {exit}", crowd.len());
    }
    drop(crowd);
    serves(
        Role::Client,
        &mut ready,
        "after more connections than it has descriptors for",
    )
    .await
}

async fn server_full(bench: &Bench) -> Verdict {
    let limit = descriptors(&bench.server(UNUSED_ORPORT).ready().await?)? + SPARE;
    let limited = |server: Launch| server.limited(&format!("-n {limit}"));
    let mut pair = Pair::start_with(bench, limited, |client| client).await?;
    let mut crowd = Vec::new();
    for _ in 0..4 * SPARE {
        crowd.push(dial(pair.bridge.door).await?);
    }
    if let Some(exit) = pair.bridge.server.exit(A_WHILE).await? {
        deviation!("{} connections end the process: {exit}", crowd.len());
    }
    drop(crowd);
    let after = "after more connections than the server has descriptors for,";
    gets_through(&pair, after).await
}

/// How many descriptors a process has open.
fn descriptors(ready: &Ready) -> Verdict<usize> {
    Ok(read_dir(format!("/proc/{}/fd", ready.pt.pid()))?.count())
}

async fn client_accept(bench: &Bench) -> Verdict {
    let kernel = Faults::prepare().await?;
    for error in ERRORS {
        let mut ready = kernel
            .inject(bench.client(), &injected(error))
            .ready()
            .await?;
        let mut answered = 0;
        // Some loops look again only when the next connection comes.
        for _ in 0..4 {
            let mut socks = Socks::dial(ready.method.addr).await?;
            socks.send(&socks::greeting(&[0])).await;
            answered += usize::from(socks.read_within(2, A_WHILE).await.is_ok());
        }
        ensure!(
            answered > 0,
            "after accept has failed with {error} no connection is answered"
        );
        ready.pt.must_run().await?;
        faults::release(&mut ready.pt).await?;
    }
    Ok(())
}

async fn server_accept(bench: &Bench) -> Verdict {
    let kernel = Faults::prepare().await?;
    for error in ERRORS {
        let failing = |server| kernel.inject(server, &injected(error));
        let mut pair = Pair::start_with(bench, failing, |client| client).await?;
        gets_through(&pair, &format!("after accept has failed with {error}")).await?;
        pair.bridge.server.must_run().await?;
        faults::release(&mut pair.bridge.server).await?;
    }
    Ok(())
}

fn injected(error: &str) -> String {
    format!("accept,accept4:error={error}:when=1+2")
}

/// Sees a connection get through to the ORPort, at one of several tries; those that came before it are passed over.
async fn gets_through(pair: &Pair, after: &str) -> Verdict {
    let limit = Instant::now() + 2 * SOON;
    let mut tries = interval(Duration::from_millis(100));
    let hello = b"once more";
    let mut last = "no try".to_owned();
    while Instant::now() < limit {
        tries.tick().await;
        let mut app = match pair.dial(pair.bridge.addr).await {
            Ok(app) => app,
            Err(failure) => {
                last = failure.to_string();
                continue;
            }
        };
        if let Err(ended) = write_all(&mut app, hello, SOON).await {
            last = format!("the SOCKS connection is {ended}");
            continue;
        }
        loop {
            match pair.bridge.orport.accept(Duration::from_secs(3)).await {
                Ok(mut tor) => match read_exactly(&mut tor, hello.len(), A_WHILE).await {
                    Ok(got) if got == hello => return Ok(()),
                    _ => {}
                },
                Err(Failure::Deviation(text)) => {
                    last = text;
                    break;
                }
                Err(failure) => return Err(failure),
            }
        }
    }
    deviation!("{after} nothing gets through; at the last try: {last}");
}
