//! What arrives is what was sent, whatever its size and pace.

use tokio::net::TcpStream;

use crate::bench::Bench;
use crate::case::{Case, Side, run};
use crate::instruments::pair::Pair;
use crate::instruments::pattern::{expect_pattern, pattern};
use crate::instruments::wire::{A_WHILE, Ended, SOON, hex, read_exactly, read_to_end, write_all};
use crate::verdict::{Verdict, deviation, ensure};

use super::{LONG, MIB, both_ways, broken, stays_silent, transfer};

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "pt-2/bulk-to-the-bridge",
        line: 114,
        side: Side::Both,
        limit: LONG,
        requirement: "16 MiB from the application arrive at the ORPort unchanged and in order.",
        reference: "pt-spec 2: the client and the server side carry the application's traffic between them",
        check: run!(bulk_up),
        ..Case::BASE
    },
    Case {
        id: "pt-2/bulk-to-the-application",
        line: 114,
        side: Side::Both,
        limit: LONG,
        requirement: "16 MiB from the ORPort arrive at the application unchanged and in order.",
        reference: "pt-spec 2",
        check: run!(bulk_down),
        ..Case::BASE
    },
    Case {
        id: "pt-2/bulk-both-ways-at-once",
        line: 114,
        side: Side::Both,
        limit: LONG,
        requirement: "16 MiB each way at the same time arrive unchanged: neither direction waits for the other.",
        reference: "pt-spec 2; a TLS connection, which is what tor has in the tunnel, sends both ways at will",
        check: run!(bulk_both_ways),
        ..Case::BASE
    },
    Case {
        id: "pt-2/message-is-not-held-back",
        line: 114,
        side: Side::Both,
        requirement: "A message of any size arrives without another one behind it, both ways.",
        reference: "pt-spec 2; tor waits for an answer after every step of its handshake",
        check: run!(messages),
        ..Case::BASE
    },
    Case {
        id: "pt-2/bytes-one-at-a-time",
        line: 114,
        side: Side::Both,
        requirement: "150 bytes that are written one at a time arrive, each before the next is written, both ways.",
        reference: "pt-spec 2: a byte stream has no smallest write",
        check: run!(one_byte_at_a_time),
        ..Case::BASE
    },
    Case {
        id: "pt-2/writes-of-one-byte-in-a-row",
        line: 114,
        side: Side::Both,
        requirement: "1,000 writes of one byte each, made as fast as they are taken, arrive unchanged and in order.",
        reference: "pt-spec 2",
        check: run!(single_bytes_in_a_row),
        ..Case::BASE
    },
    Case {
        id: "pt-2/bridge-speaks-unasked",
        line: 114,
        side: Side::Both,
        requirement: "What the bridge says reaches an application that says nothing.",
        reference: "pt-spec 2; tor sends cells in either direction at any time",
        reading: "The application has said its first words before, since a transport may need them to begin.",
        check: run!(bridge_speaks_unasked),
        ..Case::BASE
    },
    Case {
        id: "pt-2/nothing-is-added",
        line: 114,
        side: Side::Both,
        requirement: "Neither end receives a byte that the other did not send.",
        reference: "pt-spec 2; tor's TLS gives up at the first foreign byte",
        check: run!(nothing_is_added),
        ..Case::BASE
    },
];

async fn bulk_up(bench: &Bench) -> Verdict {
    let pair = Pair::start(bench).await?;
    let mut tunnel = pair.open().await?;
    transfer(&mut tunnel.app, &mut tunnel.tor, 1, 16 * MIB).await
}

async fn bulk_down(bench: &Bench) -> Verdict {
    let pair = Pair::start(bench).await?;
    let mut tunnel = pair.open().await?;
    transfer(&mut tunnel.tor, &mut tunnel.app, 2, 16 * MIB).await
}

async fn bulk_both_ways(bench: &Bench) -> Verdict {
    let pair = Pair::start(bench).await?;
    both_ways(&mut pair.open().await?, 3, 16 * MIB).await
}

