//! Embeds the built-in transports, and lists the test guests.
//!
//! In: the committed `watm/dist/*.wasm`, or the folder that `OUZEL_WASM_DIR` names (relative to this package), for
//! packagers who build the guests themselves; the names of the test guests. Out: `OUT_DIR/builtins.rs` with a
//! constant for each; `OUT_DIR/guests.rs` with an enum of the guests, by which a test guest without a test does not
//! compile. Goes wrong: a file that is missing or is no WebAssembly module stops the build, and the message says what to
//! do; without the folders of the test guests the enum is empty.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The transports every executable carries, as `src/transport/builtins.rs` names them, and their files.
const BUILT_IN: [(&str, &str); 3] = [
    ("plain", "plain.wasm"),
    ("reverse", "reverse.wasm"),
    ("obfs4", "obfs4-wide.wasm"),
];

/// How every core WebAssembly module begins: the magic and version 1.
const HEADER: &[u8] = b"\0asm\x01\0\0\0";

/// Where test guests lie, and how their files end.
const GUESTS: [(&str, &str); 2] = [
    ("watm/dist/test-guests", "wasm"),
    ("watm/test-guests/wat", "wat"),
];

fn main() {
    println!("cargo::rerun-if-env-changed=OUZEL_WASM_DIR");
    println!("cargo::rerun-if-changed=build.rs");
    if let Err(problem) = embed().and_then(|()| list_guests()) {
        println!("cargo::error={problem}");
    }
}

fn embed() -> Result<(), String> {
    let root = folder("CARGO_MANIFEST_DIR")?;
    let chosen = env::var_os("OUZEL_WASM_DIR").filter(|value| !value.is_empty());
    // `join` leaves an absolute path as it is.
    let source = root.join(chosen.as_deref().unwrap_or("watm/dist".as_ref()));

    let mut entries = String::new();
    for (name, file) in BUILT_IN {
        let file = source.join(file);
        check(&file, chosen.is_some())?;
        entries.push_str(&format!(
            "/// `{name}`.\npub(super) const {}: &[u8] = include_bytes!({:?});\n",
            name.to_ascii_uppercase(),
            text(&file)?
        ));
        println!("cargo::rerun-if-changed={}", text(&file)?);
    }

    write("builtins.rs", &entries)
}

/// Makes `enum Guest` of the names of the test guests' files.
fn list_guests() -> Result<(), String> {
    let root = folder("CARGO_MANIFEST_DIR")?;
    let mut names = BTreeSet::new();
    for (folder, extension) in GUESTS {
        println!("cargo::rerun-if-changed={folder}");
        let Ok(files) = fs::read_dir(root.join(folder)) else {
            continue;
        };
        for file in files.flatten() {
            let path = file.path();
            if path.extension().is_some_and(|found| found == extension) {
                let name = path.file_stem().and_then(|name| name.to_str());
                names.extend(name.map(str::to_owned));
            }
        }
    }
    let (mut variants, mut arms, mut all) = (String::new(), String::new(), String::new());
    for name in names {
        let variant: String = name.split('_').map(capitalised).collect();
        variants.push_str(&format!("    /// `{name}`.\n    {variant},\n"));
        arms.push_str(&format!("            Guest::{variant} => {name:?},\n"));
        all.push_str(&format!("        Guest::{variant},\n"));
    }
    let code = format!(
        "/// Every test guest.\n\
         #[derive(Clone, Copy, PartialEq, Eq, Debug)]\n\
         pub(crate) enum Guest {{\n{variants}}}\n\n\
         impl Guest {{\n    \
             /// All of them.\n    \
             pub(crate) const ALL: &[Guest] = &[\n{all}    ];\n\n    \
             /// What its file is called, without the ending.\n    \
             pub(crate) const fn name(self) -> &'static str {{\n        match self {{\n{arms}        }}\n    }}\n\
         }}\n"
    );
    write("guests.rs", &code)
}

fn capitalised(word: &str) -> String {
    let (first, rest) = word.split_at(word.len().min(1));
    first.to_ascii_uppercase() + rest
}

#[expect(
    clippy::disallowed_methods,
    reason = "a build script has OUT_DIR to itself"
)]
fn write(name: &str, code: &str) -> Result<(), String> {
    let out = folder("OUT_DIR")?.join(name);
    // An unchanged file keeps its time stamp, so a rerun of this script does not recompile the crate.
    if fs::read(&out).is_ok_and(|old| old == code.as_bytes()) {
        return Ok(());
    }
    fs::write(&out, code).map_err(|error| format!("cannot write {}: {error}", out.display()))
}

fn check(file: &Path, replaced: bool) -> Result<(), String> {
    let remedy = if replaced {
        "OUZEL_WASM_DIR must name a folder with plain.wasm, reverse.wasm and obfs4-wide.wasm; `watm/build.sh FOLDER` fills one"
    } else {
        "restore it with `git checkout watm/dist`, or build it with `make wasm`"
    };
    let bytes = fs::read(file)
        .map_err(|error| format!("cannot embed {}: {error}; {remedy}", file.display()))?;
    if !bytes.starts_with(HEADER) {
        return Err(format!(
            "{} is not a WebAssembly module; {remedy}",
            file.display()
        ));
    }
    Ok(())
}

fn folder(variable: &str) -> Result<PathBuf, String> {
    env::var_os(variable)
        .map(PathBuf::from)
        .ok_or_else(|| format!("{variable} is not set; this script is run by cargo"))
}

fn text(path: &Path) -> Result<&str, String> {
    path.to_str().ok_or_else(|| {
        format!(
            "{} is not UTF-8; build ouzel from another folder",
            path.display()
        )
    })
}
