//! Cases: a number each, and what is drawn from it.

use obfs4_core::random::Random;
use std::env;

/// So many of each kind unless `FUZZ_CASES` says otherwise: a few seconds.
const CASES: u64 = 300;

/// The cases of one kind.
pub(crate) fn cases() -> impl Iterator<Item = Case> {
    let number = |name| {
        let text = env::var(name).ok()?;
        Some(
            text.parse()
                .unwrap_or_else(|_| panic!("{name}={text} is no number")),
        )
    };
    let first: u64 = number("FUZZ_FIRST").unwrap_or(0);
    let count = number("FUZZ_CASES").unwrap_or(CASES);
    (first..first + count).map(|number| Case {
        number,
        state: number.wrapping_mul(0xd134_2543_de82_ef95) ^ 0x6f75_7a65_6c66_757a,
    })
}

/// One case: a source of bytes (splitmix64).
#[derive(Clone)]
pub(crate) struct Case {
    number: u64,
    state: u64,
}

impl Drop for Case {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("it was FUZZ_FIRST={} FUZZ_CASES=1", self.number);
        }
    }
}

impl Random for Case {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let word = self.word().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}

impl Case {
    fn word(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number in `0..n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.word() % n as u64) as usize
    }

    /// A number in `0..=most`, small as often as large.
    pub(crate) fn up_to(&mut self, most: usize) -> usize {
        let bits = usize::BITS - most.leading_zeros();
        let limit = 1usize << self.below(bits as usize + 1);
        self.below(limit).min(most)
    }

    /// Once in `n` times.
    pub(crate) fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// Noise.
    pub(crate) fn bytes(&mut self, n: usize) -> Vec<u8> {
        let mut bytes = vec![0; n];
        self.fill(&mut bytes);
        bytes
    }

    /// Noise of a fixed length.
    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// Where a stream of this length is cut, the end among them.
    pub(crate) fn cuts(&mut self, length: usize) -> Vec<usize> {
        let mut cuts = vec![];
        // Byte for byte only where that is not thousands of them.
        let most = 1 + self.up_to(length.max(1)).max(length / 200);
        let mut at = 0;
        while at < length {
            at = (at + 1 + self.below(most)).min(length);
            cuts.push(at);
        }
        cuts
    }

    /// Changes a text in a few places, with `words` among what is put in; it may come out the same.
    pub(crate) fn mutate(&mut self, bytes: &mut Vec<u8>, words: &[&[u8]]) {
        for _ in 0..1 + self.up_to(3) {
            self.change(bytes, words);
        }
    }

    fn change(&mut self, bytes: &mut Vec<u8>, words: &[&[u8]]) {
        let len = bytes.len();
        let at = self.below(len + 1);
        let n = self.up_to(len - at);
        match self.below(9) {
            0 | 1 if at < len => bytes[at] ^= 1 << self.below(8),
            2 if at < len => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][self.below(5)],
            3 => bytes.truncate(at),
            4 => drop(bytes.drain(at..at + n)),
            5 => {
                let more = self.up_to(2_000);
                let more = self.bytes(more);
                bytes.splice(at..at, more);
            }
            6 => {
                let again = bytes[at..at + n].to_vec();
                let to = self.below(len + 1);
                bytes.splice(to..to, again);
            }
            7 => bytes[at..].rotate_left(n),
            _ if !words.is_empty() => {
                let word = words[self.below(words.len())].to_vec();
                let n = n.min(word.len());
                bytes.splice(at..at + n, word);
            }
            _ => {}
        }
    }
}
