//! Ends that do not read, read slowly, or are many.

use std::collections::HashMap;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::bench::Bench;
use crate::case::{Case, Level, Side, run};
use crate::instruments::pair::{Pair, Tunnel};
use crate::instruments::pattern::{self, Why, expect_pattern, pump};
use crate::instruments::wire::{Ended, SOON, read_exactly, write_all};
use crate::verdict::{Failure, Verdict, deviation, ensure};

use super::inside::resident;
use super::{LONG, MIB, STALLED, both_ways, broken, transfer};

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "pt-2/bridge-that-does-not-read",
        line: 114,
        side: Side::Both,
        limit: LONG,
        requirement: "When the bridge does not read, the application is held up: 64 MiB from it cost neither process more than 16 MiB of memory, and arrive when the bridge reads.",
        reference: "pt-spec 2: a proxy passes the back-pressure of TCP on; what a stranger sends must not fill the bridge's memory",
        reading: "Sixteen MiB are far above what any window needs, and far below what 64 MiB in memory take; what the kernel holds does not count.",
        check: run!(bridge_does_not_read),
        ..Case::BASE
    },
    Case {
        id: "pt-2/application-that-does-not-read",
        line: 114,
        side: Side::Both,
        limit: LONG,
        requirement: "When the application does not read, the bridge is held up: 64 MiB from it cost neither process more than 16 MiB of memory, and arrive when the application reads.",
        reference: "pt-spec 2",
        reading: "As for a bridge that does not read.",
        check: run!(application_does_not_read),
        ..Case::BASE
    },
    Case {
        id: "pt-2/slow-reader",
        line: 114,
        side: Side::Both,
        limit: LONG,
        requirement: "An end that reads in sips gets all of 8 MiB, unchanged.",
        reference: "pt-spec 2",
        check: run!(slow_reader),
        ..Case::BASE
    },
    Case {
        id: "pt-2/other-direction-goes-on",
        line: 114,
        level: Level::Should,
        side: Side::Both,
        limit: LONG,
        requirement: "A direction that is held up by its reader does not hold the other one up.",
        reference: "pt-spec 2: the two directions of a connection are independent",
        reading: "A transport that carries both directions in one exchange of requests and answers cannot keep this, hence only SHOULD.",
        check: run!(other_direction_goes_on),
    },
    Case {
        id: "pt-2/other-connections-go-on",
        line: 114,
        side: Side::Both,
        limit: LONG,
        requirement: "A connection that is held up by its reader does not hold others up.",
        reference: "pt-spec 2: every connection of the application is one of its own",
        check: run!(other_connections_go_on),
        ..Case::BASE
    },
    Case {
        id: "pt-2/many-connections-side-by-side",
        line: 114,
        side: Side::Both,
        limit: LONG,
        requirement: "64 connections that are opened at once carry each its own bytes both ways, and none of another's.",
        reference: "pt-spec 2; a bridge has hundreds of clients",
        check: run!(side_by_side),
        ..Case::BASE
    },
];

/// How much is sent to an end that does not read.
const OFFERED: u64 = 64 * MIB;

/// What it may cost a process.
const MEMORY: u64 = 16 * MIB;

/// A sender that cannot get rid of a byte for so long is held up.
const HELD_UP: Duration = Duration::from_secs(3);

async fn bridge_does_not_read(bench: &Bench) -> Verdict {
    let pair = Pair::start(bench).await?;
    let Tunnel { app, tor } = pair.open().await?;
    stalled(&pair, app, tor).await
}

async fn application_does_not_read(bench: &Bench) -> Verdict {
    let pair = Pair::start(bench).await?;
    let Tunnel { app, tor } = pair.open().await?;
    stalled(&pair, tor, app).await
}

async fn stalled(pair: &Pair, mut from: TcpStream, mut to: TcpStream) -> Verdict {
    let processes = [
        ("client", pair.client.pid()),
        ("server", pair.bridge.server.pid()),
    ];
    let mut before = Vec::new();
    for (_, pid) in processes {
        before.push(resident(pid)?);
    }
    let sent = fill(&mut from).await?;
    for ((side, pid), before) in processes.into_iter().zip(before) {
        let grown = resident(pid)?.saturating_sub(before);
        ensure!(
            grown <= MEMORY,
            "with {} KiB sent and none read, the {side} has {} KiB of memory more than before",
            sent >> 10,
            grown >> 10
        );
    }
    let read = expect_pattern(&mut to, SEED, sent, STALLED).await;
    read.map_err(|stopped| broken("that were held up", sent, &stopped))
}

const SEED: u64 = 6;

