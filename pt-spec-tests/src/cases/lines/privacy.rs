//! Addresses of people are not written down (pt-spec 4): neither in lines, nor on stderr, nor in files.
//!
//! They come from an address of loopback that appears nowhere else. What the executable was told to log by its own
//! options is part of how the suite was started.

use std::net::Ipv4Addr;

use tokio::net::TcpSocket;

use super::mischief::{A_LAST_WORD, PATIENT, Role, Said, end, over, strangers};
use crate::bench::Bench;
use crate::case::{Case, Level, Side, run};
use crate::cases::ext_orport::Scene;
use crate::instruments::folder::tree;
use crate::instruments::link::Link;
use crate::instruments::listeners::door;
use crate::instruments::pair::Pair;
use crate::instruments::socks::{self, Target};
use crate::instruments::upstream::dead_address;
use crate::instruments::wire::{A_WHILE, SOON, read_to_end, write_all};
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
        id: "pt-4/successful-clients-are-not-written-down",
        line: 83,
        side: Side::Both,
        requirement: "A server writes the address of a client that it serves, or that its ORPort refuses, on neither stdout nor stderr nor into a file.",
        reference: "pt-spec 4: not logging client IP addresses to disk; tor logs what comes by stdout and stderr",
        reading: "Unless its own options ask for it. An Extended ORPort is told the address, and nobody else.",
        limit: PATIENT,
        check: run!(successful_clients_are_not_written_down),
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
    strangers(door(&ready.pt, &ready.method)?, Some(SOMEBODY)).await?;
    let said = over(ready, Role::Server, A_LAST_WORD).await?;
    nowhere(bench, &said)
}

async fn successful_clients_are_not_written_down(bench: &Bench) -> Verdict {
    let mut pair = Pair::start(bench).await?;
    let link = from_somebody(&mut pair).await?;
    let tunnel = pair.open_at(link.addr()).await;
    if link.connections() == 0 {
        return Err(Failure::NotApplicable(
            "the client dials neither what it is asked for nor an address of its arguments"
                .to_owned(),
        ));
    }
    drop(tunnel?);
    let Pair { bridge, socks, .. } = pair;
    bridge.orport.close().await;
    let target = Target::Ip(link.addr());
    // It may be granted before the ORPort refuses, or not be.
    if let Ok((mut app, _)) = socks::open(socks, &bridge.args, &target, SOON).await {
        let _ = write_all(&mut app, b"nobody is there", SOON).await;
        read_to_end(&mut app, A_WHILE).await;
    }
    let mut server = bridge.server;
    end(&mut server).await?;
    nowhere(bench, &Said::by(&server, Role::Server))?;

    let mut scene = Scene::start(bench).await?;
    let link = from_somebody(&mut scene.pair).await?;
    scene.pair.bridge.addr = link.addr();
    // Whether the server knows an Extended ORPort is not the matter.
    let _ = scene.serves().await;
    scene.ext.remove_cookie()?;
    let app = scene.application().await;
    if let Ok(mut app) = app {
        read_to_end(&mut app, A_WHILE).await;
    }
    let mut server = scene.pair.bridge.server;
    end(&mut server).await?;
    nowhere(bench, &Said::by(&server, Role::Server))
}

/// A link to a bridge by which clients come to it as [`SOMEBODY`], those whose arguments hold its address, too.
async fn from_somebody(pair: &mut Pair) -> Verdict<Link> {
    let bridge = &mut pair.bridge;
    let link = Link::start_from(SOMEBODY, bridge.door).await?;
    for (_, value) in &mut bridge.args {
        *value = value.replace(&bridge.door.to_string(), &link.addr().to_string());
    }
    Ok(link)
}

async fn the_bridge_is_not_written_down(bench: &Bench) -> Verdict {
    // Bound, so that nobody else listens there.
    let bridge = TcpSocket::new_v4()?;
    bridge.bind((SOMEBODY, 0).into())?;
    let target = Target::Ip(bridge.local_addr()?);
    let args = bench.bridge_args().await?;
    let ready = bench.client().ready().await?;
    let mut open = Vec::new();
    for args in [
        args.clone(),
        vec![("no-such-argument".to_owned(), "x".to_owned())],
    ] {
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
