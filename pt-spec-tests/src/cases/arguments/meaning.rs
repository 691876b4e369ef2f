//! Arguments that are well formed, and not what the transport wants.

use std::time::Duration;

use super::fields::{FIELD, leads_to_the_bridge};
use super::{BASE, NONE, needed};
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
        id: "pt-3.5/escapes-are-undone",
        line: 99,
        side: Side::Both,
        limit: Duration::from_secs(100),
        requirement: "A backslash before an equals sign, a semicolon or another backslash is gone when an argument comes to the transport.",
        reference: "pt-spec 3.5",
        reading: "Seen by the arguments of a bridge, where their values have such characters, and the transport minds them.",
        check: run!(escapes_are_undone),
        ..BASE
    },
    Case {
        id: "pt-3.5/needless-escapes-are-undone",
        line: 99,
        level: Level::Should,
        side: Side::Both,
        limit: Duration::from_secs(100),
        requirement: "A backslash before a character that needs none is gone when an argument comes to the transport.",
        reference: "pt-spec 3.5; goptlib",
        reading: "The text does not say it, and no parent sends it. Seen by the arguments of a bridge, where the transport minds them.",
        check: run!(needless_escapes_are_undone),
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
        requirement: "Where the arguments of a bridge are wrong, CONNECT gets the reply 01, and the connection is closed.",
        reference: "pt-spec 3.5; RFC 1928 6; obfs4proxy replies 01 (measured)",
        reading: "No other code fits, unless the arguments hold an address, which may be out of reach then. A transport without a handshake cannot tell; what it grants does not get through, and the case does not apply.",
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

async fn escapes_are_undone(bench: &Bench) -> Verdict {
    undone(bench, |byte| b"=;\\".contains(&byte)).await
}

async fn needless_escapes_are_undone(bench: &Bench) -> Verdict {
    undone(bench, |_| true).await
}

/// Opens a tunnel with the arguments of a bridge, a backslash before all the characters of keys and values that are
/// `chosen`.
async fn undone(bench: &Bench, chosen: impl Fn(u8) -> bool) -> Verdict {
    let pair = Pair::start(bench).await?;
    let args = &pair.bridge.args;
    needed(args)?;
    let words = || args.iter().flat_map(|(key, value)| [key, value]);
    if !words().any(|word| word.bytes().any(&chosen)) {
        return Err(Failure::NotApplicable(
            "the arguments have no character that needs a backslash".to_owned(),
        ));
    }
    let escaped = |word: &str| {
        let bytes = word.bytes();
        let with = bytes.flat_map(|byte| chosen(byte).then_some(b'\\').into_iter().chain([byte]));
        with.collect::<Vec<u8>>()
    };
    let items: Vec<_> = args
        .iter()
        .map(|(key, value)| [escaped(key), escaped(value)].join(&b'='))
        .collect();
    let text = items.join(&b';');
    if text.len() > LONGEST {
        return Err(Failure::NotApplicable(
            "the arguments are too long for so many backslashes".to_owned(),
        ));
    }
    says(&pair, &text).await?;
    // That proves nothing where other values lead there as well.
    match says(&pair, &encode(&spoilt(args))).await {
        Ok(()) => Err(Failure::NotApplicable(
            "the transport takes any arguments".to_owned(),
        )),
        Err(Failure::Deviation(_)) => Ok(()),
        Err(other) => Err(other),
    }
}

/// Opens a tunnel with these arguments, as tor cuts them.
async fn says(pair: &Pair, text: &[u8]) -> Verdict {
    match text.split_at_checked(FIELD) {
        Some((user, password)) if !password.is_empty() => {
            leads_to_the_bridge(pair, user, password).await
        }
        _ => leads_to_the_bridge(pair, text, NONE).await,
    }
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
    let reply = refused(&pair).await?;
    let port = pair.bridge.door.port().to_string();
    // Arguments that hold an address lead nowhere when they are wrong.
    let dialled = pair
        .bridge
        .args
        .iter()
        .any(|(_, value)| value.contains(&port));
    ensure!(
        reply.code == 1 || dialled && (3..=5).contains(&reply.code),
        "expected 01, the reply to wrong arguments is {reply}"
    );
    Ok(())
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
