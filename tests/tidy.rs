//! The rules of the house that no compiler checks, as tests that read the project's own files.
//!
//! In: every text file of the repository and the tables of `ARCHITECTURE.md`. Out: one test per rule, which lists every
//! place that breaks it and the remedy. A list of exceptions is a list of debts: an entry that nothing needs any more
//! fails as well.

#[path = "tidy/bounds.rs"]
mod bounds;
#[path = "tidy/graph.rs"]
mod graph;
#[path = "tidy/source.rs"]
mod source;

use graph::Table;
use source::{Source, Token};
use std::fs;
use std::path::Path;

/// A file of more lines holds two ideas.
const LONGEST: usize = 450;

/// Longer files, each with the reason why it is one idea all the same.
const LONG: &[(&str, &str)] = &[];

/// Files, or folders of them, with `unsafe` in them, each with the reason why it cannot be done without.
const UNSAFE: &[(&str, &str)] = &[
    (
        "src/platform.rs",
        "asking whether memory may become executable means mapping a page",
    ),
    (
        "src/watm/host.rs",
        "wasmtime cannot tell an artefact of ours from other native code; we can",
    ),
    (
        "watm/sdk/src/raw.rs",
        "a guest reaches its host through raw imports only; this file is all of them",
    ),
    (
        "watm/sdk/src/instance.rs",
        "`#[unsafe(no_mangle)]`: the ABI names the exports",
    ),
    (
        "watm/obfs4/selfcheck/src/lib.rs",
        "`#[unsafe(no_mangle)]`: the test calls exports",
    ),
    (
        "watm/test-guests/",
        "guests that break the rules on purpose have to go past the SDK",
    ),
];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 8] = [
    "util", "utils", "common", "helper", "helpers", "manager", "managers", "misc",
];

/// Beginnings of paths that exist on one machine only.
const MACHINE_PATHS: [&str; 5] = [
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/tm", "p/"),
    concat!("/Us", "ers/"),
];

#[test]
fn modules_use_only_what_the_dependency_table_allows() {
    let table = Table::read(&text("ARCHITECTURE.md"));
    let modules = graph::modules(&sources("src"));
    assert_clean(
        "the dependency table of ARCHITECTURE.md",
        table.check(&modules),
    );
}

#[test]
fn the_bounds_of_a_guest_are_what_their_page_says() {
    assert_clean(
        "docs/design/bounds.md",
        bounds::check(&text("docs/design/bounds.md"), text),
    );
}

#[test]
fn what_is_deliberately_absent_is_absent() {
    let absent = graph::absences(&text("ARCHITECTURE.md"));
    let modules = graph::modules(&sources("src"));
    assert_clean(
        "the table of absences of ARCHITECTURE.md",
        graph::check_absences(&absent, &modules),
    );
}

#[test]
fn the_conformance_suite_does_not_know_ouzel() {
    let mut broken = Vec::new();
    for source in sources("pt-spec-tests") {
        for token in source.tokens.iter().filter(|token| token.text == "ouzel") {
            broken.push(format!(
                "{}:{} uses the crate ouzel",
                source.path, token.line
            ));
        }
    }
    let manifest = text("pt-spec-tests/Cargo.toml");
    if manifest.lines().any(|line| line.starts_with("ouzel")) {
        broken.push("pt-spec-tests/Cargo.toml depends on ouzel".to_owned());
    }
    assert_clean("the independence of pt-spec-tests", broken);
}

#[test]
fn no_file_is_called_mod_rs() {
    let broken = rust()
        .iter()
        .filter(|source| source.path.ends_with("/mod.rs"))
        .map(|source| {
            format!(
                "{}: name the file after its module, beside the folder",
                source.path
            )
        })
        .collect();
    assert_clean("the rule for file names", broken);
}

#[test]
fn every_name_says_something() {
    let mut broken = Vec::new();
    for source in rust() {
        for part in source.path.trim_end_matches(".rs").split('/') {
            if EMPTY_NAMES.contains(&part) {
                broken.push(format!(
                    "{}: `{part}` says nothing; name what is inside",
                    source.path
                ));
            }
        }
        for (line, name) in source.items() {
            let plain = name.to_ascii_lowercase();
            if EMPTY_NAMES
                .iter()
                .any(|word| plain == *word || plain.ends_with(&format!("_{word}")))
                || EMPTY_NAMES
                    .iter()
                    .any(|word| ends_with_capitalised(name, word))
            {
                broken.push(format!(
                    "{}:{line}: `{name}` says nothing; name what it does",
                    source.path
                ));
            }
        }
    }
    assert_clean("the naming rule", broken);
}

