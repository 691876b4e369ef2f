//! A module from outside: what it imports, what it exports, what it needs to begin with.
//!
//! In: a compiled module, or whatever a parser read of one that nobody compiled. Out: an [`Outline`], which the checks before
//! use read, so that a tool can name everything that is wrong with a module and not only the first. Names are a module's own
//! words: [`printable`] makes them fit for a terminal and a log line.

use super::{abi, v0, v1};
use std::fmt::{self, Display, Write as _};
use std::sync::Arc;
use wasmtime::{ExternType, Module};

/// More types than any function of WATM or preview1 has; the rest is counted.
const MAX_TYPES: usize = 16;

/// The most of a name that is shown.
const MAX_NAME: usize = 120;

/// What an import or export is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A function and its type, as [`signature`] writes it.
    Func(Arc<str>),
    /// A memory.
    Memory,
    /// Anything else, in words.
    Other(Arc<str>),
}

impl Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Item::Func(text) | Item::Other(text) => f.write_str(text),
            Item::Memory => f.write_str("memory"),
        }
    }
}

/// Something that a module wants.
#[derive(Clone, Debug)]
pub struct Import<'a> {
    /// Whose it is: `env`, `wasi_snapshot_preview1`.
    pub module: &'a str,
    /// Its name there.
    pub name: &'a str,
    /// What it has to be.
    pub item: Item,
}

/// What the checks before use look at.
#[derive(Clone, Debug)]
pub struct Outline<'a> {
    /// Only names that mean something to a WATM host, however many others there are.
    exports: Vec<(&'static str, Item)>,
    pub(super) imports: Vec<Import<'a>>,
    pub(super) memory: u64,
    pub(super) table: u64,
}

/// Exports that mean something beside those of the ABIs.
const OTHERS: [&str; 6] = [
    "memory",
    "_initialize",
    "_start",
    abi::PREVIEW_MARKER,
    abi::FINAL_USERPIPE,
    abi::FINAL_LASTERROR,
];

fn known() -> impl Iterator<Item = &'static str> {
    let names = OTHERS.into_iter().chain(v0::EXPORTS).chain(v1::EXPORTS);
    names.chain(abi::DRAFTS).chain([abi::SETUP])
}

/// What wasmtime counts a memory's size in.
const PAGE: u64 = 64 << 10;

impl<'a> Outline<'a> {
    /// Of a module that wants these imports, whose largest memory has so many bytes at the start and whose largest table so many
    /// elements; without exports as yet.
    pub fn new(imports: Vec<Import<'a>>, memory: u64, table: u64) -> Outline<'a> {
        Outline {
            exports: Vec::new(),
            imports,
            memory,
            table,
        }
    }

    /// Of a module that was compiled.
    pub(super) fn of(module: &'a Module) -> Outline<'a> {
        let needs = module.resources_required();
        let imports = module.imports().map(|import| Import {
            module: import.module(),
            name: import.name(),
            item: item(&import.ty()),
        });
        let mut outline = Outline::new(
            imports.collect(),
            needs.max_initial_memory_size.unwrap_or(0) * PAGE,
            needs.max_initial_table_size.unwrap_or(0),
        );
        for name in known() {
            if let Some(export) = module.get_export(name) {
                outline.exports.push((name, item(&export)));
            }
        }
        outline
    }

    /// Adds an export; what means nothing to a WATM host is left out.
    pub fn add_export(&mut self, name: &str, item: &Item) {
        if let Some(known) = known().find(|known| *known == name) {
            self.exports.push((known, item.clone()));
        }
    }

    /// The export of a name that means something to a WATM host.
    pub fn export(&self, name: &str) -> Option<&Item> {
        let found = self.exports.iter().find(|(known, _)| *known == name);
        found.map(|(_, item)| item)
    }

    /// The function that is run before anything else: `_initialize` if it is there, else `_start`.
    pub fn start(&self) -> Option<&'static str> {
        let mut names = ["_initialize", "_start"].into_iter();
        names.find(|name| self.export(name).is_some())
    }

    /// Whether it exports what ouzel calls once at the start of a server, beyond WATM.
    pub fn has_setup(&self) -> bool {
        self.export(abi::SETUP).is_some()
    }
}

/// What wasmtime says that something is.
pub(super) fn item(ty: &ExternType) -> Item {
    match ty {
        ExternType::Func(func) => Item::Func(signature(func.params(), func.results())),
        ExternType::Memory(_) => Item::Memory,
        ExternType::Table(_) => Item::Other("table".into()),
        ExternType::Global(_) => Item::Other("global".into()),
        _ => Item::Other("tag".into()),
    }
}

/// A function's type in text: `(i32, i64) -> (i32)`.
pub fn signature<T: Display>(
    params: impl ExactSizeIterator<Item = T>,
    results: impl ExactSizeIterator<Item = T>,
) -> Arc<str> {
    let mut text = String::new();
    list(&mut text, params);
    text.push_str(" -> ");
    list(&mut text, results);
    text.into()
}

fn list<T: Display>(text: &mut String, types: impl ExactSizeIterator<Item = T>) {
    let total = types.len();
    text.push('(');
    for (at, ty) in types.take(MAX_TYPES).enumerate() {
        let separator = if at == 0 { "" } else { ", " };
        let _ = write!(text, "{separator}{ty}");
    }
    if total > MAX_TYPES {
        let _ = write!(text, ", ... {total} in all");
    }
    text.push(')');
}

/// A module's words as they can be shown anywhere: printable ASCII, the rest escaped, and not too many of them.
pub fn printable(text: &str) -> String {
    printable_within(text, MAX_NAME)
}

pub(super) fn printable_within(text: &str, most: usize) -> String {
    let mut shown = String::new();
    for (at, sign) in text.chars().enumerate() {
        if at == most {
            shown.push_str("...");
            break;
        }
        match sign {
            ' '..='~' => shown.push(sign),
            _ => shown.extend(sign.escape_default()),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_modules_words_cannot_reach_the_terminal() {
        assert_eq!(printable("watm_dial_v1"), "watm_dial_v1");
        assert_eq!(printable("a\x1b[31m\nb"), "a\\u{1b}[31m\\nb");
        assert_eq!(
            printable("\u{202e}w\u{430}tm\u{9b}"),
            "\\u{202e}w\\u{430}tm\\u{9b}"
        );
        assert_eq!(
            printable(&"x".repeat(1 << 20)),
            format!("{}...", "x".repeat(120))
        );
    }

    #[test]
    fn a_long_type_is_cut() {
        let none = || std::iter::empty::<&str>();
        assert_eq!(&*signature(none(), none()), "() -> ()");
        assert_eq!(
            &*signature(["i32", "i64"].into_iter(), ["i32"].into_iter()),
            "(i32, i64) -> (i32)"
        );
        let long = signature(vec!["i32"; 1000].into_iter(), none());
        assert!(long.ends_with(", ... 1000 in all) -> ()"), "{long}");
        assert!(long.len() < 120, "{long}");
    }
}
