//! The box of a frame: XSalsa20-Poly1305, byte for byte NaCl's `crypto_secretbox`, made for many frames of one key
//! (obfs4 specification §5; the nonce is a fixed prefix and a counter).
//!
//! In: a key, the prefix, and per frame a counter and a window with the frame in it. Out: the same window with the frame
//! sealed or opened, and moved towards the front on the way, so that one buffer serves for reading and writing. Goes
//! wrong: a frame that is not the peer's is [`Forged`], which is known before a byte is written. How the work is laid
//! out and why is in docs/design/obfs4-crypto.md.

use crate::poly1305::{self, Accumulator, BLOCK, Limbs, Poly1305};
use crate::salsa20::{DOUBLE_ROUNDS, GROUP, Key, Stream, U32x4, VECTORS, Word};
use core::ops::Range;
use subtle::ConstantTimeEq;

/// Bytes by which a box is longer than what is in it; they come first.
pub const TAG: usize = poly1305::TAG;

/// The first half block of keystream is the key of the MAC.
const MAC_KEY: usize = 32;
/// Groups of keystream after the first that are made while a MAC is checked: as many as the longest frame takes.
const AHEAD: usize = 5;

/// A box that was not sealed with this key and counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forged;

/// A key, ready for the frames of one direction; wiped when it is dropped.
pub struct SecretBox {
    subkey: Key,
}

impl SecretBox {
    /// The boxes of a key whose nonces all begin with `nonce_prefix`.
    pub fn new(key: &[u8; 32], nonce_prefix: &[u8; 16]) -> SecretBox {
        SecretBox {
            subkey: Key::new(key).subkey(nonce_prefix),
        }
    }

    /// Seals what is in the last `n` bytes of a window of `TAG + shift + n`. Afterwards its first `TAG + n` bytes are the
    /// box; the rest is unspecified.
    ///
    /// # Panics
    /// If the window is shorter than `TAG + shift`.
    #[inline(never)]
    pub fn seal(&self, counter: u64, window: &mut [u8], shift: usize) {
        self.seal_with::<Limbs>(counter, window, shift);
    }

    /// Opens the box in the last `TAG + n` bytes of a window of `shift + TAG + n`. Afterwards its first `n` bytes are
    /// what was in it; the rest is unspecified.
    ///
    /// # Errors
    /// [`Forged`], and then the window is as it was.
    ///
    /// # Panics
    /// If the window is shorter than `shift + TAG`.
    #[inline(never)]
    pub fn open(&self, counter: u64, window: &mut [u8], shift: usize) -> Result<(), Forged> {
        self.open_with::<Limbs>(counter, window, shift)
    }

    #[inline(always)]
    fn seal_with<A: Accumulator>(&self, counter: u64, window: &mut [u8], shift: usize) {
        let mut plain = TAG + shift..window.len();
        assert!(
            plain.start <= plain.end,
            "a window holds a tag and the shift"
        );
        let mut stream = Stream::new(&self.subkey, counter.to_be_bytes());
        let mut group = stream.group(|_| {});
        let mut mac = Poly1305::<A>::new(mac_key(&group));
        let mut sealed = TAG..TAG;
        let mut skip = MAC_KEY;
        loop {
            let length = plain.len().min(GROUP - skip);
            let to = sealed.end;
            mask(
                window,
                plain.start..plain.start + length,
                to,
                &mut group,
                skip,
            );
            plain.start += length;
            sealed = to..to + length;
            if plain.is_empty() {
                break;
            }
            skip = 0;
            // While the next keystream is made, the MAC takes what was just written: whole blocks.
            let (pairs, _) = window[sealed.clone()].as_chunks();
            group = stream.group(|i| {
                if let Some(pair) = pairs.get(i) {
                    mac.pair(pair);
                }
            });
        }
        let tag = finish(mac, &window[sealed]);
        window[..TAG].copy_from_slice(&tag);
    }

