//! Probes: connections that are not a client's. All kinds of them are made side by side, so that their ends can be
//! compared.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::bench::Bench;
use crate::case::{Case, Level, Side, run};
use crate::instruments::orport::OrPort;
use crate::instruments::pattern::pattern;
use crate::instruments::wire::{self, A_WHILE, Ended, hex, read_exactly, read_to_end};
use crate::verdict::{Failure, Verdict, ensure};

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "pt-4/no-answer-to-a-probe",
        line: 127,
        side: Side::Server,
        limit: LIMIT,
        requirement: "A server does not answer a connection that fails the transport's handshake: silence, garbage of any kind and size, and other protocols get no byte.",
        reference: "pt-spec 4: where servers are has to stay confidential; obfs4-spec: a server says nothing before it has found the client's mark",
        reading: "A transport that imitates a protocol with answers, as HTTP, cannot keep this as it stands; its expectation file says so.",
        check: run!(no_answer),
        ..Case::BASE
    },
    Case {
        id: "pt-4/no-reset-at-a-probe",
        line: 127,
        side: Side::Server,
        limit: LIMIT,
        requirement: "A server does not reset a connection that fails the transport's handshake: it reads what comes, and closes in order.",
        reference: "pt-spec 4; a RST tells how much of the probe was read, which identifies implementations (Frolov, Wampler and Wustrow, NDSS 2020)",
        reading: "To leave it open is as good, as far as this case watches.",
        check: run!(no_reset),
        ..Case::BASE
    },
    Case {
        id: "pt-4/probes-end-alike",
        line: 127,
        side: Side::Server,
        limit: LIMIT,
        requirement: "All connections that fail the transport's handshake end in the same way and at the same time after they began, whatever was sent.",
        reference: "pt-spec 4; obfs4proxy closes every one of them 30 to 90 s after its accept, at a time that is fixed for the bridge",
        reading: "At the same time is within 5 s; those that are open after 90 s count as open.",
        check: run!(end_alike),
        ..Case::BASE
    },
    Case {
        id: "pt-4/probes-that-close-end-alike",
        line: 127,
        level: Level::Should,
        side: Side::Server,
        limit: LIMIT,
        requirement: "Probes that close their direction get no byte either, and end in the same way and at the same time among themselves, whatever was sent before.",
        reference: "pt-spec 4; obfs4proxy closes at once when a probe does",
        reading: "They may end otherwise than probes that stay open.",
        check: run!(closing_end_alike),
    },
];

/// A case that waits for a delayed close.
const LIMIT: Duration = Duration::from_secs(100);

/// How long probes are watched, from the case's beginning: some seconds longer than the longest delay in use.
const WATCH: Duration = Duration::from_secs(95);

/// Ends this close to each other are at the same time: what a busy machine makes of one moment.
const SAME: Duration = Duration::from_secs(5);

/// What a prober does.
struct Probe {
    name: &'static str,
    bytes: Vec<u8>,
    /// Whether it closes its direction then.
    closes: bool,
}

/// What it sees.
struct Seen {
    name: &'static str,
    got: Vec<u8>,
    ended: Ended,
    took: Duration,
}

/// The beginning of a TLS 1.2 handshake: a record with a ClientHello of one cipher suite.
const CLIENT_HELLO: &[u8] =
    b"\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03tls-has-thirty-two-random-bytes!\
    \x00\x00\x02\xc0\x2f\x01\x00\x00\x00";

fn probes(closes: bool) -> Vec<Probe> {
    let random = |size| pattern(0xbad, 0, size);
    let kinds = [
        ("silence", Vec::new()),
        ("one byte", random(1)),
        ("64 random bytes", random(64)),
        ("1,000 random bytes", random(1000)),
        ("8,192 random bytes", random(8192)),
        ("20,000 random bytes", random(20_000)),
        ("2,000 zeros", vec![0; 2000]),
        (
            "a request of HTTP",
            b"GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n".to_vec(),
        ),
        ("a ClientHello of TLS", CLIENT_HELLO.to_vec()),
        ("a banner of SSH", b"SSH-2.0-OpenSSH_9.6\r\n".to_vec()),
    ];
    kinds
        .map(|(name, bytes)| Probe {
            name,
            bytes,
            closes,
        })
        .into()
}

