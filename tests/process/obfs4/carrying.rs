//! Payload through obfs4: all of it, in order, both ways, however slow a reader is and whichever side ends first.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::interval;

use crate::support::bytes::{self, MIB};
use crate::support::deadline::{soon, within};
use crate::support::orport::OrPort;
use crate::support::pair::Pair;

use super::ends::{PAIRINGS, Pairing, Program, Seed, identity};

/// For bulk on a machine that has other things to do.
const BULK: Duration = Duration::from_secs(120);

/// Each, one after the other, named for whoever reads a failure.
fn pairings() -> impl Iterator<Item = Pairing> {
    PAIRINGS
        .into_iter()
        .inspect(|pairing| eprintln!("{pairing:?}"))
}

#[tokio::test]
async fn a_quarter_gib_arrives_exactly_in_each_direction() {
    for pairing in pairings() {
        let pair = pairing.start().await;
        let (mut application, mut relay) = pair.open().await;
        within(BULK, "256 MiB up", async {
            tokio::join!(
                bytes::send(&mut application, 1, 256 * MIB),
                bytes::expect(&mut relay, 1, 256 * MIB)
            )
        })
        .await;
        within(BULK, "256 MiB down", async {
            tokio::join!(
                bytes::send(&mut relay, 2, 256 * MIB),
                bytes::expect(&mut application, 2, 256 * MIB)
            )
        })
        .await;
    }
}

#[tokio::test]
async fn sixty_four_mib_arrive_exactly_in_both_directions_at_once() {
    for pairing in pairings() {
        let pair = pairing.start().await;
        let (application, relay) = pair.open().await;
        let (mut from_relay, mut to_relay) = application.into_split();
        let (mut from_application, mut to_application) = relay.into_split();
        within(BULK, "64 MiB both ways", async {
            tokio::join!(
                bytes::send(&mut to_relay, 1, 64 * MIB),
                bytes::expect(&mut from_application, 1, 64 * MIB),
                bytes::send(&mut to_application, 2, 64 * MIB),
                bytes::expect(&mut from_relay, 2, 64 * MIB),
            )
        })
        .await;
    }
}

/// Writes of every size around a frame's and a read's, each waited for: what is in a buffer must not stay there.
#[tokio::test]
async fn writes_of_every_awkward_size_arrive_at_once() {
    let sizes = [
        1, 2, 1_402, 1_426, 1_427, 1_428, 1_448, 2_854, 2_855, 8_192, 16_384, 32_767, 32_768,
        32_769, 65_536,
    ];
    for pairing in pairings() {
        let pair = pairing.start().await;
        let (mut application, mut relay) = pair.open().await;
        for (seed, size) in (1..).zip(sizes) {
            soon("a write up", async {
                tokio::join!(
                    bytes::send(&mut application, seed, size),
                    bytes::expect(&mut relay, seed, size)
                )
            })
            .await;
            soon("a write down", async {
                tokio::join!(
                    bytes::send(&mut relay, !seed, size),
                    bytes::expect(&mut application, !seed, size)
                )
            })
            .await;
        }
    }
}

/// Sends stream `seed` and keeps count.
async fn counted(to: &mut (impl AsyncWrite + Unpin), seed: u64, length: usize, sent: &AtomicUsize) {
    let all = bytes::stream(seed, length);
    for part in all.chunks(16 << 10) {
        to.write_all(part).await.unwrap();
        sent.fetch_add(part.len(), Ordering::Relaxed);
    }
}

/// Waits until nothing more is taken: every buffer on the way is full.
async fn stalled(sent: &AtomicUsize) -> usize {
    let mut looks = interval(Duration::from_millis(250));
    let mut same = 0;
    let mut before = 0;
    while same < 4 {
        looks.tick().await;
        let now = sent.load(Ordering::Relaxed);
        same = if now == before && now > 0 {
            same + 1
        } else {
            0
        };
        before = now;
    }
    before
}

