//! `CMETHOD` and `SMETHOD` lines, and what stands around them (pt-spec 3.3.2, 3.3.3).

use std::net::{Ipv6Addr, SocketAddr, TcpListener};

use rustix::process::Signal;

use crate::support::orport::OrPort;
use crate::support::pt::{Launch, Pt};
use crate::support::socks::Raw;

/// Lines other than LOG and STATUS, which may come at any time.
fn contract(pt: &Pt) -> Vec<String> {
    let mut lines = pt.stdout.so_far();
    lines.retain(|line| !line.starts_with("LOG ") && !line.starts_with("STATUS "));
    lines
}

fn unused() -> SocketAddr {
    "127.0.0.1:9".parse().unwrap()
}

#[tokio::test]
async fn a_client_says_exactly_version_methods_and_done() {
    let pt = Launch::client("plain,reverse").ready().await;
    let lines = contract(&pt);
    let plain = pt.method("plain").await.addr;
    let reverse = pt.method("reverse").await.addr;
    assert_ne!(plain, reverse);
    assert!(plain.ip().is_loopback() && plain.port() != 0);
    assert_eq!(
        lines,
        [
            "VERSION 1".to_owned(),
            format!("CMETHOD plain socks5 {plain}"),
            format!("CMETHOD reverse socks5 {reverse}"),
            "CMETHODS DONE".to_owned(),
        ]
    );
}

#[tokio::test]
async fn a_client_listens_before_it_says_so() {
    let pt = Launch::client("plain").start();
    let line = pt.says(&["CMETHOD plain "]).await;
    let addr = line.rsplit(' ').next().unwrap().parse().unwrap();
    let mut raw = Raw::to(addr).await;
    raw.send(&[5, 1, 0]).await;
    assert_eq!(raw.take(2).await.unwrap(), [5, 0]);
}

#[tokio::test]
async fn the_implementation_and_its_version_are_told_in_a_status_line() {
    let pt = Launch::client("plain").ready().await;
    let lines = pt.stdout.so_far();
    let status = lines
        .iter()
        .position(|line| line.starts_with("STATUS "))
        .unwrap_or_else(|| panic!("no STATUS\n{}", pt.story()));
    // Old Arti fails on a STATUS without TRANSPORT; tor takes the extra key.
    let words: Vec<_> = lines[status].split(' ').collect();
    assert_eq!(words[1], "TRANSPORT=plain");
    assert_eq!(words[2], "TYPE=version");
    assert_eq!(words[3].replace('"', ""), "IMPLEMENTATION=ouzel");
    assert!(words[4].starts_with("VERSION="), "{}", lines[status]);
    let version = lines.iter().position(|line| line == "VERSION 1");
    assert!(version.is_some_and(|version| version < status));
}

#[tokio::test]
async fn unknown_names_are_ignored_without_an_error_line() {
    let mut pt = Launch::client("nosuch,plain,2bad,also-bad")
        .arg("--log-level")
        .arg("info")
        .ready()
        .await;
    let lines = contract(&pt);
    assert_eq!(lines.len(), 3, "{}", pt.story());
    assert!(lines[1].starts_with("CMETHOD plain socks5 127.0.0.1:"));
    pt.logs(&["nosuch"]).await;
    pt.assert_runs();
}

#[tokio::test]
async fn empty_items_and_repeated_names_do_nothing() {
    let pt = Launch::client(",plain,,plain,reverse,").ready().await;
    let lines = contract(&pt);
    let methods: Vec<_> = lines
        .iter()
        .filter_map(|line| line.strip_prefix("CMETHOD ")?.split(' ').next())
        .collect();
    assert_eq!(methods, ["plain", "reverse"]);
    assert!(!pt.stdout.text().contains("CMETHOD-ERROR"));
}

#[tokio::test]
async fn with_nothing_to_launch_it_says_done_and_stays() {
    let mut pt = Launch::client("nosuch").ready().await;
    assert_eq!(contract(&pt), ["VERSION 1", "CMETHODS DONE"]);
    pt.assert_runs();
    pt.signal(Signal::TERM);
    pt.exits(0).await;

    let mut pt = Launch::server("nosuch", unused()).ready().await;
    assert_eq!(contract(&pt), ["VERSION 1", "SMETHODS DONE"]);
    pt.assert_runs();
    pt.close_stdin();
    pt.exits(0).await;
}

