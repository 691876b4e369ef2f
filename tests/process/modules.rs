//! Modules from files: good ones work like built-in ones, bad ones cost one line and nothing else.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::deadline::{soon, stays_pending, within};
use crate::support::orport::OrPort;
use crate::support::pair::Pair;
use crate::support::pt::{Launch, Pt};
use crate::support::socks::{Raw, Refusal, open};

/// A module that came with the source.
fn dist(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("watm/dist")
        .join(name)
}

/// One session through `name`, both ends ours.
async fn passes(pt: &Pt, name: &str) {
    let far = OrPort::listen().await;
    let addr = pt.method(name).await.addr;
    let mut near = open(addr, &far.addr.into(), b"")
        .await
        .unwrap_or_else(|e| panic!("{e:?}\n{}", pt.story()));
    let mut far = far.accept().await;
    near.write_all(b"ping").await.unwrap();
    let mut bytes = [0; 4];
    soon("a ping", far.read_exact(&mut bytes)).await.unwrap();
}

/// Files that are no transport, each with a word that the complaint must have.
fn bad_files(folder: &Path) -> Vec<(PathBuf, &'static str)> {
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let whole = std::fs::read(dist("plain.wasm")).unwrap();
    let mut component = whole.clone();
    component[4..8].copy_from_slice(&[0x0d, 0, 1, 0]);
    vec![
        (folder.join("missing.wasm"), "does not exist"),
        (write("empty.wasm", b""), "module"),
        (write("text.wasm", b"(module)"), "not a WebAssembly module"),
        (
            write("elf.wasm", b"\x7fELF\x02\x01\x01\0"),
            "not a WebAssembly module",
        ),
        (write("header.wasm", &whole[..8]), "WATM"),
        (
            write("truncated.wasm", &whole[..whole.len() / 2]),
            "cut short",
        ),
        (write("component.wasm", &component), ""),
        (folder.to_owned(), ""),
        (dist("test-guests/foreign_import.wasm"), "imports"),
        (dist("test-guests/final_v1.wasm"), ""),
    ]
}

#[tokio::test]
async fn a_bad_module_is_one_error_line_that_names_the_file_and_the_rest_works() {
    let folder = tempfile::tempdir().unwrap();
    let bad = bad_files(folder.path());
    let mut names = Vec::new();
    let mut client = Launch::client("");
    let mut server = Launch::server("plain", "127.0.0.1:9".parse().unwrap());
    let mut binds = Vec::new();
    for (n, (file, _)) in bad.iter().enumerate() {
        let name = format!("bad{n}");
        client = client.module(&name, file);
        server = server.module(&name, file);
        binds.push(format!("{name}-127.0.0.1:0"));
        names.push(name);
    }
    names.push("plain".to_owned());
    binds.push("plain-127.0.0.1:0".to_owned());
    let names = names.join(",");
    let mut client = client.set("TOR_PT_CLIENT_TRANSPORTS", &names).ready().await;
    let mut server = server
        .set("TOR_PT_SERVER_TRANSPORTS", &names)
        .set("TOR_PT_SERVER_BINDADDR", binds.join(","))
        .ready()
        .await;
    for (pt, keyword) in [
        (&mut client, "CMETHOD-ERROR"),
        (&mut server, "SMETHOD-ERROR"),
    ] {
        for (n, (file, word)) in bad.iter().enumerate() {
            let line = pt.says(&[&format!("{keyword} bad{n} ")]).await;
            assert!(
                line.contains(file.to_str().unwrap()),
                "names the file: {line}"
            );
            assert!(line.contains(word), "says {word:?}: {line}");
            assert!(line.len() < 600 && line.is_ascii(), "one sentence: {line}");
        }
        pt.assert_runs();
        assert!(!pt.stdout.text().contains("METHOD bad"), "{}", pt.story());
    }
    passes(&client, "plain").await;
    server.method("plain").await;
}

#[tokio::test]
async fn a_bad_configuration_file_is_named_too() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.json");
    let wrong = folder.path().join("wrong.json");
    std::fs::write(&wrong, r#"{"args_override": "all"}"#).unwrap();
    let pt = Launch::client("plain,reverse")
        .arg("--config")
        .arg(format!("plain={}", missing.display()))
        .arg("--config")
        .arg(format!("reverse={}", wrong.display()))
        .ready()
        .await;
    let line = pt.says(&["CMETHOD-ERROR plain "]).await;
    assert!(line.contains(missing.to_str().unwrap()), "{line}");
    let line = pt.says(&["CMETHOD-ERROR reverse "]).await;
    assert!(line.contains("args_override"), "{line}");
}

#[tokio::test]
async fn a_module_from_a_file_works_on_both_sides_under_its_own_name() {
    let file = dist("reverse.wasm");
    let pair = Pair::adjusted("mine", |launch| launch.module("mine", &file)).await;
    let (mut application, mut relay) = pair.open().await;
    application.write_all(b"ping").await.unwrap();
    let mut bytes = [0; 4];
    soon("a ping", relay.read_exact(&mut bytes)).await.unwrap();
    assert_eq!(&bytes, b"ping");
}

