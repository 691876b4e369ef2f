//! The way from a server to its bridge: ORPort and Extended ORPort (ext-orport-spec, pt-spec 3.2.3).

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;

use crate::support::deadline::{soon, stays_pending, within};
use crate::support::orport::{ExtOrPort, OrPort, Script, answer, frame};
use crate::support::pt::{Launch, Pt};
use crate::support::socks::Raw;

/// The limit for the whole exchange is 5 s; a busy machine gets some more, a broken program does not.
const LIMIT: Duration = Duration::from_secs(15);

/// A refusal reaches the client by the rule for failures before the transport is up or at once; both end within this.
const CLOSED: Duration = Duration::from_secs(75);

fn launch(ext: &ExtOrPort, orport: SocketAddr) -> Launch {
    Launch::server("plain", orport)
        .set("TOR_PT_EXTENDED_SERVER_PORT", ext.addr().to_string())
        .set("TOR_PT_AUTH_COOKIE_FILE", ext.cookie_file())
}

/// A server of `plain` before an Extended ORPort.
async fn server(ext: &ExtOrPort) -> (Pt, SocketAddr) {
    let pt = launch(ext, "127.0.0.1:9".parse().unwrap()).ready().await;
    let addr = pt.method("plain").await.addr;
    (pt, addr)
}

/// Asserts that the client hears nothing and that its connection ends, and then that the server still serves.
async fn assert_turned_away(mut client: Raw, ext: &ExtOrPort, server: SocketAddr) {
    let heard = client.rest_within(CLOSED).await.unwrap_or_default();
    assert!(heard.is_empty(), "the client heard {heard:?}");
    assert_serves(ext, server).await;
}

async fn assert_serves(ext: &ExtOrPort, server: SocketAddr) {
    let mut client = Raw::to(server).await;
    let (mut relay, _) = ext.welcome().await;
    relay.write_all(b"welcome").await.unwrap();
    assert_eq!(client.take(7).await.unwrap(), b"welcome");
}

#[tokio::test]
async fn a_plain_orport_gets_payload_and_nothing_else() {
    let orport = OrPort::listen().await;
    let pt = Launch::server("plain", orport.addr).ready().await;
    let mut client = Raw::to(pt.method("plain").await.addr).await;
    client.send(b"first").await;
    let mut relay = orport.accept().await;
    let mut bytes = [0; 5];
    soon("the payload", relay.read_exact(&mut bytes))
        .await
        .unwrap();
    assert_eq!(&bytes, b"first");
    relay.write_all(b"second").await.unwrap();
    assert_eq!(client.take(6).await.unwrap(), b"second");
}

#[tokio::test]
async fn a_refusing_orport_ends_the_client_s_connection_alone() {
    let orport = OrPort::listen().await;
    let at = orport.addr;
    drop(orport);
    let mut pt = Launch::server("plain", at).ready().await;
    let addr = pt.method("plain").await.addr;
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(Raw::to(addr).await);
    }
    within(CLOSED, "all of them closed", async {
        for client in &mut clients {
            let heard = client.rest_within(CLOSED).await.unwrap_or_default();
            assert!(heard.is_empty());
        }
    })
    .await;
    pt.logs(&["ORPort"]).await;
    let lines = pt.stdout.so_far();
    let told = lines.iter().filter(|line| line.contains("ORPort")).count();
    assert!(told <= 2, "{told} lines for one cause");
    pt.assert_runs();
    let orport = OrPort::listen_at(at).await;
    let _client = Raw::to(addr).await;
    orport.accept().await;
}

#[tokio::test]
async fn the_extended_orport_is_used_where_both_are_given() {
    let (ext, plain) = (ExtOrPort::listen().await, OrPort::listen().await);
    let pt = launch(&ext, plain.addr).ready().await;
    let _client = Raw::to(pt.method("plain").await.addr).await;
    ext.welcome().await;
    plain.assert_unused(Duration::from_millis(200)).await;
}

#[tokio::test]
async fn an_empty_extended_orport_is_none() {
    let (ext, plain) = (ExtOrPort::listen().await, OrPort::listen().await);
    let pt = launch(&ext, plain.addr)
        .set("TOR_PT_EXTENDED_SERVER_PORT", "")
        .ready()
        .await;
    let _client = Raw::to(pt.method("plain").await.addr).await;
    plain.accept().await;
    ext.assert_unused(Duration::from_millis(200)).await;
}

#[tokio::test]
async fn the_extended_orport_alone_is_enough() {
    let ext = ExtOrPort::listen().await;
    let pt = launch(&ext, "127.0.0.1:9".parse().unwrap())
        .unset("TOR_PT_ORPORT")
        .ready()
        .await;
    assert_serves(&ext, pt.method("plain").await.addr).await;
}

