//! The box of a frame as WebAssembly computes it, beside the one of RustCrypto, compiled into the same module.
//!
//! In: numbers. Out: how many lengths agreed, for the test; work of a given size, for the benchmark. The host tells
//! nothing and is asked for nothing.
#![allow(
    unsafe_code,
    reason = "the host calls exports, and an export's name is unsafe in this edition"
)]

#[path = "../../core/src/secretbox/reference.rs"]
mod reference;

use obfs4_core::secretbox::{SecretBox, TAG};
use std::cell::RefCell;

/// Lengths that [`check`] looks at.
const LENGTHS: usize = 3001;
/// What the longest obfs4 frame holds: a packet's three bytes of header, and its payload.
const FRAME: usize = 1430;

const KEY: [u8; 32] = [0x5a; 32];
const PREFIX: [u8; 16] = [0xc3; 16];

/// Numbers that look random and are the same everywhere.
struct Bytes(u64);

impl Bytes {
    fn next(&mut self) -> u8 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 56) as u8
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill_with(|| self.next());
    }
}

/// Of the lengths from 0 to 3000, those for which sealing, opening, and refusing what was changed agree with RustCrypto,
/// each with a key, a counter, a text and shifts of its own.
#[unsafe(no_mangle)]
pub extern "C" fn check() -> u32 {
    let mut bytes = Bytes(1);
    let agrees = |&length: &usize| agrees(length, &mut bytes);
    u32::try_from((0..LENGTHS).filter(agrees).count()).expect("few")
}

fn agrees(length: usize, bytes: &mut Bytes) -> bool {
    let (mut key, mut nonce) = ([0; 32], [0; 24]);
    bytes.fill(&mut key);
    bytes.fill(&mut nonce);
    let (prefix, counter) = nonce.split_at(16);
    let counter = u64::from_be_bytes(counter.try_into().expect("eight are left"));
    let mut ours = SecretBox::new(&key, prefix.try_into().expect("sixteen"));

    let mut text = vec![0; length];
    bytes.fill(&mut text);
    let mut expected = text.clone();
    let tag = reference::seal(&key, &nonce, &mut expected);
    expected.splice(0..0, tag);

    let shift = usize::from(bytes.next());
    let mut window = vec![0; TAG + shift];
    window.extend(&text);
    ours.seal(counter, &mut window, shift);
    let sealed = window[..TAG + length] == expected;

    let shift = usize::from(bytes.next());
    let mut window = vec![0; shift];
    window.extend(&expected);
    let changed = shift + usize::from(bytes.next()) % (TAG + length);
    window[changed] ^= 1;
    let refused = ours.open(counter, &mut window, shift).is_err();
    window.truncate(shift);
    window.extend(&expected);
    let opened = ours.open(counter, &mut window, shift).is_ok() && window[..length] == text;
    sealed && refused && opened
}

/// Seals so many of the longest frames, each moved by a packet's header. What is returned depends on all of them.
#[unsafe(no_mangle)]
pub extern "C" fn seal_ours(frames: u32) -> u32 {
    let mut ours = SecretBox::new(&KEY, &PREFIX);
    let mut window = [0; TAG + 3 + FRAME];
    for counter in 0..u64::from(frames) {
        ours.seal(counter, &mut window, 3);
    }
    window.iter().map(|&byte| u32::from(byte)).sum()
}

/// The same with RustCrypto.
#[unsafe(no_mangle)]
pub extern "C" fn seal_theirs(frames: u32) -> u32 {
    let mut text = [0; FRAME];
    let mut sum = 0;
    for counter in 0..u64::from(frames) {
        sum ^= u32::from(reference::seal(&KEY, &nonce(counter), &mut text)[0]);
    }
    text.iter().map(|&byte| u32::from(byte)).sum::<u32>() ^ sum
}

/// Opens so many of the longest frames, one after the other, each from its place behind a frame's length.
#[unsafe(no_mangle)]
pub extern "C" fn open_ours(frames: u32) -> u32 {
    thread_local! {
        static SEALED: RefCell<Vec<[u8; TAG + FRAME]>> = const { RefCell::new(Vec::new()) };
    }
    SEALED.with_borrow_mut(|sealed| {
        // Sealed by the first call, which is the slowest for other reasons too.
        let mut ours = SecretBox::new(&KEY, &PREFIX);
        for counter in sealed.len()..frames as usize {
            let mut frame = [0; TAG + FRAME];
            ours.seal(counter as u64, &mut frame, 0);
            sealed.push(frame);
        }
        let mut ours = SecretBox::new(&KEY, &PREFIX);
        let mut window = [0; 2 + TAG + FRAME];
        let mut opened = 0;
        for (counter, frame) in (0..u64::from(frames)).zip(sealed.iter()) {
            window[2..].copy_from_slice(frame);
            opened += u32::from(ours.open(counter, &mut window, 2).is_ok());
        }
        opened
    })
}

/// The same with RustCrypto.
#[unsafe(no_mangle)]
pub extern "C" fn open_theirs(frames: u32) -> u32 {
    let mut sealed = [0; FRAME];
    let tag = reference::seal(&KEY, &nonce(1), &mut sealed);
    let mut text = [0; FRAME];
    let mut opened = 0;
    for _ in 0..frames {
        text.copy_from_slice(&sealed);
        opened += u32::from(reference::open(&KEY, &nonce(1), &mut text, &tag));
    }
    opened
}

fn nonce(counter: u64) -> [u8; 24] {
    let mut nonce = [0; 24];
    nonce[..16].copy_from_slice(&PREFIX);
    nonce[16..].copy_from_slice(&counter.to_be_bytes());
    nonce
}
