//! `run`: one executable, some or all cases, and every form of report that was asked for.

use std::cell::RefCell;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::SystemTime;

use anyhow::Context as _;
use clap::Args;
use tokio::time::Instant;

use super::tested::{SubjectArgs, tested};
use super::{Stop, check_folder};
use crate::expectations::Expectations;
use crate::instruments::leftovers;
use crate::ledger::{self, Entry};
use crate::report::progress::Progress;
use crate::report::{self, Finding, Findings, Tested, json, junit, plain};
use crate::runner::{self, Event, Places, Turn};

/// `run`'s part of the command line.
#[derive(Args, Debug)]
pub(super) struct RunArgs {
    #[command(flatten)]
    subject: SubjectArgs,
    /// What to run: names of sections, ids, or what stands before the slash of ids; everything if none is given
    #[arg(value_name = "SECTION|ID")]
    words: Vec<String>,
    /// Count deviations from SHOULD as failures too
    #[arg(long)]
    strict: bool,
    /// Known deviations with their reasons, and defaults for the subject
    #[arg(long, value_name = "FILE")]
    expect: Option<PathBuf>,
    /// Print one JSON document on stdout; the report for people goes to stderr
    #[arg(long)]
    json: bool,
    /// Write a JUnit file
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    #[command(flatten)]
    jobs: Jobs,
}

/// How many cases run side by side.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct Jobs {
    /// Cases that run side by side; nearly all their time is waiting
    #[arg(long, value_name = "N", default_value_t = runner::JOBS)]
    pub(super) jobs: NonZeroUsize,
}

/// Runs and reports; gives the exit code.
pub(super) async fn run(args: RunArgs) -> Result<u8, Stop> {
    let expectations = match &args.expect {
        None => Expectations::default(),
        Some(file) => Expectations::read(file).map_err(Stop::usage)?,
    };
    let entries = ledger::select(&args.words).map_err(Stop::usage)?;
    if let Some(file) = &args.junit {
        check_folder(file)?;
    }
    let tested = tested(&args.subject, &expectations.subject)
        .await
        .map_err(Stop::usage)?;
    let progress = RefCell::new(Progress::new(entries.len(), 1));
    let turn = Places::new(args.jobs.jobs).turn().await;
    let mut run = found(tested, &expectations, &entries, turn, &progress).await;
    progress.into_inner().end();
    run.strict = args.strict;
    // With every case closed, whatever is still there threw its marker away.
    run.left_behind = leftovers::sweep_all().await;
    if args.json {
        report::note(&plain::report(&run));
        report::print(&json::document(&run)).map_err(Stop::suite)?;
    } else {
        report::print(&plain::report(&run)).map_err(Stop::suite)?;
    }
    // Last: a disk that is full must not take the report along.
    if let Some(file) = &args.junit {
        let written = report::write(file, &junit::document(&run));
        written
            .with_context(|| file.display().to_string())
            .map_err(Stop::suite)?;
    }
    if run.tested_nothing() {
        let nothing =
            anyhow::anyhow!("nothing was tested: no selected case concerns this executable");
        return Err(Stop::usage(nothing));
    }
    Ok(run.exit_code())
}

/// Runs the entries on one executable, with progress on stderr. What it leaves behind is still to be looked for, when no
/// run goes on.
pub(super) async fn found(
    tested: Tested,
    expectations: &Expectations,
    entries: &[Entry],
    turn: Turn,
    progress: &RefCell<Progress>,
) -> Findings {
    let began = SystemTime::now();
    let since = Instant::now();
    let subject = Rc::new(tested.subject.clone());
    let name = &tested.name;
    let mut findings: Vec<Finding> = Vec::with_capacity(entries.len());
    runner::run(subject, entries, turn, |event| match event {
        Event::Started(entry) => progress.borrow_mut().started(name, entry),
        Event::Tick => {
            leftovers::reap();
            progress.borrow_mut().tick();
        }
        Event::Finished(observed) => {
            let finding = expectations.judge(*observed);
            progress.borrow_mut().finished(name, &finding);
            findings.push(finding);
        }
    })
    .await;
    let place = |finding: &Finding| {
        entries
            .iter()
            .position(|entry| entry.case.id == finding.entry.case.id)
    };
    findings.sort_by_key(place);
    Findings {
        tested,
        began,
        took: since.elapsed(),
        strict: false,
        findings,
        left_behind: Vec::new(),
    }
}
