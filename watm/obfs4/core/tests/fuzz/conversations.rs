//! Whole conversations of a client with its bridge over a link that cuts as it likes, and changes one byte at most: every
//! byte arrives, or the direction ends with a name.

use crate::cases::{Case, cases};
use crate::link::{Bridge, HOUR, Reader, message};
use obfs4_core::arguments::IatMode;
use obfs4_core::burst::{BUFFER, GAP, MAX_BURST, Shaper, Tables};
use obfs4_core::drbg::Seed;
use obfs4_core::framing::{Kind, MAX_FRAME, OVERHEAD, Opener, Sealer};
use obfs4_core::handshake::{Keys, MAX_MESSAGE};

const MODES: [IatMode; 3] = [IatMode::None, IatMode::Enabled, IatMode::Paranoid];

/// How a conversation ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// All has arrived, and both directions ended between frames.
    Complete,
    /// The server did not accept the client's message, or still waits for it.
    Unanswered,
    /// The client did not accept the server's message, or still waits for it.
    Unaccepted,
    /// A frame was none of the peer's.
    Broken,
    /// A direction ended within a frame.
    CutShort,
}

/// The byte that is changed.
#[derive(Clone, Copy)]
enum Place {
    None,
    /// This one, counted over both directions.
    Byte(usize),
    /// This one of this write: in a burst, the first two are a length.
    Write(usize, usize),
}

/// The way between the two.
struct Link {
    place: Place,
    /// What of the byte.
    bits: u8,
    bytes: usize,
    writes: usize,
    is_changed: bool,
}

impl Link {
    fn new(place: Place, bits: u8) -> Link {
        Link {
            place,
            bits,
            bytes: 0,
            writes: 0,
            is_changed: false,
        }
    }

    fn pass(&mut self, mut wire: Vec<u8>) -> Vec<u8> {
        let at = match self.place {
            Place::None => None,
            Place::Byte(byte) => byte.checked_sub(self.bytes),
            Place::Write(write, byte) => (write == self.writes).then_some(byte),
        };
        if let Some(byte) = at.and_then(|at| wire.get_mut(at)) {
            *byte ^= self.bits;
            self.is_changed = true;
        }
        self.bytes += wire.len();
        self.writes += 1;
        wire
    }
}

/// The writing end of a direction.
struct Writer {
    shaper: Shaper,
    mode: IatMode,
    tables: Tables,
    buffer: Box<[u8; BUFFER]>,
}

impl Writer {
    fn new(sealer: Sealer, mode: IatMode, seed: &Seed, is_biased: bool) -> Writer {
        Writer {
            shaper: Shaper::new(sealer, mode),
            mode,
            tables: Tables::new(seed, mode, is_biased),
            buffer: Box::new([0; BUFFER]),
        }
    }

    /// The pieces of a burst, one after the other.
    fn burst(&mut self, bytes: &[u8], case: &mut Case) -> Vec<u8> {
        self.buffer[GAP..GAP + bytes.len()].copy_from_slice(bytes);
        self.shaper
            .begin(&mut self.buffer, bytes.len(), &self.tables, case);
        let (mut wire, mut pieces) = (Vec::new(), 0);
        while let Some(piece) = self.shaper.next(&mut self.buffer, &self.tables, case) {
            assert!(piece.start < piece.end, "a write of nothing");
            let n = piece.end - piece.start;
            pieces += 1;
            match self.mode {
                IatMode::None => assert!(piece.pause == 0 && pieces == 1),
                _ => assert!(piece.pause <= 10_000 && n <= MAX_FRAME),
            }
            wire.extend(&self.buffer[piece.start..piece.end]);
        }
        wire
    }
}

/// One direction after the handshake.
struct Direction {
    writer: Writer,
    reader: Reader,
    sent: Vec<u8>,
}

impl Direction {
    fn say(&mut self, link: &mut Link, case: &mut Case) {
        let n = 1 + case.up_to(MAX_BURST - 1);
        let bytes = case.bytes(n);
        let wire = self.writer.burst(&bytes, case);
        self.sent.extend(bytes);
        let wire = link.pass(wire);
        self.hear(&wire, case);
    }

    fn hear(&mut self, wire: &[u8], case: &mut Case) {
        let mut at = 0;
        for cut in case.cuts(wire.len()) {
            self.reader.take(&wire[at..cut], case);
            at = cut;
        }
        let came = &self.reader.payload;
        assert!(self.sent.starts_with(came), "other bytes arrived");
    }

