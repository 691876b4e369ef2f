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
/// How often a group leaves room for other work: once per round.
pub(crate) const ROUNDS: usize = 20;

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
        for _ in 0..ROUNDS / 2 {
            column_round(&mut x);
            row_round(&mut x);
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

/// The keystream of a nonce, from its first block on. It ends, by a panic, after 2^32 blocks.
pub(crate) struct Stream {
    /// Where the next four blocks begin.
    start: [U32x4; 16],
    block: u32,
}

impl Stream {
    /// The stream of a nonce of eight bytes.
    #[inline(always)]
    pub(crate) fn new(key: &Key, nonce: [u8; 8]) -> Stream {
        let mut stream = Stream {
            start: key.state([0; 4]).map(U32x4::splat),
            block: 0,
        };
        stream.restart(nonce);
        stream
    }

    /// Goes on with the stream of another nonce.
    #[inline(always)]
    pub(crate) fn restart(&mut self, nonce: [u8; 8]) {
        let (words, _) = nonce.as_chunks();
        self.start[6] = U32x4::splat(u32::from_le_bytes(words[0]));
        self.start[7] = U32x4::splat(u32::from_le_bytes(words[1]));
        self.start[8] = U32x4::new([0, 1, 2, 3]);
        self.block = 0;
    }

    /// Leaves out four blocks, which the caller has.
    #[inline(always)]
    pub(crate) fn skip_group(&mut self) {
        self.block = self.block.checked_add(4).expect("no frame is this long");
        self.start[8] = self.start[8].add(U32x4::splat(4));
    }

    /// The next four blocks, in the order of their bytes. `between` runs after each of the [`ROUNDS`], which it is told the
    /// number of: a place for scalar work, which costs next to nothing there.
    #[inline(always)]
    pub(crate) fn group(&mut self, mut between: impl FnMut(usize)) -> [U32x4; VECTORS] {
        let start = self.start;
        self.skip_group();
        let mut x = start;
        // Two turns: in each, all vectors are stored and loaded again; and ten double rounds at a stretch are much code.
        for i in (0..ROUNDS).step_by(10) {
            double_round(&mut x, i, &mut between);
            double_round(&mut x, i + 2, &mut between);
            double_round(&mut x, i + 4, &mut between);
            double_round(&mut x, i + 6, &mut between);
            double_round(&mut x, i + 8, &mut between);
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

/// A column round and a row round, the first with the number `i`, and what there is between rounds.
#[inline(always)]
fn double_round(x: &mut [U32x4; 16], i: usize, between: &mut impl FnMut(usize)) {
    column_round(x);
    between(i);
    row_round(x);
    between(i + 1);
}

#[inline(always)]
fn column_round<W: Word>(x: &mut [W; 16]) {
    quarter_round(x, 0, 4, 8, 12);
    quarter_round(x, 5, 9, 13, 1);
    quarter_round(x, 10, 14, 2, 6);
    quarter_round(x, 15, 3, 7, 11);
}

#[inline(always)]
fn row_round<W: Word>(x: &mut [W; 16]) {
    quarter_round(x, 0, 1, 2, 3);
    quarter_round(x, 5, 6, 7, 4);
    quarter_round(x, 10, 11, 8, 9);
    quarter_round(x, 15, 12, 13, 14);
}

#[inline(always)]
fn quarter_round<W: Word>(x: &mut [W; 16], a: usize, b: usize, c: usize, d: usize) {
    x[b] = x[b].xor(x[a].add(x[d]).rotate::<7>());
    x[c] = x[c].xor(x[b].add(x[a]).rotate::<9>());
    x[d] = x[d].xor(x[c].add(x[b]).rotate::<13>());
    x[a] = x[a].xor(x[d].add(x[c]).rotate::<18>());
    // One quarter after the other: in the order that Cranelift would find, more vectors are needed at a time than there are.
    x[a].pin();
}

#[cfg(test)]
mod tests;
