//! Who uses whom: the paths in the code against the tables of `ARCHITECTURE.md`.
//!
//! In: the sources under `src/` and the two tables (the markers `<!-- table: … -->` stand before them). Out: every arrow
//! that the table does not allow, every row and permission that nothing needs, every circle; and every word that stands
//! where it is deliberately absent. Unit tests inside a file are not looked at: they may reach further than the product.

use crate::source::{Source, Token, is_word};
use std::collections::{BTreeMap, BTreeSet};

/// A path in code, resolved against the module it stands in: `crate`, then one segment each.
pub(crate) struct CodePath {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
}

/// A file of the product and the module it is.
pub(crate) struct Module {
    pub(crate) name: String,
    pub(crate) source: Source,
}

/// The dependency table: a module, and what it may use.
pub(crate) struct Table {
    rows: BTreeMap<String, BTreeSet<String>>,
}

/// A row of the table of absences.
pub(crate) struct Absence {
    modules: Vec<String>,
    /// The modules are the exceptions, not the rule.
    all_but: bool,
    words: Vec<String>,
    reason: String,
}

/// Names the modules: `src/net/dial.rs` is `net::dial`.
pub(crate) fn modules(sources: &[Source]) -> Vec<Module> {
    sources
        .iter()
        .map(|source| {
            let inside = source
                .path
                .trim_start_matches("src/")
                .trim_end_matches(".rs");
            let source = Source::read(&source.path, source.text.clone());
            Module {
                name: inside.replace('/', "::"),
                source,
            }
        })
        .collect()
}

impl Table {
    pub(crate) fn read(markdown: &str) -> Self {
        let mut rows = BTreeMap::new();
        for cells in table(markdown, "dependencies") {
            let names = quoted(&cells[0]);
            assert_eq!(
                names.len(),
                1,
                "a row of the dependency table names one module: {}",
                cells[0]
            );
            let before = rows.insert(names[0].clone(), quoted(&cells[1]).into_iter().collect());
            assert!(
                before.is_none(),
                "two rows of the dependency table for `{}`",
                names[0]
            );
        }
        Table { rows }
    }

    /// Everything in which the table and the code differ.
    pub(crate) fn check(&self, modules: &[Module]) -> Vec<String> {
        let known: BTreeSet<&str> = modules.iter().map(|module| module.name.as_str()).collect();
        let mut broken = Vec::new();
        let macros = exported_macros(modules);
        let mut needed = BTreeSet::new();
        for module in modules {
            let row = self
                .rows
                .keys()
                .filter(|row| covers(row, &module.name))
                .max_by_key(|row| row.len());
            for path in paths(&module.source, &module.name) {
                if module.source.is_test(path.line) {
                    continue;
                }
                let place = format!("{}:{}", module.source.path, path.line);
                let target = target(&path, &known, &macros);
                if path.segments.get(1).is_some_and(|first| first == "*") {
                    broken.push(format!(
                        "{place}: `*` of the crate root hides what is used; name it"
                    ));
                } else if top(&target) != top(&module.name) {
                    let permission =
                        row.and_then(|row| self.rows[row].iter().find(|may| covers(may, &target)));
                    match (row, permission) {
                        (Some(row), Some(may)) => _ = needed.insert((row.clone(), may.clone())),
                        _ => broken
                            .push(format!("{place}: `{}` may not use `{target}`", module.name)),
                    }
                }
            }
            if row.is_none() && module.name != "lib" {
                broken.push(format!(
                    "{}: no row of the dependency table covers `{}`",
                    module.source.path, module.name
                ));
            }
        }
        for (row, may) in &self.rows {
            if !known.contains(row.as_str()) {
                broken.push(format!("stale row: there is no module `{row}`"));
                continue;
            }
            for target in may {
                if !known.contains(target.as_str()) {
                    broken.push(format!(
                        "stale permission: `{row}` may use `{target}`, which does not exist"
                    ));
                } else if !needed.contains(&(row.clone(), target.clone())) {
                    broken.push(format!("stale permission: `{row}` does not use `{target}`"));
                }
            }
        }
        broken.extend(self.circle());
        // One `use` with several names breaks one rule.
        broken.dedup();
        broken
    }

    /// A circle among the top-level modules, if the table has one.
    fn circle(&self) -> Option<String> {
        let mut arrows: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (row, may) in &self.rows {
            arrows
                .entry(top(row))
                .or_default()
                .extend(may.iter().map(|name| top(name)));
        }
        // What uses nothing that is left cannot be part of a circle; what remains at the end is one.
        loop {
            let left: BTreeSet<&str> = arrows.keys().copied().collect();
            let free = arrows
                .iter()
                .find(|(_, may)| may.is_disjoint(&left))
                .map(|(name, _)| *name);
            match free {
                Some(name) => _ = arrows.remove(name),
                None if arrows.is_empty() => return None,
                None => return Some(format!("the arrows run in a circle among {left:?}")),
            }
        }
    }
}

/// Reads the table of absences: where (`a`, `b`, or "all but `c`"), words, reason.
pub(crate) fn absences(markdown: &str) -> Vec<Absence> {
    table(markdown, "absences")
        .into_iter()
        .map(|cells| Absence {
            modules: quoted(&cells[0]),
            all_but: cells[0].starts_with("all"),
            words: quoted(&cells[1]),
            reason: cells[2].clone(),
        })
        .collect()
}

