//! Noise, and streams of frames that somebody changed: what was whole before the change comes out, and nothing after it.

use crate::cases::{Case, cases};
use crate::link::Reader;
use obfs4_core::drbg::{Drbg, Seed};
use obfs4_core::framing::{HEADER, KEY, Kind, MAX_PAYLOAD, OVERHEAD, Opener, Sealer};
use obfs4_core::secretbox::{SecretBox, TAG};

/// Frames, with where each ends and what is in it.
struct Stream {
    bytes: Vec<u8>,
    frames: Vec<(usize, Kind, Vec<u8>)>,
}

impl Stream {
    fn new(case: &mut Case, key: &[u8; KEY]) -> Stream {
        let mut sealer = Sealer::new(key);
        let mut stream = Stream {
            bytes: Vec::new(),
            frames: Vec::new(),
        };
        for _ in 0..1 + case.up_to(12) {
            let n = case.up_to(MAX_PAYLOAD);
            let padding = case.up_to(MAX_PAYLOAD - n);
            let payload = case.bytes(n);
            let kind = match case.once_in(6) {
                true => Kind::Seed,
                false => Kind::Payload,
            };
            let shift = case.up_to(1_500);
            let mut window = case.bytes(OVERHEAD + shift);
            window.extend(&payload);
            window.extend(case.bytes(padding));
            let end = sealer.seal(kind, &mut window, n, padding);
            stream.bytes.extend(&window[..end]);
            stream.frames.push((stream.bytes.len(), kind, payload));
        }
        stream
    }
}

#[test]
fn a_stream_that_was_changed_ends_at_the_change() {
    for mut case in cases() {
        let key = case.array();
        let stream = Stream::new(&mut case, &key);
        for number in 0..12 {
            let mut sent = stream.bytes.clone();
            match number {
                0 => {}
                1 => {
                    let n = case.up_to(6_000);
                    sent = case.bytes(n);
                }
                _ => case.mutate(&mut sent, &[&[0, 0], &stream.bytes[..20]]),
            }
            let mut reader = Reader::new(Opener::new(&key));
            let mut at = 0;
            for cut in case.cuts(sent.len()) {
                reader.take(&sent[at..cut], &mut case);
                at = cut;
            }
            let same = sent.iter().zip(&stream.bytes);
            let same = same.take_while(|(one, other)| one == other).count();
            let whole = stream.frames.iter().take_while(|frame| frame.0 <= same);
            let (mut payload, mut others) = (Vec::new(), Vec::new());
            let mut end = 0;
            for (frame_end, kind, packet) in whole {
                end = *frame_end;
                match kind {
                    Kind::Payload => payload.extend(packet),
                    Kind::Seed => others.push((Kind::Seed as u8, packet.clone())),
                }
            }
            assert!(reader.payload == payload, "payload of {same} bytes");
            assert!(reader.others == others, "packets of {same} bytes");
            // Only a stream that was cut between frames looks complete.
            assert_eq!(reader.is_between_frames(), end == sent.len(), "{end}");
            if same == sent.len() {
                assert!(!reader.is_broken, "what was only cut is not broken");
            } else {
                assert!(reader.is_broken || sent.len() - end < 2 + 1_446);
            }
        }
    }
}

/// A peer that has the keys, and puts anything into its boxes.
#[test]
fn a_packet_that_lies_ends_the_stream() {
    for mut case in cases() {
        let key: [u8; KEY] = case.array();
        let (secret, rest) = key.split_first_chunk().expect("longer than that");
        let (prefix, seed) = rest.split_first_chunk().expect("longer than that");
        let mut boxes = SecretBox::new(secret, prefix);
        let mut masks = Drbg::new(&Seed::from_bytes(*seed.first_chunk().expect("the rest")));
        let (mut sent, mut payload, mut others) = (Vec::new(), Vec::new(), Vec::new());
        let mut lies = false;
        for counter in 1..2 + case.up_to(12) as u64 {
            let n = case.up_to(HEADER + MAX_PAYLOAD);
            let mut packet = case.bytes(n);
            if n >= HEADER && !case.once_in(8) {
                let length = case.up_to(n - HEADER) as u16;
                packet[1..HEADER].copy_from_slice(&length.to_be_bytes());
                packet[0] = case.below(3) as u8;
            }
            let mut window = [&[0; TAG][..], &packet].concat();
            boxes.seal(counter, &mut window, 0);
            let [high, low, ..] = masks.next_block();
            let length = window.len() as u16 ^ u16::from_be_bytes([high, low]);
            sent.extend(length.to_be_bytes());
            sent.extend(window);
            let length = packet
                .get(1..HEADER)
                .map(|it| usize::from(it[0]) << 8 | usize::from(it[1]));
            match length {
                _ if lies => {}
                Some(length) if length <= n - HEADER => {
                    let body = &packet[HEADER..HEADER + length];
                    match packet[0] {
                        0 => payload.extend(body),
                        kind => others.push((kind, body.to_vec())),
                    }
                }
                _ => lies = true,
            }
        }
        let mut reader = Reader::new(Opener::new(&key));
        let mut at = 0;
        for cut in case.cuts(sent.len()) {
            reader.take(&sent[at..cut], &mut case);
            at = cut;
            if reader.is_broken {
                break;
            }
        }
        assert!(reader.payload == payload && reader.others == others);
        assert_eq!(reader.is_broken, lies);
    }
}
