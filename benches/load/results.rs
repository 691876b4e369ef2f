//! The figures of all rounds.
//!
//! In: the figures of each round. Out: medians and ratios. A ratio is the median of the rounds' own
//! ratios: the two sides of each were measured next to each other, so what disturbs the machine
//! disturbs both. What can go wrong: a round that failed has no figures, and no ratio.

use crate::bridge::Subject;
use crate::figure::{Figure, Target, median};
use crate::options::Scenario;

/// All figures of a run.
pub(crate) struct Results {
    pub(crate) subjects: Vec<String>,
    /// Which subject the others are compared with.
    pub(crate) reference: Option<usize>,
    pub(crate) scale: &'static str,
    pub(crate) series: Vec<Series>,
    /// What went wrong.
    pub(crate) failures: Vec<String>,
}

/// One figure of one subject over the rounds.
pub(crate) struct Series {
    pub(crate) scenario: Scenario,
    pub(crate) subject: usize,
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) target: Target,
    rounds: Vec<(usize, f64)>,
}

impl Series {
    /// What was measured, round by round.
    pub(crate) fn values(&self) -> impl Iterator<Item = f64> {
        self.rounds.iter().map(|(_, value)| *value)
    }

    pub(crate) fn median(&self) -> f64 {
        median(self.values())
    }

    /// This over the other, in each round that has both.
    pub(crate) fn ratios(&self, other: &Series) -> Vec<f64> {
        let same_round = |round| other.rounds.iter().find(|(r, _)| *r == round);
        let pairs = self
            .rounds
            .iter()
            .filter_map(|(round, value)| Some(value / same_round(*round)?.1));
        pairs.filter(|ratio| ratio.is_finite()).collect()
    }
}

impl Results {
    pub(crate) fn new(
        subjects: &[Subject],
        reference: Option<usize>,
        scale: &'static str,
    ) -> Results {
        Results {
            subjects: subjects.iter().map(Subject::to_string).collect(),
            reference,
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

    /// The same figure of another subject.
    pub(crate) fn of(&self, subject: usize, like: &Series) -> Option<&Series> {
        self.series.iter().find(|series| {
            (series.subject, series.scenario, series.name) == (subject, like.scenario, like.name)
        })
    }
}

/// The least and the most.
pub(crate) fn ends(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), value| {
        (min.min(value), max.max(value))
    })
}
