//! The network between client and server, as it really is: late, in pieces, interrupted, gone.
//!
//! A transport that does not dial the address of its bridge never comes over the suite's link; for it nothing here
//! applies.

use std::time::Duration;

use crate::bench::Bench;
use crate::case::{Case, Level, Side, run};
use crate::instruments::link::{Direction, Link};
use crate::instruments::pair::{Pair, Tunnel};
use crate::instruments::wire::{A_WHILE, Ended, SOON, hex, read_exactly, read_to_end, write_all};
use crate::verdict::{Failure, Verdict, deviation, ensure};

use super::dripping::Dripping;
use super::inside::socket;
use super::{LONG, MIB, both_ways, stays_silent};

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "pt-2/network-that-is-slow",
        line: 114,
        side: Side::Both,
        requirement: "Over a network that holds every byte up for 100 ms each way, bytes arrive unchanged both ways.",
        reference: "pt-spec 2; bridges are often on another continent",
        check: run!(slow_network),
        ..Case::BASE
    },
    Case {
        id: "pt-2/network-that-cuts-small",
        line: 114,
        side: Side::Both,
        requirement: "Over a network that delivers the beginning of the transport's handshake in single bytes and everything else in pieces of 16, bytes arrive unchanged both ways.",
        reference: "pt-spec 2; TCP keeps no boundaries",
        check: run!(cutting_network),
        ..Case::BASE
    },
    Case {
        id: "pt-2/network-that-pauses",
        line: 114,
        side: Side::Both,
        limit: LONG,
        requirement: "A network that stops for some seconds while bytes are under way, and goes on, loses nothing.",
        reference: "pt-spec 2; TCP repeats what was lost on the way",
        check: run!(pausing_network),
        ..Case::BASE
    },
    Case {
        id: "pt-2/network-that-resets",
        line: 114,
        side: Side::Both,
        limit: LONG,
        requirement: "When the network resets the connection between client and server, neither the application nor the ORPort is left with an open connection on which nothing moves.",
        reference: "pt-spec 2; tor waits minutes before it gives up on a connection that is open",
        reading: "A transport that finds its bridge again and carries on is as good as one that ends both.",
        check: run!(resetting_network),
        ..Case::BASE
    },
    Case {
        id: "pt-2/network-that-ends",
        line: 114,
        side: Side::Both,
        limit: LONG,
        requirement: "When the connection between client and server ends by a FIN to both, neither the application nor the ORPort is left with an open connection on which nothing moves.",
        reference: "pt-spec 2; middleboxes end connections in either way",
        reading: "As for a reset.",
        check: run!(ending_network),
        ..Case::BASE
    },
    Case {
        id: "pt-2/idle-connection-lives",
        line: 114,
        side: Side::Both,
        limit: LONG,
        requirement: "A connection on which nothing is said for 20 s stays open, and carries what comes then.",
        reference: "pt-spec 2; tor's connections are often idle, and tor closes them when it wants to",
        check: run!(idle),
        ..Case::BASE
    },
    Case {
        id: "pt-2/sends-at-once",
        line: 115,
        level: Level::Should,
        side: Side::Both,
        requirement: "TCP_NODELAY is on at all four sockets of a tunnel, so that a cell does not wait for the acknowledgement of the one before.",
        reference: "goptlib inherits it from Go's net package; tor sets it on its own connections",
        reading: "Sockets to the network count where the transport has a TCP connection to the bridge's address.",
        check: run!(nodelay),
        ..Case::BASE
    },
    Case {
        id: "pt-2/network-connections-are-kept-alive",
        line: 115,
        level: Level::Should,
        side: Side::Both,
        requirement: "SO_KEEPALIVE is on at both sockets between client and server, so that a peer that vanished is noticed.",
        reference: "goptlib inherits it from Go's net package",
        check: run!(keepalive),
        ..Case::BASE
    },
];

const WAYS: [Direction; 2] = [Direction::Onward, Direction::Back];

/// A pair with a link between its halves.
struct Linked {
    pair: Pair,
    link: Link,
}

impl Linked {
    async fn start(bench: &Bench) -> Verdict<Linked> {
        let pair = Pair::start(bench).await?;
        let link = Link::start(pair.bridge.door).await?;
        Ok(Linked { pair, link })
    }

    async fn open(&self) -> Verdict<Tunnel> {
        let tunnel = self.pair.open_at(self.link.addr()).await?;
        match self.link.connections() {
            0 => Err(elsewhere()),
            _ => Ok(tunnel),
        }
    }
}

fn elsewhere() -> Failure {
    Failure::NotApplicable(
        "the transport has no TCP connection to the address of its bridge".to_owned(),
    )
}

async fn slow_network(bench: &Bench) -> Verdict {
    let linked = Linked::start(bench).await?;
    for way in WAYS {
        linked.link.delay(way, Duration::from_millis(100));
    }
    both_ways(&mut linked.open().await?, 1, MIB / 4).await
}

async fn cutting_network(bench: &Bench) -> Verdict {
    let pair = Pair::start(bench).await?;
    let dripping = Dripping::start(pair.bridge.door).await?;
    let mut tunnel = pair.open_at(dripping.addr).await?;
    match dripping.connections() {
        0 => Err(elsewhere()),
        _ => both_ways(&mut tunnel, 2, 5000).await,
    }
}

