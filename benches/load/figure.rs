//! One figure, and what it should be.
//!
//! In: a value with its name and unit. Out: whether a target is met, and how both are written. Nothing
//! can go wrong.

/// One measured value of one round.
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) value: f64,
    pub(crate) target: Target,
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
    pub(crate) fn is_met(self, value: f64, ratio: Option<f64>) -> Option<bool> {
        match self {
            Target::None => None,
            Target::ShareAtLeast(limit) => ratio.map(|ratio| ratio >= limit),
            Target::ShareAtMost(limit) => ratio.map(|ratio| ratio <= limit),
            Target::Below(limit) => Some(value < limit),
            Target::AtMost(limit) => Some(value <= limit),
        }
    }

    pub(crate) fn text(self) -> String {
        match self {
            Target::None => String::new(),
            Target::ShareAtLeast(limit) => format!("ratio >= {limit}"),
            Target::ShareAtMost(limit) => format!("ratio <= {limit}"),
            Target::Below(limit) => format!("< {limit}"),
            Target::AtMost(limit) => format!("<= {limit}"),
        }
    }
}

/// The middle of those that are numbers.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.filter(|value| !value.is_nan()).collect();
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.len().saturating_sub(1) / 2, values.len() / 2);
    match values.is_empty() {
        true => f64::NAN,
        false => (values[low] + values[high]) / 2.0,
    }
}

/// Three figures that count.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        v if v == 0.0 || v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
