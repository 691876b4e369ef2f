//! The report that people read: every case that fails with all that was seen, then the rest in short, then the counts.

use std::fmt::Write as _;

use super::{Finding, Findings, Judgement, citation};

/// The most lines of one case's story: a few processes, each with all that the bench keeps of it.
const STORY_LINES: usize = 240;

/// The report.
pub fn report(run: &Findings) -> String {
    let mut out = String::new();
    let of = |judgement: Judgement| {
        run.findings
            .iter()
            .filter(move |finding| finding.judgement == judgement)
    };
    for finding in of(Judgement::Error) {
        block(&mut out, finding, "the suite could not find out", true);
    }
    let mut last: Option<&Finding> = None;
    for finding in of(Judgement::Deviation) {
        // An executable that cannot be started deviates from everything in the same words.
        let again =
            last.is_some_and(|last| last.evidence == finding.evidence && last.story.is_empty());
        last = Some(finding);
        if again && finding.story.is_empty() {
            line(
                &mut out,
                format_args!("{}  deviation, seen as above", finding.entry.case.id),
            );
        } else if run.fails(finding) {
            block(&mut out, finding, "deviation", true);
        } else {
            block(&mut out, finding, "deviation (fails with --strict)", false);
        }
    }
    if !out.is_empty() && !out.ends_with("\n\n") {
        out.push('\n');
    }
    for finding in of(Judgement::Stale) {
        line(
            &mut out,
            format_args!("{}\n  {}\n", finding.entry.case.id, finding.evidence),
        );
    }
    listed(
        &mut out,
        "Expected deviations",
        of(Judgement::Expected),
        |finding| &finding.reason,
    );
    listed(
        &mut out,
        "Not applicable",
        of(Judgement::NotApplicable),
        |finding| &finding.evidence,
    );
    let untidy: Vec<_> = run
        .findings
        .iter()
        .filter(|finding| !finding.leftovers.is_empty())
        .collect();
    if !untidy.is_empty() || !run.left_behind.is_empty() {
        line(
            &mut out,
            format_args!("Left behind, and killed after the case:"),
        );
        for finding in untidy {
            for what in &finding.leftovers {
                line(
                    &mut out,
                    format_args!("  {}: {what}", finding.entry.case.id),
                );
            }
        }
        for what in &run.left_behind {
            line(&mut out, format_args!("  nobody's any more: {what}"));
        }
        out.push('\n');
    }
    out.push_str(&summary(run));
    out
}

fn block(out: &mut String, finding: &Finding, what: &str, with_story: bool) {
    let case = finding.entry.case;
    line(out, format_args!("{}  {what}", case.id));
    field(out, &citation(case), case.requirement);
    field(out, "reference", case.reference);
    if !case.reading.is_empty() {
        field(out, "our reading", case.reading);
    }
    field(out, "seen", &finding.evidence);
    if with_story && !finding.story.is_empty() {
        line(out, format_args!("  story:"));
        let lines: Vec<&str> = finding.story.lines().collect();
        for text in lines.iter().take(STORY_LINES) {
            line(out, format_args!("    {text}"));
        }
        if lines.len() > STORY_LINES {
            line(
                out,
                format_args!("    and {} lines more", lines.len() - STORY_LINES),
            );
        }
    }
    out.push('\n');
}

fn listed<'a>(
    out: &mut String,
    title: &str,
    findings: impl Iterator<Item = &'a Finding>,
    text: fn(&Finding) -> &str,
) {
    let findings: Vec<_> = findings.collect();
    if findings.is_empty() {
        return;
    }
    line(out, format_args!("{title}:"));
    for finding in findings {
        field(out, finding.entry.case.id, text(finding));
    }
    out.push('\n');
}

fn summary(run: &Findings) -> String {
    let mut out = String::new();
    let version = run.tested.version.as_deref().unwrap_or("version unknown");
    let name = &run.tested.name;
    let transport = &run.tested.subject.transport;
    line(
        &mut out,
        format_args!("{name} ({version}), transport {transport}:"),
    );
    for (level, counts) in run.counts() {
        let parts: Vec<String> = Judgement::ALL
            .iter()
            .filter_map(|judgement| {
                let count = counts.get(judgement)?;
                Some(format!("{count} {}", judgement.word()))
            })
            .collect();
        line(
            &mut out,
            format_args!("  {:<6}  {}", level.word(), parts.join(", ")),
        );
    }
    let result = match run.exit_code() {
        0 => "conforms",
        1 if run.any(Judgement::Stale) => "the expectation file is out of date",
        1 => "does not conform",
        _ => "the suite could not find out",
    };
    let seconds = run.took.as_secs_f64();
    line(
        &mut out,
        format_args!("  result  {result} ({seconds:.1} s)"),
    );
    out
}

/// One labelled text; its further lines stand under its first.
fn field(out: &mut String, label: &str, text: &str) {
    let text = text.replace('\n', "\n      ");
    line(out, format_args!("  {label}: {text}"));
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(out, "{text}").expect("writing to a String does not fail");
}