#[tokio::test]
async fn the_bridge_learns_the_client_s_address_and_the_transport() {
    let ext = ExtOrPort::listen().await;
    let (_pt, addr) = server(&ext).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.3.2.1:0".parse().unwrap()).unwrap();
    let client = socket.connect(addr).await.unwrap();
    let (_relay, introduction) = ext.welcome().await;
    let commands: Vec<u16> = introduction.frames.iter().map(|frame| frame.0).collect();
    assert_eq!(commands, [1, 2], "USERADDR, TRANSPORT, then DONE");
    assert_eq!(
        introduction.text(1),
        client.local_addr().unwrap().to_string()
    );
    assert_eq!(introduction.text(2), "plain");
}

#[tokio::test]
async fn ipv6_clients_are_told_in_brackets_and_mapped_ones_as_ipv4() {
    let ext = ExtOrPort::listen().await;
    let pt = launch(&ext, "127.0.0.1:9".parse().unwrap())
        .set("TOR_PT_SERVER_BINDADDR", "plain-[::]:0")
        .ready()
        .await;
    let port = pt.method("plain").await.addr.port();
    let client = Raw::to(format!("[::1]:{port}").parse().unwrap()).await;
    let (_relay, introduction) = ext.welcome().await;
    assert_eq!(
        introduction.text(1),
        client.0.local_addr().unwrap().to_string()
    );
    // Whether `[::]` takes IPv4 as well is the system's or the program's choice; where it does, the peer is mapped.
    if let Ok(client) = TcpStream::connect(("127.0.0.1", port)).await {
        let (_relay, introduction) = ext.welcome().await;
        let told = introduction.text(1);
        assert_eq!(told, client.local_addr().unwrap().to_string());
    }
}

#[tokio::test]
async fn no_payload_goes_out_before_okay() {
    let ext = ExtOrPort::listen().await;
    let (_pt, addr) = server(&ext).await;
    let mut client = Raw::to(addr).await;
    client.send(b"impatient").await;
    let mut relay = ext.accept().await;
    ext.greet(&mut relay).await;
    let mut byte = [0];
    stays_pending(
        Duration::from_millis(300),
        "payload before OKAY",
        relay.read(&mut byte),
    )
    .await;
    answer(&mut relay, 0x1000, b"").await;
    let mut bytes = [0; 9];
    soon("the payload", relay.read_exact(&mut bytes))
        .await
        .unwrap();
    assert_eq!(&bytes, b"impatient");
}

#[tokio::test]
async fn payload_right_behind_okay_is_not_lost() {
    let ext = ExtOrPort::listen().await;
    let (_pt, addr) = server(&ext).await;
    let mut client = Raw::to(addr).await;
    let mut relay = ext.accept().await;
    ext.greet(&mut relay).await;
    // One segment: an OKAY with a body, which is to be ignored, and the relay's first words.
    let bytes = [frame(0x1000, b"welcome"), b"payload".to_vec()].concat();
    relay.write_all(&bytes).await.unwrap();
    assert_eq!(client.take(7).await.unwrap(), b"payload");
}

#[tokio::test]
async fn unknown_commands_are_ignored() {
    let ext = ExtOrPort::listen().await;
    let (_pt, addr) = server(&ext).await;
    let mut client = Raw::to(addr).await;
    let mut relay = ext.accept().await;
    ext.greet(&mut relay).await;
    answer(&mut relay, 0x1002, b"CONTROL").await;
    answer(&mut relay, 0x4242, &[7; 5000]).await;
    answer(&mut relay, 0x7fff, b"").await;
    answer(&mut relay, 0x1000, b"").await;
    relay.write_all(b"payload").await.unwrap();
    assert_eq!(client.take(7).await.unwrap(), b"payload");
}

#[tokio::test]
async fn deny_closes_the_client_s_connection() {
    let ext = ExtOrPort::listen().await;
    let (_pt, addr) = server(&ext).await;
    let client = Raw::to(addr).await;
    let mut relay = ext.accept().await;
    ext.greet(&mut relay).await;
    answer(&mut relay, 0x1001, b"").await;
    let mut rest = Vec::new();
    let _ = soon("our end closes", relay.read_to_end(&mut rest)).await;
    assert!(rest.is_empty(), "payload after DENY");
    assert_turned_away(client, &ext, addr).await;
}

#[tokio::test]
async fn an_impostor_learns_nothing() {
    // A wrong server hash: closed without our own, which would prove that we know the cookie.
    let ext = ExtOrPort::listen().await;
    let (_pt, addr) = server(&ext).await;
    let client = Raw::to(addr).await;
    let mut relay = ext.accept().await;
    let script = Script {
        honest: false,
        ..Script::default()
    };
    let end = ext.authenticate(&mut relay, &script).await;
    assert_eq!(end, Err("closed at the client's hash"));
    assert_turned_away(client, &ext, addr).await;
}

