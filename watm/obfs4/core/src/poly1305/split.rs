//! 32-bit limbs: twenty products of 32 by 32 bits a block, for machines that keep only 64 bits of one.
//!
//! The clamped point leaves room: its limbs are below 2^28, so limbs of the sum may be a little above 2^32 and carries
//! wait for the end of a block.

use super::{Accumulator, BLOCK};
use zeroize::Zeroize;

/// h and r of the polynomial; `s` is 5/4 r, by which what goes beyond 2^130 comes back.
#[derive(Zeroize)]
pub(crate) struct Split {
    r: [u64; 4],
    /// `s[i]` belongs to `r[i + 1]`.
    s: [u64; 3],
    /// Between blocks: below 2.25 * 2^32, three times below 2^32, and at most 3.
    h: [u64; 5],
}

const LOW: u64 = 0xffff_ffff;

impl Accumulator for Split {
    fn new([r0, r1]: [u64; 2]) -> Split {
        let r = [r0 & LOW, r0 >> 32, r1 & LOW, r1 >> 32];
        // Clamped: multiples of 4.
        let s = [r[1] + (r[1] >> 2), r[2] + (r[2] >> 2), r[3] + (r[3] >> 2)];
        Split { r, s, h: [0; 5] }
    }

    #[inline(always)]
    fn block(&mut self, block: &[u8; BLOCK], top: u8) {
        let (words, _) = block.as_chunks();
        let low = u64::from_le_bytes(words[0]);
        let high = u64::from_le_bytes(words[1]);
        let [r0, r1, r2, r3] = self.r;
        let [s1, s2, s3] = self.s;
        let [h0, h1, h2, h3, h4] = self.h;

        let h0 = h0 + (low & LOW);
        let h1 = h1 + (low >> 32);
        let h2 = h2 + (high & LOW);
        let h3 = h3 + (high >> 32);
        let h4 = h4 + u64::from(top);

        // Below 5.4 * 2^61 each.
        let d0 = h0 * r0 + h1 * s3 + h2 * s2 + h3 * s1;
        let d1 = h0 * r1 + h1 * r0 + h2 * s3 + h3 * s2 + h4 * s1;
        let d2 = h0 * r2 + h1 * r1 + h2 * r0 + h3 * s3 + h4 * s2;
        let d3 = h0 * r3 + h1 * r2 + h2 * r1 + h3 * r0 + h4 * s3;

        let d1 = d1 + (d0 >> 32);
        let d2 = d2 + (d1 >> 32);
        let d3 = d3 + (d2 >> 32);
        let d4 = h4 * r0 + (d3 >> 32);
        // Below 2^32, so that five quarters of it are below 1.25 * 2^32.
        self.h = [
            (d0 & LOW) + (d4 >> 2) * 5,
            d1 & LOW,
            d2 & LOW,
            d3 & LOW,
            d4 & 3,
        ];
    }

    fn value(&self) -> [u64; 3] {
        let [h0, h1, h2, h3, h4] = self.h;
        let h1 = h1 + (h0 >> 32);
        let h2 = h2 + (h1 >> 32);
        let h3 = h3 + (h2 >> 32);
        [
            (h0 & LOW) | (h1 << 32),
            (h2 & LOW) | (h3 << 32),
            h4 + (h3 >> 32),
        ]
    }
}
