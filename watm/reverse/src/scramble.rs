//! The scramble itself: a byte stream that is XORed onto the data, by position.
//!
//! In: the bytes of one direction, cut anywhere. Out: the same number of bytes. Applied twice
//! with the same key and direction it changes nothing, whatever the cuts were.
//!
//! It is no encryption. The stream is made by a public, invertible function of 64 bits of key:
//! who reads a few known bytes (every TLS connection starts with some) has all of it.

use watm_sdk::Transform;

/// The two directions have streams of their own.
#[derive(Clone, Copy)]
pub(crate) enum Direction {
    ClientToBridge,
    BridgeToClient,
}

/// One direction's stream and how far it has been used.
pub(crate) struct Scramble {
    seed: u64,
    position: u64,
}

/// The odd number nearest to 2^64 divided by the golden ratio: successive words differ in about
/// half of their bits before they are mixed (splitmix64).
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
const WORD: u64 = 8;

impl Scramble {
    /// The start of a direction's stream.
    pub(crate) fn new(key: u64, direction: Direction) -> Scramble {
        let label = match direction {
            Direction::ClientToBridge => 1,
            Direction::BridgeToClient => 2,
        };
        Scramble {
            seed: mix(key ^ mix(label)),
            position: 0,
        }
    }

    fn word(&self, index: u64) -> u64 {
        mix(self.seed.wrapping_add(index.wrapping_mul(STEP)))
    }

    /// A few bytes that all lie in one word of the stream.
    fn within_word(&mut self, bytes: &mut [u8]) {
        let stream = self.word(self.position / WORD).to_le_bytes();
        let offset = (self.position % WORD) as usize;
        for (byte, mask) in bytes.iter_mut().zip(&stream[offset..]) {
            *byte ^= mask;
        }
        self.position += bytes.len() as u64;
    }
}

impl Transform for Scramble {
    fn apply(&mut self, bytes: &mut [u8]) {
        let to_next_word = (self.position.wrapping_neg() % WORD) as usize;
        let (head, rest) = bytes.split_at_mut(to_next_word.min(bytes.len()));
        self.within_word(head);
        let (words, tail) = rest.as_chunks_mut::<8>();
        let first = self.position / WORD;
        for (index, word) in (first..).zip(words.iter_mut()) {
            *word = (u64::from_le_bytes(*word) ^ self.word(index)).to_le_bytes();
        }
        self.position += WORD * words.len() as u64;
        self.within_word(tail);
    }
}

/// The key as 64 bits (FNV-1a).
pub(crate) fn key_of(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The finaliser of splitmix64: every bit of the input reaches every bit of the output.
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i * 7 + i / 256) as u8).collect()
    }

    #[test]
    fn the_far_end_undoes_it_whatever_the_cuts() {
        let plain = sample(10_000);
        let mut whole = plain.clone();
        Scramble::new(5, Direction::ClientToBridge).apply(&mut whole);
        assert_ne!(whole, plain);
        for seed in 1..200u64 {
            let mut bytes = whole.clone();
            let mut far = Scramble::new(5, Direction::ClientToBridge);
            let (mut at, mut state) = (0, seed);
            while at < bytes.len() {
                state = mix(state.wrapping_add(STEP));
                let end = (at + (state % 37) as usize).min(bytes.len());
                far.apply(&mut bytes[at..end]);
                at = end;
            }
            assert_eq!(bytes, plain, "cuts from seed {seed}");
        }
    }

    #[test]
    fn directions_and_keys_have_streams_of_their_own() {
        let stream = |key, direction| {
            let mut zeros = [0u8; 64];
            Scramble::new(key, direction).apply(&mut zeros);
            zeros
        };
        let up = stream(1, Direction::ClientToBridge);
        assert_ne!(up, stream(1, Direction::BridgeToClient));
        assert_ne!(up, stream(2, Direction::ClientToBridge));
        assert_eq!(up, stream(1, Direction::ClientToBridge));
        let set: u32 = up.iter().map(|byte| byte.count_ones()).sum();
        assert!((180..=332).contains(&set), "{set} of 512 bits are set");
    }

    #[test]
    fn the_key_is_read_byte_for_byte() {
        assert_eq!(key_of([].into_iter()), 0xcbf2_9ce4_8422_2325);
        assert_eq!(key_of(b"a".iter().copied()), 0xaf63_dc4c_8601_ec8c);
    }
}
