//! How connections end, and that an end is never lost on the way.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::bench::Bench;
use crate::case::{Case, Level, Side, run};
use crate::instruments::pair::{Pair, Tunnel};
use crate::instruments::pattern::{expect_pattern, pump};
use crate::instruments::wire::{Ended, SOON, eventually, hex, read_to_end};
use crate::verdict::{Verdict, deviation, ensure};

use super::inside::descriptors;
use super::{LONG, MIB, STALLED, broken};

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "pt-2/everything-before-the-application-s-end",
        line: 114,
        side: Side::Both,
        limit: LONG,
        requirement: "Everything that the application sends before it closes arrives at the ORPort, and then the end.",
        reference: "pt-spec 2: the end comes after the bytes, as on the connection itself",
        check: run!(before_the_end_up),
        ..Case::BASE
    },
    Case {
        id: "pt-2/everything-before-the-bridge-s-end",
        line: 114,
        side: Side::Both,
        limit: LONG,
        requirement: "Everything that the bridge sends before it closes arrives at the application, and then the end.",
        reference: "pt-spec 2",
        check: run!(before_the_end_down),
        ..Case::BASE
    },
    Case {
        id: "pt-2/answer-after-the-application-s-fin",
        line: 114,
        level: Level::Should,
        side: Side::Both,
        limit: LONG,
        requirement: "An application that has closed its direction alone still gets the bridge's answer, whole.",
        reference: "pt-spec 2; RFC 9293 3.6: a connection is closed one direction at a time",
        reading: "Where the transport can: tor itself never closes one direction alone.",
        check: run!(answer_after_fin),
    },
    Case {
        id: "pt-2/upload-after-the-bridge-s-fin",
        line: 114,
        level: Level::Should,
        side: Side::Both,
        limit: LONG,
        requirement: "A bridge that has closed its direction alone still gets what the application sends, whole.",
        reference: "pt-spec 2; RFC 9293 3.6",
        reading: "Where the transport can: tor itself never closes one direction alone.",
        check: run!(upload_after_fin),
    },
    Case {
        id: "pt-2/application-that-resets",
        line: 114,
        side: Side::Both,
        requirement: "When the application resets its connection, the one to the ORPort does not stay open.",
        reference: "pt-spec 2; an application that is killed with unread bytes resets",
        check: run!(application_resets),
        ..Case::BASE
    },
    Case {
        id: "pt-2/bridge-that-resets",
        line: 114,
        side: Side::Both,
        requirement: "When the bridge resets its connection, the one to the application does not stay open.",
        reference: "pt-spec 2",
        check: run!(bridge_resets),
        ..Case::BASE
    },
    Case {
        id: "pt-2/reset-under-load",
        line: 114,
        side: Side::Both,
        limit: LONG,
        requirement: "A reset by either end while bytes flow both ways ends the other connection, and the next one is carried.",
        reference: "pt-spec 2",
        check: run!(reset_under_load),
        ..Case::BASE
    },
    Case {
        id: "pt-2/closed-connections-are-forgotten",
        line: 114,
        level: Level::Should,
        side: Side::Both,
        limit: LONG,
        requirement: "Connections that have ended leave no descriptor behind in either process: 30 of them at most 5.",
        reference: "pt-spec 2; a client runs for weeks, and a bridge meets thousands of connections a day",
        reading: "Five leave room for what a process opens late, as a resolver's or a timer's descriptor.",
        check: run!(closed_are_forgotten),
    },
];

/// From one byte to more than the buffers on the way hold.
const LENGTHS: [u64; 4] = [1, 1000, 70_000, 3 * MIB];

async fn before_the_end_up(bench: &Bench) -> Verdict {
    let pair = Pair::start(bench).await?;
    for length in LENGTHS {
        let Tunnel { app, tor } = pair.open().await?;
        last_words(app, tor, length).await?;
    }
    Ok(())
}

async fn before_the_end_down(bench: &Bench) -> Verdict {
    let pair = Pair::start(bench).await?;
    for length in LENGTHS {
        let Tunnel { app, tor } = pair.open().await?;
        last_words(tor, app, length).await?;
    }
    Ok(())
}

/// Sends and closes at once; all of it and an end have to arrive.
async fn last_words(mut from: TcpStream, mut to: TcpStream, length: u64) -> Verdict {
    let send = async {
        let sent = pump(&mut from, 1, length, STALLED).await;
        // Dropping it here is what an application does that has said everything.
        drop(from);
        sent
    };
    let both = tokio::try_join!(send, expect_pattern(&mut to, 1, length, STALLED));
    both.map_err(|stopped| broken("before an end", length, &stopped))?;
    ended(&mut to, &format!("{length} bytes and an end")).await
}

