//! Good tunnels beside hostile guests: their bytes, their ends, their round trips.
//!
//! In: how many tunnels, and which company. Out: the time of every round trip; a byte that differs, a reset or
//! an end that comes early panics. How long the trips take is for the benchmark `neighbours` to say.

use crate::fate::{CONF, face};
use crate::hostile::HOSTILE;
use crate::tunnel::{Tunnel, tunnel, within};
use ouzel::watm::Role;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

/// How many there are.
pub(crate) const TUNNELS: usize = 100;

/// Between two messages of one tunnel: a conversation, not a load.
const PAUSE: Duration = Duration::from_millis(20);

/// Tunnels that carry messages to and fro until they are told to end.
pub(crate) struct Crowd {
    tunnels: Vec<JoinHandle<Vec<Duration>>>,
    done: Arc<AtomicBool>,
}

impl Crowd {
    /// Brings them up, one half through each of the built-in transports.
    pub(crate) async fn gather(count: usize) -> Crowd {
        let done = Arc::new(AtomicBool::new(false));
        let mut tunnels = Vec::new();
        for number in 0..count {
            let name = ["plain", "reverse"][number % 2];
            let ends = tunnel(name).await;
            tunnels.push(tokio::spawn(converse(ends, number, Arc::clone(&done))));
        }
        Crowd { tunnels, done }
    }

    /// Ends them, and tells how long their round trips took.
    pub(crate) async fn leave(self) -> Vec<Duration> {
        self.done.store(true, Ordering::Relaxed);
        let mut trips = Vec::new();
        for tunnel in self.tunnels {
            let of_one = within("the end of a tunnel", tunnel).await;
            trips.extend(of_one.expect("a good tunnel"));
        }
        trips
    }
}

async fn converse(tunnel: Tunnel, number: usize, done: Arc<AtomicBool>) -> Vec<Duration> {
    let Tunnel {
        mut app,
        mut relay,
        dialer,
        listener,
    } = tunnel;
    let echo = tokio::spawn(async move {
        let (mut reads, mut writes) = relay.split();
        let echoed = tokio::io::copy(&mut reads, &mut writes).await;
        writes.shutdown().await.and(echoed)
    });
    let (mut trips, mut turn) = (Vec::new(), number as u64);
    while !done.load(Ordering::Relaxed) {
        let message = turn
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .to_le_bytes()
            .repeat(8);
        let mut got = vec![0; message.len()];
        let start = Instant::now();
        within("a round trip", async {
            app.write_all(&message).await.expect("no reset");
            app.read_exact(&mut got).await.expect("no reset, no end");
        })
        .await;
        trips.push(start.elapsed());
        assert!(got == message, "tunnel {number}, turn {turn}");
        turn += 1;
        tokio::time::sleep(PAUSE).await;
    }
    app.shutdown().await.expect("no reset");
    let mut rest = Vec::new();
    app.read_to_end(&mut rest).await.expect("a clean end");
    assert!(rest.is_empty(), "{} bytes too many", rest.len());
    let sent = trips.len() as u64 * 64;
    assert_eq!(echo.await.expect("no panic").expect("no reset"), sent);
    for session in [dialer, listener] {
        let outcome = session.await.expect("no panic");
        outcome.result.expect("it ended well");
        assert_eq!((outcome.from_inner, outcome.from_outer), (sent, sent));
    }
    trips
}

/// Runs every hostile guest in a role, so many at a time, and holds each against its fate.
pub(crate) async fn parade(role: Role, at_once: usize) {
    let places = Arc::new(Semaphore::new(at_once));
    let mut guests = JoinSet::new();
    for &(name, fate) in HOSTILE {
        let place = Arc::clone(&places).acquire_owned().await;
        guests.spawn(async move {
            within(name, face(name, role, CONF, fate)).await;
            drop(place);
        });
    }
    while let Some(ended) = guests.join_next().await {
        ended.expect("it met its fate");
    }
}

/// One after the other, then all at once; not one round trip fails, and nothing is left of anybody.
#[test]
fn a_hundred_tunnels_beside_every_hostile_guest() {
    const NAME: &str = "crowd::a_hundred_tunnels_beside_every_hostile_guest";
    crate::alone::alone(NAME, async {
        let crowd = Crowd::gather(TUNNELS).await;
        parade(Role::Listener, 4).await;
        parade(Role::Dialer, HOSTILE.len()).await;
        let trips = crowd.leave().await;
        assert!(trips.len() > TUNNELS, "only {} round trips", trips.len());
    });
}
