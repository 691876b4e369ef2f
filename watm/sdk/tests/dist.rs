//! The built modules under `dist`: what they import and export, and that all are there.
//!
//! Whether their bytes are those that the source makes is for `check.sh` to say, which compiles.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const PREVIEW1: &str = "wasi_snapshot_preview1";
const ENV: [&str; 3] = ["water_accept", "water_dial", "water_dial_fixed"];
const ENV_V0: [&str; 4] = ["host_accept", "host_defer", "host_dial", "pull_config"];
const PAGE: u32 = 64 << 10;

/// What the executable embeds is small, and so is what a connection of it reserves: the module, and its bytes at most.
const BUILT_IN: [(&str, usize); 4] = [
    ("plain", 16 << 10),
    ("reverse", 16 << 10),
    ("obfs4", 224 << 10),
    ("obfs4-wide", 224 << 10),
];
const MAX_PAGES: u32 = 12;

fn dist() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../dist")
}

fn names(folder: &Path, extension: &str) -> BTreeSet<String> {
    fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a folder entry").path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| {
            path.file_stem()
                .expect("a file has a name")
                .to_string_lossy()
                .into_owned()
        })
        .collect()
}

/// As much of a module as the ABI is about.
#[derive(Default)]
struct Module {
    imports: BTreeSet<(String, String)>,
    exports: BTreeSet<String>,
    pages: u32,
    table: u32,
    custom_sections: usize,
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().expect("the section is long enough");
        self.0 = rest;
        *first
    }

    fn number(&mut self) -> u32 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = self.byte();
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return value;
            }
            shift += 7;
        }
    }

    fn bytes(&mut self) -> &'a [u8] {
        let len = self.number() as usize;
        let (bytes, rest) = self.0.split_at(len);
        self.0 = rest;
        bytes
    }

    fn name(&mut self) -> String {
        String::from_utf8(self.bytes().to_vec()).expect("a name in UTF-8")
    }

    /// The minimum of a limit.
    fn limits(&mut self) -> u32 {
        let bounded = self.byte() & 1 != 0;
        let min = self.number();
        if bounded {
            self.number();
        }
        min
    }
}

fn read(path: &Path) -> (Module, usize) {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(&bytes[..8], b"\0asm\x01\0\0\0", "{}", path.display());
    let mut module = Module::default();
    let mut sections = Reader(&bytes[8..]);
    while !sections.0.is_empty() {
        let kind = sections.byte();
        let mut section = Reader(sections.bytes());
        match kind {
            0 => module.custom_sections += 1,
            2 => {
                for _ in 0..section.number() {
                    let import = (section.name(), section.name());
                    assert_eq!(section.byte(), 0, "{import:?} is a function");
                    section.number();
                    module.imports.insert(import);
                }
            }
            4 => {
                assert_eq!(
                    (section.number(), section.byte()),
                    (1, 0x70),
                    "one table of functions"
                );
                module.table = section.limits();
            }
            5 => {
                assert_eq!(section.number(), 1, "one memory");
                module.pages = section.limits();
            }
            7 => {
                for _ in 0..section.number() {
                    let name = section.name();
                    section.byte();
                    section.number();
                    module.exports.insert(name);
                }
            }
            _ => {}
        }
    }
    (module, bytes.len())
}

fn exports(module: &Module, wanted: &[&str]) -> bool {
    wanted.iter().all(|name| module.exports.contains(*name))
}

#[test]
fn every_guest_is_built_and_listed() {
    let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../test-guests/guests");
    let mut wanted = names(&guests, "rs");
    wanted.insert("bigtable".to_owned());
    assert_eq!(
        names(&dist().join("test-guests"), "wasm"),
        wanted,
        "run build.sh"
    );
    let sums = fs::read_to_string(dist().join("SHA256SUMS")).expect("SHA256SUMS is there");
    let listed: BTreeSet<_> = sums
        .lines()
        .filter_map(|line| line.split("  ").nth(1))
        .collect();
    let tests = wanted.iter().map(|name| format!("test-guests/{name}.wasm"));
    let all: Vec<_> = tests
        .chain(BUILT_IN.map(|(name, _)| format!("{name}.wasm")))
        .collect();
    assert_eq!(listed, all.iter().map(String::as_str).collect());
}

#[test]
fn modules_import_nothing_but_the_abi() {
    let mut paths: Vec<_> = BUILT_IN.map(|(name, _)| dist().join(name)).into();
    let tests = dist().join("test-guests");
    paths.extend(names(&tests, "wasm").iter().map(|name| tests.join(name)));
    for path in paths.iter().map(|path| path.with_extension("wasm")) {
        let (module, _) = read(&path);
        let name = path.file_stem().and_then(|name| name.to_str());
        let name = name.expect("guests have plain names");
        let env: &[&str] = if name.starts_with("v0_") {
            &ENV_V0
        } else {
            &ENV
        };
        let foreign: Vec<_> = module
            .imports
            .iter()
            .filter(|(from, name)| {
                !(from == PREVIEW1 || from == "env" && env.contains(&name.as_str()))
            })
            .map(|(_, name)| name.as_str())
            .collect();
        let expected: &[&str] = match name {
            "foreign_import" => &["open_window"],
            _ => &[],
        };
        assert_eq!(foreign, expected, "{}", path.display());
        assert_eq!(module.custom_sections, 0, "{} is stripped", path.display());
    }
}

#[test]
fn the_built_in_ones_are_small_reactors_with_both_roles() {
    for (name, most) in BUILT_IN {
        let (module, size) = read(&dist().join(name).with_extension("wasm"));
        let has_set_up = name.starts_with("obfs4");
        let wanted = [
            "memory",
            "_initialize",
            "watm_init_v1",
            "watm_dial_v1",
            "watm_accept_v1",
            "watm_ctrlpipe_v1",
            "watm_start_v1",
        ];
        assert!(exports(&module, &wanted), "{name}: {:?}", module.exports);
        assert_eq!(
            module.exports.contains("ouzel_setup_v1"),
            has_set_up,
            "{name}"
        );
        assert_eq!(
            module.exports.len(),
            wanted.len() + usize::from(has_set_up),
            "{name}: {:?}",
            module.exports
        );
        assert!(size <= most, "{name} has {size} bytes");
        let bytes = module.pages * PAGE;
        assert!(
            module.pages <= MAX_PAGES,
            "{name} starts with {bytes} bytes of memory"
        );
    }
}

#[test]
fn the_odd_ones_are_odd() {
    let tests = dist().join("test-guests");
    let (command, _) = read(&tests.join("command.wasm"));
    assert!(exports(&command, &["_start"]) && !exports(&command, &["_initialize"]));
    let (bigtable, _) = read(&tests.join("bigtable.wasm"));
    assert!(bigtable.table > 6_000, "a table of {}", bigtable.table);
    let (abi, _) = read(&tests.join("abi.wasm"));
    let of_preview1 = abi
        .imports
        .iter()
        .filter(|(from, _)| from == PREVIEW1)
        .count();
    // proc_exit is the one that would end the checks.
    assert_eq!(of_preview1, 45, "{:?}", abi.imports);
    let (final_v1, _) = read(&tests.join("final_v1.wasm"));
    assert!(exports(
        &final_v1,
        &["watm_userpipe_v1", "watm_lasterror_v1"]
    ));
    assert!(final_v1.imports.is_empty());
}
