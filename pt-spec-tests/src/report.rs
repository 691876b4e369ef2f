//! Verdicts and expectations put together: what a run found, what it counts as, and the exit code that follows.
//!
//! In: [`Finding`]s. Out: counts, exit codes, and in the modules below the forms in which people and programs read them.

pub mod json;
pub mod junit;
pub mod listing;
pub mod matrix;
pub mod plain;
pub mod progress;

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::case::{Case, Level, Side};
use crate::ledger::Entry;
use crate::subject::Subject;

/// What a case counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Judgement {
    /// The requirement is kept.
    Pass,
    /// It is not, and nobody said why.
    Deviation,
    /// It is not, and the expectation file gives the reason.
    Expected,
    /// The expectation file lists it, and it does not happen.
    Stale,
    /// It does not concern the executable.
    NotApplicable,
    /// Belongs to the PT 3.0 interface; not run.
    Interface3,
    /// Cannot be seen from outside the process; not run.
    Outside,
    /// The suite could not find out.
    Error,
}

impl Judgement {
    /// Every one, in the order of summaries.
    pub const ALL: [Judgement; 8] = [
        Judgement::Pass,
        Judgement::Deviation,
        Judgement::Expected,
        Judgement::Stale,
        Judgement::Error,
        Judgement::NotApplicable,
        Judgement::Interface3,
        Judgement::Outside,
    ];

    /// The word in reports.
    pub fn word(self) -> &'static str {
        match self {
            Judgement::Pass => "pass",
            Judgement::Deviation => "deviation",
            Judgement::Expected => "expected",
            Judgement::Stale => "stale",
            Judgement::NotApplicable => "not-applicable",
            Judgement::Interface3 => "interface-3",
            Judgement::Outside => "outside",
            Judgement::Error => "error",
        }
    }
}

/// One case, judged.
pub struct Finding {
    /// The case.
    pub entry: Entry,
    /// What it counts as.
    pub judgement: Judgement,
    /// What was seen, or why nothing was; empty for a pass.
    pub evidence: String,
    /// The reason of the expectation file; empty if it lists none.
    pub reason: String,
    /// What the processes of the case were given and said.
    pub story: String,
    /// Processes that had to be killed after it, described.
    pub leftovers: Vec<String>,
    /// How long it took.
    pub took: Duration,
}

/// The word for what a case needs.
pub fn side_word(side: Side) -> &'static str {
    match side {
        Side::Either => "either",
        Side::Client => "client",
        Side::Server => "server",
        Side::Both => "both",
    }
}

/// The executable under test, as reports name it.
#[derive(Clone, Debug)]
pub struct Tested {
    /// Its name.
    pub name: String,
    /// Its version, if the expectation file says how to ask for it.
    pub version: Option<String>,
    /// How it is started and what it has.
    pub subject: Subject,
}

/// Everything that one run found.
pub struct Findings {
    /// About whom.
    pub tested: Tested,
    /// When it began.
    pub began: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// Whether `SHOULD` counts as `MUST`.
    pub strict: bool,
    /// The cases, in the order of the ledger's sections.
    pub findings: Vec<Finding>,
    /// What was still there after the last case and had to be killed: nobody can say any more whose it was.
    pub left_behind: Vec<String>,
}

/// How many of each judgement, per level.
pub type Counts = BTreeMap<Level, BTreeMap<Judgement, usize>>;

impl Findings {
    /// Counts per level; levels of which no case was selected are not there.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::new();
        for finding in &self.findings {
            let level = counts.entry(finding.entry.case.level).or_default();
            *level.entry(finding.judgement).or_default() += 1;
        }
        counts
    }

    /// Whether this finding alone makes the run fail.
    pub fn fails(&self, finding: &Finding) -> bool {
        match finding.judgement {
            Judgement::Deviation => self.strict || finding.entry.case.level != Level::Should,
            Judgement::Stale => true,
            _ => false,
        }
    }

    /// The exit code: 1 if the executable or the expectation file fails, 3 if the suite could not find out, else 0.
    pub fn exit_code(&self) -> u8 {
        if self.findings.iter().any(|finding| self.fails(finding)) {
            1
        } else if self.any(Judgement::Error) {
            3
        } else {
            0
        }
    }

    /// Whether no case was run although some were selected.
    pub fn tested_nothing(&self) -> bool {
        use Judgement::{Interface3, NotApplicable, Outside, Stale};
        let idle = [NotApplicable, Interface3, Outside];
        let judged = |finding: &Finding| !idle.contains(&finding.judgement);
        !self.findings.iter().any(judged) && !self.any(Stale)
    }

    /// Whether some case is judged so.
    pub fn any(&self, judgement: Judgement) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.judgement == judgement)
    }
}

/// Writes to stdout. A reader that has seen enough (`| head`) is no error.
#[expect(
    clippy::disallowed_methods,
    reason = "reports are what this program is for; it is no pluggable transport"
)]
pub fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Writes to stderr, where nobody needs to listen.
pub fn note(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Writes a report where the person who runs the suite wants it.
#[expect(
    clippy::disallowed_methods,
    reason = "the path is named on the command line, and may be a device"
)]
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    std::fs::write(path, text)
}

/// The level and the ledger's number, as reports cite a case: `MUST, requirement 17`.
pub fn citation(case: &Case) -> String {
    format!("{}, requirement {}", case.level.word(), case.line)
}
