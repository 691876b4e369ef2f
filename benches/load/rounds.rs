//! A benchmark's program, and the order in which everything is measured.
//!
//! In: the command line's subjects, scenarios and rounds. Out: the figures of all, printed. What can go
//! wrong: a round that fails or stalls, which is written down and makes the exit code 1; the rest goes on.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

use crate::one_round;
use crate::options::{self, Options};
use crate::results::Results;
use crate::{relay, report};

/// One round of one scenario may take no longer: a peer that stalls is a failure, not a wait.
const ROUND_LIMIT: Duration = Duration::from_secs(600);

/// The whole program; `name` is what its errors begin with.
pub(crate) fn run(name: &str) -> ExitCode {
    program().unwrap_or_else(|error| {
        eprintln!("{name}: {error:#}");
        ExitCode::FAILURE
    })
}

fn program() -> anyhow::Result<ExitCode> {
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
    let results = runtime.block_on(measure(&options))?;
    report::print(&match options.json {
        true => report::json(&results),
        false => report::table(&results),
    });
    Ok(match results.failures.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Every scenario, every round, every subject.
async fn measure(options: &Options) -> anyhow::Result<Results> {
    let state = tempfile::tempdir().context("no place for state directories")?;
    let (subjects, scale) = (&options.subjects, options.scale);
    let mut results = Results::new(subjects, options.reference(), scale.name());
    for &scenario in &options.scenarios {
        let rounds = options.rounds.unwrap_or(scenario.rounds(scale));
        for round in 0..rounds {
            // Every other round runs backwards, so that whoever is first is so half of the time.
            let mut order: Vec<usize> = (0..subjects.len()).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for index in order {
                let subject = &subjects[index];
                eprintln!("{scenario}: round {} of {rounds}, {subject}", round + 1);
                let state = state.path().join(index.to_string());
                let figures = one_round(scenario, scale, subject, &state);
                match tokio::time::timeout(ROUND_LIMIT, figures).await {
                    Ok(Ok(figures)) => results.add(scenario, index, round, figures),
                    Ok(Err(error)) => results.fail(scenario, subject, &format!("{error:#}")),
                    Err(_) => results.fail(scenario, subject, "still not done: stalled"),
                }
            }
        }
    }
    Ok(results)
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