#[tokio::test]
async fn authentication_types_are_read_to_their_end() {
    for (types, good) in [
        (vec![1, 0], true),
        (vec![2, 1, 3, 0], true),
        ((1..=254).rev().chain([0]).collect(), true),
        (vec![2, 0], false),
        (vec![0], false),
        // 255 types and no end of them.
        (vec![2; 300], false),
    ] {
        let ext = ExtOrPort::listen().await;
        let (_pt, addr) = server(&ext).await;
        let client = Raw::to(addr).await;
        let mut relay = ext.accept().await;
        let script = Script {
            types: types.clone(),
            ..Script::default()
        };
        let end = ext.authenticate(&mut relay, &script).await;
        if good {
            assert_eq!(end, Ok(()), "{types:?}");
        } else {
            assert_eq!(end, Err("closed at the types"), "{types:?}");
            assert_turned_away(client, &ext, addr).await;
        }
    }
}

#[tokio::test]
async fn a_failed_status_is_a_refusal() {
    for status in [0, 2, 255] {
        let ext = ExtOrPort::listen().await;
        let (_pt, addr) = server(&ext).await;
        let client = Raw::to(addr).await;
        let mut relay = ext.accept().await;
        let script = Script {
            status,
            ..Script::default()
        };
        ext.authenticate(&mut relay, &script).await.unwrap();
        let mut rest = Vec::new();
        let _ = soon("our end closes", relay.read_to_end(&mut rest)).await;
        assert!(rest.is_empty(), "frames after status {status}");
        assert_turned_away(client, &ext, addr).await;
    }
}

#[tokio::test]
async fn the_cookie_file_must_be_exactly_a_cookie_file() {
    let mut ext = ExtOrPort::listen().await;
    let (pt, addr) = server(&ext).await;
    let good = ext.cookie_bytes();
    let mut header = good.clone();
    header[2] = b'X';
    let longer = [&good[..], b"\n"].concat();
    for bad in [&header[..], &good[..63], &longer, b""] {
        ext.write_cookie(bad);
        let mut client = Raw::to(addr).await;
        // It may look at the file before it dials or after the server's nonce; it must not authenticate.
        let dialled = tokio::time::timeout(Duration::from_secs(2), ext.accept()).await;
        if let Ok(mut relay) = dialled {
            let end = ext.authenticate(&mut relay, &Script::default()).await;
            assert!(end.is_err(), "authenticated with {} bytes", bad.len());
        }
        let heard = client.rest_within(CLOSED).await.unwrap_or_default();
        assert!(heard.is_empty());
    }
    pt.logs(&["cookie"]).await;
    // The cookie of a tor that was restarted: the file is read for each connection.
    ext.renew_cookie();
    assert_serves(&ext, addr).await;
}

#[tokio::test]
async fn a_cookie_file_that_comes_later_is_found() {
    let ext = ExtOrPort::listen().await;
    std::fs::remove_file(ext.cookie_file()).unwrap();
    let (mut pt, addr) = server(&ext).await;
    pt.assert_runs();
    ext.write_cookie(&ext.cookie_bytes());
    assert_serves(&ext, addr).await;
}

#[tokio::test]
async fn the_exchange_has_a_limit_of_five_seconds_at_every_stage() {
    let ext = ExtOrPort::listen().await;
    let (_pt, addr) = server(&ext).await;
    let mut relays = Vec::new();
    for stage in ["types", "nonce", "answer"] {
        let client = Raw::to(addr).await;
        let mut relay = ext.accept().await;
        match stage {
            "types" => {}
            "nonce" => relay.write_all(&[1, 0]).await.unwrap(),
            _ => drop(ext.greet(&mut relay).await),
        }
        relays.push((stage, Instant::now(), relay, client));
    }
    for (stage, start, mut relay, _client) in relays {
        let mut rest = Vec::new();
        let end = relay.read_to_end(&mut rest);
        let _ = within(LIMIT, stage, end).await;
        let took = start.elapsed();
        assert!(
            took > Duration::from_secs(3),
            "{stage}: given up after {took:?}"
        );
    }
    assert_serves(&ext, addr).await;
}

#[tokio::test]
async fn an_extended_orport_beyond_loopback_is_warned_about() {
    let ext = ExtOrPort::listen().await;
    let pt = Launch::server("plain", "127.0.0.1:9".parse().unwrap())
        .set("TOR_PT_EXTENDED_SERVER_PORT", "192.0.2.1:9")
        .set("TOR_PT_AUTH_COOKIE_FILE", ext.cookie_file())
        .ready()
        .await;
    let line = pt.logs(&["ExtORPort", "loopback"]).await;
    assert!(line.contains("SEVERITY=warning"), "{line}");
    assert!(!line.contains("192.0.2.1"), "scrubbed: {line}");
}