async fn pausing_network(bench: &Bench) -> Verdict {
    let linked = Linked::start(bench).await?;
    let mut tunnel = linked.open().await?;
    let pause = async {
        for way in WAYS {
            linked.link.stall(way);
        }
        tokio::time::sleep(2 * A_WHILE).await;
        for way in WAYS {
            linked.link.resume(way);
        }
        Ok(())
    };
    tokio::try_join!(pause, both_ways(&mut tunnel, 3, 2 * MIB)).map(drop)
}

async fn resetting_network(bench: &Bench) -> Verdict {
    let linked = Linked::start(bench).await?;
    let tunnel = linked.open().await?;
    linked.link.reset();
    ends_or_lives(tunnel).await?;
    both_ways(&mut linked.open().await?, 4, 10_000).await
}

async fn ending_network(bench: &Bench) -> Verdict {
    let linked = Linked::start(bench).await?;
    let tunnel = linked.open().await?;
    for way in WAYS {
        linked.link.half_close(way);
    }
    ends_or_lives(tunnel).await?;
    both_ways(&mut linked.open().await?, 5, 10_000).await
}

/// Both connections have to end, or the tunnel has to carry a byte each way.
async fn ends_or_lives(mut tunnel: Tunnel) -> Verdict {
    let (app, tor) = tokio::join!(
        read_to_end(&mut tunnel.app, SOON),
        read_to_end(&mut tunnel.tor, SOON)
    );
    let open = [("application", app.1), ("ORPort", tor.1)];
    for ((got, _), (end, _)) in [app, tor].into_iter().zip(open) {
        ensure!(
            got.is_empty(),
            "the {end} receives {} that nobody sent",
            hex(&got)
        );
    }
    match open.map(|(_, ended)| ended == Ended::Silent) {
        [false, false] => Ok(()),
        [true, true] => {
            let alive = async {
                write_all(&mut tunnel.app, b"up", SOON).await.ok()?;
                read_exactly(&mut tunnel.tor, 2, SOON).await.ok()?;
                write_all(&mut tunnel.tor, b"down", SOON).await.ok()?;
                read_exactly(&mut tunnel.app, 4, SOON).await.ok()
            };
            ensure!(
                alive.await.is_some(),
                "{SOON:?} later both connections are open, and nothing arrives"
            );
            Ok(())
        }
        _ => {
            let [app, tor] = open.map(|(_, ended)| ended);
            deviation!(
                "{SOON:?} later the application's connection is {app}, and the ORPort's is {tor}"
            )
        }
    }
}

async fn idle(bench: &Bench) -> Verdict {
    let pair = Pair::start(bench).await?;
    let mut tunnel = pair.open().await?;
    stays_silent(&mut tunnel, Duration::from_secs(20)).await?;
    both_ways(&mut tunnel, 6, 10_000).await
}

async fn nodelay(bench: &Bench) -> Verdict {
    let pair = Pair::start(bench).await?;
    let tunnel = pair.open().await?;
    let (app, tor) = (tunnel.app.local_addr()?, tunnel.tor.local_addr()?);
    let (client, server) = (pair.client.pid(), pair.bridge.server.pid());
    let local = [
        (
            "the client's to the application",
            socket(client, |_, peer| peer == app)?,
        ),
        (
            "the server's to the ORPort",
            socket(server, |_, peer| peer == tor)?,
        ),
    ];
    let mut slow = Vec::new();
    for (name, socket) in local {
        let socket = socket.ok_or_else(|| Failure::Instrument(format!("{name}: not found")))?;
        if !socket.tcp_nodelay()? {
            slow.push(name);
        }
    }
    for (name, socket) in network(&pair)? {
        if !socket.tcp_nodelay()? {
            slow.push(name);
        }
    }
    ensure!(
        slow.is_empty(),
        "sockets without TCP_NODELAY: {}",
        slow.join(", ")
    );
    Ok(())
}

async fn keepalive(bench: &Bench) -> Verdict {
    let pair = Pair::start(bench).await?;
    let _tunnel = pair.open().await?;
    let sockets = network(&pair)?;
    if sockets.is_empty() {
        return Err(elsewhere());
    }
    let mut mortal = Vec::new();
    for (name, socket) in sockets {
        if !socket.keepalive()? {
            mortal.push(name);
        }
    }
    ensure!(
        mortal.is_empty(),
        "sockets without SO_KEEPALIVE: {}",
        mortal.join(", ")
    );
    Ok(())
}

/// The sockets between client and server, as far as they are TCP's.
fn network(pair: &Pair) -> Verdict<Vec<(&'static str, socket2::Socket)>> {
    let bridge = pair.bridge.door;
    let client = socket(pair.client.pid(), |_, peer| peer == bridge)?;
    let server = socket(pair.bridge.server.pid(), |own, _| own == bridge)?;
    let both = [
        ("the client's to the server", client),
        ("the server's to the client", server),
    ];
    Ok(both
        .into_iter()
        .filter_map(|(name, socket)| Some((name, socket?)))
        .collect())
}
