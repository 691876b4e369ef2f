//! Addresses of people are not written down (pt-spec 4): neither in lines, nor on stderr, nor in files.
//!
//! They come from an address of loopback that appears nowhere else. What the executable was told to log by its own
//! options is part of how the suite was started.

use std::net::{IpAddr, Ipv4Addr};

use tokio::net::TcpSocket;

use super::mischief::{A_LAST_WORD, PATIENT, Role, Said, over, strangers};
use crate::bench::Bench;
use crate::case::{Case, Level, Side, run};
use crate::instruments::folder::tree;
use crate::instruments::socks::{self, Target};
use crate::instruments::upstream::dead_address;
use crate::instruments::wire::SOON;
use crate::verdict::{Failure, Verdict, deviation};

/// The cases, in the ledger's order.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "pt-4/clients-are-not-written-down",
        line: 83,
        side: Side::Server,
        requirement: "A server writes the address of who connects to it on neither stdout nor stderr nor into a file.",
        reference: "pt-spec 4: not logging client IP addresses to disk; tor logs what comes by stdout and stderr",
        reading: "Unless its own options ask for it.",
        limit: PATIENT,
        check: run!(clients_are_not_written_down),
        ..Case::BASE
    },
    Case {
        id: "pt-4/the-bridge-is-not-written-down",
        line: 83,
        level: Level::Should,
        side: Side::Client,
        requirement: "A client writes the address of a bridge that it cannot reach on neither stdout nor stderr nor into a file.",
        reference: "pt-spec 4: information such as the server IP address may be confidential",
        reading: "Who keeps the log of a client need not learn its bridges; lyrebird scrubs them in the same way.",
        limit: PATIENT,
        check: run!(the_bridge_is_not_written_down),
    },
];

/// An address of loopback that nobody uses.
const SOMEBODY: Ipv4Addr = Ipv4Addr::new(127, 83, 45, 67);

async fn clients_are_not_written_down(bench: &Bench) -> Verdict {
    let nobody = dead_address()?;
    let ready = bench.server(nobody.addr()).ready().await?;
    strangers(ready.method.addr, Some(IpAddr::V4(SOMEBODY))).await?;
    let said = over(ready, Role::Server, A_LAST_WORD).await?;
    nowhere(bench, &said)
}

async fn the_bridge_is_not_written_down(bench: &Bench) -> Verdict {
    // Bound, so that nobody else listens there.
    let bridge = TcpSocket::new_v4()?;
    bridge.bind((SOMEBODY, 0).into())?;
    let target = Target::Ip(bridge.local_addr()?);
    let args = bench.bridge_args().await?;
    let ready = bench.client().ready().await?;
    let mut open = Vec::new();
    for args in [args, vec![("no-such-argument".to_owned(), "x".to_owned())]] {
        // Any reply will do.
        open.extend(socks::open(ready.method.addr, &args, &target, SOON).await);
    }
    let said = over(ready, Role::Client, A_LAST_WORD).await?;
    nowhere(bench, &said)
}

/// Expects [`SOMEBODY`] neither in what a process said nor in any file of the case.
fn nowhere(bench: &Bench, said: &Said) -> Verdict {
    let needle = SOMEBODY.to_string();
    for (name, lines) in [("stdout", &said.out), ("stderr", &said.err)] {
        if let Some(line) = lines.iter().find(|line| line.text().contains(&needle)) {
            deviation!("{needle} stands on {name}: {:?}", line.text());
        }
    }
    for (path, content) in tree(bench.scratch()).map_err(Failure::from)? {
        if let Some(at) = content
            .windows(needle.len())
            .position(|piece| piece == needle.as_bytes())
        {
            deviation!("{needle} stands in {}, at byte {at}", path.display());
        }
    }
    Ok(())
}
