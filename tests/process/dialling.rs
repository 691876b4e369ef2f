//! What a client does between the CONNECT and its reply: the dial, the codes of its failures, the source address.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::support::deadline::{soon, within};
use crate::support::pt::{Launch, Pt};
use crate::support::socks::{Raw, Refusal, Target, open};
use crate::support::strace::Traced;

async fn client(adjust: impl Fn(Launch) -> Launch) -> (Pt, SocketAddr) {
    let pt = adjust(Launch::client("plain")).ready().await;
    let addr = pt.method("plain").await.addr;
    (pt, addr)
}

/// A listener whose queue is full swallows further SYNs: a black hole without a network.
struct BlackHole {
    addr: SocketAddr,
    _listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl BlackHole {
    async fn open() -> BlackHole {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let addr = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        while let Ok(Ok(stream)) =
            tokio::time::timeout(Duration::from_millis(500), TcpStream::connect(addr)).await
        {
            waiting.push(stream);
        }
        BlackHole {
            addr,
            _listener: listener,
            _waiting: waiting,
        }
    }
}

/// A CONNECT to the hole, which is not answered before the dial times out.
async fn asked_for(hole: &BlackHole, socks: SocketAddr) -> Raw {
    let mut raw = Raw::to(socks).await;
    raw.send(&[5, 1, 0]).await;
    raw.take(2).await.unwrap();
    raw.send(&Target::from(hole.addr).connect()).await;
    raw
}

/// An address where nobody listens.
async fn refusing() -> SocketAddr {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    gone.local_addr().unwrap()
}

#[tokio::test]
async fn a_refused_connection_is_reply_05_and_a_log_line_says_why() {
    let (pt, socks) = client(|launch| launch).await;
    let target = refusing().await;
    let refusal = open(socks, &target.into(), b"").await.unwrap_err();
    assert_eq!(refusal, Refusal::Reply(5));
    let line = pt.logs(&["refused"]).await;
    assert!(line.starts_with("LOG SEVERITY="), "{line}");
    assert!(!line.contains("127.0.0.1"), "scrubbed: {line}");
    pt.assert_quiet_after_done();
}

#[tokio::test]
async fn an_unreachable_network_is_reply_03() {
    let (pt, socks) = client(|launch| launch).await;
    // The kernel never sends a TCP segment to a multicast group: ENETUNREACH on any machine.
    let target: SocketAddr = "224.0.0.1:443".parse().unwrap();
    let refusal = open(socks, &target.into(), b"").await.unwrap_err();
    assert_eq!(refusal, Refusal::Reply(3));
    pt.logs(&["unreachable"]).await;
}

#[tokio::test]
async fn a_connection_that_nobody_answers_is_reply_06() {
    let (pt, socks) = client(|launch| launch).await;
    let hole = BlackHole::open().await;
    let mut raw = asked_for(&hole, socks).await;
    let reply = raw.take_within(Duration::from_secs(90), 10).await.unwrap();
    assert_eq!(reply[1], 6, "{reply:?}");
    pt.logs(&["timed out"]).await;
}

/// tor gives up sooner than a dial does; what it left behind must not keep others out.
#[tokio::test]
async fn an_application_that_leaves_during_the_dial_makes_room_at_once() {
    let (pt, socks) = client(|launch| launch.arg("--max-connections").arg("1")).await;
    let hole = BlackHole::open().await;
    let left = asked_for(&hole, socks).await;
    let target = refusing().await.into();
    let full = open(socks, &target, b"").await.unwrap_err();
    assert_eq!(full, Refusal::Reply(1), "the only slot is taken");
    drop(left);
    within(Duration::from_secs(10), "room for another", async {
        while open(socks, &target, b"").await.unwrap_err() != Refusal::Reply(5) {}
    })
    .await;
    pt.logs(&["the application left"]).await;
}

#[tokio::test]
async fn a_dialled_connection_is_given_up_when_the_application_leaves() {
    let (_pt, socks) = client(|launch| launch).await;
    let far = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = open(socks, &far.local_addr().unwrap().into(), b"")
        .await
        .unwrap();
    let (mut stream, _) = soon("the far end", far.accept()).await.unwrap();
    drop(near);
    let mut rest = Vec::new();
    soon(
        "the end",
        tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest),
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn the_outbound_bind_address_is_the_source_of_connections() {
    let launch = Launch::client("plain").set("TOR_PT_OUTBOUND_BIND_ADDRESS_V4", "127.0.0.9");
    let traced = Traced::ready(launch, &["-e", "trace=bind,connect"]).await;
    let socks = traced.pt.method("plain").await.addr;
    // The kernel sends nothing from a loopback address to another machine: it says no, and nothing leaves.
    let target: SocketAddr = "192.0.2.77:443".parse().unwrap();
    open(socks, &target.into(), b"").await.unwrap_err();
    let calls = traced.calls().await;
    let fd_of = |name: &str, address: &str| {
        let address = format!("inet_addr(\"{address}\")");
        let call = calls
            .iter()
            .position(|call| call.starts_with(name) && call.contains(&address))
            .unwrap_or_else(|| panic!("no {name} {address} in {calls:?}"));
        let fd = calls[call].split(['(', ',']).nth(1).unwrap().to_owned();
        (call, fd)
    };
    let (bind, bound) = fd_of("bind(", "127.0.0.9");
    let (connect, connected) = fd_of("connect(", "192.0.2.77");
    assert!(bind < connect && bound == connected, "{calls:?}");
}

#[tokio::test]
async fn the_outbound_bind_address_does_not_count_on_loopback() {
    // Neither address is this machine's.
    let (_pt, socks) = client(|launch| {
        launch
            .set("TOR_PT_OUTBOUND_BIND_ADDRESS_V4", "198.51.100.7")
            .set("TOR_PT_OUTBOUND_BIND_ADDRESS_V6", "[2001:db8::7]")
    })
    .await;
    for loopback in ["127.0.0.1:0", "127.77.0.1:0", "[::1]:0"] {
        let far = TcpListener::bind(loopback).await.unwrap();
        let target = far.local_addr().unwrap();
        let _near = open(socks, &target.into(), b"").await.unwrap();
        let (_, from) = soon("the far end", far.accept()).await.unwrap();
        assert!(from.ip().is_loopback(), "{from}");
    }
}

#[tokio::test]
async fn a_bind_address_that_is_not_ours_fails_the_connection_alone() {
    let (mut pt, socks) = client(|launch| {
        launch
            .set("TOR_PT_OUTBOUND_BIND_ADDRESS_V4", "198.51.100.7")
            .set("TOR_PT_OUTBOUND_BIND_ADDRESS_V6", "[2001:db8::7]")
    })
    .await;
    // Binding fails, so nothing leaves.
    for target in ["192.0.2.77:443", "[2001:db8::77]:443"] {
        let target: SocketAddr = target.parse().unwrap();
        let refusal = open(socks, &target.into(), b"").await.unwrap_err();
        assert_eq!(refusal, Refusal::Reply(1), "{target}");
    }
    pt.logs(&["bind address", "OutboundBindAddressPT"]).await;
    pt.assert_runs();
}

#[tokio::test]
async fn arguments_beside_a_configuration_that_takes_none_are_refused_after_the_connect() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("plain.conf");
    std::fs::write(&config, "not json").unwrap();
    let (pt, socks) = client(|launch| {
        launch
            .arg("--config")
            .arg(format!("plain={}", config.display()))
    })
    .await;
    let far = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = far.local_addr().unwrap().into();
    let refusal = open(socks, &target, b"sesame=open").await.unwrap_err();
    assert_eq!(refusal, Refusal::Reply(1));
    let line = pt.logs(&["arguments"]).await;
    assert!(
        !line.contains("sesame") && !line.contains("open"),
        "no arguments in logs: {line}"
    );
    within(
        Duration::from_secs(20),
        "without arguments it works",
        open(socks, &target, b""),
    )
    .await
    .unwrap();
}
