//! Guests whose point takes more than a fate to see: what they answer, what they dial, what they leave unread.

use crate::assembly::module_of;
use crate::fate::{Fate, face};
use crate::tunnel::{dialer, host, pair, program, within};
use crate::versions::ruled;
use ouzel::error::Failure;
use ouzel::watm::{Connect, Grants, Role, Session, Stream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;

/// Errnos of every sort: of preview1, beyond its list, and what no errno can be.
const ERRNOS: [i32; 9] = [-1, -6, -28, -63, -76, -77, -1000, -70_000, i32::MIN];

async fn answers(name: &str, number: i32, fate: Fate) {
    for role in [Role::Dialer, Role::Listener] {
        let case = format!("{name}: {number}");
        within(&case, face(name, role, &number.to_le_bytes(), fate)).await;
    }
}

#[tokio::test]
pub(crate) async fn an_initialisation_may_answer_anything() {
    answers("init_answers", 0, Fate::Works).await;
    for number in ERRNOS {
        answers("init_answers", number, Fate::Stillborn("configuration")).await;
    }
    for number in [1, 29, i32::MAX] {
        answers("init_answers", number, Fate::Stillborn("configuration")).await;
    }
    answers("init_answers", -28, Fate::Stillborn("EINVAL")).await;
}

#[tokio::test]
pub(crate) async fn a_handshake_may_answer_anything() {
    for number in ERRNOS {
        answers("dial_answers", number, Fate::Shut("")).await;
    }
    answers("dial_answers", -6, Fate::Shut("EAGAIN")).await;
    answers(
        "dial_answers",
        -63,
        Fate::Shut("no transport for this role"),
    )
    .await;
    // The standard streams, the configuration, the application's fd, one that comes later, and none.
    for number in [0, 1, 2, 3, 4, 7, 63, 64, 4096, i32::MAX] {
        answers("dial_answers", number, Fate::Shut("was not given")).await;
    }
}

#[tokio::test]
pub(crate) async fn a_worker_may_answer_anything() {
    for number in [0, -11, -64] {
        answers("worker_answers", number, Fate::Ends).await;
    }
    for number in ERRNOS.into_iter().chain([1, 29, i32::MAX]) {
        answers("worker_answers", number, Fate::Fails("the module gave up")).await;
    }
    answers("worker_answers", -15, Fate::Fails("ECONNRESET")).await;
}

/// Of what a module names, only text of a sane length reaches whoever decides, and only the allowed is dialled.
#[tokio::test]
pub(crate) async fn nonsense_is_not_dialled() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let at = listener.local_addr().expect("bound").to_string();
    let (app, inner) = pair().await;
    let (dial, asked) = ruled(&["127.0.0.1:*"]);
    let conf: Arc<[u8]> = at.as_bytes().into();
    let mut session = Session::new(&program("dials_nonsense"), Some(conf))
        .await
        .expect("an instance");
    let up = session.dial_fixed(Stream::gated(inner, &[]), dial);
    within("the dials", up).await.expect("the last one is good");
    let named = asked.lock().expect("not poisoned").clone();
    let expected = [
        "udp 192.0.2.1:80",
        "unix /run/socket",
        " 192.0.2.1:80",
        "tcp ",
        "tcp 192.0.2.1:80\0.example:80",
        &format!("tcp {at}"),
    ];
    assert_eq!(named, expected);
    drop((app, session));
}

/// A module cannot make the host hammer on a bridge that refuses it.
#[tokio::test]
pub(crate) async fn redialling_has_an_end() {
    static DIALS: AtomicU32 = AtomicU32::new(0);
    let (_app, inner) = pair().await;
    let connect: Connect = Box::new(|| {
        DIALS.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Err(Failure::Refused) })
    });
    let mut session = Session::new(&program("redials"), Grants::default())
        .await
        .expect("an instance");
    let up = session.dial(Stream::gated(inner, &[]), connect);
    let failure = within("the dials", up).await.expect_err("it is refused");
    assert_eq!(failure, Failure::Stuck);
    let dials = DIALS.load(Ordering::Relaxed);
    assert!((1..=16).contains(&dials), "{dials} dials");
}

/// What a guest does not read, the sender keeps: the host's memory does not grow with it.
#[tokio::test]
pub(crate) async fn a_guest_that_never_reads_holds_the_sender() {
    const MOST: usize = 64 << 20;
    let (mut app, mut network, session) = dialer("never_reads", None).await.expect("the handshake");
    let control = session.control();
    let run = tokio::spawn(session.run());
    for end in [&mut app, &mut network] {
        let mut sent = 0;
        while sent < MOST {
            // What takes this long has been held.
            match timeout(Duration::from_millis(500), end.write(&[1; 64 << 10])).await {
                Ok(written) => sent += written.expect("no reset"),
                Err(_) => break,
            }
        }
        assert!(sent < MOST, "{sent} bytes were taken from the sender");
    }
    control.stop();
    // It leaves at once, with what it did not read unread.
    within("its end", async {
        let (mut one, mut other) = (Vec::new(), Vec::new());
        let (one, other) = tokio::join!(app.read_to_end(&mut one), network.read_to_end(&mut other));
        one.and(other).expect_err("cut off");
        let outcome = run.await.expect("no panic");
        assert_eq!(outcome.result, Err(Failure::Stopped));
    })
    .await;
}

/// Calls in a row meet no loop, and so no epoch; others on the thread get their turn all the same.
#[tokio::test]
async fn a_long_row_of_calls_lets_others_in() {
    const CALLS: usize = 200;
    let row = "(drop (call $random_get (i32.const 0) (i32.const 65536)))".repeat(CALLS);
    let source = format!("(func $init (result i32) {row} (i32.const 0))");
    let artefact = host()
        .compile(&module_of(&source))
        .expect("the guest compiles");
    let program = Arc::new(host().load(&artefact).expect("the guest loads"));
    let turns = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&turns);
    let neighbour = tokio::spawn(async move {
        loop {
            counted.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    });
    let made = within("the row", Session::new(&program, Grants::default())).await;
    made.map(drop).expect("an instance");
    neighbour.abort();
    let turns = turns.load(Ordering::Relaxed);
    assert!(turns as usize >= CALLS, "only {turns} turns of a neighbour");
}
