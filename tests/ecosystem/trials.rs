//! What every module is put through, in every role that it plays.
//!
//! In: a scene that works so far. Out: [`Figures`], or which trial failed and how. Every byte is compared with what was
//! sent, every wait has a deadline, and a transfer is as long as a few seconds allow.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

use crate::pattern::{self, Arrival, Shape};
use crate::scene::{Link, Scene};

const MIB: usize = 1 << 20;

/// One trial may take no longer.
const TRIAL: Duration = Duration::from_secs(180);

/// How long a program may take to say why.
const REASON: Duration = Duration::from_secs(3);

/// How long a transfer should take; its length follows from the speed of a first MiB.
const TRANSFER: f64 = 4.0;

/// A writer that got nowhere for so long is held back.
const STILL: Duration = Duration::from_millis(500);

/// Small, so that the reader's slowness is felt soon.
const SMALL_SOCKET: usize = 64 << 10;

/// The most that the slow reader is sent: more than two hops' sockets and queues hold.
const SLOW: usize = 24 * MIB;

/// Of a core, for a connection on which nothing happens.
const IDLE_CPU: f64 = 0.1;

/// Connections that are open at the same time in the first trial.
const TOGETHER: usize = 8;

const UP: u64 = 0x5550;
const DOWN: u64 = 0x444f_574e;

/// What was measured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    /// MiB per direction.
    pub(crate) length: usize,
    /// MiB per second.
    pub(crate) up: f64,
    /// MiB per second.
    pub(crate) down: f64,
    /// MiB per second, both directions together.
    pub(crate) duplex: f64,
    /// MiB that a writer got rid of before a reader that does not read held it back.
    pub(crate) held_at: f64,
    /// Whether the near end still hears the far one after it has said its last word.
    pub(crate) half_close: bool,
    /// Of a core, while nothing happens; unknown where there is no `/proc`.
    pub(crate) idle_cpu: Option<f64>,
}

/// Runs all of them; `most` is the longest transfer in MiB.
pub(crate) async fn run(scene: &Scene, most: usize) -> Result<Figures> {
    let mut figures = Figures::default();
    trial(scene, "rounds", rounds(scene)).await?;
    let (rate, _) = trial(scene, "up", up(scene, MIB)).await?;
    let fits = |rate: f64| ((rate * TRANSFER) as usize).clamp(1, most);
    figures.length = fits(rate);
    let length = figures.length * MIB;
    (figures.up, figures.half_close) = trial(scene, "up", up(scene, length)).await?;
    figures.down = trial(scene, "down", down(scene, length)).await?;
    figures.duplex = trial(scene, "duplex", duplex(scene, length)).await?;
    let slow = SLOW.min(fits(figures.up) * MIB);
    figures.held_at = trial(scene, "slow reader, up", slow_reader(scene, slow, true)).await?;
    trial(scene, "slow reader, down", slow_reader(scene, slow, false)).await?;
    trial(scene, "leaving", leaving(scene)).await?;
    figures.idle_cpu = trial(scene, "idle", idle(scene)).await?;
    Ok(figures)
}

/// One trial under its deadline; what the programs said goes with its failure.
async fn trial<T>(scene: &Scene, name: &str, steps: impl Future<Output = Result<T>>) -> Result<T> {
    let said = scene.said();
    let done = match timeout(TRIAL, steps).await {
        Ok(done) => done,
        Err(_) => Err(anyhow::anyhow!("not done after {} s", TRIAL.as_secs())),
    };
    let Err(error) = done else {
        return done;
    };
    // The connection's end is seen before the line that says why.
    let line = timeout(REASON, scene.any_failure(&said)).await;
    Err(match line {
        Ok(line) => anyhow::anyhow!("{name}: {error:#} ({line})"),
        Err(_) => anyhow::anyhow!("{name}: {error:#}"),
    })
}

/// Several connections at a time, each with short messages to and fro.
async fn rounds(scene: &Scene) -> Result<()> {
    let mut links = Vec::new();
    for _ in 0..TOGETHER {
        links.push(scene.open().await?);
    }
    let mut running = JoinSet::new();
    for (link, n) in links.into_iter().zip(0..) {
        running.spawn(exchange(link, n, scene.up, scene.down));
    }
    while let Some(done) = running.join_next().await {
        done??;
    }
    Ok(())
}

async fn exchange(mut link: Link, n: u64, up: Shape, down: Shape) -> Result<()> {
    for round in 0..20 {
        let seed = n << 32 | round;
        let length = 1 + (round as usize * 37) % 700;
        send(&mut link.near, UP ^ seed, length).await?;
        receive(&mut link.far, UP ^ seed, length, up).await?;
        send(&mut link.far, DOWN ^ seed, length).await?;
        receive(&mut link.near, DOWN ^ seed, length, down).await?;
    }
    Ok(())
}

/// The near end sends, says its last word, and the far end hears both. MiB per second, and whether a word back arrives.
async fn up(scene: &Scene, length: usize) -> Result<(f64, bool)> {
    let mut link = scene.open().await?;
    let began = Instant::now();
    tokio::try_join!(
        async {
            send(&mut link.near, UP, length).await?;
            link.near
                .shutdown()
                .await
                .context("the last word could not be said")
        },
        receive_to_end(&mut link.far, UP, length, scene.up)
    )?;
    let rate = rate(length, began);
    // Published workers end both directions at the first end; others go on. Whichever it is, it ends.
    let _ = send(&mut link.far, DOWN, 1).await;
    let _ = link.far.shutdown().await;
    let mut word = Vec::new();
    let end = timeout(TRIAL / 2, link.near.read_to_end(&mut word)).await;
    let _ = end.context("the near end never sees the end")?;
    Ok((rate, word == pattern::bytes(DOWN, 0, 1)))
}

