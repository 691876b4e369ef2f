//! Each thing that can be wrong with a module, and what is said of it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::modules::{Plan, v0, v1};
use super::{Folder, codes, dist, json, ouzel, text};

/// A name, a module, the ABI and the faults that it is told to have, and the exit status of `inspect`.
type Case = (
    &'static str,
    Vec<u8>,
    Option<&'static str>,
    &'static [&'static str],
    i32,
);

#[tokio::test]
async fn every_fault_has_its_word_and_all_of_them_are_told() {
    let folder = Folder::new();
    let mut component = v1().build();
    component[4..8].copy_from_slice(&[0x0d, 0, 1, 0]);
    let whole = std::fs::read(dist("plain.wasm")).unwrap();
    let mut large = v1().build();
    large.resize(17 << 20, 0);
    let cases: Vec<Case> = vec![
        ("good", v1().build(), Some("v1"), &[], 0),
        ("good_v0", v0().build(), Some("v0"), &[], 0),
        (
            "set_up",
            v1().export("ouzel_setup_v1", 2, 1).build(),
            Some("v1"),
            &[],
            0,
        ),
        (
            "wrong_set_up",
            v1().export("ouzel_setup_v1", 1, 1).build(),
            Some("v1"),
            &["export-type"],
            0,
        ),
        (
            "missing",
            v1().without("watm_start_v1").build(),
            Some("v1"),
            &["missing-export"],
            0,
        ),
        (
            "no_memory",
            v1().memory(None).build(),
            Some("v1"),
            &["missing-export"],
            0,
        ),
        (
            "type",
            v1().without("watm_dial_v1")
                .export("watm_dial_v1", 2, 1)
                .build(),
            Some("v1"),
            &["export-type"],
            0,
        ),
        (
            "start",
            v1().export("_start", 1, 0).build(),
            Some("v1"),
            &["export-type"],
            0,
        ),
        (
            "unknown",
            v1().import("env", "open_window", 0, 1).build(),
            Some("v1"),
            &["unknown-import"],
            0,
        ),
        (
            "old",
            v1().import("wasi_unstable", "fd_read", 4, 1).build(),
            Some("v1"),
            &["unknown-import"],
            0,
        ),
        (
            "v0s",
            v1().import("env", "host_dial", 0, 1).build(),
            Some("v1"),
            &["unknown-import"],
            0,
        ),
        (
            "import_type",
            v1().import("env", "water_accept", 1, 1).build(),
            Some("v1"),
            &["import-type"],
            0,
        ),
        (
            "hungry",
            v1().memory(Some((1025, None))).build(),
            Some("v1"),
            &["memory"],
            0,
        ),
        (
            "table",
            v1().table(20_001).build(),
            Some("v1"),
            &["table"],
            0,
        ),
        (
            "no_role",
            v1().without("watm_dial_v1").build(),
            Some("v1"),
            &["no-role"],
            0,
        ),
        (
            "many",
            v1().without("watm_init_v1")
                .without("watm_dial_v1")
                .export("watm_dial_v1", 0, 0)
                .import("env", "a", 0, 0)
                .import("env", "b", 0, 0)
                .memory(Some((2000, None)))
                .table(30_000)
                .build(),
            Some("v1"),
            &[
                "missing-export",
                "export-type",
                "memory",
                "table",
                "unknown-import",
                "unknown-import",
            ],
            0,
        ),
        (
            "preview",
            v1().export("_water_v1", 0, 0).build(),
            Some("water-rs-preview"),
            &["other-abi"],
            0,
        ),
        (
            "final",
            v1().export("watm_lasterror_v1", 0, 1).build(),
            Some("final-v1-draft"),
            &["other-abi"],
            0,
        ),
        (
            "draft",
            Plan::default().export("_v0", 0, 0).build(),
            Some("early-draft"),
            &["other-abi"],
            0,
        ),
        (
            "command",
            Plan::default().export("_start", 0, 0).build(),
            None,
            &["missing-export"],
            0,
        ),
        (
            "shared",
            v1().shared_memory().build(),
            Some("v1"),
            &["feature"],
            0,
        ),
        ("body", v1().bad_body().build(), Some("v1"), &["damaged"], 0),
        ("component", component, None, &["other-abi"], 0),
        (
            "cut",
            whole[..whole.len() / 2].to_vec(),
            Some("v1"),
            &["damaged"],
            1,
        ),
        ("header", whole[..8].to_vec(), None, &["missing-export"], 0),
        ("half_header", whole[..6].to_vec(), None, &["damaged"], 1),
        ("empty", Vec::new(), None, &["not-wasm"], 1),
        ("text", b"(module)".to_vec(), None, &["not-wasm"], 1),
        (
            "elf",
            b"\x7fELF\x02\x01\x01\0".to_vec(),
            None,
            &["not-wasm"],
            1,
        ),
        ("large", large, None, &["too-large"], 1),
    ];
    for (name, bytes, abi, faults, status) in cases {
        let path = folder.file(&format!("{name}.wasm"), &bytes);
        let (facts, ended) = json("inspect", &[&path]).await;
        assert_eq!(codes(&facts["refused"]), faults, "{name}: {facts}");
        assert_eq!(facts["abi"].as_str(), abi, "{name}: {facts}");
        assert_eq!(ended, status, "{name}: {facts}");
        let (verdict, ended) = json("validate", &[&path]).await;
        let verdict = &verdict["files"][0];
        assert_eq!(codes(&verdict["faults"]), faults, "{name}: {verdict}");
        assert_eq!(ended, i32::from(!faults.is_empty()), "{name}: {verdict}");
        let told = text(&ouzel([Path::new("inspect"), &path]).await);
        for fault in facts["refused"].as_array().unwrap() {
            let line = format!("\n  - {}\n", fault["text"].as_str().unwrap());
            assert!(told.contains(&line), "{line} not in:\n{told}");
        }
        let line = text(&ouzel([Path::new("validate"), &path]).await);
        assert_eq!(line.lines().count(), 1, "{line}");
        assert_eq!(line.contains(": OK, WATM "), faults.is_empty(), "{line}");
        if faults.len() > 1 {
            let more = format!("(and {} more: ouzel inspect ", faults.len() - 1);
            assert!(line.contains(&more), "{line}");
        }
    }
}

