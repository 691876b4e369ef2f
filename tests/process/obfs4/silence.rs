//! What a bridge says to those who do not have its bridge line, or have it and are late: nothing, and the end of
//! nothing comes at the same moment for all of them, by FIN.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval};

use crate::support::bytes::MIB;
use crate::support::deadline::{soon, within};
use crate::support::socks::{self, Refusal};

use crate::support::pair::Pair;

use super::ends::{
    Bridge, HANDSHAKE, LATE, LATER, PAIRINGS, PROGRAMS, PROMPT, Pairing, Seed, keys,
};
use super::prober::{FLIGHT, Keys, PADDING, SEED_FRAME, UNDER_WAY, hour_after, random};

/// What a prober does.
enum Says {
    /// All of it at once.
    AtOnce(Vec<u8>),
    /// Byte by byte, ten a second, for two thirds of the time there is.
    Dribbling,
}

/// The TLS client hello of some browser, cut short.
fn client_hello() -> Vec<u8> {
    let mut hello = vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    hello.extend(random(32));
    hello.push(32);
    hello.extend(random(32));
    hello.extend([0, 6, 0x13, 1, 0x13, 2, 0x13, 3, 1, 0]);
    hello.extend(random(517 - hello.len()));
    hello
}

/// Handshakes that would be good, but for one thing.
fn nearly_good(keys: &Keys) -> Vec<(&'static str, Vec<u8>)> {
    let now = Duration::ZERO;
    let hour = hour_after(now);
    let mut trailing = keys.good_flight();
    trailing.push(0);
    let mut mac = keys.good_flight();
    *mac.last_mut().unwrap() ^= 1;
    let mut mark = keys.good_flight();
    let at = mark.len() - 17;
    mark[at] ^= 1;
    let mut node_id = *keys;
    node_id.node_id[19] ^= 1;
    let mut public_key = *keys;
    public_key.public_key[0] ^= 1;
    vec![
        ("a wrong mark", mark),
        ("a wrong MAC", mac),
        ("another bridge's node-id", node_id.good_flight()),
        ("another bridge's key", public_key.good_flight()),
        ("two hours ago", keys.first_flight(hour - 2, 500)),
        (
            "in two hours",
            keys.first_flight(hour_after(UNDER_WAY) + 2, 500),
        ),
        ("a byte behind it", trailing),
        (
            "too little padding",
            keys.first_flight(hour, PADDING.start() - 1),
        ),
        (
            "too much padding",
            keys.first_flight(hour, PADDING.end() + 1),
        ),
    ]
}

