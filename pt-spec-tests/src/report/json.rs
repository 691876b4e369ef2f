//! A run as one JSON document, for programs. The README documents it; `schema` changes when a reader would break.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Findings, Judgement};

const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    subject: SubjectRow<'a>,
    version: Option<&'a str>,
    date: String,
    seconds: f64,
    strict: bool,
    exit_code: u8,
    counts: BTreeMap<&'static str, BTreeMap<&'static str, usize>>,
    left_behind: &'a [String],
    cases: Vec<CaseRow<'a>>,
}

#[derive(Serialize)]
struct SubjectRow<'a> {
    name: &'a str,
    pt: String,
    args: Vec<String>,
    transport: &'a str,
    sides: Vec<&'static str>,
    server_options: &'a str,
    bridge_args: &'a [(String, String)],
}

#[derive(Serialize)]
struct CaseRow<'a> {
    id: &'static str,
    line: u16,
    level: &'static str,
    section: &'static str,
    verdict: &'static str,
    evidence: &'a str,
    reason: &'a str,
    seconds: f64,
    leftovers: &'a [String],
    /// Only where something is to be found out from it.
    story: &'a str,
}

/// The document, with a line feed at its end.
pub fn document(run: &Findings) -> String {
    let subject = &run.tested.subject;
    let mut sides = Vec::new();
    if subject.sides.client() {
        sides.push("client");
    }
    if subject.sides.server() {
        sides.push("server");
    }
    let counts = run
        .counts()
        .into_iter()
        .map(|(level, counts)| {
            let counts = counts
                .into_iter()
                .map(|(judgement, count)| (judgement.word(), count));
            (level.word(), counts.collect())
        })
        .collect();
    let cases = run
        .findings
        .iter()
        .map(|finding| CaseRow {
            id: finding.entry.case.id,
            line: finding.entry.case.line,
            level: finding.entry.case.level.word(),
            section: finding.entry.section.name,
            verdict: finding.judgement.word(),
            evidence: &finding.evidence,
            reason: &finding.reason,
            seconds: (finding.took.as_secs_f64() * 1000.0).round() / 1000.0,
            leftovers: &finding.leftovers,
            story: match finding.judgement {
                Judgement::Deviation | Judgement::Expected | Judgement::Error => &finding.story,
                _ => "",
            },
        })
        .collect();
    let document = Document {
        schema: SCHEMA,
        subject: SubjectRow {
            name: &run.tested.name,
            pt: subject.program.display().to_string(),
            args: subject
                .args
                .iter()
                .map(|arg| arg.to_string_lossy().into_owned())
                .collect(),
            transport: &subject.transport,
            sides,
            server_options: &subject.server_options,
            bridge_args: &subject.bridge_args,
        },
        version: run.tested.version.as_deref(),
        date: humantime::format_rfc3339_seconds(run.began).to_string(),
        seconds: (run.took.as_secs_f64() * 1000.0).round() / 1000.0,
        strict: run.strict,
        exit_code: run.exit_code(),
        counts,
        left_behind: &run.left_behind,
        cases,
    };
    let mut text =
        serde_json::to_string_pretty(&document).expect("plain structures have a JSON form");
    text.push('\n');
    text
}