/// Whether a type's name ends in the word, as `PoolManager` does in `manager`.
fn ends_with_capitalised(name: &str, word: &str) -> bool {
    let (head, tail) = word.split_at(1);
    name.ends_with(&format!("{}{tail}", head.to_ascii_uppercase()))
}

#[test]
fn every_file_is_one_idea_long() {
    let long: Vec<(String, String)> = rust()
        .iter()
        .filter(|source| source.lines > LONGEST)
        .map(|source| {
            (
                source.path.clone(),
                format!("{} lines; split it below {LONGEST}", source.lines),
            )
        })
        .collect();
    assert_clean(
        "the rule for the length of files",
        against_ledger(long, LONG),
    );
}

#[test]
fn unsafe_stands_only_where_its_reason_is_written() {
    let mut found = Vec::new();
    for source in rust() {
        if let Some(token) = source.tokens.iter().find(|token| token.text == "unsafe") {
            let what = format!(
                "`unsafe` in line {}; do without, or enter it in UNSAFE with a reason",
                token.line
            );
            found.push((source.path, what));
        }
    }
    assert_clean("the ledger of unsafe code", against_ledger(found, UNSAFE));
}

#[test]
fn nothing_is_left_unfinished() {
    let mut broken = Vec::new();
    for source in rust() {
        for pair in source.tokens.windows(2) {
            if matches!(pair[0].text.as_str(), "todo" | "unimplemented") && pair[1].text == "!" {
                broken.push(format!(
                    "{}:{}: {}!",
                    source.path, pair[0].line, pair[0].text
                ));
            }
        }
        for attribute in source.attributes() {
            if attribute[0].text == "ignore" {
                let line = attribute[0].line;
                broken.push(format!(
                    "{}:{line}: an ignored test; make it pass or delete it",
                    source.path
                ));
            }
        }
        for word in [
            concat!("TO", "DO"),
            concat!("FIX", "ME"),
            concat!("XX", "X:"),
            // An example in a doc comment that nobody compiles; `text` says the same honestly.
            concat!("```", "ignore"),
        ] {
            for (number, line) in source.text.lines().enumerate() {
                if line.contains(word) {
                    broken.push(format!(
                        "{}:{}: {word}; do it or leave it out",
                        source.path,
                        number + 1
                    ));
                }
            }
        }
    }
    assert_clean("the rule to finish what is begun", broken);
}

#[test]
fn every_exception_to_a_lint_has_its_reason() {
    let mut broken = Vec::new();
    for source in rust() {
        for attribute in source.attributes() {
            let exception = matches!(attribute[0].text.as_str(), "allow" | "expect");
            if exception && !attribute.iter().any(|token| token.text == "reason") {
                let line = attribute[0].line;
                broken.push(format!(
                    "{}:{line}: add `reason = \"…\"` to the attribute",
                    source.path
                ));
            }
        }
    }
    assert_clean("the rule for lint exceptions", broken);
}

#[test]
fn no_file_names_a_path_of_one_machine() {
    let mut broken = Vec::new();
    for path in source::files(root()) {
        let bytes = fs::read(root().join(&path)).expect("a listed file can be read");
        for needle in MACHINE_PATHS {
            // Bytes, not text: a built guest that tells where it was built is not reproducible.
            if let Some(at) = bytes
                .windows(needle.len())
                .position(|window| window == needle.as_bytes())
            {
                let line = 1 + bytes[..at].iter().filter(|byte| **byte == b'\n').count();
                broken.push(format!(
                    "{path}:{line}: {needle}; write a relative path, or ask std::env::temp_dir()"
                ));
            }
        }
    }
    assert_clean("the rule against machine paths", broken);
}

#[test]
fn every_module_says_what_it_is() {
    let broken = rust()
        .iter()
        .filter(|source| !source.text.trim_start().starts_with("//!"))
        .map(|source| {
            format!(
                "{}: begin with `//!`: what flows in, what flows out, what can go wrong",
                source.path
            )
        })
        .collect();
    assert_clean("the rule for module documents", broken);
}

/// Compares what was found with a ledger of exceptions: an unlisted finding is an error, and so is a listed nothing.
fn against_ledger(found: Vec<(String, String)>, ledger: &[(&str, &str)]) -> Vec<String> {
    let mut broken = Vec::new();
    for (path, reason) in ledger {
        if reason.len() < 10 {
            broken.push(format!("{path}: the ledger's reason says nothing"));
        }
        if !found.iter().any(|(other, _)| is_entry(path, other)) {
            broken.push(format!(
                "{path}: stands in the ledger without need; strike it out"
            ));
        }
    }
    let listed = |path: &str| ledger.iter().any(|(entry, _)| is_entry(entry, path));
    let unlisted = found.into_iter().filter(|(path, _)| !listed(path));
    broken.extend(unlisted.map(|(path, what)| format!("{path}: {what}")));
    broken
}

