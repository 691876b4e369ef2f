//! Salsa20, four blocks at a time, and HSalsa20 (Bernstein, "The Salsa20 family of stream ciphers" and "Extending the
//! Salsa20 nonce").
//!
//! In: a key, a nonce. Out: keystream in groups of four blocks, each lane of a vector being one block. While the vector
//! units compute a group, the scalar ones have nothing to do; a caller with other work gives it to [`Stream::group`].
//! Nothing can go wrong, and nothing depends on the key but values: no branch, no index.

mod lanes;

pub(crate) use lanes::{U32x4, Word};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes of keystream that are made at once: four blocks.
pub(crate) const GROUP: usize = 256;
/// The same in vectors of 16 bytes.
pub(crate) const VECTORS: usize = GROUP / 16;
/// How often a group leaves room for other work: once per double round.
pub(crate) const DOUBLE_ROUNDS: usize = 10;

/// "expand 32-byte k", the constant on the diagonal.
const SIGMA: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

/// A key as the words of the state.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Key([u32; 8]);

impl Key {
    /// The words of 32 bytes.
    pub(crate) fn new(bytes: &[u8; 32]) -> Key {
        let (words, _) = bytes.as_chunks();
        Key(core::array::from_fn(|i| u32::from_le_bytes(words[i])))
    }

    /// HSalsa20: the key that XSalsa20 uses for all nonces which begin with these 16 bytes.
    pub(crate) fn subkey(&self, nonce_prefix: &[u8; 16]) -> Key {
        let (words, _) = nonce_prefix.as_chunks();
        let mut x = self.state(core::array::from_fn(|i| u32::from_le_bytes(words[i])));
        for _ in 0..DOUBLE_ROUNDS {
            double_round(&mut x);
        }
        let subkey = Key([x[0], x[5], x[10], x[15], x[6], x[7], x[8], x[9]]);
        x.zeroize();
        subkey
    }

    /// Where a block begins: the constant, the key, and four words of nonce and counter.
    fn state(&self, middle: [u32; 4]) -> [u32; 16] {
        let ([k0, k1, k2, k3, k4, k5, k6, k7], [n0, n1, n2, n3]) = (self.0, middle);
        let [s0, s1, s2, s3] = SIGMA;
        [
            s0, k0, k1, k2, k3, s1, n0, n1, n2, n3, s2, k4, k5, k6, k7, s3,
        ]
    }
}

/// The keystream of one nonce, from its first block on. It ends, by a panic, after 2^32 blocks.
pub(crate) struct Stream<'a> {
    key: &'a Key,
    nonce: [u32; 2],
    block: u32,
}

impl<'a> Stream<'a> {
    /// The stream of a nonce of eight bytes.
    pub(crate) fn new(key: &'a Key, nonce: [u8; 8]) -> Stream<'a> {
        let (words, _) = nonce.as_chunks();
        Stream {
            key,
            nonce: [u32::from_le_bytes(words[0]), u32::from_le_bytes(words[1])],
            block: 0,
        }
    }

    /// The next four blocks, in the order of their bytes. `between` runs after each of the [`DOUBLE_ROUNDS`], which it is
    /// told the number of: a place for scalar work, which costs next to nothing there.
    #[inline(always)]
    pub(crate) fn group(&mut self, mut between: impl FnMut(usize)) -> [U32x4; VECTORS] {
        let [n0, n1] = self.nonce;
        let state = self.key.state([n0, n1, self.block, 0]);
        let mut start = state.map(U32x4::splat);
        start[8] = start[8].add(U32x4::new([0, 1, 2, 3]));
        self.block = self.block.checked_add(4).expect("no frame is this long");
        let mut x = start;
        // Not unrolled: compilers of WebAssembly would put the work of all rounds first and the rounds behind it, farther
        // apart than a processor looks ahead.
        for i in 0..DOUBLE_ROUNDS {
            double_round(&mut x);
            between(i);
        }
        for (word, start) in x.iter_mut().zip(start) {
            *word = word.add(start);
        }
        let mut out = x;
        for row in 0..4 {
            let block =
                U32x4::transpose([x[4 * row], x[4 * row + 1], x[4 * row + 2], x[4 * row + 3]]);
            for (i, vector) in block.into_iter().enumerate() {
                out[4 * i + row] = vector;
            }
        }
        out
    }
}

/// A column round and a row round.
#[inline(always)]
fn double_round<W: Word>(x: &mut [W; 16]) {
    for [a, b, c, d] in [[0, 4, 8, 12], [5, 9, 13, 1], [10, 14, 2, 6], [15, 3, 7, 11]] {
        quarter_round(x, a, b, c, d);
    }
    for [a, b, c, d] in [[0, 1, 2, 3], [5, 6, 7, 4], [10, 11, 8, 9], [15, 12, 13, 14]] {
        quarter_round(x, a, b, c, d);
    }
}

#[inline(always)]
fn quarter_round<W: Word>(x: &mut [W; 16], a: usize, b: usize, c: usize, d: usize) {
    x[b] = x[b].xor(x[a].add(x[d]).rotate::<7>());
    x[c] = x[c].xor(x[b].add(x[a]).rotate::<9>());
    x[d] = x[d].xor(x[c].add(x[b]).rotate::<13>());
    x[a] = x[a].xor(x[d].add(x[c]).rotate::<18>());
}

#[cfg(test)]
mod tests;
