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
