//! The documents, held against the project: what they say to type must work.
//!
//! In: every Markdown file, `torrc.example`, the executable's own help, the Makefile, Debian's tor. Out: one test per
//! promise; a failure names the file and the line. A tor that is missing is a failure that says what to install.

#![allow(
    clippy::disallowed_methods,
    reason = "a torrc for tor to judge has to be written somewhere"
)]

use ouzel::config::settings::{RunFile, Settings, Told};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const OUZEL: &str = env!("CARGO_BIN_EXE_ouzel");

#[test]
fn every_link_leads_somewhere() {
    let mut broken = Vec::new();
    for document in documents() {
        let folder = document.parent().expect("a file has a folder");
        for (number, line) in read(&document).lines().enumerate() {
            for target in line
                .split("](")
                .skip(1)
                .filter_map(|rest| rest.split(')').next())
            {
                let file = target.split('#').next().unwrap_or_default();
                let outside = target.contains("://") || file.is_empty();
                if !outside && !folder.join(file).exists() {
                    broken.push(format!("{}:{}: {target}", document.display(), number + 1));
                }
            }
        }
    }
    assert!(
        broken.is_empty(),
        "links to nothing:\n  {}",
        broken.join("\n  ")
    );
}

#[test]
fn every_option_of_ouzel_in_the_documents_exists() {
    let known: BTreeSet<String> = [
        &["--help"][..],
        &["demo", "--help"],
        &["dial", "--help"],
        &["compile", "--help"],
        &["validate", "--help"],
        &["inspect", "--help"],
    ]
    .iter()
    .flat_map(|arguments| options(&help(arguments)))
    .collect();
    let mut seen = 0;
    let mut broken = Vec::new();
    let mut files = documents();
    files.push(root().join("torrc.example"));
    for document in files {
        for (number, line) in read(&document).lines().enumerate() {
            // A command, or a row of a table of options; `cargo build …` before it has options of its own.
            let table = line.starts_with("| `--").then_some(line);
            let commands = line
                .split("ouzel ")
                .skip(1)
                .map(|rest| rest.split('`').next().unwrap_or(rest));
            for option in commands.chain(table).flat_map(options) {
                seen += 1;
                if !known.contains(&option) {
                    broken.push(format!("{}:{}: {option}", document.display(), number + 1));
                }
            }
        }
    }
    assert!(
        broken.is_empty(),
        "options that ouzel does not have:\n  {}",
        broken.join("\n  ")
    );
    assert!(
        seen > 10,
        "the documents show only {seen} options: is the search broken?"
    );
}

#[test]
fn the_readme_explains_every_option() {
    let readme = options(&read(&root().join("README.md")));
    let missing: Vec<String> = options(&help(&["--help"]))
        .into_iter()
        .filter(|option| !["--help", "--version"].contains(&option.as_str()))
        .filter(|option| !readme.contains(option))
        .collect();
    assert!(
        missing.is_empty(),
        "the README does not mention {missing:?}"
    );
}

#[test]
fn every_key_of_the_settings_is_explained_and_every_example_is_read() {
    let page = root().join("docs/configuration.md");
    let text = read(&page);
    let file = Path::new("example.toml");
    // The complaint about a key that does not exist lists those that do.
    let complaints = [
        RunFile::parse("x-x-x-x-x = 1", file)
            .expect_err("no key")
            .to_string(),
        Settings::parse("x-x-x-x-x = 1", file)
            .expect_err("no key")
            .to_string(),
        Settings::parse("limits.x-x-x-x-x = 1", file)
            .expect_err("no key")
            .to_string(),
    ];
    for complaint in complaints {
        let (_, keys) = complaint.split_once("there are ").expect("the list");
        for key in keys.split(", ") {
            let row = format!("\n| `{key}` | ");
            assert!(
                text.contains(&row),
                "{key} has no row in {}",
                page.display()
            );
        }
    }
    let examples = blocks(&text, "toml");
    assert!(examples.len() >= 2, "a run and a transport");
    for example in examples {
        let read = if example.starts_with("# ouzel.toml") {
            RunFile::parse(&example, file).map(drop)
        } else {
            Settings::parse(&example, file).map(drop)
        };
        read.unwrap_or_else(|mistake| panic!("{mistake}\n{example}"));
    }
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let file = folder.path().join("example.json");
    for example in blocks(&text, "json") {
        fs::write(&file, &example).expect("it can be written to");
        let told = Told::read(&file).unwrap_or_else(|mistake| panic!("{mistake}\n{example}"));
        assert!(told.settings.module.is_some() && told.listen.is_some());
    }
}

