//! What Salsa20 computes with: one word, or four of them side by side.
//!
//! In WebAssembly with SIMD the four are a `v128`. Elsewhere they are an array: nothing but tests runs there, and the
//! vector instructions of processors are not safe to call.

/// A word of the state, or the same word of several blocks.
pub(crate) trait Word: Copy {
    /// The sum, modulo 2^32.
    fn add(self, other: Self) -> Self;
    /// Exclusive or.
    fn xor(self, other: Self) -> Self;
    /// A rotation to the left.
    fn rotate<const BITS: u32>(self) -> Self;
    /// Makes the compiler compute this before what is pinned later.
    fn pin(self) {}
}

impl Word for u32 {
    fn add(self, other: u32) -> u32 {
        self.wrapping_add(other)
    }

    fn xor(self, other: u32) -> u32 {
        self ^ other
    }

    fn rotate<const BITS: u32>(self) -> u32 {
        self.rotate_left(BITS)
    }
}

pub(crate) use vector::U32x4;

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod vector {
    use super::Word;
    use core::arch::wasm32::{
        i32x4_add, i32x4_shuffle, u32x4, u32x4_shl, u32x4_shr, u32x4_splat, u64x2,
        u64x2_extract_lane, v128, v128_or, v128_xor,
    };

    /// Four words.
    #[derive(Clone, Copy)]
    pub(crate) struct U32x4(v128);

    impl U32x4 {
        #[inline(always)]
        pub(crate) fn new([a, b, c, d]: [u32; 4]) -> U32x4 {
            U32x4(u32x4(a, b, c, d))
        }

        #[inline(always)]
        pub(crate) fn splat(word: u32) -> U32x4 {
            U32x4(u32x4_splat(word))
        }

        // The compiler makes one load, and one store, of what is spelt as two: the intrinsics for them are not safe.
        #[inline(always)]
        pub(crate) fn read(bytes: &[u8; 16]) -> U32x4 {
            let (halves, _) = bytes.as_chunks();
            U32x4(u64x2(
                u64::from_le_bytes(halves[0]),
                u64::from_le_bytes(halves[1]),
            ))
        }

        #[inline(always)]
        pub(crate) fn write(self, bytes: &mut [u8; 16]) {
            let (halves, _) = bytes.as_chunks_mut();
            [halves[0], halves[1]] = self.halves().map(u64::to_le_bytes);
        }

        /// The bytes as two numbers, least byte first.
        #[inline(always)]
        pub(crate) fn halves(self) -> [u64; 2] {
            [
                u64x2_extract_lane::<0>(self.0),
                u64x2_extract_lane::<1>(self.0),
            ]
        }

        /// Rows become columns.
        #[inline(always)]
        pub(crate) fn transpose([a, b, c, d]: [U32x4; 4]) -> [U32x4; 4] {
            let ab = i32x4_shuffle::<0, 4, 1, 5>(a.0, b.0);
            let cd = i32x4_shuffle::<0, 4, 1, 5>(c.0, d.0);
            let ab_high = i32x4_shuffle::<2, 6, 3, 7>(a.0, b.0);
            let cd_high = i32x4_shuffle::<2, 6, 3, 7>(c.0, d.0);
            [
                U32x4(i32x4_shuffle::<0, 1, 4, 5>(ab, cd)),
                U32x4(i32x4_shuffle::<2, 3, 6, 7>(ab, cd)),
                U32x4(i32x4_shuffle::<0, 1, 4, 5>(ab_high, cd_high)),
                U32x4(i32x4_shuffle::<2, 3, 6, 7>(ab_high, cd_high)),
            ]
        }
    }

    impl Word for U32x4 {
        #[inline(always)]
        fn add(self, other: U32x4) -> U32x4 {
            U32x4(i32x4_add(self.0, other.0))
        }

        #[inline(always)]
        fn xor(self, other: U32x4) -> U32x4 {
            U32x4(v128_xor(self.0, other.0))
        }

        #[inline(always)]
        fn rotate<const BITS: u32>(self) -> U32x4 {
            U32x4(v128_or(
                u32x4_shl(self.0, BITS),
                u32x4_shr(self.0, 32 - BITS),
            ))
        }

        // A store, which alone has a place of its own in what Cranelift makes of WebAssembly.
        #[inline(always)]
        fn pin(self) {
            core::hint::black_box(self.0);
        }
    }
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod vector {
    use super::Word;
    use core::array::from_fn;

    /// Four words.
    #[derive(Clone, Copy)]
    pub(crate) struct U32x4([u32; 4]);

    impl U32x4 {
        #[inline(always)]
        pub(crate) fn new(words: [u32; 4]) -> U32x4 {
            U32x4(words)
        }

        #[inline(always)]
        pub(crate) fn splat(word: u32) -> U32x4 {
            U32x4([word; 4])
        }

        #[inline(always)]
        pub(crate) fn read(bytes: &[u8; 16]) -> U32x4 {
            let (words, _) = bytes.as_chunks();
            U32x4(from_fn(|i| u32::from_le_bytes(words[i])))
        }

        #[inline(always)]
        pub(crate) fn write(self, bytes: &mut [u8; 16]) {
            let (words, _) = bytes.as_chunks_mut();
            for (bytes, word) in words.iter_mut().zip(self.0) {
                *bytes = word.to_le_bytes();
            }
        }

        /// The bytes as two numbers, least byte first.
        #[inline(always)]
        pub(crate) fn halves(self) -> [u64; 2] {
            let [a, b, c, d] = self.0.map(u64::from);
            [a | b << 32, c | d << 32]
        }

        /// Rows become columns.
        #[inline(always)]
        pub(crate) fn transpose(rows: [U32x4; 4]) -> [U32x4; 4] {
            from_fn(|column| U32x4(from_fn(|row| rows[row].0[column])))
        }
    }

    impl Word for U32x4 {
        #[inline(always)]
        fn add(self, other: U32x4) -> U32x4 {
            U32x4(from_fn(|i| self.0[i].wrapping_add(other.0[i])))
        }

        #[inline(always)]
        fn xor(self, other: U32x4) -> U32x4 {
            U32x4(from_fn(|i| self.0[i] ^ other.0[i]))
        }

        #[inline(always)]
        fn rotate<const BITS: u32>(self) -> U32x4 {
            U32x4(from_fn(|i| self.0[i].rotate_left(BITS)))
        }
    }
}
