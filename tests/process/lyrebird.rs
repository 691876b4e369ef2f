//! Command lines and names that are in people's torrc for obfs4proxy and lyrebird.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use tokio::io::AsyncReadExt;

use crate::support::deadline::soon;
use crate::support::folder::{Folder, dist};
use crate::support::orport::{OrPort, opened};
use crate::support::peers;
use crate::support::pt::{Launch, Pt};
use crate::support::socks::open;

const NAMES: [&str; 2] = ["obfs4proxy", "lyrebird"];

/// This program under another's name.
struct Link {
    folder: Folder,
    name: &'static str,
}

impl Link {
    fn of(name: &'static str) -> Self {
        let folder = Folder::new();
        symlink(peers::ouzel(), folder.path().join(name)).unwrap();
        Link { folder, name }
    }

    fn program(&self) -> PathBuf {
        self.folder.path().join(self.name)
    }

    fn client(&self, transports: &str) -> Launch {
        Launch::of(self.program()).set("TOR_PT_CLIENT_TRANSPORTS", transports)
    }

    /// Without anything that a parent sets.
    fn by_hand(&self, words: &[&str]) -> Launch {
        let launch = Launch::of(self.program())
            .unset("TOR_PT_MANAGED_TRANSPORT_VER")
            .unset("TOR_PT_STATE_LOCATION")
            .unset("TOR_PT_EXIT_ON_STDIN_CLOSE");
        words.iter().fold(launch, Launch::arg)
    }
}

fn log(pt: &Pt, name: &str) -> String {
    std::fs::read_to_string(pt.state_dir().join(format!("{name}.log"))).unwrap()
}

#[tokio::test]
async fn every_flag_is_taken_under_every_name() {
    let flags = [
        "-enableLogging",
        "-logLevel",
        "Info",
        "managed",
        "-unsafeLogging",
        "true",
        "-obfs4-distBias",
        "managed",
    ];
    for name in NAMES {
        let link = Link::of(name);
        let launch = flags.iter().fold(link.client("plain"), Launch::arg);
        let pt = launch.ready().await;
        pt.method("plain").await;
        let file = pt.state_dir().join(format!("{name}.log"));
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
        assert!(!pt.state_dir().join("ouzel.log").exists());
        assert!(
            log(&pt, name).contains("started as a client"),
            "{}",
            log(&pt, name)
        );
    }
    // And under its own name, where a log is its own.
    let launch = flags.iter().fold(Launch::client("plain"), Launch::arg);
    let pt = launch.ready().await;
    assert!(log(&pt, "ouzel").contains("started as a client"));
    let orport = OrPort::listen().await;
    let link = Link::of("obfs4proxy");
    let server = Launch::of(link.program()).serving("plain", orport.addr);
    let pt = server.arg("--enableLogging=true").ready().await;
    assert!(log(&pt, "obfs4proxy").contains("started as a bridge"));
}

#[tokio::test]
async fn the_level_is_the_log_s_and_error_unless_it_is_named() {
    let link = Link::of("lyrebird");
    let nobody = "127.0.0.1:1".parse::<std::net::SocketAddr>().unwrap();
    for (level, is_told) in [(None, false), (Some("-logLevel=WARN"), true)] {
        let launch = link.client("plain").arg("-enableLogging");
        let launch = level.into_iter().fold(launch, Launch::arg);
        let mut pt = launch.ready().await;
        let socks = pt.method("plain").await.addr;
        open(socks, &nobody.into(), b"").await.unwrap_err();
        // tor hears of it either way.
        pt.logs(&["refused the connection"]).await;
        pt.close_stdin();
        pt.exits(0).await;
        let log = log(&pt, "lyrebird");
        assert_eq!(
            log.contains("refused the connection"),
            is_told,
            "{level:?}: {log}"
        );
    }
}