#[test]
fn every_make_target_in_the_documents_exists() {
    let makefile = read(&root().join("Makefile"));
    let mut seen = 0;
    for document in documents() {
        let text = read(&document);
        let inline = text
            .split('`')
            .skip(1)
            .step_by(2)
            .filter_map(|code| code.strip_prefix("make "));
        let blocks = text.lines().filter_map(|line| line.strip_prefix("make "));
        for call in inline.chain(blocks) {
            let target = call
                .split_whitespace()
                .next()
                .expect("`make ` is followed by a target");
            let rule = format!("\n{target}:");
            assert!(
                makefile.contains(&rule),
                "{}: there is no `make {target}`",
                document.display()
            );
            seen += 1;
        }
    }
    assert!(
        seen >= 4,
        "the documents show only {seen} make targets: is the search broken?"
    );
}

#[test]
fn tor_accepts_every_torrc_of_the_readme() {
    let blocks = blocks(&read(&root().join("README.md")), "torrc");
    assert!(
        blocks.len() >= 3,
        "the README shows a client, a bridge and a module of one's own"
    );
    for block in blocks {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let torrc = folder.path().join("torrc");
        let data = folder.path().join("data");
        fs::write(
            &torrc,
            format!("{block}\nDataDirectory {}\n", data.display()),
        )
        .expect("it can be written to");
        let output = Command::new("tor")
            .args(["--defaults-torrc", "/dev/null", "--verify-config", "-f"])
            .arg(&torrc)
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| {
                panic!("cannot run tor: {error}; install Debian's package `tor`")
            });
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "tor refuses\n{block}\n{said}");
        let warned: Vec<&str> = said
            .lines()
            .filter(|line| line.contains("[warn]") && !line.contains("running Tor as root"))
            .collect();
        assert!(
            warned.is_empty(),
            "tor warns of\n{block}\n{}",
            warned.join("\n")
        );
    }
}

#[test]
fn the_apparmor_line_is_the_same_everywhere() {
    for file in ["README.md", "torrc.example", "docs/packaging.md"] {
        assert!(
            read(&root().join(file)).contains("/usr/bin/ouzel Pix,"),
            "{file} lacks the AppArmor line"
        );
    }
}

#[test]
fn every_dependency_is_used_and_has_its_row() {
    let mut direct = BTreeSet::new();
    let mut section = String::new();
    let manifests = ["Cargo.toml", "pt-spec-tests/Cargo.toml"].map(|file| read(&root().join(file)));
    for line in manifests.iter().flat_map(|text| text.lines()) {
        if line.starts_with('[') {
            section = line.to_owned();
        } else if section.ends_with("dependencies]")
            && let Some((name, _)) = line.split_once(" = ")
        {
            direct.insert(name.to_owned());
        }
    }
    assert!(direct.len() > 10, "only {direct:?} found in Cargo.toml");

    let page = read(&root().join("docs/design/dependencies.md"));
    let cells = page
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let rows: BTreeSet<String> = cells
        .skip(1)
        .flat_map(|cell| cell.split(", "))
        .filter_map(|part| part.split(' ').next())
        .map(str::to_owned)
        .collect();
    assert_eq!(
        direct, rows,
        "the table in docs/design/dependencies.md is not what Cargo.toml has"
    );

    let code: Vec<String> = ["src", "tests", "benches", "pt-spec-tests/src"]
        .iter()
        .flat_map(|folder| files(&root().join(folder), "rs"))
        .map(|file| read(&file))
        .collect();
    // wasmtime-wasi waits for the host side of components.
    for name in direct.iter().filter(|name| *name != "wasmtime-wasi") {
        let path = format!("{}::", name.replace('-', "_"));
        assert!(
            code.iter().any(|text| text.contains(&path)),
            "nothing uses the dependency {name}"
        );
    }
}

/// The options in a text: `--` and a word.
fn options(text: &str) -> BTreeSet<String> {
    let not_of_a_word =
        |sign: char| !(sign.is_ascii_lowercase() || sign.is_ascii_digit() || sign == '-');
    text.split(not_of_a_word)
        .filter(|word| {
            word.strip_prefix("--")
                .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_lowercase()))
        })
        .map(str::to_owned)
        .collect()
}

fn help(arguments: &[&str]) -> String {
    let output = Command::new(OUZEL)
        .args(arguments)
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .expect("the executable was built for this test");
    assert!(
        output.status.success(),
        "ouzel {arguments:?} failed: {output:?}"
    );
    String::from_utf8(output.stdout).expect("the help is UTF-8")
}

/// The fenced blocks of a language.
fn blocks(markdown: &str, language: &str) -> Vec<String> {
    let opening = format!("```{language}\n");
    markdown
        .split(&opening)
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap_or_default().to_owned())
        .collect()
}

/// Every Markdown file of the project: at the root and below `docs`.
fn documents() -> Vec<PathBuf> {
    let mut found = files(&root().join("docs"), "md");
    for entry in root()
        .read_dir()
        .expect("the root of the project can be read")
    {
        let path = entry.expect("the root of the project can be read").path();
        if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    assert!(
        found.len() >= 5,
        "the project has more documents than {found:?}"
    );
    found
}

/// The files below a folder whose names end so, sorted.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in folder
            .read_dir()
            .expect("a folder of the project can be read")
        {
            let path = entry.expect("a folder of the project can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
