//! The request: commands, versions, reserved bytes and addresses, right and wrong.

use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use super::{CLOSES, Port, bridge_of, granted, refusal, round_trip};
use crate::bench::Bench;
use crate::case::{Case, Level, Side, run};
use crate::instruments::negotiation::Args;
use crate::instruments::orport::OrPort;
use crate::instruments::pair::Pair;
use crate::instruments::socks::{Target, request};
use crate::instruments::upstream::dead_address;
use crate::instruments::wire::{Ended, hex};
use crate::verdict::{Failure, Verdict, ensure};

/// The cases, in the ledger's order.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "rfc1928-6/other-commands",
        line: 102,
        side: Side::Client,
        limit: Duration::from_secs(100),
        requirement: "Any command but CONNECT is refused with the reply 07 (command not supported).",
        reference: "RFC 1928 4 and 6",
        check: run!(other_commands),
        ..Case::BASE
    },
    Case {
        id: "rfc1928-4/wrong-version",
        line: 102,
        side: Side::Client,
        limit: Duration::from_secs(100),
        requirement: "A request with any other version than 05 is not granted, and the connection is closed.",
        reference: "RFC 1928 4: VER is 05",
        check: run!(wrong_version),
        ..Case::BASE
    },
    Case {
        id: "rfc1928-6/malformed-requests",
        line: 102,
        level: Level::Should,
        side: Side::Client,
        limit: Duration::from_secs(100),
        requirement: "A request with a wrong version, a reserved byte other than 00 or an empty domain name gets the reply 01 (general failure).",
        reference: "RFC 1928 4: reserved fields must be 00; 6: there is no code of its own for what is malformed",
        reading: "To look over a reserved byte, or to close without a reply, breaks nothing; the reply tells the client whose mistake it was.",
        check: run!(malformed_requests),
    },
    Case {
        id: "rfc1928-6/unknown-address-types",
        line: 102,
        side: Side::Client,
        limit: Duration::from_secs(100),
        requirement: "Any address type but 01, 03 and 04 is refused with the reply 08 (address type not supported).",
        reference: "RFC 1928 4 and 6",
        check: run!(unknown_address_types),
        ..Case::BASE
    },
    Case {
        id: "rfc1928-5/empty-domain-name",
        line: 102,
        side: Side::Client,
        requirement: "A request for a domain name without a letter is not granted, and the connection is closed.",
        reference: "RFC 1928 5: the first byte of a name counts its bytes",
        check: run!(empty_domain_name),
        ..Case::BASE
    },
    Case {
        id: "rfc1928-5/address-types",
        line: 103,
        side: Side::Client,
        limit: Duration::from_secs(90),
        requirement: "Requests for an IPv4 address, an IPv6 address and a domain name are all understood: none is refused for its address type.",
        reference: "RFC 1928 4 and 5",
        check: run!(address_types),
        ..Case::BASE
    },
    Case {
        id: "rfc1928-5/ipv4-address",
        line: 103,
        side: Side::Both,
        requirement: "A CONNECT to the IPv4 address of a bridge leads to it.",
        reference: "RFC 1928 5; tor's bridges have addresses",
        check: run!(ipv4_address),
        ..Case::BASE
    },
    Case {
        id: "rfc1928-5/ipv6-address",
        line: 103,
        side: Side::Both,
        requirement: "A CONNECT to the IPv6 address of a bridge leads to it.",
        reference: "RFC 1928 5; tor's bridges have addresses",
        check: run!(ipv6_address),
        ..Case::BASE
    },
    Case {
        id: "rfc1928-5/domain-name",
        line: 103,
        side: Side::Both,
        requirement: "A CONNECT to a domain name leads to the bridge that the name stands for; without an upstream proxy the client resolves it.",
        reference: "RFC 1928 4 and 5; tor itself sends only addresses",
        reading: "`localhost` may stand for two addresses: a client tries all addresses of a name.",
        check: run!(domain_name),
        ..Case::BASE
    },
];

async fn other_commands(bench: &Bench) -> Verdict {
    let port = Port::start(bench).await?;
    let target = Target::Ip(port.addr);
    let messages = (0..=0xff)
        .filter(|command| *command != 1)
        .map(|command| request(command, &target));
    port.each(messages, |port, message| {
        refused(port, Rc::default(), message, 7)
    })
    .await?;
    port.still_serves().await
}

async fn wrong_version(bench: &Bench) -> Verdict {
    let mistakes = others_than(0, 5);
    nobody_goes(bench, mistakes, not_granted).await
}

async fn malformed_requests(bench: &Bench) -> Verdict {
    let mut mistakes = others_than(2, 0);
    mistakes.extend([0, 1, 4, 6, 0xff].map(|version| (0, version)));
    nobody_goes(bench, mistakes, |port, args, message| {
        refused(port, args, message, 1)
    })
    .await?;
    let port = Port::start(bench).await?;
    refused(port, Rc::default(), empty_name(), 1).await
}

/// A wrong byte in this place of a request, each that there is.
fn others_than(place: usize, right: u8) -> Vec<(usize, u8)> {
    (0..=0xff)
        .filter(|byte| *byte != right)
        .map(|byte| (place, byte))
        .collect()
}

