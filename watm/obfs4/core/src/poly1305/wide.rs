//! 64-bit limbs: four products of 64 by 64 bits a block, each one instruction where there is wide arithmetic.

use super::{Accumulator, BLOCK};
use zeroize::Zeroize;

/// h and r of the polynomial.
#[derive(Zeroize)]
pub(crate) struct Wide {
    r0: u64,
    r1: u64,
    /// 5/4 r1, by which what goes beyond 2^130 comes back.
    s1: u64,
    h0: u64,
    h1: u64,
    /// The bits below 2^130.
    h2: u64,
    /// Five times what was above them, still to be added: the next block's carries take it along.
    back: u64,
}

impl Wide {
    /// h, with what came back and `low` and `high` added.
    #[inline(always)]
    fn plus(&self, low: u64, high: u64) -> [u64; 3] {
        let sum = u128::from(self.h0) + u128::from(low) + u128::from(self.back);
        let h0 = sum as u64;
        let sum = u128::from(self.h1) + u128::from(high) + (sum >> 64);
        [h0, sum as u64, self.h2 + (sum >> 64) as u64]
    }
}

impl Accumulator for Wide {
    fn new([r0, r1]: [u64; 2]) -> Wide {
        Wide {
            r0,
            r1,
            s1: r1 + (r1 >> 2),
            h0: 0,
            h1: 0,
            h2: 0,
            back: 0,
        }
    }

    #[inline(always)]
    fn block(&mut self, block: &[u8; BLOCK], top: u8) {
        let (words, _) = block.as_chunks();
        let low = u64::from_le_bytes(words[0]);
        let high = u64::from_le_bytes(words[1]);
        let [h0, h1, h2] = self.plus(low, high);
        let h2 = h2 + u64::from(top);

        // The limbs of the point are below 2^60, the second is a multiple of 4, and h2 is at most 5: nothing overflows.
        let d0 = product(h0, self.r0) + product(h1, self.s1);
        let d1 = product(h0, self.r1) + product(h1, self.r0) + u128::from(h2 * self.s1);
        let d1 = d1 + (d0 >> 64);
        let d2 = h2 * self.r0 + (d1 >> 64) as u64;
        self.h0 = d0 as u64;
        self.h1 = d1 as u64;
        self.h2 = d2 & 3;
        self.back = (d2 & !3) + (d2 >> 2);
    }

    #[inline(always)]
    fn pin(&self) {
        core::hint::black_box(self.back);
    }

    fn value(&self) -> [u64; 3] {
        self.plus(0, 0)
    }
}

fn product(a: u64, b: u64) -> u128 {
    u128::from(a) * u128::from(b)
}
