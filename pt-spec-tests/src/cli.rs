//! The command line: what was asked for, on one thread, and the exit code at its end.
//!
//! In: arguments. Out: reports on stdout, progress and complaints on stderr, and one of five exit codes: 0 conforms,
//! 1 does not (or a listed deviation is gone), 2 asked wrongly, 3 the suite could not find out, 130 interrupted. However
//! it ends, every process that was started has ended before.

mod exec_line;
mod results;
mod run;
mod tested;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::anyhow;
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::LocalSet;

use crate::instruments::leftovers;
use crate::ledger;
use crate::report::{self, listing};

const INTERRUPTED: u8 = 130;

const EXAMPLES: &str = "\
Examples:
  Everything, on a transport whose both sides one executable has:
    pt-spec-tests run --pt /usr/bin/obfs4proxy --transport obfs4

  A client alone, with arguments as on a bridge line:
    pt-spec-tests run --pt snowflake-client --transport snowflake --only client \\
        --args 'url=https://broker.example/;ice=stun:stun.example:3478'

  Two sections and one case, with the executable's own arguments:
    pt-spec-tests run --pt './my-pt -v' --transport mine socks5 version pt-3.2.1/version-list

  With known deviations, which the file explains; it also says what to test:
    pt-spec-tests run --expect expectations/obfs4proxy.toml

  What is asked for, and why:
    pt-spec-tests list
    pt-spec-tests explain pt-3.2.1/version-missing

Exit codes:
  0    every MUST and REAL passes or is expected with a reason (with --strict every SHOULD too)
  1    something deviates, or an expected deviation does not happen any more
  2    asked wrongly: the command line, or the expectation file
  3    the suite itself could not find out, and nothing is worse
  130  interrupted; what was started has been ended";

#[derive(Parser, Debug)]
#[command(
    name = "pt-spec-tests",
    version,
    about = "Tests whether an executable keeps the contract of pluggable transports",
    long_about = "Tests whether an executable keeps the contract of pluggable transports.\n\n\
        It starts the executable as tor would, and as tor would not, talks to it from every side on loopback, and \
        compares what it does with numbered requirements: MUST (the specification says so), REAL (tor or another \
        parent in use needs it) and SHOULD.",
    after_help = EXAMPLES,
    disable_help_subcommand = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Test an executable
    #[command(after_help = EXAMPLES)]
    Run(Box<run::RunArgs>),
    /// List every requirement
    List {
        /// Only these: names of sections, ids, or what stands before the slash of ids
        #[arg(value_name = "SECTION|ID")]
        words: Vec<String>,
        /// As a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Show one requirement in full: its words, where it stands, how we read it
    Explain {
        /// As in reports: pt-3.2.1/version-missing
        id: String,
    },
    /// Test every executable that an expectation file describes, and write the table
    Results(results::ResultsArgs),
}

/// Why nothing more can be done.
struct Stop {
    code: u8,
    error: anyhow::Error,
}

impl Stop {
    /// The person who asked can ask better.
    fn usage(error: impl Into<anyhow::Error>) -> Stop {
        Stop {
            code: 2,
            error: error.into(),
        }
    }

    /// The suite or the machine is at fault.
    fn suite(error: impl Into<anyhow::Error>) -> Stop {
        Stop {
            code: 3,
            error: error.into(),
        }
    }
}

/// Does what the arguments ask for; to be called from the main thread, which becomes the parent of every executable.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let done = match Cli::try_parse_from(args) {
        Err(error) => {
            let _ = error.print();
            Ok(u8::try_from(error.exit_code()).unwrap_or(2))
        }
        Ok(cli) => dispatch(cli.command),
    };
    ExitCode::from(done.unwrap_or_else(|stop| {
        report::note(&format!("pt-spec-tests: {:#}\n", stop.error));
        stop.code
    }))
}

fn dispatch(command: Command) -> Result<u8, Stop> {
    match command {
        Command::List { words, json } => {
            let entries = ledger::select(&words).map_err(Stop::usage)?;
            let text = if json {
                listing::list_json(&entries)
            } else {
                listing::list(&entries)
            };
            report::print(&text).map_err(Stop::suite)?;
            Ok(0)
        }
        Command::Explain { id } => {
            let Some(entry) = ledger::find(&id) else {
                let meant = match ledger::closest(&id) {
                    Some(meant) => format!("did you mean '{meant}'?"),
                    None => "`list` shows every id".to_owned(),
                };
                return Err(Stop::usage(anyhow!("no case has the id '{id}'; {meant}")));
            };
            report::print(&listing::explain(entry)).map_err(Stop::suite)?;
            Ok(0)
        }
        Command::Run(args) => on_one_thread(run::run(*args)),
        Command::Results(args) => on_one_thread(results::results(args)),
    }
}

/// Runs `work` to its end or to a signal, then ends whatever is left of what it started.
fn on_one_thread(work: impl Future<Output = Result<u8, Stop>>) -> Result<u8, Stop> {
    leftovers::adopt();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Stop::suite)?;
    let local = LocalSet::new();
    let code = runtime.block_on(local.run_until(async {
        // Either is dropped for good when the other is ready.
        tokio::select! {
            code = work => code,
            () = interrupted() => {
                report::note("\ninterrupted\n");
                Ok(INTERRUPTED)
            }
        }
    }));
    // With the tasks go the benches: their folders and the processes that they know of.
    runtime.block_on(async { drop(local) });
    let left = runtime.block_on(leftovers::sweep_all());
    if code.as_ref().is_ok_and(|code| *code != INTERRUPTED) {
        for what in left {
            report::note(&format!(
                "left behind by the whole run, and killed: {what}\n"
            ));
        }
    }
    code
}

/// Waits for whatever people and systems end programs with.
async fn interrupted() {
    let kinds = [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
        SignalKind::quit(),
    ];
    let [
        Ok(mut interrupt),
        Ok(mut terminate),
        Ok(mut hangup),
        Ok(mut quit),
    ] = kinds.map(signal)
    else {
        // Without handlers the signals end the program as they always do.
        return std::future::pending().await;
    };
    // All are cancel-safe, and nothing is awaited afterwards.
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
        _ = quit.recv() => {}
    }
}

/// That a report has a folder is asked before the run, not after it.
fn check_folder(file: &Path) -> Result<(), Stop> {
    let folder = match file.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    if folder.is_dir() {
        Ok(())
    } else {
        Err(Stop::usage(anyhow!(
            "{}: there is no folder {}",
            file.display(),
            folder.display()
        )))
    }
}
