//! What one guest owns on the host's side: its descriptors, its streams, its limits.
//!
//! This is the data of the instance's store; host calls reach it through their caller. Inner is the end of
//! the application (SOCKS client or ORPort), outer the end of the network.

use super::caps::Caps;
use super::control::Control;
use super::errno::Errno;
use super::fds::{Fd, Fds, Kind};
use super::grants::{Grants, Wire};
use super::io::Io;
use super::last_words::LastWords;
use super::leaving::Leaving;
use super::prints::Prints;
use super::stream::Stream;
use super::world::World;
use crate::error::Failure;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;
use wasmtime::Memory;

/// How a guest's dial reaches the network: the host decides where to and by which way.
pub type Connect = Box<dyn Fn() -> Connecting + Send + Sync>;

/// How a guest's dial to where it wants reaches the network: the host is given the network (`tcp`) and the address, and
/// decides whether.
pub type Dial = Box<dyn Fn(String, String) -> Connecting + Send + Sync>;

/// A dial under way.
pub type Connecting = Pin<Box<dyn Future<Output = Result<Io, Failure>> + Send>>;

/// The most streams of one guest over its life: its two ends, and room for modules that dial by themselves.
const MAX_STREAMS: usize = 16;

/// What one instance may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Linear memory, bytes.
    pub memory: usize,
    /// Elements of each of its tables.
    pub table: usize,
}

impl Default for Limits {
    fn default() -> Self {
        // A TLS-class guest uses a few MiB; standard Go's tables have under 6,000 elements.
        Limits {
            memory: 64 << 20,
            table: 20_000,
        }
    }
}

/// One guest, seen from the host.
pub(super) struct Guest {
    /// Its linear memory, known once the instance exists.
    pub(super) memory: Option<Memory>,
    pub(super) fds: Fds,
    pub(super) streams: Vec<Stream>,
    pub(super) control: Control,
    pub(super) conf: Option<Arc<[u8]>>,
    pub(super) argv: Arc<[String]>,
    pub(super) env: Arc<[(String, String)]>,
    pub(super) world: World,
    /// How the network's end behaves.
    pub(super) wire: Wire,
    /// What a set-up run has answered.
    pub(super) answer: Vec<u8>,
    /// The way out to where the host was told to go.
    pub(super) connect: Option<Connect>,
    /// The way out to where the guest wants to go.
    pub(super) dial: Option<Dial>,
    /// The connection that `water_accept` hands over.
    pub(super) accepted: Option<Stream>,
    /// Where that connection is among the streams, once it was handed over.
    pub(super) accepted_at: Option<usize>,
    /// Where the connection is that the guest had dialled.
    pub(super) dialled_at: Option<usize>,
    /// Dials that failed.
    pub(super) refusals: u32,
    /// Where the application's end and the network's are, once the worker runs.
    pub(super) ends: Option<[usize; 2]>,
    pub(super) leaving: Leaving,
    pub(super) prints: Prints,
    pub(super) last_words: LastWords,
    /// Why a host call failed, in more words than an errno has.
    pub(super) failure: Option<Failure>,
    pub(super) limits: Caps,
    /// Bytes moved and waits taken; a guest in which this stands still is stuck.
    pub(super) progress: u64,
    pub(super) watch: Watch,
    /// Polls in a row that found nothing; see `preview1::poll`.
    pub(super) fruitless: u32,
    /// [`Guest::moved`] at the last poll.
    pub(super) moved_before: u64,
    pub(super) started: Instant,
}

/// The no-progress watchdog's memory, see `engine`.
#[derive(Default)]
pub(super) struct Watch {
    pub(super) seen: u64,
    pub(super) ticks: u32,
}

impl Guest {
    /// A guest with nothing but its grants.
    pub(super) fn new(grants: Grants, world: World, limits: Limits) -> Self {
        Guest {
            memory: None,
            fds: Fds::new(world.preopens()),
            streams: Vec::new(),
            control: Control::default(),
            conf: grants.conf,
            argv: grants.argv,
            env: grants.env,
            world,
            wire: grants.wire,
            answer: Vec::new(),
            connect: None,
            dial: None,
            accepted: None,
            accepted_at: None,
            dialled_at: None,
            refusals: 0,
            ends: None,
            leaving: Leaving::default(),
            prints: Prints::to(grants.output),
            last_words: LastWords::default(),
            failure: None,
            limits: Caps::new(limits),
            progress: 0,
            watch: Watch::default(),
            fruitless: 0,
            moved_before: 0,
            started: Instant::now(),
        }
    }

