//! The methods of Go's `math/rand` that the tables are made with.
//!
//! A generator goes in, numbers come out: value for value those of `rand.New(source)` in Go, version 1 of the package,
//! whose sequences Go promises never to change. Each method takes as many blocks as Go's does, so that the one after it
//! starts at the same block. Two ends of one bridge have the same shape only if both agree here.

use crate::drbg::{Drbg, Seed};

/// Go's `rand.Rand` over a seed's generator.
pub struct GoRand {
    drbg: Drbg,
}

impl GoRand {
    /// The numbers of `seed`, from its start.
    pub fn new(seed: &Seed) -> GoRand {
        GoRand {
            drbg: Drbg::new(seed),
        }
    }

    /// `Int63`: a number in `0..2^63`.
    #[inline]
    pub fn int63(&mut self) -> u64 {
        int63(self.drbg.next_block())
    }

    /// `Int31`: a number in `0..2^31`, the upper bits of [`GoRand::int63`].
    #[inline]
    pub fn int31(&mut self) -> u32 {
        (self.int63() >> 32) as u32
    }

    /// `Int31n`, which is also `Intn` below 2^31: a number in `0..n`.
    ///
    /// # Panics
    /// When `n` is not in `1..2^31`, as in Go.
    #[inline]
    pub fn int31n(&mut self, n: u32) -> u32 {
        assert!(n != 0 && n < 1 << 31, "a range holds at least one number");
        if n.is_power_of_two() {
            return self.int31() & (n - 1);
        }
        // Beyond the last multiple of n the first numbers would be likelier.
        let last = (1 << 31) - 1 - (1 << 31) % n;
        loop {
            let value = self.int31();
            if value <= last {
                return value % n;
            }
        }
    }

    /// `Float64`: a number in `0.0..1.0`.
    pub fn float64(&mut self) -> f64 {
        loop {
            if let Some(fraction) = fraction(self.int63()) {
                return fraction;
            }
        }
    }

    /// `Perm`: the numbers from 0 to one less than the length of `into`, in an order of their own.
    ///
    /// # Panics
    /// When `into` is longer than `u16` can count.
    pub fn perm(&mut self, into: &mut [u16]) {
        let length = u16::try_from(into.len()).expect("a permutation is of u16");
        for i in 0..length {
            // Go draws for the first one as well, where there is nothing to choose.
            let j = self.int31n(u32::from(i) + 1) as usize;
            into[usize::from(i)] = into[j];
            into[j] = i;
        }
    }
}

/// What a block is as an `Int63`, wherever it comes from.
#[inline]
pub(crate) fn int63(block: [u8; 8]) -> u64 {
    u64::from_be_bytes(block) & (u64::MAX >> 1)
}

/// What an `Int63` is as a `Float64`; nothing for the few that would round up to 1.
#[inline]
pub(crate) fn fraction(int63: u64) -> Option<f64> {
    let fraction = int63 as f64 / (1u64 << 63) as f64;
    (fraction != 1.0).then_some(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_rounds_to_one_is_no_fraction() {
        assert_eq!(fraction((1 << 63) - 1), None);
        assert_eq!(
            fraction((1 << 63) - 512),
            None,
            "a tie goes to the even one"
        );
        assert_eq!(fraction((1 << 63) - 513), Some(1.0 - f64::EPSILON / 2.0));
        assert_eq!(fraction(1 << 62), Some(0.5));
        assert_eq!(fraction(0), Some(0.0));
    }

    #[test]
    #[should_panic = "at least one number"]
    fn no_number_is_below_nothing() {
        GoRand::new(&Seed::from_bytes([0; 24])).int31n(0);
    }

    proptest! {
        #[test]
        fn a_permutation_holds_every_number_once(seed: [u8; 24], length in 0usize..1500) {
            let mut order = vec![0; length];
            GoRand::new(&Seed::from_bytes(seed)).perm(&mut order);
            order.sort_unstable();
            prop_assert!(order.iter().enumerate().all(|(at, &number)| at == usize::from(number)));
        }

        #[test]
        fn numbers_are_in_their_range(seed: [u8; 24], n in 1u32..1 << 31) {
            let mut numbers = GoRand::new(&Seed::from_bytes(seed));
            prop_assert!(numbers.int31n(n) < n);
            prop_assert!((0.0..1.0).contains(&numbers.float64()));
        }
    }
}
