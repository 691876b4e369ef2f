//! `ouzel dial`, `listen` and `relay`: a module between a port and an address, without tor.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::deadline::soon;
use crate::support::pt::{Launch, Pt};

fn guest(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("watm/dist/test-guests/{name}.wasm"))
}

/// Starts a command with these words and gives it with the address that it prints.
async fn started(words: &[&str]) -> (Pt, SocketAddr) {
    let launch = words.iter().fold(Launch::bare(), Launch::arg);
    let state = launch.state_dir();
    let pt = launch
        .arg("--listen")
        .arg("127.0.0.1:0")
        .arg("--state")
        .arg(state)
        .start();
    let line = pt.says(&["listening on "]).await;
    let at = line.trim_start_matches("listening on ");
    (pt, at.parse().expect("an address"))
}

/// A server that answers with what it hears, until the end of it.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut reader, mut writer) = stream.split();
                let _ = tokio::io::copy(&mut reader, &mut writer).await;
                let _ = writer.shutdown().await;
            });
        }
    });
    at
}

async fn echoed(at: SocketAddr) {
    let mut stream = soon("the port", TcpStream::connect(at)).await.unwrap();
    let sent: Vec<u8> = (0..3_000_000u32).map(|n| n.to_le_bytes()[0]).collect();
    let (mut reader, mut writer) = stream.split();
    let mut got = Vec::new();
    let (written, read) = soon("the echo", async {
        tokio::join!(
            async {
                writer.write_all(&sent).await?;
                writer.shutdown().await
            },
            reader.read_to_end(&mut got)
        )
    })
    .await;
    written.unwrap();
    read.unwrap();
    assert!(got == sent, "{} of {} bytes", got.len(), sent.len());
}

#[tokio::test]
async fn bytes_go_through_a_dialer_a_relay_and_a_listener() {
    let server = echo().await.to_string();
    let (_listen, listen) = started(&["listen", "--module", "reverse", "--connect", &server]).await;
    let listen = listen.to_string();
    let roaming = guest("roaming");
    let relay = [
        "relay",
        "--module",
        roaming.to_str().unwrap(),
        "--connect",
        &listen,
    ];
    let (_relay, relay) = started(&relay).await;
    let relay = relay.to_string();
    let (_dial, dial) = started(&["dial", "--module", "reverse", "--connect", &relay]).await;
    echoed(dial).await;
}

#[tokio::test]
async fn modules_of_v0_are_used_alike() {
    let server = echo().await.to_string();
    let module = guest("v0_global");
    let module = module.to_str().unwrap();
    let (_listen, listen) = started(&["listen", "--module", module, "--connect", &server]).await;
    let listen = listen.to_string();
    let (_relay, relay) = started(&["relay", "--module", module, "--connect", &listen]).await;
    let relay = relay.to_string();
    let (_dial, dial) = started(&["dial", "--module", module, "--connect", &relay]).await;
    echoed(dial).await;
}

#[tokio::test]
async fn a_module_that_knows_where_to_needs_a_rule() {
    let server = echo().await;
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("where");
    std::fs::write(&config, format!("tcp {server}")).unwrap();
    let module = guest("roaming");
    let words = [
        "dial",
        "--module",
        module.to_str().unwrap(),
        "--config",
        config.to_str().unwrap(),
        "--allow",
    ];
    let rule = format!("127.0.0.0/8:{}", server.port());
    let (_dial, dial) = started(&[&words[..], &[&rule]].concat()).await;
    echoed(dial).await;

    let (refusing, dial) = started(&[&words[..], &["127.0.0.1:1"]].concat()).await;
    // The reset may be quicker than the end of connecting.
    let end = soon("the end", async {
        TcpStream::connect(dial).await?.read(&mut [0]).await
    })
    .await;
    assert!(
        end.is_err(),
        "a connection that was never made is reset: {end:?}"
    );
    let told = soon(
        "the reason",
        refusing.stderr.find(|line| line.contains("--allow")),
    )
    .await;
    assert!(told.is_some_and(|line| !line.contains("127.0.0.1")));
}

