//! Payload between an application and a bridge, through two real processes: all of it, in order, both ways, however
//! slow one side is and whichever side ends first.

use std::collections::HashSet;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpListener;

use crate::support::bytes::{self, MIB};
use crate::support::deadline::{soon, stays_pending, within};
use crate::support::orport::OrPort;
use crate::support::pair::Pair;
use crate::support::pt::Launch;
use crate::support::socks::{self, Raw};
use crate::support::strace::Traced;

/// For bulk on a machine that has other things to do.
const BULK: Duration = Duration::from_secs(120);

/// Both built-in transports carry everything here.
const TRANSPORTS: [&str; 2] = ["plain", "reverse"];

#[tokio::test]
async fn sixty_four_mib_arrive_exactly_in_each_direction() {
    for transport in TRANSPORTS {
        let pair = Pair::of(transport).await;
        let (mut application, mut relay) = pair.open().await;
        within(BULK, "64 MiB up", async {
            tokio::join!(
                bytes::send(&mut application, 1, 64 * MIB),
                bytes::expect(&mut relay, 1, 64 * MIB)
            )
        })
        .await;
        within(BULK, "64 MiB down", async {
            tokio::join!(
                bytes::send(&mut relay, 2, 64 * MIB),
                bytes::expect(&mut application, 2, 64 * MIB)
            )
        })
        .await;
    }
}

