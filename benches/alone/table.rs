//! The figures of all rounds: medians, the ratio to the native copy, text and JSON.

use std::fmt::Write as _;
use std::io::Write as _;

use serde_json::json;

use crate::subject::Subject;

/// One measured value.
pub(crate) struct Figure {
    name: &'static str,
    unit: &'static str,
    value: f64,
    target: Option<&'static str>,
}

impl Figure {
    pub(crate) fn new(
        name: &'static str,
        unit: &'static str,
        value: f64,
        target: Option<&'static str>,
    ) -> Figure {
        Figure {
            name,
            unit,
            value,
            target,
        }
    }
}

/// One figure of one subject over the rounds.
struct Row {
    subject: Subject,
    name: &'static str,
    unit: &'static str,
    target: Option<&'static str>,
    values: Vec<f64>,
}

#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

impl Table {
    pub(crate) fn add(&mut self, subject: &Subject, figures: Vec<Figure>) {
        for figure in figures {
            let same = |row: &&mut Row| row.subject == *subject && row.name == figure.name;
            match self.rows.iter_mut().find(same) {
                Some(row) => row.values.push(figure.value),
                None => self.rows.push(Row {
                    subject: subject.clone(),
                    name: figure.name,
                    unit: figure.unit,
                    target: figure.target.filter(|_| *subject != Subject::Copy),
                    values: vec![figure.value],
                }),
            }
        }
    }

    /// The median of the rounds' own ratios to the copy.
    fn ratio(&self, row: &Row) -> Option<f64> {
        if row.subject == Subject::Copy {
            return None;
        }
        let copy = self
            .rows
            .iter()
            .find(|other| other.subject == Subject::Copy && other.name == row.name)?;
        let ratios = row.values.iter().zip(&copy.values).map(|(a, b)| a / b);
        Some(median(&ratios.collect::<Vec<_>>()))
    }

    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let mut last = None;
        for row in &self.rows {
            if last != Some(&row.subject) {
                let _ = writeln!(text, "\n{}", row.subject);
                last = Some(&row.subject);
            }
            let ratio = self
                .ratio(row)
                .map_or(String::new(), |ratio| format!("x{ratio:.2}"));
            let (least, most) = ends(&row.values);
            let _ = writeln!(
                text,
                "  {:<20} {:>10.3} {:<7} {ratio:>8}  {least:.3} .. {most:.3}  {}",
                row.name,
                median(&row.values),
                row.unit,
                row.target.unwrap_or(""),
            );
        }
        text
    }

    pub(crate) fn json(&self) -> String {
        let rows: Vec<_> = self
            .rows
            .iter()
            .map(|row| {
                json!({
                    "subject": row.subject.to_string(), "figure": row.name, "unit": row.unit,
                    "median": median(&row.values), "ratio": self.ratio(row), "target": row.target,
                    "values": row.values,
                })
            })
            .collect();
        format!("{}\n", json!({ "figures": rows }))
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[middle],
        _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
    }
}

fn ends(values: &[f64]) -> (f64, f64) {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (least, most)
}

/// Says something where a person or a script reads it.
#[expect(clippy::disallowed_methods, reason = "this is what it is for")]
pub(crate) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
