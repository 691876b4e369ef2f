//! `ouzel validate` and `ouzel inspect`: what they say of every committed module, of bad ones and of hostile ones.

mod faults;
mod hostile;
mod modules;

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use modules::{Plan, v1};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::process::Command;

use crate::support::deadline::within;
use crate::support::peers;

/// What JSON is below, whatever the module is.
const MOST_JSON: usize = 8 << 20;

async fn ouzel<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Output {
    let mut command = Command::new(peers::ouzel());
    command.args(args).env_clear().kill_on_drop(true);
    within(Duration::from_secs(120), "an answer", command.output())
        .await
        .unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The JSON of `validate` or `inspect`, and its exit status.
async fn json(command: &str, files: &[&Path]) -> (Value, i32) {
    let flags = [command, "--json"].map(PathBuf::from);
    let files = files.iter().map(|file| file.to_path_buf());
    let output = ouzel(flags.into_iter().chain(files)).await;
    let told = text(&output);
    assert!(told.is_ascii() && told.ends_with("}\n"), "{told:.300}");
    assert!(
        told.lines().count() == 1 && told.len() < MOST_JSON,
        "{} bytes",
        told.len()
    );
    let value = serde_json::from_str(&told).unwrap();
    (value, output.status.code().unwrap())
}

fn codes(faults: &Value) -> Vec<&str> {
    let faults = faults.as_array().unwrap().iter();
    faults
        .map(|fault| fault["code"].as_str().unwrap())
        .collect()
}

fn words(list: &Value) -> Vec<&str> {
    let list = list.as_array().unwrap().iter();
    list.map(|word| word.as_str().unwrap()).collect()
}

fn dist(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("watm/dist")
        .join(name)
}

fn committed() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in [dist(""), dist("test-guests")] {
        for entry in folder.read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path
                .extension()
                .is_some_and(|extension| extension == "wasm")
            {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(found.len() > 20, "{found:?}");
    found
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

#[tokio::test]
async fn what_is_said_of_every_committed_module_is_what_the_loader_finds() {
    let files = committed();
    let paths: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let (all, status) = json("validate", &paths).await;
    assert_eq!((all["ok"].as_bool(), status), (Some(false), 1));
    let host = ouzel::watm::Host::new(ouzel::watm::Settings::for_slots(1)).unwrap();
    let judged = all["files"].as_array().unwrap();
    assert_eq!(judged.len(), files.len());
    for (path, judged) in paths.iter().zip(judged) {
        let wasm = std::fs::read(path).unwrap();
        let loaded = host
            .compile(&wasm)
            .and_then(|artefact| host.load(&artefact));
        let first = judged["faults"].get(0).map(|fault| fault["text"].as_str());
        match &loaded {
            Ok(program) => {
                assert!(
                    first.is_none() || program.roles().is_empty(),
                    "{path:?}: {first:?}"
                );
                let mut roles: Vec<_> = program.roles().iter().map(|role| role.word()).collect();
                roles.iter_mut().for_each(|role| {
                    if *role == "fixed dialer" {
                        *role = "fixed-dialer";
                    }
                });
                assert_eq!(words(&judged["exported_roles"]), roles, "{path:?}");
                assert_eq!(judged["setup"], program.has_set_up(), "{path:?}");
            }
            Err(error) => assert_eq!(
                first,
                Some(Some(error.to_string().as_str())),
                "{path:?}: the same sentence"
            ),
        }
        let sum: String = Sha256::digest(&wasm)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(judged["sha256"], sum, "{path:?}");
        let (inspected, status) = json("inspect", &[path]).await;
        assert_eq!(status, 0, "{path:?}");
        assert_eq!(inspected["refused"], judged["faults"], "{path:?}");
        assert_eq!(
            (&inspected["sha256"], &inspected["size"], &inspected["kind"]),
            (&sum.into(), &wasm.len().into(), &"module".into())
        );
    }
}

#[tokio::test]
async fn a_good_module_is_described_for_people_and_for_programs() {
    let plain = dist("plain.wasm");
    let told = text(&ouzel([Path::new("inspect"), &plain]).await);
    for part in [
        ": WATM v1\n",
        "dialer (watm_dial_v1), listener (watm_accept_v1): exported, not proven",
        "dials the address that the host gives: water_dial_fixed",
        "env.water_accept: () -> (i32)",
        "watm_dial_v1: (i32) -> (i32)",
        "_initialize",
        "would take it",
    ] {
        assert!(told.contains(part), "{part} not in:\n{told}");
    }
    let (facts, _) = json("inspect", &[&dist("test-guests/roaming.wasm")]).await;
    let exported = facts["exported_roles"].as_array().unwrap();
    assert_eq!(exported[0]["role"], "fixed-dialer");
    assert_eq!(exported[0]["export"], "watm_dial_fixed_v1");
    let asked = facts["asks_for"].as_array().unwrap().iter();
    let own = asked
        .clone()
        .find(|asked| asked["code"] == "dial-own-choice")
        .unwrap_or_else(|| panic!("{facts}"));
    assert_eq!(
        (&own["given"], &own["imports"][0]),
        (&"configured".into(), &"water_dial".into())
    );
    let line = text(&ouzel([Path::new("validate"), &plain]).await);
    assert_eq!(
        line,
        format!(
            "{}: OK, WATM v1; dialer, listener (exported, not proven)\n",
            plain.display()
        )
    );
}

#[tokio::test]
async fn a_run_takes_every_role() {
    let folder = Folder::new();
    let prepared = dist("test-guests/prepared.wasm");
    let run = async |answer: &str, role: Option<&str>| {
        let text = serde_json::json!({"answer": answer}).to_string();
        let config = folder.file("config.json", text.as_bytes());
        let mut words: Vec<std::ffi::OsString> = vec!["validate".into(), "--run".into()];
        words.extend(["--config".into(), config.into()]);
        words.extend(role.map(|role| format!("--role={role}").into()));
        words.push(prepared.clone().into());
        let output = ouzel(words).await;
        (self::text(&output), output.status.code().unwrap())
    };
    let (told, status) = run("trap", None).await;
    assert_eq!(status, 1, "{told}");
    assert!(
        told.contains("does not start as a listener: its set-up failed"),
        "{told}"
    );
    let (told, status) = run("trap", Some("listener")).await;
    assert_eq!(status, 1, "{told}");
    let announced = |value: &str| {
        serde_json::json!({"version": 1, "args": {"good": "x", "key": value}}).to_string()
    };
    let (told, status) = run(&announced("two words"), None).await;
    assert_eq!(status, 1, "{told}");
    assert!(told.contains("announces cannot be: item 2 "), "{told}");
    let (told, status) = run(&announced("one"), None).await;
    assert_eq!(status, 0, "{told}");
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_waits_for_a_pipe() {
    let folder = Folder::new();
    let dir = folder.0.path().display().to_string();
    let pipe = |name: &str| {
        let path = format!("{dir}/{name}");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        path
    };
    let (module, settings) = (pipe("m.wasm"), pipe("m.toml"));
    let plain = dist("plain.wasm").display().to_string();
    for words in [
        &["validate", &module][..],
        &["inspect", &module],
        &["compile", &module, "--output", "/dev/null"],
        &["validate", "--run", "--config", &settings, &plain],
        &["dial", "--config", &settings],
    ] {
        let output = ouzel(words).await;
        let told = text(&output) + &String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && told.contains("is no regular file"),
            "{words:?}: {told}"
        );
    }
}

#[tokio::test]
async fn the_language_and_what_debuggers_need_are_told() {
    let folder = Folder::new();
    let told = async |name: &str, plan: Plan| {
        let path = folder.file(name, &plan.build());
        json("inspect", &[&path]).await.0
    };
    let facts = told(
        "rust.wasm",
        v1().producer("language", "Rust", "")
            .producer("processed-by", "rustc", "1.95.0")
            .custom(".debug_info", &[0; 1000])
            .custom(".debug_str", &[0; 500])
            .custom("target_features", &[0]),
    )
    .await;
    assert_eq!(facts["language"], "Rust");
    assert_eq!(facts["debug_bytes"], 1500);
    let producers = facts["producers"].as_array().unwrap();
    assert_eq!(producers.len(), 2);
    assert_eq!(producers[1]["version"], "1.95.0");
    let text = text(&ouzel([Path::new("inspect"), &folder.0.path().join("rust.wasm")]).await);
    assert!(
        text.contains("1,500 bytes of it are for debuggers"),
        "{text}"
    );
    let clang = || v1().producer("processed-by", "clang", "18.1.2");
    let c = told("c.wasm", clang()).await;
    assert_eq!(c["language"], "C or C++");
    let tiny = told(
        "tiny.wasm",
        clang().producer("processed-by", "TinyGo", "0.32.0"),
    )
    .await;
    assert_eq!(tiny["language"], "TinyGo", "its compiler is C's");
    let go = told("go.wasm", v1().custom("go:buildid", b"x")).await;
    assert_eq!(go["language"], "Go");
    let none = told("none.wasm", v1()).await;
    assert_eq!(none["language"], Value::Null);
}

#[tokio::test]
async fn a_compiled_module_is_judged_as_it_would_be_for_a_connection() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let path = folder.0.path().join("plain.cwasm");
    let compiled = ouzel([
        Path::new("compile"),
        &dist("plain.wasm"),
        Path::new("--output"),
        &path,
    ])
    .await;
    assert!(compiled.status.success(), "{compiled:?}");
    let (facts, status) = json("inspect", &[&path]).await;
    assert_eq!(status, 0, "{facts}");
    assert_eq!(
        (&facts["kind"], &facts["abi"]),
        (&"compiled".into(), &"v1".into())
    );
    let run = ouzel([Path::new("validate"), Path::new("--run"), &path]).await;
    assert!(
        text(&run).ends_with("(exported, not proven); starts\n"),
        "{run:?}"
    );

    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let damaged = folder.file("damaged.cwasm", &bytes);
    let (facts, status) = json("inspect", &[&damaged]).await;
    assert_eq!(
        (codes(&facts["refused"]), status),
        (vec!["damaged-artefact"], 1)
    );
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    let (facts, status) = json("inspect", &[&path]).await;
    assert_eq!(
        (codes(&facts["refused"]), status),
        (vec!["unreadable"], 1),
        "native code that anybody could have written is not loaded"
    );
}
