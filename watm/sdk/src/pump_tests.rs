//! The pump against a host that is as awkward as the ABI allows: reads of any size, writes cut
//! short or refused, wake-ups that say nothing. A wait that nothing could ever end fails the test.

use super::*;
use crate::codec::{InPlace, Transform};
use crate::host::Ready;

/// Adds its position and a constant, so that loss, repetition and reordering all show.
struct Count(u64, u8);

impl Transform for Count {
    fn apply(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            *byte = byte.wrapping_add(self.0 as u8).wrapping_add(self.1);
            self.0 += 1;
        }
    }
}

/// What the far side of a connection does.
struct Peer {
    /// What it sends, and how much of that was read.
    sends: Vec<u8>,
    read: usize,
    /// Whether the end follows what it sends.
    ends: bool,
    /// Whether what it gets is what it sends, and the end likewise.
    echoes: bool,
    /// How much it takes while what it sent lies unread.
    window: usize,
    got: Vec<u8>,
    got_end: bool,
    closed: bool,
}

impl Peer {
    fn new(sends: Vec<u8>) -> Peer {
        Peer {
            sends,
            read: 0,
            ends: true,
            echoes: false,
            window: usize::MAX,
            got: Vec::new(),
            got_end: false,
            closed: false,
        }
    }

    fn readable(&self) -> bool {
        self.read < self.sends.len() || self.ends
    }

    fn room(&self) -> usize {
        self.window.saturating_sub(self.sends.len() - self.read)
    }
}

struct World {
    random: u64,
    peers: [Peer; 2],
    /// Answers to `shutdown_write` and, at that many bytes read, to `cancelled`.
    shutdown: Result<(), Errno>,
    cancel_at: usize,
    /// 1 is a host that takes and gives as much as there is.
    awkward: u64,
    largest_read: usize,
    waits: usize,
    clock: u64,
}

impl World {
    fn new(seed: u64, up: Vec<u8>, down: Vec<u8>) -> World {
        World {
            random: seed,
            peers: [Peer::new(up), Peer::new(down)],
            shutdown: Ok(()),
            cancel_at: usize::MAX,
            awkward: 4,
            largest_read: 0,
            waits: 0,
            clock: 0,
        }
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % limit
    }

    fn refuses(&mut self) -> bool {
        self.awkward > 1 && self.below(self.awkward) == 0
    }

    fn some_of(&mut self, n: usize) -> usize {
        if self.awkward == 1 || self.below(2) == 0 {
            return n;
        }
        1 + self.below(n as u64) as usize
    }

    fn run(&mut self) -> Result<(), Errno> {
        let mut buffers = Box::new(Buffers::new());
        let (mut up, mut down) = (Count(0, 3), Count(0, 5));
        let (mut up, mut down) = (InPlace::new(&mut up), InPlace::new(&mut down));
        pump(self, &mut buffers, &mut up, &mut down)
    }
}

impl Host for World {
    fn read(&mut self, side: Side, buf: &mut [u8]) -> Result<usize, Errno> {
        if self.refuses() {
            return Err(Errno::AGAIN);
        }
        self.largest_read = self.largest_read.max(buf.len());
        let peer = &self.peers[side as usize];
        let there = peer.sends.len() - peer.read;
        if there == 0 {
            return if peer.ends { Ok(0) } else { Err(Errno::AGAIN) };
        }
        let n = self.some_of(there.min(buf.len()));
        let peer = &mut self.peers[side as usize];
        buf[..n].copy_from_slice(&peer.sends[peer.read..peer.read + n]);
        peer.read += n;
        Ok(n)
    }

    fn write(&mut self, side: Side, buf: &[u8]) -> Result<usize, Errno> {
        let room = self.peers[side as usize].room().min(buf.len());
        if room == 0 || self.refuses() {
            return Err(Errno::AGAIN);
        }
        let n = self.some_of(room);
        let peer = &mut self.peers[side as usize];
        assert!(!peer.got_end && !peer.closed, "bytes after the end");
        peer.got.extend_from_slice(&buf[..n]);
        if peer.echoes {
            peer.sends.extend_from_slice(&buf[..n]);
        }
        Ok(n)
    }

    fn shutdown_write(&mut self, side: Side) -> Result<(), Errno> {
        let peer = &mut self.peers[side as usize];
        assert!(!peer.got_end, "the end comes once");
        if self.shutdown.is_ok() {
            peer.got_end = true;
            peer.ends |= peer.echoes;
        }
        self.shutdown
    }

    fn close(&mut self, side: Side) -> Result<(), Errno> {
        self.peers[side as usize].closed = true;
        Ok(())
    }

    fn now(&mut self) -> Result<u64, Errno> {
        self.clock += 1;
        Ok(self.clock)
    }

    fn cancelled(&mut self) -> Result<bool, Errno> {
        Ok(self.peers.iter().map(|peer| peer.read).sum::<usize>() >= self.cancel_at)
    }

