//! Poly1305 (RFC 8439 §2.5), block by block, so that a caller can put the blocks between other work.
//!
//! In: a one-time key, blocks of 16 bytes, and what is left after the last one. Out: a tag. Two ways of computing: with
//! 64-bit limbs, where the machine multiplies 64 by 64 bits, and with 32-bit limbs, where it does not. Nothing can go
//! wrong, and nothing depends on the key but values: no branch, no index.

#[cfg(any(test, not(feature = "wide")))]
pub(crate) mod split;
#[cfg(any(test, feature = "wide"))]
pub(crate) mod wide;

#[cfg(not(feature = "wide"))]
pub(crate) use split::Split as Limbs;
#[cfg(feature = "wide")]
pub(crate) use wide::Wide as Limbs;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes of a block.
pub(crate) const BLOCK: usize = 16;
/// Bytes of a tag.
pub(crate) const TAG: usize = 16;

/// A polynomial over 2^130 - 5, evaluated at a secret point.
pub(crate) trait Accumulator: Zeroize {
    /// Zero, and the point, already clamped.
    fn new(point: [u64; 2]) -> Self;
    /// Adds a block and its bit at 2^128 (1 for a whole block), then multiplies by the point.
    fn block(&mut self, block: &[u8; BLOCK], top: u8);
    /// The value, below 2p: 64, 64 and 3 bits, lowest first.
    fn value(&self) -> [u64; 3];
    /// Makes the compiler compute this before what is pinned later.
    fn pin(&self) {}
}

/// One message's tag in the making; wiped when it is dropped.
#[derive(ZeroizeOnDrop)]
pub(crate) struct Poly1305<A: Accumulator> {
    sum: A,
    pad: [u64; 2],
}

impl<A: Accumulator> Poly1305<A> {
    /// Begins with a key that no other message has: its 32 bytes as four numbers, least byte first.
    pub(crate) fn new([r0, r1, s0, s1]: [u64; 4]) -> Poly1305<A> {
        Poly1305 {
            sum: A::new([r0 & 0x0fff_fffc_0fff_ffff, r1 & 0x0fff_fffc_0fff_fffc]),
            pad: [s0, s1],
        }
    }

    /// Takes a whole block.
    #[inline(always)]
    pub(crate) fn block(&mut self, block: &[u8; BLOCK]) {
        self.sum.block(block, 1);
    }

    /// Takes a whole block where this stands, between other work.
    #[inline(always)]
    pub(crate) fn block_here(&mut self, block: &[u8; BLOCK]) {
        self.block(block);
        self.sum.pin();
    }

    /// Takes what is left, less than a block, and gives the tag.
    pub(crate) fn finish(mut self, rest: &[u8]) -> [u8; TAG] {
        if !rest.is_empty() {
            let mut block = [0; BLOCK];
            copy(&mut block, rest);
            block[rest.len()] = 1;
            self.sum.block(&block, 0);
        }
        let [h0, h1, h2] = self.sum.value();
        let h = u128::from(h1) << 64 | u128::from(h0);
        // Below 2p there is at most one p to take away: the value plus 5 has a bit at 2^130 exactly then.
        let (_, carry) = h.overflowing_add(5);
        let k = (h2 + u64::from(carry)) >> 2;
        let h = h.wrapping_add(u128::from(5 * k));
        let pad = u128::from(self.pad[1]) << 64 | u128::from(self.pad[0]);
        h.wrapping_add(pad).to_le_bytes()
    }
}

/// Copies what is shorter than 16 bytes, without the call that a copy of any length is in WebAssembly.
#[inline(always)]
pub(crate) fn copy(to: &mut [u8], from: &[u8]) {
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

#[cfg(test)]
mod tests;
