//! NaCl's published box, RustCrypto's for every length, and frames that somebody changed.

use super::reference;
use super::{Forged, SecretBox, TAG};
use crate::poly1305::{Accumulator, split::Split, wide::Wide};
use proptest::prelude::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .map(|digit| digit.to_digit(16).expect("a digit") as u8)
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

fn nonce(prefix: &[u8; 16], counter: u64) -> [u8; 24] {
    let mut nonce = [0; 24];
    nonce[..16].copy_from_slice(prefix);
    nonce[16..].copy_from_slice(&counter.to_be_bytes());
    nonce
}

/// The box that RustCrypto makes.
fn expected(key: &[u8; 32], prefix: &[u8; 16], counter: u64, text: &[u8]) -> Vec<u8> {
    let mut sealed = text.to_vec();
    let tag = reference::seal(key, &nonce(prefix, counter), &mut sealed);
    sealed.splice(0..0, tag);
    sealed
}

fn sealed<A: Accumulator>(
    ours: &mut SecretBox,
    counter: u64,
    text: &[u8],
    shift: usize,
) -> Vec<u8> {
    let mut window = vec![0xa5; TAG + shift];
    window.extend(text);
    ours.seal_with::<A>(counter, &mut window, shift);
    window.truncate(TAG + text.len());
    window
}

/// What is in a box.
fn opened<A: Accumulator>(
    ours: &mut SecretBox,
    counter: u64,
    sealed: &[u8],
    shift: usize,
) -> Result<Vec<u8>, Forged> {
    let mut window = vec![0xa5; shift];
    window.extend(sealed);
    let result = ours.open_with::<A>(counter, &mut window, shift);
    window.truncate(sealed.len() - TAG);
    result.map(|()| window)
}

/// NaCl's tests/secretbox.c and secretbox2.c.
#[test]
fn the_box_is_nacl_s() {
    let key = hex("1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389");
    let prefix = hex("69696ee955b62b73cd62bda875fc73d6");
    let text = hex(concat!(
        "be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a",
        "1ac728d45e6c61296cdc3c01233561f41db66cce314adb310e3be8250c46f06dceea3a7fa1348057",
        "e2f6556ad6b1318a024a838f21af1fde048977eb48f59ffd4924ca1c60902e52f0a089bc76897040",
        "e082f937763848645e0705",
    ));
    let expected = hex(concat!(
        "f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce48332ea7164d96a4",
        "476fb8c531a1186ac0dfc17c98dce87b4da7f011ec48c97271d2c20f9b928fe2270d6fb863d51738",
        "b48eeee314a7cc8ab932164548e526ae90224368517acfeabd6bb3732bc0e9da99832b61ca01b6de",
        "56244a9e88d5f9b37973f622a43d14a6599b1f654cb45a74e355a5",
    ));
    let mut ours = SecretBox::new(
        &key.try_into().expect("a key"),
        &prefix.try_into().expect("a prefix"),
    );
    let counter = 0x8219_e003_6b7a_0b37;
    assert_eq!(sealed::<Wide>(&mut ours, counter, &text, 0), expected);
    assert_eq!(sealed::<Split>(&mut ours, counter, &text, 5), expected);
    assert_eq!(
        opened::<Wide>(&mut ours, counter, &expected, 0),
        Ok(text.clone())
    );
    assert_eq!(opened::<Split>(&mut ours, counter, &expected, 5), Ok(text));
}

fn every_length<A: Accumulator>() {
    let bytes: Vec<u8> = (0..3000).map(|i: u32| ((i * i) >> 4) as u8).collect();
    for length in 0..=bytes.len() {
        let key = core::array::from_fn(|i| (length * 7 + i * 29) as u8);
        let prefix = core::array::from_fn(|i| (length * 3 + i * 53) as u8);
        let counter = 0x0123_4567_89ab_cdef_u64.rotate_left(length as u32);
        // Touching, overlapping by less and by more than a group, and apart.
        let shift = [0, 1, 3, 15, 16, 100, 255, 256, 257, 2000][length % 10];
        let mut ours = SecretBox::new(&key, &prefix);
        let text = &bytes[..length];
        let expected = expected(&key, &prefix, counter, text);
        let found = sealed::<A>(&mut ours, counter, text, shift);
        assert!(found == expected, "length {length}, shift {shift}");
        let found = opened::<A>(&mut ours, counter, &expected, shift);
        assert!(
            found.as_deref() == Ok(text),
            "length {length}, shift {shift}"
        );
    }
}

#[test]
fn every_length_agrees_with_64_bit_limbs() {
    every_length::<Wide>();
}

#[test]
fn every_length_agrees_with_32_bit_limbs() {
    every_length::<Split>();
}

/// The longest frame and short ones, changed at every byte.
#[test]
fn a_change_anywhere_is_refused() {
    let mut ours = SecretBox::new(&[3; 32], &[4; 16]);
    for length in [0, 1, 16, 21, 224, 225, 1430] {
        let frame = sealed::<Wide>(&mut ours, 9, &vec![7; length], 0);
        for at in 0..frame.len() {
            let mut changed = frame.clone();
            changed[at] ^= 1 << (at % 8);
            assert_eq!(opened::<Wide>(&mut ours, 9, &changed, at % 3), Err(Forged));
            assert_eq!(opened::<Split>(&mut ours, 9, &changed, at % 3), Err(Forged));
        }
    }
}

