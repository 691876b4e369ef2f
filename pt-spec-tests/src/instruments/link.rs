//! A loopback link between two programs, with faults at a word's notice.
//!
//! In: connections, each of which is carried on to one address. Out: the same bytes, held up, cut small, stopped or
//! broken off as a case wants. An end is carried on as an end, one way at a time, and a reset as a reset. Bounded: at
//! most 64 KiB wait in each direction of a connection. Can go wrong: nothing; where nobody listens at the other end,
//! the connection is accepted and reset.

mod carry;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::wire::{dial, dial_from, listen};
use crate::verdict::Verdict;

/// The most connections at once; further ones wait to be accepted.
const CONNECTIONS: usize = 1024;

/// One way through the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From who dialled the link to who is behind it.
    Onward,
    /// Back.
    Back,
}

/// What happens to the bytes of one direction.
#[derive(Clone, Copy, Debug)]
struct Faults {
    delay: Duration,
    piece: usize,
    stalled: bool,
    /// How often this direction has been closed: a connection compares it with the number at its start.
    closed: usize,
}

/// All that can be set.
#[derive(Clone, Copy, Debug)]
struct Settings {
    onward: Faults,
    back: Faults,
    /// How often all connections have been reset.
    resets: usize,
}

/// What has been carried.
#[derive(Debug, Default)]
struct Counts {
    connections: AtomicUsize,
    onward: AtomicU64,
    back: AtomicU64,
}

/// The link. It is cut when it goes out of scope.
#[derive(Debug)]
pub struct Link {
    addr: SocketAddr,
    settings: watch::Sender<Settings>,
    counts: Arc<Counts>,
    _tasks: JoinSet<()>,
}

impl Link {
    /// Listens on a free port of 127.0.0.1 and carries every connection on to `onward`.
    pub async fn start(onward: SocketAddr) -> Verdict<Link> {
        Link::from(None, onward).await
    }

    /// The same; who is behind it sees the connections come from another address of loopback.
    pub async fn start_from(source: Ipv4Addr, onward: SocketAddr) -> Verdict<Link> {
        Link::from(Some(source), onward).await
    }

    async fn from(source: Option<Ipv4Addr>, onward: SocketAddr) -> Verdict<Link> {
        let (listener, addr) = listen().await?;
        let faults = Faults {
            delay: Duration::ZERO,
            piece: usize::MAX,
            stalled: false,
            closed: 0,
        };
        let (settings, watched) = watch::channel(Settings {
            onward: faults,
            back: faults,
            resets: 0,
        });
        let counts = Arc::new(Counts::default());
        let mut tasks = JoinSet::new();
        let onward = (source, onward);
        tasks.spawn(serve(listener, onward, watched, counts.clone()));
        Ok(Link {
            addr,
            settings,
            counts,
            _tasks: tasks,
        })
    }

    /// Where to connect to.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Holds every byte, and the end, up for `time`, without making the link slower in bytes per second than 64 KiB
    /// per `time`.
    pub fn delay(&self, direction: Direction, time: Duration) {
        self.set(direction, |faults| faults.delay = time);
    }

    /// Hands over at most `bytes` at once.
    pub fn split(&self, direction: Direction, bytes: usize) {
        self.set(direction, |faults| faults.piece = bytes.max(1));
    }

    /// Stops reading, so that the sender's buffers fill.
    pub fn stall(&self, direction: Direction) {
        self.set(direction, |faults| faults.stalled = true);
    }

    /// Reads again.
    pub fn resume(&self, direction: Direction) {
        self.set(direction, |faults| faults.stalled = false);
    }

    /// Ends one direction of every open connection in order, after what has been read; the receiver sees a FIN, the
    /// sender nothing: what it still says is lost.
    pub fn half_close(&self, direction: Direction) {
        self.set(direction, |faults| faults.closed += 1);
    }

    /// Breaks every open connection off, with a RST to both ends.
    pub fn reset(&self) {
        self.settings.send_modify(|settings| settings.resets += 1);
    }

    /// Bytes handed over in one direction, over all connections.
    pub fn bytes(&self, direction: Direction) -> u64 {
        self.counts.of(direction).load(Ordering::Relaxed)
    }

    /// How many connections there have been.
    pub fn connections(&self) -> usize {
        self.counts.connections.load(Ordering::Relaxed)
    }

    fn set(&self, direction: Direction, change: impl FnOnce(&mut Faults)) {
        self.settings.send_modify(|settings| match direction {
            Direction::Onward => change(&mut settings.onward),
            Direction::Back => change(&mut settings.back),
        });
    }
}

impl Settings {
    fn of(&self, direction: Direction) -> Faults {
        match direction {
            Direction::Onward => self.onward,
            Direction::Back => self.back,
        }
    }
}

impl Counts {
    fn of(&self, direction: Direction) -> &AtomicU64 {
        match direction {
            Direction::Onward => &self.onward,
            Direction::Back => &self.back,
        }
    }
}

async fn serve(
    listener: TcpListener,
    onward: (Option<Ipv4Addr>, SocketAddr),
    settings: watch::Receiver<Settings>,
    counts: Arc<Counts>,
) {
    let mut connections = JoinSet::new();
    while let Ok((near, _)) = listener.accept().await {
        counts.connections.fetch_add(1, Ordering::Relaxed);
        connections.spawn(connect(near, onward, settings.clone(), counts.clone()));
        while connections.try_join_next().is_some() {}
        if connections.len() >= CONNECTIONS {
            connections.join_next().await;
        }
    }
}

