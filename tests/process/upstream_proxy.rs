//! `TOR_PT_PROXY` (pt-spec 3.2.2, 3.3.2, 4): the lines about it, the bytes that it hears, and that nothing ever goes
//! around it.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::deadline::{soon, stays_pending};
use crate::support::pt::{Launch, Pt};
use crate::support::socks::{Refusal, Target, open};
use crate::support::strace::Traced;
use crate::support::upstream::{Kind, Upstream};

const PROXY_ERROR: i32 = 69;

/// A client behind a proxy that was asked to go to `bridge.invalid:443`: the bytes that the proxy heard, and a
/// ping through it.
async fn visit(kind: Kind, user: &str, target: &Target) -> Vec<u8> {
    let far = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let onward = far.local_addr().unwrap();
    let mut proxy = Upstream::start(kind, kind.welcome(), Some(onward)).await;
    let (_pt, socks) = behind(&uri(kind, user, proxy.addr)).await;
    let mut near = open(socks, target, b"").await.unwrap();
    let (mut far, _) = soon("the far end", far.accept()).await.unwrap();
    // Both ways: the proxy's answer must neither swallow payload nor leak into it.
    for (from, to) in [(&mut near, &mut far)] {
        from.write_all(b"to").await.unwrap();
        to.write_all(b"fro").await.unwrap();
        let (mut two, mut three) = ([0; 2], [0; 3]);
        soon("to", to.read_exact(&mut two)).await.unwrap();
        soon("fro", from.read_exact(&mut three)).await.unwrap();
        assert_eq!((&two, &three), (b"to", b"fro"));
    }
    proxy.visit().await.said
}

fn uri(kind: Kind, user: &str, proxy: SocketAddr) -> String {
    let scheme = match kind {
        Kind::Http => "http",
        Kind::Socks5(_) => "socks5",
        Kind::Socks4 => "socks4a",
    };
    let at = if user.is_empty() { "" } else { "@" };
    format!("{scheme}://{user}{at}{proxy}")
}

async fn behind(proxy: &str) -> (Pt, SocketAddr) {
    let pt = Launch::client("plain")
        .set("TOR_PT_PROXY", proxy)
        .ready()
        .await;
    let addr = pt.method("plain").await.addr;
    (pt, addr)
}

/// A name that no resolver knows, so that whoever resolves it has failed.
fn named() -> Target {
    Target::name("bridge.invalid", 443)
}

fn numeric() -> Target {
    "192.0.2.77:443".parse::<SocketAddr>().unwrap().into()
}

#[tokio::test]
async fn a_good_proxy_is_acknowledged_before_the_methods() {
    for proxy in [
        "http://127.0.0.1:8080",
        "http://user:pa:ss@[::1]:8080",
        "http://user@127.0.0.1:8080",
        "socks5://127.0.0.1:1080",
        // As tor sends `Socks5ProxyUsername u:s@r` and `Socks5ProxyPassword p%20w/d`.
        "socks5://u:s@r:p%20w/d@127.0.0.1:1",
        "socks4a://127.0.0.1:1080",
        "socks4a://user@127.0.0.1:1080",
    ] {
        let pt = Launch::client("plain")
            .set("TOR_PT_PROXY", proxy)
            .ready()
            .await;
        let mut lines = pt.stdout.so_far();
        lines.retain(|line| !line.starts_with("LOG ") && !line.starts_with("STATUS "));
        assert_eq!(lines[..2], ["VERSION 1", "PROXY DONE"], "{proxy}");
        assert!(lines[2].starts_with("CMETHOD plain "), "{proxy}");
    }
}

#[tokio::test]
async fn every_malformed_proxy_is_a_proxy_error() {
    let long = format!("socks5://{}:p@127.0.0.1:1", "u".repeat(256));
    for proxy in [
        "garbage",
        "127.0.0.1:8080",
        "http://127.0.0.1",
        "http://[::1]",
        "http://::1:8080",
        "http://127.0.0.1:0",
        "http://127.0.0.1:99999",
        "http://proxy.example.com:8080",
        "http:///",
        "https://127.0.0.1:1",
        "socks4://127.0.0.1:1",
        "socks5h://127.0.0.1:1",
        "socks5://user@127.0.0.1:1",
        "socks5://user:@127.0.0.1:1",
        "socks5://:hunter2@127.0.0.1:1",
        "socks4a://user:hunter2@127.0.0.1:1",
        "http://user:hunter2@proxy.example.com:8080",
        &long,
    ] {
        let mut pt = Launch::client("plain").set("TOR_PT_PROXY", proxy).start();
        pt.exits(PROXY_ERROR).await;
        let lines = pt.stdout.so_far();
        assert_eq!(lines[0], "VERSION 1", "{proxy}");
        let error = lines.last().unwrap();
        assert!(error.starts_with("PROXY-ERROR "), "{proxy}: {lines:?}");
        assert!(
            !error.contains("hunter2"),
            "no credentials on stdout: {error}"
        );
        assert!(!lines.iter().any(|line| line.contains("METHOD")), "{proxy}");
    }
}

