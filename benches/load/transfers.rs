//! Scenarios that move many bytes over one connection.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::bridge::Bridge;
use crate::figure::{Figure, Target};
use crate::pattern::{Pace, receive, send};
use crate::process;
use crate::scale::Scale;

const MIB: u64 = 1024 * 1024;

/// Some connections as fast as they go, first up, then down. They share the bytes.
pub(crate) async fn bulk(
    bridge: &Bridge,
    mebibytes: u64,
    connections: u64,
) -> anyhow::Result<Vec<Figure>> {
    let share = mebibytes * MIB / connections;
    let gib = (share * connections) as f64 / (1024 * MIB) as f64;
    let mut pairs = Vec::new();
    for _ in 0..connections {
        pairs.push(bridge.pair().await?);
    }
    let mut figures = Vec::new();
    for up in [true, false] {
        let before = cpu(bridge)?;
        let started = Instant::now();
        let mut transfers = JoinSet::new();
        for (near, far) in pairs.drain(..) {
            transfers.spawn(transfer(near, far, up, share));
        }
        while let Some(done) = transfers.join_next().await {
            let done = done?.with_context(|| format!("bulk {}", if up { "up" } else { "down" }));
            pairs.push(done?);
        }
        let seconds = started.elapsed().as_secs_f64();
        let after = cpu(bridge)?;
        let (client, server) = ((after.0 - before.0) / gib, (after.1 - before.1) / gib);
        let speed = gib * 1024.0 / seconds;
        let [speed_name, client_name, server_name, both_name] = match up {
            true => ["up", "up, client CPU", "up, server CPU", "up, CPU of both"],
            false => [
                "down",
                "down, client CPU",
                "down, server CPU",
                "down, CPU of both",
            ],
        };
        figures.extend([
            Figure::new(speed_name, "MiB/s", speed, Target::ShareAtLeast(0.85)),
            Figure::new(client_name, "s/GiB", client, Target::None),
            Figure::new(server_name, "s/GiB", server, Target::None),
            Figure::new(
                both_name,
                "s/GiB",
                client + server,
                Target::ShareAtMost(1.2),
            ),
        ]);
    }
    for (near, far) in pairs {
        ends_cleanly(near, far).await?;
    }
    Ok(figures)
}

/// One connection's share, one way.
async fn transfer(
    mut near: TcpStream,
    mut far: TcpStream,
    up: bool,
    bytes: u64,
) -> anyhow::Result<(TcpStream, TcpStream)> {
    let (from, to) = match up {
        true => (&mut near, &mut far),
        false => (&mut far, &mut near),
    };
    tokio::try_join!(send(from, bytes), receive(to, bytes, None))?;
    Ok((near, far))
}

/// Both directions at once, through a peer that echoes.
pub(crate) async fn duplex(bridge: &Bridge, scale: Scale) -> anyhow::Result<Vec<Figure>> {
    let bytes = scale.pick(128, 16) * MIB;
    let (mut near, far) = bridge.pair().await?;
    let before = cpu(bridge)?;
    let started = Instant::now();
    let echo = echo(far);
    let ours = async {
        let (mut read, mut write) = near.split();
        tokio::try_join!(send(&mut write, bytes), receive(&mut read, bytes, None))?;
        let seconds = started.elapsed().as_secs_f64();
        near.shutdown().await?;
        anyhow::Ok(seconds)
    };
    let (seconds, echoed) = tokio::try_join!(ours, echo)?;
    ensure!(echoed == bytes, "the far end saw {echoed} of {bytes} bytes");
    let after = cpu(bridge)?;
    let cpu = (after.0 - before.0 + after.1 - before.1) / (bytes as f64 / (1024 * MIB) as f64);
    let speed = (bytes / MIB) as f64 / seconds;
    Ok(vec![
        Figure::new("each way", "MiB/s", speed, Target::None),
        Figure::new("CPU of both", "s/GiB", cpu, Target::None),
    ])
}

/// A reader that takes its time, on either end in turn: nothing may be lost, or piled up.
pub(crate) async fn slow(bridge: &Bridge, scale: Scale) -> anyhow::Result<Vec<Figure>> {
    let bytes = scale.pick(64, 8) * MIB;
    let pace = Some(Pace {
        bytes: 320 * 1024,
        every: Duration::from_millis(10),
    });
    let (mut near, mut far) = bridge.pair().await?;
    let before = resident(bridge)?;
    let started = Instant::now();
    tokio::try_join!(send(&mut near, bytes), receive(&mut far, bytes, pace)).context("slow up")?;
    tokio::try_join!(send(&mut far, bytes), receive(&mut near, bytes, pace))
        .context("slow down")?;
    let speed = (2 * bytes / MIB) as f64 / started.elapsed().as_secs_f64();
    let peak = peak(bridge)?;
    ends_cleanly(near, far).await?;
    Ok(vec![
        Figure::new("arrives", "MiB/s", speed, Target::None),
        Figure::new(
            "client's peak above rest",
            "KiB",
            peak.0 - before.0,
            Target::None,
        ),
        Figure::new(
            "server's peak above rest",
            "KiB",
            peak.1 - before.1,
            Target::None,
        ),
    ])
}

/// Echoes until the other end is done; how much it was.
async fn echo(mut stream: TcpStream) -> anyhow::Result<u64> {
    let (mut read, mut write) = stream.split();
    let mut buffer = vec![0; 256 * 1024];
    let mut total = 0;
    loop {
        let count = read.read(&mut buffer).await?;
        if count == 0 {
            return Ok(total);
        }
        write.write_all(&buffer[..count]).await?;
        total += count as u64;
    }
}

/// The near end's FIN arrives behind the bridge, and nothing before it.
async fn ends_cleanly(mut near: TcpStream, mut far: TcpStream) -> anyhow::Result<()> {
    near.shutdown().await?;
    let end = tokio::time::timeout(Duration::from_secs(30), far.read(&mut [0])).await;
    let left = end.context("the end of the stream did not arrive")??;
    ensure!(left == 0, "corrupt: there was more than was sent");
    Ok(())
}

fn cpu(bridge: &Bridge) -> anyhow::Result<(f64, f64)> {
    let of = process::cpu_seconds;
    Ok((of(bridge.client.pid())?, of(bridge.server.pid())?))
}

fn resident(bridge: &Bridge) -> anyhow::Result<(f64, f64)> {
    let of = |pid| anyhow::Ok(process::memory(pid)?.resident);
    Ok((of(bridge.client.pid())?, of(bridge.server.pid())?))
}

fn peak(bridge: &Bridge) -> anyhow::Result<(f64, f64)> {
    let of = |pid| anyhow::Ok(process::memory(pid)?.peak);
    Ok((of(bridge.client.pid())?, of(bridge.server.pid())?))
}