    fn end(&self) -> End {
        if self.reader.is_broken {
            End::Broken
        } else if !self.reader.is_between_frames() {
            End::CutShort
        } else {
            assert!(self.reader.payload == self.sent, "bytes were lost");
            End::Complete
        }
    }
}

/// Shakes hands: the keys of both ends and what came to the client behind the answer.
fn shake_hands(
    link: &mut Link,
    seed: &Seed,
    case: &mut Case,
) -> Result<(Keys, Keys, Sealer, Vec<u8>), End> {
    let bridge = Bridge::new(case);
    let hour = HOUR - 1 + case.below(3) as u64;
    let client = bridge.client(case, hour);
    let mut server = bridge.server(case);
    let request = link.pass(message(&client, case));
    let mut accepted = None;
    for cut in case.cuts(request.len()) {
        let answer = server.request(&request[..cut], HOUR, |_| true);
        accepted = answer.map_err(|_| End::Unanswered)?;
    }
    let accepted = accepted.ok_or(End::Unanswered)?;
    let mut out = [0; MAX_MESSAGE];
    let (n, servers) = server.answer(&accepted, &mut out, case);
    let mut sealer = Sealer::new(servers.to_client());
    let mut window = [&[0; OVERHEAD][..], seed.as_bytes()].concat();
    sealer.seal(Kind::Seed, &mut window, Seed::LENGTH, 0);
    let answer = link.pass([&out[..n], &window].concat());
    for cut in case.cuts(answer.len()) {
        let reply = client.answer(&answer[..cut]);
        if let Some((n, clients)) = reply.map_err(|_| End::Unaccepted)? {
            return Ok((clients, servers, sealer, answer[n..].to_vec()));
        }
    }
    Err(End::Unaccepted)
}

/// A conversation from its beginning to its end.
fn converse(link: &mut Link, case: &mut Case) -> End {
    let seed = Seed::from_bytes(case.array());
    let clients_mode = MODES[case.below(3)];
    let servers_mode = MODES[case.below(3)];
    let is_biased = case.once_in(4);
    let (clients, servers, sealer, early) = match shake_hands(link, &seed, case) {
        Ok(keys) => keys,
        Err(end) => return end,
    };
    let own = Seed::from_bytes(case.array());
    let mut up = Direction {
        writer: Writer::new(
            Sealer::new(clients.to_server()),
            clients_mode,
            &own,
            is_biased,
        ),
        reader: Reader::new(Opener::new(servers.to_server())),
        sent: Vec::new(),
    };
    let mut down = Direction {
        writer: Writer::new(sealer, servers_mode, &seed, is_biased),
        reader: Reader::new(Opener::new(clients.to_client())),
        sent: Vec::new(),
    };
    down.hear(&early, case);
    if let Some((kind, packet)) = down.reader.others.first() {
        assert_eq!(*kind, Kind::Seed as u8);
        assert_eq!(packet, seed.as_bytes());
        up.writer.tables = Tables::new(&seed, clients_mode, is_biased);
    }
    for _ in 0..1 + case.up_to(6) {
        if case.once_in(2) {
            up.say(link, case);
        } else {
            down.say(link, case);
        }
    }
    match up.end() {
        End::Complete => down.end(),
        end => end,
    }
}

#[test]
fn every_byte_arrives() {
    for mut case in cases() {
        let mut link = Link::new(Place::None, 0);
        assert_eq!(converse(&mut link, &mut case), End::Complete);
    }
}

#[test]
fn one_changed_byte_ends_the_conversation() {
    let mut ends = [0; 5];
    for mut case in cases() {
        let place = match case.below(4) {
            0 => Place::Byte(case.below(150)),
            1 => Place::Byte(case.below(20_000)),
            2 => Place::Byte(case.up_to(120_000)),
            _ => Place::Write(2 + case.below(4), case.below(2)),
        };
        let bits = 1 + case.below(255) as u8;
        let mut link = Link::new(place, bits);
        let end = converse(&mut link, &mut case);
        assert_eq!(end != End::Complete, link.is_changed, "{end:?}");
        ends[end as usize] += 1;
    }
    let all: usize = ends.iter().sum();
    assert!(
        all < 1_000 || ends.iter().all(|n| *n > 0),
        "an end that never came: {ends:?}"
    );
}
