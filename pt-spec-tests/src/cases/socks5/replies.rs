//! The reply as a message, and the end behind a failure.

use super::{Port, bridge_of, closed, grants, refusal, round_trip, well_formed};
use crate::bench::Bench;
use crate::case::{Case, Level, Side, run};
use crate::instruments::pair::Pair;
use crate::instruments::socks::{Target, connect, credentials, request};
use crate::instruments::wire::{Ended, SOON, write_all};
use crate::verdict::{Verdict, deviation, ensure};

/// What an application says before it is asked; more than one read takes.
const UNASKED: usize = 64 << 10;

/// The cases, in the ledger's order.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "rfc1928-6/form-of-a-failure",
        line: 106,
        side: Side::Client,
        requirement: "A reply that tells a failure is whole: 05, the code, 00, an address type of 01, 03 or 04, an address of that type and a port, and nothing more.",
        reference: "RFC 1928 6; tor reads the address of a failure too",
        check: run!(form_of_a_failure),
        ..Case::BASE
    },
    Case {
        id: "rfc1928-6/form-of-a-success",
        line: 106,
        side: Side::Both,
        requirement: "A reply that grants a request is as whole, and the very next byte is the bridge's.",
        reference: "RFC 1928 6: what follows the reply is the application's",
        check: run!(form_of_a_success),
        ..Case::BASE
    },
    Case {
        id: "rfc1928-6/closed-after-a-failure",
        line: 107,
        side: Side::Client,
        requirement: "After a method of FF, a status other than 00 and a reply other than 00 the connection is closed in order, with a FIN, while the client keeps its side open.",
        reference: "RFC 1928 3 and 6 (within 10 seconds), RFC 1929 2; a RST can overtake what was said before it",
        check: run!(closed_after_a_failure),
        ..Case::BASE
    },
    Case {
        id: "rfc1928-6/reply-behind-unread-bytes",
        line: 107,
        level: Level::Should,
        side: Side::Client,
        requirement: "A reply that tells a failure arrives, and the connection is closed in order, also when more bytes of the client wait to be read.",
        reference: "RFC 1928 6; a close with unread bytes is a RST, which can overtake the reply (RFC 2525 2.17)",
        reading: "SHOULD, since RFC 1928 has no client that says more before the reply, and tor is none; other applications are.",
        check: run!(reply_behind_unread_bytes),
        ..Case::BASE
    },
];

async fn form_of_a_failure(bench: &Bench) -> Verdict {
    let port = Port::start(bench).await?;
    let targets = [
        Target::Ip(([127, 0, 0, 1], 9).into()),
        Target::Ip(([0, 0, 0, 0, 0, 0, 0, 1], 9).into()),
        Target::Name("localhost".to_owned(), 9),
    ];
    for target in targets {
        let mut socks = port.greeted(&[0], 0).await?;
        // BIND: every transport refuses it.
        socks.send(&request(2, &target)).await;
        refusal(&mut socks, &format!("BIND for {target:?}")).await?;
    }
    Ok(())
}

async fn form_of_a_success(bench: &Bench) -> Verdict {
    let pair = Pair::start(bench).await?;
    let mut socks = Port::of(&pair).authenticated(&pair.bridge.args).await?;
    socks.send(&connect(&bridge_of(&pair))).await;
    let reply = grants(&mut socks).await?;
    well_formed(&reply)?;
    round_trip(&mut socks, &pair.bridge.orport).await
}

async fn closed_after_a_failure(bench: &Bench) -> Verdict {
    let port = Port::start(bench).await?;
    let mut socks = port.greeted(&[0xfe], 0xff).await?;
    in_order("the method FF", closed(&mut socks, "the method FF").await?)?;

    let mut socks = port.greeted(&[2], 2).await?;
    socks.send(&credentials(b"no equals sign", &[0])).await;
    match socks.read(2).await {
        Ok(status) if status != [1, 0] => {}
        other => deviation!("expected a failure of malformed arguments, got {other:?}"),
    }
    in_order(
        "a failed status",
        closed(&mut socks, "a failed status").await?,
    )?;

    let mut socks = port.greeted(&[0], 0).await?;
    socks.send(&request(2, &Target::Ip(port.addr))).await;
    let (reply, ended) = refusal(&mut socks, "BIND").await?;
    in_order(&format!("the reply {reply}"), ended)
}

async fn reply_behind_unread_bytes(bench: &Bench) -> Verdict {
    let port = Port::start(bench).await?;
    let mut socks = port.greeted(&[0], 0).await?;
    let mut message = request(2, &Target::Ip(port.addr));
    message.resize(message.len() + UNASKED, b'x');
    // One write, so that the bytes are there before the reply.
    if let Err(ended) = write_all(&mut socks.stream, &message, SOON).await {
        deviation!("while BIND and {UNASKED} bytes are written the connection is {ended}");
    }
    let (reply, ended) =
        refusal(&mut socks, &format!("BIND with {UNASKED} bytes behind it")).await?;
    in_order(&format!("the reply {reply}"), ended)
}

fn in_order(what: &str, ended: Ended) -> Verdict {
    ensure!(
        ended == Ended::Eof,
        "after {what} the connection is {ended}"
    );
    Ok(())
}
