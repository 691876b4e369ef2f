//! The committed table: every case that runs, beside every executable that was tested.
//!
//! In: whole runs. Out: Markdown that says the same for the same findings, but for the lines between two marks (date and
//! versions), so that a later run can be compared with it.

use std::fmt::Write as _;

use super::{Finding, Findings, Judgement, citation};
use crate::case::{Check, Level, Section};
use crate::ledger;

const VOLATILE: &str = "<!-- differs from run to run -->";
const STABLE: &str = "<!-- end of what differs -->";

/// How many differing lines are shown.
const SHOWN_DIFFERENCES: usize = 20;

/// The document. `command` is what makes it again.
pub fn document(runs: &[Findings], command: &str) -> String {
    let mut out = String::from(
        "# Results\n\nWhat the suite found, executable by executable. This file is written by the suite:\n\n",
    );
    add(
        &mut out,
        format_args!(
            "{VOLATILE}\n```sh\n{command}\n```\n\n{}{STABLE}\n",
            versions(runs)
        ),
    );
    out.push_str("\nA deviation's number leads to its reason. `n/a`: the requirement does not concern that \
                  executable or a side of it. `explain` with a case's id shows its source and how we read it.\n\n");
    out.push_str("## Counts\n\n");
    out.push_str(&counts(runs));
    let mut notes = Vec::new();
    for section in ledger::sections() {
        rows(&mut out, runs, section, &mut notes);
    }
    out.push_str(&not_run());
    // Last: whoever renders footnotes moves them to the end of the page anyway.
    if !notes.is_empty() {
        out.push_str("\n## Reasons\n\n");
    }
    for (number, note) in notes.iter().enumerate() {
        add(&mut out, format_args!("[^{}]: {note}\n", number + 1));
    }
    out
}

/// The lines that differ between what is committed and what was seen; nothing if they say the same.
pub fn differences(committed: &str, seen: &str) -> Option<String> {
    let (committed, seen) = (stable(committed), stable(seen));
    if committed == seen {
        return None;
    }
    let missing = |from: &[&str], to: &[&str], sign: char| {
        from.iter()
            .filter(|line| !to.contains(line))
            .map(|line| format!("{sign} {line}\n"))
            .collect::<Vec<_>>()
    };
    let mut lines = missing(&committed, &seen, '-');
    lines.extend(missing(&seen, &committed, '+'));
    if lines.is_empty() {
        lines.push("the same lines in another order\n".to_owned());
    }
    let more = lines.len().saturating_sub(SHOWN_DIFFERENCES);
    lines.truncate(SHOWN_DIFFERENCES);
    if more > 0 {
        lines.push(format!("and {more} lines more\n"));
    }
    Some(lines.concat())
}

/// The lines outside the marks.
fn stable(text: &str) -> Vec<&str> {
    let mut inside = false;
    text.lines()
        .filter(|line| {
            inside = match *line {
                VOLATILE => true,
                STABLE => false,
                _ => inside,
            };
            !inside
        })
        .collect()
}

fn versions(runs: &[Findings]) -> String {
    let mut out =
        String::from("| Subject | Version | Transport | Tested on |\n|---|---|---|---|\n");
    for run in runs {
        let date = humantime::format_rfc3339_seconds(run.began).to_string();
        add(
            &mut out,
            format_args!(
                "| {} | {} | `{}` | {} |\n",
                cell(&run.tested.name),
                cell(run.tested.version.as_deref().unwrap_or("unknown")),
                run.tested.subject.transport,
                date.split('T').next().unwrap_or_default(),
            ),
        );
    }
    out
}

fn counts(runs: &[Findings]) -> String {
    let mut out =
        String::from("| Subject | Level | Pass | Deviation | n/a |\n|---|---|--:|--:|--:|\n");
    for run in runs {
        for (level, counts) in run.counts() {
            let sum = |of: &[Judgement]| -> usize {
                of.iter()
                    .filter_map(|judgement| counts.get(judgement))
                    .sum()
            };
            add(
                &mut out,
                format_args!(
                    "| {} | {} | {} | {} | {} |\n",
                    cell(&run.tested.name),
                    level.word(),
                    sum(&[Judgement::Pass]),
                    sum(&[Judgement::Deviation, Judgement::Expected]),
                    sum(&[Judgement::NotApplicable]),
                ),
            );
        }
    }
    out
}

