//! What is shown while a run goes on: a bar on a terminal, a line per case elsewhere. All of it goes to stderr.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use super::{Finding, Judgement, note};
use crate::ledger::Entry;

/// How long nothing may finish before a log says what is still running: well over what most cases take, well under what
/// makes people wonder whether it hangs.
const QUIET: Duration = Duration::from_secs(10);

/// The progress of one run.
pub struct Progress {
    bar: Option<ProgressBar>,
    running: Vec<(Entry, Instant)>,
    heard: Instant,
}

impl Progress {
    /// For a run of so many cases; a bar if stderr is a terminal.
    pub fn new(cases: usize) -> Progress {
        // A terminal that cannot move its cursor is read like a log.
        let moves = std::env::var_os("TERM").is_some_and(|kind| kind != "dumb");
        let bar = (moves && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::with_draw_target(
                u64::try_from(cases).ok(),
                ProgressDrawTarget::stderr_with_hz(4),
            );
            let style = ProgressStyle::with_template("{bar:24} {pos}/{len} {elapsed} {wide_msg}");
            bar.set_style(style.expect("the template is well formed"));
            bar
        });
        Progress {
            bar,
            running: Vec::new(),
            heard: Instant::now(),
        }
    }

    /// A case begins.
    pub fn started(&mut self, entry: Entry) {
        self.running.push((entry, Instant::now()));
    }

    /// A case is over.
    pub fn finished(&mut self, finding: &Finding) {
        let id = finding.entry.case.id;
        self.running.retain(|(entry, _)| entry.case.id != id);
        self.heard = Instant::now();
        match &self.bar {
            None => {
                if let Some(line) = line(finding) {
                    note(&line);
                }
            }
            Some(bar) => {
                bar.inc(1);
                let loud = [Judgement::Deviation, Judgement::Stale, Judgement::Error];
                if loud.contains(&finding.judgement)
                    && let Some(line) = line(finding)
                {
                    bar.suspend(|| note(&line));
                }
            }
        }
    }

    /// Time passes.
    pub fn tick(&mut self) {
        match &self.bar {
            Some(bar) => {
                // In order of their start: the first has run longest.
                let slowest = self.running.first().map(|(entry, since)| {
                    format!("{} ({} s)", entry.case.id, since.elapsed().as_secs())
                });
                bar.set_message(slowest.unwrap_or_default());
                bar.tick();
            }
            None if self.heard.elapsed() >= QUIET && !self.running.is_empty() => {
                self.heard = Instant::now();
                let names: Vec<String> = self
                    .running
                    .iter()
                    .map(|(entry, since)| {
                        format!("{} ({} s)", entry.case.id, since.elapsed().as_secs())
                    })
                    .collect();
                note(&format!("still running: {}\n", names.join(", ")));
            }
            None => {}
        }
    }

    /// The run is over.
    pub fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The line of a log: verdict, id, seconds. What is never run has none.
fn line(finding: &Finding) -> Option<String> {
    let never_run = [Judgement::Interface3, Judgement::Outside];
    (!never_run.contains(&finding.judgement)).then(|| {
        format!(
            "{}  {}  {:.2} s\n",
            finding.judgement.word(),
            finding.entry.case.id,
            finding.took.as_secs_f64()
        )
    })
}