/// Whether a ledger's entry is this file, or a folder (it ends in `/`) that holds it.
fn is_entry(entry: &str, path: &str) -> bool {
    entry == path || (entry.ends_with('/') && path.starts_with(entry))
}

fn assert_clean(rule: &str, broken: Vec<String>) {
    let places = broken.join("\n  ");
    assert!(broken.is_empty(), "{rule} does not hold:\n  {places}\n");
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every Rust file of the repository.
fn rust() -> Vec<Source> {
    sources("")
}

/// The Rust files below a folder; an empty result would make a rule hold for nothing.
fn sources(folder: &str) -> Vec<Source> {
    let found: Vec<Source> = source::files(root())
        .into_iter()
        .filter(|path| path.ends_with(".rs") && Path::new(path).starts_with(folder))
        .map(|path| Source::read(&path, text(&path)))
        .collect();
    assert!(!found.is_empty(), "no Rust file below `{folder}`");
    found
}

/// The lexer is what every rule above rests on.
#[test]
fn the_lexer_sees_code_and_nothing_else() {
    let code = r##"
        use crate::{a::{self, b as c}, d::*}; // unsafe
        /* unsafe /* nested */ unsafe */
        const S: &str = "crate::x \" unsafe"; const R: &str = r#"crate::y "quoted" unsafe"#; const B: &[u8] = b"\\";
        fn f<'a>(x: &'a str) -> char { let r#type = '"'; let _ = crate :: e :: f(); '\'' }
        mod inner { use super::g; use super::super::h; fn k() { crate::m!(1) } }
        use super::z;
        #[cfg(test)] mod tests { use crate::t; }
    "##;
    let source = Source::read("src/top/leaf.rs", code.to_owned());
    assert!(
        !source
            .tokens
            .iter()
            .any(|token: &Token| token.text == "unsafe")
    );
    let paths: Vec<String> = graph::paths(&source, "top::leaf")
        .iter()
        .map(|path| path.segments.join("::"))
        .collect();
    let expected = [
        "crate::a",
        "crate::a::b",
        "crate::d::*",
        "crate::e::f",
        "crate::top::leaf::g",
        "crate::top::h",
        "crate::m",
        "crate::top::z",
        "crate::t",
    ];
    for path in expected {
        assert!(
            paths.iter().any(|found| found == path),
            "{path} not found among {paths:?}"
        );
    }
    assert!(
        !paths
            .iter()
            .any(|path| path.contains('x') || path.contains('y')),
        "{paths:?}"
    );
}

/// Each kind of finding of the graph rules, planted.
#[test]
fn the_graph_rules_find_what_is_planted() {
    let markdown = "<!-- table: dependencies -->\n\n| module | may use | why |\n|---|---|---|\n\
        | `a` | `b`, `c::deep` | x |\n| `b` | `a` | x |\n| `c` | nothing | x |\n| `gone` | nothing | x |\n\
        \n<!-- table: absences -->\n| where | never | why |\n|---|---|---|\n| all but `a` | `env::var` | x |\n";
    let file = |path: &str, code: &str| Source::read(path, code.to_owned());
    let modules = graph::modules(&[
        file(
            "src/a.rs",
            "use crate::{b::x, c::other, c::other2};\nuse crate::shout;\n#[cfg(test)]\nmod tests { use crate::d::x; }\n\nuse std::env::var;",
        ),
        file("src/b.rs", "// env::var\nuse std::env::var; use crate::*;"),
        file("src/c.rs", "use super::b;"),
        file("src/c/deep.rs", "use super::x; use crate::c::y;"),
        file(
            "src/d.rs",
            "#[macro_export]\nmacro_rules! shout { () => {} }",
        ),
    ]);
    let found = Table::read(markdown).check(&modules).join("\n");
    for expected in [
        "src/a.rs:1: `a` may not use `c`",
        "src/b.rs:2: `*` of the crate root",
        "src/c.rs:1: `c` may not use `b`",
        "src/a.rs:2: `a` may not use `d`",
        "src/d.rs: no row",
        "there is no module `gone`",
        "`a` does not use `c::deep`",
        "`b` does not use `a`",
        "in a circle among {\"a\", \"b\"}",
    ] {
        assert!(found.contains(expected), "{expected} not in:\n{found}");
    }
    assert_eq!(found.lines().count(), 9, "{found}");
    let absent = graph::check_absences(&graph::absences(markdown), &modules);
    assert_eq!(absent, ["src/b.rs:2: `env::var`, but x"]);
}