#[tokio::test]
async fn a_reader_that_stops_costs_little_memory_and_loses_nothing() {
    for pairing in pairings() {
        for upwards in [true, false] {
            let pair = pairing.start().await;
            let (application, relay) = pair.open().await;
            let (mut from, mut to) = if upwards {
                (application, relay)
            } else {
                (relay, application)
            };
            // What a busy stream takes is not what a stalled one adds.
            tokio::join!(
                bytes::send(&mut from, 8, MIB),
                bytes::expect(&mut to, 8, MIB)
            );
            let figures = || [&pair.client, &pair.server].map(|pt| pt.status_figure("VmRSS"));
            let before = figures();
            let sent = AtomicUsize::new(0);
            let (mut replies, mut from) = from.split();
            within(BULK, "64 MiB to a slow reader", async {
                tokio::join!(counted(&mut from, 9, 64 * MIB, &sent), async {
                    let held = soon("the way is full", stalled(&sent)).await;
                    assert!(held < 64 * MIB, "somebody took all of it");
                    let programs = [pairing.client, pairing.bridge];
                    for (n, program) in programs.into_iter().enumerate() {
                        let grown = figures()[n].saturating_sub(before[n]);
                        // A collector of garbage collects when it likes.
                        let most = match program {
                            Program::Ouzel => 2 << 10,
                            Program::Obfs4proxy => 32 << 10,
                        };
                        assert!(
                            grown < most,
                            "{program:?}: {grown} kB more for one stalled stream"
                        );
                    }
                    // The other direction is not held up by it.
                    to.write_all(b"still here").await.unwrap();
                    let mut reply = [0; 10];
                    let read = replies.read_exact(&mut reply);
                    soon("the other direction", read).await.unwrap();
                    assert_eq!(&reply, b"still here");
                    // Sips, then the rest.
                    let mut sips = interval(Duration::from_millis(5));
                    for sip in 0..50 {
                        sips.tick().await;
                        bytes::expect_from(&mut to, 9, sip * 8_000, (sip + 1) * 8_000).await;
                    }
                    bytes::expect_from(&mut to, 9, 400_000, 64 * MIB).await;
                })
            })
            .await;
        }
    }
}

/// Whatever was written before an end arrives before the end, in either direction, with any pairing.
#[tokio::test]
async fn everything_before_an_end_arrives() {
    for pairing in pairings() {
        let pair = pairing.start().await;
        for length in [1, 1_427, 70_000, 3 * MIB] {
            for upwards in [true, false] {
                let (application, relay) = pair.open().await;
                let (mut from, mut to) = if upwards {
                    (application, relay)
                } else {
                    (relay, application)
                };
                soon("all of it and the end", async {
                    tokio::join!(
                        async {
                            bytes::send(&mut from, 6, length).await;
                            from.shutdown().await.unwrap();
                        },
                        async {
                            bytes::expect(&mut to, 6, length).await;
                            bytes::expect_end(&mut to).await;
                        }
                    )
                })
                .await;
                drop(to);
                let rest = soon("the other side's end", bytes::expect_end(&mut from));
                rest.await;
            }
        }
    }
}

/// Two ouzels keep half of a stream open as long as somebody uses it; obfs4proxy at either end closes both halves.
#[tokio::test]
async fn half_a_stream_outlives_the_other_where_both_ends_can() {
    for pairing in pairings() {
        for upwards in [true, false] {
            let pair = pairing.start().await;
            let (application, relay) = pair.open().await;
            let (mut first, mut second) = if upwards {
                (application, relay)
            } else {
                (relay, application)
            };
            first.write_all(b"request").await.unwrap();
            first.shutdown().await.unwrap();
            let mut request = Vec::new();
            soon("the request and its FIN", second.read_to_end(&mut request))
                .await
                .unwrap();
            assert_eq!(request, b"request");
            if pairing.keeps_half_close() {
                reply(&mut second, &mut first).await;
            } else {
                soon("both halves end", bytes::expect_end(&mut first)).await;
            }
        }
    }
}

async fn reply(from: &mut TcpStream, to: &mut TcpStream) {
    within(BULK, "a reply after the other side's FIN", async {
        tokio::join!(
            async {
                bytes::send(from, 3, 4 * MIB).await;
                from.shutdown().await.unwrap();
            },
            async {
                bytes::expect(to, 3, 4 * MIB).await;
                bytes::expect_end(to).await;
            }
        )
    })
    .await;
}

/// A table of four lengths, one of them 0, which ends obfs4proxy within a few writes.
const WITH_A_ZERO: Seed = Seed::of("bf19c22351bfe95ef41727ecb881c42ed4f6b8bf936ab570");

#[tokio::test]
async fn a_length_of_zero_in_the_table_is_none_to_stumble_over() {
    let orport = OrPort::listen().await;
    let options = format!("{};obfs4:iat-mode=2", identity(WITH_A_ZERO));
    let bridge = Program::Ouzel
        .bridge(orport.addr, WITH_A_ZERO)
        .set("TOR_PT_SERVER_TRANSPORT_OPTIONS", options);
    let pair = Pair::between("obfs4", orport, Program::Ouzel.client(), bridge).await;
    let (mut application, mut relay) = pair.open().await;
    for seed in 1..=20 {
        within(BULK, "a write there and back", async {
            tokio::join!(
                bytes::send(&mut relay, seed, 1_500),
                bytes::expect(&mut application, seed, 1_500)
            );
            tokio::join!(
                bytes::send(&mut application, seed, 1_500),
                bytes::expect(&mut relay, seed, 1_500)
            );
        })
        .await;
    }
}
