//! `results`: every case on every executable that an expectation file describes, and the table of all of it.
//!
//! With `--check` the committed table is compared with what was seen: one run proves that the expectation files and the
//! table are true.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

use anyhow::Context as _;
use clap::Args;
use tokio::task::JoinSet;

use super::run::{Jobs, found};
use super::tested::{SubjectArgs, tested};
use super::{Stop, check_folder};
use crate::expectations::Expectations;
use crate::instruments::leftovers;
use crate::ledger::{self, Entry};
use crate::report::progress::Progress;
use crate::report::{self, Findings, Judgement, Tested, matrix, plain};
use crate::runner::Places;

/// `results`' part of the command line.
#[derive(Args, Debug)]
pub(super) struct ResultsArgs {
    /// Expectation files, each with a [subject] table; their order is the order of the columns
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    expect: Vec<PathBuf>,
    /// The table, in Markdown
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Write nothing: fail if the table says anything else than what was seen, dates and versions aside
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    jobs: Jobs,
}

/// Runs all and writes or compares the table; gives the exit code. Every deviation needs its reason here, whatever its
/// level: a table shows them all.
pub(super) async fn results(args: ResultsArgs) -> Result<u8, Stop> {
    let entries = ledger::select(&[]).map_err(Stop::usage)?;
    check_folder(&args.out)?;
    let committed = match args.check {
        false => String::new(),
        true => std::fs::read_to_string(&args.out)
            .with_context(|| args.out.display().to_string())
            .map_err(Stop::usage)?,
    };
    let mut all = Vec::new();
    for file in &args.expect {
        let expectations = Expectations::read(file).map_err(Stop::usage)?;
        let tested = tested(&SubjectArgs::default(), &expectations.subject)
            .await
            .with_context(|| file.display().to_string())
            .map_err(Stop::usage)?;
        all.push((expectations, tested));
    }
    let progress = Progress::new(entries.len(), all.len());
    let runs = side_by_side(all, &entries, Places::new(args.jobs.jobs), progress).await;
    for run in &runs {
        report::print(&format!("{}\n", plain::report(run))).map_err(Stop::suite)?;
    }
    let code = match runs.iter().map(report::Findings::exit_code) {
        mut codes if codes.clone().any(|code| code == 1) => codes.find(|code| *code == 1),
        codes => codes.max(),
    };
    let code = code.unwrap_or(0);
    let untold = [Judgement::Stale, Judgement::Error];
    if runs
        .iter()
        .any(|run| untold.iter().any(|judgement| run.any(*judgement)))
    {
        report::note(
            "the table is neither written nor compared: see what is stale or could not be found out\n",
        );
        return Ok(code);
    }
    let table = matrix::document(&runs, &command(&args));
    if !args.check {
        let written = report::write(&args.out, &table);
        written
            .with_context(|| args.out.display().to_string())
            .map_err(Stop::suite)?;
        return Ok(code);
    }
    match matrix::differences(&committed, &table) {
        None => Ok(code),
        Some(lines) => {
            report::note(&format!(
                "{} does not say what was seen (- it says, + was seen):\n{lines}make it again: {}\n",
                args.out.display(),
                command(&args)
            ));
            Ok(1)
        }
    }
}

/// One run after the other, but for the waits at their ends. Gives them in the order of the columns.
async fn side_by_side(
    all: Vec<(Expectations, Tested)>,
    entries: &[Entry],
    places: Places,
    progress: Progress,
) -> Vec<Findings> {
    let shared = Rc::new((entries.to_vec(), places, RefCell::new(progress)));
    let mut running = JoinSet::new();
    for (column, (expectations, tested)) in all.into_iter().enumerate() {
        let shared = shared.clone();
        running.spawn_local(async move {
            let (entries, places, progress) = &*shared;
            let turn = places.turn().await;
            let run = found(tested, &expectations, entries, turn, progress).await;
            (column, run)
        });
    }
    let mut runs = running.join_all().await;
    runs.sort_by_key(|(column, _)| *column);
    if let Some((_, _, progress)) = Rc::into_inner(shared) {
        progress.into_inner().end();
    }
    let mut runs: Vec<Findings> = runs.into_iter().map(|(_, run)| run).collect();
    // With every case closed, whatever is still there threw its marker away, and may be anybody's.
    let left_behind = leftovers::sweep_all().await;
    for run in &mut runs {
        run.strict = true;
        run.left_behind.clone_from(&left_behind);
    }
    runs
}

/// The command line that writes the table.
fn command(args: &ResultsArgs) -> String {
    let mut words = vec!["pt-spec-tests results --expect".to_owned()];
    words.extend(args.expect.iter().map(|file| file.display().to_string()));
    words.push(format!("--out {}", args.out.display()));
    words.join(" ")
}
