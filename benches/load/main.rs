//! A load generator for pluggable transports: plays tor on both sides of any of them and puts a
//! native copy relay in their place as the reference (see `docs/benchmarks.md`).
//!
//! In: executables and scenario names, from the command line. Out: a table (or JSON) of figures,
//! each with the reference's and its target. What can go wrong: a peer that fails or a transfer
//! that arrives changed, which is the only thing that makes the exit code 1: figures never do.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

mod bridge;
mod connections;
mod options;
mod pattern;
mod process;
mod relay;
mod report;
mod resting;
mod transfers;

use bridge::{Bridge, Subject};
use options::{Options, Scale, Scenario};
use report::{Figure, Report};

/// One round of one scenario may take no longer: a peer that stalls is a failure, not a wait.
const ROUND_LIMIT: Duration = Duration::from_secs(600);

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        eprintln!("load: {error:#}");
        ExitCode::FAILURE
    })
}

fn run() -> anyhow::Result<ExitCode> {
    raise_descriptor_limit();
    let mut args = std::env::args().skip(1);
    if let Some("--serve-relay") = std::env::args().nth(1).as_deref() {
        let role = args.nth(1).context("--serve-relay needs a role")?;
        relay::serve(&role)?;
        return Ok(ExitCode::SUCCESS);
    }
    let Some(options) = Options::read(args)? else {
        report::print(options::HELP);
        return Ok(ExitCode::SUCCESS);
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let report = runtime.block_on(measure(&options))?;
    report::print(&match options.json {
        true => report.json(),
        false => report.table(),
    });
    Ok(match report.failures.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

async fn measure(options: &Options) -> anyhow::Result<Report> {
    let state = tempfile::tempdir().context("no place for state directories")?;
    let mut report = Report::new(&options.subjects, options.scale.name());
    for &scenario in &options.scenarios {
        let rounds = options.rounds.unwrap_or(scenario.rounds(options.scale));
        for round in 0..rounds {
            // Every other round runs backwards, so that whoever is first is so half of the time.
            let mut order: Vec<usize> = (0..options.subjects.len()).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for index in order {
                let subject = &options.subjects[index];
                eprintln!("{scenario}: round {} of {rounds}, {subject}", round + 1);
                let state = state.path().join(index.to_string());
                let figures = one_round(scenario, options.scale, subject, &state);
                match tokio::time::timeout(ROUND_LIMIT, figures).await {
                    Ok(Ok(figures)) => report.add(scenario, index, round, figures),
                    Ok(Err(error)) => report.fail(scenario, subject, &format!("{error:#}")),
                    Err(_) => report.fail(scenario, subject, "still not done: stalled"),
                }
            }
        }
    }
    Ok(report)
}

/// Fresh processes for each round; the state directory stays, so that they start warm.
async fn one_round(
    scenario: Scenario,
    scale: Scale,
    subject: &Subject,
    state: &std::path::Path,
) -> anyhow::Result<Vec<Figure>> {
    if scenario == Scenario::Start {
        return resting::start(subject).await;
    }
    let bridge = Bridge::launch(subject, state).await?;
    let figures = match scenario {
        Scenario::Bulk => transfers::bulk(&bridge, scale).await,
        Scenario::Duplex => transfers::duplex(&bridge, scale).await,
        Scenario::Slow => transfers::slow(&bridge, scale).await,
        Scenario::Rate => connections::rate(&bridge, scale).await,
        Scenario::Latency => connections::latency(&bridge, scale).await,
        Scenario::Idle => resting::idle(&bridge, scale).await,
        Scenario::Start => unreachable!("it has no bridge"),
    };
    let figures = figures.with_context(|| bridge.last_words())?;
    bridge.close().await?;
    Ok(figures)
}

/// A thousand connections are two thousand descriptors here.
fn raise_descriptor_limit() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit, setrlimit};
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            eprintln!("the descriptor limit stays as it is: {error}");
        }
    }
}
