//! The same transport in other languages: `plain` in standard Go, whose runtime waits by itself, and in C, whose libc
//! does. Both in every role, with the same demands as our own guests meet.

use crate::bytes::{MIB, down, echo, up};
use crate::ends::{assert_idle, reply_after_fin};
use crate::tunnel::{dialer, listener, once, pair, program, within};
use crate::versions::{passes, ruled};
use ouzel::error::Failure;
use ouzel::watm::{Abi, Grants, Role, Session, Stream};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const REMEDY: &str = "run `make languages`";

/// The file of a guest (`go/plain`), which must not be older than what it is made of.
pub(crate) fn built(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = root.join("target/guests").join(format!("{name}.wasm"));
    let changed = |path: &Path| -> SystemTime {
        let metadata = path.metadata().and_then(|metadata| metadata.modified());
        metadata.unwrap_or_else(|error| panic!("{}: {error}; {REMEDY}", path.display()))
    };
    let of_file = changed(&file);
    let language = name.split('/').next().expect("a name has a first part");
    for folder in ["watm", "watm/test-guests"] {
        let Ok(sources) = std::fs::read_dir(root.join(folder).join(language)) else {
            continue;
        };
        for source in sources {
            let source = source.expect("its sources").path();
            assert!(
                changed(&source) <= of_file,
                "{} is older than {}; {REMEDY}",
                file.display(),
                source.display()
            );
        }
    }
    file
}

/// A relay's incoming connection and its onward one, as their far ends see them.
async fn relay(name: &str) -> (TcpStream, TcpStream, Session) {
    let (client, incoming) = pair().await;
    let (onward, server) = pair().await;
    let mut session = Session::new(&program(name), Grants::default())
        .await
        .expect("made");
    let up = session.associate(Stream::new(incoming), Some(once(onward)), None);
    within(name, up).await.expect("associated");
    (client, server, session)
}

/// A dialer or a relay that is configured with where to go, and let go there by a rule.
async fn goes_by_itself(name: &str, role: Role) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let at = listener.local_addr().expect("bound");
    for (rule, allowed) in [("127.0.0.1:1", false), ("127.0.0.0/8:*", true)] {
        let conf = format!("tcp {at}\n");
        let (near, far) = pair().await;
        let (dial, asked) = ruled(&[rule]);
        let mut session = Session::new(&program(name), Some(conf.as_bytes().into()))
            .await
            .expect("made");
        let up = within(name, async {
            match role {
                Role::Relay => session.associate(Stream::new(far), None, Some(dial)).await,
                _ => session.dial_fixed(Stream::gated(far, &[]), dial).await,
            }
        })
        .await;
        assert_eq!(
            *asked.lock().expect("not poisoned"),
            [conf.trim_end().to_owned()]
        );
        if !allowed {
            assert_eq!(up, Err(Failure::NotAllowed), "{name}, {role:?}");
            continue;
        }
        up.unwrap_or_else(|failure| panic!("{name}, {role:?}: {failure}"));
        session.inner().open();
        let session = tokio::spawn(session.run());
        let (beyond, _) = listener.accept().await.expect("accepted");
        within(name, passes(near, beyond)).await;
        let outcome = within(name, session).await.expect("no panic");
        outcome.result.expect("it ended well");
    }
}

/// A reset of one end reaches the other: a stream that broke must not look complete.
async fn a_reset_is_passed_on(name: &str) {
    let (app, mut network, session) = dialer(name, None).await.expect("dialled");
    let session = tokio::spawn(session.run());
    socket2::SockRef::from(&app)
        .set_linger(Some(Duration::ZERO))
        .expect("set");
    drop(app);
    let end = within(name, network.read(&mut [0])).await;
    assert!(end.is_err(), "{name}: a reset became an end: {end:?}");
    let outcome = within(name, session).await.expect("no panic");
    assert!(outcome.result.is_err(), "{name}");
}