#[test]
fn another_counter_length_or_key_is_refused() {
    let mut ours = SecretBox::new(&[3; 32], &[4; 16]);
    let frame = sealed::<Wide>(&mut ours, 9, &[7; 100], 0);
    assert_eq!(opened::<Wide>(&mut ours, 9, &frame, 0), Ok(vec![7; 100]));
    for counter in [0, 8, 10, 9 << 56] {
        assert_eq!(opened::<Wide>(&mut ours, counter, &frame, 0), Err(Forged));
    }
    assert_eq!(opened::<Wide>(&mut ours, 9, &frame[..115], 0), Err(Forged));
    let longer = [frame.as_slice(), &[0]].concat();
    assert_eq!(opened::<Wide>(&mut ours, 9, &longer, 0), Err(Forged));
    for mut other in [
        SecretBox::new(&[2; 32], &[4; 16]),
        SecretBox::new(&[3; 32], &[5; 16]),
    ] {
        assert_eq!(opened::<Wide>(&mut other, 9, &frame, 0), Err(Forged));
    }
}

/// Of a frame that turns out to be forged at its end, most has been decrypted by then.
#[test]
fn nothing_of_a_forged_frame_is_left() {
    let mut ours = SecretBox::new(&[3; 32], &[4; 16]);
    let text: Vec<u8> = (0..1430).map(|i: u32| ((i * 37) >> 3) as u8).collect();
    for shift in [0, 2, 17, 300, 1500] {
        let mut window = vec![0xa5; shift];
        window.extend(sealed::<Wide>(&mut ours, 9, &text, 0));
        *window.last_mut().expect("a box") ^= 1;
        assert_eq!(ours.open(9, &mut window, shift), Err(Forged));
        for part in text.chunks_exact(8) {
            let is_left = window.windows(8).any(|bytes| bytes == part);
            assert!(!is_left, "shift {shift}");
        }
    }
}

/// What is made ahead is for the next counter only.
#[test]
fn frames_out_of_order_agree() {
    let (key, prefix) = ([3; 32], [4; 16]);
    let mut ours = SecretBox::new(&key, &prefix);
    let text: Vec<u8> = (0..600).map(|i: u32| ((i * 37) >> 3) as u8).collect();
    for counter in [1, 2, 3, 3, 4, 3, 2, 7, u64::MAX, 0, 1] {
        let expected = expected(&key, &prefix, counter, &text);
        assert!(sealed::<Wide>(&mut ours, counter, &text, 3) == expected);
        let mut forged = expected.clone();
        forged[counter as usize % 616] ^= 1;
        let mut theirs = SecretBox::new(&key, &prefix);
        for (sealed, result) in [
            (&expected, Ok(text.clone())),
            (&forged, Err(Forged)),
            (&expected, Ok(text.clone())),
        ] {
            assert_eq!(opened::<Split>(&mut theirs, counter, sealed, 2), result);
        }
        // Beside the frame before it.
        let mut theirs = SecretBox::new(&key, &prefix);
        let before = sealed::<Split>(&mut theirs, counter.wrapping_sub(1), &[], 0);
        assert!(sealed::<Split>(&mut theirs, counter, &text, 0) == expected);
        let mut theirs = SecretBox::new(&key, &prefix);
        let first = opened::<Wide>(&mut theirs, counter.wrapping_sub(1), &before, 0);
        assert_eq!(first, Ok(vec![]));
        assert_eq!(
            opened::<Wide>(&mut theirs, counter, &expected, 2),
            Ok(text.clone())
        );
    }
}

#[test]
#[should_panic(expected = "a window holds a tag and the shift")]
fn a_window_too_short_to_seal_in_is_a_bug() {
    SecretBox::new(&[3; 32], &[4; 16]).seal(1, &mut [0; 20], 5);
}

#[test]
#[should_panic(expected = "a window holds the shift and a tag")]
fn a_window_too_short_to_open_in_is_a_bug() {
    let _ = SecretBox::new(&[3; 32], &[4; 16]).open(1, &mut [0; 20], 5);
}

proptest! {
    #[test]
    fn sealing_is_rustcrypto_s_and_opening_undoes_it(
        key: [u8; 32],
        prefix: [u8; 16],
        counter: u64,
        text in proptest::collection::vec(any::<u8>(), 0..1600),
        (near, far) in (0..40_usize, 0..700_usize),
        at: prop::sample::Index,
        bit in 0..8_u32,
    ) {
        let mut ours = SecretBox::new(&key, &prefix);
        let expected = expected(&key, &prefix, counter, &text);
        let (tag, sealed_text) = expected.split_first_chunk().expect("a tag");
        let mut theirs = sealed_text.to_vec();
        prop_assert!(reference::open(&key, &nonce(&prefix, counter), &mut theirs, tag));
        prop_assert_eq!(&theirs, &text);
        prop_assert_eq!(&sealed::<Wide>(&mut ours, counter, &text, near), &expected);
        prop_assert_eq!(&sealed::<Split>(&mut ours, counter, &text, far), &expected);
        prop_assert_eq!(opened::<Wide>(&mut ours, counter, &expected, far), Ok(text.clone()));
        prop_assert_eq!(opened::<Split>(&mut ours, counter, &expected, near), Ok(text));
        let mut changed = expected;
        let at = at.index(changed.len());
        changed[at] ^= 1 << bit;
        prop_assert_eq!(opened::<Wide>(&mut ours, counter, &changed, near), Err(Forged));
        prop_assert_eq!(opened::<Split>(&mut ours, counter, &changed, far), Err(Forged));
    }
}