#[tokio::test]
async fn what_is_wrong_ends_as_it_does_there() {
    for name in NAMES {
        let link = Link::of(name);
        let mut pt = link.by_hand(&["-noSuchFlag"]).start();
        pt.exits(2).await;
        let told = pt.stderr.text();
        assert!(told.contains(&format!("Usage: {name}")), "{told}");

        let mut pt = link.by_hand(&["-logLevel", "LOUD"]).start();
        pt.exits(1).await;
        assert!(pt.stderr.text().contains("LOUD"), "{}", pt.story());

        let mut pt = link.by_hand(&["-enableLogging"]).start();
        pt.exits(1).await;
        let told = pt.stderr.text();
        assert!(told.starts_with(name), "{told}");
        assert!(
            told.contains("must be run as a managed transport"),
            "{told}"
        );
        assert!(
            told.contains("torrc") && told.trim_end().lines().count() == 1,
            "{told}"
        );
        assert_eq!(pt.stdout.text(), "");

        for help in ["-h", "-help", "--help"] {
            let mut pt = link.by_hand(&[help]).start();
            pt.exits(0).await;
            let told = pt.stdout.text();
            assert!(told.contains(&format!("Usage: {name}")), "{told}");
            assert!(told.contains("-enableLogging"), "{told}");
        }
        let mut pt = link.by_hand(&["-version"]).start();
        pt.exits(0).await;
        let version = format!("ouzel {}", env!("CARGO_PKG_VERSION"));
        assert_eq!(pt.stdout.text().trim_end(), version);
    }
    // Under its own name a wrong level is a wrong flag like any other.
    let mut pt = Launch::bare().arg("-logLevel=LOUD").start();
    pt.exits(2).await;
}

#[tokio::test]
async fn under_tor_a_wrong_flag_is_told_to_tor() {
    let link = Link::of("obfs4proxy");
    let mut pt = link.client("plain").arg("-noSuchFlag").start();
    pt.says(&["ENV-ERROR", "--noSuchFlag"]).await;
    pt.exits(2).await;
    let mut pt = link.client("plain").arg("-logLevel=LOUD").start();
    pt.says(&["ENV-ERROR", "LOUD"]).await;
    pt.exits(1).await;
}

#[tokio::test]
async fn transports_that_only_they_have_are_left_to_them() {
    let asked = "meek_lite,obfs2,obfs3,plain,scramblesuit,snowflake,webtunnel";
    for launch in [Launch::client(asked), Link::of("lyrebird").client(asked)] {
        let pt = launch.ready().await;
        pt.method("plain").await;
        let told = pt.stdout.text();
        assert!(!told.contains("CMETHOD-ERROR"), "{told}");
        let lines: Vec<_> = told
            .lines()
            .filter(|line| line.contains("webtunnel"))
            .collect();
        let [line] = lines[..] else {
            panic!("not one line: {told}");
        };
        assert!(line.contains("SEVERITY=notice"), "{line}");
        assert!(
            line.contains("meek_lite, obfs2, obfs3, scramblesuit, snowflake, webtunnel"),
            "{line}"
        );
        assert!(
            line.contains("keep a line with lyrebird in torrc"),
            "{line}"
        );
    }
    let pt = Launch::client("snowflake,mine").ready().await;
    pt.logs(&["severity=warning", "in lyrebird: snowflake"])
        .await;
    pt.logs(&["severity=warning", "--module mine=FILE"]).await;
}

#[tokio::test]
async fn the_flag_of_a_transport_reaches_its_module() {
    let echo = dist("test-guests/config_echo.wasm");
    let folder = Folder::new();
    let file = folder.write("obfs4.json", r#"{"dist-bias": false, "more": 1}"#);
    let mut named = std::ffi::OsString::from("obfs4=");
    named.push(file);
    let launch = Launch::client("obfs4").module("obfs4", &echo);
    let pt = launch
        .arg("--config")
        .arg(named)
        .arg("-obfs4-distBias")
        .ready()
        .await;
    let (_near, mut far) = opened(&pt, "obfs4", b"cert=abc").await;
    let length = soon("a length", far.read_u32()).await.unwrap();
    let mut text = vec![0; length as usize];
    soon("the text", far.read_exact(&mut text)).await.unwrap();
    let read: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(
        read,
        serde_json::json!({"cert": "abc", "dist-bias": true, "more": 1})
    );

    let launch = Launch::client("other").module("other", &echo);
    let pt = launch.arg("-obfs4-distBias").ready().await;
    let (_near, mut far) = opened(&pt, "other", b"").await;
    assert!(matches!(
        soon("a length", far.read_u32()).await.unwrap(),
        0 | u32::MAX
    ));
}
