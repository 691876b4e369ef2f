//! What a client says first, and what it makes of somebody who answers without being the bridge.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::support::deadline::{soon, within};
use crate::support::orport::OrPort;
use crate::support::pt::Pt;
use crate::support::socks::{self, Refusal};

use super::ends::{LATE, PROGRAMS, Program};
use super::prober::{FLIGHT, Keys, hour_after, random};

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A bridge that nobody runs.
fn nobody() -> Keys {
    let mut keys = Keys {
        node_id: [7; 20],
        public_key: [9; 32],
    };
    getrandom::fill(&mut keys.node_id).unwrap();
    getrandom::fill(&mut keys.public_key).unwrap();
    keys
}

/// A connection of a client, after its first flight: checked, and the hour it was made in.
async fn called(bridge: &OrPort, keys: &Keys) -> (TcpStream, i64) {
    let before = hour_after(Duration::ZERO);
    let mut stream = bridge.accept().await;
    let mut said = Vec::new();
    let hour = soon("a first flight", async {
        loop {
            let n = stream.read_buf(&mut said).await.unwrap();
            assert!(n > 0, "it ended after {} bytes", said.len());
            assert!(said.len() <= FLIGHT, "{} bytes and no mark", said.len());
            if let Some(hour) = keys.flight_of(&said) {
                return hour;
            }
        }
    });
    let hour = hour.await;
    assert!((before..=hour_after(Duration::ZERO)).contains(&hour));
    (stream, hour)
}

/// What a client is answered, enough of it to give up at once.
type Answer = fn(&Keys, i64) -> Vec<u8>;

const ANSWERS: [(&str, Answer); 5] = [
    ("garbage", |_, _| random(FLIGHT)),
    ("much garbage", |_, _| random(100_000)),
    ("a stranger's agreement", |keys, hour| keys.answer(hour, 0)),
    ("a stranger's agreement, padded", |keys, hour| {
        keys.answer(hour, FLIGHT - 96 - 45)
    }),
    ("another hour", |keys, hour| keys.answer(hour + 1, 500)),
];

async fn asked(client: &Pt, bridge: &OrPort, keys: &Keys) -> Refusal {
    let port = client.method("obfs4").await.addr;
    let opened = socks::open(port, &bridge.addr.into(), &keys.old_form(0)).await;
    opened.expect_err("nobody runs this bridge")
}

#[tokio::test]
async fn a_client_turns_from_an_impostor_at_once() {
    for program in PROGRAMS {
        let client = program.client().start();
        for (what, answer) in ANSWERS {
            eprintln!("{program:?}: {what}");
            let (bridge, keys) = (OrPort::listen().await, nobody());
            let impostor = async {
                let (mut stream, hour) = called(&bridge, &keys).await;
                let _ = stream.write_all(&answer(&keys, hour)).await;
                let mut rest = Vec::new();
                let _ = stream.read_to_end(&mut rest).await;
                assert!(rest.is_empty(), "it went on: {} bytes", rest.len());
            };
            let (refusal, ()) = soon("both ends", async {
                tokio::join!(asked(&client, &bridge, &keys), impostor)
            })
            .await;
            assert!(matches!(refusal, Refusal::Reply(1..)), "{refusal:?}");
        }
    }
}

#[tokio::test]
async fn a_bridge_that_resets_the_connection_has_refused_it() {
    let client = Program::Ouzel.client().start();
    let (bridge, keys) = (OrPort::listen().await, nobody());
    let resetting = async {
        // With everything read, and with everything unread.
        for reads in [true, false] {
            let stream = if reads {
                called(&bridge, &keys).await.0
            } else {
                bridge.accept().await
            };
            stream.set_zero_linger().unwrap();
        }
    };
    let asking = async {
        for _ in 0..2 {
            let refusal = asked(&client, &bridge, &keys).await;
            assert!(matches!(refusal, Refusal::Reply(5)), "{refusal:?}");
        }
    };
    soon("both ends", async { tokio::join!(asking, resetting) }).await;
    client.logs(&["obfs4", "refused the connection"]).await;
}

#[tokio::test]
async fn a_client_waits_a_minute_for_an_answer() {
    let mut all = JoinSet::new();
    for program in PROGRAMS {
        for enough in [0, FLIGHT - 1] {
            all.spawn(async move {
                let client = program.client().start();
                let (bridge, keys) = (OrPort::listen().await, nobody());
                // A first start compiles.
                client.done().await;
                let start = Instant::now();
                let impostor = async {
                    let (mut stream, _) = called(&bridge, &keys).await;
                    stream.write_all(&random(enough)).await.unwrap();
                    let mut rest = Vec::new();
                    let _ = stream.read_to_end(&mut rest).await;
                    assert!(rest.is_empty(), "it went on: {} bytes", rest.len());
                };
                let (refusal, ()) = within(PATIENCE * 3 / 2, "both ends", async {
                    tokio::join!(asked(&client, &bridge, &keys), impostor)
                })
                .await;
                let after = start.elapsed();
                assert!(matches!(refusal, Refusal::Reply(1..)), "{refusal:?}");
                assert!(
                    (PATIENCE..PATIENCE + LATE).contains(&after),
                    "{program:?}, {enough} bytes: {after:?}"
                );
            });
        }
    }
    all.join_all().await;
}

/// The first flights of a client differ in length, in everything.
#[tokio::test]
async fn no_two_first_flights_are_alike() {
    for program in PROGRAMS {
        let client = program.client().start();
        let keys = nobody();
        let mut seen = Vec::new();
        for _ in 0..8 {
            let bridge = OrPort::listen().await;
            let impostor = async {
                let mut stream = bridge.accept().await;
                let mut said = Vec::new();
                while keys.flight_of(&said).is_none() {
                    stream.read_buf(&mut said).await.unwrap();
                }
                said
            };
            let (_, said) = tokio::join!(asked(&client, &bridge, &keys), impostor);
            seen.push(said);
        }
        let mut lengths: Vec<_> = seen.iter().map(Vec::len).collect();
        let mut heads: Vec<_> = seen.iter().map(|said| &said[..32]).collect();
        lengths.sort_unstable();
        lengths.dedup();
        heads.sort_unstable();
        heads.dedup();
        // Three pairs alike among 8,052 lengths: once in 10^8 runs.
        assert!(lengths.len() >= 6, "{program:?}: {lengths:?}");
        assert_eq!(heads.len(), 8, "{program:?}");
    }
}
