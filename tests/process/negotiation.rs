//! The first lines of a launch: versions, and environments that cannot work (pt-spec 3.2, 3.3.1).

use crate::support::pt::{Launch, Pt};

/// EX_USAGE: the environment is wrong.
const ENV_ERROR: i32 = 64;
/// EX_CONFIG: no version in common.
const VERSION_ERROR: i32 = 78;

/// A client launch that ends by itself, and the lines that it printed.
async fn refused(launch: Launch, code: i32) -> (Pt, Vec<String>) {
    let mut pt = launch.start();
    pt.exits(code).await;
    let lines = pt.stdout.so_far();
    (pt, lines)
}

/// Asserts that a launch ends with `ENV-ERROR` as PT 1 orders it: after `VERSION 1`, and with a `LOG` line before it,
/// because tor throws the text of a late `ENV-ERROR` away.
async fn assert_env_error(launch: Launch, what: &str) {
    let (pt, lines) = refused(launch, ENV_ERROR).await;
    assert_eq!(lines[0], "VERSION 1", "{what}: {}", pt.story());
    let error = lines
        .iter()
        .position(|line| line.starts_with("ENV-ERROR "))
        .unwrap_or_else(|| panic!("{what}: no ENV-ERROR\n{}", pt.story()));
    assert_eq!(error, lines.len() - 1, "{what}: the last line");
    assert!(
        lines[1..error]
            .iter()
            .any(|line| line.starts_with("LOG SEVERITY=error MESSAGE=\"")),
        "{what}: no LOG line says why\n{}",
        pt.story()
    );
    assert!(
        !lines.iter().any(|line| line.contains("METHOD")),
        "{what}: {lines:?}"
    );
}

#[tokio::test]
async fn started_by_hand_it_says_what_it_is_and_leaves_stdout_alone() {
    let mut pt = Launch::bare().start();
    let status = pt.ended().await;
    assert!(status.code().is_some_and(|code| code != 0), "{status:?}");
    assert_eq!(pt.stdout.text(), "");
    let told = pt.stderr.text();
    assert!(told.contains("managed transport"), "{told}");
    assert!(
        told.contains("ClientTransportPlugin obfs4 exec ")
            && told.contains("ServerTransportPlugin obfs4 exec "),
        "the torrc lines to use: {told}"
    );
}

#[tokio::test]
async fn flags_alone_do_not_make_a_launch() {
    let mut pt = Launch::bare().arg("-enableLogging").start();
    let status = pt.ended().await;
    assert!(status.code().is_some_and(|code| code != 0), "{status:?}");
    assert_eq!(pt.stdout.text(), "");
}

#[tokio::test]
async fn flags_from_people_s_torrc_do_not_disturb_a_launch() {
    let launch = Launch::client("plain")
        .arg("-enableLogging")
        .arg("-logLevel")
        .arg("DEBUG")
        .arg("-unsafeLogging=false");
    // Go's flag package takes all of these; a bool flag with a value among them.
    let pt = launch.ready().await;
    assert!(pt.stdout.text().contains("CMETHOD plain "));
}

#[tokio::test]
async fn a_version_list_with_1_in_any_place_gives_version_1_first() {
    for versions in ["1", "1,2", "2,1", "3.0,1", "2,1,3"] {
        let pt = Launch::client("plain")
            .set("TOR_PT_MANAGED_TRANSPORT_VER", versions)
            .ready()
            .await;
        assert_eq!(pt.stdout.so_far()[0], "VERSION 1", "{versions}");
    }
}

#[tokio::test]
async fn no_common_version_is_said_in_tor_s_words() {
    for versions in ["2", "3.0", "1a,11", " 1", "10", "1 ,2"] {
        let launch = Launch::client("plain").set("TOR_PT_MANAGED_TRANSPORT_VER", versions);
        let (_, lines) = refused(launch, VERSION_ERROR).await;
        let last = lines.last().map(String::as_str);
        assert_eq!(last, Some("VERSION-ERROR no-version"), "{versions:?}");
        assert!(
            !lines.iter().any(|line| line.starts_with("VERSION ")),
            "{versions:?}: {lines:?}"
        );
    }
}

