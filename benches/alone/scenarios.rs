//! What is done with a subject, and the figures of it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::peer::{Peer, Task};
use crate::process;
use crate::subject::{Running, Subject};
use crate::{Options, table::Figure};

const AT_A_TIME: u64 = 16;
const PATIENCE: Duration = Duration::from_secs(60);

/// Everything that is repeated, with a process of its own.
pub(crate) async fn all(
    options: &Options,
    subject: &Subject,
    peer: &Peer,
    state: &Path,
) -> anyhow::Result<Vec<Figure>> {
    let running = subject.start(peer.addr, state).await?;
    peer.set(Task::Echo);
    // The first connection finds things that are made once.
    one_after_another(running.addr, 20).await?;
    let mut figures = first_byte(&running, options.pick(1000, 50)).await?;
    figures.extend(rate(&running, options.pick(8000, 160)).await?);
    figures.extend(bulk(&running, peer, options.pick(512, 8) << 20).await?);
    Ok(figures)
}

/// One connection after the other.
async fn first_byte(running: &Running, count: u64) -> anyhow::Result<Vec<Figure>> {
    let started = Instant::now();
    let mut times = one_after_another(running.addr, count).await?;
    let seconds = started.elapsed().as_secs_f64();
    let mut ms = |percent| 1000.0 * percentile(&mut times, percent);
    Ok(vec![
        Figure::new("first byte, p50", "ms", ms(50), Some("< 0.3")),
        Figure::new("first byte, p90", "ms", ms(90), None),
        Figure::new("first byte, p99", "ms", ms(99), None),
        Figure::new("one after another", "conn/s", count as f64 / seconds, None),
    ])
}

/// Sixteen at a time.
async fn rate(running: &Running, count: u64) -> anyhow::Result<Vec<Figure>> {
    let cpu = process::cpu_seconds(running.pid())?;
    let started = Instant::now();
    let mut workers = JoinSet::new();
    for _ in 0..AT_A_TIME {
        workers.spawn(one_after_another(running.addr, count / AT_A_TIME));
    }
    let mut times = Vec::new();
    while let Some(done) = workers.join_next().await {
        times.extend(done??);
    }
    let seconds = started.elapsed().as_secs_f64();
    let cpu = process::cpu_seconds(running.pid())? - cpu;
    let done = times.len() as f64;
    Ok(vec![
        Figure::new("16 at a time", "conn/s", done / seconds, Some(">= 3000")),
        Figure::new(
            "16 at a time, p99",
            "ms",
            1000.0 * percentile(&mut times, 99),
            None,
        ),
        Figure::new("CPU per connection", "ms", cpu / done * 1000.0, None),
    ])
}

/// From a connection to the first byte back, in seconds each.
async fn one_after_another(addr: SocketAddr, count: u64) -> anyhow::Result<Vec<f64>> {
    let mut times = Vec::new();
    for number in 0..count {
        let started = Instant::now();
        let mut stream = connect(addr).await?;
        stream.write_all(&[number as u8]).await?;
        let mut back = [0];
        let read = timeout(PATIENCE, stream.read_exact(&mut back)).await;
        read.context("no byte came back in time")??;
        times.push(started.elapsed().as_secs_f64());
    }
    Ok(times)
}

