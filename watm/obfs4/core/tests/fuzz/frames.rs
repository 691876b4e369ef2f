//! Noise, and streams of frames that somebody changed: what was whole before the change comes out, and nothing after it.

use crate::cases::{Case, cases};
use crate::link::Reader;
use obfs4_core::framing::{KEY, Kind, MAX_PAYLOAD, OVERHEAD, Opener, Sealer};

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