#[tokio::test]
async fn an_http_proxy_hears_a_connect_with_the_name_unresolved() {
    let heard = visit(Kind::Http, "", &named()).await;
    let text = String::from_utf8(heard).unwrap();
    assert!(
        text.starts_with("CONNECT bridge.invalid:443 HTTP/1.1\r\n"),
        "{text}"
    );
    assert!(
        text.to_lowercase()
            .contains("\r\nhost: bridge.invalid:443\r\n")
    );
    assert!(!text.to_lowercase().contains("user-agent"), "{text}");
    assert!(!text.contains("uthorization"), "{text}");

    let text = String::from_utf8(visit(Kind::Http, "", &numeric()).await).unwrap();
    assert!(text.starts_with("CONNECT 192.0.2.77:443 HTTP/1.1\r\n"));
    let v6: SocketAddr = "[2001:db8::77]:443".parse().unwrap();
    let text = String::from_utf8(visit(Kind::Http, "", &v6.into()).await).unwrap();
    assert!(text.starts_with("CONNECT [2001:db8::77]:443 HTTP/1.1\r\n"));
}

#[tokio::test]
async fn an_http_proxy_hears_credentials_verbatim() {
    let text = String::from_utf8(visit(Kind::Http, "u:s@r:p%20w/d", &named()).await).unwrap();
    let wanted = format!("Basic {}", STANDARD.encode("u:s@r:p%20w/d"));
    let header = text
        .lines()
        .find(|line| {
            line.to_lowercase()
                .starts_with("proxy-authorization: basic ")
        })
        .unwrap_or_else(|| panic!("{text}"));
    assert!(header.ends_with(&wanted), "{header}");
}

#[tokio::test]
async fn a_socks5_proxy_hears_the_name_and_the_credentials() {
    let heard = visit(Kind::Socks5(0), "", &named()).await;
    let connect = named().connect();
    assert!(heard.ends_with(&connect), "{heard:?}");
    assert!(heard.starts_with(&[5]) && heard[2..2 + usize::from(heard[1])].contains(&0));

    let heard = visit(Kind::Socks5(2), "u:s@r:p%20w/d", &named()).await;
    let methods = usize::from(heard[1]);
    assert!(heard[2..2 + methods].contains(&2), "{heard:?}");
    let rest = &heard[2 + methods..];
    // The user name ends at the first colon, all the rest is the password.
    let auth = crate::support::socks::userpass(b"u", b"s@r:p%20w/d");
    assert_eq!(rest, [auth, named().connect()].concat());

    let heard = visit(Kind::Socks5(0), "", &numeric()).await;
    assert!(heard.ends_with(&numeric().connect()), "{heard:?}");
}

#[tokio::test]
async fn a_socks4a_proxy_hears_the_name() {
    let heard = visit(Kind::Socks4, "", &named()).await;
    assert_eq!(heard[..4], [4, 1, 1, 187]);
    assert_eq!(heard[4..7], [0, 0, 0]);
    assert_ne!(heard[7], 0);
    assert_eq!(&heard[8..], b"\0bridge.invalid\0");

    let heard = visit(Kind::Socks4, "user", &numeric()).await;
    let wanted = [&[4, 1, 1, 187, 192, 0, 2, 77][..], b"user\0"].concat();
    assert_eq!(heard, wanted);
}

#[tokio::test]
async fn a_proxy_s_refusal_becomes_the_reply() {
    for (kind, code, rep) in [
        (Kind::Socks5(0), 1, 1),
        (Kind::Socks5(0), 2, 2),
        (Kind::Socks5(0), 3, 3),
        (Kind::Socks5(0), 4, 4),
        (Kind::Socks5(0), 5, 5),
        (Kind::Socks5(0), 6, 6),
        (Kind::Socks4, 91, 1),
        (Kind::Http, 5, 1),
    ] {
        let mut proxy = Upstream::start(kind, kind.reply(code), None).await;
        let (pt, socks) = behind(&uri(kind, "", proxy.addr)).await;
        let refusal = open(socks, &named(), b"").await.unwrap_err();
        assert_eq!(refusal, Refusal::Reply(rep), "{kind:?} {code}");
        proxy.visit().await;
        assert!(!pt.stdout.text().contains("bridge.invalid"));
    }
}

#[tokio::test]
async fn a_proxy_that_wants_what_we_have_not_fails_the_connection() {
    // It chooses user name and password, and none are set; and one that answers no protocol at all.
    let mut proxy = Upstream::start(Kind::Socks5(0xff), Vec::new(), None).await;
    let (_pt, socks) = behind(&uri(Kind::Socks5(0), "", proxy.addr)).await;
    let refusal = open(socks, &named(), b"").await.unwrap_err();
    assert_eq!(refusal, Refusal::Reply(1));
    proxy.visit().await;
    let proxy = Upstream::start(Kind::Http, b"SSH-2.0-x\r\n\r\n".to_vec(), None).await;
    let (_pt, socks) = behind(&uri(Kind::Http, "", proxy.addr)).await;
    let refusal = open(socks, &named(), b"").await.unwrap_err();
    assert_eq!(refusal, Refusal::Reply(1));
}