/// Around the sizes that programs have for buffers and frames.
const SIZES: [usize; 20] = [
    1, 2, 15, 16, 17, 255, 256, 514, 1427, 1428, 1448, 1460, 4095, 4096, 4097, 16_384, 16_385,
    65_535, 65_536, 65_537,
];

async fn messages(bench: &Bench) -> Verdict {
    let pair = Pair::start(bench).await?;
    let mut tunnel = pair.open().await?;
    for size in SIZES {
        say(
            &mut tunnel.app,
            &mut tunnel.tor,
            size as u64,
            size,
            "the ORPort",
        )
        .await?;
        say(
            &mut tunnel.tor,
            &mut tunnel.app,
            size as u64,
            size,
            "the application",
        )
        .await?;
    }
    Ok(())
}

async fn one_byte_at_a_time(bench: &Bench) -> Verdict {
    let pair = Pair::start(bench).await?;
    let mut tunnel = pair.open().await?;
    for seed in 0..150 {
        say(&mut tunnel.app, &mut tunnel.tor, seed, 1, "the ORPort").await?;
        say(&mut tunnel.tor, &mut tunnel.app, seed, 1, "the application").await?;
    }
    Ok(())
}

/// One message, which has to arrive whole though nothing follows it.
async fn say(
    from: &mut TcpStream,
    to: &mut TcpStream,
    seed: u64,
    size: usize,
    receiver: &str,
) -> Verdict {
    let message = pattern(seed, 0, size);
    let (sent, read) = tokio::join!(
        write_all(from, &message, SOON),
        read_exactly(to, size, SOON)
    );
    if let Err(ended) = sent {
        deviation!("a message of {size} bytes to {receiver} was not taken: {ended}");
    }
    match read {
        Ok(got) => ensure!(
            got == message,
            "a message of {size} bytes came to {receiver} as {}",
            hex(&got)
        ),
        Err(cut) => deviation!(
            "of a message of {size} bytes {receiver} has {}: {}",
            cut.got.len(),
            cut.ended
        ),
    }
    Ok(())
}

async fn single_bytes_in_a_row(bench: &Bench) -> Verdict {
    let pair = Pair::start(bench).await?;
    let mut tunnel = pair.open().await?;
    bytewise(&mut tunnel.app, &mut tunnel.tor, "the ORPort").await?;
    bytewise(&mut tunnel.tor, &mut tunnel.app, "the application").await
}

/// 1,000 bytes, a segment for each as far as the kernel goes along.
async fn bytewise(from: &mut TcpStream, to: &mut TcpStream, receiver: &str) -> Verdict {
    let bytes = pattern(5, 0, 1000);
    let send = async {
        for (number, byte) in bytes.iter().enumerate() {
            if let Err(ended) = write_all(from, &[*byte], SOON).await {
                deviation!("a byte to {receiver} is not taken: {ended}");
            }
            if number % 16 == 0 {
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    };
    let total = bytes.len() as u64;
    let (sent, read) = tokio::join!(send, expect_pattern(to, 5, total, SOON));
    sent?;
    read.map_err(|stopped| broken(&format!("to {receiver}, one at a time"), total, &stopped))
}

async fn bridge_speaks_unasked(bench: &Bench) -> Verdict {
    let pair = Pair::start(bench).await?;
    let mut tunnel = pair.open().await?;
    for seed in 0..3 {
        let (got, ended) = read_to_end(&mut tunnel.app, A_WHILE / 3).await;
        ensure!(
            got.is_empty() && ended == Ended::Silent,
            "before the bridge speaks the application has {} and is {ended}",
            hex(&got)
        );
        say(
            &mut tunnel.tor,
            &mut tunnel.app,
            seed,
            514,
            "the application",
        )
        .await?;
    }
    Ok(())
}

async fn nothing_is_added(bench: &Bench) -> Verdict {
    let pair = Pair::start(bench).await?;
    let mut tunnel = pair.open().await?;
    say(&mut tunnel.app, &mut tunnel.tor, 1, 3000, "the ORPort").await?;
    say(&mut tunnel.tor, &mut tunnel.app, 2, 3000, "the application").await?;
    stays_silent(&mut tunnel, A_WHILE).await
}
