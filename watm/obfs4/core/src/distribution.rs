//! The length and delay tables.
//!
//! A seed goes in; out come at most a hundred values, each with a probability, and then samples of them. A table is the
//! same on every machine, bit for bit, and the same as in obfs4proxy and lyrebird: values from Go's `Perm`, weights from
//! its `Float64`, the alias method of Vose over first-in-first-out queues, and every sum in the same order. What a seed
//! gives is what it gives: a table may consist of the one value 0, and whoever sends must cope with it.

use sha2::{Digest, Sha256};

use crate::drbg::Seed;
use crate::go_rand::{self, GoRand};
use crate::random::{Expanded, Random, below};

/// The most values that a table has.
pub(crate) const VALUES: usize = 100;
/// The largest value that any table of the protocol has: a whole frame.
const LARGEST: u16 = 1448;
const BEYOND: &str = "no table of the protocol goes beyond a whole frame";
/// A bridge drops what is no handshake after its time-out and fewer seconds than this.
const CLOSE_DELAYS: u32 = 60;

/// Values and how often each is drawn.
pub struct Distribution {
    length: u8,
    /// Where one that is passed over sends to; 0 where none ever is.
    aliases: [u8; VALUES],
    values: [u16; VALUES],
    /// How likely a value is taken once it was drawn.
    probabilities: [f64; VALUES],
}

impl Distribution {
    /// The table of `seed` over `0..=max`: of lengths in bytes up to 1448, of delays in units of 100 µs up to 100.
    /// `biased` makes the first values likely and the last ones rare, as ScrambleSuit does (`-obfs4-distBias`).
    ///
    /// # Panics
    /// When `max` is more than 1448.
    pub fn new(seed: &Seed, max: u16, biased: bool) -> Distribution {
        assert!(max <= LARGEST, "{BEYOND}");
        let mut numbers = GoRand::new(seed);
        let mut order = [0; LARGEST as usize + 1];
        let order = &mut order[..usize::from(max) + 1];
        numbers.perm(order);
        let length = numbers.int31n(order.len().min(VALUES) as u32) as usize + 1;

        let mut table = Distribution::EMPTY;
        table.length = length as u8;
        table.values[..length].copy_from_slice(&order[..length]);
        table.weigh(|| numbers.float64(), biased);
        table
    }

    /// The table over `0..=max` of a seed that nobody else will ever have, without the seed: the same distribution of
    /// tables as of those that [`Distribution::new`] makes of random seeds, for a fraction of the work. `new` puts all
    /// values in a random order to take the first few; here they are drawn until they are enough.
    ///
    /// # Panics
    /// When `max` is more than 1448.
    pub fn random(random: &mut impl Random, max: u16, biased: bool) -> Distribution {
        assert!(max <= LARGEST, "{BEYOND}");
        let mut random = Expanded::new(random);
        let count = u32::from(max) + 1;
        let length = below(&mut random, count.min(VALUES as u32)) as usize + 1;
        let mut table = Distribution::EMPTY;
        table.length = length as u8;
        let mut is_drawn = [false; LARGEST as usize + 1];
        for value in &mut table.values[..length] {
            *value = loop {
                let drawn = below(&mut random, count) as u16;
                if !core::mem::replace(&mut is_drawn[usize::from(drawn)], true) {
                    break drawn;
                }
            };
        }
        table.weigh(|| float64(&mut random), biased);
        table
    }

    /// The table of these values, aliases and probabilities; none if they are no table over `0..=max`.
    pub(crate) fn assemble(
        entries: impl ExactSizeIterator<Item = (u16, u8, f64)>,
        max: u16,
    ) -> Option<Distribution> {
        let mut table = Distribution::EMPTY;
        let length = entries.len();
        if length == 0 || length > VALUES {
            return None;
        }
        table.length = length as u8;
        for (i, (value, alias, probability)) in entries.enumerate() {
            let is_sound =
                value <= max && usize::from(alias) < length && (0.0..=1.0).contains(&probability);
            if !is_sound {
                return None;
            }
            table.values[i] = value;
            table.aliases[i] = alias;
            table.probabilities[i] = probability;
        }
        Some(table)
    }

    const EMPTY: Distribution = Distribution {
        length: 0,
        aliases: [0; VALUES],
        values: [0; VALUES],
        probabilities: [0.0; VALUES],
    };

    /// Weighs the values with what `float64` draws.
    fn weigh(&mut self, float64: impl FnMut() -> f64, biased: bool) {
        let length = usize::from(self.length);
        // One array serves for weights, shares and probabilities: a guest's stack is small.
        let probabilities = &mut self.probabilities[..length];
        weigh(probabilities, float64, biased);
        share(probabilities, &mut self.aliases[..length]);
    }

