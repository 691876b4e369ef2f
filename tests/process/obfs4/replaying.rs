//! A first flight that somebody has recorded, sent again.

use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::support::deadline::soon;
use crate::support::orport::OrPort;
use crate::support::socks;

use super::ends::{Bridge, LATE, PROGRAMS, PROMPT, Program};
use super::prober::{FLIGHT, PADDING};
use super::tap::Tap;

/// Lets a real client through and gives its first flight.
async fn recorded(client: Program, bridge: &Bridge) -> Vec<u8> {
    let pt = client.client().start();
    let port = pt.method("obfs4").await.addr;
    let tap = Tap::before(bridge.addr, None).await;
    let opened = socks::open(port, &tap.addr.into(), &bridge.keys.old_form(0)).await;
    let _application = opened.expect("a stream");
    let _relay = bridge.orport.accept().await;
    let flight = tap.heard();
    let least = 32 + PADDING.start() + 32;
    assert!((least..=FLIGHT).contains(&flight.len()), "{}", flight.len());
    flight
}

/// What each flight gets: nothing until the bridge's end, by FIN.
async fn are_ignored(bridge: &Bridge, flights: &[Vec<u8>]) {
    let start = Instant::now();
    let mut streams = Vec::new();
    for flight in flights {
        let mut stream = TcpStream::connect(bridge.addr).await.unwrap();
        stream.write_all(flight).await.unwrap();
        streams.push(stream);
    }
    for mut stream in streams {
        let mut heard = Vec::new();
        let end = tokio::time::timeout(PROMPT.end() + LATE, stream.read_to_end(&mut heard));
        let heard = end.await.expect("its end").expect("a FIN");
        assert_eq!(heard, 0, "answered by {:?}", bridge.program);
        assert!(start.elapsed() >= PROMPT.end(), "{:?}", start.elapsed());
    }
}

async fn is_answered(bridge: &Bridge, flight: &[u8]) {
    let mut stream = TcpStream::connect(bridge.addr).await.unwrap();
    stream.write_all(flight).await.unwrap();
    soon("an answer", stream.read_u8()).await.unwrap();
    bridge.orport.accept().await;
}

/// Both bridges know a flight again; ouzel after a restart too, even if it was killed.
#[tokio::test]
async fn a_recorded_flight_is_not_answered_again() {
    let mut all = JoinSet::new();
    for program in PROGRAMS {
        all.spawn(async move {
            let bridge = Bridge::start(program, PROMPT).await;
            let mut flights = Vec::new();
            for client in PROGRAMS {
                flights.push(recorded(client, &bridge).await);
            }
            are_ignored(&bridge, &flights).await;
            bridge.orport.assert_unused(Duration::ZERO).await;
        });
        all.spawn(async move {
            let mut bridge = Bridge::start(program, PROMPT).await;
            let mut flights = Vec::new();
            for client in PROGRAMS {
                flights.push(recorded(client, &bridge).await);
            }
            bridge.pt.signal(Signal::KILL);
            bridge.pt.ended().await;
            let orport = OrPort::listen().await;
            let again = program
                .bridge(orport.addr, PROMPT)
                .sharing_state(&bridge.pt.state);
            let again = Bridge::launched(program, again, orport).await;
            assert_eq!(again.keys, bridge.keys);
            match program {
                Program::Ouzel => {
                    are_ignored(&again, &flights).await;
                    again.orport.assert_unused(Duration::ZERO).await;
                }
                Program::Obfs4proxy => {
                    for flight in &flights {
                        is_answered(&again, flight).await;
                    }
                }
            }
        });
    }
    all.join_all().await;
}