async fn connect(
    near: TcpStream,
    onward: (Option<Ipv4Addr>, SocketAddr),
    settings: watch::Receiver<Settings>,
    counts: Arc<Counts>,
) {
    // A connection is told of the faults that are set while it lasts, the dial included.
    let start = *settings.borrow();
    let far = match onward {
        (None, onward) => dial(onward).await,
        (Some(source), onward) => dial_from(source, onward).await,
    };
    match far {
        Ok(far) => carry::both_ways(near, far, start, settings, &counts).await,
        Err(_) => reset(near),
    }
}

/// Closes with a RST instead of a FIN.
fn reset(stream: TcpStream) {
    // It fails only on a connection that is gone.
    let _ = stream.set_zero_linger();
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::time::Instant;

    use super::*;
    use crate::instruments::pattern::{expect_pattern, pump};
    use crate::instruments::wire::{Ended, SOON, read_exactly, read_to_end, write_all};

    /// Both ends of a connection through a link, and the link.
    async fn linked() -> (Link, TcpStream, TcpStream) {
        let (listener, behind) = listen().await.expect("a free port");
        let link = Link::start(behind).await.expect("a free port");
        let near = dial(link.addr()).await.expect("listens");
        let (far, _) = listener.accept().await.expect("carried on");
        (link, near, far)
    }

    #[tokio::test]
    async fn bytes_pass_both_ways_whatever_size_they_are_handed_over_in() {
        let (link, mut near, mut far) = linked().await;
        let total = 400_000;
        for piece in [usize::MAX, 100] {
            link.split(Direction::Back, piece);
            let (mut near_read, mut near_write) = near.split();
            let (mut far_read, mut far_write) = far.split();
            let done = tokio::try_join!(
                pump(&mut near_write, 1, total, SOON),
                pump(&mut far_write, 2, total, SOON),
                expect_pattern(&mut far_read, 1, total, SOON),
                expect_pattern(&mut near_read, 2, total, SOON),
            );
            done.expect("whole and unchanged");
        }
        assert_eq!(
            (link.bytes(Direction::Onward), link.bytes(Direction::Back)),
            (800_000, 800_000)
        );
        assert_eq!(link.connections(), 1);
    }

    #[tokio::test]
    async fn an_end_is_an_end_one_way() {
        let (_link, mut near, mut far) = linked().await;
        near.write_all(b"last").await.expect("room");
        near.shutdown().await.expect("open");
        assert_eq!(
            read_to_end(&mut far, SOON).await,
            (b"last".to_vec(), Ended::Eof)
        );
        far.write_all(b"answer").await.expect("open the other way");
        drop(far);
        assert_eq!(
            read_to_end(&mut near, SOON).await,
            (b"answer".to_vec(), Ended::Eof)
        );
    }

    #[tokio::test]
    async fn a_half_close_of_the_link_is_seen_by_the_receiver_alone() {
        let (link, mut near, mut far) = linked().await;
        near.write_all(b"before").await.expect("room");
        read_exactly(&mut far, 6, SOON).await.expect("carried on");
        link.half_close(Direction::Onward);
        assert_eq!(read_to_end(&mut far, SOON).await, (Vec::new(), Ended::Eof));
        near.write_all(b"lost").await.expect("open");
        far.write_all(b"back").await.expect("open");
        assert_eq!(
            read_exactly(&mut near, 4, SOON).await.expect("carried"),
            b"back"
        );
        assert_eq!(link.bytes(Direction::Onward), 6);
    }

    #[tokio::test]
    async fn a_reset_reaches_both_ends_and_passes_through() {
        let (link, mut near, mut far) = linked().await;
        link.reset();
        assert_eq!(read_to_end(&mut near, SOON).await.1, Ended::Reset);
        assert_eq!(read_to_end(&mut far, SOON).await.1, Ended::Reset);

        let (_link, mut near, far) = linked().await;
        reset(far);
        assert_eq!(read_to_end(&mut near, SOON).await.1, Ended::Reset);
    }

    #[tokio::test]
    async fn a_stall_builds_back_pressure_and_can_be_lifted() {
        let (link, mut near, mut far) = linked().await;
        link.stall(Direction::Onward);
        near.write_all(b"held").await.expect("room");
        let window = Duration::from_millis(100);
        assert_eq!(
            read_to_end(&mut far, window).await,
            (Vec::new(), Ended::Silent)
        );
        let flood = vec![0; 64 << 20];
        assert_eq!(
            write_all(&mut near, &flood, window).await,
            Err(Ended::Silent)
        );
        link.resume(Direction::Onward);
        assert_eq!(
            read_exactly(&mut far, 4, SOON).await.expect("carried on"),
            b"held"
        );
    }

    #[tokio::test]
    async fn a_delay_holds_bytes_up() {
        let (link, mut near, mut far) = linked().await;
        let time = Duration::from_millis(200);
        link.delay(Direction::Onward, time);
        let sent = Instant::now();
        near.write_all(b"late").await.expect("room");
        read_exactly(&mut far, 4, SOON).await.expect("carried on");
        assert!(sent.elapsed() >= time);
    }

    #[tokio::test]
    async fn where_nobody_listens_a_connection_is_reset() {
        let (listener, nowhere) = listen().await.expect("a free port");
        drop(listener);
        let link = Link::start(nowhere).await.expect("a free port");
        let mut near = dial(link.addr()).await.expect("listens");
        assert_eq!(read_to_end(&mut near, SOON).await.1, Ended::Reset);
        assert_eq!(link.connections(), 1);
    }
}
