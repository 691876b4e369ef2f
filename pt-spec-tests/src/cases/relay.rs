//! Bytes through the tunnel, from the application's connection at the SOCKS port to the bridge's at the ORPort and back
//! (pt-spec 2): whole, in order, under pressure, over a bad network, and to the end.
//!
//! Both ends are the executable's: what is between them is the transport's own matter, and only a link that the suite
//! puts there sees it.

mod content;
mod dripping;
mod ends;
mod inside;
mod network;
mod pressure;

use std::time::Duration;

use tokio::net::TcpStream;

use crate::case::Case;
use crate::instruments::pair::Tunnel;
use crate::instruments::pattern::{Stopped, expect_pattern, pump};
use crate::instruments::wire::{Ended, hex, read_to_end};
use crate::verdict::{Failure, Verdict, ensure};

/// The cases, in the ledger's order.
pub const TABLES: &[&[Case]] = &[content::CASES, pressure::CASES, ends::CASES, network::CASES];

/// A transfer in which nothing moves for so long has stopped, even on a machine that runs everything else meanwhile.
const STALLED: Duration = Duration::from_secs(15);

/// A case that moves mebibytes, or waits for buffers to fill, beside others that do the same.
const LONG: Duration = Duration::from_secs(90);

/// A mebibyte.
const MIB: u64 = 1 << 20;

/// Sends the pattern of `seed` from one end and reads it at the other.
async fn transfer(from: &mut TcpStream, to: &mut TcpStream, seed: u64, total: u64) -> Verdict {
    let both = tokio::try_join!(
        pump(from, seed, total, STALLED),
        expect_pattern(to, seed, total, STALLED),
    );
    both.map(drop)
        .map_err(|stopped| broken("one way", total, &stopped))
}

/// Nobody sends anything for a while: nothing arrives, and both ends stay open.
async fn stays_silent(tunnel: &mut Tunnel, time: Duration) -> Verdict {
    let (app, tor) = tokio::join!(
        read_to_end(&mut tunnel.app, time),
        read_to_end(&mut tunnel.tor, time)
    );
    for (end, (got, ended)) in [("application", app), ("ORPort", tor)] {
        ensure!(
            got.is_empty(),
            "the {end} receives {} that nobody sent",
            hex(&got)
        );
        ensure!(
            ended == Ended::Silent,
            "after {time:?} or less of silence the connection at the {end} is {ended}"
        );
    }
    Ok(())
}

/// Sends `total` bytes each way at the same time.
async fn both_ways(tunnel: &mut Tunnel, seed: u64, total: u64) -> Verdict {
    let (mut app_read, mut app_write) = tunnel.app.split();
    let (mut tor_read, mut tor_write) = tunnel.tor.split();
    let up = async {
        let both = tokio::try_join!(
            pump(&mut app_write, seed, total, STALLED),
            expect_pattern(&mut tor_read, seed, total, STALLED),
        );
        both.map_err(|stopped| broken("to the bridge", total, &stopped))
    };
    let down = async {
        let both = tokio::try_join!(
            pump(&mut tor_write, !seed, total, STALLED),
            expect_pattern(&mut app_read, !seed, total, STALLED),
        );
        both.map_err(|stopped| broken("to the application", total, &stopped))
    };
    tokio::try_join!(up, down).map(drop)
}

fn broken(way: &str, total: u64, stopped: &Stopped) -> Failure {
    Failure::Deviation(format!("of {total} bytes {way}: {stopped}"))
}
