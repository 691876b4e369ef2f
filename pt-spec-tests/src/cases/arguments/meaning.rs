//! Arguments that are well formed, and not what the transport wants.

use std::time::Duration;

use super::{BASE, needed};
use crate::bench::Bench;
use crate::case::{Case, Level, Side, run};
use crate::cases::socks5::{Port, bridge_of, closed, granted, round_trip, well_formed};
use crate::instruments::negotiation::Args;
use crate::instruments::pair::Pair;
use crate::instruments::socks::{Reply, connect, encode};
use crate::instruments::upstream::dead_address;
use crate::instruments::wire::SOON;
use crate::verdict::{Failure, Verdict, deviation, ensure};

/// A value that no argument has.
const SPOILT: &str = "this-is-not-it";

/// What tor sends at most.
const LONGEST: usize = 510;

/// How long a handshake with wrong arguments may take to fail: obfs4proxy gives one up after 60 seconds.
const HANDSHAKE: Duration = Duration::from_secs(75);

/// The cases, in the ledger's order.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "pt-3.5/first-of-repeated-keys",
        line: 101,
        level: Level::Should,
        side: Side::Both,
        requirement: "Where a key comes more than once the first value counts.",
        reference: "goptlib gives the first value of a key; no text says it",
        reading: "A transport may have an argument that is a list; what a server announces once is none.",
        check: run!(first_of_repeated_keys),
        ..BASE
    },
    Case {
        id: "pt-3.5/unknown-arguments",
        line: 104,
        requirement: "Arguments that the transport does not know pass the authentication step; whether it minds them shows in the reply to CONNECT.",
        reference: "pt-spec 3.5: the step carries arguments and judges only their form; obfs4proxy (measured)",
        check: run!(unknown_arguments),
        ..BASE
    },
    Case {
        id: "pt-3.5/missing-arguments",
        line: 104,
        side: Side::Both,
        limit: Duration::from_secs(100),
        requirement: "Where arguments that a transport needs are missing, CONNECT gets a reply that tells a failure, or is granted, but never nothing.",
        reference: "pt-spec 3.5; RFC 1928 6: a request is answered; obfs4proxy replies 01 (measured)",
        check: run!(missing_arguments),
        ..BASE
    },
    Case {
        id: "pt-3.5/wrong-arguments",
        line: 104,
        side: Side::Both,
        limit: Duration::from_secs(100),
        requirement: "Where the arguments of a bridge are wrong, CONNECT gets a reply that tells a failure, and the connection is closed.",
        reference: "pt-spec 3.5; RFC 1928 6; obfs4proxy replies 01 (measured)",
        reading: "A transport without a handshake cannot tell; what it grants does not get through, and the case does not apply.",
        check: run!(wrong_arguments),
        ..BASE
    },
    Case {
        id: "pt-3.3.4/wrong-arguments-are-named",
        line: 104,
        level: Level::Should,
        side: Side::Both,
        limit: Duration::from_secs(100),
        requirement: "Where an argument of a bridge line is wrong, a LOG line names it: the reply has no code for it.",
        reference: "pt-spec, LOG messages: they are what the user of a parent gets to read",
        reading: "No text asks for it; a user who mistyped a bridge line has nothing else to go by.",
        check: run!(wrong_arguments_are_named),
    },
];

async fn first_of_repeated_keys(bench: &Bench) -> Verdict {
    let pair = Pair::start(bench).await?;
    needed(&pair.bridge.args)?;
    let mut args = pair.bridge.args.clone();
    args.extend(spoilt(&pair.bridge.args));
    if encode(&args).len() > LONGEST {
        return Err(Failure::NotApplicable(
            "the arguments are too long to come twice".to_owned(),
        ));
    }
    let mut socks = Port::of(&pair).authenticated(&args).await?;
    granted(&mut socks, &bridge_of(&pair)).await?;
    round_trip(&mut socks, &pair.bridge.orport).await
}

async fn unknown_arguments(bench: &Bench) -> Verdict {
    let port = Port::start(bench).await?;
    let args = vec![("no-transport-has-this".to_owned(), "1".to_owned())];
    let dead = dead_address()?;
    let reply = port.asked(&args, &dead.addr().into()).await?;
    well_formed(&reply)
}

async fn missing_arguments(bench: &Bench) -> Verdict {
    let pair = Pair::start(bench).await?;
    needed(&pair.bridge.args)?;
    let port = Port::of(&pair);
    for missing in 0..pair.bridge.args.len() {
        let mut args = pair.bridge.args.clone();
        args.remove(missing);
        let reply = port.asked(&args, &bridge_of(&pair)).await?;
        well_formed(&reply)?;
    }
    let reply = port.asked(&Args::new(), &bridge_of(&pair)).await?;
    well_formed(&reply)
}

async fn wrong_arguments(bench: &Bench) -> Verdict {
    let pair = Pair::start(bench).await?;
    refused(&pair).await.map(drop)
}

async fn wrong_arguments_are_named(bench: &Bench) -> Verdict {
    let pair = Pair::start(bench).await?;
    let reply = refused(&pair).await?;
    let keys: Vec<&str> = pair
        .bridge
        .args
        .iter()
        .map(|(key, _)| key.as_str())
        .collect();
    let named = |line: &str| line.starts_with("LOG ") && keys.iter().any(|key| line.contains(key));
    let found = pair.client.says(SOON, named).await;
    ensure!(
        found.is_some(),
        "after the reply {reply} to wrong arguments no LOG line names any of {keys:?}"
    );
    Ok(())
}

/// The reply to the bridge's arguments with every value wrong.
async fn refused(pair: &Pair) -> Verdict<Reply> {
    needed(&pair.bridge.args)?;
    let args = spoilt(&pair.bridge.args);
    let mut socks = Port::of(pair).authenticated(&args).await?;
    socks.send(&connect(&bridge_of(pair))).await;
    let what = format!("CONNECT with the arguments {args:?}");
    let reply = match socks.reply_within(HANDSHAKE).await {
        Ok(reply) => reply,
        Err(cut) => deviation!("{what} is not answered: the connection is {cut}"),
    };
    well_formed(&reply)?;
    if reply.code == 0 {
        return Err(Failure::NotApplicable(
            "the transport takes any arguments".to_owned(),
        ));
    }
    closed(&mut socks, &format!("{what}, answered with {reply}")).await?;
    Ok(reply)
}

fn spoilt(args: &Args) -> Args {
    args.iter()
        .map(|(key, _)| (key.clone(), SPOILT.to_owned()))
        .collect()
}
