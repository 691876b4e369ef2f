//! What the server says about the connection that it brings, and when payload may follow (ext-orport-spec 3).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use tokio::net::TcpListener;

use crate::bench::Bench;
use crate::case::{Case, Level, Side, run};
use crate::instruments::orport::{DONE, OKAY, TRANSPORT, USERADDR, frame};
use crate::instruments::wire::{A_WHILE, Ended, SOON, hex, write_all};
use crate::verdict::{Failure, Verdict, ensure};

use super::reached::{Reached, reach};
use super::scene::{HELLO, Scene, WELCOME, carries, expect};

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "extor-3.1/address-and-transport",
        line: 120,
        side: Side::Both,
        requirement: "The server introduces a connection with one USERADDR and one TRANSPORT, and ends with DONE.",
        reference: "ext-orport-spec 3.1: frames of a command, a length and a body",
        reading: "The specification obliges to neither; bridges count their clients by country and transport from them.",
        check: run!(address_and_transport),
        ..Case::BASE
    },
    Case {
        id: "extor-3.1/frames-in-order",
        line: 120,
        level: Level::Should,
        side: Side::Both,
        requirement: "The frames are USERADDR, TRANSPORT and DONE, in this order, and no others.",
        reference: "ext-orport-spec 3.1; goptlib, and every transport that tor has met",
        reading: "SHOULD, since tor takes them in any order and skips what it does not know.",
        check: run!(frames_in_order),
        ..Case::BASE
    },
    Case {
        id: "extor-3.2.1/useraddr-of-ipv4",
        line: 120,
        side: Side::Both,
        requirement: "USERADDR is the client's own address and port as `1.2.3.4:5678`, without a NUL.",
        reference: "ext-orport-spec 3.2.1; tor closes the connection for another form, and for port 0",
        check: run!(useraddr_of_ipv4),
        ..Case::BASE
    },
    Case {
        id: "extor-3.2.1/useraddr-of-ipv6",
        line: 120,
        side: Side::Both,
        requirement: "USERADDR of an IPv6 client has its address in brackets, `[1:2::3]:5678`.",
        reference: "ext-orport-spec 3.2.1",
        check: run!(useraddr_of_ipv6),
        ..Case::BASE
    },
    Case {
        id: "extor-3.2.2/transport-name",
        line: 120,
        side: Side::Both,
        requirement: "TRANSPORT is the method name that tor asked for, without a NUL.",
        reference: "ext-orport-spec 3.2.2: a C identifier; tor closes the connection for any other",
        check: run!(transport_name),
        ..Case::BASE
    },
    Case {
        id: "extor-3.1/no-payload-before-okay",
        line: 121,
        side: Side::Both,
        requirement: "After DONE the server sends nothing until OKAY has come, however much the client has sent.",
        reference: "ext-orport-spec 3.1, OKAY: send the user's traffic; tor closes the connection if anything follows DONE",
        check: run!(no_payload_before_okay),
        ..Case::BASE
    },
    Case {
        id: "extor-3.1/payload-in-the-segment-of-okay",
        line: 121,
        side: Side::Both,
        requirement: "Payload that comes in the same segment as OKAY reaches the client.",
        reference: "ext-orport-spec 3.1: the bytes after the frame are the connection's",
        check: run!(payload_with_okay),
        ..Case::BASE
    },
    Case {
        id: "extor-3.2.1/mapped-address-is-ipv4",
        line: 124,
        side: Side::Both,
        requirement: "The IPv4 client of a listener for both families is told as plain IPv4, not as `[::ffff:1.2.3.4]`.",
        reference: "ext-orport-spec 3.2.1: the two recognized formats; tor would count the mapped form as IPv6",
        check: run!(mapped_address),
        ..Case::BASE
    },
    Case {
        id: "tor-ext_orport/no-scope-in-useraddr",
        line: 124,
        level: Level::Real,
        side: Side::Both,
        requirement: "USERADDR has no scope: `[fe80::1]:5678`, not `[fe80::1%eth0]:5678`.",
        reference: "tor closes the connection for a scope (ext_orport.c); the formats of ext-orport-spec 3.2.1 have none",
        reading: "Where this machine has a link-local address the client comes from it, over the server's listener on all addresses.",
        check: run!(no_scope),
        ..Case::BASE
    },
];

/// Two of the many addresses of the loopback interface.
const CLIENTS: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(127, 3, 2, 1)),
    IpAddr::V4(Ipv4Addr::new(127, 4, 5, 6)),
];

async fn address_and_transport(bench: &Bench) -> Verdict {
    let scene = Scene::start(bench).await?;
    let (_app, server) = scene.introduced().await?;
    for (command, name) in [
        (USERADDR, "USERADDR"),
        (TRANSPORT, "TRANSPORT"),
        (DONE, "DONE"),
    ] {
        let count = server
            .frames
            .iter()
            .filter(|(found, _)| *found == command)
            .count();
        ensure!(
            count == 1,
            "{count} frames of {name} among {:x?}",
            server.frames
        );
    }
    Ok(())
}

async fn frames_in_order(bench: &Bench) -> Verdict {
    let scene = Scene::start(bench).await?;
    let (_app, server) = scene.introduced().await?;
    let commands: Vec<_> = server.frames.iter().map(|(command, _)| *command).collect();
    ensure!(
        commands == [USERADDR, TRANSPORT, DONE],
        "the commands are {commands:x?}"
    );
    Ok(())
}