/// One connection each way. A module may change every byte, so they are counted here; that they are the right ones is for
/// the tests to say.
async fn bulk(running: &Running, peer: &Peer, bytes: u64) -> anyhow::Result<Vec<Figure>> {
    let mib = (bytes >> 20) as f64;
    let buffer = vec![b'x'; 64 << 10];

    peer.set(Task::Swallow);
    let cpu = process::cpu_seconds(running.pid())?;
    let started = Instant::now();
    let mut stream = connect(running.addr).await?;
    for _ in 0..bytes / buffer.len() as u64 {
        stream.write_all(&buffer).await?;
    }
    stream.shutdown().await?;
    let arrived = timeout(PATIENCE, peer.swallowed()).await;
    ensure!(
        arrived.context("the end did not arrive")? == bytes,
        "cut short on the way up"
    );
    let up = mib / started.elapsed().as_secs_f64();
    drop(stream);
    let middle = process::cpu_seconds(running.pid())?;

    peer.set(Task::Pour(bytes));
    let started = Instant::now();
    let mut stream = connect(running.addr).await?;
    let mut buffer = vec![0; 64 << 10];
    let mut arrived = 0;
    loop {
        let read = timeout(PATIENCE, stream.read(&mut buffer)).await;
        match read.context("a download stands still")?? {
            0 => break,
            n => arrived += n as u64,
        }
    }
    ensure!(arrived == bytes, "cut short on the way down: {arrived}");
    let down = mib / started.elapsed().as_secs_f64();
    let after = process::cpu_seconds(running.pid())?;
    let per_gib = |seconds: f64| seconds * 1024.0 / mib;
    Ok(vec![
        Figure::new("up", "MiB/s", up, Some(">= 600 (reverse)")),
        Figure::new("down", "MiB/s", down, Some(">= 600 (reverse)")),
        Figure::new("CPU up", "s/GiB", per_gib(middle - cpu), None),
        Figure::new("CPU down", "s/GiB", per_gib(after - middle), None),
    ])
}

/// Starts a module that was never compiled here, and again.
pub(crate) async fn start(subject: &Subject, peer: &Peer) -> anyhow::Result<Vec<Figure>> {
    let state = tempfile::tempdir()?;
    let ms = |running: Running| running.took.as_secs_f64() * 1000.0;
    let cold = ms(subject.start(peer.addr, state.path()).await?);
    let warm = ms(subject.start(peer.addr, state.path()).await?);
    Ok(vec![
        Figure::new("first start", "ms", cold, Some("< 1500 (600 KB)")),
        Figure::new("later start", "ms", warm, Some("< 20 (600 KB)")),
    ])
}

/// What is held before and after many connections, all of them used and dropped, and after as many again: what is kept
/// for the next connection stops growing, what leaks does not.
pub(crate) async fn left_behind(
    options: &Options,
    subject: &Subject,
    peer: &Peer,
    state: &Path,
) -> anyhow::Result<Vec<Figure>> {
    let running = subject.start(peer.addr, state).await?;
    peer.set(Task::Echo);
    let count = options.pick(10_000, 200);
    one_after_another(running.addr, options.pick(2_000, 50)).await?;
    let before = Held::settled(running.pid()).await?;
    one_after_another(running.addr, count).await?;
    let middle = Held::settled(running.pid()).await?;
    one_after_another(running.addr, count).await?;
    let after = Held::settled(running.pid()).await?;
    let fds = after.descriptors - before.descriptors;
    Ok(vec![
        Figure::new("RSS before", "KiB", before.resident, None),
        Figure::new("RSS more", "KiB", middle.resident - before.resident, None),
        Figure::new(
            "RSS more, again",
            "KiB",
            after.resident - middle.resident,
            None,
        ),
        Figure::new("maps before", "", before.maps, None),
        Figure::new("maps more", "", middle.maps - before.maps, None),
        Figure::new("maps more, again", "", after.maps - middle.maps, None),
        Figure::new("descriptors more", "", fds, Some("0")),
    ])
}

struct Held {
    resident: f64,
    maps: f64,
    descriptors: f64,
}

impl Held {
    /// Once connections have ended: the descriptors are those of the listener and the runtime.
    async fn settled(pid: u32) -> anyhow::Result<Held> {
        let mut last = f64::NAN;
        let mut same = 0;
        while same < 10 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let now = process::descriptors(pid)?;
            same = if now == last { same + 1 } else { 0 };
            last = now;
        }
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps"))?;
        Ok(Held {
            resident: process::memory(pid)?.resident,
            maps: maps.lines().count() as f64,
            descriptors: last,
        })
    }
}

async fn connect(addr: SocketAddr) -> anyhow::Result<TcpStream> {
    #[expect(clippy::disallowed_methods, reason = "this is the application")]
    let stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The nearest-rank percentile.
fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (values.len() * percent).div_ceil(100).max(1) - 1;
    values.get(rank).copied().unwrap_or(f64::NAN)
}