#[tokio::test]
async fn with_a_dead_proxy_nothing_goes_direct() {
    let far = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dead = {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
        gone.local_addr().unwrap()
    };
    for kind in [Kind::Http, Kind::Socks5(0), Kind::Socks4] {
        let (pt, socks) = behind(&uri(kind, "", dead)).await;
        let target = far.local_addr().unwrap();
        for target in [
            Target::from(target),
            Target::name("localhost", target.port()),
        ] {
            let refusal = open(socks, &target, b"").await.unwrap_err();
            assert!(
                matches!(refusal, Refusal::Reply(1..=6)),
                "{kind:?} {refusal:?}"
            );
        }
        pt.logs(&["proxy"]).await;
    }
    stays_pending(
        Duration::from_millis(300),
        "a connection went around the proxy",
        far.accept(),
    )
    .await;
}

#[tokio::test]
async fn a_proxy_that_hangs_up_is_not_gone_around_either() {
    let far = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = far.local_addr().unwrap().into();
    for kind in [Kind::Http, Kind::Socks5(0), Kind::Socks4] {
        let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (_pt, socks) = behind(&uri(kind, "", proxy.local_addr().unwrap())).await;
        let hangs_up = async {
            let (mut stream, _) = soon("a visit", proxy.accept()).await.unwrap();
            let mut byte = [0];
            soon("its first byte", stream.read_exact(&mut byte))
                .await
                .unwrap();
        };
        let (refusal, ()) = tokio::join!(open(socks, &target, b""), hangs_up);
        assert_eq!(refusal.unwrap_err(), Refusal::Reply(1), "{kind:?}");
    }
    stays_pending(
        Duration::from_millis(300),
        "a connection went around the proxy",
        far.accept(),
    )
    .await;
}

#[tokio::test]
async fn the_kernel_is_asked_for_the_proxy_and_nobody_else() {
    for kind in [Kind::Http, Kind::Socks5(0), Kind::Socks4] {
        let far = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let onward = far.local_addr().unwrap();
        let proxy = Upstream::start(kind, kind.welcome(), Some(onward)).await;
        let launch = Launch::client("plain").set("TOR_PT_PROXY", uri(kind, "", proxy.addr));
        let traced = Traced::ready(launch, &["-e", "trace=%network"]).await;
        let socks = traced.pt.method("plain").await.addr;
        for target in [named(), numeric(), Target::name("localhost", onward.port())] {
            open(socks, &target, b"").await.unwrap();
        }
        let calls = traced.calls().await;
        let wanted = format!(
            "{{sa_family=AF_INET, sin_port=htons({}), sin_addr=inet_addr(\"127.0.0.1\")}}",
            proxy.addr.port()
        );
        let connects: Vec<_> = calls
            .iter()
            .filter(|call| call.starts_with("connect("))
            .collect();
        assert!(connects.len() >= 3, "{calls:?}");
        for call in connects {
            assert!(call.contains(&wanted), "{kind:?} {call}");
        }
        for call in &calls {
            // A resolver would use datagrams, or ask a local daemon.
            let sends = ["sendto(", "sendmsg(", "sendmmsg("]
                .iter()
                .any(|name| call.starts_with(name));
            assert!(!(sends && call.contains("sin_port")), "{kind:?} {call}");
            assert!(!call.contains("SOCK_DGRAM"), "{kind:?} {call}");
        }
    }
}

#[tokio::test]
async fn the_outbound_bind_address_counts_for_the_way_to_the_proxy() {
    // Beyond this machine no packet goes out: the address is not ours, and binding to it fails.
    let pt = Launch::client("plain")
        .set("TOR_PT_PROXY", "socks5://192.0.2.77:1080")
        .set("TOR_PT_OUTBOUND_BIND_ADDRESS_V4", "198.51.100.7")
        .ready()
        .await;
    let socks = pt.method("plain").await.addr;
    let refusal = open(socks, &named(), b"").await.unwrap_err();
    assert_eq!(refusal, Refusal::Reply(1));
    pt.logs(&["bind address"]).await;
    // And for a proxy on this machine it does not count.
    let kind = Kind::Socks5(0);
    let far = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut proxy = Upstream::start(kind, kind.welcome(), Some(far.local_addr().unwrap())).await;
    let pt = Launch::client("plain")
        .set("TOR_PT_PROXY", uri(kind, "", proxy.addr))
        .set("TOR_PT_OUTBOUND_BIND_ADDRESS_V4", "198.51.100.7")
        .ready()
        .await;
    let socks = pt.method("plain").await.addr;
    let _near = open(socks, &named(), b"").await.unwrap();
    assert!(proxy.visit().await.from.ip().is_loopback());
}
