//! A run as a JUnit file, for the systems that show test results: a test suite per section, a test case per case.
//!
//! `failure` is what makes the run fail, `error` what the suite could not find out; deviations that do not fail the run
//! are `skipped`, as is everything that was not run, each with its reason.

use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::{Finding, Findings, Judgement};

/// What a test case holds inside.
struct Inside<'a> {
    element: &'static str,
    kind: &'static str,
    message: &'a str,
}

/// The file's text.
pub fn document(run: &Findings) -> String {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    write(&mut writer, run).expect("writing to a Vec does not fail");
    let mut bytes = writer.into_inner();
    bytes.push(b'\n');
    String::from_utf8(bytes).expect("the writer is given nothing but text")
}

fn write(writer: &mut Writer<Vec<u8>>, run: &Findings) -> io::Result<()> {
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let all: Vec<&Finding> = run.findings.iter().collect();
    let sums = sums(run, &all);
    let took = seconds(run.took.as_secs_f64());
    writer
        .create_element("testsuites")
        .with_attribute(("name", run.tested.name.as_str()))
        .with_attributes(sums.iter().map(|(name, sum)| (*name, sum.as_str())))
        .with_attribute(("time", took.as_str()))
        .write_inner_content(|writer| {
            for section in crate::ledger::sections() {
                let cases: Vec<&Finding> = all
                    .iter()
                    .copied()
                    .filter(|finding| finding.entry.section.name == section.name)
                    .collect();
                if !cases.is_empty() {
                    suite(writer, run, section.name, &cases)?;
                }
            }
            Ok(())
        })?;
    Ok(())
}

fn suite(
    writer: &mut Writer<Vec<u8>>,
    run: &Findings,
    name: &str,
    cases: &[&Finding],
) -> io::Result<()> {
    let sums = sums(run, cases);
    let took = seconds(cases.iter().map(|finding| finding.took.as_secs_f64()).sum());
    let began = humantime::format_rfc3339_seconds(run.began).to_string();
    writer
        .create_element("testsuite")
        .with_attribute(("name", name))
        .with_attributes(sums.iter().map(|(name, sum)| (*name, sum.as_str())))
        .with_attribute(("time", took.as_str()))
        .with_attribute(("timestamp", began.as_str()))
        .write_inner_content(|writer| {
            cases
                .iter()
                .try_for_each(|finding| case(writer, run, finding))
        })?;
    Ok(())
}

fn case(writer: &mut Writer<Vec<u8>>, run: &Findings, finding: &Finding) -> io::Result<()> {
    let took = seconds(finding.took.as_secs_f64());
    let element = writer
        .create_element("testcase")
        .with_attribute(("name", finding.entry.case.id))
        .with_attribute(("classname", finding.entry.section.name))
        .with_attribute(("time", took.as_str()));
    let Some(Inside {
        element: inside,
        kind,
        message,
    }) = inside(run, finding)
    else {
        element.write_empty()?;
        return Ok(());
    };
    element.write_inner_content(|writer| {
        let told = writer
            .create_element(inside)
            .with_attribute(("message", message));
        if inside == "skipped" {
            told.write_empty()?;
        } else {
            let requirement = finding.entry.case.requirement;
            told.with_attribute(("type", kind))
                .write_text_content(BytesText::new(requirement))?;
            writer
                .create_element("system-out")
                .write_text_content(BytesText::new(&finding.story))?;
        }
        Ok(())
    })?;
    Ok(())
}

/// What is written inside a test case; nothing for a pass.
fn inside<'a>(run: &Findings, finding: &'a Finding) -> Option<Inside<'a>> {
    let level = finding.entry.case.level.word();
    let (element, kind, message) = match finding.judgement {
        Judgement::Pass => return None,
        Judgement::Error => ("error", "instrument", &finding.evidence),
        Judgement::Stale => ("failure", "stale", &finding.evidence),
        Judgement::Deviation if run.fails(finding) => ("failure", level, &finding.evidence),
        Judgement::Expected => ("skipped", "", &finding.reason),
        _ => ("skipped", "", &finding.evidence),
    };
    let message = match finding.judgement {
        Judgement::Interface3 => "belongs to the PT 3.0 interface, which is not run yet",
        _ => message,
    };
    Some(Inside {
        element,
        kind,
        message,
    })
}

fn sums(run: &Findings, findings: &[&Finding]) -> [(&'static str, String); 4] {
    let of = |element: &str| {
        let wanted = |finding: &&&Finding| {
            inside(run, finding).is_some_and(|inside| inside.element == element)
        };
        findings.iter().filter(wanted).count().to_string()
    };
    [
        ("tests", findings.len().to_string()),
        ("failures", of("failure")),
        ("errors", of("error")),
        ("skipped", of("skipped")),
    ]
}

fn seconds(seconds: f64) -> String {
    format!("{seconds:.3}")
}
