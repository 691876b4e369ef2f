//! How messages are cut: a byte at a time, at every offset, or several in one piece. TCP knows no messages.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Port, REPLIES, accepted, arrives, bridge_of, expect, grants, on_time, round_trip};
use crate::bench::Bench;
use crate::case::{Case, Level, Side, run};
use crate::instruments::negotiation::Args;
use crate::instruments::pair::Pair;
use crate::instruments::socks::{
    Reply, Socks, Target, connect, credentials, greeting, tor_arguments,
};
use crate::instruments::upstream::dead_address;
use crate::instruments::wire::hex;
use crate::verdict::{Verdict, deviation, ensure};

/// What an application says without waiting for the reply.
const EARLY: &[u8] = b"said before the reply";

/// Between two segments: a reader on a busy machine has read the first one by then.
const READ_MEANWHILE: Duration = Duration::from_millis(30);

/// Between two bytes: enough for a reader to run. Where it does not, it reads two at once, which fails no case.
const BETWEEN_BYTES: Duration = Duration::from_millis(1);

/// For how long bytes come with a pause between them: ports give clients up after 5 seconds, and on a busy machine a
/// pause of a millisecond may take a hundred.
const SLOWLY: Duration = Duration::from_secs(2);

/// The cases, in the ledger's order.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "rfc1928-3/pipelined-credentials",
        line: 109,
        level: Level::Should,
        side: Side::Client,
        requirement: "Credentials that come in one segment with the greeting are read and answered.",
        reference: "RFC 1928 3 and RFC 1929 2 know no segments; tor waits for each answer",
        reading: "A client that offers one method knows what will be chosen, and need not wait.",
        check: run!(pipelined_credentials),
        ..Case::BASE
    },
    Case {
        id: "rfc1928-4/payload-behind-the-request",
        line: 109,
        level: Level::Should,
        side: Side::Both,
        requirement: "Bytes that come in one segment with the request are the first of the payload.",
        reference: "RFC 1928 4 and 6 know no segments; tor waits for the reply",
        reading: "The RFC does not forbid the client to speak before the reply.",
        check: run!(payload_behind_the_request),
        ..Case::BASE
    },
    Case {
        id: "rfc1928-4/everything-at-once",
        line: 109,
        level: Level::Should,
        side: Side::Both,
        requirement: "Greeting, credentials, request and payload in one segment are answered one after the other, and the payload arrives.",
        reference: "RFC 1928 3 to 6 and RFC 1929 2 know no segments; tor waits for each answer",
        reading: "A client that offers one method knows what will be chosen, and need not wait.",
        check: run!(everything_at_once),
        ..Case::BASE
    },
    Case {
        id: "rfc1928-3/byte-by-byte",
        line: 110,
        side: Side::Client,
        requirement: "Greeting, credentials and request that come one byte at a time are answered like any other.",
        reference: "RFC 1928 3 to 6 know no segments",
        check: run!(byte_by_byte),
        ..Case::BASE
    },
    Case {
        id: "rfc1928-4/byte-by-byte-to-the-bridge",
        line: 110,
        side: Side::Both,
        requirement: "A conversation that comes one byte at a time leads to the bridge, with the arguments whole.",
        reference: "RFC 1928 3 to 6 and RFC 1929 2 know no segments",
        check: run!(byte_by_byte_to_the_bridge),
        ..Case::BASE
    },
    Case {
        id: "rfc1928-3/split-greeting",
        line: 110,
        side: Side::Client,
        requirement: "A greeting is understood wherever it is cut in two.",
        reference: "RFC 1928 3 knows no segments",
        check: run!(split_greeting),
        ..Case::BASE
    },
    Case {
        id: "rfc1929-2/split-credentials",
        line: 110,
        side: Side::Client,
        limit: Duration::from_secs(60),
        requirement: "Credentials are understood wherever they are cut in two.",
        reference: "RFC 1929 2 knows no segments",
        check: run!(split_credentials),
        ..Case::BASE
    },
    Case {
        id: "rfc1928-4/split-requests",
        line: 110,
        side: Side::Client,
        limit: Duration::from_secs(60),
        requirement: "A request has the same reply wherever it is cut in two, for every type of address.",
        reference: "RFC 1928 4 and 5 know no segments",
        check: run!(split_requests),
        ..Case::BASE
    },
    Case {
        id: "rfc1928-4/split-requests-to-the-bridge",
        line: 110,
        side: Side::Both,
        limit: Duration::from_secs(60),
        requirement: "A request leads to the bridge wherever it is cut in two.",
        reference: "RFC 1928 4 and 5 know no segments",
        check: run!(split_requests_to_the_bridge),
        ..Case::BASE
    },
];