#[tokio::test]
async fn a_role_can_be_demanded_and_a_start_tried() {
    let folder = Folder::new();
    let validate = async |flags: &[&str], file: &Path| {
        let args = ["validate"].iter().chain(flags).map(PathBuf::from);
        let output = ouzel(args.chain([file.to_owned()])).await;
        (output.status.code().unwrap(), text(&output))
    };
    let plain = dist("plain.wasm");
    assert_eq!(validate(&["--role", "listener"], &plain).await.0, 0);
    let (status, line) = validate(&["--role=dialer", "--role=relay"], &plain).await;
    assert!(
        status == 1 && line.contains("cannot be used as a relay"),
        "{line}"
    );
    let (status, line) = validate(
        &["--role", "fixed-dialer"],
        &folder.file("v0.wasm", &v0().build()),
    )
    .await;
    assert!(
        status == 1 && line.contains("WATM v0 has no such role"),
        "{line}"
    );

    let (status, line) = validate(&["--run"], &plain).await;
    assert!(status == 0 && line.ends_with("; starts\n"), "{line}");
    for (name, module, why) in [
        ("invalid", v1().returning("watm_init_v1", -28), "EINVAL"),
        ("trapping", v1().trapping("watm_init_v1"), "crashed"),
        ("endless", v1().endless("watm_init_v1"), "no progress"),
    ] {
        let file = folder.file(&format!("{name}.wasm"), &module.build());
        assert_eq!(validate(&[], &file).await.0, 0, "{name}: it exports all");
        let (status, line) = validate(&["--run"], &file).await;
        assert_eq!(status, 1, "{name}: {line}");
        assert!(
            line.contains("does not start as a ") && line.contains(why),
            "{name}: {line}"
        );
    }
    let (all, _) = json("validate", &[&plain]).await;
    assert_eq!(all["files"][0]["starts"], Value::Null, "nobody asked");
    // `reverse` reads its configuration when it is initialised, and takes no key of another type.
    let reverse = dist("reverse.wasm");
    let key = folder.file("key.json", br#"{"key": "swordfish"}"#);
    let wrong = folder.file("wrong.json", br#"{"key": 5}"#);
    let good = validate(&["--run", "--config", key.to_str().unwrap()], &reverse).await;
    assert_eq!(good.0, 0, "{}", good.1);
    let bad = validate(&["--run", "--config", wrong.to_str().unwrap()], &reverse).await;
    assert!(bad.0 == 1 && bad.1.contains("configuration"), "{}", bad.1);
}

#[tokio::test]
async fn what_cannot_be_read_or_was_not_meant_has_a_remedy() {
    let folder = Folder::new();
    let missing = folder.0.path().join("missing.wasm");
    for (path, remedy) in [
        (&*missing, "is the name right?"),
        (folder.0.path(), "name a file"),
    ] {
        let line = text(&ouzel([Path::new("validate"), path]).await);
        assert!(
            line.contains("cannot be read") && line.contains(remedy),
            "{line}"
        );
        let output = ouzel([Path::new("inspect"), path]).await;
        assert_eq!(output.status.code(), Some(1));
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains(remedy), "{told}");
    }
    let plain = dist("plain.wasm");
    let wrong: [&[&str]; 5] = [
        &["validate"],
        &["inspect"],
        &["validate", "--role", "server"],
        &["validate", "--config", "x.json"],
        &["inspect", "--run"],
    ];
    for flags in wrong {
        let file = (flags.len() > 1).then(|| plain.clone());
        let output = ouzel(flags.iter().map(PathBuf::from).chain(file)).await;
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {output:?}");
    }
}
