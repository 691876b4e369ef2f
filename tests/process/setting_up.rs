//! Transports with a set-up run: what they keep, what they ask for, and that nobody can tell how they break.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::support::deadline::soon;
use crate::support::orport::OrPort;
use crate::support::pair::Pair;
use crate::support::pt::{Launch, Pt};

/// What the guest asks for: its deadline and its quiet end.
const QUIET: Duration = Duration::from_millis(1500);

fn guest(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("watm/dist/test-guests")
        .join(format!("{name}.wasm"))
}

fn prepared(orport: &OrPort) -> Launch {
    Launch::server("prepared", orport.addr).module("prepared", &guest("prepared"))
}

/// A hello that is the guest's own, and one of these each.
fn hello(last: u8) -> [u8; 16] {
    let mut hello = [b'G'; 16];
    hello[15] = last;
    hello
}

async fn server_args(pt: &Pt) -> String {
    let method = pt.method("prepared").await;
    String::from_utf8(method.args).unwrap()
}

#[tokio::test]
async fn a_set_up_run_announces_what_it_made_and_finds_it_after_a_restart() {
    let orport = OrPort::listen().await;
    let launch = prepared(&orport);
    let state = launch.state_dir();
    let mut pt = launch.start();
    assert_eq!(server_args(&pt).await, "starts=1");
    let own = state.join("transports/prepared");
    for (name, text) in [("starts", "1"), ("note.txt", "made by the set-up run\n")] {
        let path = own.join(name);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    pt.close_stdin();
    pt.exits(0).await;

    let again = prepared(&orport).set("TOR_PT_STATE_LOCATION", &state);
    let again = again.start();
    assert_eq!(server_args(&again).await, "starts=2");
    drop(pt);
}

#[tokio::test]
async fn a_prepared_pair_carries_bytes_on_both_command_lines() {
    let pair = Pair::adjusted("prepared", |launch| {
        launch.module("prepared", &guest("prepared"))
    })
    .await;
    let (mut application, mut orport) = pair.open().await;
    application.write_all(b"ping").await.unwrap();
    let mut bytes = [0; 4];
    soon("a ping", orport.read_exact(&mut bytes)).await.unwrap();
    orport.write_all(b"pong").await.unwrap();
    soon("a pong", application.read_exact(&mut bytes))
        .await
        .unwrap();
    assert_eq!(&bytes, b"pong");
}

/// What a prober sees after `says`: nothing, and when the end came. An end that is no FIN is a panic.
async fn probe(addr: std::net::SocketAddr, says: &[u8]) -> Duration {
    // The server counts from its accept, which may be before we know that we are connected.
    let start = Instant::now();
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(says).await.unwrap();
    let mut heard = Vec::new();
    let end = soon("the quiet end", stream.read_to_end(&mut heard)).await;
    end.expect("a FIN, not a RST");
    assert!(heard.is_empty(), "it answered {heard:?}");
    start.elapsed()
}

#[tokio::test]
async fn a_handshake_is_answered_once_even_if_the_bridge_is_killed() {
    let orport = OrPort::listen().await;
    let launch = prepared(&orport);
    let state = launch.state_dir();
    let mut pt = launch.start();
    let addr = pt.method("prepared").await.addr;
    let mut first = TcpStream::connect(addr).await.unwrap();
    first.write_all(&hello(1)).await.unwrap();
    let _accepted = orport.accept().await;
    assert!(probe(addr, &hello(1)).await >= QUIET);
    pt.signal(Signal::KILL);
    pt.ended().await;

    let again = prepared(&orport).set("TOR_PT_STATE_LOCATION", &state);
    let again = again.start();
    let addr = again.method("prepared").await.addr;
    assert!(probe(addr, &hello(1)).await >= QUIET);
    orport.assert_unused(Duration::ZERO).await;
    let mut other = TcpStream::connect(addr).await.unwrap();
    other.write_all(&hello(2)).await.unwrap();
    let _accepted = orport.accept().await;
    drop(pt);
}

/// A server whose module breaks at a point.
async fn breaking(orport: &OrPort, folder: &Path, at: &str) -> Pt {
    let conf = folder.join(format!("{at}.json"));
    std::fs::write(&conf, format!(r#"{{"at":"{at}"}}"#)).unwrap();
    let mut named = std::ffi::OsString::from("prepared=");
    named.push(conf);
    prepared(orport).arg("--config").arg(named).ready().await
}

#[tokio::test]
async fn every_way_to_break_looks_like_a_wrong_handshake() {
    const WAYS: [&str; 10] = [
        "init",
        "unaccepted",
        "accepted",
        "reading",
        "fd",
        "exit",
        "spin",
        "memory",
        "stack",
        "refuse",
    ];
    let orport = Arc::new(OrPort::listen().await);
    let folder = tempfile::tempdir().unwrap();
    let mut probes = Vec::new();
    // A wrong handshake, a half one and none, at a module that is well.
    let well = prepared(&orport).ready().await;
    let at = well.method("prepared").await.addr;
    for says in [&[b'x'; 16][..], &hello(3)[..7], b""] {
        probes.push(("well", tokio::spawn(probe_owned(at, says.to_vec()))));
    }
    let mut pts = vec![well];
    for way in WAYS {
        let pt = breaking(&orport, folder.path(), way).await;
        let at = pt.method("prepared").await.addr;
        for says in [&hello(4)[..], &[b'x'; 16]] {
            probes.push((way, tokio::spawn(probe_owned(at, says.to_vec()))));
        }
        pts.push(pt);
    }
    let early = Launch::server("early", orport.addr)
        .module("early", &guest("false_start"))
        .ready()
        .await;
    let at = early.method("early").await.addr;
    probes.push(("_initialize", tokio::spawn(probe_owned(at, Vec::new()))));
    pts.push(early);
    for (way, probe) in probes {
        let end = probe.await.unwrap_or_else(|_| panic!("{way}"));
        // The machine may be slow, and no clock is exact; early it must never be.
        let late = end.saturating_sub(QUIET);
        assert!(
            end >= QUIET && late < Duration::from_secs(5),
            "{way}: closed after {end:?}"
        );
    }
    orport.assert_unused(Duration::ZERO).await;
}

async fn probe_owned(addr: std::net::SocketAddr, says: Vec<u8>) -> Duration {
    probe(addr, &says).await
}

#[tokio::test]
async fn a_prober_that_ends_first_is_let_go_however_the_module_breaks() {
    let orport = OrPort::listen().await;
    let folder = tempfile::tempdir().unwrap();
    for way in ["init", "accepted", "spin"] {
        let pt = breaking(&orport, folder.path(), way).await;
        let at = pt.method("prepared").await.addr;
        let mut stream = TcpStream::connect(at).await.unwrap();
        stream.write_all(&hello(1)).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut heard = Vec::new();
        let end = soon("the end", stream.read_to_end(&mut heard)).await;
        end.expect("a FIN, not a RST");
        assert!(heard.is_empty());
    }
}

#[tokio::test]
async fn a_set_up_run_that_fails_is_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let orport = OrPort::listen().await;
    for (n, (answer, word)) in [
        ("refuse", "EINVAL"),
        ("trap", "set-up failed"),
        ("{", "no JSON"),
        (r#"{\"version\":7}"#, "version 7"),
        (r#"{\"version\":1,\"quiet_ms\":1}"#, "quiet_ms"),
        (
            r#"{\"version\":1,\"args\":{\"good\":\"x\",\"pass\":\"two words\"}}"#,
            "'pass' cannot be announced",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let conf = folder.path().join(format!("{n}.json"));
        std::fs::write(&conf, format!(r#"{{"answer":"{answer}"}}"#)).unwrap();
        let mut named = std::ffi::OsString::from("prepared=");
        named.push(conf);
        let pt = prepared(&orport).arg("--config").arg(named).start();
        let lines = pt.done().await;
        let error = lines
            .iter()
            .find(|line| line.starts_with("SMETHOD-ERROR prepared "))
            .unwrap_or_else(|| panic!("{answer}\n{}", pt.story()));
        assert!(error.contains(word), "{answer}: {error}");
    }
}

#[tokio::test]
async fn files_that_others_could_read_stop_the_transport() {
    let orport = OrPort::listen().await;
    let launch = prepared(&orport);
    let own = launch.state_dir().join("transports/prepared");
    std::fs::create_dir_all(&own).unwrap();
    std::fs::write(own.join("starts"), "4").unwrap();
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(own.join("starts"), open).unwrap();
    let pt = launch.start();
    pt.says(&["SMETHOD-ERROR prepared", "starts", "0600"]).await;
}
