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

/// The progress of one run, or of several that share it.
pub struct Progress {
    bar: Option<ProgressBar>,
    /// Whether it has to be said whose case a line is about.
    names: bool,
    running: Vec<(String, Entry, Instant)>,
    heard: Instant,
}

impl Progress {
    /// For so many runs of so many cases each; a bar if stderr is a terminal.
    pub fn new(cases: usize, runs: usize) -> Progress {
        // A terminal that cannot move its cursor is read like a log.
        let moves = std::env::var_os("TERM").is_some_and(|kind| kind != "dumb");
        let bar = (moves && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::with_draw_target(
                u64::try_from(cases * runs).ok(),
                ProgressDrawTarget::stderr_with_hz(4),
            );
            let style = ProgressStyle::with_template("{bar:24} {pos}/{len} {elapsed} {wide_msg}");
            bar.set_style(style.expect("the template is well formed"));
            bar
        });
        Progress {
            bar,
            names: runs > 1,
            running: Vec::new(),
            heard: Instant::now(),
        }
    }

    /// A case begins, on the executable of that name.
    pub fn started(&mut self, whose: &str, entry: Entry) {
        self.running.push((whose.to_owned(), entry, Instant::now()));
    }

    /// A case is over.
    pub fn finished(&mut self, whose: &str, finding: &Finding) {
        let id = finding.entry.case.id;
        self.running
            .retain(|(name, entry, _)| name != whose || entry.case.id != id);
        let whose = if self.names { whose } else { "" };
        self.heard = Instant::now();
        match &self.bar {
            None => {
                if let Some(line) = line(whose, finding) {
                    note(&line);
                }
            }
            Some(bar) => {
                bar.inc(1);
                let loud = [Judgement::Deviation, Judgement::Stale, Judgement::Error];
                if loud.contains(&finding.judgement)
                    && let Some(line) = line(whose, finding)
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
                let slowest = self.running.first().map(case_and_seconds);
                bar.set_message(slowest.unwrap_or_default());
                bar.tick();
            }
            None if self.heard.elapsed() >= QUIET && !self.running.is_empty() => {
                self.heard = Instant::now();
                let names: Vec<String> = self.running.iter().map(case_and_seconds).collect();
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

fn case_and_seconds((_, entry, since): &(String, Entry, Instant)) -> String {
    format!("{} ({} s)", entry.case.id, since.elapsed().as_secs())
}

/// The line of a log: verdict, id, seconds, and whose it is if that is a question. What is never run has none.
fn line(whose: &str, finding: &Finding) -> Option<String> {
    let never_run = [Judgement::Interface3, Judgement::Outside];
    if never_run.contains(&finding.judgement) {
        return None;
    }
    let gap = if whose.is_empty() { "" } else { "  " };
    Some(format!(
        "{}  {}  {:.2} s{gap}{whose}\n",
        finding.judgement.word(),
        finding.entry.case.id,
        finding.took.as_secs_f64()
    ))
}
