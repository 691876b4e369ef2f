//! Every byte is in its burst and nothing else, and what a write is long is what the tables say.

use super::*;
use crate::framing::{HEADER, KEY, Opener};
use crate::random::Repeatable;
use proptest::prelude::*;

const MODES: [IatMode; 3] = [IatMode::None, IatMode::Enabled, IatMode::Paranoid];

/// The pieces of a burst, and all of it.
fn burst(
    n: usize,
    mode: IatMode,
    tables: &Tables,
    random: &mut Repeatable,
) -> (Vec<Piece>, Vec<u8>) {
    let mut buffer = Box::new([0x77; BUFFER]);
    for (index, byte) in buffer[GAP..GAP + n].iter_mut().enumerate() {
        *byte = (index * 7 + index / 256) as u8;
    }
    let mut shaper = Shaper::new(Sealer::new(&[9; KEY]), mode);
    shaper.begin(&mut buffer, n, tables, random);
    let (mut pieces, mut out) = (Vec::new(), Vec::new());
    while let Some(piece) = shaper.next(&mut buffer, tables, random) {
        out.extend(&buffer[piece.start..piece.end]);
        pieces.push(piece);
    }
    (pieces, out)
}

fn seed(number: u64) -> Seed {
    let mut bytes = [0; Seed::LENGTH];
    Repeatable(number).fill(&mut bytes);
    Seed::from_bytes(bytes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_byte_is_in_it_and_nothing_else(n in 1..=MAX_BURST, number: u64, mode in 0..3usize) {
        let mode = MODES[mode];
        let tables = Tables::new(&seed(number), mode, number.is_multiple_of(2));
        let (_, out) = burst(n, mode, &tables, &mut Repeatable(number));
        let mut buffer = [&[0; HEADER][..], &out].concat();
        let opened = Opener::new(&[9; KEY]).open(&mut buffer, &mut Repeatable(0), |_, _| ());
        prop_assert_eq!((opened.payload, opened.rest, opened.is_broken), (n, 0, false));
        let sent = |index: usize| (index * 7 + index / 256) as u8;
        prop_assert!(buffer[HEADER..HEADER + n].iter().enumerate().all(|(i, byte)| *byte == sent(i)));
    }

    #[test]
    fn without_pauses_it_is_one_write_of_a_drawn_length(n in 1..=MAX_BURST, number: u64) {
        let tables = Tables::new(&seed(number), IatMode::None, false);
        let (pieces, out) = burst(n, IatMode::None, &tables, &mut Repeatable(number));
        prop_assert_eq!(pieces, [Piece { start: 0, end: out.len(), pause: 0 }]);
        // A length that no frame fits up to is overshot by a frame's overhead.
        let tail = out.len() % MAX_FRAME;
        let drawn = tables.lengths.values();
        let is_drawn = |length: usize| drawn.iter().any(|&value| usize::from(value) % MAX_FRAME == length);
        let overshot = (tail + MAX_FRAME - OVERHEAD) % MAX_FRAME;
        prop_assert!(is_drawn(tail) || is_drawn(overshot), "{}", out.len());
    }

    #[test]
    fn with_pauses_no_write_is_longer_than_a_frame(n in 1..=MAX_BURST, number: u64) {
        let tables = Tables::new(&seed(number), IatMode::Enabled, false);
        let (pieces, _) = burst(n, IatMode::Enabled, &tables, &mut Repeatable(number));
        let (last, rest) = pieces.split_last().expect("there is one");
        prop_assert!(rest.iter().all(|piece| piece.end - piece.start == MAX_FRAME));
        prop_assert!((1..=MAX_FRAME).contains(&(last.end - last.start)));
        let pauses = tables.pauses.as_ref().expect("there are pauses").values();
        let is_drawn = |pause: u32| pauses.iter().any(|&steps| u32::from(steps) * STEP == pause);
        prop_assert!(pieces.iter().all(|piece| is_drawn(piece.pause) && piece.pause <= 10_000));
    }

    #[test]
    fn paranoid_writes_have_drawn_lengths(n in 1..=MAX_BURST, number: u64) {
        let tables = Tables::new(&seed(number), IatMode::Paranoid, false);
        let (pieces, _) = burst(n, IatMode::Paranoid, &tables, &mut Repeatable(number));
        let drawn = tables.lengths.values();
        let (last, rest) = pieces.split_last().expect("there is one");
        // The last one may be what no padding fits to.
        prop_assert!(last.end - last.start <= MAX_FRAME);
        for piece in rest {
            let length = piece.end - piece.start;
            prop_assert!(drawn.iter().any(|&value| usize::from(value) == length), "{length}");
        }
    }
}

/// A seed whose table holds this value, and only so many others.
fn seed_with(is_right: impl Fn(&[u16]) -> bool) -> u64 {
    (0..)
        .find(|&number| {
            let tables = Tables::new(&seed(number), IatMode::Paranoid, false);
            is_right(tables.lengths.values())
        })
        .expect("the numbers do not end")
}

#[test]
fn a_table_with_zeros_works() {
    let zero = seed_with(|values| values.contains(&0) && values.len() < 4);
    let tables = Tables::new(&seed(zero), IatMode::Paranoid, false);
    for n in [1, 100, 1_427, 5_000] {
        let (pieces, _) = burst(n, IatMode::Paranoid, &tables, &mut Repeatable(n as u64));
        assert!(pieces.iter().all(|piece| piece.end > piece.start));
    }
}

#[test]
fn a_table_of_one_short_length_works() {
    let short = seed_with(|values| values.len() == 1 && values[0] < 40);
    let tables = Tables::new(&seed(short), IatMode::Paranoid, false);
    let (pieces, out) = burst(3_000, IatMode::Paranoid, &tables, &mut Repeatable(3));
    assert!(pieces.len() > 75 && (3_000..40_000).contains(&out.len()));
    assert!(pieces.iter().all(|piece| piece.end - piece.start <= 40));
}

#[test]
fn a_buffer_holds_the_longest_burst() {
    for number in 0..200 {
        let tables = Tables::new(&seed(number), IatMode::None, false);
        let (_, out) = burst(MAX_BURST, IatMode::None, &tables, &mut Repeatable(number));
        assert!(out.len() <= BUFFER);
    }
}