#[tokio::test]
async fn a_missing_or_empty_version_list_is_an_env_error() {
    let launches = [
        Launch::client("plain").unset("TOR_PT_MANAGED_TRANSPORT_VER"),
        Launch::client("plain").set("TOR_PT_MANAGED_TRANSPORT_VER", ""),
    ];
    for launch in launches {
        let (_, lines) = refused(launch, ENV_ERROR).await;
        assert!(
            lines.last().is_some_and(|l| l.starts_with("ENV-ERROR ")),
            "{lines:?}"
        );
        assert!(!lines.iter().any(|line| line.starts_with("VERSION")));
    }
}

#[tokio::test]
async fn the_state_location_is_required() {
    assert_env_error(
        Launch::client("plain").unset("TOR_PT_STATE_LOCATION"),
        "missing",
    )
    .await;
    assert_env_error(
        Launch::client("plain").set("TOR_PT_STATE_LOCATION", ""),
        "empty",
    )
    .await;
}

#[tokio::test]
async fn a_state_directory_that_cannot_be_made_is_an_env_error() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let under_a_file = file.path().join("pt_state/");
    assert_env_error(
        Launch::client("plain").set("TOR_PT_STATE_LOCATION", under_a_file),
        "below a file",
    )
    .await;
}

#[tokio::test]
async fn the_state_directory_is_made_with_its_parents_and_for_its_user_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("a/b/pt_state/");
    let pt = Launch::client("plain")
        .set("TOR_PT_STATE_LOCATION", &state)
        .ready()
        .await;
    let mode = std::fs::metadata(&state).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "{mode:o}\n{}", pt.story());
    let mut folders = vec![state];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            if entry.metadata().unwrap().is_dir() {
                assert_eq!(mode, 0o700, "{:?}", entry.path());
                folders.push(entry.path());
            } else {
                assert_eq!(mode, 0o600, "{:?}", entry.path());
            }
        }
    }
}

#[tokio::test]
async fn exactly_one_of_client_and_server_is_asked_for() {
    let orport = "127.0.0.1:9".parse().unwrap();
    assert_env_error(Launch::client("plain").serving("plain", orport), "both").await;
    assert_env_error(
        Launch::client("plain").unset("TOR_PT_CLIENT_TRANSPORTS"),
        "neither",
    )
    .await;
}

#[tokio::test]
async fn malformed_bind_addresses_are_an_env_error() {
    for (name, value) in [
        ("TOR_PT_OUTBOUND_BIND_ADDRESS_V4", "localhost"),
        ("TOR_PT_OUTBOUND_BIND_ADDRESS_V4", "127.0.0.1:80"),
        ("TOR_PT_OUTBOUND_BIND_ADDRESS_V4", "[::1]"),
        ("TOR_PT_OUTBOUND_BIND_ADDRESS_V6", "127.0.0.1"),
        ("TOR_PT_OUTBOUND_BIND_ADDRESS_V6", "[::1"),
    ] {
        let launch = Launch::client("plain").set(name, value);
        assert_env_error(launch, &format!("{name}={value}")).await;
    }
}

#[tokio::test]
async fn unset_and_empty_optional_variables_mean_the_default() {
    let pt = Launch::client("plain")
        .set("TOR_PT_PROXY", "")
        .set("TOR_PT_OUTBOUND_BIND_ADDRESS_V4", "")
        .set("TOR_PT_OUTBOUND_BIND_ADDRESS_V6", "")
        .set("TOR_PT_SOMETHING_NEW", "whatever")
        .ready()
        .await;
    let text = pt.stdout.text();
    assert!(text.contains("CMETHOD plain "), "{text}");
    assert!(!text.contains("PROXY"), "nobody asked for one: {text}");
}