    /// A value, drawn with fresh randomness: the table is known to every client of a bridge.
    pub fn sample(&self, random: &mut impl Random) -> u16 {
        let length = u64::from(self.length);
        loop {
            let mut bytes = [0; 16];
            random.fill(&mut bytes);
            let ([side, coin], []) = bytes.as_chunks::<8>() else {
                unreachable!("sixteen bytes are twice eight")
            };
            // Go on in the rare case that would make a side or a coin likelier than it should be.
            let side = u64::from_le_bytes(*side);
            let Some(coin) = go_rand::fraction(go_rand::int63(*coin)) else {
                continue;
            };
            if side >= u64::MAX - u64::MAX % length {
                continue;
            }
            let drawn = (side % length) as usize;
            let taken = if coin <= self.probabilities[drawn] {
                drawn
            } else {
                usize::from(self.aliases[drawn])
            };
            return self.values[taken];
        }
    }

    /// The values, in the order of the table.
    pub fn values(&self) -> &[u16] {
        &self.values[..usize::from(self.length)]
    }

    /// How likely each value is taken once it was drawn; all are drawn equally often.
    pub fn probabilities(&self) -> &[f64] {
        &self.probabilities[..usize::from(self.length)]
    }

    /// Which one is taken in place of each that was drawn and passed over.
    pub fn aliases(&self) -> &[u8] {
        &self.aliases[..usize::from(self.length)]
    }
}

/// How many seconds a bridge of this seed adds to its time-out before it drops what is no handshake: `0..60`.
pub fn close_delay_seconds(seed: &Seed) -> u8 {
    GoRand::new(seed).int31n(CLOSE_DELAYS) as u8
}

/// The seed of the delays, where `seed` is that of the lengths.
pub fn delay_seed(seed: &Seed) -> Seed {
    let digest = Sha256::digest(seed.as_bytes());
    Seed::from_bytes(*digest.first_chunk().expect("SHA-256 is longer than a seed"))
}

/// A number in `0.0..1.0`, as [`GoRand::float64`] makes it of a block.
fn float64(random: &mut impl Random) -> f64 {
    loop {
        let mut bytes = [0; 8];
        random.fill(&mut bytes);
        if let Some(fraction) = go_rand::fraction(go_rand::int63(bytes)) {
            return fraction;
        }
    }
}

fn weigh(weights: &mut [f64], mut float64: impl FnMut() -> f64, biased: bool) {
    let mut given = 0.0;
    for weight in weights {
        *weight = (1.0 - given) * float64();
        if biased {
            given += *weight;
        }
    }
}

/// Vose's alias method: every value gets an equal share of the draws, and what is too much for the rare ones goes to the
/// frequent ones. Weights come in, probabilities remain. The order of the queues decides the table.
fn share(weights: &mut [f64], aliases: &mut [u8]) {
    let length = weights.len() as f64;
    let mut sum = 0.0;
    for weight in &*weights {
        sum += weight;
    }
    let (mut rare, mut frequent) = (Queue::new(), Queue::new());
    for (index, weight) in weights.iter_mut().enumerate() {
        *weight = *weight * length / sum;
        if *weight < 1.0 {
            rare.push(index as u8)
        } else {
            frequent.push(index as u8)
        }
    }
    while let (Some(low), Some(high)) = (rare.front(), frequent.front()) {
        rare.pop();
        frequent.pop();
        let (at, from) = (usize::from(low), usize::from(high));
        aliases[at] = high;
        weights[from] = (weights[from] + weights[at]) - 1.0;
        if weights[from] < 1.0 {
            rare.push(high)
        } else {
            frequent.push(high)
        }
    }
    // What is left in either has a share of its own, but for roundings.
    for mut queue in [rare, frequent] {
        while let Some(index) = queue.front() {
            queue.pop();
            weights[usize::from(index)] = 1.0;
        }
    }
}

/// Indices, first in, first out. Each step of the method pushes one and settles another for good, so that no queue sees
/// more than twice the values.
struct Queue {
    indices: [u8; 2 * VALUES],
    start: usize,
    end: usize,
}

impl Queue {
    fn new() -> Queue {
        Queue {
            indices: [0; 2 * VALUES],
            start: 0,
            end: 0,
        }
    }

    fn push(&mut self, index: u8) {
        self.indices[self.end] = index;
        self.end += 1;
    }

    fn front(&self) -> Option<u8> {
        (self.start < self.end).then(|| self.indices[self.start])
    }

    fn pop(&mut self) {
        self.start += 1;
    }
}

#[cfg(test)]
mod tests;