    fn wait(&mut self, interest: Interest) -> Result<Ready, Errno> {
        self.waits += 1;
        let possible = interest.0.map(|want| match want {
            Want::Nothing => false,
            Want::Read(side) => self.peers[side as usize].readable(),
            Want::Write(side) => self.peers[side as usize].room() > 0,
            Want::Time(_) => true,
        });
        // A time comes when everybody waits for it, or at any other moment.
        for want in interest.0 {
            if let Want::Time(until) = want {
                self.clock = self.clock.max(until);
            }
        }
        let control = self.cancelled()?;
        assert!(control || possible.contains(&true), "a wait without end");
        let all = self.below(3) == 0;
        let first = self.below(2) as usize;
        let mut flows = possible;
        if !all && possible == [true, true] {
            flows[first] = false;
        }
        Ok(Ready { control, flows })
    }
}

fn bytes(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|i| (i * seed + i / 251) as u8).collect()
}

fn counted(mut bytes: Vec<u8>, constant: u8) -> Vec<u8> {
    Count(0, constant).apply(&mut bytes);
    bytes
}

#[test]
fn every_byte_arrives_once_and_both_ends_are_passed_on() {
    for seed in 0..60 {
        let (up, down) = (bytes(700_000, 7), bytes(90_000, 11));
        let mut world = World::new(seed, up.clone(), down.clone());
        assert_eq!(world.run(), Ok(()), "seed {seed}");
        assert!(world.peers[1].got == counted(up, 3), "up, seed {seed}");
        assert!(world.peers[0].got == counted(down, 5), "down, seed {seed}");
        assert!(world.peers.iter().all(|peer| peer.got_end && !peer.closed));
    }
}

#[test]
fn an_end_leaves_the_other_direction_open() {
    // The server answers only after the client's end: it echoes, and ends when it got the end.
    for seed in 0..20 {
        let mut world = World::new(seed, bytes(50_000, 3), Vec::new());
        world.peers[1].echoes = true;
        world.peers[1].ends = false;
        world.peers[1].window = 2_000_000;
        assert_eq!(world.run(), Ok(()), "seed {seed}");
        assert_eq!(world.peers[0].got.len(), 50_000);
        assert!(world.peers[0].got_end && world.peers[1].got_end);
    }
}

#[test]
fn an_echo_that_takes_only_what_it_gave_back_does_not_stall() {
    for seed in 0..20 {
        let mut world = World::new(seed, bytes(3_000_000, 3), Vec::new());
        world.peers[1].echoes = true;
        world.peers[1].ends = false;
        world.peers[1].window = 10_000;
        assert_eq!(world.run(), Ok(()), "seed {seed}");
        assert_eq!(world.peers[0].got.len(), 3_000_000);
    }
}

#[test]
fn without_half_close_the_first_end_ends_all_but_loses_nothing_that_is_there() {
    for errno in [Errno::NOSYS, Errno::NOTSUP, Errno::NOTSOCK, Errno::BADF] {
        for seed in 0..20 {
            let (up, down) = (bytes(40_000, 7), bytes(40_000, 11));
            let mut world = World::new(seed, up.clone(), down.clone());
            world.shutdown = Err(errno);
            world.awkward = 1;
            world.peers[1].ends = false;
            world.peers[0].window = usize::MAX;
            assert_eq!(world.run(), Ok(()), "seed {seed}");
            assert!(world.peers[1].got == counted(up, 3));
            assert!(world.peers[0].got == counted(down, 5));
            assert!(world.peers.iter().all(|peer| peer.closed));
        }
    }
}

#[test]
fn what_was_read_is_written_even_when_that_needs_a_wait_at_the_end() {
    for seed in 0..40 {
        let mut world = World::new(seed, bytes(200_000, 7), bytes(200_000, 5));
        world.shutdown = Err(Errno::NOSYS);
        assert_eq!(world.run(), Ok(()), "seed {seed}");
        for side in 0..2 {
            assert_eq!(world.peers[1 - side].got.len(), world.peers[side].read);
            assert!(world.peers[side].closed);
        }
    }
}

#[test]
fn a_peer_that_left_does_not_hide_what_it_sent() {
    let mut world = World::new(1, bytes(10, 1), bytes(100_000, 5));
    world.shutdown = Err(Errno::NOTCONN);
    assert_eq!(world.run(), Ok(()));
    assert_eq!(world.peers[0].got.len(), 100_000);
}

#[test]
fn another_shutdown_error_is_the_workers_error() {
    let mut world = World::new(1, bytes(10, 1), Vec::new());
    world.shutdown = Err(Errno::CONNRESET);
    assert_eq!(world.run(), Err(Errno::CONNRESET));
}

