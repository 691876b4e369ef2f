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
mod figure;
mod options;
mod pattern;
mod process;
mod relay;
mod report;
mod resting;
mod results;
mod rounds;
mod scale;
mod transfers;

use bridge::{Bridge, Subject};
use figure::Figure;
use options::Scenario;
use scale::Scale;

fn main() -> ExitCode {
    rounds::run("load")
}

/// Fresh processes for each round; the state directory stays, so that they start warm.
pub(crate) async fn one_round(
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
        Scenario::Bulk => transfers::bulk(&bridge, scale.pick(1024, 64), 1).await,
        Scenario::Duplex => transfers::duplex(&bridge, scale).await,
        Scenario::Slow => transfers::slow(&bridge, scale).await,
        Scenario::Rate => connections::rate(&bridge, scale, 16).await,
        Scenario::Latency => connections::latency(&bridge, scale).await,
        Scenario::Idle => {
            let watch = Duration::from_secs(scale.pick(10, 3));
            resting::idle(&bridge, scale, watch).await
        }
        Scenario::Start => unreachable!("it has no bridge"),
    };
    let figures = figures.with_context(|| bridge.last_words())?;
    bridge.close().await?;
    Ok(figures)
}