/// Every word that stands where it should not, and every row about a module that does not exist.
pub(crate) fn check_absences(absences: &[Absence], modules: &[Module]) -> Vec<String> {
    let mut broken = Vec::new();
    for absence in absences {
        assert!(
            !absence.words.is_empty() && !absence.reason.is_empty(),
            "a row of absences lacks its words or its reason"
        );
        for name in &absence.modules {
            if !modules.iter().any(|module| module.name == *name) {
                broken.push(format!(
                    "stale row of absences: there is no module `{name}`"
                ));
            }
        }
        for module in modules {
            let listed = absence
                .modules
                .iter()
                .any(|name| covers(name, &module.name));
            if listed == absence.all_but {
                continue;
            }
            for (number, line) in module.source.code.lines().enumerate() {
                let found = absence
                    .words
                    .iter()
                    .find(|word| line.contains(word.as_str()));
                if let Some(word) = found.filter(|_| !module.source.is_test(number + 1)) {
                    let place = format!("{}:{}", module.source.path, number + 1);
                    broken.push(format!("{place}: `{word}`, but {}", absence.reason));
                }
            }
        }
    }
    broken
}

/// Every path in a file that starts at the crate, at this module or above it; `ouzel::` in `main` is the crate.
pub(crate) fn paths(source: &Source, module: &str) -> Vec<CodePath> {
    let file: Vec<String> = match module {
        "" | "main" | "lib" => Vec::new(),
        name => name.split("::").map(str::to_owned).collect(),
    };
    let tokens = &source.tokens;
    let text = |at: usize| {
        tokens
            .get(at)
            .map_or("", |token: &Token| token.text.as_str())
    };
    let mut inline: Vec<(usize, String)> = Vec::new();
    let (mut at, mut depth) = (0, 0_usize);
    let mut found = Vec::new();
    while at < tokens.len() {
        match text(at) {
            "mod" if text(at + 2) == "{" => inline.push((depth, text(at + 1).to_owned())),
            "{" => depth += 1,
            "}" => {
                depth = depth.saturating_sub(1);
                inline.pop_if(|(opened, _)| *opened == depth);
            }
            "crate" | "super" | "self" | "ouzel"
                if text(at + 1) == "::" && (at == 0 || text(at - 1) != "::") =>
            {
                let here = file
                    .iter()
                    .chain(inline.iter().map(|(_, name)| name))
                    .cloned();
                let mut base: Vec<String> =
                    std::iter::once("crate".to_owned()).chain(here).collect();
                match text(at) {
                    "super" => _ = base.pop(),
                    "self" => {}
                    "ouzel" if module != "main" => base = vec!["ouzel".to_owned()],
                    _ => base.truncate(1),
                }
                at = follow(tokens, at + 2, base, &mut found);
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Follows a path from the token after a `::` and adds every end of it; gives the first token that is no part of it.
fn follow(
    tokens: &[Token],
    mut at: usize,
    mut base: Vec<String>,
    found: &mut Vec<CodePath>,
) -> usize {
    let Some(first) = tokens.get(at) else {
        return at;
    };
    let line = first.line;
    loop {
        let text = tokens.get(at).map_or("", |token| token.text.as_str());
        match text {
            "{" => {
                at += 1;
                while let Some(token) = tokens.get(at) {
                    match token.text.as_str() {
                        "}" => return at + 1,
                        "," => at += 1,
                        "as" => at += 2,
                        _ => at = follow(tokens, at, base.clone(), found).max(at + 1),
                    }
                }
                return at;
            }
            "super" => {
                base.pop();
            }
            "self" => {}
            "*" => base.push(text.to_owned()),
            word if is_word(word) => base.push(word.to_owned()),
            // A turbofish, or the end of the file.
            _ => {
                found.push(CodePath {
                    segments: base,
                    line,
                });
                return at;
            }
        }
        at += 1;
        if tokens.get(at).is_none_or(|token| token.text != "::") {
            found.push(CodePath {
                segments: base,
                line,
            });
            return at;
        }
        at += 1;
    }
}

/// The module a path leads to: the longest one that exists, or the one that exports the macro; what is neither is an item
/// of the crate root.
fn target(path: &CodePath, known: &BTreeSet<&str>, macros: &BTreeMap<&str, &str>) -> String {
    let module = (2..=path.segments.len())
        .rev()
        .map(|end| path.segments[1..end].join("::"))
        .find(|name| known.contains(name.as_str()));
    let root_item = || {
        path.segments
            .get(1)
            .and_then(|name| macros.get(name.as_str()).copied())
    };
    module.unwrap_or_else(|| root_item().unwrap_or("lib").to_owned())
}

/// The macros that are named at the crate root but live in a module: `#[macro_export] macro_rules! name`.
fn exported_macros(modules: &[Module]) -> BTreeMap<&str, &str> {
    let mut found = BTreeMap::new();
    for module in modules {
        for words in module.source.tokens.windows(3) {
            if words[0].text == "macro_rules" && words[1].text == "!" {
                found.insert(words[2].text.as_str(), module.name.as_str());
            }
        }
    }
    found
}

fn covers(outer: &str, inner: &str) -> bool {
    inner
        .strip_prefix(outer)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn top(name: &str) -> &str {
    name.split("::").next().unwrap_or(name)
}

/// The body rows of the table that follows a marker.
fn table(markdown: &str, name: &str) -> Vec<Vec<String>> {
    let marker = format!("<!-- table: {name} -->");
    let (_, after) = markdown
        .split_once(&marker)
        .unwrap_or_else(|| panic!("ARCHITECTURE.md lacks `{marker}`"));
    let rows: Vec<Vec<String>> = after
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| {
            line.trim_matches('|')
                .split('|')
                .map(|cell| cell.trim().to_owned())
                .collect()
        })
        .collect();
    assert!(!rows.is_empty(), "the table after `{marker}` has no rows");
    assert!(
        rows.iter().all(|cells: &Vec<String>| cells.len() == 3),
        "each row after `{marker}` has three cells"
    );
    rows
}

/// The words of a cell that stand between backquotes.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}