    /// Whether the guest can be given another stream; to be asked by whoever still needs one that it cannot.
    pub(super) fn check_room(&self) -> Result<(), Errno> {
        if self.streams.len() == MAX_STREAMS || !self.fds.has_room() {
            return Err(Errno::EMFILE);
        }
        Ok(())
    }

    /// Gives the guest a stream; returns its descriptor.
    pub(super) fn push(&mut self, stream: Stream) -> Result<i32, Errno> {
        self.check_room()?;
        let fd = self.fds.open(Kind::Stream(self.streams.len()))?;
        self.streams.push(stream);
        Ok(fd)
    }

    /// Why the guest refuses, in its own words, as long as it has met nobody whose words they could be.
    pub(super) fn reason(&mut self) -> Option<Failure> {
        let has_met_somebody = self.refusals > 0
            || self.dialled_at.is_some()
            || self.accepted_at.is_some()
            || self.moved() > 0;
        if has_met_somebody {
            return None;
        }
        let words = self.last_words.told(self.conf.as_deref(), &self.env);
        words.map(Failure::Declined)
    }

    /// How the connection that the guest made ended, if the far end or the network cut it.
    pub(super) fn dial_broke(&self) -> Option<Failure> {
        match self.streams[self.dialled_at?].broken()? {
            Errno::ECONNRESET | Errno::ECONNABORTED | Errno::EPIPE => Some(Failure::Refused),
            Errno::EHOSTUNREACH => Some(Failure::HostUnreachable),
            Errno::ENETUNREACH => Some(Failure::NetworkUnreachable),
            Errno::ETIMEDOUT => Some(Failure::DialTimeout),
            _ => None,
        }
    }

    /// Bytes that have passed, both ways.
    pub(super) fn moved(&self) -> u64 {
        let moved = |stream: &Stream| stream.received() + stream.sent();
        self.streams.iter().map(moved).sum()
    }

    /// The stream behind a descriptor, or the errno of preview1 for what is none.
    pub(super) fn stream_at(&mut self, fd: i32) -> Result<usize, Errno> {
        match self.fds.get(fd)?.kind {
            Kind::Stream(at) => Ok(at),
            _ => Err(Errno::ENOTSOCK),
        }
    }

    /// A descriptor is gone: its stream ends, once what is queued has been sent.
    pub(super) fn released(&mut self, fd: &Fd) {
        if let Kind::Stream(at) = fd.kind {
            self.streams[at].abandoned = true;
            self.streams[at].finish();
            self.flush_now();
        }
    }

    /// Sends what is queued anywhere; wakes the task when more can be sent.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut all = Poll::Ready(());
        for stream in &mut self.streams {
            let before = stream.sent();
            if stream.poll_flush(cx).is_pending() {
                all = Poll::Pending;
            }
            self.progress += stream.sent() - before;
        }
        all
    }

    /// Sends what can be sent at once. Whoever waits next registers for the rest.
    pub(super) fn flush_now(&mut self) {
        let _ = self.poll_flush(&mut Context::from_waker(Waker::noop()));
    }

    /// Whether this stream must look empty, because another end is too slow for what was read already.
    pub(super) fn is_withheld(&self, at: usize) -> bool {
        self.streams
            .iter()
            .enumerate()
            .any(|(other, stream)| other != at && stream.is_full())
    }

    /// Whether the end of this stream must not be seen yet: published workers leave at the first end they
    /// see and would drop what the other end has sent.
    pub(super) fn hides_end(&mut self, at: usize, cx: &mut Context<'_>) -> bool {
        if self.streams[at].eof_told {
            return false;
        }
        (0..self.streams.len()).any(|other| other != at && self.streams[other].has_unread(cx))
    }
}