    #[inline(always)]
    fn open_with<A: Accumulator>(
        &self,
        counter: u64,
        window: &mut [u8],
        shift: usize,
    ) -> Result<(), Forged> {
        let sealed = shift + TAG..window.len();
        assert!(
            sealed.start <= sealed.end,
            "a window holds the shift and a tag"
        );
        let mut stream = Stream::new(&self.subkey, counter.to_be_bytes());
        let mut first = stream.group(|_| {});
        let mut mac = Poly1305::<A>::new(mac_key(&first));
        // While the MAC goes over the box, the keystream is made that the plaintext will need.
        let beyond_first = sealed.len().saturating_sub(GROUP - MAC_KEY);
        let (mut pairs, rest) = window[sealed.clone()].as_chunks();
        let mut ahead = [const { None }; AHEAD];
        for (i, group) in ahead.iter_mut().enumerate() {
            if i * GROUP >= beyond_first {
                break;
            }
            let (now, later) = pairs.split_at(pairs.len().min(DOUBLE_ROUNDS));
            pairs = later;
            *group = Some(stream.group(|i| {
                if let Some(pair) = now.get(i) {
                    mac.pair(pair);
                }
            }));
        }
        for pair in pairs {
            mac.pair(pair);
        }
        let (tags, _) = window[shift..sealed.start].as_chunks();
        // As numbers: byte by byte costs sixteen calls.
        let [wanted, found] = [finish(mac, rest), tags[0]].map(u128::from_le_bytes);
        if !bool::from(wanted.ct_eq(&found)) {
            return Err(Forged);
        }

        let (mut from, mut to) = (sealed.start, 0);
        let mut write = |group: &mut [U32x4; VECTORS], skip| {
            let length = (sealed.end - from).min(GROUP - skip);
            mask(window, from..from + length, to, group, skip);
            from += length;
            to += length;
            from < sealed.end
        };
        let mut more = write(&mut first, MAC_KEY);
        for group in ahead.iter_mut().flatten() {
            more = write(group, 0);
        }
        while more {
            more = write(&mut stream.group(|_| {}), 0);
        }
        Ok(())
    }
}

/// The one-time key at the beginning of the keystream.
fn mac_key(group: &[U32x4; VECTORS]) -> [u64; 4] {
    let ([r0, r1], [s0, s1]) = (group[0].halves(), group[1].halves());
    [r0, r1, s0, s1]
}

/// Writes the bytes of `from`, combined with the keystream after its first `skip` bytes, to `to`, which is not behind
/// them. Everything is read before anything is written.
#[inline(always)]
fn mask(
    window: &mut [u8],
    from: Range<usize>,
    to: usize,
    group: &mut [U32x4; VECTORS],
    skip: usize,
) {
    let length = from.len();
    if length == GROUP {
        let bytes: &[u8; GROUP] = (&window[from]).try_into().expect("a group");
        let (vectors, _) = bytes.as_chunks();
        let masked: [_; VECTORS] = core::array::from_fn(|i| group[i].xor(U32x4::read(&vectors[i])));
        let bytes: &mut [u8; GROUP] = (&mut window[to..to + GROUP]).try_into().expect("a group");
        let (vectors, _) = bytes.as_chunks_mut();
        for (masked, bytes) in masked.into_iter().zip(vectors) {
            masked.write(bytes);
        }
        return;
    }
    let keystream = &mut group[skip / 16..];
    let (vectors, rest) = window[from].as_chunks();
    for (masked, bytes) in keystream.iter_mut().zip(vectors) {
        *masked = masked.xor(U32x4::read(bytes));
    }
    let mut last = [0; 16];
    if !rest.is_empty() {
        copy(&mut last, rest);
        keystream[length / 16]
            .xor(U32x4::read(&last))
            .write(&mut last);
    }
    let (vectors, rest) = window[to..to + length].as_chunks_mut();
    for (masked, bytes) in keystream.iter().zip(vectors) {
        masked.write(bytes);
    }
    let length = rest.len();
    copy(rest, &last[..length]);
}

/// Copies what is shorter than 16 bytes, without the call that a copy of any length is in WebAssembly.
#[inline(always)]
fn copy(to: &mut [u8], from: &[u8]) {
    let mut at = 0;
    if from.len() & 8 != 0 {
        to[..8].copy_from_slice(&from[..8]);
        at = 8;
    }
    if from.len() & 4 != 0 {
        to[at..at + 4].copy_from_slice(&from[at..at + 4]);
        at += 4;
    }
    if from.len() & 2 != 0 {
        to[at..at + 2].copy_from_slice(&from[at..at + 2]);
        at += 2;
    }
    if from.len() & 1 != 0 {
        to[at] = from[at];
    }
}

/// The tag over what is left.
fn finish<A: Accumulator>(mut mac: Poly1305<A>, sealed: &[u8]) -> [u8; TAG] {
    let (blocks, rest) = sealed.as_chunks::<BLOCK>();
    for block in blocks {
        mac.block(block);
    }
    mac.finish(rest)
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
