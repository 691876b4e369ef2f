//! A case: one requirement of a specification, and the closure that finds out whether an executable keeps it.
//!
//! Tables of cases are constants; nothing here runs anything.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::bench::Bench;
use crate::verdict::Verdict;

/// How long a case may take when it says nothing else: every wait of a parent or a client in ordinary life is shorter.
pub const ORDINARY: Duration = Duration::from_secs(30);

/// How strong a requirement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The specification says MUST (or MUST NOT).
    Must,
    /// What tor itself, or another parent in use, requires in practice; breaking it breaks users.
    Real,
    /// The specification says SHOULD, or good practice does.
    Should,
}

/// Which sides of a transport a case needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Whichever the executable has; the client, if it has both.
    Either,
    /// The client side.
    Client,
    /// The server side.
    Server,
    /// Both: bytes make a round trip through the transport.
    Both,
}

/// What a case does to find out.
#[derive(Clone, Copy)]
pub enum Check {
    /// Runs it.
    Run(Run),
    /// Belongs to the PT 3.0 interface: listed, not yet run.
    Interface3,
    /// Cannot be seen from outside the process; the text says why.
    Outside(&'static str),
}

/// The function behind a case. It borrows the bench for as long as it runs.
pub type Run = for<'a> fn(&'a Bench) -> Pin<Box<dyn Future<Output = Verdict> + 'a>>;

/// One requirement and how it is checked.
#[derive(Clone, Copy)]
pub struct Case {
    /// The section of the specification and a short name: `pt-3.2.1/version-missing`.
    ///
    /// The part before the first `-` names the document: `pt` (Tor's pt-spec, version 1), `base3` (the PT 3.0 base
    /// specification), `ipc2` and `ipc3` (the Dispatcher IPC specifications of PT 2 and 3.0), `extor` (Tor's
    /// ext-orport-spec), `rfc1928`, `rfc1929`, `tor` where no text says it and tor's behaviour does
    /// (`tor-transports/…`), and `unix` where only the system's manual pages and customs do (`unix-accept/…`).
    pub id: &'static str,
    /// The requirement's number in the ledger (1 to 135). Several cases may prove one requirement.
    pub line: u16,
    /// How strong it is.
    pub level: Level,
    /// What the executable has to offer for the case to apply.
    pub side: Side,
    /// When to give up; a case that takes longer has failed.
    pub limit: Duration,
    /// The requirement, in one sentence.
    pub requirement: &'static str,
    /// Where it stands: document, section, and what was measured where that is the source.
    pub reference: &'static str,
    /// Our reading, where the text leaves a choice; empty otherwise.
    pub reading: &'static str,
    /// How it is found out.
    pub check: Check,
}

impl Case {
    /// The base of every table entry: `Case { id: …, ..Case::BASE }`.
    pub const BASE: Case = Case {
        id: "",
        line: 0,
        level: Level::Must,
        side: Side::Either,
        limit: ORDINARY,
        requirement: "",
        reference: "",
        reading: "",
        check: Check::Outside(""),
    };

    /// Whether it is run at all.
    pub fn runs(&self) -> bool {
        matches!(self.check, Check::Run(_))
    }
}

impl Level {
    /// The word in reports.
    pub fn word(self) -> &'static str {
        match self {
            Level::Must => "MUST",
            Level::Real => "REAL",
            Level::Should => "SHOULD",
        }
    }
}

/// Cases that belong together, under the word that selects them on the command line.
#[derive(Clone, Copy)]
pub struct Section {
    /// The word: `socks5`.
    pub name: &'static str,
    /// What it is about, in a few words.
    pub title: &'static str,
    /// Its cases, in the ledger's order; a section may be made of several tables.
    pub cases: &'static [&'static [Case]],
}

/// Wraps an `async fn(&Bench) -> Verdict` for a table of cases.
macro_rules! run {
    ($function:path) => {
        $crate::case::Check::Run(|bench| Box::pin($function(bench)))
    };
}
pub(crate) use run;
