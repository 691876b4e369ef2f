//! What the suite asks for: the list of all requirements, and one of them in full.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::side_word;
use crate::case::{Case, Check};
use crate::ledger::Entry;

/// The list, a line per case in the order of the ledger, with counts at the end.
pub fn list(entries: &[Entry]) -> String {
    let mut entries = entries.to_vec();
    entries.sort_by_key(|entry| entry.case.line);
    let width = entries
        .iter()
        .map(|entry| entry.case.id.len())
        .max()
        .unwrap_or(0);
    let mut out = String::new();
    for Entry { case, .. } in &entries {
        let Case {
            line,
            id,
            requirement,
            ..
        } = case;
        let (level, side) = (case.level.word(), side_word(case.side));
        let mark = match case.check {
            Check::Run(_) => String::new(),
            Check::Interface3 => " [PT 3.0 interface: not run]".to_owned(),
            Check::Outside(why) => format!(" [not run: {why}]"),
        };
        let row =
            format_args!("{line:>3}  {id:width$}  {level:<6}  {side:<6}  {requirement}{mark}");
        writeln!(out, "{row}").expect("writing to a String does not fail");
    }
    let count = |wanted: fn(&Case) -> bool| entries.iter().filter(|e| wanted(e.case)).count();
    let mut levels = BTreeMap::new();
    let mut sections: Vec<(&str, usize)> = Vec::new();
    for Entry { case, section } in &entries {
        *levels.entry(case.level).or_insert(0) += 1;
        match sections.iter_mut().find(|(name, _)| *name == section.name) {
            Some((_, cases)) => *cases += 1,
            None => sections.push((section.name, 1)),
        }
    }
    let levels: Vec<String> = levels
        .iter()
        .map(|(level, cases)| format!("{cases} {}", level.word()))
        .collect();
    let sections: Vec<String> = sections
        .iter()
        .map(|(name, cases)| format!("{name} {cases}"))
        .collect();
    write!(
        out,
        "\n{} cases: {} run, {} of the PT 3.0 interface, {} not visible from outside; {}\nsections: {}\n",
        entries.len(),
        count(Case::runs),
        count(|case| matches!(case.check, Check::Interface3)),
        count(|case| matches!(case.check, Check::Outside(_))),
        levels.join(", "),
        sections.join(", "),
    )
    .expect("writing to a String does not fail");
    out
}

#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    line: u16,
    level: &'a str,
    section: &'a str,
    side: &'a str,
    requirement: &'a str,
    reference: &'a str,
    reading: &'a str,
    limit_seconds: f64,
    check: &'a str,
    reason: &'a str,
}

/// The list as one JSON array, in the order of the ledger.
pub fn list_json(entries: &[Entry]) -> String {
    let mut rows: Vec<Row<'_>> = entries
        .iter()
        .map(|Entry { section, case }| Row {
            id: case.id,
            line: case.line,
            level: case.level.word(),
            section: section.name,
            side: side_word(case.side),
            requirement: case.requirement,
            reference: case.reference,
            reading: case.reading,
            limit_seconds: case.limit.as_secs_f64(),
            check: match case.check {
                Check::Run(_) => "run",
                Check::Interface3 => "interface-3",
                Check::Outside(_) => "outside",
            },
            reason: match case.check {
                Check::Outside(why) => why,
                _ => "",
            },
        })
        .collect();
    rows.sort_by_key(|row| row.line);
    let mut text = serde_json::to_string_pretty(&rows).expect("plain structures have a JSON form");
    text.push('\n');
    text
}

/// One case in full.
pub fn explain(Entry { section, case }: Entry) -> String {
    let needs = match side_word(case.side) {
        "either" => "a client or a server side",
        "client" => "a client side",
        "server" => "a server side",
        _ => "a client and a server side",
    };
    let check = match case.check {
        Check::Run(_) => format!("is run, for at most {} s", case.limit.as_secs_f64()),
        Check::Interface3 => "belongs to the PT 3.0 interface, which is not run yet".to_owned(),
        Check::Outside(why) => format!("is not run: {why}"),
    };
    let reading = match case.reading {
        "" => String::new(),
        reading => format!("  our reading: {reading}\n"),
    };
    format!(
        "{}  (requirement {}, section {}: {})\n  {}: {}\n  reference: {}\n{reading}  needs: {needs}\n  check: {check}\n",
        case.id,
        case.line,
        section.name,
        section.title,
        case.level.word(),
        case.requirement,
        case.reference,
    )
}