#[tokio::test]
async fn a_server_without_any_orport_is_an_env_error() {
    let server = || Launch::server("plain", "127.0.0.1:9".parse().unwrap());
    assert_env_error(server().unset("TOR_PT_ORPORT"), "no ORPort").await;
    assert_env_error(server().set("TOR_PT_ORPORT", ""), "an empty ORPort").await;
    assert_env_error(server().set("TOR_PT_ORPORT", "localhost:9"), "a name").await;
    let ext = server().set("TOR_PT_EXTENDED_SERVER_PORT", "127.0.0.1:9");
    assert_env_error(ext, "no cookie file").await;
}

#[tokio::test]
async fn malformed_server_variables_are_env_errors() {
    let server = || Launch::server("plain", "127.0.0.1:9".parse().unwrap());
    for bind in [
        "plain-localhost:0",
        "plain",
        "plain-127.0.0.1",
        "plain-127.0.0.1:0,plain-127.0.0.1:0",
        "plain-127.0.0.1:70000",
    ] {
        let launch = server().set("TOR_PT_SERVER_BINDADDR", bind);
        assert_env_error(launch, bind).await;
    }
    for options in [
        "plain",
        "plain:",
        "plain:key",
        ":key=value",
        "plain:=value",
        "plain:key=value;",
        "plain:key=value\\",
    ] {
        let launch = server().set("TOR_PT_SERVER_TRANSPORT_OPTIONS", options);
        assert_env_error(launch, options).await;
    }
}

#[tokio::test]
async fn it_runs_with_an_empty_environment_besides_tor_s() {
    // No HOME, no PATH, working directory `/`: every test here starts it so. This one asks whether it complains.
    let pt = Launch::client("plain").ready().await;
    let warned: Vec<_> = pt
        .stdout
        .so_far()
        .into_iter()
        .filter(|line| line.starts_with("LOG SEVERITY=warning") || line.contains("=error"))
        .collect();
    assert!(warned.is_empty(), "{warned:?}");
    assert_eq!(pt.stderr.text(), "");
}

#[tokio::test]
async fn version_and_help_are_for_people() {
    for (flag, wanted) in [
        ("--version", "ouzel "),
        ("-version", "ouzel "),
        ("--help", "ClientTransportPlugin"),
    ] {
        let mut pt = Launch::bare().arg(flag).start();
        pt.exits(0).await;
        let text = pt.stdout.text();
        assert!(text.contains(wanted), "{flag}: {text}");
    }
    let mut pt = Launch::bare().arg("--no-such-flag").start();
    pt.exits(2).await;
    assert_eq!(pt.stdout.text(), "");
    assert!(pt.stderr.text().contains("--no-such-flag"));
}

#[tokio::test]
async fn a_wrong_exec_line_is_told_to_tor_and_not_only_to_stderr() {
    for (args, word) in [
        (&["--bogus"][..], "--bogus"),
        (&["--module", "x"], "NAME=FILE"),
        (&["--log-level", "loud"], "loud"),
        (&["--config", "a=/b", "--config", "a=/c"], "twice"),
    ] {
        let mut launch = Launch::client("plain");
        for arg in args {
            launch = launch.arg(arg);
        }
        let (pt, lines) = refused(launch, 2).await;
        for keyword in ["LOG SEVERITY=error ", "ENV-ERROR "] {
            let told = lines
                .iter()
                .any(|line| line.starts_with(keyword) && line.contains(word));
            assert!(told, "{args:?}: {}", pt.story());
        }
    }
}

#[tokio::test]
async fn names_that_lead_nowhere_are_pointed_out() {
    let pt = Launch::client("nowhere")
        .arg("--config")
        .arg("plian=/nonexistent")
        .ready()
        .await;
    let line = pt.logs(&["plian"]).await;
    assert!(line.contains("SEVERITY=warning"), "{line}");
    // Nothing of what tor asked for is here: that is more than a notice.
    let line = pt.logs(&["no transport nowhere"]).await;
    assert!(line.contains("SEVERITY=warning"), "{line}");
}
