//! What an operator grants a module besides its two connections, and what a configuration of the Go runtime grants.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::deadline::soon;
use crate::support::folder::Folder;
use crate::support::orport::opened;
use crate::support::pt::{Launch, Pt};
use crate::support::socks::open;

/// What `granted` says: its command line, or its environment.
async fn texts(far: &mut TcpStream) -> Vec<String> {
    let count = soon("a count", far.read_u32()).await.unwrap();
    let size = soon("a size", far.read_u32()).await.unwrap();
    let mut bytes = vec![0; size as usize];
    soon("the texts", far.read_exact(&mut bytes)).await.unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let texts: Vec<String> = text.split_terminator('\0').map(str::to_owned).collect();
    assert_eq!(texts.len(), count as usize);
    texts
}

#[tokio::test]
async fn a_guest_has_the_words_and_files_that_it_was_granted_and_no_others() {
    let folder = Folder::new();
    folder.module("given.wasm", "test-guests/granted.wasm");
    folder.write(
        "given.toml",
        "argv = [\"given\", \"--fast\", \"\"]\nenv = { B = \"2=3\", A = \"\" }\nfolders = { \"/data\" = \"files\" }\n",
    );
    folder.write("files/inner/greeting", "hello");
    folder.module("bare.wasm", "test-guests/granted.wasm");
    let pt = folder
        .of_modules(Launch::client("given,bare"))
        .set("SECRET", "of the process")
        .ready()
        .await;
    let (_near, mut far) = opened(&pt, "given", b"").await;
    assert_eq!(texts(&mut far).await, ["given", "--fast", ""]);
    assert_eq!(texts(&mut far).await, ["A=", "B=2=3"]);
    assert_eq!(soon("a length", far.read_u32()).await.unwrap(), 5);
    let mut greeting = [0; 5];
    soon("a file", far.read_exact(&mut greeting)).await.unwrap();
    assert_eq!(&greeting, b"hello");
    let (_near, mut far) = opened(&pt, "bare", b"").await;
    assert!(texts(&mut far).await.is_empty());
    assert!(texts(&mut far).await.is_empty());
    let none = soon("a length", far.read_u32()).await.unwrap();
    assert_eq!(none, u32::MAX, "no folder either");
    let told = pt.stdout.text();
    assert!(
        told.contains(
            "given is granted more than others; words of a command line: 3, environment variables: 2, copied folders: 1 (files: 1, 1 KiB)"
        ),
        "{}",
        pt.story()
    );
    assert!(!told.contains("bare is granted"));
}

#[tokio::test]
async fn limits_are_kept_below_and_above_the_usual() {
    let folder = Folder::new();
    for name in ["little", "usual", "much"] {
        folder.module(&format!("{name}.wasm"), "test-guests/memory_hog.wasm");
    }
    folder.write("little.toml", "limits = { memory = \"2 MiB\" }");
    folder.write("much.toml", "limits = { memory = \"160 MiB\" }");
    let pt = folder
        .of_modules(Launch::client("little,usual,much"))
        .ready()
        .await;
    drop(opened(&pt, "little", b"").await);
    let mut held = Vec::new();
    for (name, mib) in [("little", 2), ("usual", 64), ("much", 160)] {
        let before = pt.status_figure("VmData") >> 10;
        // It has all that it could get when the transport is up, writable, if not touched.
        held.push(opened(&pt, name, b"").await);
        let taken = (pt.status_figure("VmData") >> 10).saturating_sub(before);
        assert!(
            (mib - 2..mib + 8).contains(&taken),
            "{name}: {taken} MiB, not {mib}"
        );
    }
    assert!(
        pt.stdout.text().contains("memory: 160 MiB"),
        "{}",
        pt.story()
    );
}

#[tokio::test]
async fn under_tor_too_a_module_may_choose_where_to_go_within_the_rules() {
    let server = echo().await;
    let folder = Folder::new();
    folder.module("roaming.wasm", "test-guests/roaming.wasm");
    folder.write("where", format!("tcp {server}"));
    folder.write(
        "roaming.toml",
        format!(
            "config-file = \"where\"\nallow = [\"127.0.0.1:{}\"]\n",
            server.port()
        ),
    );
    folder.module("astray.wasm", "test-guests/roaming.wasm");
    folder.write(
        "astray.toml",
        "config-file = \"where\"\nallow = [\"127.0.0.1:1\"]\n",
    );
    let pt = folder
        .of_modules(Launch::client("roaming,astray"))
        .ready()
        .await;
    // The bridge line's address is of no use to such a module.
    let nowhere: SocketAddr = "192.0.2.1:1".parse().unwrap();
    let addr = pt.method("roaming").await.addr;
    let stream = open(addr, &nowhere.into(), b"").await;
    echoes(stream.unwrap_or_else(|e| panic!("{e:?}\n{}", pt.story()))).await;
    let addr = pt.method("astray").await.addr;
    let refused = open(addr, &nowhere.into(), b"").await;
    assert!(refused.is_err(), "not allowed");
    let line = pt.says(&["LOG ", "astray", "--allow"]).await;
    assert!(!line.contains("127.0.0.1"), "{line}");
}