async fn pipelined_credentials(bench: &Bench) -> Verdict {
    let port = Port::start(bench).await?;
    let mut socks = port.dial().await?;
    let message = [greeting(&[2]), credentials(b"key=value", &[0])].concat();
    socks.send(&message).await;
    expect(
        &mut socks,
        &[5, 2, 1, 0],
        "a greeting and credentials in one segment",
    )
    .await
}

async fn payload_behind_the_request(bench: &Bench) -> Verdict {
    let pair = Pair::start(bench).await?;
    let mut socks = Port::of(&pair).authenticated(&pair.bridge.args).await?;
    let request = connect(&bridge_of(&pair));
    socks.send(&[&request, EARLY].concat()).await;
    grants(&mut socks).await?;
    arrives(&mut socks, &pair.bridge.orport, EARLY).await
}

async fn everything_at_once(bench: &Bench) -> Verdict {
    let pair = Pair::start(bench).await?;
    let (hello, answers) = opening(&pair.bridge.args);
    let request = connect(&bridge_of(&pair));
    let mut socks = Port::of(&pair).dial().await?;
    socks
        .send(&[&hello.concat(), &request, EARLY].concat())
        .await;
    expect(
        &mut socks,
        &answers.concat(),
        "a whole conversation in one segment",
    )
    .await?;
    grants(&mut socks).await?;
    arrives(&mut socks, &pair.bridge.orport, EARLY).await
}

async fn byte_by_byte(bench: &Bench) -> Verdict {
    let args = bench.bridge_args().await?;
    let port = Port::start(bench).await?;
    let dead = dead_address()?;
    let target = Target::Ip(dead.addr());
    let usual = port.asked(&args, &target).await?;
    let mut socks = port.dial().await?;
    say_byte_by_byte(&mut socks, &args, &target).await?;
    match socks.reply_within(REPLIES).await {
        Ok(reply) if reply.code == usual.code => Ok(()),
        Ok(reply) => {
            deviation!("byte by byte a request gets the reply {reply}, in one piece {usual}")
        }
        Err(cut) => deviation!("byte by byte a request gets no reply: the connection is {cut}"),
    }
}

async fn byte_by_byte_to_the_bridge(bench: &Bench) -> Verdict {
    let pair = Pair::start(bench).await?;
    let mut socks = Port::of(&pair).dial().await?;
    say_byte_by_byte(&mut socks, &pair.bridge.args, &bridge_of(&pair)).await?;
    grants(&mut socks).await?;
    round_trip(&mut socks, &pair.bridge.orport).await
}

/// A whole conversation, one byte at a time for as long as the port's patience is not at stake.
async fn say_byte_by_byte(socks: &mut Socks, args: &Args, target: &Target) -> Verdict {
    let end = Instant::now() + SLOWLY;
    let (hello, answers) = opening(args);
    for (message, answer) in hello.iter().zip(&answers) {
        drip(socks, message, end).await?;
        expect(socks, answer, &format!("{} byte by byte", hex(message))).await?;
    }
    drip(socks, &connect(target), end).await
}

async fn drip(socks: &mut Socks, message: &[u8], end: Instant) -> Verdict {
    for byte in message {
        socks.send(&[*byte]).await;
        if Instant::now() < end {
            sleep(BETWEEN_BYTES).await;
        }
    }
    on_time(end + SLOWLY)
}

async fn split_greeting(bench: &Bench) -> Verdict {
    let port = Port::start(bench).await?;
    let message = greeting(&[0, 0x80, 0x81, 2]);
    let cuts = 1..message.len();
    port.each(cuts, |port, at| greets(port, message.clone(), at))
        .await
}

