//! What hostile guests cost their neighbours: the round trips of a hundred good tunnels, alone and beside them.
//!
//! In: nothing; everything runs in this process, on as many threads as the machine has processors, generator
//! included. Out: a table of round trips per company. What can go wrong: a byte that differs or a reset, which
//! panics; a slow round trip is a figure and no failure.

#![allow(
    dead_code,
    clippy::disallowed_methods,
    reason = "the tests use the rest of these files; a benchmark is the application and the peer"
)]

use crowd::{Crowd, TUNNELS, parade};
use hostile::HOSTILE;
use ouzel::watm::Role;
use std::io::Write as _;
use std::time::Duration;
use tunnel::dialer;

#[path = "../../tests/guests/assembly.rs"]
mod assembly;
#[path = "../../tests/guests/crowd.rs"]
mod crowd;
#[path = "../../tests/guests/fate.rs"]
mod fate;
#[path = "../../tests/guests/hostile.rs"]
mod hostile;
#[path = "../../tests/guests/tunnel.rs"]
mod tunnel;

/// Guests in other languages are among the good ones, and not asked for here.
mod languages {
    pub(crate) fn built(name: &str) -> std::path::PathBuf {
        unreachable!("{name} is no guest of this benchmark")
    }
}

/// A step that has not happened after this long is a failure.
const DEADLINE: Duration = Duration::from_secs(120);
/// How long each company is kept, where it does not end by itself.
const SPELL: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() {
    // Compiling them is no part of it.
    for (name, _) in HOSTILE {
        let _ = tunnel::load(name);
    }
    say(
        "company                             trips   p50 ms   p90 ms   p99 ms   max ms   p99 / quiet",
    );
    let quiet = spell("nobody", None, tokio::time::sleep(SPELL)).await;
    for spinning in [1, 2, 4, 8] {
        let guests = spinners(spinning);
        spell(&format!("{spinning} that spin"), Some(quiet), guests).await;
    }
    for at_once in [1, 8, HOSTILE.len()] {
        let company = format!("{} hostile, {at_once} at once", HOSTILE.len());
        spell(&company, Some(quiet), parade(Role::Dialer, at_once)).await;
    }
    spell("nobody, again", Some(quiet), tokio::time::sleep(SPELL)).await;
}

/// Keeps so many guests spinning: each is stopped after a second of its own and followed by another.
async fn spinners(count: usize) {
    let mut spinning = tokio::task::JoinSet::new();
    for _ in 0..count {
        spinning.spawn(async {
            loop {
                let (_app, _network, session) = dialer("spin", None).await.expect("it begins");
                session.run().await.result.expect_err("it is stopped");
            }
        });
    }
    tokio::time::sleep(SPELL).await;
}

/// A crowd beside this company; its 99th percentile.
async fn spell(
    company: &str,
    quiet: Option<Duration>,
    beside: impl Future<Output = ()>,
) -> Duration {
    let crowd = Crowd::gather(TUNNELS).await;
    beside.await;
    let mut trips = crowd.leave().await;
    trips.sort_unstable();
    let at = |share: f64| trips[((trips.len() - 1) as f64 * share) as usize];
    let p99 = at(0.99);
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let ratio = quiet.map_or(1.0, |quiet| ms(p99) / ms(quiet));
    say(&format!(
        "{company:<32}{:>9}{:>9.2}{:>9.2}{:>9.2}{:>9.2}{ratio:>14.1}",
        trips.len(),
        ms(at(0.5)),
        ms(at(0.9)),
        ms(p99),
        ms(at(1.0)),
    ));
    p99
}

fn say(line: &str) {
    // Who reads it has gone: so may we.
    let _ = writeln!(std::io::stdout(), "{line}");
}
