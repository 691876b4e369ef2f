//! Both versions of WATM, and every role: who dials, who accepts, and where a module may go by itself.

use crate::tunnel::{dialer, host, listener, once, pair, program, wasm, within};
use ouzel::error::Failure;
use ouzel::net::allow::Allow;
use ouzel::net::dial;
use ouzel::watm::{Abi, Connecting, Dial, Grants, Io, ModuleError, Role, Session, Stream};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const V0: [&str; 2] = ["v0_function", "v0_global"];

/// Bytes both ways through two ends, then the end of one after the other.
pub(crate) async fn passes(mut one: TcpStream, mut other: TcpStream) {
    let sent: Vec<u8> = (0..200_000u32).map(|n| n.to_le_bytes()[0]).collect();
    for turn in 0..2 {
        let (from, to) = if turn == 0 {
            (&mut one, &mut other)
        } else {
            (&mut other, &mut one)
        };
        let (written, got) = tokio::join!(
            async {
                from.write_all(&sent).await?;
                from.shutdown().await
            },
            async {
                let mut got = Vec::new();
                to.read_to_end(&mut got).await.map(|_| got)
            }
        );
        written.expect("sent");
        assert!(got.expect("received") == sent, "turn {turn}");
    }
}

#[tokio::test]
pub(crate) async fn v0_modules_dial_and_accept() {
    for name in V0 {
        let (app, network, dialling) = within(name, dialer(name, None)).await.expect("dialled");
        let (relay, accepting) = within(name, listener(name, network, None))
            .await
            .expect("accepted");
        let dialling = tokio::spawn(dialling.run());
        let accepting = tokio::spawn(accepting.run());
        within(name, passes(app, relay)).await;
        for session in [dialling, accepting] {
            let outcome = within(name, session).await.expect("no panic");
            outcome.result.expect("it ended well");
            assert_eq!(outcome.from_inner, 200_000);
            assert_eq!(outcome.from_outer, 200_000);
        }
    }
}

#[tokio::test]
async fn a_v0_module_pulls_its_configuration() {
    for name in V0 {
        let (_app, mut network, session) = within(name, dialer(name, Some(b"hello")))
            .await
            .expect("dialled");
        tokio::spawn(session.run());
        let mut said = [0; 5];
        within(name, network.read_exact(&mut said))
            .await
            .expect("said");
        assert_eq!(&said, b"hello");
    }
}

#[tokio::test]
async fn the_rust_sdk_s_errors_are_shown_in_both_readings() {
    let refused = |name| async move { dialer(name, Some(b"refuse")).await.err().expect("refused") };
    let of_rust = refused("v0_global").await.to_string();
    assert!(
        of_rust.contains("InvalidConfig") && of_rust.contains("EADDRINUSE (-3)"),
        "{of_rust}"
    );
    let of_tinygo = refused("v0_function").await.to_string();
    assert!(
        !of_tinygo.contains("InvalidConfig") && of_tinygo.contains("(-3)"),
        "{of_tinygo}"
    );
}

#[test]
fn versions_and_roles_are_told() {
    let v0 = program("v0_global");
    assert_eq!(v0.abi(), Abi::V0 { own_errors: true });
    assert_eq!(v0.roles(), [Role::Dialer, Role::Listener, Role::Relay]);
    assert!(matches!(
        v0.supports(Role::FixedDialer),
        Err(ModuleError::NoSuchRole(..))
    ));
    let v1 = program("roaming");
    assert_eq!(v1.abi(), Abi::V1);
    assert_eq!(v1.roles(), [Role::FixedDialer, Role::Relay]);
    let error = v1.supports(Role::Dialer).expect_err("it is no dialer");
    assert!(error.to_string().contains("watm_dial_v1"), "{error}");
}

#[tokio::test]
async fn relays_of_both_versions_pass_a_connection_on() {
    for name in ["v0_function", "v0_global", "roaming"] {
        let (client, incoming) = pair().await;
        let (onward, server) = pair().await;
        let mut session = Session::new(&program(name), Grants::default())
            .await
            .expect("made");
        let up = session.associate(Stream::new(incoming), Some(once(onward)), None);
        within(name, up).await.expect("associated");
        let session = tokio::spawn(session.run());
        within(name, passes(client, server)).await;
        let outcome = within(name, session).await.expect("no panic");
        outcome.result.expect("it ended well");
    }
}

