//! Bytes arrive exactly, whatever shape the guest has: the ways in which published modules lose or repeat
//! them on other hosts.

use crate::tunnel::{Tunnel, dialer, program, tunnel, within};
use ouzel::error::Failure;
use ouzel::watm::{Connect, Grants, Io, Session, Stream};
use std::sync::Mutex;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

pub(crate) const MIB: usize = 1 << 20;
/// No multiple of any buffer's size, so that a block repeated or left out cannot look right.
const BLOCK: usize = (64 << 10) + 13;

fn block(salt: u8) -> Vec<u8> {
    let mut state = u32::from(salt) | 1;
    let step = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..BLOCK).map(step).collect()
}

async fn send(mut to: impl AsyncWrite + Unpin, salt: u8, total: usize) {
    let block = block(salt);
    let mut left = total;
    while left > 0 {
        let n = left.min(BLOCK);
        to.write_all(&block[..n])
            .await
            .expect("the tunnel takes bytes");
        left -= n;
    }
    to.shutdown().await.expect("the tunnel takes the end");
}

/// Reads exactly `total` bytes of the pattern; `pause` after each read makes a slow reader.
async fn receive(
    mut from: impl AsyncRead + Unpin,
    salt: u8,
    total: usize,
    pause: Option<Duration>,
) {
    let block = block(salt);
    let mut buffer = vec![0; 256 << 10];
    let mut at = 0;
    while at < total {
        let room = buffer.len().min(total - at);
        let n = from.read(&mut buffer[..room]).await.expect("no reset");
        assert!(n > 0, "the stream ended after {at} of {total} bytes");
        let mut got = &buffer[..n];
        while !got.is_empty() {
            let from = at % BLOCK;
            let len = got.len().min(BLOCK - from);
            assert!(got[..len] == block[from..from + len], "wrong bytes at {at}");
            at += len;
            got = &got[len..];
        }
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
    }
}

pub(crate) async fn up(name: &str, total: usize, pause: Option<Duration>) {
    let Tunnel {
        mut app,
        mut relay,
        dialer,
        listener,
    } = tunnel(name).await;
    within(&format!("{name}, {} MiB up", total / MIB), async {
        let (mut near, _near_writes) = relay.split();
        tokio::join!(
            send(&mut app, 1, total),
            receive(&mut near, 1, total, pause)
        );
    })
    .await;
    drop((app, relay));
    for end in [dialer, listener] {
        within("the session's end", end).await.expect("no panic");
    }
}

pub(crate) async fn down(name: &str, total: usize) {
    let Tunnel { app, relay, .. } = tunnel(name).await;
    let (mut reads, _writes) = app.into_split();
    within(&format!("{name}, {} MiB down", total / MIB), async {
        tokio::join!(send(relay, 2, total), receive(&mut reads, 2, total, None));
    })
    .await;
}

/// Everything the application sends comes back, both directions full all the time: a host whose writes
/// wait deadlocks here.
pub(crate) async fn echo(name: &str, total: usize) {
    let Tunnel { app, relay, .. } = tunnel(name).await;
    let (reads, mut writes) = app.into_split();
    let (mut relay_reads, mut relay_writes) = relay.into_split();
    let echo = tokio::spawn(async move {
        // With an end that only closes when all came back: unfair workers leave at the first end.
        let _ = tokio::io::copy(&mut relay_reads, &mut relay_writes).await;
    });
    within(&format!("{name}, {} MiB of echo", total / MIB), async {
        let sending = async {
            let block = block(3);
            let mut left = total;
            while left > 0 {
                let n = left.min(BLOCK);
                writes
                    .write_all(&block[..n])
                    .await
                    .expect("the tunnel takes bytes");
                left -= n;
            }
        };
        tokio::join!(sending, receive(reads, 3, total, None));
    })
    .await;
    drop(writes);
    echo.abort();
}

macro_rules! shapes {
    ($($name:ident),*) => {$(
        pub(crate) mod $name {
            use super::*;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            pub(crate) async fn bulk_is_exact() {
                up(stringify!($name), BULK, None).await;
                down(stringify!($name), BULK).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn a_slow_reader_loses_nothing() {
                up(stringify!($name), 64 * MIB, Some(Duration::from_millis(1))).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            pub(crate) async fn full_duplex_does_not_deadlock() {
                echo(stringify!($name), 128 * MIB).await;
            }
        }
    )*};
}

const BULK: usize = 256 * MIB;

shapes!(
    scatter,
    plain,
    reverse,
    upstream_a,
    upstream_b,
    upstream_c,
    upstream_framed,
    tokio_like,
    blocking
);

/// The gibibyte on which an unmodified Go runtime loses every published module.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gibibyte_through_a_published_shape() {
    up("upstream_a", 1024 * MIB, None).await;
    up("upstream_c", 1024 * MIB, None).await;
}

/// A blocking guest whose reads are served from the read-ahead still flushes while it waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn a_blocking_trickle_meets_a_late_reader() {
    const TOTAL: usize = 24 * MIB;
    let (app, network, session) = dialer("trickle", None).await.expect("the handshake");
    let run = tokio::spawn(session.run());
    within("24 MiB in trickles", async {
        let late = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            receive(app, 4, TOTAL, None).await;
        };
        tokio::join!(send(network, 4, TOTAL), late);
        run.await.expect("no panic").result.expect("a clean end");
    })
    .await;
}

