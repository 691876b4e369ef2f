//! The source address of outgoing connections (`TOR_PT_OUTBOUND_BIND_ADDRESS_V4` and `_V6`).
//!
//! They have no say on loopback, and beyond it a client is tried in a [cage](super::cage).

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::time::Duration;

use super::cage::Cage;
use super::sides;
use crate::bench::Bench;
use crate::case::{Case, Level, Side, run};
use crate::cases::version::fails_with;
use crate::instruments::pair::Pair;
use crate::instruments::parent::Launch;
use crate::instruments::socks::{self, Target};
use crate::instruments::upstream::{Behaviour, Kind, Upstream, dead_address};
use crate::instruments::wire::{SOON, dial};
use crate::verdict::{Failure, Verdict, ensure};

/// The cases, in the ledger's order.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "pt-3.2.1/outbound-v4",
        line: 22,
        level: Level::Should,
        side: Side::Client,
        requirement: "TOR_PT_OUTBOUND_BIND_ADDRESS_V4 is the source address of an IPv4 connection to the bridge.",
        reference: "pt-spec 3.2.1; tor sets it from OutboundBindAddressPT",
        limit: PATIENT,
        check: run!(v4),
        ..Case::BASE
    },
    Case {
        id: "pt-3.2.1/outbound-v4-not-to-loopback",
        line: 22,
        side: Side::Both,
        requirement: "TOR_PT_OUTBOUND_BIND_ADDRESS_V4 is ignored for destinations in 127.0.0.0/8: the bridge of a client, and the ORPort of a server.",
        reference: "pt-spec 3.2.1: this setting MUST be ignored for connections to loopback addresses",
        limit: PATIENT,
        check: run!(v4_not_to_loopback),
        ..Case::BASE
    },
    Case {
        id: "pt-3.2.1/outbound-empty",
        line: 22,
        side: Side::Client,
        requirement: "Bind addresses that are empty are as good as unset: the system chooses the source address.",
        reference: "pt-spec 3.2.1: if this value is unset or empty, the PT proxy MUST use the default source address",
        limit: PATIENT,
        check: run!(empty),
        ..Case::BASE
    },
    Case {
        id: "pt-3.2.1/outbound-v6",
        line: 23,
        level: Level::Should,
        side: Side::Client,
        requirement: "TOR_PT_OUTBOUND_BIND_ADDRESS_V6, in its square brackets, is the source address of an IPv6 connection to the bridge.",
        reference: "pt-spec 3.2.1: IPv6 addresses MUST always be wrapped in square brackets",
        limit: PATIENT,
        check: run!(v6),
        ..Case::BASE
    },
    Case {
        id: "pt-3.2.1/outbound-v6-not-to-loopback",
        line: 23,
        side: Side::Both,
        requirement: "TOR_PT_OUTBOUND_BIND_ADDRESS_V6 is ignored for connections to [::1].",
        reference: "pt-spec 3.2.1: this setting MUST be ignored for connections to the loopback address ([::1])",
        limit: PATIENT,
        check: run!(v6_not_to_loopback),
        ..Case::BASE
    },
    Case {
        id: "pt-3.2.1/outbound-towards-the-proxy",
        line: 23,
        level: Level::Should,
        side: Side::Client,
        requirement: "The bind address is the source of connections to the upstream proxy, too.",
        reference: "pt-spec 3.2.1: outgoing IP packets",
        reading: "With TOR_PT_PROXY set, the connections to it are the outgoing ones.",
        limit: PATIENT,
        check: run!(towards_the_proxy),
    },
    Case {
        id: "pt-3.2.1/outbound-not-to-a-loopback-proxy",
        line: 23,
        side: Side::Client,
        requirement: "The bind address is ignored for connections to an upstream proxy on loopback.",
        reference: "pt-spec 3.2.1: ignored for connections to loopback addresses",
        limit: PATIENT,
        check: run!(not_to_a_loopback_proxy),
        ..Case::BASE
    },
    Case {
        id: "pt-3.2.1/outbound-v4-malformed",
        line: 24,
        level: Level::Should,
        requirement: "A TOR_PT_OUTBOUND_BIND_ADDRESS_V4 that is no IPv4 address is answered with ENV-ERROR.",
        reference: "pt-spec 3.3.1: the process must validate that all values supplied are well formed",
        limit: PATIENT,
        check: run!(v4_malformed),
        ..Case::BASE
    },
    Case {
        id: "pt-3.2.1/outbound-v6-malformed",
        line: 24,
        level: Level::Should,
        requirement: "A TOR_PT_OUTBOUND_BIND_ADDRESS_V6 that is no IPv6 address is answered with ENV-ERROR.",
        reference: "pt-spec 3.3.1: the process must validate that all values supplied are well formed",
        reading: "An address without its brackets is not tried: to take it is lenient, to refuse it is right.",
        limit: PATIENT,
        check: run!(v6_malformed),
        ..Case::BASE
    },
    Case {
        id: "pt-3.2.1/outbound-not-assignable",
        line: 24,
        level: Level::Should,
        side: Side::Client,
        requirement: "With a bind address that is not this machine's, connections fail: the SOCKS reply says so, none leaves from another address, and the process lives on.",
        reference: "pt-spec 3.2.1: people with multiple network interfaces specify explicitly which one is used",
        reading: "Any reply but 00 will do.",
        limit: PATIENT,
        check: run!(not_assignable),
    },
];

