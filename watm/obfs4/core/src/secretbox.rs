//! The box of a frame: XSalsa20-Poly1305, byte for byte NaCl's `crypto_secretbox`, made for many frames of one key
//! (obfs4 specification §5; the nonce is a fixed prefix and a counter).
//!
//! In: a key, the prefix, and per frame a counter and a window with the frame in it. Out: the same window with the frame
//! sealed or opened, and moved towards the front on the way, so that one buffer serves for reading and writing. Goes
//! wrong: a frame that is not the peer's is [`Forged`], which is known when most of it is decrypted; that is wiped before
//! anyone sees it. How the work is laid out and why is in docs/design/obfs4-crypto.md.

use crate::poly1305::{self, Accumulator, Limbs, Poly1305, copy};
use crate::salsa20::{GROUP, Key, Stream, U32x4, VECTORS, Word};
use core::ops::Range;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

/// Bytes by which a box is longer than what is in it; they come first.
pub const TAG: usize = poly1305::TAG;

/// The first half block of keystream is the key of the MAC.
const MAC_KEY: usize = 32;

/// A box that was not sealed with this key and counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forged;

/// A key, ready for the frames of one direction; wiped when it is dropped.
pub struct SecretBox {
    subkey: Key,
    /// The first group of the next frame, made beside the end of the last frame's MAC.
    ahead: Zeroizing<[[u8; 16]; VECTORS]>,
    /// The counter of the frame it is for.
    ahead_for: Option<u64>,
}

impl SecretBox {
    /// The boxes of a key whose nonces all begin with `nonce_prefix`.
    pub fn new(key: &[u8; 32], nonce_prefix: &[u8; 16]) -> SecretBox {
        SecretBox {
            subkey: Key::new(key).subkey(nonce_prefix),
            ahead: Zeroizing::new([[0; 16]; VECTORS]),
            ahead_for: None,
        }
    }

    /// Seals what is in the last `n` bytes of a window of `TAG + shift + n`. Afterwards its first `TAG + n` bytes are the
    /// box; the rest is unspecified.
    ///
    /// # Panics
    /// If the window is shorter than `TAG + shift`.
    #[inline(never)]
    pub fn seal(&mut self, counter: u64, window: &mut [u8], shift: usize) {
        self.seal_with::<Limbs>(counter, window, shift);
    }

    /// Opens the box in the last `TAG + n` bytes of a window of `shift + TAG + n`. Afterwards its first `n` bytes are
    /// what was in it; the rest is unspecified.
    ///
    /// # Errors
    /// [`Forged`], and then the window is unspecified, and nothing of what was in the box is in it.
    ///
    /// # Panics
    /// If the window is shorter than `shift + TAG`.
    #[inline(never)]
    pub fn open(&mut self, counter: u64, window: &mut [u8], shift: usize) -> Result<(), Forged> {
        self.open_with::<Limbs>(counter, window, shift)
    }

    #[inline(always)]
    fn seal_with<A: Accumulator>(&mut self, counter: u64, window: &mut [u8], shift: usize) {
        let mut plain = TAG + shift..window.len();
        assert!(
            plain.start <= plain.end,
            "a window holds a tag and the shift"
        );
        let (mut group, mut stream) = self.begin(counter);
        let mut mac = Poly1305::<A>::new(mac_key(&group));
        let mut to = TAG;
        let mut skip = MAC_KEY;
        let rest = loop {
            let length = plain.len().min(GROUP - skip);
            let part = plain.start..plain.start + length;
            mask(window, part, to, &mut group, skip);
            plain.start += length;
            let sealed = to..to + length;
            to = sealed.end;
            let is_last = plain.is_empty();
            if is_last {
                stream.restart(counter.wrapping_add(1).to_be_bytes());
            }
            // While the next keystream is made, the MAC takes what was just written.
            let (blocks, rest) = window[sealed].as_chunks();
            group = stream.group(|i| {
                if let Some(block) = blocks.get(i) {
                    mac.block_here(block);
                }
            });
            if is_last {
                break rest;
            }
            skip = 0;
        };
        let tag = mac.finish(rest);
        window[..TAG].copy_from_slice(&tag);
        self.keep(counter.wrapping_add(1), &group);
    }

    #[inline(always)]
    fn open_with<A: Accumulator>(
        &mut self,
        counter: u64,
        window: &mut [u8],
        shift: usize,
    ) -> Result<(), Forged> {
        let mut sealed = shift + TAG..window.len();
        assert!(
            sealed.start <= sealed.end,
            "a window holds the shift and a tag"
        );
        // Read now: what is opened is written over it.
        let (tags, _) = window[shift..sealed.start].as_chunks();
        let wanted = u128::from_le_bytes(tags[0]);
        let (mut group, mut stream) = self.begin(counter);
        let mut mac = Poly1305::<A>::new(mac_key(&group));
        let mut to = 0;
        let mut skip = MAC_KEY;
        loop {
            let length = sealed.len().min(GROUP - skip);
            let part = sealed.start..sealed.start + length;
            sealed.start += length;
            let is_last = sealed.is_empty();
            if is_last {
                stream.restart(counter.wrapping_add(1).to_be_bytes());
            }
            // While the next keystream is made, the MAC takes what is opened after it.
            let (blocks, rest) = window[part.clone()].as_chunks();
            let next = stream.group(|i| {
                if let Some(block) = blocks.get(i) {
                    mac.block_here(block);
                }
            });
            if is_last {
                // As numbers: byte by byte costs sixteen calls.
                let found = u128::from_le_bytes(mac.finish(rest));
                if !bool::from(found.ct_eq(&wanted)) {
                    window[..to].zeroize();
                    return Err(Forged);
                }
                mask(window, part, to, &mut group, skip);
                self.keep(counter.wrapping_add(1), &next);
                return Ok(());
            }
            mask(window, part, to, &mut group, skip);
            to += length;
            skip = 0;
            group = next;
        }
    }

    /// The first group of a frame's keystream, and the stream of the others.
    #[inline(always)]
    fn begin(&self, counter: u64) -> ([U32x4; VECTORS], Stream) {
        let group = if self.ahead_for == Some(counter) {
            self.ahead.each_ref().map(U32x4::read)
        } else {
            self.first(counter)
        };
        let mut stream = Stream::new(&self.subkey, counter.to_be_bytes());
        stream.skip_group();
        (group, stream)
    }

    /// The first group where nothing was made ahead.
    #[cold]
    #[inline(never)]
    fn first(&self, counter: u64) -> [U32x4; VECTORS] {
        Stream::new(&self.subkey, counter.to_be_bytes()).group(|_| {})
    }

    /// Keeps the first group of a frame until it comes.
    #[inline(always)]
    fn keep(&mut self, counter: u64, group: &[U32x4; VECTORS]) {
        for (vector, bytes) in group.iter().zip(self.ahead.iter_mut()) {
            vector.write(bytes);
        }
        self.ahead_for = Some(counter);
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
        let mut masked = *group;
        for (vector, bytes) in masked.iter_mut().zip(bytes.as_chunks().0) {
            *vector = vector.xor(U32x4::read(bytes));
        }
        let bytes: &mut [u8; GROUP] = (&mut window[to..to + GROUP]).try_into().expect("a group");
        for (masked, bytes) in masked.into_iter().zip(bytes.as_chunks_mut().0) {
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

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