/// Finds out that the end comes, and nothing before it.
async fn ended(stream: &mut TcpStream, after: &str) -> Verdict {
    let (got, ended) = read_to_end(stream, SOON).await;
    ensure!(
        got.is_empty(),
        "after {after} the other end receives {}",
        hex(&got)
    );
    ensure!(
        matches!(ended, Ended::Eof | Ended::Reset),
        "{SOON:?} after {after} the other end's connection is {ended}"
    );
    Ok(())
}

async fn answer_after_fin(bench: &Bench) -> Verdict {
    let pair = Pair::start(bench).await?;
    let Tunnel { app, tor } = pair.open().await?;
    half_closed(app, tor, "the application").await
}

async fn upload_after_fin(bench: &Bench) -> Verdict {
    let pair = Pair::start(bench).await?;
    let Tunnel { app, tor } = pair.open().await?;
    half_closed(tor, app, "the bridge").await
}

/// One end closes its direction; the other one sees that, and then sends a mebibyte.
async fn half_closed(mut closing: TcpStream, mut open: TcpStream, who: &str) -> Verdict {
    // A connection that is gone already shows in what follows.
    let _ = closing.shutdown().await;
    ended(&mut open, &format!("the FIN of {who}")).await?;
    let both = tokio::try_join!(
        pump(&mut open, 2, MIB, STALLED),
        expect_pattern(&mut closing, 2, MIB, STALLED),
    );
    if let Err(stopped) = both {
        deviation!("after its own FIN {who} is to receive {MIB} bytes: {stopped}");
    }
    drop(open);
    ended(&mut closing, "the second FIN").await
}

async fn application_resets(bench: &Bench) -> Verdict {
    let pair = Pair::start(bench).await?;
    let Tunnel { app, mut tor } = pair.open().await?;
    reset(app)?;
    ended(&mut tor, "a reset by the application").await
}

async fn bridge_resets(bench: &Bench) -> Verdict {
    let pair = Pair::start(bench).await?;
    let Tunnel { mut app, tor } = pair.open().await?;
    reset(tor)?;
    ended(&mut app, "a reset by the bridge").await
}

fn reset(stream: TcpStream) -> Verdict {
    Ok(stream.set_zero_linger()?)
}

/// More than is carried in a moment, less than is read before an end that does not come is called a flood.
const LOAD: u64 = 4 * MIB;

async fn reset_under_load(bench: &Bench) -> Verdict {
    let pair = Pair::start(bench).await?;
    for upwards in [true, false] {
        let Tunnel { app, tor } = pair.open().await?;
        let (mut resetting, mut other) = if upwards { (app, tor) } else { (tor, app) };
        // How much is under way does not matter, as long as some is.
        let window = Duration::from_secs(1);
        let _ = tokio::join!(
            pump(&mut resetting, 3, LOAD, window),
            pump(&mut other, 4, LOAD, window)
        );
        reset(resetting)?;
        // What was on its way may come before the end.
        let (_, ended) = read_to_end(&mut other, SOON).await;
        let closed = matches!(ended, Ended::Eof | Ended::Reset);
        let who = if upwards {
            "the application"
        } else {
            "the bridge"
        };
        ensure!(
            closed,
            "{SOON:?} after a reset by {who} under load the other connection is {ended}"
        );
    }
    super::both_ways(&mut pair.open().await?, 5, MIB / 4).await
}

async fn closed_are_forgotten(bench: &Bench) -> Verdict {
    let pair = Pair::start(bench).await?;
    let processes = [
        ("client", pair.client.pid()),
        ("server", pair.bridge.server.pid()),
    ];
    // The first connection may open what is there for all.
    let _first = pair.open().await?;
    let mut before = Vec::new();
    for (_, pid) in processes {
        before.push(descriptors(pid)?);
    }
    let mut tunnels = Vec::new();
    for _ in 0..30 {
        tunnels.push(pair.open().await?);
    }
    drop(tunnels);
    for ((side, pid), before) in processes.into_iter().zip(before) {
        let few = || descriptors(pid).ok().filter(|now| *now <= before + 5);
        if eventually(SOON, few).await.is_none() {
            let now = descriptors(pid)?;
            deviation!(
                "{SOON:?} after 30 connections have closed the {side} has {now} descriptors open instead of {before}"
            );
        }
    }
    Ok(())
}
