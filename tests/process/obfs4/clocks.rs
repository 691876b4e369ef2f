//! A client and a bridge whose clocks differ. ouzel runs under faketime, obfs4proxy (which does not ask libc for the
//! time) by the machine's clock: so obfs4proxy judges what ouzel does with an hour, on either side.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::task::JoinSet;

use crate::support::bytes;
use crate::support::deadline::soon;
use crate::support::orport::OrPort;
use crate::support::pair::Pair;
use crate::support::peers;
use crate::support::pt::Launch;
use crate::support::socks::{self, Refusal};

use super::ends::{LATE, PROMPT, Pairing, Program};
use super::prober::UNDER_WAY;

/// Runs with a clock that is this many seconds ahead.
fn ahead(launch: Launch, seconds: i64) -> Launch {
    // The command is not used, for it stays between the test and the program; it says that the library is there.
    peers::find("faketime", "faketime");
    launch
        .set("LD_PRELOAD", "/usr/$LIB/faketime/libfaketimeMT.so.1")
        .set("FAKETIME", format!("{seconds:+}"))
        .set("FAKETIME_DONT_FAKE_MONOTONIC", "1")
}

/// By how many seconds a client's clock is ahead of its bridge's so that, whenever the hour strikes during the test,
/// 1 hour remains one that is accepted, and 2 hours remain too many. Both count from the client's hour, which is
/// the earlier to be read.
fn difference(hours: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let left = 3600 - i64::try_from(now.as_secs() % 3600).unwrap();
    let under_way = i64::try_from(UNDER_WAY.as_secs()).unwrap();
    // The bridge's hour may become the next one: a client that is behind falls one more behind, and one that is ahead
    // loses one.
    let strikes = left < under_way;
    let correction = if strikes && (hours == -1 || hours == 2) {
        4 * under_way
    } else {
        0
    };
    hours * 3600 + correction
}

async fn differing(client: Program, bridge: Program, hours: i64) -> Pair {
    let difference = difference(hours);
    let orport = OrPort::listen().await;
    let shifted = |launch, program, seconds| match program {
        Program::Ouzel => ahead(launch, seconds),
        Program::Obfs4proxy => launch,
    };
    let server = shifted(bridge.bridge(orport.addr, PROMPT), bridge, -difference);
    let client = shifted(client.client(), client, difference);
    Pair::between("obfs4", orport, client, server).await
}

#[tokio::test]
async fn an_hour_is_forgiven_and_two_are_not() {
    let mut all = JoinSet::new();
    for (client, bridge) in [
        (Program::Ouzel, Program::Obfs4proxy),
        (Program::Obfs4proxy, Program::Ouzel),
    ] {
        for hours in [-2, -1, 1, 2] {
            all.spawn(async move {
                let pair = differing(client, bridge, hours).await;
                let what = Pairing { client, bridge };
                if hours.abs() == 1 {
                    let (mut application, mut relay) = pair.open().await;
                    soon("a stream", async {
                        tokio::join!(
                            bytes::send(&mut application, 1, 10_000),
                            bytes::expect(&mut relay, 1, 10_000)
                        )
                    })
                    .await;
                    return;
                }
                let bridge = pair.bridge.addr.into();
                let opened = socks::open(pair.socks.addr, &bridge, &pair.bridge.args);
                let refusal = tokio::time::timeout(PROMPT.end() + LATE, opened).await;
                let refusal = refusal.expect("the bridge ends it");
                assert!(
                    matches!(refusal, Err(Refusal::Reply(1..))),
                    "{what:?}, {hours} h: {refusal:?}"
                );
                pair.orport.assert_unused(Duration::ZERO).await;
            });
        }
    }
    all.join_all().await;
}