#[tokio::test]
async fn arguments_and_options_reach_the_modules() {
    // `reverse` scrambles with a key: with the same on both sides it arrives, with another it does not.
    for (told, same) in [(true, true), (false, false)] {
        let orport = OrPort::listen().await;
        let server = Launch::server("reverse", orport.addr)
            .set("TOR_PT_SERVER_TRANSPORT_OPTIONS", "reverse:key=se\\:same")
            .ready()
            .await;
        let client = Launch::client("reverse").ready().await;
        let bridge = server.method("reverse").await;
        assert_eq!(
            String::from_utf8_lossy(&bridge.args),
            "key=se:same",
            "the SMETHOD line tells what a bridge line needs\n{}",
            server.story()
        );
        let args = if told {
            bridge.args
        } else {
            b"key=other".to_vec()
        };
        let socks = client.method("reverse").await.addr;
        let mut near = open(socks, &bridge.addr.into(), &args).await.unwrap();
        near.write_all(b"The quick brown fox").await.unwrap();
        let mut relay = orport.accept().await;
        let mut bytes = [0; 19];
        soon("the fox", relay.read_exact(&mut bytes)).await.unwrap();
        assert_eq!(&bytes == b"The quick brown fox", same);
    }
}

#[tokio::test]
async fn a_module_that_crashes_or_refuses_ends_its_own_connection_only() {
    let (crashing, refusing) = (
        dist("test-guests/trap.wasm"),
        dist("test-guests/refuse.wasm"),
    );
    let dialling = dist("test-guests/trap_dial.wasm");
    let mut pt = Launch::client("plain,trap,refuse,trap_dial")
        .module("trap", &crashing)
        .module("refuse", &refusing)
        .module("trap_dial", &dialling)
        .ready()
        .await;
    let far = OrPort::listen().await;
    let plain = pt.method("plain").await.addr;
    let mut bystander = open(plain, &far.addr.into(), b"").await.unwrap();
    let mut bystanders_far = far.accept().await;

    for name in ["refuse", "trap_dial"] {
        let addr = pt.method(name).await.addr;
        let refusal = open(addr, &far.addr.into(), b"").await.unwrap_err();
        assert!(
            matches!(refusal, Refusal::Reply(1..=8)),
            "{name} {refusal:?}"
        );
        pt.logs(&[name]).await;
    }
    let addr = pt.method("trap").await.addr;
    let mut near = open(addr, &far.addr.into(), b"").await.unwrap();
    near.write_all(b"!").await.unwrap();
    let mut rest = Vec::new();
    let _ = soon("the end of the crashed", near.read_to_end(&mut rest)).await;
    pt.logs(&["crashed"]).await;

    bystander.write_all(b"ping").await.unwrap();
    let mut bytes = [0; 4];
    soon("a ping", bystanders_far.read_exact(&mut bytes))
        .await
        .unwrap();
    pt.assert_runs();
}

#[tokio::test]
async fn a_module_that_never_returns_is_stopped_and_slows_nobody() {
    for (file, at_dial) in [("spin.wasm", false), ("spin_dial.wasm", true)] {
        let file = dist("test-guests").join(file);
        let mut pt = Launch::client("plain,spin")
            .module("spin", &file)
            .arg("--threads")
            .arg("1")
            .ready()
            .await;
        let far = OrPort::listen().await;
        let spin = pt.method("spin").await.addr;
        let spinning = async {
            match open(spin, &far.addr.into(), b"").await {
                Err(refusal) => assert!(at_dial, "{refusal:?}"),
                Ok(mut near) => {
                    let mut rest = Vec::new();
                    let _ = near.read_to_end(&mut rest).await;
                }
            }
        };
        // One processor thread for both, and the other transport is served all the same.
        let others = async {
            for _ in 0..20 {
                passes(&pt, "plain").await;
            }
        };
        within(Duration::from_secs(90), "both", async {
            tokio::join!(spinning, others)
        })
        .await;
        pt.logs(&["no progress"]).await;
        pt.assert_runs();
    }
}

#[tokio::test]
async fn the_application_is_answered_only_when_the_transport_is_up() {
    // `silent` waits for ever for a word of the other end, inside its handshake.
    let file = dist("test-guests/silent.wasm");
    let pt = Launch::client("silent")
        .module("silent", &file)
        .ready()
        .await;
    let socks = pt.method("silent").await.addr;
    let far = OrPort::listen().await;
    let target = far.addr.into();
    let mut given_up = std::pin::pin!(open(socks, &target, b""));
    let mut waiting = std::pin::pin!(open(socks, &target, b""));
    stays_pending(
        Duration::from_secs(1),
        "answered before its handshake",
        async { tokio::join!(&mut given_up, &mut waiting) },
    )
    .await;
    let first = far.accept().await;
    let second = far.accept().await;
    drop(first);
    // Which of the two it was is the scheduler's choice.
    let (early, late) = tokio::select! {
        early = &mut given_up => (early, waiting),
        early = &mut waiting => (early, given_up),
    };
    assert!(
        matches!(early, Err(Refusal::Reply(1..=5))),
        "the bridge hung up: {early:?}"
    );
    let late = within(Duration::from_secs(60), "the handshake's limit", late).await;
    assert!(
        matches!(late, Err(Refusal::Reply(6))),
        "the handshake took too long: {late:?}"
    );
    pt.logs(&["handshake"]).await;
    drop(second);
}