/// Everything that gets no answer.
fn probes(keys: &Keys) -> Vec<(&'static str, Says)> {
    let mut probes = vec![
        ("nothing", Vec::new()),
        ("a byte", random(1)),
        ("31 bytes", random(31)),
        ("32 bytes", random(32)),
        ("140 bytes", random(140)),
        ("141 bytes", random(141)),
        ("8192 bytes", random(FLIGHT)),
        ("8193 bytes", random(FLIGHT + 1)),
        ("100 KB", random(100_000)),
        ("1 MiB", random(MIB)),
        ("TLS", client_hello()),
        (
            "HTTP",
            b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n".into(),
        ),
        ("SSH", b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n".into()),
    ];
    probes.extend(nearly_good(keys));
    let mut probes: Vec<_> = probes
        .into_iter()
        .map(|(name, bytes)| (name, Says::AtOnce(bytes)))
        .collect();
    probes.push(("byte by byte", Says::Dribbling));
    probes
}

/// What a prober saw: when its connection ended, and what came first.
struct Seen {
    what: String,
    heard: usize,
    after: Duration,
    end: Result<(), std::io::Error>,
}

async fn probe(addr: SocketAddr, says: Says) -> (usize, Duration, std::io::Result<()>) {
    // The server counts from its accept, which may be before we know that we are connected.
    let start = Instant::now();
    let stream = TcpStream::connect(addr).await.unwrap();
    let (mut from, mut to) = stream.into_split();
    let says = async {
        match says {
            Says::AtOnce(bytes) => to.write_all(&bytes).await.expect("it is drained"),
            Says::Dribbling => {
                let mut ticks = interval(Duration::from_millis(100));
                for _ in 0..HANDSHAKE.as_secs() * 10 * 2 / 3 {
                    ticks.tick().await;
                    to.write_all(&random(1)).await.expect("it is drained");
                }
            }
        }
        // Its half stays open.
        to
    };
    let hears = async {
        let mut heard = Vec::new();
        let limit = Duration::from_secs(90);
        let end = within(limit, "the end", from.read_to_end(&mut heard)).await;
        (heard.len(), start.elapsed(), end.map(drop))
    };
    let (_half, seen) = tokio::join!(says, hears);
    seen
}

/// Every probe at the same time.
async fn probed(bridge: &Bridge, probes: Vec<(&'static str, Says)>) -> Vec<Seen> {
    let mut all = JoinSet::new();
    for (name, says) in probes {
        let what = format!("{name} to {:?}", bridge.program);
        let probe = probe(bridge.addr, says);
        all.spawn(async move {
            let (heard, after, end) = probe.await;
            Seen {
                what,
                heard,
                after,
                end,
            }
        });
    }
    all.join_all().await
}

fn assert_silent(seen: &[Seen], seed: Seed) {
    let due = seed.end();
    for one in seen {
        let Seen {
            what,
            heard,
            after,
            end,
        } = one;
        assert_eq!(*heard, 0, "{what} was answered");
        assert!(end.is_ok(), "no FIN after {what}: {end:?}");
        let punctual = (due..due + LATE).contains(after);
        assert!(punctual, "{what}: after {after:?}, due after {due:?}");
    }
}

/// Sends a flight, all of it or in two pieces, and checks the bridge's answer.
async fn is_answered(bridge: &Bridge, hour: i64, flight: &[u8], pieces: usize) -> TcpStream {
    let mut stream = TcpStream::connect(bridge.addr).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for piece in flight.chunks(flight.len().div_ceil(pieces)) {
        stream.write_all(piece).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut said = Vec::new();
    soon("the bridge's handshake", async {
        while bridge.keys.answer_ends(hour, &said).is_none() {
            let n = stream.read_buf(&mut said).await.unwrap();
            assert!(n > 0, "it ended after {} bytes", said.len());
        }
        let end = bridge.keys.answer_ends(hour, &said).expect("just found");
        assert!(end + SEED_FRAME <= FLIGHT, "{end}");
        while said.len() < end + SEED_FRAME {
            let n = stream.read_buf(&mut said).await.unwrap();
            assert!(n > 0, "it ended after {} bytes", said.len());
        }
        assert_eq!(said.len(), end + SEED_FRAME);
    })
    .await;
    stream
}

#[tokio::test]
async fn no_failure_can_be_told_from_another() {
    let mut all = JoinSet::new();
    for seed in [PROMPT, LATER] {
        for program in PROGRAMS {
            let bridge = Bridge::start(program, seed).await;
            all.spawn(async move {
                // A flight that was answered once is not answered again.
                let good = bridge.keys.good_flight();
                let _open = is_answered(&bridge, hour_after(Duration::ZERO), &good, 1).await;
                let mut probes = probes(&bridge.keys);
                probes.push(("a replay", Says::AtOnce(good)));
                assert_silent(&probed(&bridge, probes).await, seed);
                let _dialled = bridge.orport.accept().await;
                bridge.orport.assert_unused(Duration::ZERO).await;
            });
        }
    }
    all.join_all().await;
}

#[tokio::test]
async fn a_handshake_of_the_hour_before_or_after_is_answered() {
    for program in PROGRAMS {
        eprintln!("{program:?}");
        let bridge = Bridge::start(program, PROMPT).await;
        let now = hour_after(Duration::ZERO);
        let mut open = Vec::new();
        for hour in [now, now + 1, hour_after(UNDER_WAY) - 1] {
            for padding in [*PADDING.start(), 500, *PADDING.end()] {
                for pieces in [1, 2, 3] {
                    let flight = bridge.keys.first_flight(hour, padding);
                    open.push(is_answered(&bridge, hour, &flight, pieces).await);
                    open.push(bridge.orport.accept().await);
                }
            }
        }
    }
}

#[tokio::test]
async fn a_prober_that_ends_is_let_go_at_once() {
    for program in PROGRAMS {
        eprintln!("{program:?}");
        let bridge = Bridge::start(program, PROMPT).await;
        for says in [0, 1, 140, 141, FLIGHT, 100_000] {
            let mut stream = TcpStream::connect(bridge.addr).await.unwrap();
            stream.write_all(&random(says)).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut heard = Vec::new();
            let end = soon("its FIN", stream.read_to_end(&mut heard)).await;
            assert_eq!(end.expect("a FIN"), 0, "after {says} bytes");
        }
        bridge.orport.assert_unused(Duration::ZERO).await;
    }
}

/// A client that got its bridge line wrong waits as long as a prober does, and then says that it failed.
#[tokio::test]
async fn a_client_with_a_wrong_cert_is_refused_by_silence() {
    let mut all = JoinSet::new();
    for pairing in PAIRINGS {
        let pair = pairing.start().await;
        let real = keys(&pair.bridge.args);
        let mut node_id = real;
        node_id.node_id[0] ^= 0x40;
        let mut public_key = real;
        public_key.public_key[31] ^= 0x20;
        all.spawn(async move {
            tokio::join!(
                is_refused(pairing, &pair, node_id),
                is_refused(pairing, &pair, public_key)
            );
            pair.orport.assert_unused(Duration::ZERO).await;
        });
    }
    all.join_all().await;
}

async fn is_refused(pairing: Pairing, pair: &Pair, wrong: Keys) {
    let start = Instant::now();
    let (bridge, args) = (pair.bridge.addr.into(), wrong.old_form(0));
    let refused = socks::open(pair.socks.addr, &bridge, &args).await;
    let refusal = refused.expect_err("no bridge has this cert");
    assert!(
        matches!(refusal, Refusal::Reply(1..)),
        "{pairing:?}: {refusal:?}"
    );
    let after = start.elapsed();
    assert!(
        (PROMPT.end()..PROMPT.end() + LATE).contains(&after),
        "{pairing:?}: {after:?}"
    );
}