/// The far end sends and closes, and the near end hears all of it and the end.
async fn down(scene: &Scene, length: usize) -> Result<f64> {
    let mut link = scene.open().await?;
    let began = Instant::now();
    tokio::try_join!(
        async {
            send(&mut link.far, DOWN, length).await?;
            link.far
                .shutdown()
                .await
                .context("the last word could not be said")
        },
        receive_to_end(&mut link.near, DOWN, length, scene.down)
    )?;
    Ok(rate(length, began))
}

/// Both send all the time.
async fn duplex(scene: &Scene, length: usize) -> Result<f64> {
    let Link { near, far } = scene.open().await?;
    let began = Instant::now();
    let (mut near_in, mut near_out) = near.into_split();
    let (mut far_in, mut far_out) = far.into_split();
    tokio::try_join!(
        send(&mut near_out, UP, length),
        send(&mut far_out, DOWN, length),
        async {
            receive(&mut near_in, DOWN, length, scene.down)
                .await
                .context("down")
        },
        async {
            receive(&mut far_in, UP, length, scene.up)
                .await
                .context("up")
        },
    )?;
    Ok(rate(2 * length, began))
}

/// One end reads nothing until the other gets no further, and then everything. MiB that were written until then.
async fn slow_reader(scene: &Scene, length: usize, up: bool) -> Result<f64> {
    let Link { near, far } = scene.open().await?;
    let (mut writer, mut reader) = if up { (near, far) } else { (far, near) };
    SockRef::from(&writer).set_send_buffer_size(SMALL_SOCKET)?;
    SockRef::from(&reader).set_recv_buffer_size(SMALL_SOCKET)?;
    let written = AtomicUsize::new(0);
    let (seed, shape) = if up {
        (UP, scene.up)
    } else {
        (DOWN, scene.down)
    };
    let ((), held_at) = tokio::try_join!(
        async {
            send_counted(&mut writer, seed, length, &written).await?;
            writer
                .shutdown()
                .await
                .context("the last word could not be said")
        },
        async {
            let held_at = stands_still(&written, length).await;
            receive_to_end(&mut reader, seed, length, shape).await?;
            anyhow::Ok(held_at)
        }
    )?;
    Ok(held_at as f64 / MIB as f64)
}

/// What was written when nothing more was for a while, or all of it.
async fn stands_still(written: &AtomicUsize, length: usize) -> usize {
    let mut looks = interval(STILL);
    let mut before = usize::MAX;
    loop {
        looks.tick().await;
        let now = written.load(Ordering::Relaxed);
        if now == length || now == before {
            return now;
        }
        before = now;
    }
}

/// The near end breaks off, and the far end learns of it.
async fn leaving(scene: &Scene) -> Result<()> {
    let mut link = scene.open().await?;
    SockRef::from(&link.near).set_linger(Some(Duration::ZERO))?;
    drop(link.near);
    let mut rest = Vec::new();
    let _ = link.far.read_to_end(&mut rest).await;
    ensure!(rest.is_empty(), "{} bytes came from nowhere", rest.len());
    Ok(())
}

/// What a connection costs on which nothing happens, as a part of a core.
async fn idle(scene: &Scene) -> Result<Option<f64>> {
    let _link = scene.open().await?;
    let spent = || scene.programs[0].cpu_seconds();
    let (before, began) = (spent(), Instant::now());
    // Measured over a time, because only time shows it.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (Some(before), Some(after)) = (before, spent()) else {
        return Ok(None);
    };
    let part = (after - before) / began.elapsed().as_secs_f64();
    ensure!(
        part < IDLE_CPU,
        "an idle connection takes {:.0} % of a core",
        part * 100.0
    );
    Ok(Some(part))
}

fn rate(length: usize, since: Instant) -> f64 {
    length as f64 / MIB as f64 / since.elapsed().as_secs_f64()
}

async fn send(to: &mut (impl AsyncWrite + Unpin), seed: u64, length: usize) -> Result<()> {
    send_counted(to, seed, length, &AtomicUsize::new(0)).await
}

async fn send_counted(
    to: &mut (impl AsyncWrite + Unpin),
    seed: u64,
    length: usize,
    written: &AtomicUsize,
) -> Result<()> {
    let mut done = 0;
    while done < length {
        let block = pattern::bytes(seed, done, (64 << 10).min(length - done));
        let mut rest = &block[..];
        while !rest.is_empty() {
            let n = to
                .write(rest)
                .await
                .with_context(|| format!("writing broke after {done} of {length} bytes"))?;
            rest = &rest[n..];
            written.fetch_add(n, Ordering::Relaxed);
        }
        done += block.len();
    }
    Ok(())
}

async fn receive(
    from: &mut (impl AsyncRead + Unpin),
    seed: u64,
    length: usize,
    shape: Shape,
) -> Result<()> {
    let mut arrival = Arrival::new(seed, shape);
    let mut block = vec![0; 64 << 10];
    while arrival.received() < length {
        let most = block.len().min(length - arrival.received());
        let n = from.read(&mut block[..most]).await.with_context(|| {
            format!(
                "reading broke after {} of {length} bytes",
                arrival.received()
            )
        })?;
        if n == 0 {
            bail!(
                "the end came after {} of {length} bytes",
                arrival.received()
            );
        }
        arrival.take(&block[..n])?;
    }
    arrival.settle()
}

async fn receive_to_end(
    from: &mut TcpStream,
    seed: u64,
    length: usize,
    shape: Shape,
) -> Result<()> {
    receive(from, seed, length, shape).await?;
    let n = from
        .read(&mut [0])
        .await
        .context("there is no end after all bytes have come, but")?;
    ensure!(n == 0, "more came than was sent");
    Ok(())
}