/// A server that answers with what it hears.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut reader, mut writer) = stream.split();
                let _ = tokio::io::copy(&mut reader, &mut writer).await;
            });
        }
    });
    at
}

async fn echoes(mut stream: TcpStream) {
    stream.write_all(b"hello").await.unwrap();
    let mut got = [0; 5];
    soon("the echo", stream.read_exact(&mut got)).await.unwrap();
    assert_eq!(&got, b"hello");
}

/// Starts a run without tor, and waits for the address that it prints.
async fn alone(words: &[&str]) -> (Pt, SocketAddr) {
    let launch = words.iter().fold(Launch::bare(), Launch::arg);
    let state = launch.state_dir();
    let pt = launch.arg("--state").arg(state).start();
    let line = pt.says(&["listening on "]).await;
    let at = line.trim_start_matches("listening on ").parse().unwrap();
    (pt, at)
}

#[tokio::test]
async fn a_configuration_of_the_go_runtime_is_all_that_a_dial_needs() {
    let server = echo().await;
    let folder = Folder::new();
    folder.module("m.wasm", "test-guests/roaming.wasm");
    folder.write("where.cfg", format!("tcp {server}"));
    let go = |validator: &str| {
        format!(
            "{{\"transport_module\": {{\"bin\": \"m.wasm\", \"config\": \"where.cfg\"}},\n\
             \"network\": {{\"address_validator\": {validator},\n\
             \"listener\": {{\"network\": \"tcp\", \"address\": \"127.0.0.1:0\"}}}},\n\
             \"module\": {{\"inherit_stdout\": true}}}}"
        )
    };
    for good in [
        format!("{{\"allowlist\": {{\"{server}\": [\"tcp\"]}}}}"),
        "{\"catch_all\": true, \"denylist\": {}}".to_owned(),
    ] {
        let file = folder.write("go.json", go(&good));
        let (pt, at) = alone(&["dial", "--config", file.to_str().unwrap()]).await;
        echoes(soon("the port", TcpStream::connect(at)).await.unwrap()).await;
        let told = soon(
            "a word",
            pt.stderr.find(|line| line.contains("inherit_stdout")),
        )
        .await;
        assert!(told.is_some(), "{}", pt.story());
    }
    let denied = format!("{{\"catch_all\": true, \"denylist\": {{\"{server}\": [\"tcp\"]}}}}");
    let file = folder.write("go.json", go(&denied));
    let (pt, at) = alone(&["dial", "--config", file.to_str().unwrap()]).await;
    // The reset may be quicker than the end of connecting.
    let end = soon("the end", async {
        TcpStream::connect(at).await?.read(&mut [0]).await
    })
    .await;
    assert!(end.is_err(), "a reset: {end:?}");
    let told = soon(
        "the reason",
        pt.stderr.find(|line| line.contains("no rule allows")),
    )
    .await;
    assert!(told.is_some(), "{}", pt.story());
}

#[tokio::test]
async fn settings_serve_a_run_without_tor_too() {
    let server = echo().await.to_string();
    let folder = Folder::new();
    folder.module("m.wasm", "plain.wasm");
    let file = folder.write(
        "m.toml",
        "module = \"m.wasm\"\nhandshake-timeout = \"7s\"\n",
    );
    let words = [
        "dial",
        "--connect",
        &server,
        "--listen",
        "127.0.0.1:0",
        "--config",
    ];
    let (_pt, at) = alone(&[&words[..], &[file.to_str().unwrap()]].concat()).await;
    echoes(soon("the port", TcpStream::connect(at)).await.unwrap()).await;

    for (name, text, complaint) in [
        (
            "typo.toml",
            "module = \"m.wasm\"\nenv = { A = 1 }\n",
            "typo.toml:2:13: ",
        ),
        (
            "pin.toml",
            "module = \"m.wasm\"\nsha256 = \"0000000000000000000000000000000000000000000000000000000000000000\"\n",
            "sha256 is to be 0000",
        ),
        ("which.toml", "argv = []\n", "--module"),
        (
            "go.json",
            "{\"network\": {\"listner\": {}}}",
            "did you mean \"listener\"?",
        ),
        ("missing.toml", "", "m.wasm"),
    ] {
        let file = match name {
            "missing.toml" => folder.write(name, "module = \"elsewhere/m.wasm\"\n"),
            _ => folder.write(name, text),
        };
        let words = [&words[..], &[file.to_str().unwrap()]].concat();
        let launch = words.iter().fold(Launch::bare(), Launch::arg);
        let state = launch.state_dir();
        let mut pt = launch.arg("--state").arg(state).start();
        let status = pt.ended_within(Duration::from_secs(20)).await;
        // A mistake in settings is one in any run; what they lead to is a run that failed.
        let wrong = if matches!(name, "typo.toml" | "go.json") {
            2
        } else {
            1
        };
        assert_eq!(status.code(), Some(wrong), "{name}");
        assert!(
            pt.stderr.text().contains(complaint),
            "{name}: {}",
            pt.story()
        );
    }
}
