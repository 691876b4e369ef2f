//! The report for programs. Keys stay what they are; new ones may be added.

use super::anatomy::Size;
use super::capabilities::asked_for;
use super::{Kind, Module, Report, origin};
use crate::tools::verdict::{Fault, abi_word, role_word};
use crate::watm::{Dialect, Item};
use serde_json::{Map, Value, json};

/// Entries of one list; how many there are in all stands beside it.
const MAX_ENTRIES: usize = 1000;

/// Characters of a name.
const MAX_NAME: usize = 1000;

/// The whole report.
pub(super) fn of(report: &Report<'_>) -> Value {
    let verdict = &report.verdict;
    let roles = verdict.roles.iter().map(|role| {
        let export = verdict.abi.and_then(|abi| abi.role(*role));
        json!({ "role": role_word(*role), "export": export })
    });
    let (kind, dialect) = match &report.kind {
        Kind::Module(module) => ("module", dialect_word(module.dialect)),
        Kind::Component => ("component", None),
        Kind::Artefact => ("compiled", verdict.abi.map(abi_word)),
        Kind::Other => ("other", None),
    };
    let mut all = Map::new();
    let mut set = |key: &str, value: Value| all.insert(key.to_owned(), value);
    set("file", report.path.to_string_lossy().into());
    set("kind", kind.into());
    set("size", report.size.into());
    set("sha256", report.sha256.as_str().into());
    set("abi", dialect.into());
    set("exported_roles", roles.collect());
    set("setup", verdict.setup.into());
    if let Kind::Module(module) = &report.kind {
        all.extend(module_facts(module));
    }
    let refused = verdict.faults.iter().map(Fault::json).collect();
    all.insert("refused".to_owned(), refused);
    Value::Object(all)
}

fn dialect_word(dialect: Dialect) -> Option<&'static str> {
    match dialect {
        Dialect::Watm(abi) => Some(abi_word(abi)),
        Dialect::FinalDraft => Some("final-v1-draft"),
        Dialect::EarlyDraft => Some("early-draft"),
        Dialect::Preview => Some("water-rs-preview"),
        Dialect::Unknown => None,
    }
}

fn module_facts(module: &Module<'_>) -> Map<String, Value> {
    let anatomy = &module.anatomy;
    let mut all = Map::new();
    let mut set = |key: &str, value: Value| all.insert(key.to_owned(), value);
    set("start", module.start.into());
    let origin = origin::of(anatomy);
    set("language", origin.map(|origin| origin.language).into());
    set(
        "language_told_by",
        origin.map(|origin| origin.told_by).into(),
    );
    let producers = anatomy.producers.iter().take(MAX_ENTRIES).map(|one| {
        json!({ "field": name(one.field), "name": name(one.name), "version": name(one.version) })
    });
    set("producers", producers.collect());
    set("functions", anatomy.functions.into());
    set("memories", sizes(&anatomy.memories, "bytes"));
    set("tables", sizes(&anatomy.tables, "elements"));
    let asked = asked_for(&anatomy.imports).into_iter().map(|(what, names)| {
        let names: Vec<Value> = names.into_iter().map(name).collect();
        json!({ "code": what.label, "text": what.text, "given": what.given.word(), "imports": names })
    });
    set("asks_for", asked.collect());
    let imports = anatomy.imports.iter().take(MAX_ENTRIES).map(|one| {
        let (kind, ty) = item(&one.item);
        json!({ "module": name(one.module), "name": name(one.name), "kind": kind, "type": ty })
    });
    set("imports", imports.collect());
    set("imports_in_all", anatomy.imports.len().into());
    let exports = anatomy.exports.iter().take(MAX_ENTRIES).map(|one| {
        let (kind, ty) = item(&one.item);
        json!({ "name": name(one.name), "kind": kind, "type": ty })
    });
    set("exports", exports.collect());
    set("exports_in_all", anatomy.exports.len().into());
    let customs = anatomy.customs.iter().take(MAX_ENTRIES);
    let customs = customs.map(|one| json!({ "name": name(one.name), "size": one.size }));
    set("custom_sections", customs.collect());
    set("custom_sections_in_all", anatomy.customs_in_all.into());
    set("debug_bytes", anatomy.debug_bytes().into());
    set("damage", anatomy.damage.as_deref().map(name).into());
    all
}

fn sizes(sizes: &[Size], unit: &str) -> Value {
    let sizes = sizes.iter().take(MAX_ENTRIES).map(|size| {
        json!({
            format!("initial_{unit}"): size.initial,
            format!("maximum_{unit}"): size.maximum,
            "imported": size.imported,
        })
    });
    sizes.collect()
}

fn item(item: &Item) -> (&'static str, Value) {
    match item {
        Item::Func(ty) => ("function", (**ty).into()),
        Item::Memory => ("memory", Value::Null),
        Item::Other(text) => ("other", (**text).into()),
    }
}

fn name(text: &str) -> Value {
    text.chars().take(MAX_NAME).collect::<String>().into()
}
