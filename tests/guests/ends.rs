//! How connections end: nothing is lost at the end, and half an end is passed on.

use crate::tunnel::{Tunnel, dialer, tunnel, within};
use ouzel::error::Failure;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub(crate) async fn reply_after_fin(name: &str) {
    let Tunnel {
        mut app,
        mut relay,
        dialer,
        listener,
    } = tunnel(name).await;
    within("half-close", async {
        app.write_all(b"question").await.expect("sent");
        app.shutdown().await.expect("half-closed");
        let mut question = Vec::new();
        relay
            .read_to_end(&mut question)
            .await
            .expect("the end arrives");
        assert_eq!(question, b"question");
        relay
            .write_all(b"an answer after the end")
            .await
            .expect("the other direction lives");
        relay.shutdown().await.expect("ended");
        let mut answer = Vec::new();
        app.read_to_end(&mut answer)
            .await
            .expect("the answer arrives");
        assert_eq!(answer, b"an answer after the end");
        for end in [dialer, listener] {
            end.await.expect("no panic").result.expect("a clean end");
        }
    })
    .await;
}

#[tokio::test]
async fn a_reply_after_the_clients_fin_arrives() {
    reply_after_fin("plain").await;
    reply_after_fin("reverse").await;
}

/// A guest that leaves at the first end it sees: what both sides had sent before arrives all the same,
/// whichever side the guest looks at first.
#[tokio::test]
async fn unread_bytes_hide_an_end() {
    const BYTES: usize = 100_000;
    for name in SHAPES {
        for app_ends in [true, false] {
            let (mut app, mut network, session) = dialer(name, None).await.expect("the handshake");
            within(name, async {
                // Everything is there before the guest looks: an end on one side, bytes on both.
                app.write_all(&[7; BYTES]).await.expect("sent");
                network.write_all(&[8; BYTES]).await.expect("sent");
                let ending = if app_ends { &mut app } else { &mut network };
                ending.shutdown().await.expect("ended");
                let run = tokio::spawn(session.run());
                for (reader, byte) in [(&mut app, 8), (&mut network, 7)] {
                    let mut got = vec![0; BYTES];
                    let read = reader.read_exact(&mut got).await;
                    read.unwrap_or_else(|error| panic!("{name} lost bytes: {error}"));
                    assert!(got.iter().all(|&b| b == byte), "{name}");
                }
                drop((app, network));
                run.await.expect("no panic");
            })
            .await;
        }
    }
}

const SHAPES: [&str; 6] = [
    "plain",
    "upstream_a",
    "upstream_c",
    "half_exit",
    "tokio_like",
    "blocking",
];

/// An idle connection costs no CPU, whatever the guest asks the host while it waits.
#[cfg(target_os = "linux")]
#[test]
fn an_idle_connection_wakes_nobody() {
    for name in SHAPES {
        assert_idle(name);
    }
}

#[cfg(target_os = "linux")]
pub(crate) fn assert_idle(name: &str) {
    // A thread that has nothing else to do, so that its context switches are the guest's.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let (mut app, mut network, session) = dialer(name, None).await.expect("the handshake");
        let _run = tokio::spawn(session.run());
        let mut got = [0; 4];
        app.write_all(b"ping").await.expect("sent");
        within(name, network.read_exact(&mut got))
            .await
            .expect("arrived");
        network.write_all(b"pong").await.expect("sent");
        within(name, app.read_exact(&mut got))
            .await
            .expect("arrived");
        tokio::time::sleep(Duration::from_millis(200)).await;
        let before = switches();
        tokio::time::sleep(Duration::from_secs(2)).await;
        let woken = switches() - before;
        // Our own timer, the two that `blocking` sets for itself, and a busy machine's.
        assert!(woken <= 20, "{name}: woken {woken} times in 2 s");
    });
}

/// A guest that will not believe in an end, or in a broken connection, does not spin on it.
#[cfg(target_os = "linux")]
#[test]
pub(crate) fn an_end_that_was_told_is_no_news() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    for reset in [false, true] {
        runtime.block_on(async {
            let (app, _network, session) = dialer("stubborn", None).await.expect("the handshake");
            let _run = tokio::spawn(session.run());
            if reset {
                socket2::SockRef::from(&app)
                    .set_linger(Some(Duration::ZERO))
                    .expect("set");
            }
            drop(app);
            // The first questions are answered at once, the later ones more and more slowly.
            tokio::time::sleep(Duration::from_secs(4)).await;
            let before = switches();
            tokio::time::sleep(Duration::from_secs(2)).await;
            let woken = switches() - before;
            assert!(woken <= 20, "reset: {reset}, woken {woken} times in 2 s");
        });
    }
}

#[cfg(target_os = "linux")]
fn switches() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").expect("Linux");
    let counts = status
        .lines()
        .filter(|line| line.contains("ctxt_switches"))
        .filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok());
    counts.sum()
}