#[tokio::test]
async fn a_signal_ends_a_run_when_its_connections_have_ended() {
    let server = echo().await.to_string();
    let (mut dial, at) = started(&["dial", "--module", "plain", "--connect", &server]).await;
    let mut stream = soon("the port", TcpStream::connect(at)).await.unwrap();
    stream.write_all(b"before").await.unwrap();
    let mut got = [0; 6];
    soon("the echo", stream.read_exact(&mut got)).await.unwrap();
    dial.signal(Signal::TERM);
    soon(
        "the word",
        dial.stderr.find(|line| line.contains("no new connections")),
    )
    .await
    .expect("it says that it waits");
    stream.write_all(b"after ").await.unwrap();
    soon("the echo", stream.read_exact(&mut got)).await.unwrap();
    assert_eq!(&got, b"after ");
    drop(stream);
    dial.exits(0).await;
    let summary = dial.stderr.text();
    assert!(summary.contains("1 connections ended well"), "{summary}");
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let server = echo().await.to_string();
    let (mut dial, at) = started(&["dial", "--module", "plain", "--connect", &server]).await;
    let mut stream = soon("the port", TcpStream::connect(at)).await.unwrap();
    stream.write_all(b"x").await.unwrap();
    soon("the echo", stream.read_exact(&mut [0])).await.unwrap();
    dial.signal(Signal::TERM);
    soon(
        "the word",
        dial.stderr.find(|line| line.contains("no new connections")),
    )
    .await;
    dial.signal(Signal::TERM);
    dial.exits(0).await;
}

/// A guest that would never end by itself is told, has its last word, and the process is gone.
#[tokio::test]
async fn the_end_of_a_run_is_told_to_its_modules() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = server.local_addr().unwrap().to_string();
    let module = guest("obedient");
    let words = [
        "dial",
        "--module",
        module.to_str().unwrap(),
        "--connect",
        &at,
    ];
    let (mut dial, at) = started(&words).await;
    let _application = soon("the port", TcpStream::connect(at)).await.unwrap();
    let (mut network, _) = soon("the connection", server.accept()).await.unwrap();
    dial.signal(Signal::TERM);
    soon(
        "the word",
        dial.stderr.find(|line| line.contains("no new connections")),
    )
    .await;
    dial.signal(Signal::TERM);
    let mut said = [0; 7];
    soon("the goodbye", network.read_exact(&mut said))
        .await
        .unwrap();
    assert_eq!(&said, b"goodbye");
    let end = soon("the end", network.read(&mut said)).await;
    end.expect_err("what is cut off must not look complete");
    dial.exits(0).await;
}

#[tokio::test]
async fn what_is_missing_is_said_before_anything_listens() {
    for (words, remedy) in [
        (&["dial", "--module", "plain"][..], "--connect"),
        (
            &["listen", "--module", "plain", "--allow", "*:*"],
            "--connect",
        ),
        (
            &[
                "dial",
                "--module",
                "/nonexistent.wasm",
                "--connect",
                "127.0.0.1:9",
            ],
            "does not exist",
        ),
        (
            &["relay", "--module", "plain", "--connect", "127.0.0.1:9"],
            "watm_associate_v1",
        ),
        (
            &["dial", "--module", "plain", "--connect", "nowhere"],
            "a port",
        ),
        (
            &["dial", "--module", "plain", "--allow", "everything"],
            "HOST:PORTS",
        ),
    ] {
        let launch = words.iter().fold(Launch::bare(), Launch::arg);
        let state = launch.state_dir();
        let launch = launch
            .arg("--listen")
            .arg("127.0.0.1:0")
            .arg("--state")
            .arg(state);
        let mut pt = launch.start();
        let status = pt.ended_within(Duration::from_secs(20)).await;
        assert!(status.code().is_some_and(|code| code != 0), "{words:?}");
        assert!(
            pt.stderr.text().contains(remedy),
            "{words:?}\n{}",
            pt.story()
        );
        assert!(pt.stdout.text().is_empty());
    }
}