#[tokio::test]
async fn sixty_four_mib_arrive_exactly_in_both_directions_at_once() {
    for transport in TRANSPORTS {
        let pair = Pair::of(transport).await;
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

#[tokio::test]
async fn an_echo_does_not_deadlock() {
    let pair = Pair::of("plain").await;
    let (application, mut relay) = pair.open().await;
    let echo = tokio::spawn(async move {
        let (mut from, mut to) = relay.split();
        tokio::io::copy(&mut from, &mut to).await.unwrap();
        to.shutdown().await.unwrap();
    });
    let (mut from, mut to) = application.into_split();
    within(BULK, "128 MiB there and back", async {
        tokio::join!(
            async {
                bytes::send(&mut to, 5, 128 * MIB).await;
                to.shutdown().await.unwrap();
            },
            async {
                bytes::expect(&mut from, 5, 128 * MIB).await;
                bytes::expect_end(&mut from).await;
            }
        )
    })
    .await;
    soon("the echo's end", echo).await.unwrap();
}

/// Sends until nothing has been taken for a while: how much the way holds.
async fn fill(to: &mut (impl AsyncWriteExt + Unpin)) -> usize {
    let block = vec![0; 64 << 10];
    let mut sent = 0;
    while let Ok(taken) = tokio::time::timeout(Duration::from_secs(2), to.write(&block)).await {
        sent += taken.unwrap();
        assert!(sent < 512 * MIB, "nobody reads, and {sent} bytes are gone");
    }
    sent
}

#[tokio::test]
async fn a_reader_that_does_not_read_costs_no_memory() {
    for upwards in [true, false] {
        let pair = Pair::of("plain").await;
        let (application, relay) = pair.open().await;
        let (mut from, mut to) = if upwards {
            (application, relay)
        } else {
            (relay, application)
        };
        let before = [&pair.client, &pair.server].map(|pt| pt.status_figure("VmRSS"));
        fill(&mut from).await;
        let after = [&pair.client, &pair.server].map(|pt| pt.status_figure("VmRSS"));
        for (before, after) in before.into_iter().zip(after) {
            let grown = after.saturating_sub(before);
            assert!(grown < 2 << 10, "{grown} kB more for one stalled stream");
        }
        // The other direction is not held up by it.
        to.write_all(b"still here").await.unwrap();
        let mut bytes = [0; 10];
        soon("the other direction", from.read_exact(&mut bytes))
            .await
            .unwrap();
        assert_eq!(&bytes, b"still here");
    }
}

#[tokio::test]
async fn a_slow_reader_gets_everything() {
    let pair = Pair::of("plain").await;
    let (mut application, mut relay) = pair.open().await;
    within(BULK, "64 MiB to a slow reader", async {
        tokio::join!(bytes::send(&mut relay, 9, 64 * MIB), async {
            // Nothing at first, so that every buffer on the way is full; then sips.
            let mut pace = tokio::time::interval(Duration::from_millis(1500));
            pace.tick().await;
            pace.tick().await;
            let mut sips = tokio::time::interval(Duration::from_millis(10));
            let wanted = bytes::stream(9, 8 * MIB);
            let mut sip = vec![0; 80_000];
            for part in wanted.chunks(sip.len()) {
                sips.tick().await;
                application
                    .read_exact(&mut sip[..part.len()])
                    .await
                    .unwrap();
                assert!(sip[..part.len()] == *part, "changed bytes");
            }
            bytes::expect_from(&mut application, 9, 8 * MIB, 64 * MIB).await;
        })
    })
    .await;
}

#[tokio::test]
async fn a_reply_after_the_application_s_fin_arrives() {
    for transport in TRANSPORTS {
        let pair = Pair::of(transport).await;
        let (mut application, mut relay) = pair.open().await;
        application.write_all(b"request").await.unwrap();
        application.shutdown().await.unwrap();
        let mut request = Vec::new();
        soon("the request and its FIN", relay.read_to_end(&mut request))
            .await
            .unwrap();
        assert_eq!(request, b"request", "{transport}");
        within(BULK, "the reply", async {
            tokio::join!(
                async {
                    bytes::send(&mut relay, 3, 4 * MIB).await;
                    relay.shutdown().await.unwrap();
                },
                async {
                    bytes::expect(&mut application, 3, 4 * MIB).await;
                    bytes::expect_end(&mut application).await;
                }
            )
        })
        .await;
    }
}

#[tokio::test]
async fn an_upload_after_the_relay_s_fin_arrives() {
    for transport in TRANSPORTS {
        let pair = Pair::of(transport).await;
        let (mut application, mut relay) = pair.open().await;
        relay.write_all(b"goodbye").await.unwrap();
        relay.shutdown().await.unwrap();
        let mut goodbye = Vec::new();
        soon("the goodbye", application.read_to_end(&mut goodbye))
            .await
            .unwrap();
        assert_eq!(goodbye, b"goodbye", "{transport}");
        within(BULK, "the upload", async {
            tokio::join!(
                async {
                    bytes::send(&mut application, 4, 4 * MIB).await;
                    application.shutdown().await.unwrap();
                },
                async {
                    bytes::expect(&mut relay, 4, 4 * MIB).await;
                    bytes::expect_end(&mut relay).await;
                }
            )
        })
        .await;
    }
}

#[tokio::test]
async fn everything_sent_before_an_immediate_close_arrives() {
    let pair = Pair::of("plain").await;
    for length in [1, 1000, 70_000, 3 * MIB] {
        let mut application = pair.dial().await;
        let sending = async {
            bytes::send(&mut application, 6, length).await;
            application.shutdown().await.unwrap();
        };
        let receiving = async {
            let mut relay = pair.orport.accept().await;
            bytes::expect(&mut relay, 6, length).await;
            bytes::expect_end(&mut relay).await;
        };
        soon("all of it and the end", async {
            tokio::join!(sending, receiving)
        })
        .await;
    }
}

#[tokio::test]
async fn a_reset_on_one_side_ends_the_other() {
    for upwards in [true, false] {
        let pair = Pair::of("plain").await;
        let (application, relay) = pair.open().await;
        let (resetting, mut other) = if upwards {
            (application, relay)
        } else {
            (relay, application)
        };
        resetting.set_zero_linger().unwrap();
        drop(resetting);
        let mut rest = Vec::new();
        let _ = soon("the other side's end", other.read_to_end(&mut rest)).await;
        assert!(rest.is_empty());
    }
}

#[tokio::test]
async fn many_connections_at_a_time_do_not_mix() {
    let pair = Pair::of("reverse").await;
    let echo = async {
        loop {
            let mut relay = pair.orport.accept().await;
            tokio::spawn(async move {
                let (mut from, mut to) = relay.split();
                tokio::io::copy(&mut from, &mut to).await.unwrap();
                to.shutdown().await.unwrap();
            });
        }
    };
    let all = async {
        let mut tasks = tokio::task::JoinSet::new();
        for seed in 0..100 {
            let (addr, target) = (pair.socks.addr, pair.bridge.addr.into());
            tasks.spawn(async move {
                let stream = socks::open(addr, &target, b"").await.unwrap();
                let (mut from, mut to) = stream.into_split();
                tokio::join!(
                    async {
                        bytes::send(&mut to, seed, 300_000).await;
                        to.shutdown().await.unwrap();
                    },
                    async {
                        bytes::expect(&mut from, seed, 300_000).await;
                        bytes::expect_end(&mut from).await;
                    }
                );
            });
        }
        tasks.join_all().await;
    };
    within(BULK, "100 echoes", async {
        tokio::select! { () = echo => unreachable!(), () = all => {} }
    })
    .await;
}

#[tokio::test]
async fn an_idle_connection_stays_open_and_lives() {
    let pair = Pair::of("plain").await;
    let (mut application, mut relay) = pair.open().await;
    let mut byte = [0];
    stays_pending(
        Duration::from_secs(3),
        "something came out of nothing",
        relay.read(&mut byte),
    )
    .await;
    application.write_all(b"!").await.unwrap();
    soon("a byte after the pause", relay.read_exact(&mut byte))
        .await
        .unwrap();
}

#[tokio::test]
async fn every_socket_sends_at_once_and_the_network_s_are_kept_alive() {
    let far = OrPort::listen().await;
    let client = Traced::ready(Launch::client("plain"), &["-e", "trace=setsockopt"]).await;
    let socks = client.pt.method("plain").await.addr;
    let _near = socks::open(socks, &far.addr.into(), b"").await.unwrap();
    far.accept().await;
    let server = Launch::server("plain", far.addr);
    let server = Traced::ready(server, &["-e", "trace=setsockopt"]).await;
    let _near = Raw::to(server.pt.method("plain").await.addr).await;
    far.accept().await;
    for traced in [client, server] {
        let calls = traced.calls().await;
        let sockets = |option: &str| {
            let of = |call: &&String| call.contains(option) && call.contains("[1]");
            let fd = |call: &String| call.split(['(', ',']).nth(1).unwrap().to_owned();
            calls.iter().filter(of).map(fd).collect::<HashSet<_>>()
        };
        let (at_once, alive) = (sockets("TCP_NODELAY"), sockets("SO_KEEPALIVE"));
        assert!(at_once.len() >= 2, "both of a connection: {calls:?}");
        assert!(!alive.is_empty(), "the network's: {calls:?}");
    }
}

#[tokio::test]
async fn what_the_network_sees_is_what_the_transport_makes_of_it() {
    // A tap between client and server: `plain` is itself, `reverse` is not.
    for (transport, same) in [("plain", true), ("reverse", false)] {
        let pair = Pair::of(transport).await;
        let tap = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = tap.local_addr().unwrap();
        let bridge = pair.bridge.addr;
        let seen = tokio::spawn(async move {
            let (mut near, _) = tap.accept().await.unwrap();
            let mut far = tokio::net::TcpStream::connect(bridge).await.unwrap();
            let mut first = vec![0; 1000];
            near.read_exact(&mut first).await.unwrap();
            far.write_all(&first).await.unwrap();
            let _ = copy_bidirectional(&mut near, &mut far).await;
            first
        });
        let mut application = socks::open(pair.socks.addr, &at.into(), b"").await.unwrap();
        let text = bytes::stream(8, 1000);
        application.write_all(&text).await.unwrap();
        application.shutdown().await.unwrap();
        let mut relay = pair.orport.accept().await;
        bytes::expect(&mut relay, 8, 1000).await;
        drop((application, relay));
        let seen = soon("the tap", seen).await.unwrap();
        assert_eq!(seen == text, same, "{transport}");
    }
}
