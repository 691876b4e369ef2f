//! Where a server listens: `TOR_PT_SERVER_BINDADDR` (pt-spec 3.2.3).

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use super::SERVER;
use crate::bench::{Bench, UNUSED_ORPORT};
use crate::case::{Case, Level, run};
use crate::cases::launching::{Role, done, told_failed};
use crate::cases::version::{failed_with, fails_with};
use crate::instruments::listeners::listening;
use crate::instruments::parent::{Launch, Ready};
use crate::instruments::wire::{dial, listen};
use crate::verdict::{Failure, Verdict, deviation, ensure};

const VARIABLE: &str = "TOR_PT_SERVER_BINDADDR";

pub(super) const CASES: &[Case] = &[
    Case {
        id: "pt-3.2.3/bindaddr-ipv6",
        line: 51,
        requirement: "An IPv6 bind address in brackets is taken: the server listens there.",
        reference: "pt-spec 3.2.3, TOR_PT_SERVER_BINDADDR: an IP address supported by bind()",
        check: run!(ipv6),
        ..SERVER
    },
    Case {
        id: "pt-3.2.3/bindaddr-ipv6-bare",
        line: 51,
        level: Level::Should,
        requirement: "An IPv6 bind address without brackets is taken too: the port is what stands behind the last colon.",
        reference: "goptlib, for a tor that left the brackets out (bug 7011)",
        reading: "SHOULD, since no tor in use does so.",
        check: run!(ipv6_bare),
        ..SERVER
    },
    Case {
        id: "pt-3.2.3/bindaddr-host-name",
        line: 51,
        requirement: "A host name as bind address is answered with ENV-ERROR.",
        reference: "pt-spec 3.2.3: MUST NOT be a host name, and 3.3.1, ENV-ERROR",
        check: run!(host_name),
        ..SERVER
    },
    Case {
        id: "pt-3.2.3/bindaddr-malformed",
        line: 51,
        requirement: "An item that is no name, dash, IP address, colon and port is answered with ENV-ERROR.",
        reference: "pt-spec 3.2.3, TOR_PT_SERVER_BINDADDR, and 3.3.1, ENV-ERROR",
        limit: std::time::Duration::from_secs(60),
        check: run!(malformed),
        ..SERVER
    },
    Case {
        id: "pt-3.2.3/bindaddr-of-others",
        line: 52,
        requirement: "Items for names that TOR_PT_SERVER_TRANSPORTS does not list are dropped without a line.",
        reference: "goptlib; the transports to launch are those of TOR_PT_SERVER_TRANSPORTS (pt-spec 3.2.3)",
        check: run!(of_others),
        ..SERVER
    },
    Case {
        id: "pt-3.2.3/bindaddr-twice",
        line: 53,
        requirement: "Two bind addresses for one transport are answered with ENV-ERROR.",
        reference: "pt-spec 3.2.3: MUST NOT set more than one pair per PT name; goptlib",
        reading: "What the parent must not do, the transport refuses: it could not know which one is meant.",
        check: run!(twice),
        ..SERVER
    },
    Case {
        id: "pt-3.2.3/bindaddr-omitted",
        line: 54,
        level: Level::Should,
        requirement: "Without TOR_PT_SERVER_BINDADDR a transport is launched on a port of its own choice.",
        reference: "pt-spec 3.2.3: the variable MAY be omitted",
        check: run!(omitted),
        ..SERVER
    },
    Case {
        id: "pt-3.2.3/bindaddr-without-an-item",
        line: 54,
        level: Level::Should,
        requirement: "A transport for which TOR_PT_SERVER_BINDADDR has no item is launched on a port of its own choice.",
        reference: "pt-spec 3.2.3; tor restarts at every SIGHUP a server that has launched less than it was asked for",
        check: run!(without_an_item),
        ..SERVER
    },
    Case {
        id: "pt-3.3.3/bindaddr-is-bound",
        line: 55,
        requirement: "The server listens at exactly the address and port of its item.",
        reference: "pt-spec 3.3.3: MUST be initialized using that as the server address",
        check: run!(exactly),
        ..SERVER
    },
    Case {
        id: "pt-3.3.3/bindaddr-taken",
        line: 55,
        requirement: "A port that somebody else listens on gives SMETHOD-ERROR, and no other port is taken instead.",
        reference: "pt-spec 3.3.3, SMETHOD-ERROR",
        check: run!(taken),
        ..SERVER
    },
    Case {
        id: "pt-3.3.3/bindaddr-not-ours",
        line: 55,
        requirement: "An address that this machine does not have gives SMETHOD-ERROR.",
        reference: "pt-spec 3.3.3, SMETHOD-ERROR",
        check: run!(not_ours),
        ..SERVER
    },
    Case {
        id: "tor-transports/bindaddr-null",
        line: 56,
        level: Level::Should,
        requirement: "The bind address 0.0.0.0 lets IPv4 clients in, at the port that the SMETHOD line tells.",
        reference: "tor's default for every transport is 0.0.0.0:0; it puts its published address in place of a null one",
        check: run!(null),
        ..SERVER
    },
];

fn with(bench: &Bench, value: impl AsRef<str>) -> Launch {
    bench.server(UNUSED_ORPORT).set(VARIABLE, value.as_ref())
}

async fn ipv6(bench: &Bench) -> Verdict {
    listens_at_ipv6(bench, "[::1]:0").await
}

async fn ipv6_bare(bench: &Bench) -> Verdict {
    listens_at_ipv6(bench, "::1:0").await
}

