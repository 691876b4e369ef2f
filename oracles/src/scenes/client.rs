//! A client's negotiation: which transports start, and why others do not.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use anyhow::Result;

use super::{HOSTILE, Scene, Stage, guest, named};
use crate::ouzel::Launch;

pub(super) fn scenes(stage: &Stage) -> Result<Vec<Scene>> {
    let mut scenes = Vec::new();
    names(stage, &mut scenes);
    modules(stage, &mut scenes)?;
    configurations(stage, &mut scenes)?;
    surroundings(stage, &mut scenes)?;
    Ok(scenes)
}

fn client(stage: &Stage, transports: impl AsRef<OsStr>) -> Launch {
    Launch::client(&stage.state("client"), transports)
}

fn names(stage: &Stage, scenes: &mut Vec<Scene>) {
    let many: Vec<String> = (0..300).map(|n| format!("x{n}")).collect();
    for asked in [
        "plain",
        "plain,reverse",
        "plain,plain,,reverse",
        ",",
        "nonesuch",
        "plain,nonesuch",
        HOSTILE,
        &format!("plain,{HOSTILE}"),
        &"x".repeat(5000),
        &many.join(","),
    ] {
        scenes.push((format!("asked for {asked:.60?}"), client(stage, asked)));
    }
    let odd = OsStr::from_bytes(b"plain,\xff\xfe,\x01");
    scenes.push(("asked for what is not UTF-8".to_owned(), client(stage, odd)));
}

fn modules(stage: &Stage, scenes: &mut Vec<Scene>) -> Result<()> {
    let mut files = vec![
        stage.path("missing.wasm"),
        "missing.wasm".into(),
        HOSTILE.into(),
        stage.path(&"long/".repeat(400)),
        stage.path("."),
        "/dev/null".into(),
        stage.file(HOSTILE, "not a module")?,
        stage.file("cut.wasm", b"\0asm\x01\0\0\0\x01\x04\x01")?,
        stage.file("empty.wasm", b"\0asm\x01\0\0\0")?,
        stage.file("elf.cwasm", b"\x7fELF\x02\x01\x01 and then nothing of use")?,
    ];
    let mut odd = stage.path("odd").into_os_string();
    odd.push(OsString::from_vec(vec![b'\n', 0xff, 0x7f, b'"', b'\\']));
    files.push(odd.into());
    // A name of the same length, so that nothing else in the module changes.
    let foreign = std::fs::read(guest("foreign_import"))?;
    let renamed = replaced(&foreign, b"open_window", b"o\"\\\n\x1b\r\xc3\xa9 ;=");
    files.push(stage.file("import.wasm", renamed)?);
    for name in [
        "foreign_import",
        "command",
        "memory_hog",
        "bigtable",
        "trap",
        "refuse",
    ] {
        files.push(guest(name));
    }
    for file in files {
        let launch = client(stage, "own")
            .arg("--module")
            .arg(named("own", &file));
        scenes.push((format!("the module {file:?}"), launch));
    }
    Ok(())
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = bytes.to_vec();
    let at = bytes.windows(from.len()).position(|window| window == from);
    let at = at.expect("the guest imports what its name says");
    bytes[at..at + to.len()].copy_from_slice(to);
    bytes
}

fn configurations(stage: &Stage, scenes: &mut Vec<Scene>) -> Result<()> {
    for file in [
        stage.path("missing.json"),
        HOSTILE.into(),
        stage.path("."),
        stage.file("list.json", br#"{"announce": "key"}"#)?,
        stage.file("numbers.json", br#"{"args_override": [1]}"#)?,
        stage.file("large.json", vec![b' '; (1 << 20) + 1])?,
    ] {
        let launch = client(stage, "plain")
            .arg("--config")
            .arg(named("plain", &file));
        scenes.push((format!("the configuration {file:?}"), launch));
    }
    let nobody = named("nobody", HOSTILE.as_ref());
    let launch = client(stage, "plain").arg("--config").arg(nobody);
    scenes.push(("a configuration of nobody".to_owned(), launch));
    Ok(())
}

/// What the machine does not give, short of descriptors.
fn surroundings(stage: &Stage, scenes: &mut Vec<Scene>) -> Result<()> {
    let state = stage.state("no-cache");
    stage.folder(&state)?;
    stage.file("state/no-cache/watm-cache", "not a folder")?;
    scenes.push((
        "no cache of compiled modules".to_owned(),
        Launch::client(&state, "plain"),
    ));
    let state = stage.state("no-log");
    stage.folder(&state.join("ouzel.log"))?;
    scenes.push((
        "a log file that is a folder".to_owned(),
        Launch::client(&state, "plain").arg("--enable-logging"),
    ));
    scenes.push((
        "more connections than the kernel maps".to_owned(),
        client(stage, "plain")
            .arg("--max-connections")
            .arg("1000000"),
    ));
    scenes.push((
        "everything told".to_owned(),
        client(stage, "plain,nonesuch").arg("--log-level=debug"),
    ));
    Ok(())
}
