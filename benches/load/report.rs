//! The table.
//!
//! In: the figures of all rounds. Out: medians, the ratio to the reference, and whether the target is
//! met, as text or JSON. Nothing can go wrong.

use std::fmt::Write as _;
use std::io::Write as _;

use serde_json::{Value, json};

use crate::figure::{median, number};
use crate::results::{Results, Series, ends};

/// A line of the table.
struct Row<'a> {
    series: &'a Series,
    value: f64,
    spread: (f64, f64),
    reference: Option<f64>,
    ratio: Option<f64>,
    met: Option<bool>,
}

/// For people.
pub(crate) fn table(results: &Results) -> String {
    let mut out = String::new();
    for (subject, name) in results.subjects.iter().enumerate() {
        let rows = rows(results, subject);
        if rows.is_empty() {
            continue;
        }
        let _ = writeln!(
            out,
            "\n{name}\n  {:<8} {:<27} {:>9} {:<7} {:>19} {:>9} {:>6}  {:<13}",
            "scenario", "figure", "median", "", "min .. max", "relay", "ratio", "target"
        );
        for row in rows {
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
    let subjects = results.subjects.iter().enumerate();
    let rows = subjects.flat_map(|(index, name)| {
        let rows = rows(results, index);
        rows.into_iter().map(move |row| row.json(name))
    });
    let rows: Vec<Value> = rows.collect();
    let report = json!({
        "scale": results.scale,
        "cores": std::thread::available_parallelism().map_or(0, |n| n.get()),
        "rows": rows,
        "failures": results.failures,
    });
    format!("{report:#}\n")
}

fn rows(results: &Results, subject: usize) -> Vec<Row<'_>> {
    let own = results.series.iter().filter(|s| s.subject == subject);
    own.map(|series| row(results, series)).collect()
}

/// The reference itself has nothing beside it.
fn row<'a>(results: &'a Results, series: &'a Series) -> Row<'a> {
    let other = results.reference.filter(|other| *other != series.subject);
    let is_reference = results.reference == Some(series.subject);
    let other = other.and_then(|other| results.of(other, series));
    let value = series.median();
    let ratio = other.map(|other| median(series.ratios(other).into_iter()));
    let ratio = ratio.filter(|ratio| ratio.is_finite());
    Row {
        series,
        value,
        spread: ends(series.values()),
        reference: other.map(Series::median),
        ratio,
        met: series.target.is_met(value, ratio).filter(|_| !is_reference),
    }
}
impl Row<'_> {
    fn text(&self) -> String {
        let (min, max) = self.spread;
        let spread = match self.series.values().count() {
            1 => String::new(),
            _ => format!("{} .. {}", number(min), number(max)),
        };
        format!(
            "{:<8} {:<27} {:>9} {:<7} {:>19} {:>9} {:>6}  {:<13} {}",
            self.series.scenario.name(),
            self.series.name,
            number(self.value),
            self.series.unit,
            spread,
            self.reference.map(number).unwrap_or_default(),
            self.ratio.map(|r| format!("{r:.2}")).unwrap_or_default(),
            match self.reference {
                Some(_) => self.series.target.text(),
                None if self.met.is_some() => self.series.target.text(),
                None => String::new(),
            },
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
            "reference": self.reference,
            "ratio": self.ratio,
            "target": self.series.target.text(),
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
