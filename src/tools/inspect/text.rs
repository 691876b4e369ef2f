//! The report for a person.

use super::anatomy::{Anatomy, Size};
use super::capabilities::asked_for;
use super::{Kind, Module, Report, origin};
use crate::tools::shown::{file_name, grouped};
use crate::watm::{Abi, Dialect, Item, printable};
use std::fmt::Write as _;

/// Entries of one list that a person reads; JSON has more.
const MAX_LINES: usize = 60;

/// Imports that one line names.
const MAX_NAMED: usize = 8;

/// The whole report.
pub(super) fn of(report: &Report<'_>) -> String {
    let mut text = Text(String::new());
    let file = file_name(report.path);
    text.line(format_args!("{file}: {}", report.kind.words()));
    text.fact(
        "size",
        format_args!("{} bytes", grouped(report.size as u64)),
    );
    text.fact("SHA-256", &report.sha256);
    text.roles(report);
    if let Kind::Module(module) = &report.kind {
        text.module(module);
    }
    let faults = &report.verdict.faults;
    if faults.is_empty() {
        let host = match report.kind {
            Kind::Module(_) if cfg!(not(feature = "compile")) => {
                "would take it, once a full build has compiled it (`ouzel compile`)"
            }
            Kind::Module(_) => "would take it; `ouzel validate --run` starts it",
            _ => "takes it",
        };
        text.fact("ouzel", host);
    } else {
        text.line("ouzel refuses it, because it");
        for fault in faults {
            text.line(format_args!("  - {}", fault.text));
        }
    }
    text.0
}

struct Text(String);

impl Text {
    fn line(&mut self, what: impl std::fmt::Display) {
        let _ = writeln!(self.0, "{what}");
    }

    fn fact(&mut self, name: &str, what: impl std::fmt::Display) {
        self.line(format_args!("  {name:<12} {what}"));
    }

    fn roles(&mut self, report: &Report<'_>) {
        let verdict = &report.verdict;
        let Some(abi) = verdict.abi else {
            return;
        };
        let name = |role| abi.role(role).unwrap_or_default();
        let roles: Vec<String> = verdict
            .roles
            .iter()
            .map(|role| format!("{} ({})", role.word(), name(*role)))
            .collect();
        if roles.is_empty() {
            self.fact("roles", "none");
        } else {
            self.fact(
                "roles",
                format_args!("{}: exported, not proven", roles.join(", ")),
            );
        }
        if verdict.setup {
            self.fact("set-up", "yes (ouzel_setup_v1)");
        }
    }

    fn module(&mut self, module: &Module<'_>) {
        let anatomy = &module.anatomy;
        if let Dialect::Watm(Abi::V0 { own_errors: true }) = module.dialect {
            self.fact(
                "errors",
                "of the Rust SDK's own table, it seems (its marker is a global)",
            );
        }
        self.fact("start", module.start.unwrap_or("none"));
        match origin::of(anatomy) {
            Some(origin) => self.fact(
                "language",
                format_args!("{}, by {}", origin.language, origin.told_by),
            ),
            None => self.fact("language", "nothing tells it"),
        }
        for one in anatomy.producers.iter().take(MAX_LINES) {
            let (field, name) = (printable(one.field), printable(one.name));
            self.fact(
                "",
                format_args!("{field} {name} {}", printable(one.version)),
            );
        }
        self.sizes(anatomy);
        self.asks(anatomy);
        self.lists(anatomy);
        self.customs(anatomy);
        if let Some(damage) = &anatomy.damage {
            self.fact(
                "damaged",
                format_args!("{}; nothing behind it was read", printable(damage)),
            );
        }
    }

    fn sizes(&mut self, anatomy: &Anatomy<'_>) {
        self.fact("functions", grouped(anatomy.functions as u64));
        for memory in anatomy.memories.iter().take(MAX_LINES) {
            self.size("memory", memory, "bytes");
        }
        for table in anatomy.tables.iter().take(MAX_LINES) {
            self.size("table", table, "elements");
        }
    }

    fn size(&mut self, name: &str, size: &Size, unit: &str) {
        let most = match size.maximum {
            Some(most) => format!("at most {}", grouped(most)),
            None => "no maximum of its own".to_owned(),
        };
        let imported = if size.imported { ", imported" } else { "" };
        let initial = grouped(size.initial);
        self.fact(
            name,
            format_args!("{initial} {unit} at the start, {most}{imported}"),
        );
    }

    fn asks(&mut self, anatomy: &Anatomy<'_>) {
        let asked = asked_for(&anatomy.imports);
        if asked.is_empty() {
            self.line("  asks for nothing");
            return;
        }
        self.line("  asks for");
        for (what, mut names) in asked {
            let given = match what.given {
                super::capabilities::Given::Never => " (never given)",
                _ => "",
            };
            let more = match names.len().saturating_sub(MAX_NAMED) {
                0 => String::new(),
                more => format!(", and {more} more"),
            };
            names.truncate(MAX_NAMED);
            let names = names.join(", ");
            self.line(format_args!("    {}{given}: {names}{more}", what.text));
        }
    }

    fn lists(&mut self, anatomy: &Anatomy<'_>) {
        let imports = anatomy.imports.iter().map(|import| {
            let (module, name) = (printable(import.module), printable(import.name));
            (format!("{module}.{name}"), &import.item)
        });
        self.list("imports", imports);
        let exports = anatomy.exports.iter();
        self.list(
            "exports",
            exports.map(|export| (printable(export.name), &export.item)),
        );
    }

    fn list<'i>(&mut self, name: &str, entries: impl ExactSizeIterator<Item = (String, &'i Item)>) {
        let total = entries.len();
        self.line(format_args!("  {name} ({})", grouped(total as u64)));
        for (name, item) in entries.take(MAX_LINES) {
            self.line(format_args!("    {name}: {item}"));
        }
        self.more(total);
    }

    fn customs(&mut self, anatomy: &Anatomy<'_>) {
        let total = anatomy.customs_in_all;
        if total == 0 {
            return;
        }
        self.line(format_args!(
            "  custom sections ({})",
            grouped(total as u64)
        ));
        for custom in anatomy.customs.iter().take(MAX_LINES) {
            let (name, size) = (printable(custom.name), grouped(custom.size as u64));
            self.line(format_args!("    {name}: {size} bytes"));
        }
        self.more(total);
        let debug = anatomy.debug_bytes();
        if debug > 0 {
            let debug = grouped(debug as u64);
            self.line(format_args!(
                "    {debug} bytes of it are for debuggers; `wasm-strip` or `tinygo build -no-debug` leaves them out"
            ));
        }
    }

    fn more(&mut self, total: usize) {
        if total > MAX_LINES {
            let more = grouped((total - MAX_LINES) as u64);
            self.line(format_args!("    and {more} more"));
        }
    }
}