async fn no_scope(bench: &Bench) -> Verdict {
    let own = link_local().ok_or_else(|| {
        Failure::NotApplicable("this machine has no link-local address".to_owned())
    })?;
    let (scene, bridge) = listening_on(bench, Ipv6Addr::UNSPECIFIED).await?;
    let bridge = SocketAddrV6::new(*own.ip(), bridge.port(), 0, own.scope_id());
    let reached = reach(&scene, bridge.into(), own.into()).await?;
    told(
        &reached,
        SocketAddr::new(own.ip().to_owned().into(), reached.from.port()),
    )
}

/// An address of this machine that is good on one link only, with the number of the link; Linux tells.
fn link_local() -> Option<SocketAddrV6> {
    let list = std::fs::read_to_string("/proc/net/if_inet6").ok()?;
    list.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let ip = u128::from_str_radix(words.next()?, 16).ok()?;
        let link = u32::from_str_radix(words.next()?, 16).ok()?;
        let addr = SocketAddrV6::new(ip.into(), 0, 0, link);
        // One whose link is down, or which is not settled yet, cannot be bound.
        let usable = || std::net::TcpListener::bind(addr).is_ok();
        (addr.ip().is_unicast_link_local() && usable()).then_some(addr)
    })
}

async fn useraddr_of_ipv4(bench: &Bench) -> Verdict {
    let scene = Scene::start(bench).await?;
    for client in CLIENTS {
        let reached = reach(&scene, scene.pair.bridge.door, (client, 0).into()).await?;
        told(&reached, reached.from)?;
    }
    Ok(())
}

async fn useraddr_of_ipv6(bench: &Bench) -> Verdict {
    let (scene, bridge) = listening_on(bench, Ipv6Addr::LOCALHOST).await?;
    let reached = reach(&scene, bridge, (Ipv6Addr::LOCALHOST, 0).into()).await?;
    told(&reached, reached.from)
}

async fn mapped_address(bench: &Bench) -> Verdict {
    let (scene, bridge) = listening_on(bench, Ipv6Addr::UNSPECIFIED).await?;
    let bridge = SocketAddr::from((Ipv4Addr::LOCALHOST, bridge.port()));
    // A listener for both families has the port of IPv4 as well; to find out by a connection would be to visit.
    if TcpListener::bind(bridge).await.is_ok() {
        return Err(Failure::NotApplicable(
            "a listener on [::] takes IPv6 alone".to_owned(),
        ));
    }
    let reached = reach(&scene, bridge, (CLIENTS[0], 0).into()).await?;
    told(&reached, reached.from)
}

/// A scene with the server on an address of IPv6.
async fn listening_on(bench: &Bench, ip: Ipv6Addr) -> Verdict<(Scene, SocketAddr)> {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await.is_err() {
        return Err(Failure::Instrument("this machine has no [::1]".to_owned()));
    }
    let addr = format!("{}-[{ip}]:0", bench.transport());
    let scene =
        Scene::start_with(bench, |server| server.set("TOR_PT_SERVER_BINDADDR", addr)).await?;
    let bridge = scene.pair.bridge.door;
    Ok((scene, bridge))
}

fn told(reached: &Reached, client: SocketAddr) -> Verdict {
    let body = reached.server.body(USERADDR);
    ensure!(
        body == Some(client.to_string().as_bytes()),
        "USERADDR of the client at {client} is {}",
        body.map_or("missing".to_owned(), hex)
    );
    Ok(())
}

async fn transport_name(bench: &Bench) -> Verdict {
    let scene = Scene::start(bench).await?;
    let (_app, server) = scene.introduced().await?;
    let body = server.body(TRANSPORT);
    ensure!(
        body == Some(bench.transport().as_bytes()),
        "TRANSPORT of {} is {}",
        bench.transport(),
        body.map_or("missing".to_owned(), hex)
    );
    Ok(())
}

async fn no_payload_before_okay(bench: &Bench) -> Verdict {
    let scene = Scene::start(bench).await?;
    let (mut app, mut server) = scene.introduced().await?;
    let more = [b'x'; 10_000];
    let _ = write_all(&mut app, &more, SOON).await;
    let ended = server.wait_for_early(A_WHILE).await;
    ensure!(
        server.early.is_empty(),
        "before OKAY came {}",
        hex(&server.early)
    );
    ensure!(
        ended == Ended::Silent,
        "before OKAY the connection is {ended}"
    );
    server.answer(OKAY, b"").await;
    ensure!(
        server.early.is_empty(),
        "before OKAY came {}",
        hex(&server.early)
    );
    expect(&mut server.stream, HELLO, "the application's first bytes").await?;
    expect(&mut server.stream, &more, "the application's later bytes").await
}

async fn payload_with_okay(bench: &Bench) -> Verdict {
    let scene = Scene::start(bench).await?;
    let (mut app, mut server) = scene.introduced().await?;
    let segment = [frame(OKAY, b""), WELCOME.to_vec()].concat();
    let _ = write_all(&mut server.stream, &segment, SOON).await;
    expect(&mut app, WELCOME, "the bridge's bytes at the application").await?;
    carries(app, server).await
}
