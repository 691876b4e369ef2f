//! What an operator writes down: settings in a file, folders of modules, and which of two words counts.

use std::path::Path;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::deadline::soon;
use crate::support::folder::Folder;
use crate::support::orport::opened;
use crate::support::pair::Pair;
use crate::support::pt::{Launch, Pt};

fn sha256(file: &Path) -> String {
    Sha256::digest(std::fs::read(file).unwrap())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn with_settings(launch: Launch, file: &Path) -> Launch {
    launch.arg("--config").arg(file)
}

async fn passes(pt: &Pt, name: &str) {
    let (mut near, mut far) = opened(pt, name, b"").await;
    near.write_all(b"ping").await.unwrap();
    let mut bytes = [0; 4];
    soon("a ping", far.read_exact(&mut bytes)).await.unwrap();
    assert_eq!(&bytes, b"ping");
}

/// What `config_echo` says that it reads.
async fn configuration(pt: &Pt, name: &str, args: &[u8]) -> serde_json::Value {
    let (_near, mut far) = opened(pt, name, args).await;
    let length = soon("a length", far.read_u32()).await.unwrap();
    let mut text = vec![0; length as usize];
    soon("the text", far.read_exact(&mut text)).await.unwrap();
    serde_json::from_slice(&text).unwrap()
}

#[tokio::test]
async fn a_folder_of_modules_is_a_folder_of_transports() {
    let folder = Folder::new();
    folder.module("mine.wasm", "reverse.wasm");
    folder.write(
        "mine.toml",
        "config = { key = \"of-the-folder\" }\nannounce = [\"key\"]\n",
    );
    folder.module("other.wasm", "plain.wasm");
    folder.module("not-a-name.wasm", "plain.wasm");
    folder.write("not-a-name.toml", "");
    folder.module("left_behind.wasm", "plain.wasm");
    folder.write("left-behind.toml", "");
    folder.write("left-behind.json", "{}");
    folder.write("of-others.json", "{}");
    folder.write("alone.toml", "");
    folder.write("README", "");
    let pair = Pair::adjusted("mine", |launch| folder.of_modules(launch)).await;
    assert!(!pair.bridge.args.is_empty(), "the key is announced");
    let (mut near, mut far) = pair.open().await;
    let sent: Vec<u8> = (0..300_000u32).map(|n| n.to_le_bytes()[0]).collect();
    let mut got = vec![0; sent.len()];
    let (written, read) = soon("a round trip", async {
        tokio::join!(near.write_all(&sent), far.read_exact(&mut got))
    })
    .await;
    written.unwrap();
    read.unwrap();
    assert!(got == sent);
    far.write_all(b"back").await.unwrap();
    let mut back = [0; 4];
    soon("the way back", near.read_exact(&mut back))
        .await
        .unwrap();
    assert_eq!(&back, b"back");
    let told = pair.client.stdout.text();
    assert!(!told.contains("of-others"), "{told}");
    for remedy in [
        "rename it to not_a_name.wasm, and ",
        "along with it to not_a_name.toml",
        "left-behind.toml is not read",
        "(left_behind.toml), or take it away",
        "left-behind.json is not read",
        "put alone.wasm there",
    ] {
        assert!(
            pair.client.stdout.text().contains(remedy),
            "{remedy}: {}",
            pair.client.story()
        );
    }
}

#[tokio::test]
async fn what_is_ambiguous_or_wrong_costs_one_transport_only() {
    let folder = Folder::new();
    folder.module("good.wasm", "plain.wasm");
    folder.module("both.wasm", "plain.wasm");
    folder.write("both.cwasm", "");
    folder.module("twice.wasm", "plain.wasm");
    folder.write("twice.toml", "");
    folder.write("twice.json", "{}");
    folder.module("typo.wasm", "plain.wasm");
    let typo = folder.write("typo.toml", "argv = []\n\nhandshake-timout = 3\n");
    let pinned = folder.module("pinned.wasm", "plain.wasm");
    let wrong = "0".repeat(64);
    folder.write("pinned.toml", format!("sha256 = \"{wrong}\""));
    folder.module("right.wasm", "plain.wasm");
    folder.write("right.toml", format!("sha256 = {:?}", sha256(&pinned)));
    folder.module("hungry.wasm", "test-guests/bigtable.wasm");
    folder.write("hungry.toml", "limits = { table = 100 }");
    folder.module("elsewhere.wasm", "plain.wasm");
    folder.write("elsewhere.toml", "module = \"good.wasm\"");
    folder.module("roaming.wasm", "test-guests/roaming.wasm");
    folder.module("reading.wasm", "plain.wasm");
    folder.write("reading.toml", "folders = { \"/data\" = \"nowhere\" }");
    folder.module("tabled.wasm", "plain.wasm");
    folder.write("tabled.toml", "");
    let file = folder.write("ouzel.conf", "[transport.tabled]\nargv = [\"x\"]\n");
    let names = "good,both,twice,typo,pinned,right,hungry,elsewhere,roaming,reading,tabled";
    let launch = folder.of_modules(with_settings(Launch::client(names), &file));
    let pt = launch.ready().await;
    let place = format!("{}:3:1: ", typo.display());
    let has = sha256(&pinned);
    for (name, words) in [
        ("both", &["both.wasm and both.cwasm", "keep one"][..]),
        ("twice", &["twice.toml and twice.json", "keep one"]),
        ("typo", &[&place, "did you mean 'handshake-timeout'?"]),
        ("pinned", &["pinned.wasm", &wrong, &has]),
        ("hungry", &["100", "limits"]),
        ("elsewhere", &["elsewhere.toml", "take the key module out"]),
        ("roaming", &["chooses by itself", "allow"]),
        ("reading", &["nowhere", "folders"]),
        ("tabled", &["two places", "keep one"]),
    ] {
        let line = pt.says(&[&format!("CMETHOD-ERROR {name} ")]).await;
        for word in words {
            assert!(line.contains(word), "{name}: {word:?} is not in {line}");
        }
    }
    passes(&pt, "good").await;
    passes(&pt, "right").await;
}

#[tokio::test]
async fn a_mistake_in_the_operators_file_is_told_before_anything_starts() {
    let folder = Folder::new();
    let file = folder.write(
        "ouzel.toml",
        "log-level = \"info\"\n\n[transport.mine]\nmodul = \"x\"\n",
    );
    let launch = with_settings(Launch::client("plain"), &file);
    let mut pt = launch.start();
    let status = pt.ended_within(Duration::from_secs(20)).await;
    assert_eq!(status.code(), Some(2));
    let told = format!("{}:4:1: ", file.display());
    let stderr = pt.stderr.text();
    assert!(
        stderr.contains(&told) && stderr.contains("did you mean \"module\"?"),
        "{stderr}"
    );
    let line = pt.says(&["ENV-ERROR "]).await;
    assert!(
        line.contains(&told) && line.contains("did you mean 'module'?"),
        "{line}"
    );
    assert!(!pt.stdout.text().contains("CMETHOD"), "{}", pt.story());
}

#[tokio::test]
async fn arguments_replace_only_what_the_operator_lets_them() {
    let folder = Folder::new();
    folder.module("echo.wasm", "test-guests/config_echo.wasm");
    let file = folder.write(
        "ouzel.toml",
        "modules = \".\"\n[transport.echo]\nconfig = { password = \"operator\", port = 1 }\nargs-override = [\"port\"]\n",
    );
    let pt = with_settings(Launch::client("echo"), &file).ready().await;
    let told = configuration(&pt, "echo", b"password=client;port=2;more=3").await;
    assert_eq!(
        told,
        serde_json::json!({"password": "operator", "port": "2", "more": "3"})
    );
}

#[tokio::test]
async fn what_goes_unused_is_told() {
    let folder = Folder::new();
    for name in ["a", "b", "c", "d"] {
        folder.module(&format!("near/{name}.wasm"), "plain.wasm");
    }
    folder.write("near/d.toml", "");
    folder.module("far/e.wasm", "plain.wasm");
    let other = folder.module("other.bin", "plain.wasm");
    let table = folder.module("table.bin", "plain.wasm");
    let file = folder.write(
        "ouzel.toml",
        "modules = \"far\"\n\
         [transport.b]\nmodule = \"table.bin\"\n[transport.f]\nmodule = \"table.bin\"\n",
    );
    let pt = with_settings(Launch::client("a,b,c,d,f"), &file)
        .arg("--modules")
        .arg(folder.path().join("near"))
        .module("a", &other)
        .module("d", &other)
        .module("f", &other)
        .ready()
        .await;
    let near = |name: &str| folder.path().join("near").join(name).display().to_string();
    for (unused, who) in [
        (near("a.wasm"), "--module names another module for a"),
        (near("b.wasm"), "[transport.b] names another module for b"),
        (near("d.wasm"), "--module names another module for d"),
        (near("d.toml"), "--module names another for d"),
        (
            table.display().to_string(),
            "--module names another module for f",
        ),
        (
            folder.path().join("far").display().to_string(),
            "--modules names another than modules",
        ),
    ] {
        pt.says(&["SEVERITY=notice", &format!("{unused} is not "), who])
            .await;
    }
    let told = pt.stdout.text();
    assert!(!told.contains("c.wasm is not"), "{told}");
}

#[tokio::test]
async fn the_nearest_word_to_the_command_line_counts() {
    let folder = Folder::new();
    folder.module("plain.wasm", "test-guests/config_echo.wasm");
    folder.write("plain.toml", "config = { from = \"folder\" }");
    let module = folder.module("elsewhere/echo.bin", "test-guests/config_echo.wasm");
    let own = folder.write("own.conf", "{\"from\": \"flag\"}");
    let file = folder.write(
        "ouzel.toml",
        "max-connections = 7\nmodules = \".\"\n\
         [transport.echo]\nmodule = \"elsewhere/echo.bin\"\nconfig = { from = \"table\" }\n\
         [transport.reverse]\nmodule = \"missing.wasm\"\n",
    );
    let echoing = |launch: Launch| with_settings(launch, &file);
    let pt = echoing(Launch::client("plain,echo,reverse"))
        .module("reverse", &module)
        .ready()
        .await;
    let from = |value: serde_json::Value| value["from"].as_str().map(str::to_owned);
    let told = configuration(&pt, "plain", b"").await;
    assert_eq!(from(told).as_deref(), Some("folder"), "before a built-in");
    let told = configuration(&pt, "echo", b"").await;
    assert_eq!(from(told).as_deref(), Some("table"));
    let (_near, mut far) = opened(&pt, "reverse", b"").await;
    let none = soon("a length", far.read_u32()).await.unwrap();
    assert_eq!(none, u32::MAX, "the flag's module, without a configuration");
    let mut named = std::ffi::OsString::from("echo=");
    named.push(&own);
    let pt = echoing(Launch::client("echo"))
        .arg("--config")
        .arg(named)
        .ready()
        .await;
    let told = configuration(&pt, "echo", b"").await;
    assert_eq!(from(told).as_deref(), Some("flag"));
}
