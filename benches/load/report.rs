//! Figures, their targets, and the table.
//!
//! In: the figures of each round. Out: medians, the ratio to the reference, and whether the target
//! is met, as text or JSON. A ratio is the median of the rounds' own ratios: the two sides of each
//! were measured next to each other, so what disturbs the machine disturbs both.

use std::fmt::Write as _;
use std::io::Write as _;

use serde_json::{Value, json};

use crate::bridge::Subject;
use crate::options::Scenario;

/// One measured value of one round.
pub(crate) struct Figure {
    name: &'static str,
    unit: &'static str,
    value: f64,
    target: Target,
}

impl Figure {
    pub(crate) fn new(name: &'static str, unit: &'static str, value: f64, target: Target) -> Self {
        Figure {
            name,
            unit,
            value,
            target,
        }
    }
}

/// What a figure should be.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Target {
    /// It is only shown.
    None,
    /// At least this share of the reference.
    ShareAtLeast(f64),
    /// At most this many times the reference.
    ShareAtMost(f64),
    /// Less than this.
    Below(f64),
    /// This or less.
    AtMost(f64),
}

impl Target {
    fn is_met(self, value: f64, ratio: Option<f64>) -> Option<bool> {
        match self {
            Target::None => None,
            Target::ShareAtLeast(limit) => ratio.map(|ratio| ratio >= limit),
            Target::ShareAtMost(limit) => ratio.map(|ratio| ratio <= limit),
            Target::Below(limit) => Some(value < limit),
            Target::AtMost(limit) => Some(value <= limit),
        }
    }

    fn text(self) -> String {
        match self {
            Target::None => String::new(),
            Target::ShareAtLeast(limit) => format!("ratio >= {limit}"),
            Target::ShareAtMost(limit) => format!("ratio <= {limit}"),
            Target::Below(limit) => format!("< {limit}"),
            Target::AtMost(limit) => format!("<= {limit}"),
        }
    }
}

/// All figures of a run.
pub(crate) struct Report {
    subjects: Vec<(String, bool)>,
    scale: &'static str,
    series: Vec<Series>,
    /// What went wrong.
    pub(crate) failures: Vec<String>,
}

/// One figure over the rounds.
struct Series {
    scenario: Scenario,
    subject: usize,
    name: &'static str,
    unit: &'static str,
    target: Target,
    rounds: Vec<(usize, f64)>,
}

/// A line of the table.
struct Row<'a> {
    series: &'a Series,
    value: f64,
    spread: (f64, f64),
    reference: Option<f64>,
    ratio: Option<f64>,
    met: Option<bool>,
}

impl Report {
    pub(crate) fn new(subjects: &[Subject], scale: &'static str) -> Self {
        let subjects = subjects.iter().map(|s| (s.to_string(), s.is_reference));
        Report {
            subjects: subjects.collect(),
            scale,
            series: Vec::new(),
            failures: Vec::new(),
        }
    }

    pub(crate) fn add(
        &mut self,
        scenario: Scenario,
        subject: usize,
        round: usize,
        figures: Vec<Figure>,
    ) {
        for figure in figures {
            let known = self.series.iter_mut().find(|series| {
                (series.scenario, series.subject, series.name) == (scenario, subject, figure.name)
            });
            match known {
                Some(series) => series.rounds.push((round, figure.value)),
                None => self.series.push(Series {
                    scenario,
                    subject,
                    name: figure.name,
                    unit: figure.unit,
                    target: figure.target,
                    rounds: vec![(round, figure.value)],
                }),
            }
        }
    }

    pub(crate) fn fail(&mut self, scenario: Scenario, subject: &Subject, what: &str) {
        let failure = format!("{scenario}, {subject}: {what}");
        eprintln!("FAILED: {failure}");
        self.failures.push(failure);
    }

    pub(crate) fn table(&self) -> String {
        let mut out = String::new();
        for (subject, (name, _)) in self.subjects.iter().enumerate() {
            let rows = self.rows(subject);
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
        if !self.failures.is_empty() {
            let _ = writeln!(out, "\nFailures:");
            for failure in &self.failures {
                let _ = writeln!(out, "  {failure}");
            }
        }
        out
    }

    pub(crate) fn json(&self) -> String {
        let subjects = self.subjects.iter().enumerate();
        let rows = subjects.flat_map(|(index, (name, _))| {
            let rows = self.rows(index);
            rows.into_iter().map(move |row| row.json(name))
        });
        let rows: Vec<Value> = rows.collect();
        let report = json!({
            "scale": self.scale,
            "cores": std::thread::available_parallelism().map_or(0, |n| n.get()),
            "rows": rows,
            "failures": self.failures,
        });
        format!("{report:#}\n")
    }

    fn rows(&self, subject: usize) -> Vec<Row<'_>> {
        let own = self.series.iter().filter(|s| s.subject == subject);
        let mut rows: Vec<Row<'_>> = own.map(|series| self.row(series)).collect();
        if self.subjects[subject].1 {
            for row in &mut rows {
                (row.reference, row.ratio, row.met) = (None, None, None);
            }
        }
        rows
    }

    fn row<'a>(&self, series: &'a Series) -> Row<'a> {
        let reference = self.series.iter().find(|other| {
            self.subjects[other.subject].1
                && (other.scenario, other.name) == (series.scenario, series.name)
        });
        let value = median(series.rounds.iter().map(|(_, value)| *value));
        let spread = series.rounds.iter().fold(
            (f64::INFINITY, f64::NEG_INFINITY),
            |(min, max), (_, value)| (min.min(*value), max.max(*value)),
        );
        let ratio = reference.and_then(|reference| {
            let same_round = |round| reference.rounds.iter().find(|(r, _)| *r == round);
            let pairs = series
                .rounds
                .iter()
                .filter_map(|(round, value)| Some(value / same_round(*round)?.1));
            let ratio = median(pairs);
            ratio.is_finite().then_some(ratio)
        });
        Row {
            series,
            value,
            spread,
            reference: reference.map(|r| median(r.rounds.iter().map(|(_, value)| *value))),
            ratio,
            met: series.target.is_met(value, ratio),
        }
    }
}

impl Row<'_> {
    fn text(&self) -> String {
        let (min, max) = self.spread;
        let spread = match self.series.rounds.len() {
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
            "rounds": self.series.rounds.iter().map(|(_, value)| value).collect::<Vec<_>>(),
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

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.filter(|value| !value.is_nan()).collect();
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.len().saturating_sub(1) / 2, values.len() / 2);
    match values.is_empty() {
        true => f64::NAN,
        false => (values[low] + values[high]) / 2.0,
    }
}

/// Three figures that count.
fn number(value: f64) -> String {
    match value.abs() {
        v if v == 0.0 || v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
