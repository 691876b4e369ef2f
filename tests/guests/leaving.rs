//! Nobody is left, or the host wants the end: whatever a guest waits for, its connection does not outlive that.

use crate::tunnel::{Tunnel, dialer, once, pair, program, tunnel, within};
use ouzel::error::Failure;
use ouzel::watm::{Connecting, Grants, Session, Stream};
use socket2::SockRef;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Closes with a RST.
fn reset(socket: TcpStream) {
    SockRef::from(&socket)
        .set_linger(Some(Duration::ZERO))
        .expect("set");
}

/// A guest that looks at neither end: it is told to end when both are over, and stopped when it does not.
async fn ends_after(name: &str, resets: bool, said: &[u8]) -> Result<(), Failure> {
    let (mut app, mut network, session) = dialer(name, None).await.expect("the handshake");
    let run = tokio::spawn(session.run());
    app.write_all(said).await.expect("sent");
    network.write_all(said).await.expect("sent");
    if resets {
        reset(app);
        reset(network);
        within(name, run).await.expect("no panic").result
    } else {
        app.shutdown().await.expect("ended");
        network.shutdown().await.expect("ended");
        let result = within(name, run).await.expect("no panic").result;
        drop((app, network));
        result
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn a_guest_for_whom_nobody_is_left_is_told_to_end() {
    let (ended, reset, unread) = tokio::join!(
        ends_after("obedient", false, b""),
        ends_after("obedient", true, b""),
        ends_after("obedient", false, b"never read"),
    );
    assert_eq!(ended, Ok(()));
    assert!(
        matches!(reset, Ok(()) | Err(Failure::Broken(_))),
        "{reset:?}"
    );
    assert_eq!(unread, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn a_guest_that_does_not_end_when_it_is_told_to_is_stopped() {
    let stopped = Err(Failure::Overstayed(5));
    let (ended, reset, unread) = tokio::join!(
        ends_after("deaf", false, b""),
        ends_after("deaf", true, b""),
        ends_after("deaf", false, b"never read"),
    );
    assert_eq!(
        (ended, reset, unread),
        (stopped.clone(), stopped.clone(), stopped)
    );
}

/// More than is read ahead, and no more than a socket holds, hides an end for a while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_behind_many_unread_bytes_is_found() {
    let unread = ends_after("obedient", false, &[7; 90_000]).await;
    assert_eq!(unread, Ok(()));
}

/// The host's own wish: it does not depend on what the guest waits for, nor on whether it waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_hosts_word_is_final() {
    let (_app, _network, session) = dialer("deaf", None).await.expect("the handshake");
    session.control().stop();
    let result = within("a deaf guest", session.run()).await.result;
    assert_eq!(result, Err(Failure::Overstayed(5)));
}

/// One end is enough to live: half-closed connections are not touched.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_half_closed_connection_lives_on() {
    let Tunnel {
        mut app,
        mut relay,
        dialer,
        listener,
    } = tunnel("plain").await;
    within("half a connection", async {
        app.shutdown().await.expect("half-closed");
        assert_eq!(relay.read(&mut [0]).await.expect("the end arrives"), 0);
        // Longer than a guest is left alone with two ends that are over, and its grace.
        tokio::time::sleep(Duration::from_secs(17)).await;
        relay.write_all(b"late").await.expect("sent");
        let mut late = [0; 4];
        app.read_exact(&mut late).await.expect("arrived");
        drop(relay);
        assert_eq!(app.read(&mut late).await.expect("the end arrives"), 0);
        for end in [dialer, listener] {
            end.await.expect("no panic").result.expect("a clean end");
        }
    })
    .await;
}

/// Somebody at the network's end who stays and keeps silent must not hold a slot for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_after_an_applications_end_is_not_waited_for_for_ever() {
    let (mut app, network, session) = dialer("plain", None).await.expect("the handshake");
    let run = tokio::spawn(session.run());
    app.shutdown().await.expect("half-closed");
    let ended = timeout(Duration::from_secs(90), run).await;
    let result = ended.expect("in time").expect("no panic").result;
    assert_eq!(result, Ok(()), "it was told to end");
    drop((app, network));
}

/// The same for a guest that does not look.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_end_keeps_a_guest_that_looks_at_none() {
    let (app, network, session) = dialer("obedient", None).await.expect("the handshake");
    let mut run = tokio::spawn(session.run());
    reset(app);
    let ended = timeout(Duration::from_secs(17), &mut run).await;
    assert!(ended.is_err(), "the network is still there");
    drop(network);
    within("the end", run)
        .await
        .expect("no panic")
        .result
        .expect_err("one end broke");
}

/// A dial that goes nowhere, for an application that leaves.
async fn dial_of(leave: impl AsyncFnOnce(TcpStream), answers: bool) -> Option<Failure> {
    let (app, inner) = pair().await;
    let mut session = Session::new(&program("plain"), Grants::default())
        .await
        .expect("an instance");
    let mut inner = Stream::gated(inner, &[]);
    if answers {
        inner.await_answer();
    }
    let nowhere = || -> Connecting { Box::pin(std::future::pending()) };
    let dialling = async {
        let up = session.dial(inner, Box::new(nowhere));
        timeout(Duration::from_secs(3), up).await.ok()
    };
    let (dialled, ()) = tokio::join!(dialling, leave(app));
    dialled.map(|dialled| dialled.expect_err("nobody is there"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_that_leaves_during_a_dial_ends_it() {
    let resets = async |app| reset(app);
    let talks_and_resets = async |mut app: TcpStream| {
        app.write_all(b"early").await.expect("sent");
        tokio::time::sleep(Duration::from_millis(200)).await;
        reset(app);
    };
    let leaves = async |app| drop(app);
    assert_eq!(dial_of(resets, false).await, Some(Failure::Left));
    assert_eq!(dial_of(talks_and_resets, true).await, Some(Failure::Left));
    assert_eq!(dial_of(leaves, true).await, Some(Failure::Left));
}

/// An application that has sent all it has to send may say so before it is answered, and one that nobody answers may end
/// before it hears anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_that_has_said_everything_has_not_left() {
    let half_closes = async |mut app: TcpStream| {
        app.write_all(b"all of it").await.expect("sent");
        app.shutdown().await.expect("half-closed");
        tokio::time::sleep(Duration::from_secs(4)).await;
    };
    let listens = async |mut app: TcpStream| {
        app.shutdown().await.expect("half-closed");
        tokio::time::sleep(Duration::from_secs(4)).await;
    };
    let (half_closes, listens) = tokio::join!(dial_of(half_closes, true), dial_of(listens, false));
    assert_eq!((half_closes, listens), (None, None));
}

/// What came before the transport was up is not lost by looking.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn early_bytes_survive_being_looked_at() {
    let (mut app, inner) = pair().await;
    let (outer, mut network) = pair().await;
    let mut session = Session::new(&program("plain"), Grants::default())
        .await
        .expect("an instance");
    app.write_all(&[9; 100_000]).await.expect("sent");
    let connect = once(outer);
    let slow = move || -> Connecting {
        let connecting = connect();
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(300)).await;
            connecting.await
        })
    };
    let up = session.dial(Stream::gated(inner, &[]), Box::new(slow));
    within("the handshake", up).await.expect("it is up");
    session.inner().open();
    let run = tokio::spawn(session.run());
    let mut got = vec![0; 100_000];
    within("the bytes", network.read_exact(&mut got))
        .await
        .expect("all of them");
    assert!(got.iter().all(|&byte| byte == 9));
    drop((app, network));
    within("the end", run)
        .await
        .expect("no panic")
        .result
        .expect("a clean end");
}
