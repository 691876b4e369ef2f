//! Modules that refuse what they were given, and say why: who is told, and from when on nobody is.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::process::Command;

use crate::support::deadline::{soon, within};
use crate::support::folder::Folder;
use crate::support::orport::OrPort;
use crate::support::peers;
use crate::support::pt::{Launch, Pt};
use crate::support::socks::{Refusal, open};

const WORDS: &str = "key= missing: copy the whole bridge line";

fn guest() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("watm/dist/test-guests/outspoken.wasm")
}

fn configuration(at: &str, says: &str) -> String {
    serde_json::json!({"at": at, "says": says.replace(' ', "_")}).to_string()
}

/// With a module that refuses there, in these words.
fn refusing(launch: Launch, folder: &Folder, at: &str, says: &str) -> Launch {
    let file = folder.write("outspoken.json", configuration(at, says));
    let mut named = std::ffi::OsString::from("outspoken=");
    named.push(file);
    launch
        .module("outspoken", &guest())
        .arg("--config")
        .arg(named)
}

/// What became of a SOCKS connection with these arguments, and the log line about it, which has this word.
async fn refused(pt: &Pt, to: SocketAddr, args: &[u8], word: &str) -> (Refusal, String) {
    let socks = pt.method("outspoken").await.addr;
    let refusal = open(socks, &to.into(), args).await.unwrap_err();
    (refusal, pt.logs(&["outspoken: ", "the module", word]).await)
}

#[tokio::test]
async fn a_client_s_user_is_told_what_the_module_says() {
    let folder = Folder::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bridge = listener.local_addr().unwrap();
    for at in ["init", "role"] {
        let says = format!("a line before\n{WORDS}\n");
        let pt = refusing(Launch::client("outspoken"), &folder, at, &says);
        let pt = pt.ready().await;
        let (refusal, line) = refused(&pt, bridge, b"", "says").await;
        assert_eq!(refusal, Refusal::Reply(1), "{at}");
        assert!(
            line.contains(WORDS) && line.contains("SEVERITY=warning"),
            "{at}: {line}"
        );
        assert!(
            !pt.stdout.text().contains("a line before"),
            "{}",
            pt.story()
        );
    }
}

#[tokio::test]
async fn the_arguments_of_a_bridge_line_are_struck_out() {
    let folder = Folder::new();
    let pt = refusing(
        Launch::client("outspoken"),
        &folder,
        "role",
        "bad cert SECRETCERT for 192.0.2.77:443",
    );
    let pt = pt.arg("--log-level").arg("debug").ready().await;
    let to = "127.0.0.1:1".parse().unwrap();
    let (_, line) = refused(&pt, to, b"cert=SECRETCERT", "says").await;
    assert!(
        line.contains("bad cert [scrubbed] for [scrubbed]"),
        "{line}"
    );
    assert!(!pt.stdout.text().contains("SECRETCERT"));
    assert!(!pt.stdout.text().contains("192.0.2.77"));
}

#[tokio::test]
async fn after_it_has_met_somebody_and_when_it_crashes_nothing_is_told() {
    let folder = Folder::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bridge = listener.local_addr().unwrap();
    for (at, word) in [("met", "gave up"), ("crash", "crashed")] {
        let pt = refusing(Launch::client("outspoken"), &folder, at, "PEERS BYTES\n");
        let pt = pt.arg("--log-level").arg("debug").ready().await;
        refused(&pt, bridge, b"", word).await;
        assert!(!pt.stdout.text().contains("PEERS BYTES"), "{}", pt.story());
    }
    let orport = OrPort::listen().await;
    let pt = refusing(
        Launch::server("outspoken", orport.addr),
        &folder,
        "met",
        "PEERS BYTES\n",
    );
    let pt = pt.arg("--log-level").arg("debug").ready().await;
    let at = pt.method("outspoken").await.addr;
    let _prober = tokio::net::TcpStream::connect(at).await.unwrap();
    pt.logs(&["outspoken: ", "the module gave up"]).await;
    assert!(!pt.stdout.text().contains("PEERS BYTES"), "{}", pt.story());
}

#[tokio::test]
async fn a_set_up_run_names_its_file_where_it_lies() {
    let folder = Folder::new();
    let orport = OrPort::listen().await;
    let says = "/state/key has 3 bytes, 32 are expected: restore it from a backup\n";
    let server = refusing(
        Launch::server("outspoken", orport.addr),
        &folder,
        "setup",
        says,
    );
    let file = server.state_dir().join("transports/outspoken/key");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let private = |path: &Path, mode| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    std::fs::write(&file, "abc").unwrap();
    private(&file, 0o600);
    let pt = server.start();
    let error = pt.says(&["SMETHOD-ERROR outspoken"]).await;
    let expected = format!("{} has 3 bytes, 32 are expected", file.display());
    assert!(error.contains(&expected), "{error}");
    assert_eq!(
        std::fs::read(&file).unwrap(),
        b"abc",
        "it is left as it was"
    );

    let client = refusing(Launch::client("outspoken"), &folder, "setup", WORDS).start();
    let error = client.says(&["CMETHOD-ERROR outspoken"]).await;
    assert!(error.contains(WORDS), "{error}");
    let server = refusing(
        Launch::server("outspoken", orport.addr),
        &folder,
        "init",
        WORDS,
    );
    let error = server.start().says(&["SMETHOD-ERROR outspoken"]).await;
    assert!(error.contains(WORDS), "{error}");
}

#[tokio::test]
async fn a_flood_of_reasons_is_one_short_line() {
    let folder = Folder::new();
    let says = format!("{}\n{}", "flood\n".repeat(500), "x".repeat(4000));
    let pt = refusing(Launch::client("outspoken"), &folder, "init", &says);
    let pt = pt.ready().await;
    let to = "127.0.0.1:1".parse().unwrap();
    let (_, line) = refused(&pt, to, b"", "says").await;
    assert!(
        line.contains(&"x".repeat(200)) && !line.contains(&"x".repeat(201)),
        "{line}"
    );
}

#[tokio::test]
async fn commands_tell_it_on_stderr() {
    let folder = Folder::new();
    let conf = folder.write("outspoken.json", configuration("setup", WORDS));
    for (command, more) in [
        ("dial", ["--connect", "127.0.0.1:1"]),
        ("listen", ["--connect", "127.0.0.1:1"]),
    ] {
        let state = folder.path().join("state");
        let output = Command::new(peers::ouzel())
            .args([command, "--listen", "127.0.0.1:0"])
            .args(more)
            .arg("--module")
            .arg(guest())
            .arg("--config")
            .arg(&conf)
            .arg("--state")
            .arg(state)
            .env_clear()
            .kill_on_drop(true)
            .output();
        let output = soon("an end", output).await.unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            told.contains(WORDS) && !output.status.success(),
            "{command}: {told}"
        );
    }
    let output = Command::new(peers::ouzel())
        .args(["validate", "--run"])
        .arg("--config")
        .arg(&conf)
        .arg(guest())
        .env_clear()
        .kill_on_drop(true)
        .output();
    let output = within(Duration::from_secs(60), "an answer", output)
        .await
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains(WORDS), "{told}");
}