/// Sends requests with mistakes that would otherwise lead to a listener, with all arguments for it; nobody may go there.
async fn nobody_goes<F>(
    bench: &Bench,
    mistakes: Vec<(usize, u8)>,
    check: impl Fn(Port, Rc<Args>, Vec<u8>) -> F,
) -> Verdict
where
    F: Future<Output = Verdict> + 'static,
{
    let known = bench.bridge_args().await?;
    let args = Rc::new(known.to_vec());
    let port = Port::start(bench).await?;
    let place = OrPort::listen().await?;
    let right = request(1, &place.addr().into());
    port.each(mistakes, |port, (at, byte)| {
        let mut message = right.clone();
        message[at] = byte;
        check(port, args.clone(), message)
    })
    .await?;
    ensure!(
        place.connections_so_far() == 0,
        "a malformed request was followed: there were {} connections",
        place.connections_so_far()
    );
    port.still_serves().await
}

async fn unknown_address_types(bench: &Bench) -> Verdict {
    let port = Port::start(bench).await?;
    let messages = (0..=0xff)
        .filter(|atyp| !matches!(atyp, 1 | 3 | 4))
        .map(|atyp| {
            // Where the address ends nobody knows: four bytes and a port, as in the type that tor uses.
            request(
                1,
                &Target::Raw {
                    atyp,
                    bytes: vec![127, 0, 0, 1, 0, 9],
                },
            )
        });
    port.each(messages, |port, message| {
        refused(port, Rc::default(), message, 8)
    })
    .await?;
    port.still_serves().await
}

async fn empty_domain_name(bench: &Bench) -> Verdict {
    let port = Port::start(bench).await?;
    not_granted(Port::at(port.addr), Rc::default(), empty_name()).await?;
    port.still_serves().await
}

fn empty_name() -> Vec<u8> {
    request(1, &Target::Name(String::new(), 9))
}

/// A request that has to get this reply.
async fn refused(port: Port, args: Rc<Args>, message: Vec<u8>, code: u8) -> Verdict {
    let mut socks = port.authenticated(&args).await?;
    socks.send(&message).await;
    let what = format!("the request {}", hex(&message));
    let (reply, _) = refusal(&mut socks, &what).await?;
    ensure!(
        reply.code == code,
        "expected the reply {code:02x} to {what}, got {reply}"
    );
    Ok(())
}

/// A request that has to fail, with a reply or without.
async fn not_granted(port: Port, args: Rc<Args>, message: Vec<u8>) -> Verdict {
    let mut socks = port.authenticated(&args).await?;
    socks.send(&message).await;
    let (said, ended) = socks.ends(CLOSES).await;
    let (message, said_text) = (hex(&message), hex(&said));
    ensure!(
        !matches!(said[..], [_, 0, ..]),
        "the request {message} is granted: {said_text}"
    );
    ensure!(
        ended != Ended::Silent,
        "{CLOSES:?} after the request {message} and the answer {said_text} the connection is {ended}"
    );
    Ok(())
}

async fn address_types(bench: &Bench) -> Verdict {
    let args = bench.bridge_args().await?;
    let port = Port::start(bench).await?;
    let dead = dead_address()?;
    let number = dead.addr().port();
    let targets = [
        Target::Ip(dead.addr()),
        Target::Ip(([0, 0, 0, 0, 0, 0, 0, 1], number).into()),
        Target::Name("localhost".to_owned(), number),
    ];
    for target in targets {
        let reply = port.asked(&args, &target).await?;
        super::well_formed(&reply)?;
        ensure!(
            !matches!(reply.code, 7 | 8),
            "a CONNECT to {target:?} gets the reply {reply}"
        );
    }
    Ok(())
}

async fn ipv4_address(bench: &Bench) -> Verdict {
    let pair = Pair::start(bench).await?;
    leads_to(&pair, &bridge_of(&pair)).await
}

async fn ipv6_address(bench: &Bench) -> Verdict {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return Err(Failure::NotApplicable(
            "this machine has no IPv6".to_owned(),
        ));
    }
    let name = bench.transport();
    let bind = format!("{name}-[::1]:0");
    let pair = Pair::start_with(
        bench,
        |server| server.set("TOR_PT_SERVER_BINDADDR", bind),
        |client| client,
    )
    .await?;
    let announced = pair.bridge.addr;
    if !announced.is_ipv6() {
        return Err(Failure::NotApplicable(format!(
            "a server at {} announces {announced}",
            pair.bridge.door
        )));
    }
    leads_to(&pair, &bridge_of(&pair)).await
}

async fn domain_name(bench: &Bench) -> Verdict {
    let pair = Pair::start(bench).await?;
    leads_to(
        &pair,
        &Target::Name("localhost".to_owned(), pair.bridge.addr.port()),
    )
    .await
}

async fn leads_to(pair: &Pair, target: &Target) -> Verdict {
    let mut socks = Port::of(pair).authenticated(&pair.bridge.args).await?;
    granted(&mut socks, target).await?;
    round_trip(&mut socks, &pair.bridge.orport).await
}