async fn greets(port: Port, message: Vec<u8>, at: usize) -> Verdict {
    let mut socks = port.dial().await?;
    send_in_two(&mut socks, &message, at).await;
    expect(&mut socks, &[5, 2], &format!("a greeting cut at {at}")).await
}

async fn split_credentials(bench: &Bench) -> Verdict {
    let port = Port::start(bench).await?;
    let messages = [
        credentials(b"key=value;second=value", &[0]),
        credentials(b"key=value;sec", b"ond=value"),
    ];
    for message in messages {
        let cuts = 1..message.len();
        port.each(cuts, |port, at| authenticates(port, message.clone(), at))
            .await?;
    }
    Ok(())
}

async fn authenticates(port: Port, message: Vec<u8>, at: usize) -> Verdict {
    let mut socks = port.greeted(&[2], 2).await?;
    send_in_two(&mut socks, &message, at).await;
    let what = format!("the credentials {} cut at {at}", hex(&message));
    let accepted = accepted(&mut socks, &what).await?;
    ensure!(accepted, "{what} are refused");
    Ok(())
}

async fn split_requests(bench: &Bench) -> Verdict {
    let known = bench.bridge_args().await?;
    let args = Rc::new(known.to_vec());
    let port = Port::start(bench).await?;
    let dead = dead_address()?;
    let number = dead.addr().port();
    let targets = [
        Target::Ip(dead.addr()),
        Target::Ip(([0, 0, 0, 0, 0, 0, 0, 1], number).into()),
        Target::Name("localhost".to_owned(), number),
    ];
    for target in targets {
        let usual = Rc::new(port.asked(&args, &target).await?);
        let request = Rc::new(connect(&target));
        let cuts = 1..request.len();
        port.each(cuts, |port, at| {
            asks(port, args.clone(), request.clone(), at, usual.clone())
        })
        .await?;
    }
    Ok(())
}

async fn asks(
    port: Port,
    args: Rc<Args>,
    request: Rc<Vec<u8>>,
    at: usize,
    usual: Rc<Reply>,
) -> Verdict {
    let mut socks = port.authenticated(&args).await?;
    send_in_two(&mut socks, &request, at).await;
    let what = format!("the request {} cut at {at}", hex(&request));
    match socks.reply_within(REPLIES).await {
        Ok(reply) if reply.code == usual.code => Ok(()),
        Ok(reply) => deviation!("{what} gets the reply {reply}, in one piece {usual}"),
        Err(cut) => deviation!("{what} gets no reply: the connection is {cut}"),
    }
}

async fn split_requests_to_the_bridge(bench: &Bench) -> Verdict {
    let pair = Pair::start(bench).await?;
    let port = Port::of(&pair);
    let name = Target::Name("localhost".to_owned(), pair.bridge.addr.port());
    for target in [bridge_of(&pair), name] {
        let request = connect(&target);
        // One after the other: the ORPort does not know whose connection comes.
        for at in 1..request.len() {
            let mut socks = port.authenticated(&pair.bridge.args).await?;
            send_in_two(&mut socks, &request, at).await;
            grants(&mut socks).await?;
            round_trip(&mut socks, &pair.bridge.orport).await?;
        }
    }
    Ok(())
}

/// Sends two segments with a pause between them in which the first is read. Where it is not, both are read as one, which
/// makes a case easier and fails none. To know, the kernel would have to be asked for every connection of the machine
/// ([`Socks::send_split`]), which is too slow for hundreds of cuts.
async fn send_in_two(socks: &mut Socks, message: &[u8], at: usize) {
    let (first, second) = message.split_at(at);
    socks.send(first).await;
    sleep(READ_MEANWHILE).await;
    socks.send(second).await;
}

/// What comes before the request, message by message, and the answers.
fn opening(args: &Args) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    match tor_arguments(args) {
        None => (vec![greeting(&[0])], vec![vec![5, 0]]),
        Some(message) => (vec![greeting(&[2]), message], vec![vec![5, 2], vec![1, 0]]),
    }
}