/// The host's word ends a worker that waits for two silent ends.
async fn the_host_cancels(name: &str) {
    let (mut app, mut network, session) = dialer(name, None).await.expect("dialled");
    let control = session.control();
    let session = tokio::spawn(session.run());
    app.write_all(b"x").await.expect("sent");
    within(name, network.read_exact(&mut [0]))
        .await
        .expect("arrived");
    control.stop();
    let outcome = within(name, session).await.expect("no panic");
    assert_eq!(outcome.result, Err(Failure::Stopped), "{name} was cut off");
}

macro_rules! languages {
    ($($language:ident: $name:literal),*) => {$(
        mod $language {
            use super::*;

            #[test]
            fn every_role_is_there() {
                let program = program($name);
                assert_eq!(program.abi(), Abi::V1);
                assert_eq!(program.roles(), Role::ALL);
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn bulk_is_exact() {
                up($name, 128 * MIB, None).await;
                down($name, 128 * MIB).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn a_slow_reader_loses_nothing() {
                up($name, 16 * MIB, Some(Duration::from_millis(1))).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn full_duplex_does_not_deadlock() {
                echo($name, 64 * MIB).await;
            }

            #[tokio::test]
            async fn half_an_end_is_passed_on() {
                reply_after_fin($name).await;
            }

            #[tokio::test]
            async fn a_relay_passes_a_connection_on() {
                let (client, server, session) = relay($name).await;
                let session = tokio::spawn(session.run());
                within($name, passes(client, server)).await;
                let outcome = within($name, session).await.expect("no panic");
                outcome.result.expect("it ended well");
            }

            #[tokio::test]
            async fn it_goes_where_its_configuration_says() {
                goes_by_itself($name, Role::FixedDialer).await;
                goes_by_itself($name, Role::Relay).await;
            }

            #[tokio::test]
            async fn a_configuration_that_leads_nowhere_is_refused() {
                let (_near, far) = pair().await;
                let (dial, asked) = ruled(&["*:*"]);
                let mut session = Session::new(&program($name), Some(b"nowhere".as_slice().into()))
                    .await
                    .expect("made");
                let refused = session.dial_fixed(Stream::gated(far, &[]), dial).await;
                let failure = refused.expect_err("refused").to_string();
                assert!(failure.contains("EINVAL"), "{failure}");
                assert!(asked.lock().expect("not poisoned").is_empty());
            }

            /// Our own transport at the other end, both ways around.
            #[tokio::test]
            async fn it_understands_our_own_plain() {
                for (near, far) in [($name, "plain"), ("plain", $name)] {
                    let (app, network, dialling) = dialer(near, None).await.expect("dialled");
                    let (relay, accepting) = listener(far, network, None).await.expect("accepted");
                    let dialling = tokio::spawn(dialling.run());
                    let accepting = tokio::spawn(accepting.run());
                    within($name, passes(app, relay)).await;
                    for session in [dialling, accepting] {
                        let outcome = within($name, session).await.expect("no panic");
                        outcome.result.expect("it ended well");
                    }
                }
            }

            #[tokio::test]
            async fn a_broken_end_does_not_look_complete() {
                a_reset_is_passed_on($name).await;
            }

            #[tokio::test]
            async fn it_ends_when_it_is_told() {
                the_host_cancels($name).await;
            }

            #[cfg(target_os = "linux")]
            #[test]
            fn an_idle_connection_wakes_nobody() {
                assert_idle($name);
            }
        }
    )*};
}

languages!(go: "go/plain", c: "c/plain");

/// Go without `-buildmode=c-shared` makes a command: its `_start` runs `main` and exits, and its exports work here all
/// the same.
#[tokio::test]
async fn go_s_commands_are_used_too() {
    reply_after_fin("go/command").await;
}

#[tokio::test]
async fn a_program_that_runs_by_itself_is_told_how_to_be_built() {
    let failure = dialer("go/waiting", None).await.err().expect("it exited");
    let text = failure.to_string();
    assert!(
        text.contains("code 2 in _start") && text.contains("-buildmode=c-shared"),
        "{text}"
    );
}