async fn no_answer(bench: &Bench) -> Verdict {
    for seen in watch(bench, false).await? {
        ensure!(
            seen.got.is_empty(),
            "{} is answered with {}",
            seen.name,
            hex(&seen.got)
        );
    }
    Ok(())
}

async fn no_reset(bench: &Bench) -> Verdict {
    for seen in watch(bench, false).await? {
        ensure!(
            seen.ended != Ended::Reset,
            "{} is {} after {:.1?}",
            seen.name,
            seen.ended,
            seen.took
        );
    }
    Ok(())
}

async fn end_alike(bench: &Bench) -> Verdict {
    alike(&watch(bench, false).await?)
}

async fn closing_end_alike(bench: &Bench) -> Verdict {
    let seen = watch(bench, true).await?;
    for seen in &seen {
        ensure!(
            seen.got.is_empty(),
            "{} and a FIN is answered with {}",
            seen.name,
            hex(&seen.got)
        );
    }
    alike(&seen)
}

fn alike(all: &[Seen]) -> Verdict {
    let times = all.iter().map(|seen| seen.took);
    let (first, last) = (times.clone().min(), times.max());
    let spread = last
        .unwrap_or_default()
        .saturating_sub(first.unwrap_or_default());
    // One that is cut off by the end of the watch a moment before it would have closed is like the others.
    let mut ended = all
        .iter()
        .map(|seen| seen.ended)
        .filter(|ended| *ended != Ended::Silent);
    let kind = ended.next();
    let same = ended.all(|ended| Some(ended) == kind);
    let told: Vec<_> = all
        .iter()
        .map(|seen| format!("{}: {} after {:.1?}", seen.name, seen.ended, seen.took))
        .collect();
    ensure!(
        same && spread <= SAME,
        "probes end differently: {}",
        told.join("; ")
    );
    Ok(())
}

/// Makes all probes at once and watches every one to its end, or for [`WATCH`].
async fn watch(bench: &Bench, closes: bool) -> Verdict<Vec<Seen>> {
    let end = Instant::now() + WATCH;
    let bridge = bench.bridge().await?;
    let mut tasks = JoinSet::new();
    for (at, probe) in probes(closes).into_iter().enumerate() {
        let addr = bridge.door;
        tasks.spawn_local(async move { Ok::<_, Failure>((at, made(probe, addr, end).await?)) });
    }
    let all = async {
        let mut seen = Vec::new();
        while let Some(ended) = tasks.join_next().await {
            seen.push(ended.map_err(|error| Failure::Instrument(error.to_string()))??);
        }
        seen.sort_by_key(|(at, _)| *at);
        Ok(seen.into_iter().map(|(_, seen)| seen).collect())
    };
    tokio::select! {
        biased;
        payload = payload(&bridge.orport) => Err(payload),
        seen = all => seen,
    }
}

async fn made(probe: Probe, addr: std::net::SocketAddr, end: Instant) -> Verdict<Seen> {
    let mut stream = wire::dial(addr).await?;
    let start = Instant::now();
    let (mut from, mut to) = stream.split();
    let send = async {
        // A server that takes no more shows in what is read.
        let _ = timeout_at(end, to.write_all(&probe.bytes)).await;
        if probe.closes {
            let _ = to.shutdown().await;
        }
    };
    let rest = end.saturating_duration_since(start);
    let ((), (got, ended)) = tokio::join!(send, read_to_end(&mut from, rest));
    Ok(Seen {
        name: probe.name,
        got,
        ended,
        took: start.elapsed(),
    })
}

/// Ends when a probe's bytes come to the ORPort: then they were payload, and no handshake has failed.
pub(super) async fn payload(orport: &OrPort) -> Failure {
    let mut silent = Vec::new();
    loop {
        match orport.accept(LIMIT).await {
            Err(failure) => return failure,
            Ok(mut tor) => {
                if read_exactly(&mut tor, 1, A_WHILE).await.is_ok() {
                    return Failure::NotApplicable(
                        "the transport has no handshake: it takes any bytes for payload".to_owned(),
                    );
                }
                // Whoever dialled without a byte is not closed by the suite.
                silent.push(tor);
            }
        }
    }
}
