//! A stream survives every cut, and nothing of it survives a change.

use super::*;
use crate::random::Repeatable;
use proptest::prelude::*;

const SECRET: [u8; KEY] = [7; KEY];

fn sealer() -> Sealer {
    Sealer::new(&SECRET)
}

/// The frames of these payloads and paddings, each made with a distance between payload and frame.
fn stream(packets: &[(usize, usize)], sealer: &mut Sealer) -> (Vec<u8>, Vec<u8>) {
    let (mut frames, mut sent) = (Vec::new(), Vec::new());
    for (index, &(payload, padding)) in packets.iter().enumerate() {
        let shift = index * 13 % 700;
        let mut window = vec![0xee; OVERHEAD + shift];
        let bytes: Vec<u8> = (0..payload).map(|i| (i * 31 + index) as u8).collect();
        window.extend(&bytes);
        window.resize(window.len() + padding, 0xdd);
        let n = sealer.seal(Kind::Payload, &mut window, payload, padding);
        assert_eq!(n, OVERHEAD + payload + padding);
        frames.extend(&window[..n]);
        sent.extend(bytes);
    }
    (frames, sent)
}

/// What a receiver makes of a stream that arrives in these cuts.
struct Received {
    payload: Vec<u8>,
    others: Vec<(u8, Vec<u8>)>,
    is_broken: bool,
    read: usize,
    is_between: bool,
}

fn receive(stream: &[u8], mut cuts: impl FnMut() -> usize) -> Received {
    let mut opener = Opener::new(&SECRET);
    let mut random = Repeatable(5);
    let mut received = Received {
        payload: Vec::new(),
        others: Vec::new(),
        is_broken: false,
        read: 0,
        is_between: true,
    };
    let mut rest = Vec::new();
    while received.read < stream.len() && !received.is_broken {
        let n = cuts().clamp(1, stream.len() - received.read);
        let mut buffer = vec![0x55; HEADER];
        buffer.extend(&rest);
        buffer.extend(&stream[received.read..received.read + n]);
        received.read += n;
        let others = &mut received.others;
        let opened = opener.open(&mut buffer, &mut random, |kind, packet| {
            others.push((kind, packet.to_vec()));
        });
        received
            .payload
            .extend(&buffer[HEADER..HEADER + opened.payload]);
        rest = buffer[buffer.len() - opened.rest..].to_vec();
        assert!(rest.len() < MAX_FRAME || opened.is_broken);
        received.is_broken = opened.is_broken;
    }
    received.is_between = opener.is_between_frames() && rest.is_empty();
    received
}

proptest! {
    #[test]
    fn every_byte_arrives_whatever_the_cuts(
        packets in prop::collection::vec((0..=MAX_PAYLOAD, 0..=MAX_PAYLOAD), 1..20),
        cuts in prop::collection::vec(1..5000usize, 1..20),
    ) {
        let packets: Vec<_> = packets
            .into_iter()
            .map(|(payload, padding)| (payload, padding.min(MAX_PAYLOAD - payload)))
            .collect();
        let (frames, sent) = stream(&packets, &mut sealer());
        let mut cuts = cuts.into_iter().cycle();
        let received = receive(&frames, || cuts.next().unwrap_or(1));
        prop_assert!(received.payload == sent);
        prop_assert!(!received.is_broken && received.is_between && received.others.is_empty());
    }

    #[test]
    fn a_changed_byte_ends_the_stream_with_all_before_it(
        packets in prop::collection::vec(0..=MAX_PAYLOAD, 1..6),
        place in any::<prop::sample::Index>(),
        change in 1..=255u8,
        cut in 1..3000usize,
    ) {
        let packets: Vec<_> = packets.into_iter().map(|n| (n, 0)).collect();
        let (mut frames, sent) = stream(&packets, &mut sealer());
        let place = place.index(frames.len());
        frames[place] ^= change;
        // A length that grew may wait for more.
        frames.resize(frames.len() + MAX_FRAME, 0);
        let received = receive(&frames, || cut);
        prop_assert!(received.is_broken);
        let mut intact = 0;
        let mut end = 0;
        for (n, _) in packets {
            end += OVERHEAD + n;
            if end <= place {
                intact += n;
            }
        }
        prop_assert!(received.payload == sent[..intact]);
    }

    #[test]
    fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..6000), cut in 1..3000usize) {
        let received = receive(&noise, || cut);
        prop_assert!(received.payload.is_empty());
    }
}