/// A guest in blocking mode that wants one end after the other must not wait for ever for the first.
#[tokio::test]
pub(crate) async fn a_sequential_guest_sees_its_end() {
    let (mut app, mut network, session) = dialer("sequential", None).await.expect("the handshake");
    let run = tokio::spawn(session.run());
    within("a sequential guest", async {
        network.write_all(b"waiting already").await.expect("sent");
        app.write_all(b"up").await.expect("sent");
        app.shutdown().await.expect("ended");
        let mut up = Vec::new();
        network.read_to_end(&mut up).await.expect("the end arrives");
        assert_eq!(up, b"up");
        network.shutdown().await.expect("ended");
        let mut down = Vec::new();
        app.read_to_end(&mut down).await.expect("the end arrives");
        assert_eq!(down, b"waiting already");
        run.await.expect("no panic").result.expect("a clean end");
    })
    .await;
}

/// A stream that was cut must not look complete.
#[tokio::test]
pub(crate) async fn a_reset_reaches_the_other_side_as_a_reset() {
    let (mut app, network, session) = dialer("plain", None).await.expect("the handshake");
    let run = tokio::spawn(session.run());
    within("a reset", async {
        socket2::SockRef::from(&network)
            .set_linger(Some(Duration::ZERO))
            .expect("set");
        drop(network);
        let error = app
            .read_to_end(&mut Vec::new())
            .await
            .expect_err("no clean end");
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        assert!(run.await.expect("no panic").result.is_err());
    })
    .await;
}

/// What a guest wrote before it left is delivered to a reader that comes late.
#[tokio::test]
pub(crate) async fn queued_bytes_are_delivered_after_the_guest_is_gone() {
    let (mut app, mut network, session) = dialer("half_exit", None).await.expect("the handshake");
    let run = tokio::spawn(session.run());
    within("a late reader", async {
        let sent = vec![42; 3 << 20];
        let (_, ()) = tokio::join!(
            async {
                app.write_all(&sent).await.expect("sent");
                app.shutdown().await.expect("ended");
            },
            async {
                tokio::time::sleep(Duration::from_millis(300)).await;
                let mut got = Vec::new();
                network.read_to_end(&mut got).await.expect("no reset");
                assert!(got == sent, "{} of {} bytes", got.len(), sent.len());
            }
        );
        run.await.expect("no panic").result.expect("a clean end");
    })
    .await;
}

/// A download that is complete, towards an application that reads slowly and still talks: what the kernel
/// holds is delivered before the connection is closed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_talkative_slow_reader_gets_the_whole_of_a_download() {
    const TOTAL: usize = 2 << 20;
    let (app, mut network, session) = dialer("upstream_a", None).await.expect("the handshake");
    let run = tokio::spawn(session.run());
    within("a slow download", async {
        let (mut reads, mut writes) = app.into_split();
        network.write_all(&vec![9; TOTAL]).await.expect("sent");
        network.shutdown().await.expect("ended");
        let talking = tokio::spawn(async move {
            // Until the connection is gone; a RST would take the rest of the download with it.
            while writes.write_all(&[1; 100]).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
        let (mut got, mut buffer) = (0, vec![0; 32 << 10]);
        while got < TOTAL {
            let n = reads.read(&mut buffer).await.expect("no reset");
            assert!(n > 0, "it ended after {got} bytes");
            got += n;
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
        talking.abort();
        drop(reads);
        run.await.expect("no panic").result.expect("a clean end");
    })
    .await;
}

/// What had come before a connection broke arrives before the other side hears of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_takes_nothing_along_that_was_sent_before() {
    const TOTAL: usize = 2 << 20;
    let (mut app, mut network, session) = dialer("plain", None).await.expect("the handshake");
    let run = tokio::spawn(session.run());
    within("a download that breaks", async {
        network.write_all(&vec![9; TOTAL]).await.expect("sent");
        // Until the guest has it all; then the network's end breaks.
        while ouzel::platform::undelivered(&network).is_some_and(|bytes| bytes > 0) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        socket2::SockRef::from(&network)
            .set_linger(Some(Duration::ZERO))
            .expect("set");
        drop(network);
        let (mut got, mut buffer) = (0, vec![0; 32 << 10]);
        let error = loop {
            tokio::time::sleep(Duration::from_millis(5)).await;
            match app.read(&mut buffer).await {
                Ok(0) => panic!("a stream that broke looks complete"),
                Ok(n) => got += n,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        assert_eq!(got, TOTAL);
        run.await.expect("no panic").result.expect_err("it broke");
    })
    .await;
}

/// The control pipe ends a worker, whatever shape it has, and that is no failure.
#[tokio::test]
async fn a_worker_that_is_told_to_end_cuts_its_connection_off() {
    for name in ["plain", "upstream_a", "upstream_c"] {
        let (mut app, mut network, session) = dialer(name, None).await.expect("the handshake");
        let control = session.control();
        let run = tokio::spawn(session.run());
        within(name, async {
            app.write_all(b"before").await.expect("sent");
            let mut got = [0; 6];
            network.read_exact(&mut got).await.expect("arrived");
            control.stop();
            // A truncated stream must not look complete.
            network.read(&mut got).await.expect_err("a RST, no FIN");
            app.read(&mut got).await.expect_err("a RST, no FIN");
            let outcome = run.await.expect("no panic");
            assert_eq!(outcome.result, Err(Failure::Stopped));
        })
        .await;
    }
}