fn rows(out: &mut String, runs: &[Findings], section: &'static Section, notes: &mut Vec<String>) {
    let cases: Vec<_> = ledger::section_entries(section)
        .filter(|entry| entry.case.runs())
        .collect();
    if cases.is_empty() {
        return;
    }
    add(
        out,
        format_args!(
            "\n## {}: {}\n\n| Case | Level |",
            section.name,
            cell(section.title)
        ),
    );
    for run in runs {
        add(out, format_args!(" {} |", cell(&run.tested.name)));
    }
    add(
        out,
        format_args!("\n|---|---|{}\n", "---|".repeat(runs.len())),
    );
    for entry in cases {
        let case = entry.case;
        let requirement = cell(case.requirement);
        add(
            out,
            format_args!("| `{}`<br>{requirement} | {} |", case.id, case.level.word()),
        );
        for run in runs {
            let finding = run
                .findings
                .iter()
                .find(|finding| finding.entry.case.id == case.id);
            let told =
                finding.map_or_else(|| "?".to_owned(), |finding| verdict(run, finding, notes));
            add(out, format_args!(" {told} |"));
        }
        out.push('\n');
    }
}

fn verdict(run: &Findings, finding: &Finding, notes: &mut Vec<String>) -> String {
    match finding.judgement {
        Judgement::Pass => "pass".to_owned(),
        Judgement::NotApplicable => "n/a".to_owned(),
        Judgement::Deviation => "**deviation**".to_owned(),
        Judgement::Expected => {
            notes.push(format!(
                "{}, `{}`: {}",
                cell(&run.tested.name),
                finding.entry.case.id,
                cell(&finding.reason)
            ));
            format!("deviation [^{}]", notes.len())
        }
        other => other.word().to_owned(),
    }
}

fn not_run() -> String {
    let third: Vec<_> = ledger::entries()
        .filter(|entry| matches!(entry.case.check, Check::Interface3))
        .collect();
    let musts = third
        .iter()
        .filter(|entry| entry.case.level == Level::Must)
        .count();
    let outside: Vec<String> = ledger::entries()
        .filter_map(|entry| match entry.case.check {
            Check::Outside(why) => Some(format!(
                "- `{}` ({}): {}\n",
                entry.case.id,
                citation(entry.case),
                cell(why)
            )),
            _ => None,
        })
        .collect();
    let mut out = format!(
        "\n## Not run\n\n{} requirements ({musts} MUST) belong to the PT 3.0 interface, which the suite does not run \
         yet.\n",
        third.len()
    );
    if !outside.is_empty() {
        out.push_str("\nNot to be seen from outside the process:\n\n");
        out.extend(outside);
    }
    out
}

/// Text that neither ends a table's cell nor disappears as HTML.
fn cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '|' => out.push_str("\\|"),
            '*' => out.push_str("\\*"),
            '<' => out.push_str("&lt;"),
            '\n' => out.push(' '),
            other => out.push(other),
        }
    }
    out
}

fn add(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text)
        .expect("writing to a String does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_by_nature_may_differ() {
        let text = |date: &str, cell: &str| {
            format!("# Results\n{VOLATILE}\n{date}\n{STABLE}\n| a | {cell} |\n")
        };
        assert_eq!(differences(&text("1", "pass"), &text("2", "pass")), None);
        let told = differences(&text("1", "pass"), &text("1", "n/a")).expect("they differ");
        assert_eq!(told, "- | a | pass |\n+ | a | n/a |\n");
        assert!(differences("", &text("1", "pass")).is_some());
    }

    #[test]
    fn differences_are_bounded() {
        let long: String = (0..1000).map(|n| format!("{n}\n")).collect();
        let told = differences("", &long).expect("they differ");
        assert_eq!(told.lines().count(), SHOWN_DIFFERENCES + 1);
        assert!(told.ends_with("and 980 lines more\n"));
    }

    #[test]
    fn texts_stay_in_their_cell() {
        assert_eq!(
            cell("CMETHOD <name> a|b*\nc"),
            "CMETHOD &lt;name> a\\|b\\* c"
        );
    }
}
