//! Scenarios that count connections and round trips.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::bridge::{Bridge, Route};
use crate::figure::{Figure, Target};
use crate::process;
use crate::scale::Scale;

/// A tor cell on the wire: 509 bytes of payload and a circuit id and command.
const CELL: usize = 514;

/// New connections, so many at a time, each for one byte there and back.
pub(crate) async fn rate(
    bridge: &Bridge,
    scale: Scale,
    at_a_time: usize,
) -> anyhow::Result<Vec<Figure>> {
    let each = scale.pick(4000, 400) / at_a_time;
    let total = each * at_a_time;
    let before = (cpu(bridge.client.pid())?, cpu(bridge.server.pid())?);
    let started = Instant::now();
    let ours = async {
        let mut workers = JoinSet::new();
        for _ in 0..at_a_time {
            workers.spawn(one_after_another(bridge.route.clone(), each));
        }
        let mut times = Vec::with_capacity(total);
        while let Some(done) = workers.join_next().await {
            times.extend(done??);
        }
        anyhow::Ok((times, started.elapsed().as_secs_f64()))
    };
    let behind = async {
        let mut open = JoinSet::new();
        for _ in 0..total {
            open.spawn(echo_byte(bridge.accept().await?));
        }
        while let Some(echoed) = open.join_next().await {
            echoed??;
        }
        anyhow::Ok(())
    };
    let ((mut times, seconds), ()) = tokio::try_join!(ours, behind)?;
    let count = total as f64;
    let client = (cpu(bridge.client.pid())? - before.0) / count * 1000.0;
    let server = (cpu(bridge.server.pid())? - before.1) / count * 1000.0;
    Ok(vec![
        Figure::new(
            if at_a_time == 1 {
                "one at a time"
            } else {
                "16 at a time"
            },
            "conn/s",
            count / seconds,
            Target::ShareAtLeast(0.6),
        ),
        Figure::new(
            "set-up, p50",
            "ms",
            1000.0 * percentile(&mut times, 50),
            Target::None,
        ),
        Figure::new(
            "set-up, p99",
            "ms",
            1000.0 * percentile(&mut times, 99),
            Target::None,
        ),
        Figure::new("client CPU", "ms/conn", client, Target::None),
        Figure::new("server CPU", "ms/conn", server, Target::None),
    ])
}

/// Round trips of one cell on one connection.
pub(crate) async fn latency(bridge: &Bridge, scale: Scale) -> anyhow::Result<Vec<Figure>> {
    let trips: usize = scale.pick(10_000, 500);
    let warm_up = trips / 10;
    let (mut near, mut far) = bridge.pair().await?;
    let echo = tokio::spawn(async move {
        let mut cell = [0; CELL];
        for _ in 0..trips + warm_up {
            far.read_exact(&mut cell).await?;
            far.write_all(&cell).await?;
        }
        std::io::Result::Ok(far)
    });
    let mut times = Vec::with_capacity(trips);
    let (mut sent, mut back) = ([0_u8; CELL], [0; CELL]);
    for trip in 0..trips + warm_up {
        sent[..8].copy_from_slice(&trip.to_be_bytes());
        let started = Instant::now();
        near.write_all(&sent).await?;
        near.read_exact(&mut back).await?;
        if trip >= warm_up {
            times.push(started.elapsed().as_secs_f64());
        }
        ensure!(sent == back, "corrupt: round trip {trip} came back changed");
    }
    echo.await??;
    Ok(vec![
        Figure::new(
            "514 bytes, p50",
            "µs",
            1e6 * percentile(&mut times, 50),
            Target::None,
        ),
        Figure::new(
            "514 bytes, p99",
            "µs",
            1e6 * percentile(&mut times, 99),
            Target::None,
        ),
    ])
}

/// From the SOCKS connection to the echoed byte, in seconds each.
async fn one_after_another(route: Route, count: usize) -> anyhow::Result<Vec<f64>> {
    let mut times = Vec::with_capacity(count);
    for number in 0..count {
        let byte = number as u8;
        let started = Instant::now();
        let mut stream = route.connect().await?;
        stream.write_all(&[byte]).await?;
        let mut back = [0];
        let read = timeout(Duration::from_secs(60), stream.read_exact(&mut back)).await;
        read.context("no byte came back in time")??;
        times.push(started.elapsed().as_secs_f64());
        ensure!(back == [byte], "corrupt: another byte came back");
    }
    Ok(times)
}

/// Echoes one byte, then waits for the other end to close.
async fn echo_byte(mut stream: TcpStream) -> anyhow::Result<()> {
    let mut byte = [0];
    stream.read_exact(&mut byte).await?;
    stream.write_all(&byte).await?;
    // A reset is as good an end as a FIN to a connection that has done its work.
    let end = timeout(Duration::from_secs(60), stream.read(&mut byte)).await;
    match end.context("the end of a connection did not arrive")? {
        Ok(0) | Err(_) => Ok(()),
        Ok(_) => anyhow::bail!("corrupt: there was more than one byte"),
    }
}

fn cpu(pid: u32) -> anyhow::Result<f64> {
    process::cpu_seconds(pid)
}

/// The nearest-rank percentile.
fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (values.len() * percent).div_ceil(100).max(1) - 1;
    values.get(rank).copied().unwrap_or(f64::NAN)
}
