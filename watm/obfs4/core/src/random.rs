//! Randomness, which the core asks for and never makes.

/// A cryptographic source. It cannot fail: a guest whose host has no randomness must not go on.
pub trait Random {
    /// Fills `bytes`.
    fn fill(&mut self, bytes: &mut [u8]);
}

/// A number in `0..n`, each as likely as the others.
pub fn below(random: &mut impl Random, n: u32) -> u32 {
    // The largest multiple of n: beyond it the first values would be likelier.
    let bound = u32::MAX - (u32::MAX % n + 1) % n;
    loop {
        let mut bytes = [0; 4];
        random.fill(&mut bytes);
        let value = u32::from_le_bytes(bytes);
        if value <= bound {
            return value % n;
        }
    }
}

/// A source for tests: the same bytes for the same seed (splitmix64).
#[cfg(test)]
pub(crate) struct Repeatable(pub(crate) u64);

#[cfg(test)]
impl Random for Repeatable {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            *byte = ((mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 33) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_as_likely() {
        let mut random = Repeatable(1);
        let mut seen = [0u32; 7];
        for _ in 0..70_000 {
            seen[below(&mut random, 7) as usize] += 1;
        }
        assert!(seen.iter().all(|n| (9_500..10_500).contains(n)), "{seen:?}");
    }

    #[test]
    fn what_would_be_likelier_is_drawn_again() {
        /// First the largest number, then a small one.
        struct Large(bool);
        impl Random for Large {
            fn fill(&mut self, bytes: &mut [u8]) {
                bytes.fill(if std::mem::replace(&mut self.0, false) {
                    0xff
                } else {
                    1
                });
            }
        }
        assert_eq!(below(&mut Large(true), 3), 0x0101_0101 % 3);
        assert_eq!(below(&mut Large(true), 4), 3);
    }
}
