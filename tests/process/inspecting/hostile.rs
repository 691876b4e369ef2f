//! Modules whose names are made for terminals, whose lists are made for memories, or that are damaged.

use std::path::{Path, PathBuf};

use super::modules::v1;
use super::{Folder, codes, dist, json, ouzel, text};

/// What a person is told is below this, whatever the module is.
const MOST_TEXT: usize = 64 << 10;

#[tokio::test]
async fn a_modules_words_stay_words_and_are_not_too_many() {
    let folder = Folder::new();
    let evil = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{202e}\u{9b}31m\r\nwatm_\u{200b}dial_v1\u{e0041}";
    let long = "long".repeat(20_000);
    let mut words = v1()
        .import(evil, evil, 0, 1)
        .import(&long, &long, 0, 1)
        .export(evil, 0, 1)
        .export(&long, 0, 1)
        .custom(evil, &[0; 9])
        .custom(&long, b"")
        .producer("language", evil, &long);
    for n in 0..100_000 {
        words = words.export(&format!("export {n}"), 0, 1);
    }
    let mut many = v1();
    for n in 0..100_000 {
        many = many.import("env", &format!("wish {n}"), 0, 1);
    }
    for n in 0..20_000 {
        many = many.custom(&format!("section {n}"), b"");
    }
    let mut duplicate = v1();
    for _ in 0..2 {
        duplicate = duplicate.export(evil, 0, 1);
    }
    for (name, plan) in [("words", words), ("many", many), ("duplicate", duplicate)] {
        let path = folder.file(&format!("{name}.wasm"), &plan.build());
        for command in ["inspect", "validate"] {
            let output = ouzel([Path::new(command), &path]).await;
            let told = text(&output);
            assert!(output.stderr.is_empty(), "{name}");
            assert!(told.len() < MOST_TEXT, "{name}: {} bytes", told.len());
            assert!(
                told.chars().all(|sign| matches!(sign, ' '..='~' | '\n')),
                "{name}: {told}"
            );
            let (value, _) = json(command, &[&path]).await;
            assert!(!value.is_null());
        }
        let (facts, _) = json("inspect", &[&path]).await;
        assert!(facts["exports"].as_array().unwrap().len() <= 1000);
        match name {
            "words" => assert_eq!(facts["exports_in_all"], 100_007),
            "many" => {
                assert_eq!(facts["imports_in_all"], 100_000);
                assert_eq!(facts["custom_sections_in_all"], 20_000);
                assert!(codes(&facts["refused"]).len() < 100);
            }
            _ => assert_eq!(codes(&facts["refused"]), ["damaged"]),
        }
        if name == "words" {
            let told = facts["imports"][0]["name"].as_str();
            assert_eq!(told, Some(evil), "a program is told the truth");
        }
    }
    // The name of the file is somebody's words, too.
    let path = folder.file("\u{1b}[2Jgr\u{f6}\u{df}e\u{202e}.wasm", &v1().build());
    let line = text(&ouzel([Path::new("validate"), &path]).await);
    assert!(
        line.contains("\\u{1b}[2Jgr\u{f6}\u{df}e\\u{202e}.wasm: OK"),
        "{line}"
    );
}

#[tokio::test]
async fn damaged_modules_are_survived_and_told() {
    let folder = Folder::new();
    let whole = std::fs::read(dist("reverse.wasm")).unwrap();
    let mut files = Vec::new();
    // xorshift: the same damage each time.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    for n in 0..300 {
        let mut bytes = whole.clone();
        // The part before the code holds everything that is told; most damage goes there.
        let reach = if n % 3 == 0 { bytes.len() } else { 700 };
        for _ in 0..=next(8) {
            let at = 8 + next(reach - 8);
            bytes[at] = u8::try_from(next(256)).unwrap();
        }
        if n % 5 == 0 {
            bytes.truncate(9 + next(bytes.len() - 9));
        }
        files.push(folder.file(&format!("{n}.wasm"), &bytes));
    }
    let paths: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let (all, status) = json("validate", &paths).await;
    assert_eq!(status, 1);
    let judged = all["files"].as_array().unwrap();
    assert_eq!(judged.len(), 300);
    let bad = judged.iter().filter(|one| one["ok"] == false).count();
    assert!(bad > 100, "only {bad} were noticed: is the damage any?");
    for path in paths.iter().step_by(10) {
        let (facts, status) = json("inspect", &[path]).await;
        assert!(
            status == 0 || facts["damage"].is_string(),
            "{path:?}: {facts}"
        );
    }
}
