//! Modules in Go and C as people use them: `ouzel dial`, `listen` and `relay`, each language in every role and beside
//! modules of another.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::support::bytes::{self, MIB};
use crate::support::deadline::{soon, within};
use crate::support::pt::{Launch, Pt};

/// Go's runtime alone has two megabytes to compile, on a machine that compiles other things too.
const COMPILED: Duration = Duration::from_secs(120);

fn module(language: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = root.join("target/guests").join(language).join("plain.wasm");
    assert!(
        file.exists(),
        "{} is missing; run `make languages`",
        file.display()
    );
    file
}

/// Starts a command with a module; runs that share a state directory compile it once.
async fn started(
    command: &str,
    module: &Path,
    state: &TempDir,
    words: &[&str],
) -> (Pt, SocketAddr) {
    let launch = Launch::bare()
        .arg(command)
        .arg("--module")
        .arg(module)
        .arg("--listen")
        .arg("127.0.0.1:0")
        .arg("--state")
        .arg(state.path());
    let pt = words.iter().fold(launch, Launch::arg).start();
    let listening = |line: &str| line.starts_with("listening on ");
    let line = within(COMPILED, "the module is ready", pt.stdout.find(listening)).await;
    let line = line.unwrap_or_else(|| panic!("{command} ended\n{}", pt.story()));
    let at = line.trim_start_matches("listening on ");
    (pt, at.parse().unwrap())
}

/// Bytes both ways at once through everything between `entrance` and what `server` accepts, then the end of one
/// direction, an answer after it, and the end of the other.
async fn carries(entrance: SocketAddr, server: &TcpListener) {
    const UP: usize = 4 * MIB;
    const DOWN: usize = 6 * MIB;
    let mut near = soon("the port", TcpStream::connect(entrance))
        .await
        .unwrap();
    let (mut far, _) = soon("the server", server.accept()).await.unwrap();
    let (mut near_reads, mut near_writes) = near.split();
    let (mut far_reads, mut far_writes) = far.split();
    let near_sends = async {
        bytes::send(&mut near_writes, 1, UP).await;
        near_writes.shutdown().await.unwrap();
    };
    let near_gets = async {
        bytes::expect(&mut near_reads, 2, DOWN).await;
        bytes::expect(&mut near_reads, 3, MIB).await;
        bytes::expect_end(&mut near_reads).await;
    };
    let far_answers = async {
        let far_gets = async {
            bytes::expect(&mut far_reads, 1, UP).await;
            bytes::expect_end(&mut far_reads).await;
        };
        tokio::join!(bytes::send(&mut far_writes, 2, DOWN), far_gets);
        bytes::send(&mut far_writes, 3, MIB).await;
        far_writes.shutdown().await.unwrap();
    };
    soon("the bytes", async {
        tokio::join!(near_sends, near_gets, far_answers)
    })
    .await;
}

/// A module in every role in which the host says where to: one role at a time between built-in transports, then all.
async fn every_role(language: &str) {
    let state = tempfile::tempdir().unwrap();
    let module = &*module(language);
    let plain = Path::new("plain");
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let end = server.local_addr().unwrap();
    for chain in [
        &[("dial", module), ("listen", plain)][..],
        &[("dial", plain), ("relay", module), ("listen", plain)],
        &[("dial", plain), ("listen", module)],
        &[("dial", module), ("relay", module), ("listen", module)],
    ] {
        let mut running = Vec::new();
        let mut next = end;
        for (command, module) in chain.iter().rev() {
            let words = ["--connect", &next.to_string()];
            let (pt, at) = started(command, module, &state, &words).await;
            running.push(pt);
            next = at;
        }
        carries(next, &server).await;
    }
}

/// A module that is configured with where to, as a dialer and as a relay.
async fn by_itself(language: &str) {
    let state = tempfile::tempdir().unwrap();
    let module = module(language);
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let end = server.local_addr().unwrap();
    let config = state.path().join("where");
    std::fs::write(&config, format!("tcp {end}\n")).unwrap();
    let config = config.to_str().unwrap();
    let rule = format!("127.0.0.0/8:{}", end.port());
    for command in ["dial", "relay"] {
        let words = ["--config", config, "--allow", &rule];
        let (_run, entrance) = started(command, &module, &state, &words).await;
        carries(entrance, &server).await;
    }
}

#[tokio::test]
async fn go_plays_every_role() {
    every_role("go").await;
}

#[tokio::test]
async fn go_goes_by_itself() {
    by_itself("go").await;
}

#[tokio::test]
async fn c_plays_every_role() {
    every_role("c").await;
}

#[tokio::test]
async fn c_goes_by_itself() {
    by_itself("c").await;
}