/// Much is there, and the other end has ended: however busy the task was, the guest must not see that end
/// before it has read everything.
#[tokio::test]
async fn an_end_beside_a_mountain_of_bytes() {
    const TOTAL: usize = 24 * MIB;
    for name in ["upstream_a", "upstream_b", "upstream_c"] {
        // Room for all of it, so that nothing but the host makes the guest pause.
        let (app, inner) = tokio::io::duplex(TOTAL);
        let (outer, mut network) = tokio::io::duplex(TOTAL);
        send(&mut network, 5, TOTAL).await;
        let (reads, mut writes) = tokio::io::split(app);
        writes.shutdown().await.expect("ended");
        let outer = Mutex::new(Some(outer));
        let connect: Connect = Box::new(move || {
            let outer = outer.lock().expect("not poisoned").take();
            Box::pin(async move {
                let outer = outer.ok_or(Failure::Refused)?;
                Ok(Io::Any(Box::new(outer)))
            })
        });
        let mut session = Session::new(&program(name), Grants::default())
            .await
            .expect("an instance");
        let inner = Stream::gated(Io::Any(Box::new(inner)), &[]);
        session.dial(inner, connect).await.expect("the handshake");
        session.inner().open();
        let run = tokio::spawn(session.run());
        within(name, receive(reads, 5, TOTAL, None)).await;
        drop(network);
        within(name, run)
            .await
            .expect("no panic")
            .result
            .expect("a clean end");
    }
}

/// A read into several buffers that is told to pause after the first keeps what the first got.
#[tokio::test]
pub(crate) async fn a_pause_between_two_buffers_loses_nothing() {
    const TOTAL: usize = 8 * MIB;
    // These come before the rest, so that the pause does not fall between two fills of the read-ahead.
    const EARLY: usize = 1000;
    let (mut app, inner) = tokio::io::duplex(TOTAL);
    let (outer, network) = tokio::io::duplex(TOTAL);
    let mut pattern = Vec::new();
    send(&mut pattern, 6, TOTAL).await;
    app.write_all(&pattern[EARLY..])
        .await
        .expect("there is room");
    let outer = Mutex::new(Some(outer));
    let connect: Connect = Box::new(move || {
        let outer = outer.lock().expect("not poisoned").take();
        Box::pin(async move { Ok(Io::Any(Box::new(outer.ok_or(Failure::Refused)?))) })
    });
    let mut session = Session::new(&program("scatter"), Grants::default())
        .await
        .expect("an instance");
    let inner = Stream::gated(Io::Any(Box::new(inner)), &pattern[..EARLY]);
    session.dial(inner, connect).await.expect("the handshake");
    session.inner().open();
    let _run = tokio::spawn(session.run());
    within("8 MiB", receive(network, 6, TOTAL, None)).await;
}

/// Records that are cut anywhere, each piece after a pause: a guest that gives up in the middle of one never has to. A
/// record that stops for good costs its connection and keeps the other direction waiting for no more than a moment.
#[tokio::test]
pub(crate) async fn records_may_arrive_in_pieces() {
    let (mut app, mut network, session) = dialer("upstream_framed", None)
        .await
        .expect("the handshake");
    let run = tokio::spawn(session.run());
    let mut records = vec![0x5a; 32];
    let mut sent = Vec::new();
    for n in [1_u16, 2, 30, 46, 700, 4000] {
        let body: Vec<u8> = (0..n).map(|i| (i % 251) as u8).collect();
        records.extend(n.to_be_bytes());
        records.extend([0; 16]);
        records.extend(&body);
        records.extend([0; 16]);
        sent.extend(body);
    }
    within("records in pieces", async {
        let pieces = async {
            for piece in records.chunks(137) {
                for part in piece.chunks(23) {
                    network.write_all(part).await.expect("taken");
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            network
        };
        let mut got = vec![0; sent.len()];
        let (mut network, read) = tokio::join!(pieces, app.read_exact(&mut got));
        read.expect("all of it");
        assert!(got == sent, "every record is whole");

        // Half a header, and then silence: what the application says still goes out.
        network.write_all(&[0, 9, 0, 0]).await.expect("taken");
        app.write_all(b"still here").await.expect("taken");
        let mut record = [0; 32 + 18 + 10 + 16];
        network.read_exact(&mut record).await.expect("a record");
        assert_eq!(&record[50..60], b"still here");
    })
    .await;
    within("its end", run).await.expect("no panic");
}

/// A guest that keeps the state of its records itself, and never meets their end where the network pauses: what the
/// application says goes out all the same, and not only when the two fall together by chance.
#[tokio::test]
pub(crate) async fn a_held_record_gives_the_other_end_its_turn() {
    let (mut app, network, session) = dialer("codec", None).await.expect("the handshake");
    let run = tokio::spawn(session.run());
    let (mut reads, mut writes) = network.into_split();
    let slow = tokio::spawn(async move {
        while writes.write_all(&[1; 1448]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        app.write_all(b"x").await.expect("sent");
        let mut one = [0];
        let arrives = reads.read_exact(&mut one);
        let arrived = tokio::time::timeout(Duration::from_secs(5), arrives).await;
        arrived
            .expect("long before a megabyte has come")
            .expect("read");
    }
    slow.abort();
    run.abort();
}
