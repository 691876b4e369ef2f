//! Scenarios about a transport that has nothing to do: starting, and waiting.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpStream;

use crate::bridge::{Bridge, Subject};
use crate::figure::{Figure, Target};
use crate::pattern::{receive, send};
use crate::process;
use crate::scale::Scale;

/// From the start of the process to its `DONE` line, with an empty state directory, then again.
pub(crate) async fn start(subject: &Subject) -> anyhow::Result<Vec<Figure>> {
    let state = tempfile::tempdir()?;
    // Nothing connects, so nothing needs to listen there.
    let orport = SocketAddr::from(([127, 0, 0, 1], 9));
    let mut times = Vec::new();
    for launch in [
        subject.client(&state.path().join("client")),
        subject.server(&state.path().join("server"), orport),
    ] {
        for _ in ["cold", "warm"] {
            let pt = launch.clone().start().await?;
            subject.method(&pt)?;
            times.push(pt.ready_after().as_secs_f64() * 1000.0);
            pt.close().await?;
        }
    }
    let cold = Target::Below(1000.0);
    let warm = Target::Below(30.0);
    Ok(vec![
        Figure::new("client, cold", "ms", times[0], cold),
        Figure::new("client, warm", "ms", times[1], warm),
        Figure::new("server, cold", "ms", times[2], cold),
        Figure::new("server, warm", "ms", times[3], warm),
    ])
}

/// Many connections on which nothing happens, then a little, then nothing again.
///
/// Wake-ups are counted for as long as `watch`, twice.
pub(crate) async fn idle(
    bridge: &Bridge,
    scale: Scale,
    watch: Duration,
) -> anyhow::Result<Vec<Figure>> {
    let count: usize = scale.pick(1000, 100);
    let pids = [bridge.client.pid(), bridge.server.pid()];
    settle(pids).await?;
    let unused = look(pids)?;
    // What the first connection sets up for good is not what each one costs.
    let (mut near, mut far) = bridge.pair().await?;
    exchange(&mut near, &mut far).await?;
    drop((near, far));
    settle(pids).await?;
    let empty = look(pids)?;
    let mut pairs = Vec::with_capacity(count);
    for _ in 0..count {
        pairs.push(bridge.pair().await?);
    }
    settle(pids).await?;
    let fresh = look(pids)?;
    tokio::time::sleep(watch).await;
    let rested = look(pids)?;
    for (near, far) in &mut pairs {
        exchange(near, far).await?;
    }
    settle(pids).await?;
    let used = look(pids)?;
    tokio::time::sleep(watch).await;
    let rested_again = look(pids)?;
    drop(pairs);
    settle(pids).await?;
    let closed = look(pids)?;

    let mut figures = Vec::new();
    for (i, names) in [&CLIENT, &SERVER].into_iter().enumerate() {
        let per = |after: &[Look; 2], value: fn(&Look) -> f64| {
            (value(&after[i]) - value(&empty[i])) / count as f64
        };
        let woken = (rested[i].switches - fresh[i].switches).max(0.0)
            + (rested_again[i].switches - used[i].switches).max(0.0);
        let resident = |look: &Look| look.memory.resident;
        let private = |look: &Look| look.memory.private;
        let process = resident(&unused[i]) / 1024.0;
        figures.extend([
            Figure::new(names[7], "MiB", process, Target::None),
            Figure::new(names[0], "KiB", per(&fresh, resident), Target::Below(48.0)),
            Figure::new(names[1], "KiB", per(&used, resident), Target::Below(96.0)),
            Figure::new(names[2], "KiB", per(&used, private), Target::None),
            Figure::new(
                names[3],
                "",
                per(&fresh, |look| look.descriptors),
                Target::AtMost(2.0),
            ),
            Figure::new(
                names[4],
                "",
                fresh[i].threads.max(used[i].threads) - empty[i].threads,
                Target::AtMost(0.0),
            ),
            Figure::new(names[5], "", woken, Target::AtMost(0.0)),
            Figure::new(
                names[6],
                "",
                closed[i].descriptors - empty[i].descriptors,
                Target::AtMost(0.0),
            ),
        ]);
    }
    Ok(figures)
}

const CLIENT: [&str; 8] = [
    "client RSS/conn, fresh",
    "client RSS/conn, used",
    "client private/conn, used",
    "client descriptors/conn",
    "client threads more",
    "client wake-ups",
    "client descriptors left",
    "client RSS, no connection",
];

const SERVER: [&str; 8] = [
    "server RSS/conn, fresh",
    "server RSS/conn, used",
    "server private/conn, used",
    "server descriptors/conn",
    "server threads more",
    "server wake-ups",
    "server descriptors left",
    "server RSS, no connection",
];

/// A process at one moment.
struct Look {
    memory: process::Memory,
    threads: f64,
    descriptors: f64,
    switches: f64,
}

fn look(pids: [u32; 2]) -> anyhow::Result<[Look; 2]> {
    let one = |pid| {
        anyhow::Ok(Look {
            memory: process::memory(pid)?,
            threads: process::threads(pid)?,
            descriptors: process::descriptors(pid)?,
            switches: process::switches(pid)?,
        })
    };
    Ok([one(pids[0])?, one(pids[1])?])
}

/// Waits until neither process has run for a second, but not for ever: one that never rests is
/// what the wake-ups are there to show.
async fn settle(pids: [u32; 2]) -> anyhow::Result<()> {
    let mut last = f64::NAN;
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = process::switches(pids[0])? + process::switches(pids[1])?;
        if now == last {
            break;
        }
        last = now;
    }
    Ok(())
}

/// 64 KiB each way.
async fn exchange(near: &mut TcpStream, far: &mut TcpStream) -> anyhow::Result<()> {
    let bytes = 64 * 1024;
    tokio::try_join!(send(near, bytes), receive(far, bytes, None)).context("64 KiB up")?;
    tokio::try_join!(send(far, bytes), receive(near, bytes, None)).context("64 KiB down")?;
    Ok(())
}