#[tokio::test]
async fn a_failed_handshake_on_a_server_is_silence_until_a_fixed_moment() {
    // Three ways to fail; a prober sees one thing: an open connection that says nothing and ends with a FIN.
    let names = ["refuse", "trap_dial", "silent"];
    let orport = OrPort::listen().await;
    let mut launch = Launch::server("plain", orport.addr)
        .set("TOR_PT_SERVER_TRANSPORTS", names.join(","))
        .set(
            "TOR_PT_SERVER_BINDADDR",
            names.map(|name| format!("{name}-127.0.0.1:0")).join(","),
        );
    for name in names {
        launch = launch.module(name, &dist("test-guests").join(format!("{name}.wasm")));
    }
    let pt = launch.ready().await;
    let start = tokio::time::Instant::now();
    let mut probes = Vec::new();
    for name in names {
        let mut probe = Raw::to(pt.method(name).await.addr).await;
        probe.send(b"GET / HTTP/1.1\r\n\r\n").await;
        probes.push(probe);
    }
    for probe in &mut probes {
        let mut byte = [0];
        stays_pending(
            Duration::from_secs(3),
            "a failure can be told from outside",
            probe.0.read(&mut byte),
        )
        .await;
    }
    let mut ends = Vec::new();
    let limit = Duration::from_secs(120);
    for probe in &mut probes {
        let heard = probe.rest_within(limit).await.expect("a FIN, not a reset");
        assert!(heard.is_empty());
        ends.push(start.elapsed());
    }
    orport.assert_unused(Duration::from_millis(1)).await;
    let (first, last) = (ends.iter().min().unwrap(), ends.iter().max().unwrap());
    assert!(*last - *first < Duration::from_secs(3), "{ends:?}");
}

#[tokio::test]
async fn a_compiled_module_is_as_good_and_must_be_its_owner_s_alone() {
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().join("mine.cwasm");
    let mut compile = Launch::bare()
        .arg("compile")
        .arg(dist("plain.wasm"))
        .arg("-o")
        .arg(&made)
        .start();
    compile.exits(0).await;
    assert!(compile.stdout.text().contains(made.to_str().unwrap()));

    let pt = Launch::client("mine").module("mine", &made).ready().await;
    passes(&pt, "mine").await;

    // Native code that anybody may change is not run.
    std::fs::set_permissions(&made, std::fs::Permissions::from_mode(0o666)).unwrap();
    let pt = Launch::client("mine").module("mine", &made).ready().await;
    let line = pt.says(&["CMETHOD-ERROR mine "]).await;
    assert!(line.contains(made.to_str().unwrap()), "{line}");

    // Nor is damaged code.
    std::fs::set_permissions(&made, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut bytes = std::fs::read(&made).unwrap();
    bytes.truncate(bytes.len() / 2);
    std::fs::write(&made, bytes).unwrap();
    let pt = Launch::client("mine").module("mine", &made).ready().await;
    pt.says(&["CMETHOD-ERROR mine "]).await;

    let mut compile = Launch::bare()
        .arg("compile")
        .arg(folder.path().join("missing.wasm"))
        .start();
    compile.exits(1).await;
    assert!(compile.stderr.text().contains("missing.wasm"));
}

#[tokio::test]
async fn a_damaged_compiled_module_is_refused_before_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let good = folder.path().join("plain.cwasm");
    let compiled = std::process::Command::new(env!("CARGO_BIN_EXE_ouzel"))
        .arg("compile")
        .arg(dist("plain.wasm"))
        .arg("--output")
        .arg(&good)
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{compiled:?}");
    let whole = std::fs::read(&good).unwrap();
    for (n, at) in [100, whole.len() / 2, whole.len() - 1]
        .into_iter()
        .enumerate()
    {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        std::fs::write(folder.path().join(format!("bad{n}.cwasm")), damaged).unwrap();
    }
    std::fs::write(folder.path().join("bad3.cwasm"), &whole[..whole.len() / 2]).unwrap();
    let mut launch = Launch::client("good,bad0,bad1,bad2,bad3").module("good", &good);
    for n in 0..4 {
        let name = format!("bad{n}");
        launch = launch.module(&name, &folder.path().join(format!("{name}.cwasm")));
    }
    let pt = launch.ready().await;
    for n in 0..4 {
        let line = pt.says(&[&format!("CMETHOD-ERROR bad{n} ")]).await;
        assert!(line.contains("damaged"), "{line}");
    }
    passes(&pt, "good").await;
}