#[test]
fn an_impossible_length_waits_for_a_possible_one() {
    let mut ends = std::collections::BTreeSet::new();
    for low in 0..64 {
        let mut frame = vec![0; 2 * MAX_FRAME];
        // The mask, so that the length is 0, and beyond the longest.
        let mask = sealer().0.mask();
        let length = if low % 2 == 0 {
            low % 16
        } else {
            MAX_BOX as u16 + low
        };
        frame[..2].copy_from_slice(&(mask ^ length).to_be_bytes());
        let mut opener = Opener::new(&SECRET);
        let mut random = Repeatable(u64::from(low));
        let mut end = None;
        for n in 0..=frame.len() {
            if n > 0 && end.is_none() {
                let mut buffer = [&[0; HEADER][..], &frame[..n]].concat();
                // One call with all of it: the state between is not the subject.
                let mut fresh = Opener::new(&SECRET);
                let mut random = Repeatable(u64::from(low));
                if fresh.open(&mut buffer, &mut random, |_, _| ()).is_broken {
                    end = Some(n);
                }
            }
        }
        let end = end.expect("it fails at last");
        assert!((LENGTH + MIN_BOX..=MAX_FRAME).contains(&end), "{end}");
        ends.insert(end);
        let _ = opener.open(&mut [0; HEADER], &mut random, |_, _| ());
    }
    assert!(ends.len() > 40, "{ends:?}");
}

#[test]
fn a_packet_that_lies_is_refused() {
    for (packet, is_good) in [
        (&[0, 0, 4, 1, 2, 3, 4][..], true),
        (&[0, 0, 5, 1, 2, 3, 4], false),
        (&[0, 255, 255, 1], false),
        (&[0, 0, 0], true),
        (&[0, 0], false),
        (&[], false),
        (&[9, 0, 1, 5, 0], true),
    ] {
        let mut link = Link::new(&SECRET);
        let mut frame = vec![0; LENGTH + TAG];
        frame.extend(packet);
        let number = link.count();
        link.secret_box.seal(number, &mut frame[LENGTH..], 0);
        let length = (TAG + packet.len()) as u16 ^ link.mask();
        frame[..LENGTH].copy_from_slice(&length.to_be_bytes());
        let received = receive(&frame, || usize::MAX);
        assert_eq!(received.is_broken, !is_good, "{packet:?}");
        let expected: &[u8] = if is_good && packet[0] == 0 {
            &packet[HEADER..]
        } else {
            &[]
        };
        assert_eq!(received.payload, expected);
    }
}

#[test]
fn a_packet_without_a_header_leaves_what_was_there() {
    let mut link = Link::new(&SECRET);
    let mut frames = Vec::new();
    for packet in [&[0, 0, 4, 9, 9, 9, 9][..], &[7, 7]] {
        let mut frame = vec![0; LENGTH + TAG];
        frame.extend(packet);
        let number = link.count();
        link.secret_box.seal(number, &mut frame[LENGTH..], 0);
        let length = (TAG + packet.len()) as u16 ^ link.mask();
        frame[..LENGTH].copy_from_slice(&length.to_be_bytes());
        frames.extend(frame);
    }
    let received = receive(&frames, || usize::MAX);
    assert!(received.is_broken);
    assert_eq!(received.payload, [9; 4]);
}

#[test]
fn other_kinds_are_told_and_are_no_payload() {
    let mut sealer = sealer();
    let (mut frames, _) = stream(&[(5, 0)], &mut sealer);
    let mut window = vec![0; OVERHEAD];
    window.extend([3; Seed::LENGTH]);
    sealer.seal(Kind::Seed, &mut window, Seed::LENGTH, 0);
    assert_eq!(window.len(), 45);
    frames.extend(window);
    frames.extend(stream(&[(4, 9)], &mut sealer).0);
    let received = receive(&frames, || 1);
    assert_eq!(received.others, [(1, vec![3; Seed::LENGTH])]);
    assert_eq!(received.payload.len(), 9);
}
