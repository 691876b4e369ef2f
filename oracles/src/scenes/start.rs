//! What goes wrong before the first listener: wrong flags, a wrong environment, a machine that gives nothing.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use anyhow::Result;

use super::{HOSTILE, Scene, Stage};
use crate::ouzel::Launch;

pub(super) fn scenes(stage: &Stage) -> Result<Vec<Scene>> {
    let mut scenes = Vec::new();
    versions(stage, &mut scenes);
    managed(stage, &mut scenes)?;
    bridge(stage, &mut scenes);
    proxies(stage, &mut scenes);
    flags(stage, &mut scenes);
    scarcity(stage, &mut scenes);
    Ok(scenes)
}

fn client(stage: &Stage) -> Launch {
    Launch::client(&stage.state("start"), "plain")
}

fn server(stage: &Stage) -> Launch {
    Launch::server(&stage.state("start"), "plain")
}

fn versions(stage: &Stage, scenes: &mut Vec<Scene>) {
    for offered in ["2", "3.0", "1a,11", HOSTILE] {
        let launch = client(stage).env("TOR_PT_MANAGED_TRANSPORT_VER", offered);
        scenes.push((format!("offered version {offered:?}"), launch));
    }
    let launch = client(stage);
    scenes.push((
        "no version offered".to_owned(),
        launch.clone().without("TOR_PT_MANAGED_TRANSPORT_VER"),
    ));
    scenes.push((
        "an empty list of versions".to_owned(),
        launch.env("TOR_PT_MANAGED_TRANSPORT_VER", ""),
    ));
}

fn managed(stage: &Stage, scenes: &mut Vec<Scene>) -> Result<()> {
    let mut add = |name: &str, launch: Launch| scenes.push((name.to_owned(), launch));
    let launch = client(stage);
    add(
        "no state directory",
        launch.clone().without("TOR_PT_STATE_LOCATION"),
    );
    let file = stage.file("a file", "")?;
    add(
        "a state directory below a file",
        launch
            .clone()
            .env("TOR_PT_STATE_LOCATION", file.join(HOSTILE)),
    );
    let mut odd = file.into_os_string();
    odd.push(OsStr::from_bytes(b"/\xff\xfe\x01\x7f"));
    add(
        "a state directory that is not UTF-8",
        launch.clone().env("TOR_PT_STATE_LOCATION", odd),
    );
    let endless = format!("/{}", "state/".repeat(900));
    add(
        "a state directory with an endless name",
        launch.clone().env("TOR_PT_STATE_LOCATION", endless),
    );
    add(
        "both sides",
        launch.clone().env("TOR_PT_SERVER_TRANSPORTS", "plain"),
    );
    add(
        "neither side",
        launch.clone().without("TOR_PT_CLIENT_TRANSPORTS"),
    );
    add(
        "a bind address that is none",
        launch
            .clone()
            .env("TOR_PT_OUTBOUND_BIND_ADDRESS_V4", HOSTILE),
    );
    add(
        "a bind address of the other family",
        launch.env("TOR_PT_OUTBOUND_BIND_ADDRESS_V6", "127.0.0.1"),
    );
    Ok(())
}

fn bridge(stage: &Stage, scenes: &mut Vec<Scene>) {
    for (variable, values) in [
        (
            "TOR_PT_SERVER_BINDADDR",
            &[
                "plain",
                "plain-localhost:1",
                "plain-127.0.0.1:1,plain-127.0.0.1:2",
                HOSTILE,
            ][..],
        ),
        (
            "TOR_PT_SERVER_TRANSPORT_OPTIONS",
            &[
                "plain",
                "plain:a",
                "plain:=b",
                ":a=b",
                "plain:a=b\\",
                HOSTILE,
            ],
        ),
        ("TOR_PT_ORPORT", &["", "127.0.0.1:0", HOSTILE]),
        ("TOR_PT_EXTENDED_SERVER_PORT", &["127.0.0.1:1", HOSTILE]),
    ] {
        for value in values {
            let launch = server(stage).env(variable, value);
            scenes.push((format!("{variable}={value:?}"), launch));
        }
    }
}

fn proxies(stage: &Stage, scenes: &mut Vec<Scene>) {
    for proxy in [
        "socks5://127.0.0.1:1",
        "socks5://u:s@r:p%20w/d@127.0.0.1:1",
        "socks4a://user@127.0.0.1:1",
        "http://user:pa:ss@[::1]:8080",
        "garbage",
        "ftp://127.0.0.1:1",
        "http://localhost:1",
        "socks5://user@127.0.0.1:1",
        "socks4a://user:password@127.0.0.1:1",
        "http://:password@127.0.0.1:1",
        HOSTILE,
    ] {
        let launch = client(stage).env("TOR_PT_PROXY", proxy);
        scenes.push((format!("the proxy {proxy:?}"), launch));
    }
    let launch = client(stage).env("TOR_PT_PROXY", OsStr::from_bytes(b"socks5://\xff"));
    scenes.push(("a proxy that is not UTF-8".to_owned(), launch));
}

fn flags(stage: &Stage, scenes: &mut Vec<Scene>) {
    let hostile = format!("--{HOSTILE}");
    let value = format!("--module={HOSTILE}");
    let name = format!("--module={HOSTILE}=x");
    let long = format!("--{}", "x".repeat(5000));
    for args in [
        &[hostile.as_str()][..],
        &[&value],
        &[&name],
        &[&long],
        &["--module"],
        &["--module", "plain"],
        &["--module", "plain="],
        &["--module", "a-b=x"],
        &["--module", "a=x", "--module", "a=y"],
        &["--log-level", HOSTILE],
        &["-logLevel=LOUD"],
        &["--threads", "0"],
        &["--max-connections", "many"],
        &["--enable-logging=yes"],
        &["demo", "--size", HOSTILE],
        &[HOSTILE],
        &["\r\n"],
    ] {
        let launch = args
            .iter()
            .fold(client(stage), |launch, arg| launch.arg(arg));
        scenes.push((format!("the flags {args:?}"), launch));
    }
    let launch = client(stage).arg(OsStr::from_bytes(b"--module=\xff"));
    scenes.push(("a flag that is not UTF-8".to_owned(), launch));
}

/// Where exactly which descriptor is missing depends on the machine: every limit is tried.
fn scarcity(stage: &Stage, scenes: &mut Vec<Scene>) {
    for limit in 4..16 {
        let state = stage.state(&format!("scarcity{limit}"));
        let launch = Launch::client(&state, "plain,reverse").descriptors(limit);
        scenes.push((format!("a client with {limit} descriptors"), launch));
        let state = stage.state(&format!("scarcity{limit}s"));
        let launch = Launch::server(&state, "plain,reverse").descriptors(limit);
        scenes.push((format!("a bridge with {limit} descriptors"), launch));
    }
}
