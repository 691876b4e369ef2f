//! What becomes of a guest: how far it comes, and what the host says of it then.
//!
//! In: a guest's name and the [`Fate`] it must have. Out: nothing; whatever differs panics. Every guest meets
//! real sockets, as a dialer and as a listener, and none may keep them: both far ends see an end.

use crate::tunnel::{load, once, pair, within};
use ouzel::watm::{Io, Program, Role, Session, Stream};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How far a guest comes. The text is a part of what the host says of it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    /// The module is refused before it runs.
    Refused(&'static str),
    /// Its start functions or its initialisation fail.
    Stillborn(&'static str),
    /// Its initialisation waits, and whoever waits for it can leave.
    Unborn,
    /// Its handshake fails.
    Shut(&'static str),
    /// Its worker fails, and both far ends see a reset.
    Fails(&'static str),
    /// Its worker leaves, and both far ends see a clean end.
    Ends,
    /// It goes on when both far ends have left, until the host ends it.
    Stays,
    /// It carries bytes like any other.
    Works,
}

/// A configuration for guests that want one; its first four bytes are no errno.
pub(crate) const CONF: &[u8] = b"configuration of a guest\n";

/// Longer than the host leaves a guest alone with nobody, and its grace, on a busy machine.
const LEFT: Duration = Duration::from_secs(60);

/// How long an initialisation that waits is watched before it is dropped.
const STAY: Duration = Duration::from_millis(300);

/// Holds a guest against its fate in both roles.
pub(crate) async fn meets(name: &str, fate: Fate) {
    let [one, other] = [Role::Dialer, Role::Listener].map(|role| async move {
        let case = format!("{name} as a {}", role.word());
        within(&case, face(name, role, CONF, fate)).await;
    });
    tokio::join!(one, other);
}

/// Holds a guest against its fate in one role.
pub(crate) async fn face(name: &str, role: Role, conf: &[u8], fate: Fate) {
    let program = match (load(name), fate) {
        (Err(error), Fate::Refused(words)) => return says(name, &error, words),
        (Err(error), _) => panic!("{name} {error}"),
        (Ok(_), Fate::Refused(_)) => panic!("{name} was taken"),
        (Ok(program), _) => program,
    };
    let born = begin(&program, conf);
    let session = match fate {
        Fate::Unborn => {
            assert!(timeout(STAY, born).await.is_err(), "{name} did not wait");
            return;
        }
        Fate::Stillborn(words) => {
            let failure = born.await.err().unwrap_or_else(|| panic!("{name} lives"));
            return says(name, &failure, words);
        }
        _ => born
            .await
            .unwrap_or_else(|failure| panic!("{name}: {failure}")),
    };
    let ends = Ends::new().await;
    live(name, role, session, ends, fate).await;
}

fn begin(
    program: &Arc<Program>,
    conf: &[u8],
) -> impl Future<Output = Result<Session, ouzel::error::Failure>> {
    let program = Arc::clone(program);
    let conf: Arc<[u8]> = conf.into();
    async move { Session::new(&program, Some(conf)).await }
}

/// The four sockets of a connection.
struct Ends {
    app: TcpStream,
    inner: TcpStream,
    outer: TcpStream,
    network: TcpStream,
}

impl Ends {
    async fn new() -> Ends {
        let (app, inner) = pair().await;
        let (outer, network) = pair().await;
        Ends {
            app,
            inner,
            outer,
            network,
        }
    }
}

async fn live(name: &str, role: Role, mut session: Session, ends: Ends, fate: Fate) {
    let Ends {
        mut app,
        inner,
        outer,
        mut network,
    } = ends;
    let up = match role {
        Role::Listener => {
            let unconnected = Stream::gated(Io::Unconnected, &[]);
            session.accept(unconnected, Stream::new(outer)).await
        }
        _ => {
            let inner = Stream::gated(Io::Unconnected, &[]);
            session.dial(inner, once(outer)).await
        }
    };
    if let Fate::Shut(words) = fate {
        let failure = up.err().unwrap_or_else(|| panic!("{name} is up"));
        drop((session, inner));
        for end in [&mut app, &mut network] {
            // An end of either kind: what it looks like to a prober is for `misbehaviour` to say.
            let _ = end.read_to_end(&mut Vec::new()).await;
        }
        return says(name, &failure, words);
    }
    up.unwrap_or_else(|failure| panic!("{name}: {failure}"));
    session.inner().attach(inner);
    session.inner().open();
    let mut run = tokio::spawn(session.run());
    // Either may be gone already, which is for the reads below to find.
    let _ = app.write_all(b"from the application").await;
    let _ = network.write_all(b"from the network").await;
    match fate {
        Fate::Works => {
            exchange(name, &mut app, &mut network).await;
            drop((app, network));
        }
        Fate::Stays => {
            drop((app, network));
            // Nobody is left: it is told, has its grace, and is stopped.
            let ended = timeout(LEFT, &mut run).await;
            let ended = ended.unwrap_or_else(|_| panic!("{name} is still there"));
            ended.expect("no panic");
            return;
        }
        _ => {
            let clean = matches!(fate, Fate::Ends);
            if clean {
                // Some wait for it. One that has gone already needs none.
                let _ = app.shutdown().await;
                let _ = network.shutdown().await;
            }
            for end in [&mut app, &mut network] {
                let read = end.read_to_end(&mut Vec::new()).await;
                assert_eq!(read.is_ok(), clean, "{name}: {read:?}");
            }
            drop((app, network));
        }
    }
    let result = run.await.expect("no panic").result;
    match (result, fate) {
        (Err(failure), Fate::Fails(words)) => says(name, &failure, words),
        (Err(failure), _) => panic!("{name}: {failure}"),
        (Ok(()), Fate::Fails(_)) => panic!("{name} ended well"),
        (Ok(()), _) => {}
    }
}

/// Bytes both ways after the greetings that are on their way, then the end of either direction.
async fn exchange(name: &str, app: &mut TcpStream, network: &mut TcpStream) {
    let data: Vec<u8> = (0..100_000u32).map(|n| n.to_le_bytes()[0] ^ 0x5a).collect();
    for up in [true, false] {
        let (from, to, greeting) = match up {
            true => (&mut *app, &mut *network, &b"from the application"[..]),
            false => (&mut *network, &mut *app, &b"from the network"[..]),
        };
        let sending = async {
            from.write_all(&data).await?;
            from.shutdown().await
        };
        let mut got = Vec::new();
        let (sent, read) = tokio::join!(sending, to.read_to_end(&mut got));
        sent.and(read)
            .unwrap_or_else(|error| panic!("{name}, up: {up}: {error}"));
        assert!(
            got.strip_prefix(greeting) == Some(&data),
            "{name}, up: {up}: {} bytes",
            got.len()
        );
    }
}

/// Holds what was said against the words that must be in it.
fn says(name: &str, said: &impl ToString, words: &str) {
    let said = said.to_string();
    assert!(said.contains(words), "{name}: {said}");
    assert!(!said.contains('\n'), "{name}: more than a line: {said}");
}
