//! After the handshake: what a bridge makes of frames that are none, and both ends of one that was changed on its way.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::support::bytes::{self, MIB};
use crate::support::deadline::{soon, stays_pending};
use crate::support::socks;

use super::ends::{Bridge, PAIRINGS, PROGRAMS, PROMPT};
use super::prober::{LARGEST_FRAME, SEED_FRAME, SMALLEST_FRAME, hour_after, random};
use super::tap::{Flip, Tap, Way};

/// A connection whose handshake was answered, by somebody who cannot have the keys.
async fn answered(bridge: &Bridge) -> TcpStream {
    let hour = hour_after(Duration::ZERO);
    let mut stream = TcpStream::connect(bridge.addr).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let flight = bridge.keys.first_flight(hour, 100);
    stream.write_all(&flight).await.unwrap();
    let mut said = Vec::new();
    soon("the bridge's handshake", async {
        loop {
            let n = stream.read_buf(&mut said).await.unwrap();
            assert!(n > 0, "it ended after {} bytes", said.len());
            let end = bridge.keys.answer_ends(hour, &said);
            if end.is_some_and(|end| said.len() == end + SEED_FRAME) {
                return;
            }
        }
    })
    .await;
    stream
}

async fn ends(stream: &mut TcpStream) {
    let mut heard = Vec::new();
    let end = stream.read_to_end(&mut heard).await;
    assert!(end.is_ok(), "no FIN: {end:?}");
    assert!(heard.is_empty(), "it said {} bytes", heard.len());
}

/// A length that cannot be is not told from one that can: the end comes after as many bytes as a frame might have, and
/// after how many is drawn anew each time.
#[tokio::test]
async fn a_bridge_does_not_tell_where_it_expected_a_frame_to_end() {
    for program in PROGRAMS {
        eprintln!("{program:?}");
        let bridge = Bridge::start(program, PROMPT).await;
        let mut all = Vec::new();
        for _ in 0..24 {
            let mut stream = answered(&bridge).await;
            stream.write_all(&random(SMALLEST_FRAME - 1)).await.unwrap();
            all.push(stream);
        }
        for stream in &mut all {
            stays_pending(
                Duration::from_millis(40),
                "less than any frame was enough",
                ends(stream),
            )
            .await;
        }
        // Half of a largest frame is enough for half of them; for all or for none once in 10^7 runs.
        let half = LARGEST_FRAME / 2 - SMALLEST_FRAME;
        let mut waiting = JoinSet::new();
        for mut stream in all {
            stream.write_all(&random(half)).await.unwrap();
            waiting.spawn(async move {
                let early = tokio::time::timeout(Duration::from_secs(3), ends(&mut stream)).await;
                (early.is_ok(), stream)
            });
        }
        let halfway = waiting.join_all().await;
        let early = halfway.iter().filter(|(early, _)| *early).count();
        assert!((1..24).contains(&early), "{early} of 24 ended halfway");
        for (early, mut stream) in halfway {
            if !early {
                let rest = LARGEST_FRAME - (SMALLEST_FRAME - 1) - half;
                stream.write_all(&random(rest)).await.unwrap();
                soon("its end, after a largest frame", ends(&mut stream)).await;
            }
        }
        for _ in 0..24 {
            let mut relay = bridge.orport.accept().await;
            let mut heard = Vec::new();
            let _ = soon("the ORPort's end", relay.read_to_end(&mut heard)).await;
            assert!(heard.is_empty(), "{} bytes out of nothing", heard.len());
        }
    }
}

/// One changed byte ends the connection at both ends, and all that came before is whole.
#[tokio::test]
async fn a_changed_byte_ends_the_connection_and_is_never_delivered() {
    for pairing in PAIRINGS {
        eprintln!("{pairing:?}");
        let pair = pairing.start().await;
        for way in [Way::Up, Way::Down] {
            // Behind both handshakes; somewhere in a frame, be it a length, a tag or what it holds.
            for at in [20_000, 20_001, 21_111, 33_333] {
                let tap = Tap::before(pair.bridge.addr, Some(Flip { way, at })).await;
                let at_tap = tap.addr.into();
                let opened = socks::open(pair.socks.addr, &at_tap, &pair.bridge.args);
                let application = opened.await.expect("a stream");
                let relay = pair.orport.accept().await;
                let (mut from, mut to) = match way {
                    Way::Up => (application, relay),
                    Way::Down => (relay, application),
                };
                let all = bytes::stream(5, MIB);
                let sending = async {
                    // It breaks at some time, or its rest is never read.
                    let _ = from.write_all(&all).await;
                    let mut heard = Vec::new();
                    let _ = from.read_to_end(&mut heard).await;
                    assert!(heard.is_empty());
                };
                let receiving = async {
                    let mut heard = Vec::new();
                    let _ = to.read_to_end(&mut heard).await;
                    assert!(heard.len() < at, "{} bytes came through", heard.len());
                    assert!(all.starts_with(&heard), "something else came through");
                };
                soon("both ends end", async { tokio::join!(sending, receiving) }).await;
            }
        }
    }
}