#[tokio::test]
async fn a_relay_that_cannot_go_on_gives_the_connection_back() {
    let (mut client, incoming) = pair().await;
    let mut session = Session::new(&program("roaming"), Grants::default())
        .await
        .expect("made");
    let refused: ouzel::watm::Connect = Box::new(|| Box::pin(async { Err(Failure::Refused) }));
    let failure = session
        .associate(Stream::new(incoming), Some(refused), None)
        .await
        .expect_err("nobody is there");
    assert_eq!(failure, Failure::Refused);
    let back = session.into_outer().expect("the connection");
    client.write_all(b"still here").await.expect("sent");
    drop(back);
}

#[tokio::test]
async fn a_relay_that_has_no_descriptor_left_has_not_dialled() {
    let (_client, incoming) = pair().await;
    let (onward, _server) = pair().await;
    let mut session = Session::new(&program("roaming"), Some(b"hoard".as_slice().into()))
        .await
        .expect("made");
    let failure = session
        .associate(Stream::new(incoming), Some(once(onward)), None)
        .await
        .expect_err("there was no room for what it dialled");
    assert!(failure.to_string().contains("dial on"), "{failure}");
    session.into_outer().expect("the connection that came in");
}

/// A way that notes what a module asks for and goes there as far as the rules let it.
pub(crate) fn ruled(rules: &[&str]) -> (Dial, Arc<Mutex<Vec<String>>>) {
    let allow = Allow::new(
        rules
            .iter()
            .map(|rule| rule.parse().expect("a rule"))
            .collect(),
    );
    let allow = Arc::new(allow);
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let noted = Arc::clone(&asked);
    let dial: Dial = Box::new(move |network, address| -> Connecting {
        noted
            .lock()
            .expect("not poisoned")
            .push(format!("{network} {address}"));
        let allow = Arc::clone(&allow);
        Box::pin(async move {
            let dial = dial::Dial::default();
            let connected = dial.connect_allowed(&network, &address, &allow).await;
            connected.map(Io::from)
        })
    });
    (dial, asked)
}

async fn roam(conf: &str, rules: &[&str]) -> (Result<TcpStream, Failure>, Vec<String>) {
    let (app, inner) = pair().await;
    let (dial, asked) = ruled(rules);
    let mut session = Session::new(&program("roaming"), Some(conf.as_bytes().into()))
        .await
        .expect("made");
    let up = within(
        "the dial",
        session.dial_fixed(Stream::gated(inner, &[]), dial),
    )
    .await;
    let result = up.map(|()| {
        session.inner().open();
        tokio::spawn(session.run());
        app
    });
    let asked = asked.lock().expect("not poisoned").clone();
    (result, asked)
}

#[tokio::test]
pub(crate) async fn a_module_goes_where_the_rules_let_it_and_nowhere_else() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let at = listener.local_addr().expect("bound");
    let conf = format!("tcp {at}");
    let (up, asked) = roam(&conf, &[&format!("127.0.0.0/8:{}", at.port())]).await;
    let app = up.expect("allowed");
    assert_eq!(asked, std::slice::from_ref(&conf));
    let (far, _) = listener.accept().await.expect("accepted");
    within("bytes", passes(app, far)).await;
    for rules in [&[][..], &["127.0.0.1:1"], &["*.example.org:*"]] {
        let (refused, _) = roam(&conf, rules).await;
        assert_eq!(refused.err(), Some(Failure::NotAllowed), "{rules:?}");
    }
    // A name that leads to this machine needs the address to be allowed as well.
    let named = format!("tcp localhost:{}", at.port());
    let (refused, _) = roam(&named, &["localhost:*"]).await;
    assert_eq!(refused.err(), Some(Failure::NotAllowed));
    let (up, _) = roam(&named, &["localhost:*", "127.0.0.1:*"]).await;
    up.expect("allowed both ways");
}

#[tokio::test]
async fn what_is_no_tcp_address_is_refused() {
    for conf in [
        "udp 127.0.0.1:9",
        "tcp6 127.0.0.1:9",
        "tcp nowhere",
        "tcp a:b:c",
    ] {
        let (refused, asked) = roam(conf, &["*:*"]).await;
        assert!(matches!(refused, Err(Failure::Module(_))), "{conf}");
        assert_eq!(asked.len(), 1);
    }
    // Longer than a name may be: the host does not even hear of it.
    let long = format!("tcp {}:9", "a".repeat(256));
    let (refused, asked) = roam(&long, &["*:*"]).await;
    let failure = refused.expect_err("refused").to_string();
    assert!(failure.contains("EINVAL") && asked.is_empty(), "{failure}");
}

#[test]
pub(crate) fn versions_that_only_look_like_watm_are_named() {
    let artefact = host().compile(&wasm("final_v1")).expect("it compiles");
    let error = host().load(&artefact).err().expect("it is refused");
    assert!(error.to_string().contains("draft"), "{error}");
}
