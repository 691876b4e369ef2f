//! What an operator writes down: settings in a file, folders of modules, configurations of the Go runtime.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::deadline::soon;
use crate::support::orport::OrPort;
use crate::support::pair::Pair;
use crate::support::pt::{Launch, Pt};
use crate::support::socks::open;

/// A folder that an operator fills.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Folder(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Puts a module there under this name.
    fn module(&self, name: &str, from: &str) -> PathBuf {
        self.write(name, std::fs::read(dist(from)).unwrap())
    }
}

fn dist(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("watm/dist")
        .join(name)
}

fn sha256(file: &Path) -> String {
    Sha256::digest(std::fs::read(file).unwrap())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn with_settings(launch: Launch, file: &Path) -> Launch {
    launch.arg("--config").arg(file)
}

fn with_folder(launch: Launch, folder: &Folder) -> Launch {
    launch.arg("--modules").arg(folder.path())
}

/// The network's end of one connection through a client's transport.
async fn opened(pt: &Pt, name: &str, args: &[u8]) -> (TcpStream, TcpStream) {
    let far = OrPort::listen().await;
    let addr = pt.method(name).await.addr;
    let near = open(addr, &far.addr.into(), args)
        .await
        .unwrap_or_else(|e| panic!("{e:?}\n{}", pt.story()));
    (near, far.accept().await)
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
    folder.write("alone.toml", "");
    folder.write("README", "");
    let pair = Pair::adjusted("mine", |launch| with_folder(launch, &folder)).await;
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
    for remedy in ["rename it to not_a_name.wasm", "put alone.wasm there"] {
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
    let launch = with_folder(with_settings(Launch::client(names), &file), &folder);
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
async fn a_guest_has_the_words_that_it_was_granted_and_no_others() {
    let folder = Folder::new();
    folder.module("given.wasm", "test-guests/granted.wasm");
    folder.write(
        "given.toml",
        "argv = [\"given\", \"--fast\", \"\"]\nenv = { B = \"2=3\", A = \"\" }\n",
    );
    folder.module("bare.wasm", "test-guests/granted.wasm");
    let pt = with_folder(Launch::client("given,bare"), &folder)
        .set("SECRET", "of the process")
        .ready()
        .await;
    let (_near, mut far) = opened(&pt, "given", b"").await;
    assert_eq!(texts(&mut far).await, ["given", "--fast", ""]);
    assert_eq!(texts(&mut far).await, ["A=", "B=2=3"]);
    let (_near, mut far) = opened(&pt, "bare", b"").await;
    assert!(texts(&mut far).await.is_empty());
    assert!(texts(&mut far).await.is_empty());
    let told = pt.stdout.text();
    assert!(
        told.contains(
            "given is given more than others: a command line of 3 words, 2 environment variables"
        ),
        "{}",
        pt.story()
    );
    assert!(!told.contains("bare is given"));
}

#[tokio::test]
async fn limits_are_kept_below_and_above_the_usual() {
    let folder = Folder::new();
    for name in ["little", "usual", "much"] {
        folder.module(&format!("{name}.wasm"), "test-guests/memory_hog.wasm");
    }
    folder.write("little.toml", "limits = { memory = \"2 MiB\" }");
    folder.write("much.toml", "limits = { memory = \"160 MiB\" }");
    let pt = with_folder(Launch::client("little,usual,much"), &folder)
        .ready()
        .await;
    passes(&pt, "little").await;
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
        pt.stdout.text().contains("160 MiB of memory"),
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
    let pt = with_folder(Launch::client("roaming,astray"), &folder)
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
    let mut stream = soon("the port", TcpStream::connect(at)).await.unwrap();
    let end = soon("the end", stream.read(&mut [0])).await;
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
        assert_eq!(status.code(), Some(1), "{name}");
        assert!(
            pt.stderr.text().contains(complaint),
            "{name}: {}",
            pt.story()
        );
    }
}