/// For cases that start many processes, some of them in a cage.
const PATIENT: Duration = Duration::from_secs(90);

const V4: &str = "TOR_PT_OUTBOUND_BIND_ADDRESS_V4";
const V6: &str = "TOR_PT_OUTBOUND_BIND_ADDRESS_V6";

/// Bridges beyond loopback, in networks of documentation (RFC 5737, RFC 3849). Nothing is sent there.
const FAR_V4: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 9), 443));
const FAR_V6: SocketAddr = SocketAddr::V6(SocketAddrV6::new(
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 9),
    443,
    0,
    0,
));

/// Addresses that are nobody's (RFC 5737, RFC 3849).
const NOT_OURS_V4: &str = "203.0.113.7";
const NOT_OURS_V6: &str = "[2001:db8::7]";

const MALFORMED_V4: [&str; 6] = [
    "garbage",
    "127.0.0",
    "127.0.0.256",
    "127.0.0.1:80",
    "[::1]",
    "localhost",
];
const MALFORMED_V6: [&str; 6] = [
    "garbage",
    "127.0.0.1",
    "[127.0.0.1]",
    "[::1",
    "[::1]:80",
    "[::g]",
];

async fn v4(bench: &Bench) -> Verdict {
    let change = |launch: Launch| launch.set(V4, "127.0.0.2");
    binds_to(bench, |launch| launch, change, FAR_V4, "127.0.0.2").await
}

async fn v6(bench: &Bench) -> Verdict {
    // The address of the other family has no part in it.
    let change = |launch: Launch| launch.set(V6, "[::1]").set(V4, "127.0.0.2");
    binds_to(bench, |launch| launch, change, FAR_V6, "::1").await
}

async fn towards_the_proxy(bench: &Bench) -> Verdict {
    let proxy = |launch: Launch| launch.set("TOR_PT_PROXY", format!("socks5://{FAR_V4}"));
    let change = |launch: Launch| launch.set(V4, "127.0.0.2");
    binds_to(bench, proxy, change, FAR_V4, "127.0.0.2").await
}

/// Expects a client that connects to `far` when it is started like `usual` to do so from `source` after the `change`.
async fn binds_to(
    bench: &Bench,
    usual: impl Fn(Launch) -> Launch,
    change: impl FnOnce(Launch) -> Launch,
    far: SocketAddr,
    source: &str,
) -> Verdict {
    dials(bench, &usual, far).await?;
    let cage = Cage::close(bench, |launch| change(usual(launch))).await?;
    let reply = cage.ask(far).await?;
    let tried = cage.open(far).await?;
    ensure!(
        !tried.connects.is_empty(),
        "with the bind address set it does not connect to {far} at all; the SOCKS reply is {reply}"
    );
    let source = format!("\"{source}\"");
    for (connect, bind) in tried.connects.iter().zip(tried.binds) {
        ensure!(
            bind.as_ref().is_some_and(|bind| bind.contains(&source)),
            "expected a bind to {source} before {connect}, but saw {}",
            bind.as_deref().unwrap_or("none")
        );
    }
    Ok(())
}

/// Makes sure that a client without a bind address connects to `far`: some take it for a name only.
async fn dials(bench: &Bench, change: impl FnOnce(Launch) -> Launch, far: SocketAddr) -> Verdict {
    let nobody = || Failure::NotApplicable(format!("it does not connect to {far}"));
    let cage = match Cage::close(bench, change).await {
        // It takes no upstream proxy, for instance.
        Err(Failure::Deviation(_)) => return Err(nobody()),
        cage => cage?,
    };
    // Whatever the SOCKS reply is.
    let _ = cage.ask(far).await;
    match cage.open(far).await?.connects.is_empty() {
        true => Err(nobody()),
        false => Ok(()),
    }
}

