//! obfs4 three times in the same run: Debian's obfs4proxy, ouzel, and a native copy relay in the place of each, which
//! shows what the path itself costs (see `docs/benchmarks.md`).
//!
//! In: scenario names and executables, from the command line. Out: a table (or JSON) of figures with the ratio to
//! obfs4proxy and what it should be. What can go wrong: a peer that fails or a transfer that arrives changed, which is
//! the only thing that makes the exit code 1: figures never do.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

#[path = "../load/bridge.rs"]
mod bridge;
#[path = "../load/connections.rs"]
mod connections;
#[path = "../load/figure.rs"]
mod figure;
mod options;
#[path = "../load/pattern.rs"]
mod pattern;
#[path = "../load/process.rs"]
mod process;
#[path = "../load/relay.rs"]
mod relay;
mod report;
#[path = "../load/resting.rs"]
mod resting;
#[path = "../load/results.rs"]
#[expect(
    dead_code,
    reason = "the load benchmark's figures have targets of their own"
)]
mod results;
#[path = "../load/rounds.rs"]
mod rounds;
#[path = "../load/scale.rs"]
mod scale;
mod targets;
#[path = "../load/transfers.rs"]
#[expect(dead_code, reason = "the load benchmark transfers in more ways")]
mod transfers;

use bridge::{Bridge, Subject};
use figure::Figure;
use options::Scenario;
use scale::Scale;

fn main() -> ExitCode {
    rounds::run("obfs4")
}

/// Fresh processes for each round; the state directory stays, so that they start warm.
pub(crate) async fn one_round(
    scenario: Scenario,
    scale: Scale,
    subject: &Subject,
    state: &Path,
) -> anyhow::Result<Vec<Figure>> {
    if scenario == Scenario::Start {
        return resting::start(subject).await;
    }
    let bridge = Bridge::launch(subject, state).await?;
    let mebibytes = scale.pick(512, 64);
    let figures = match scenario {
        Scenario::Bulk => transfers::bulk(&bridge, mebibytes, 1).await,
        Scenario::Eight => transfers::bulk(&bridge, mebibytes, 8).await,
        Scenario::Rate => connections::rate(&bridge, scale, 16).await,
        Scenario::Sequence => connections::rate(&bridge, scale, 1).await,
        Scenario::Latency => connections::latency(&bridge, scale).await,
        Scenario::Idle => resting::idle(&bridge, scale, Duration::from_secs(2)).await,
        Scenario::Start => unreachable!("it has no bridge"),
    };
    let figures = figures.with_context(|| bridge.last_words())?;
    bridge.close().await?;
    Ok(figures)
}
