//! The generator behind length masks and tables: SipHash-2-4 over its own output.
//!
//! A seed goes in, eight bytes at a time come out. Each block is the digest of everything so far: the seed's last eight
//! bytes, then every block before it. (The published description leaves the earlier blocks out; what speaks obfs4 does
//! not.) Nothing can go wrong, and a block costs the same whatever came before: the digest's state is kept, and finished
//! on a copy.

use zeroize::{Zeroize, ZeroizeOnDrop};

/// What tables and masks are made from: the key of SipHash (16 bytes) and the block before the first (8). A bridge has
/// one for its lifetime and tells it to every client; each direction of a connection has another.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Seed([u8; Seed::LENGTH]);

impl Seed {
    /// Bytes in a seed.
    pub const LENGTH: usize = 24;

    /// The seed with these bytes.
    pub fn from_bytes(bytes: [u8; Seed::LENGTH]) -> Seed {
        Seed(bytes)
    }

    /// The bytes it was made from.
    pub fn as_bytes(&self) -> &[u8; Seed::LENGTH] {
        &self.0
    }
}

/// An endless sequence of blocks, the same for the same seed.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Drbg {
    /// SipHash after the blocks so far, not finished.
    state: [u64; 4],
    /// The block that the next digest begins with.
    block: u64,
    /// The bytes hashed so far: SipHash ends with the lowest eight bits of their number.
    hashed: u8,
}

impl Drbg {
    /// The sequence of `seed`, from its start.
    pub fn new(seed: &Seed) -> Drbg {
        let (words, _) = seed.0.as_chunks::<8>();
        let [k0, k1, block] = [words[0], words[1], words[2]].map(u64::from_le_bytes);
        // SipHash's own constants: "somepseudorandomlygeneratedbytes".
        let state = [
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ];
        Drbg {
            state,
            block,
            hashed: 0,
        }
    }

    /// The next eight bytes.
    #[inline]
    pub fn next_block(&mut self) -> [u8; 8] {
        absorb(&mut self.state, self.block);
        self.hashed = self.hashed.wrapping_add(8);
        self.block = digest(self.state, self.hashed);
        self.block.to_le_bytes()
    }
}

/// What SipHash-2-4 says of the words in `state`; their bytes are `hashed`, modulo 256.
#[inline]
fn digest(mut state: [u64; 4], hashed: u8) -> u64 {
    absorb(&mut state, u64::from(hashed) << 56);
    state[2] ^= 0xff;
    for _ in 0..4 {
        round(&mut state);
    }
    state[0] ^ state[1] ^ state[2] ^ state[3]
}

#[inline]
fn absorb(state: &mut [u64; 4], word: u64) {
    state[3] ^= word;
    round(state);
    round(state);
    state[0] ^= word;
}

#[inline]
fn round([v0, v1, v2, v3]: &mut [u64; 4]) {
    *v0 = v0.wrapping_add(*v1);
    *v2 = v2.wrapping_add(*v3);
    *v1 = v1.rotate_left(13) ^ *v0;
    *v3 = v3.rotate_left(16) ^ *v2;
    *v0 = v0.rotate_left(32);
    *v2 = v2.wrapping_add(*v1);
    *v0 = v0.wrapping_add(*v3);
    *v1 = v1.rotate_left(17) ^ *v2;
    *v3 = v3.rotate_left(21) ^ *v0;
    *v2 = v2.rotate_left(32);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::hash::Hasher;

    /// From the paper's reference code: the key is 00 to 0f, the message 00 01 02 and so on.
    #[test]
    fn digests_are_siphash_2_4() {
        let words = |first: u8| u64::from_le_bytes(std::array::from_fn(|i| first + i as u8));
        for (length, expected) in [(0, 0x726f_db47_dd0e_0e31), (8, 0x93f5_f579_9a93_2462)] {
            let mut state = Drbg::new(&Seed(std::array::from_fn(|i| i as u8))).state;
            for first in (0..length).step_by(8) {
                absorb(&mut state, words(first));
            }
            assert_eq!(digest(state, length), expected);
        }
    }

    proptest! {
        /// Beyond 32 blocks the length wraps, too.
        #[test]
        fn a_block_is_the_digest_of_all_before_it(seed: [u8; 24], blocks in 1usize..80) {
            let word = |at: usize| u64::from_le_bytes(seed[at..][..8].try_into().expect("eight bytes"));
            #[allow(deprecated, reason = "superseded for hash maps, and exactly this hash")]
            let mut judge = std::hash::SipHasher::new_with_keys(word(0), word(8));
            let mut drbg = Drbg::new(&Seed::from_bytes(seed));
            let mut block: [u8; 8] = word(16).to_le_bytes();
            for _ in 0..blocks {
                judge.write(&block);
                block = judge.finish().to_le_bytes();
                prop_assert_eq!(drbg.next_block(), block);
            }
        }
    }
}