async fn empty(bench: &Bench) -> Verdict {
    let cage = Cage::close(bench, |launch| launch.set(V4, "").set(V6, "")).await?;
    // Whatever the SOCKS reply is.
    let _ = cage.ask(FAR_V4).await;
    let tried = cage.open(FAR_V4).await?;
    if tried.connects.is_empty() {
        dials(bench, |launch| launch, FAR_V4).await?;
        return Err(Failure::Deviation(format!(
            "with empty bind addresses it does not connect to {FAR_V4}, without them it does"
        )));
    }
    let bound = tried
        .binds
        .iter()
        .flatten()
        .find(|bind| !bind.contains("0.0.0.0"));
    ensure!(
        bound.is_none(),
        "with empty bind addresses it binds before it connects: {bound:?}"
    );
    Ok(())
}

async fn v4_not_to_loopback(bench: &Bench) -> Verdict {
    let elsewhere = |launch: Launch| launch.set(V4, NOT_OURS_V4);
    let pair = Pair::start_with(bench, elsewhere, elsewhere).await?;
    pair.open().await.map(drop)
}

async fn v6_not_to_loopback(bench: &Bench) -> Verdict {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return Err(Failure::Instrument("this machine has no [::1]".to_owned()));
    }
    let elsewhere = |launch: Launch| launch.set(V6, NOT_OURS_V6);
    let addr = format!("{}-[::1]:0", bench.transport());
    let server = |launch| elsewhere(launch).set("TOR_PT_SERVER_BINDADDR", addr);
    let pair = Pair::start_with(bench, server, elsewhere).await?;
    pair.open().await.map(drop)
}

async fn not_to_a_loopback_proxy(bench: &Bench) -> Verdict {
    visits_the_proxy(bench, |launch| launch)
        .await
        .map_err(|failure| match failure {
            Failure::Deviation(_) => Failure::NotApplicable(
                "it uses no socks5 proxy for connections to the bridge".to_owned(),
            ),
            failure => failure,
        })?;
    visits_the_proxy(bench, |launch| {
        launch.set(V4, NOT_OURS_V4).set(V6, NOT_OURS_V6)
    })
    .await
}

async fn visits_the_proxy(bench: &Bench, change: impl FnOnce(Launch) -> Launch) -> Verdict {
    let upstream = Upstream::start(Kind::Socks5(0), Behaviour::Refuse(2)).await?;
    let args = bench.bridge_args().await?;
    let client = bench
        .client()
        .set("TOR_PT_PROXY", format!("socks5://{}", upstream.addr()));
    let ready = change(client).ready().await?;
    // On loopback, in case the proxy is gone around.
    let bridge = dead_address()?;
    let target = Target::Ip(bridge.addr());
    socks::open(ready.method.addr, &args, &target, SOON).await?;
    upstream.visit(SOON).await.map(drop)
}

async fn v4_malformed(bench: &Bench) -> Verdict {
    malformed(bench, V4, MALFORMED_V4).await
}

async fn v6_malformed(bench: &Bench) -> Verdict {
    malformed(bench, V6, MALFORMED_V6).await
}

async fn malformed(bench: &Bench, variable: &str, values: [&str; 6]) -> Verdict {
    for value in values {
        for launch in sides(bench) {
            let said = fails_with("ENV-ERROR", launch.set(variable, value)).await;
            said.map_err(|failure| failure.when(format_args!("{variable}={value}")))?;
        }
    }
    Ok(())
}

async fn not_assignable(bench: &Bench) -> Verdict {
    dials(bench, |launch| launch, FAR_V4).await?;
    let mut cage = Cage::close(bench, |launch| launch.set(V4, NOT_OURS_V4)).await?;
    for _ in 0..2 {
        let reply = cage.ask(FAR_V4).await?;
        ensure!(
            reply.code != 0,
            "the SOCKS reply is {reply}, although {NOT_OURS_V4} is not this machine's"
        );
    }
    cage.ready.pt.must_run().await?;
    dial(cage.ready.method.addr).await?;
    let connects = cage.open(FAR_V4).await?.connects;
    ensure!(
        connects.is_empty(),
        "it connects from another address than {NOT_OURS_V4}: {connects:?}"
    );
    Ok(())
}
