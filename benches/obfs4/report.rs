//! The table.
//!
//! In: the figures of all rounds. Out: for each ouzel, its medians beside those of the relay and of obfs4proxy, the ratio
//! to the latter, what the target is and whether it is met, as text or JSON. Nothing can go wrong.

use std::fmt::Write as _;
use std::io::Write as _;

use serde_json::{Value, json};

use crate::figure::{Target, median, number};
use crate::results::{Results, Series, ends};
use crate::targets::target;

/// For people.
pub(crate) fn table(results: &Results) -> String {
    let mut out = String::new();
    for subject in judged(results) {
        let _ = writeln!(
            out,
            "\n{}\n  {:<8} {:<25} {:>7} {:>9} {:>10} {:>9} {:>6} {:>15}  {:<13}",
            results.subjects[subject],
            "scenario",
            "figure",
            "",
            "relay",
            "obfs4proxy",
            "this",
            "ratio",
            "min .. max",
            "target"
        );
        for series in results.series.iter().filter(|s| s.subject == subject) {
            let row = Row::new(results, series);
            let _ = writeln!(out, "  {}", row.text().trim_end());
        }
    }
    if !results.failures.is_empty() {
        let _ = writeln!(out, "\nFailures:");
        for failure in &results.failures {
            let _ = writeln!(out, "  {failure}");
        }
    }
    out
}

/// For programs.
pub(crate) fn json(results: &Results) -> String {
    let series = results.series.iter();
    let rows: Vec<Value> = series
        .map(|series| Row::new(results, series).json(&results.subjects[series.subject]))
        .collect();
    let report = json!({
        "scale": results.scale,
        "cores": std::thread::available_parallelism().map_or(0, |n| n.get()),
        "rows": rows,
        "failures": results.failures,
    });
    format!("{report:#}\n")
}

/// Whoever comes after obfs4proxy; without any, obfs4proxy itself.
fn judged(results: &Results) -> std::ops::Range<usize> {
    let first = results.reference.map_or(0, |reference| reference + 1);
    let count = results.subjects.len();
    first.min(count - 1)..count
}

/// A line of the table.
struct Row<'a> {
    series: &'a Series,
    relay: Option<f64>,
    obfs4proxy: Option<f64>,
    value: f64,
    ratio: Option<f64>,
    spread: (f64, f64),
    target: Target,
    met: Option<bool>,
}

impl<'a> Row<'a> {
    fn new(results: &'a Results, series: &'a Series) -> Row<'a> {
        let reference = results.reference.expect("there is always an obfs4proxy");
        let is_ouzel = series.subject > reference;
        let relay = (reference > 0).then_some(0);
        let other = results.of(reference, series);
        let ratios = other.map_or(Vec::new(), |other| series.ratios(other));
        let ratio = median(ratios.iter().copied());
        let ratio = Some(ratio).filter(|ratio| ratio.is_finite());
        let value = series.median();
        let target = match is_ouzel {
            true => target(series.scenario, series.name),
            false => Target::None,
        };
        Row {
            relay: relay
                .and_then(|relay| results.of(relay, series))
                .map(Series::median),
            obfs4proxy: other.map(Series::median),
            met: target.is_met(value, ratio),
            spread: ends(ratios.into_iter()),
            series,
            value,
            ratio,
            target,
        }
    }

    fn text(&self) -> String {
        let some = |value: Option<f64>| value.map(number).unwrap_or_default();
        let (min, max) = self.spread;
        let spread = match self.series.values().count() {
            0 | 1 => String::new(),
            _ if min > max => String::new(),
            _ => format!("{} .. {}", number(min), number(max)),
        };
        format!(
            "{:<8} {:<25} {:>7} {:>9} {:>10} {:>9} {:>6} {spread:>15}  {:<13} {}",
            self.series.scenario.name(),
            self.series.name,
            self.series.unit,
            some(self.relay),
            some(self.obfs4proxy),
            number(self.value),
            self.ratio.map(|r| format!("{r:.2}")).unwrap_or_default(),
            self.target.text(),
            match self.met {
                Some(true) => "pass",
                Some(false) => "MISS",
                None => "",
            },
        )
    }

    fn json(&self, subject: &str) -> Value {
        json!({
            "subject": subject,
            "scenario": self.series.scenario.name(),
            "figure": self.series.name,
            "unit": self.series.unit,
            "median": self.value,
            "rounds": self.series.values().collect::<Vec<_>>(),
            "obfs4proxy": self.obfs4proxy,
            "relay": self.relay,
            "ratio": self.ratio,
            "target": self.target.text(),
            "met": self.met,
        })
    }
}

/// Writes to stdout, which belongs to the report.
pub(crate) fn print(text: &str) {
    #[expect(
        clippy::disallowed_methods,
        reason = "no parent listens to a benchmark"
    )]
    let mut stdout = std::io::stdout().lock();
    // Whoever closed the pipe does not want the rest.
    let _ = stdout.write_all(text.as_bytes());
}