#[test]
fn cancelling_ends_an_idle_and_a_busy_connection() {
    let mut idle = World::new(1, Vec::new(), Vec::new());
    idle.peers[0].ends = false;
    idle.peers[1].ends = false;
    idle.cancel_at = 0;
    assert_eq!(idle.run(), Err(Errno::CANCELED));
    let mut busy = World::new(1, bytes(30 << 20, 1), Vec::new());
    busy.awkward = 1;
    busy.cancel_at = 5 << 20;
    assert_eq!(busy.run(), Err(Errno::CANCELED));
    assert!(busy.peers[1].got.len() <= (5 << 20) + QUANTUM + MAX_READ);
}

#[test]
fn one_direction_has_no_more_than_a_quantum_before_the_other() {
    let mut world = World::new(3, bytes(20 << 20, 1), bytes(20 << 20, 3));
    world.awkward = 1;
    world.cancel_at = 12 << 20;
    assert_eq!(world.run(), Err(Errno::CANCELED));
    let [up, down] = [world.peers[0].read, world.peers[1].read];
    assert!(up.abs_diff(down) <= 2 * QUANTUM, "{up} and {down}");
}

#[test]
fn short_connections_read_into_little_memory_and_long_ones_into_much() {
    let mut short = World::new(1, bytes(64 << 10, 1), bytes(64 << 10, 1));
    short.awkward = 1;
    short.peers[0].ends = false;
    short.peers[1].ends = false;
    short.cancel_at = 128 << 10;
    assert_eq!(short.run(), Err(Errno::CANCELED));
    assert!(short.largest_read <= 64 << 10);
    let mut long = World::new(1, bytes(8 << 20, 1), Vec::new());
    long.awkward = 1;
    assert_eq!(long.run(), Ok(()));
    assert_eq!(long.largest_read, MAX_READ);
    assert!(long.waits <= 2);
}

#[test]
fn appetite_shrinks_again() {
    let mut appetite = Appetite::new();
    for _ in 0..12 {
        appetite.learn(appetite.size);
    }
    assert_eq!(appetite.size, MAX_READ);
    appetite.learn(MAX_READ / 2);
    assert_eq!(appetite.size, MAX_READ);
    for _ in 0..5 {
        appetite.learn(100);
    }
    assert_eq!(appetite.size, MIN_READ);
}

/// Frames of at most seven bytes, each in two pieces with a pause after the first.
struct Framed {
    far: bool,
    frame: [u8; 8],
    sends: Vec<u8>,
    cuts: usize,
}

impl Framed {
    fn new() -> Framed {
        Framed {
            far: false,
            frame: [0; 8],
            sends: Vec::new(),
            cuts: 0,
        }
    }
}

impl Codec for Framed {
    fn space<'a>(&mut self, buffer: &'a mut [u8], _wish: usize) -> &'a mut [u8] {
        &mut buffer[1..8]
    }

    fn arrived(&mut self, buffer: &mut [u8], n: usize) -> Result<(), Errno> {
        buffer[0] = n as u8;
        self.frame[..8].copy_from_slice(&buffer[..8]);
        self.sends = buffer[..=n].to_vec();
        self.cuts = 2;
        Ok(())
    }

    fn next(&mut self, buffer: &mut [u8]) -> Result<Option<Piece>, Errno> {
        if self.cuts > 0 {
            assert_eq!(
                buffer[..self.sends.len()],
                self.sends,
                "its buffer is its own"
            );
        }
        self.cuts = self.cuts.saturating_sub(1);
        let end = self.sends.len();
        match (self.cuts, end) {
            (1, _) => Ok(Some(Piece {
                start: 0,
                end: 1,
                pause: 1_000,
            })),
            (0, 1..) => {
                self.sends.clear();
                self.far = !self.far;
                Ok(Some(Piece {
                    start: 1,
                    end,
                    pause: u64::from(self.far),
                }))
            }
            _ => Ok(None),
        }
    }
}

#[test]
fn a_codec_has_its_buffer_until_its_last_piece_is_out() {
    for seed in 0..40 {
        let (up, down) = (bytes(5_000, 7), bytes(3_000, 11));
        let mut world = World::new(seed, up.clone(), down.clone());
        let mut buffers = Box::new(Buffers::new());
        let (mut framed, mut in_place) = (Framed::new(), Count(0, 5));
        let done = pump(
            &mut world,
            &mut buffers,
            &mut framed,
            &mut InPlace::new(&mut in_place),
        );
        assert_eq!(done, Ok(()), "seed {seed}");
        let mut got = &world.peers[1].got[..];
        let mut payload = Vec::new();
        while let [n, rest @ ..] = got {
            let (frame, rest) = rest.split_at(usize::from(*n));
            payload.extend_from_slice(frame);
            got = rest;
        }
        assert!(payload == up, "up, seed {seed}");
        assert!(world.peers[0].got == counted(down, 5), "down, seed {seed}");
    }
}