/// Sends until nobody takes more, or all of [`OFFERED`] is gone; gives how much it was.
async fn fill(from: &mut TcpStream) -> Verdict<u64> {
    match pump(from, SEED, OFFERED, HELD_UP).await {
        Ok(()) => Ok(OFFERED),
        Err(stopped) if stopped.why == Why::Ended(Ended::Silent) => Ok(stopped.at),
        Err(stopped) => Err(broken("to an end that does not read", OFFERED, &stopped)),
    }
}

async fn slow_reader(bench: &Bench) -> Verdict {
    let pair = Pair::start(bench).await?;
    let Tunnel { mut app, mut tor } = pair.open().await?;
    sips(&mut tor, &mut app).await?;
    sips(&mut app, &mut tor).await
}

/// What a slow reader reads at once.
const SIP: usize = 8 << 10;

/// 8 MiB, of which the first two are read slowly.
async fn sips(from: &mut TcpStream, to: &mut TcpStream) -> Verdict {
    let (total, slow) = (8 * MIB, 2 * MIB);
    let read = async {
        let mut ticks = interval(Duration::from_millis(10));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for at in (0..total).step_by(SIP) {
            if at < slow {
                ticks.tick().await;
            }
            match read_exactly(to, SIP, STALLED).await {
                Ok(got) => {
                    let right = pattern::check(SEED, at, &got);
                    ensure!(right.is_ok(), "a slow reader gets a wrong byte: {right:?}");
                }
                Err(cut) => {
                    let at = at + cut.got.len() as u64;
                    deviation!(
                        "of {total} bytes to a slow reader: {} after {at} bytes",
                        cut.ended
                    );
                }
            }
        }
        Ok(())
    };
    let (sent, read) = tokio::join!(pump(from, SEED, total, 2 * STALLED), read);
    read?;
    sent.map_err(|stopped| broken("to a slow reader", total, &stopped))
}

async fn other_direction_goes_on(bench: &Bench) -> Verdict {
    let pair = Pair::start(bench).await?;
    let mut up = pair.open().await?;
    fill(&mut up.app).await?;
    transfer(&mut up.tor, &mut up.app, 7, MIB).await?;
    let mut down = pair.open().await?;
    fill(&mut down.tor).await?;
    transfer(&mut down.app, &mut down.tor, 8, MIB).await
}

async fn other_connections_go_on(bench: &Bench) -> Verdict {
    let pair = Pair::start(bench).await?;
    let mut up = pair.open().await?;
    fill(&mut up.app).await?;
    let mut down = pair.open().await?;
    fill(&mut down.tor).await?;
    let mut other = pair.open().await?;
    both_ways(&mut other, 9, MIB).await
}

/// How many connections are opened at once.
const COUNT: u64 = 64;

async fn side_by_side(bench: &Bench) -> Verdict {
    let pair = Rc::new(Pair::start(bench).await?);
    let dials = (0..COUNT).map(|number| {
        let pair = pair.clone();
        async move {
            let mut app = pair.dial(pair.bridge.addr).await?;
            // Which one it is: the bridge may meet them in any order.
            match write_all(&mut app, &number.to_be_bytes(), SOON).await {
                Ok(()) => Ok((number, app)),
                Err(ended) => {
                    deviation!("the first bytes of connection {number} are not taken: {ended}")
                }
            }
        }
    });
    let mut apps: HashMap<u64, TcpStream> = all(dials).await?.into_iter().collect();
    let mut tunnels = Vec::new();
    for _ in 0..COUNT {
        let mut tor = pair.bridge.orport.accept(SOON).await?;
        let number = match read_exactly(&mut tor, 8, SOON).await {
            Ok(got) => u64::from_be_bytes(got.try_into().expect("8 bytes were asked for")),
            Err(cut) => deviation!("the first bytes of a connection at the ORPort: {cut}"),
        };
        match apps.remove(&number) {
            Some(app) => tunnels.push((number, Tunnel { app, tor })),
            None => deviation!(
                "a connection at the ORPort says that it is number {number}, wrongly or again"
            ),
        }
    }
    let transfers = tunnels
        .into_iter()
        .map(|(number, mut tunnel)| async move { both_ways(&mut tunnel, number, MIB / 16).await });
    all(transfers).await.map(drop)
}

/// Runs them side by side; the first failure ends it.
async fn all<T: 'static>(
    futures: impl Iterator<Item = impl Future<Output = Verdict<T>> + 'static>,
) -> Verdict<Vec<T>> {
    let mut tasks = JoinSet::new();
    for future in futures {
        tasks.spawn_local(future);
    }
    let mut done = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        done.push(ended.map_err(|error| Failure::Instrument(error.to_string()))??);
    }
    Ok(done)
}
