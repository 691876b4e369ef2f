//! Bytes that depend on their position, and what a module may have made of them.
//!
//! In: what arrived. Out: whether it is what was sent, and at which byte it is not. A module passes bytes as they are, or,
//! like the published `reverse`, turns every piece that it reads around; where one piece ends and the next begins is the
//! network's doing, so it is found by looking.

use anyhow::{Result, bail};

/// What a module does to the bytes that pass it once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// They stay as they are.
    Same,
    /// Every piece that was read arrives backwards.
    Reversed,
}

/// Bytes that are compared to find a piece's end: enough that no other place looks alike.
const KEY: usize = 16;

/// The longest piece that is looked for.
const LONGEST: usize = 256 << 10;

/// The `length` bytes of stream `seed` from `start`.
pub(crate) fn bytes(seed: u64, start: usize, length: usize) -> Vec<u8> {
    let first = start / 8;
    let words = (start + length).div_ceil(8) - first;
    let mut all: Vec<u8> = (first..first + words)
        .flat_map(|n| word(seed, n as u64))
        .collect();
    all.drain(..start % 8);
    all.truncate(length);
    all
}

/// splitmix64 of the word's index.
fn word(seed: u64, index: u64) -> [u8; 8] {
    let mut z = seed.wrapping_add(index).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)).to_le_bytes()
}

/// One direction of a connection, as it arrives.
pub(crate) struct Arrival {
    seed: u64,
    shape: Shape,
    /// How many bytes were found right.
    right: usize,
    /// A piece that is not complete yet.
    held: Vec<u8>,
}

impl Arrival {
    pub(crate) fn new(seed: u64, shape: Shape) -> Self {
        Arrival {
            seed,
            shape,
            right: 0,
            held: Vec::new(),
        }
    }

    /// How many bytes have come.
    pub(crate) fn received(&self) -> usize {
        self.right + self.held.len()
    }

    /// Judges what has come.
    pub(crate) fn take(&mut self, came: &[u8]) -> Result<()> {
        match self.shape {
            Shape::Same => {
                let wanted = bytes(self.seed, self.right, came.len());
                if let Some(at) = (0..came.len()).find(|&n| came[n] != wanted[n]) {
                    bail!("byte {} is wrong", self.right + at);
                }
                self.right += came.len();
                Ok(())
            }
            Shape::Reversed => {
                self.held.extend_from_slice(came);
                while self.next_piece()? {}
                Ok(())
            }
        }
    }

    /// Judges what is left once nothing more may come.
    pub(crate) fn settle(&mut self) -> Result<()> {
        let wanted = bytes(self.seed, self.right, self.held.len());
        if self.held.len() >= KEY || !turned(&self.held, &wanted) {
            bail!(
                "the {} bytes after byte {} are wrong",
                self.held.len(),
                self.right
            );
        }
        self.right += self.held.len();
        self.held.clear();
        Ok(())
    }

    fn next_piece(&mut self) -> Result<bool> {
        if self.held.len() < KEY {
            return Ok(false);
        }
        let Some(length) = self.piece() else {
            bail!("what comes after byte {} was not sent there", self.right);
        };
        if self.held.len() < length {
            return Ok(false);
        }
        let wanted = bytes(self.seed, self.right, length);
        if let Some(at) = (0..length).find(|&n| self.held[length - 1 - n] != wanted[n]) {
            bail!("byte {} is wrong", self.right + at);
        }
        self.held.drain(..length);
        self.right += length;
        Ok(true)
    }

    /// The length of the piece that `held` begins with.
    fn piece(&self) -> Option<usize> {
        let mut window = 2 << 10;
        while window <= LONGEST {
            let wanted = bytes(self.seed, self.right, window);
            let ends = |key: &[u8]| key.iter().rev().eq(self.held[..KEY].iter());
            if let Some(at) = wanted.windows(KEY).position(ends) {
                return Some(at + KEY);
            }
            window *= 4;
        }
        let wanted = bytes(self.seed, self.right, KEY);
        (1..KEY)
            .rev()
            .find(|&k| self.held[..k].iter().rev().eq(wanted[..k].iter()))
    }
}

/// Whether `came` is `sent` in pieces, each backwards.
fn turned(came: &[u8], sent: &[u8]) -> bool {
    came.is_empty()
        || (1..=came.len())
            .any(|k| came[..k].iter().rev().eq(sent[..k].iter()) && turned(&came[k..], &sent[k..]))
}
