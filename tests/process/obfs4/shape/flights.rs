//! The range of the first flights, exactly: so many of them that a bound which is eight bytes off leaves a trace. Nobody
//! answers a client here, and nobody goes on after a bridge's answer.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::support::deadline::{soon, within};
use crate::support::socks::{self, Refusal};

use super::super::ends::{Bridge, PROGRAMS, PROMPT, Program};
use super::super::prober::{FLIGHT, Keys, SEED_FRAME, hour_after, random};
use super::samples::FALSE_ALARM;

/// The least that both sides pad to.
const SHORTEST: usize = 141;
/// How many are looked at. Of obfs4proxy, whose bounds are known, enough to know that the others are looked at rightly.
fn count(program: Program) -> usize {
    match program {
        Program::Ouzel => 16_000,
        Program::Obfs4proxy => 4_000,
    }
}

/// By how much bounds can be off and not be found by so many flights; of sixteen thousand, none has one of the eight
/// shortest lengths in one run of eight million.
fn unnoticed(count: usize) -> usize {
    8 * 16_000 / count
}

/// How many at a time.
const LANES: usize = 16;

const LIMIT: Duration = Duration::from_secs(120);

/// Whether these lengths are spread evenly from the shortest to the longest there is.
fn fill(lengths: &[usize]) -> Result<(), String> {
    let range = SHORTEST..=FLIGHT;
    if let Some(length) = lengths.iter().find(|length| !range.contains(length)) {
        return Err(format!("{length} is not in {range:?}"));
    }
    let mut sorted = lengths.to_vec();
    sorted.sort_unstable();
    let (first, last) = (sorted[0], sorted[sorted.len() - 1]);
    let off = unnoticed(lengths.len());
    if first >= SHORTEST + off || last <= FLIGHT - off {
        return Err(format!("{first}..={last} is less than {range:?}"));
    }
    let count = sorted.len() as f64;
    let expected = |length: usize| (length + 1 - SHORTEST) as f64 / (FLIGHT + 1 - SHORTEST) as f64;
    let apart = sorted.iter().enumerate().map(|(i, &length)| {
        let even = expected(length);
        let below = (even - i as f64 / count).abs();
        below.max((even - (i + 1) as f64 / count).abs())
    });
    let apart = apart.fold(0.0, f64::max);
    // Massart's bound for one sample; a step of the even distribution is what it is not continuous by.
    let bound =
        ((2.0 / FALSE_ALARM).ln() / (2.0 * count)).sqrt() + 1.0 / (FLIGHT - SHORTEST) as f64;
    if apart > bound {
        return Err(format!("{apart:.4} apart from an even spread"));
    }
    Ok(())
}

/// The first flights of a client that nobody answers.
async fn of_client(program: Program) -> Vec<usize> {
    let pt = program.client().start();
    let port = pt.method("obfs4").await.addr;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bridge = listener.local_addr().unwrap();
    let keys = Keys {
        node_id: random(20).try_into().expect("20 bytes"),
        public_key: random(32).try_into().expect("32 bytes"),
    };
    let count = count(program);
    let mut lanes = JoinSet::new();
    for _ in 0..LANES {
        lanes.spawn(async move {
            for _ in 0..count / LANES {
                let refused = socks::open(port, &bridge.into(), &keys.old_form(0)).await;
                assert!(matches!(refused, Err(Refusal::Reply(_))), "{refused:?}");
            }
        });
    }
    let mut flights = JoinSet::new();
    let mut lengths = Vec::with_capacity(count);
    while lengths.len() < count {
        tokio::select! {
            accepted = listener.accept() => {
                flights.spawn(first_flight(accepted.unwrap().0, keys));
            }
            Some(length) = flights.join_next() => lengths.push(length.unwrap()),
            Some(Err(failed)) = lanes.join_next() => panic!("{failed}\n{}", pt.story()),
        }
    }
    lanes.join_all().await;
    lengths
}

async fn first_flight(mut stream: TcpStream, keys: Keys) -> usize {
    let mut said = Vec::with_capacity(FLIGHT);
    soon("a first flight", async {
        while keys.flight_of(&said).is_none() {
            let n = stream.read_buf(&mut said).await.unwrap();
            assert!(n > 0, "it ended after {} bytes", said.len());
        }
    })
    .await;
    // So many connections would leave no port to anybody else for a minute.
    stream.set_zero_linger().unwrap();
    said.len()
}

/// A bridge's answers.
async fn of_bridge(program: Program) -> Vec<usize> {
    let bridge = Bridge::start(program, PROMPT).await;
    let count = count(program);
    let mut lanes = JoinSet::new();
    for _ in 0..LANES {
        let (addr, keys) = (bridge.addr, bridge.keys);
        lanes.spawn(async move {
            let mut lengths = Vec::new();
            for _ in 0..count / LANES {
                lengths.push(answer(addr, keys).await);
            }
            lengths
        });
    }
    let mut lengths = Vec::with_capacity(count);
    while lengths.len() < count {
        tokio::select! {
            // tor's part: it is dialled once for each.
            stream = bridge.orport.accept() => stream.set_zero_linger().unwrap(),
            Some(lane) = lanes.join_next() => lengths.extend(lane.unwrap()),
        }
    }
    lengths
}

async fn answer(bridge: SocketAddr, keys: Keys) -> usize {
    let mut stream = TcpStream::connect(bridge).await.unwrap();
    let hour = hour_after(Duration::ZERO);
    stream
        .write_all(&keys.first_flight(hour, 100))
        .await
        .unwrap();
    let mut said = Vec::with_capacity(FLIGHT);
    soon("an answer", async {
        // The mark is looked for once it can be all there, not at every read.
        let mut end = None;
        while end.is_none_or(|end| said.len() < end + SEED_FRAME) {
            let n = stream.read_buf(&mut said).await.unwrap();
            assert!(n > 0, "it ended after {} bytes", said.len());
            end = end.or_else(|| keys.answer_ends(hour, &said));
        }
    })
    .await;
    stream.set_zero_linger().unwrap();
    said.len()
}

#[tokio::test]
async fn first_flights_have_every_length_and_no_other() {
    for program in PROGRAMS {
        let clients = within(LIMIT, "clients' flights", of_client(program)).await;
        fill(&clients).unwrap_or_else(|e| panic!("{program:?} as a client: {e}"));
        let bridges = within(LIMIT, "bridges' flights", of_bridge(program)).await;
        fill(&bridges).unwrap_or_else(|e| panic!("{program:?} as a bridge: {e}"));

        for lengths in [clients, bridges] {
            let altered = |alter: &dyn Fn(usize) -> usize| {
                let lengths: Vec<_> = lengths.iter().map(|&length| alter(length)).collect();
                fill(&lengths)
            };
            let off = unnoticed(lengths.len());
            altered(&|length| length + off).expect_err("a header that was forgotten");
            altered(&|length| length - off).expect_err("the padding of the published document");
            altered(&|length| length.max(SHORTEST + off)).expect_err("more padding at least");
            altered(&|length| length.min(FLIGHT - off)).expect_err("less padding at most");
            altered(&|length| length.max(700)).expect_err("short ones made longer");
        }
    }
}