async fn listens_at_ipv6(bench: &Bench, value: &str) -> Verdict {
    if TcpListener::bind("[::1]:0").is_err() {
        return Err(Failure::NotApplicable(
            "this machine has no IPv6 loopback address".to_owned(),
        ));
    }
    let ready = with(bench, format!("{}-{value}", bench.transport()))
        .ready()
        .await?;
    let bound = listening(ready.pt.pid())?;
    let there = bound
        .iter()
        .find(|at| at.ip().is_ipv6() && at.ip().is_loopback());
    let Some(there) = there else {
        deviation!("with {value} it listens at {bound:?}");
    };
    dial(*there).await.map(drop)
}

async fn host_name(bench: &Bench) -> Verdict {
    refused(bench, "-localhost:0").await
}

async fn malformed(bench: &Bench) -> Verdict {
    for item in [
        "",
        "-",
        "-127.0.0.1",
        "-127.0.0.1:",
        "-127.0.0.1:x",
        "-127.0.0.1:65536",
        "-:0",
        "-127.0.0.256:0",
    ] {
        refused(bench, item).await?;
    }
    Ok(())
}

/// The transport's name with this behind it is answered with ENV-ERROR.
async fn refused(bench: &Bench, item: &str) -> Verdict {
    let value = format!("{}{item}", bench.transport());
    let refused = fails_with("ENV-ERROR", with(bench, &value)).await;
    refused
        .map(drop)
        .map_err(|failure| failed_with(VARIABLE, &value, failure))
}

async fn of_others(bench: &Bench) -> Verdict {
    let name = bench.transport();
    let value = format!("pt_spec_other-127.0.0.1:0,{name}-127.0.0.1:0,pt_spec_more-127.0.0.1:0");
    let said = done(with(bench, value)).await?;
    let names = Role::Server.names(&said);
    ensure!(
        names == [name],
        "with items for others it launched {names:?}"
    );
    let failed = Role::Server.failed(&said);
    ensure!(
        failed.is_empty(),
        "items for others get error lines: {:?}",
        said.lines
    );
    Ok(())
}

async fn twice(bench: &Bench) -> Verdict {
    let name = bench.transport();
    let value = format!("{name}-127.0.0.1:0,{name}-127.0.0.1:0");
    fails_with("ENV-ERROR", with(bench, value)).await.map(drop)
}

async fn omitted(bench: &Bench) -> Verdict {
    on_its_own(bench.server(UNUSED_ORPORT).unset(VARIABLE).ready().await?).await
}

async fn without_an_item(bench: &Bench) -> Verdict {
    on_its_own(with(bench, "pt_spec_other-127.0.0.1:0").ready().await?).await
}

async fn on_its_own(ready: Ready) -> Verdict {
    let bound = listening(ready.pt.pid())?;
    ensure!(
        !bound.is_empty(),
        "it says {:?} and listens nowhere",
        ready.said.lines
    );
    Ok(())
}

async fn exactly(bench: &Bench) -> Verdict {
    let asked = free_address()?;
    let ready = with(bench, format!("{}-{asked}", bench.transport()))
        .ready()
        .await?;
    let bound = listening(ready.pt.pid())?;
    ensure!(
        bound.contains(&asked),
        "asked for {asked}, it listens at {bound:?}"
    );
    let wider = bound
        .iter()
        .find(|at| at.port() == asked.port() && **at != asked);
    ensure!(
        wider.is_none(),
        "asked for {asked}, it listens at {wider:?} as well"
    );
    dial(asked).await.map(drop)
}

/// An address of loopback that hardly anybody else uses, with a port that was free a moment ago.
fn free_address() -> Verdict<SocketAddr> {
    let mut last = [0; 2];
    getrandom::fill(&mut last).map_err(|error| Failure::Instrument(error.to_string()))?;
    // Linux has all of 127.0.0.0/8; elsewhere it is 127.0.0.1 alone.
    let remote = Ipv4Addr::new(127, 93, last[0], last[1] | 1);
    let found = TcpListener::bind((remote, 0)).or_else(|_| TcpListener::bind("127.0.0.1:0"));
    Ok(found?.local_addr()?)
}

async fn taken(bench: &Bench) -> Verdict {
    let (_listener, addr) = listen().await?;
    let said = done(with(bench, format!("{}-{addr}", bench.transport()))).await?;
    let names = Role::Server.names(&said);
    ensure!(
        names.is_empty(),
        "{addr} is taken, yet it says {:?}",
        said.lines
    );
    told_failed(bench, Role::Server, &said)
}

async fn not_ours(bench: &Bench) -> Verdict {
    // TEST-NET-1 (RFC 5737).
    let foreign = "192.0.2.1:0";
    if TcpListener::bind(foreign).is_ok() {
        return Err(Failure::NotApplicable(
            "this machine lets anybody bind foreign addresses".to_owned(),
        ));
    }
    let said = done(with(bench, format!("{}-{foreign}", bench.transport()))).await?;
    told_failed(bench, Role::Server, &said)
}

async fn null(bench: &Bench) -> Verdict {
    let ready = with(bench, format!("{}-0.0.0.0:0", bench.transport()))
        .ready()
        .await?;
    let bound = listening(ready.pt.pid())?;
    let Some(port) = bound
        .iter()
        .find(|at| at.ip().is_unspecified())
        .map(SocketAddr::port)
    else {
        deviation!("with 0.0.0.0:0 it listens at {bound:?}");
    };
    let announced = ready.method.addr;
    ensure!(
        announced.port() == port || !announced.ip().is_unspecified(),
        "it listens at port {port} and announces {announced}"
    );
    dial(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .await
        .map(drop)
}
