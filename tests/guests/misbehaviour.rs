//! Guests that fail, hang or flood: each ends its own connection, by name, and no other.

use crate::tunnel::{Tunnel, dialer, pair, program, tunnel, within};
use ouzel::error::Failure;
use ouzel::watm::{Grants, Io, Session, Stream, quiet};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

async fn outcome(name: &str) -> Failure {
    let (mut app, _network, session) = dialer(name, None).await.expect("the handshake");
    let run = tokio::spawn(session.run());
    app.write_all(b"x").await.expect("sent");
    let error = within(name, app.read_to_end(&mut Vec::new())).await;
    assert!(
        error.is_err(),
        "{name}: a failure must not look like an end"
    );
    within(name, run)
        .await
        .expect("no panic")
        .result
        .expect_err("it failed")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn failures_of_the_worker_are_named() {
    assert!(matches!(outcome("trap").await, Failure::Trap(text) if text.contains("unreachable")));
    assert_eq!(outcome("spin").await, Failure::Stuck);
    assert!(matches!(outcome("positive").await, Failure::Module(text) if text.contains("EIO")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn failures_of_the_handshake_are_named() {
    let failure =
        |name| async move { dialer(name, None).await.err().expect("the handshake fails") };
    assert!(matches!(failure("trap_dial").await, Failure::Trap(_)));
    assert_eq!(
        within("spin_dial", failure("spin_dial")).await,
        Failure::Stuck
    );
    let refused = failure("refuse").await;
    assert!(
        matches!(&refused, Failure::Unanswered(text) if text.contains("EPROTO")),
        "{refused:?}"
    );
}

/// A handshake that waits is the caller's to end: dropping it is enough, and the guest is gone.
#[tokio::test]
pub(crate) async fn a_silent_handshake_can_be_dropped() {
    let waited = timeout(Duration::from_millis(200), dialer("silent", None)).await;
    assert!(waited.is_err(), "it waits for the network");
}

/// While one guest spins, its neighbours on the same thread go on.
#[tokio::test]
pub(crate) async fn a_spinning_guest_disturbs_nobody() {
    let (mut spinning, _network, session) = dialer("spin", None).await.expect("the handshake");
    let spin = tokio::spawn(session.run());
    spinning.write_all(b"x").await.expect("sent");
    let Tunnel {
        mut app, mut relay, ..
    } = tunnel("plain").await;
    let mut rounds = 0;
    while !spin.is_finished() {
        within("a neighbour's round trip", async {
            let mut got = [0; 1];
            app.write_all(b"a").await.expect("sent");
            relay.read_exact(&mut got).await.expect("arrived");
        })
        .await;
        rounds += 1;
    }
    assert!(
        rounds > 10,
        "only {rounds} round trips while the other guest was stopped"
    );
}

/// 64 bytes out for each one in, towards a reader that stops: the bound holds, and nothing is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn an_amplifier_is_held_at_the_bound() {
    let (mut app, mut network, session) = dialer("amplify", None).await.expect("the handshake");
    let run = tokio::spawn(session.run());
    let total = 1 << 20;
    within("an amplifier", async {
        let data: Vec<u8> = (0..total).map(|i| (i % 251) as u8).collect();
        let sending = async {
            app.write_all(&data).await.expect("sent");
            app
        };
        let receiving = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let mut got = 0;
            let mut buffer = vec![0; 64 << 10];
            while got < 64 * total {
                let n = network.read(&mut buffer).await.expect("no reset");
                assert!(n > 0, "the stream ended after {got} bytes");
                got += n;
            }
            assert_eq!(got, 64 * total);
        };
        let (app, ()) = tokio::join!(sending, receiving);
        drop(app);
    })
    .await;
    drop(network);
    within("its end", run).await.expect("no panic");
}

/// What a prober sees of a server's module that crashes, refuses or spins in its handshake: nothing, then a
/// FIN at the appointed time, whatever it sends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn a_failed_handshake_on_a_server_is_quiet() {
    for name in ["trap_dial", "refuse", "spin_dial", "quitter"] {
        let (mut prober, outer) = pair().await;
        let until = Instant::now() + Duration::from_secs(4);
        let server = tokio::spawn(async move {
            let mut session = Session::new(&program(name), Grants::default())
                .await
                .expect("an instance");
            let inner = Stream::gated(Io::Unconnected, &[]);
            session
                .accept(inner, Stream::new(outer))
                .await
                .expect_err("the handshake fails");
            let outer = session.into_outer().expect("the connection comes back");
            quiet(outer, until).await;
        });
        prober.write_all(&[0x16; 5000]).await.expect("sent");
        let mut said = Vec::new();
        within(name, prober.read_to_end(&mut said))
            .await
            .expect("a FIN, no RST");
        assert!(said.is_empty(), "{name} answered");
        assert!(Instant::now() >= until, "{name} closed early");
        drop(prober);
        within(name, server).await.expect("no panic");
    }
}

/// A prober that leaves is let go at once.
#[tokio::test]
async fn a_probers_own_end_closes_at_once() {
    let (mut prober, outer) = pair().await;
    let server = tokio::spawn(quiet(
        Stream::new(outer),
        Instant::now() + Duration::from_secs(3600),
    ));
    prober
        .write_all(b"GET / HTTP/1.1\r\n\r\n")
        .await
        .expect("sent");
    prober.shutdown().await.expect("ended");
    within("the FIN", prober.read_to_end(&mut Vec::new()))
        .await
        .expect("a FIN, no RST");
    within("the close", server).await.expect("no panic");
}
