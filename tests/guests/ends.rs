//! How connections end: nothing is lost at the end, and half an end is passed on.

use crate::tunnel::{Tunnel, dialer, tunnel, within};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn reply_after_fin(name: &str) {
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

/// A guest that leaves at the first end it sees: what both sides had sent before arrives all the same.
#[tokio::test]
async fn unread_bytes_hide_an_end() {
    for name in [
        "upstream_a",
        "upstream_c",
        "half_exit",
        "tokio_like",
        "blocking",
    ] {
        let (mut app, mut network, session) = dialer(name, None).await.expect("the handshake");
        within(name, async {
            // Both are there before the guest looks: the network's end, and bytes of the application.
            network
                .write_all(b"last words of the network")
                .await
                .expect("sent");
            network.shutdown().await.expect("ended");
            app.write_all(&[7; 100_000]).await.expect("sent");
            let run = tokio::spawn(session.run());
            let mut heard = Vec::new();
            app.read_to_end(&mut heard).await.expect("no reset");
            assert_eq!(heard, b"last words of the network", "{name}");
            let mut got = vec![0; 100_000];
            network
                .read_exact(&mut got)
                .await
                .unwrap_or_else(|error| panic!("{name} lost bytes: {error}"));
            drop((app, network));
            run.await.expect("no panic");
        })
        .await;
    }
}

/// A guest in blocking mode that wants one end after the other must not wait for ever for the first.
#[tokio::test]
async fn a_sequential_guest_sees_its_end() {
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
async fn a_reset_reaches_the_other_side_as_a_reset() {
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
async fn queued_bytes_are_delivered_after_the_guest_is_gone() {
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
