//! The vectors of RFC 8439, and RustCrypto, for both ways of computing.

use super::{Accumulator, Poly1305, split::Split, wide::Wide};
use poly1305::universal_hash::KeyInit;
use proptest::prelude::*;

fn ours<A: Accumulator>(key: &[u8; 32], message: &[u8]) -> [u8; 16] {
    let (words, _) = key.as_chunks();
    let mut mac = Poly1305::<A>::new(core::array::from_fn(|i| u64::from_le_bytes(words[i])));
    // Pairs and single blocks, as both have their users.
    let (blocks, rest) = message.as_chunks();
    blocks.iter().for_each(|block| mac.block_here(block));
    let (blocks, rest) = rest.as_chunks();
    blocks.iter().for_each(|block| mac.block(block));
    mac.finish(rest)
}

/// The tag that both ways give.
fn tag(key: &[u8; 32], message: &[u8]) -> [u8; 16] {
    let tag = ours::<Wide>(key, message);
    assert_eq!(tag, ours::<Split>(key, message), "the two ways differ");
    tag
}

/// 16 bytes of a key, a message or a tag.
type Block = [u8; 16];

fn theirs(key: &[u8; 32], message: &[u8]) -> [u8; 16] {
    poly1305::Poly1305::new(&(*key).into())
        .compute_unpadded(message)
        .into()
}

/// RFC 8439 §2.5.2.
#[test]
fn the_example_of_the_rfc() {
    let key = [
        0x85, 0xd6, 0xbe, 0x78, 0x57, 0x55, 0x6d, 0x33, 0x7f, 0x44, 0x52, 0xfe, 0x42, 0xd5, 0x06,
        0xa8, 0x01, 0x03, 0x80, 0x8a, 0xfb, 0x0d, 0xb2, 0xfd, 0x4a, 0xbf, 0xf6, 0xaf, 0x41, 0x49,
        0xf5, 0x1b,
    ];
    let expected = [
        0xa8, 0x06, 0x1d, 0xc1, 0x30, 0x51, 0x36, 0xc6, 0xc2, 0x2b, 0x8b, 0xaf, 0x0c, 0x01, 0x27,
        0xa9,
    ];
    assert_eq!(tag(&key, b"Cryptographic Forum Research Group"), expected);
}

/// RFC 8439 appendix A.3, vectors 7 to 13: sums that come close to 2^128 and to 2^130 - 5.
#[test]
fn the_corners_of_the_rfc() {
    let repeated = |first: u8, other: u8| {
        let mut block = [other; 16];
        block[0] = first;
        block
    };
    let words = |low: u64, high: u64| (u128::from(high) << 64 | u128::from(low)).to_le_bytes();
    let e335 = words(0xb943_5e50_d794_35e3, 0);
    let third = words(0xcd79_435e_50d7_9433, 1);
    let cases: [(Block, Block, &[Block], Block); 7] = [
        (words(2, 0), [0; 16], &[[0xff; 16]], words(3, 0)),
        (words(2, 0), [0xff; 16], &[words(2, 0)], words(3, 0)),
        (
            words(1, 0),
            [0; 16],
            &[[0xff; 16], repeated(0xf0, 0xff), words(0x11, 0)],
            words(5, 0),
        ),
        (
            words(1, 0),
            [0; 16],
            &[[0xff; 16], repeated(0xfb, 0xfe), [1; 16]],
            words(0, 0),
        ),
        (
            words(2, 0),
            [0; 16],
            &[repeated(0xfd, 0xff)],
            repeated(0xfa, 0xff),
        ),
        (
            words(1, 4),
            [0; 16],
            &[e335, third, words(0, 0), words(1, 0)],
            words(0x14, 0x55),
        ),
        (
            words(1, 4),
            [0; 16],
            &[e335, third, words(0, 0)],
            words(0x13, 0),
        ),
    ];
    for (i, (point, pad, message, expected)) in cases.into_iter().enumerate() {
        let key: Vec<u8> = [point, pad].concat();
        let key = key.try_into().expect("two halves");
        assert_eq!(tag(&key, &message.concat()), expected, "vector {}", i + 7);
    }
}

#[test]
fn every_length_agrees() {
    let key = core::array::from_fn(|i| (i * 37 + 11) as u8);
    let message: Vec<u8> = (0..3000).map(|i: u32| ((i * i) >> 3) as u8).collect();
    for length in 0..=message.len() {
        let message = &message[..length];
        assert_eq!(tag(&key, message), theirs(&key, message), "length {length}");
    }
}

/// Bytes that make carries, more often than chance does.
fn heavy() -> impl Strategy<Value = u8> {
    prop_oneof![Just(0xff), Just(0), Just(0xfe), Just(0xfc), any::<u8>()]
}

proptest! {
    #[test]
    fn heavy_bytes_agree(
        key in proptest::array::uniform32(heavy()),
        message in proptest::collection::vec(heavy(), 0..300),
    ) {
        prop_assert_eq!(tag(&key, &message), theirs(&key, &message));
    }
}
