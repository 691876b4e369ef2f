//! What `ouzel dial` costs without tor: from a connection to its first byte, connections per second, bytes per second,
//! what ten thousand connections leave behind, and how long a module takes to start.
//!
//! In: modules, from the command line. Out: a table (or JSON) with a native copy relay beside each figure, measured in the
//! same rounds. What can go wrong: a connection that fails or bytes that change, which is the only thing that makes the
//! exit code 1: figures never do.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail, ensure};

mod peer;
#[path = "../load/process.rs"]
#[expect(dead_code, reason = "the load benchmark looks at more")]
mod process;
mod scenarios;
mod subject;
mod table;

use peer::Peer;
use subject::Subject;
use table::Table;

/// One round of one subject may take no longer: what stalls is a failure, not a wait.
const ROUND_LIMIT: Duration = Duration::from_secs(300);

const HELP: &str = "\
Measures `ouzel dial` beside a native copy relay.

    cargo bench --bench alone -- [OPTIONS]

    --module NAME|FILE   carry connections through this module; again for more [default: plain, reverse]
    --start FILE         only start this module, cold and warm; again for more
    --rounds N           medians over so many rounds [default: 5]
    --quick              small sizes and one round: shows that everything works
    --json               one JSON object
";

/// What to measure.
pub(crate) struct Options {
    modules: Vec<String>,
    starts: Vec<String>,
    rounds: u32,
    quick: bool,
    json: bool,
}

impl Options {
    fn read(mut args: impl Iterator<Item = String>) -> anyhow::Result<Option<Options>> {
        let mut options = Options {
            modules: Vec::new(),
            starts: Vec::new(),
            rounds: 5,
            quick: false,
            json: false,
        };
        while let Some(arg) = args.next() {
            let mut value = || args.next().with_context(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--module" => options.modules.push(value()?),
                "--start" => options.starts.push(value()?),
                "--rounds" => options.rounds = value()?.parse().context("--rounds is a number")?,
                "--quick" => (options.quick, options.rounds) = (true, 1),
                "--json" => options.json = true,
                "--help" | "-h" => return Ok(None),
                // cargo's own.
                "--bench" => {}
                other => bail!("there is no {other}; see --help"),
            }
        }
        if options.modules.is_empty() {
            options.modules = vec!["plain".to_owned(), "reverse".to_owned()];
        }
        ensure!(options.rounds > 0, "no round, no figure");
        Ok(Some(options))
    }

    fn pick(&self, full: u64, quick: u64) -> u64 {
        if self.quick { quick } else { full }
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("alone: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1).peekable();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    if args.peek().is_some_and(|arg| arg == "--serve-copy") {
        let target = args.nth(1).context("--serve-copy needs a target")?;
        return runtime.block_on(subject::serve_copy(target.parse()?));
    }
    let Some(options) = Options::read(args)? else {
        table::print(HELP);
        return Ok(());
    };
    let table = runtime.block_on(measure(&options))?;
    table::print(&if options.json {
        table.json()
    } else {
        table.text()
    });
    Ok(())
}

async fn measure(options: &Options) -> anyhow::Result<Table> {
    let state = tempfile::tempdir().context("no place for state directories")?;
    let peer = Peer::listen().await?;
    let mut subjects = vec![Subject::Copy];
    subjects.extend(options.modules.iter().cloned().map(Subject::Dial));
    let mut table = Table::default();
    for round in 0..options.rounds {
        // Every other round runs backwards, so that whoever is first is so half of the time.
        if round % 2 == 1 {
            subjects.reverse();
        }
        for subject in &subjects {
            eprintln!("round {} of {}: {subject}", round + 1, options.rounds);
            let all = scenarios::all(options, subject, &peer, state.path());
            let figures = tokio::time::timeout(ROUND_LIMIT, all).await;
            table.add(subject, figures.context("still not done: stalled")??);
        }
        for file in &options.starts {
            let subject = Subject::Dial(file.clone());
            let figures = scenarios::start(&subject, &peer).await?;
            table.add(&subject, figures);
        }
    }
    eprintln!("what connections leave behind");
    for subject in subjects.iter().filter(|subject| **subject != Subject::Copy) {
        let left = scenarios::left_behind(options, subject, &peer, state.path());
        let figures = tokio::time::timeout(ROUND_LIMIT, left).await;
        table.add(subject, figures.context("still not done: stalled")??);
    }
    Ok(table)
}