#[tokio::test]
async fn a_server_binds_exactly_the_address_that_was_asked_for() {
    // A port that was free a moment ago, so that there is one to ask for by number.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let pt = Launch::server("plain", unused())
        .set("TOR_PT_SERVER_BINDADDR", format!("plain-{port}"))
        .ready()
        .await;
    assert_eq!(pt.method("plain").await.addr, port);
    assert_eq!(
        contract(&pt),
        [
            "VERSION 1".to_owned(),
            format!("SMETHOD plain {port}"),
            "SMETHODS DONE".to_owned(),
        ]
    );
}

#[tokio::test]
async fn a_server_listens_before_it_says_so() {
    let orport = OrPort::listen().await;
    let pt = Launch::server("plain", orport.addr).start();
    let line = pt.says(&["SMETHOD plain "]).await;
    let addr = line.split(' ').nth(2).unwrap().parse().unwrap();
    let _client = Raw::to(addr).await;
    orport.accept().await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_smethod_error_and_the_rest_goes_on() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let mut pt = Launch::server("plain,reverse", unused())
        .set(
            "TOR_PT_SERVER_BINDADDR",
            format!("plain-{addr},reverse-127.0.0.1:0"),
        )
        .ready()
        .await;
    let lines = contract(&pt);
    let error = lines
        .iter()
        .find(|line| line.starts_with("SMETHOD-ERROR plain "))
        .unwrap_or_else(|| panic!("{}", pt.story()));
    assert!(error.contains("in use"), "{error}");
    pt.method("reverse").await;
    assert_eq!(lines.last().unwrap(), "SMETHODS DONE");
    pt.assert_runs();
}

#[tokio::test]
async fn a_server_without_a_bind_address_gets_a_port_of_its_own() {
    for launch in [
        Launch::server("plain", unused()).unset("TOR_PT_SERVER_BINDADDR"),
        Launch::server("plain", unused()).set("TOR_PT_SERVER_BINDADDR", ""),
        Launch::server("plain", unused()).set("TOR_PT_SERVER_BINDADDR", "other-127.0.0.1:0"),
    ] {
        let pt = launch.ready().await;
        assert_ne!(pt.method("plain").await.addr.port(), 0);
        assert!(!pt.stdout.text().contains("other"), "dropped silently");
    }
}

#[tokio::test]
async fn tor_s_default_bind_address_works_from_ipv4() {
    let orport = OrPort::listen().await;
    let pt = Launch::server("plain", orport.addr)
        .set("TOR_PT_SERVER_BINDADDR", "plain-0.0.0.0:0")
        .ready()
        .await;
    let addr = pt.method("plain").await.addr;
    assert!(addr.ip().is_unspecified(), "{addr}");
    let _client = Raw::to(SocketAddr::from(([127, 0, 0, 1], addr.port()))).await;
    orport.accept().await;
}

#[tokio::test]
async fn ipv6_bind_addresses_are_taken_with_and_without_brackets() {
    for bind in ["plain-[::1]:0", "plain-::1:0"] {
        let pt = Launch::server("plain", unused())
            .set("TOR_PT_SERVER_BINDADDR", bind)
            .ready()
            .await;
        let line = pt.says(&["SMETHOD plain "]).await;
        assert!(line.starts_with("SMETHOD plain [::1]:"), "{line}");
        let addr = pt.method("plain").await.addr;
        assert_eq!(addr.ip(), Ipv6Addr::LOCALHOST);
        Raw::to(addr).await;
    }
}

#[tokio::test]
async fn options_of_transports_that_are_not_launched_are_ignored() {
    let pt = Launch::server("plain", unused())
        .set(
            "TOR_PT_SERVER_TRANSPORT_OPTIONS",
            "other:a=b\\;c\\:d\\\\e;other:f=g=h",
        )
        .ready()
        .await;
    pt.method("plain").await;
}

#[tokio::test]
async fn after_done_only_log_and_status_lines_come() {
    let mut pt = Launch::client("plain,reverse,nosuch").ready().await;
    let addr = pt.method("plain").await.addr;
    // Something of everything that could make a program talk.
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x04\x01", b"\x05\x01\x01"] {
        let mut raw = Raw::to(addr).await;
        raw.send(bytes).await;
    }
    let refused = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    crate::support::socks::open(addr, &refused.into(), b"")
        .await
        .unwrap_err();
    pt.signal(Signal::HUP);
    pt.signal(Signal::TERM);
    pt.exits(0).await;
    pt.assert_quiet_after_done();
    let done = contract(&pt)
        .iter()
        .filter(|line| line.ends_with(" DONE"))
        .count();
    assert_eq!(done, 1);
}
