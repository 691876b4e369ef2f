//! Randomness, which the core asks for and never makes; a little of it may be stretched.

use crate::salsa20::{GROUP, Key, Stream};
use zeroize::{ZeroizeOnDrop, Zeroizing};

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

/// A source made of 32 bytes of another: Salsa20's keystream under that key, which nothing else ever has. For what takes
/// many bytes, or many times a few: a host is slow to give either. Each message and each table has one of its own; what is
/// left of it is wiped.
#[derive(ZeroizeOnDrop)]
pub(crate) struct Expanded {
    key: Key,
    /// The nonce of the next group.
    next: u64,
    /// A group, of which so many bytes are used.
    group: [u8; GROUP],
    used: usize,
}

impl Expanded {
    /// Takes the key from `random`.
    pub(crate) fn new(random: &mut impl Random) -> Expanded {
        let mut key = Zeroizing::new([0; 32]);
        random.fill(key.as_mut_slice());
        Expanded {
            key: Key::new(&key),
            next: 0,
            group: [0; GROUP],
            used: GROUP,
        }
    }
}

impl Random for Expanded {
    fn fill(&mut self, bytes: &mut [u8]) {
        let left = &self.group[self.used..];
        let (first, rest) = bytes.split_at_mut(left.len().min(bytes.len()));
        first.copy_from_slice(&left[..first.len()]);
        self.used += first.len();
        let (groups, last) = rest.as_chunks_mut();
        for group in groups {
            make(&self.key, &mut self.next, group);
        }
        if !last.is_empty() {
            make(&self.key, &mut self.next, &mut self.group);
            last.copy_from_slice(&self.group[..last.len()]);
            self.used = last.len();
        }
    }
}

#[inline(never)]
fn make(key: &Key, next: &mut u64, group: &mut [u8; GROUP]) {
    let vectors = Stream::new(key, next.to_le_bytes()).group(|_| {});
    *next += 1;
    for (vector, bytes) in vectors.into_iter().zip(group.as_chunks_mut().0) {
        vector.write(bytes);
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

    #[test]
    fn however_it_is_asked_for_it_is_one_stream() {
        let mut whole = [0; 2000];
        Expanded::new(&mut Repeatable(7)).fill(&mut whole);
        let mut source = Expanded::new(&mut Repeatable(7));
        let mut pieces = [0; 2000];
        let mut rest = &mut pieces[..];
        for length in [1, 0, 255, 256, 3, 600, 12, 512, 361] {
            let (piece, after) = rest.split_at_mut(length);
            source.fill(piece);
            rest = after;
        }
        assert!(rest.is_empty());
        assert_eq!(whole, pieces);
    }

    #[test]
    fn nothing_comes_twice() {
        let mut random = Repeatable(8);
        let mut seen = std::collections::HashSet::new();
        for _ in 0..50 {
            let mut bytes = [0; 8192];
            Expanded::new(&mut random).fill(&mut bytes);
            for chunk in bytes.as_chunks::<16>().0 {
                assert!(seen.insert(*chunk));
            }
        }
    }

    #[test]
    fn expanded_is_salsa20_under_the_drawn_key() {
        use salsa20::cipher::{KeyIvInit, StreamCipher};
        let mut key = [0; 32];
        Repeatable(9).fill(&mut key);
        let mut expected = [[0; GROUP]; 3];
        for (nonce, group) in (0u64..).zip(&mut expected) {
            salsa20::Salsa20::new(&key.into(), &nonce.to_le_bytes().into()).apply_keystream(group);
        }
        let mut bytes = [0; 3 * GROUP];
        Expanded::new(&mut Repeatable(9)).fill(&mut bytes);
        assert_eq!(bytes, *expected.as_flattened());
    }
}
