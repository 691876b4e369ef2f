//! A bridge's negotiation: addresses, options, and what is announced to clients.

use anyhow::Result;

use super::{HOSTILE, Scene, Stage, guest, named};
use crate::ouzel::Launch;

pub(super) fn scenes(stage: &Stage) -> Result<Vec<Scene>> {
    let mut scenes = Vec::new();
    addresses(stage, &mut scenes)?;
    announcements(stage, &mut scenes)?;
    refusals(stage, &mut scenes)?;
    Ok(scenes)
}

fn server(stage: &Stage, transports: &str) -> Launch {
    Launch::server(&stage.state("server"), transports)
}

fn addresses(stage: &Stage, scenes: &mut Vec<Scene>) -> Result<()> {
    let taken = stage.taken()?;
    for (asked, bind) in [
        ("plain", String::new()),
        (
            "plain,reverse",
            "plain-127.0.0.1:0,reverse-[::1]:0".to_owned(),
        ),
        ("plain", "plain-0.0.0.0:0".to_owned()),
        (
            "plain,reverse",
            format!("plain-{taken},reverse-127.0.0.1:0"),
        ),
        ("plain", "plain-192.0.2.1:443".to_owned()),
        ("plain", "plain-[2001:db8::1]:443".to_owned()),
        ("nonesuch", String::new()),
        (HOSTILE, String::new()),
    ] {
        let launch = server(stage, asked).env("TOR_PT_SERVER_BINDADDR", &bind);
        scenes.push((format!("a bridge at {asked:?} {bind:?}"), launch));
    }
    let launch = server(stage, "plain")
        .env("TOR_PT_EXTENDED_SERVER_PORT", "192.0.2.1:1")
        .env("TOR_PT_AUTH_COOKIE_FILE", stage.path("cookie"))
        .arg("--unsafe-logging");
    scenes.push(("an ExtORPort elsewhere".to_owned(), launch));
    Ok(())
}

fn announcements(stage: &Stage, scenes: &mut Vec<Scene>) -> Result<()> {
    let key = "A".repeat(2000);
    for options in [
        "reverse:key=k1".to_owned(),
        r"reverse:key=a,b\\c\;d\:e=f".to_owned(),
        format!("reverse:key={key}"),
        "reverse:key=two words".to_owned(),
        "reverse:key=\u{e9}\n".to_owned(),
        "reverse:other=1;reverse:key=k1;reverse:key=k2".to_owned(),
        "nonesuch:key=k1".to_owned(),
    ] {
        let launch = server(stage, "reverse").env("TOR_PT_SERVER_TRANSPORT_OPTIONS", &options);
        scenes.push((format!("the options {options:.60?}"), launch));
    }
    for (name, text) in [
        (
            "cert.json",
            r#"{"announce": ["cert", "iat-mode"], "cert": "abc/+", "iat-mode": 0}"#,
        ),
        (
            "escapes.json",
            r#"{"announce": ["a,b=c\\d"], "a,b=c\\d": "=,\\"}"#,
        ),
        (
            "values.json",
            r#"{"announce": ["o", "l", "n"], "o": {"a": "b"}, "l": [1, 2], "n": null}"#,
        ),
        ("spaces.json", r#"{"announce": ["cert"], "cert": "a b\n"}"#),
        ("absent.json", r#"{"announce": ["cert"]}"#),
        (
            "twice.json",
            r#"{"announce": ["cert", "cert"], "cert": "x"}"#,
        ),
        ("nameless.json", r#"{"announce": [""], "": "x"}"#),
    ] {
        let file = stage.file(name, text)?;
        let launch = server(stage, "plain")
            .arg("--config")
            .arg(named("plain", &file));
        scenes.push((format!("announcing {text}"), launch));
    }
    Ok(())
}

fn refusals(stage: &Stage, scenes: &mut Vec<Scene>) -> Result<()> {
    for text in [r#"{"key": 1}"#, "[]", "key=x"] {
        let file = stage.file(&format!("{}.cfg", text.len()), text)?;
        let launch = server(stage, "reverse")
            .arg("--config")
            .arg(named("reverse", &file))
            .env("TOR_PT_SERVER_TRANSPORT_OPTIONS", "reverse:other=1");
        scenes.push((format!("the bridge's configuration {text}"), launch));
    }
    for name in ["refuse", "trap", "foreign_import", "command", "chatty"] {
        let launch = server(stage, "own")
            .arg("--module")
            .arg(named("own", &guest(name)));
        scenes.push((format!("the bridge's module {name}"), launch));
    }
    Ok(())
}
