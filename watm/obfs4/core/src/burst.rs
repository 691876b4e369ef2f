//! The shape of what goes out: how a burst is padded, cut and spread over time.
//!
//! In: what one read from the application brought. Out: pieces, each to be written at once, with a pause after it. The
//! lengths and pauses are drawn from the tables of the bridge's seed, so that both ends of a bridge have its shape.
//!
//! `iat-mode` 0 pads once and writes once. 1 pads once, and cuts into frames' lengths with a pause after each. 2 draws the
//! length of every write, and pads where there is less.

use crate::arguments::IatMode;
use crate::distribution::{Distribution, delay_seed};
use crate::drbg::Seed;
use crate::framing::{Kind, MAX_FRAME, MAX_PAYLOAD, OVERHEAD, Sealer};
use crate::random::Random;

/// The most that one burst carries: what obfs4proxy reads from the application at once. More would be another shape.
pub const MAX_BURST: usize = 32 << 10;
/// Where the application's bytes lie in a burst's buffer: frames grow towards the front.
pub const GAP: usize = MAX_BURST.div_ceil(MAX_PAYLOAD) * OVERHEAD;
/// The buffer of a burst: all of its frames, and two that pad it.
pub const BUFFER: usize = GAP + MAX_BURST + MAX_FRAME + 2 * OVERHEAD;

/// The longest pause, in steps of [`STEP`].
pub(crate) const MAX_PAUSE: u16 = 100;
/// A step of a pause, in microseconds.
const STEP: u32 = 100;
/// A table may hold little else than zeros: after so many, a whole frame's length is taken.
const MAX_ZEROS: usize = 32;
/// With a table of one short length, padding can overshoot it for ever: after so many times, what is left goes as it is.
const MAX_OVERSHOTS: usize = 16;

/// The tables of a seed.
pub struct Tables {
    pub(crate) lengths: Distribution,
    pub(crate) pauses: Option<Distribution>,
}

impl Tables {
    /// Computes them; `is_biased` weighs as ScrambleSuit does.
    #[must_use]
    pub fn new(seed: &Seed, mode: IatMode, is_biased: bool) -> Tables {
        let pauses = match mode {
            IatMode::None => None,
            _ => Some(Distribution::new(&delay_seed(seed), MAX_PAUSE, is_biased)),
        };
        Tables {
            lengths: Distribution::new(seed, MAX_FRAME as u16, is_biased),
            pauses,
        }
    }

    /// Tables of a seed that nobody else will ever have.
    #[must_use]
    pub fn random(random: &mut impl Random, mode: IatMode, is_biased: bool) -> Tables {
        let pauses = match mode {
            IatMode::None => None,
            _ => Some(Distribution::random(random, MAX_PAUSE, is_biased)),
        };
        Tables {
            lengths: Distribution::random(random, MAX_FRAME as u16, is_biased),
            pauses,
        }
    }

    fn length(&self, random: &mut impl Random) -> usize {
        usize::from(self.lengths.sample(random))
    }

    /// The length of a write, which is never nothing.
    fn piece(&self, random: &mut impl Random) -> usize {
        let mut drawn = core::iter::repeat_with(|| self.length(random)).take(MAX_ZEROS);
        drawn.find(|&n| n > 0).unwrap_or(MAX_FRAME)
    }

    fn pause(&self, random: &mut impl Random) -> u32 {
        match &self.pauses {
            Some(pauses) => u32::from(pauses.sample(random)) * STEP,
            None => 0,
        }
    }
}

/// A piece of a burst: `start..end` of its buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Piece {
    /// Its first byte.
    pub start: usize,
    /// The byte after its last.
    pub end: usize,
    /// How long to wait after it, in microseconds.
    pub pause: u32,
}

/// Turns what the application sends into bursts.
pub struct Shaper {
    sealer: Sealer,
    mode: IatMode,
    /// What is left of the burst in the buffer.
    left: core::ops::Range<usize>,
    /// How often its padding was longer than drawn.
    overshots: usize,
}

impl Shaper {
    /// The start of a direction.
    #[must_use]
    pub fn new(sealer: Sealer, mode: IatMode) -> Shaper {
        Shaper {
            sealer,
            mode,
            left: 0..0,
            overshots: 0,
        }
    }

    /// Makes the burst of the `n` bytes that lie in `buffer` from [`GAP`] on.
    ///
    /// # Panics
    /// When they are none, or more than [`MAX_BURST`].
    pub fn begin(
        &mut self,
        buffer: &mut [u8; BUFFER],
        n: usize,
        tables: &Tables,
        random: &mut impl Random,
    ) {
        assert!((1..=MAX_BURST).contains(&n), "a burst's bytes");
        self.left = 0..0;
        self.overshots = 0;
        for at in (0..n).step_by(MAX_PAYLOAD) {
            let payload = MAX_PAYLOAD.min(n - at);
            let window = &mut buffer[self.left.end..GAP + at + payload];
            self.left.end += self.sealer.seal(Kind::Payload, window, payload, 0);
        }
        if self.mode != IatMode::Paranoid {
            self.pad(buffer, tables.length(random));
        }
    }

    /// The next piece to write; none when the burst is out.
    pub fn next(
        &mut self,
        buffer: &mut [u8; BUFFER],
        tables: &Tables,
        random: &mut impl Random,
    ) -> Option<Piece> {
        if self.left.is_empty() {
            return None;
        }
        let n = match self.mode {
            IatMode::None => self.left.len(),
            IatMode::Enabled => MAX_FRAME.min(self.left.len()),
            IatMode::Paranoid => self.paranoid(buffer, tables, random),
        };
        let start = self.left.start;
        self.left.start += n;
        Some(Piece {
            start,
            end: start + n,
            pause: tables.pause(random),
        })
    }

    /// Draws the length of a write, and pads where there is less than that.
    fn paranoid(
        &mut self,
        buffer: &mut [u8; BUFFER],
        tables: &Tables,
        random: &mut impl Random,
    ) -> usize {
        loop {
            let target = tables.piece(random);
            if self.left.len() >= target {
                return target;
            }
            if self.overshots == MAX_OVERSHOTS {
                return self.left.len();
            }
            buffer.copy_within(self.left.clone(), 0);
            self.left = 0..self.left.len();
            self.pad(buffer, target);
            if self.left.len() == target {
                return target;
            }
            // It took more than that; there is enough for whatever is drawn next.
            self.overshots += 1;
        }
    }

    /// Pads the burst so that what is left after its whole frames has the length `target`. A difference that no frame
    /// fits into takes one whole frame more, and overshoots, as it does in obfs4proxy.
    fn pad(&mut self, buffer: &mut [u8; BUFFER], target: usize) {
        let tail = self.left.len() % MAX_FRAME;
        let missing = if target >= tail {
            target - tail
        } else {
            MAX_FRAME - tail + target
        };
        if missing > OVERHEAD {
            self.padding(buffer, missing - OVERHEAD);
        } else if missing > 0 {
            self.padding(buffer, MAX_PAYLOAD);
            self.padding(buffer, missing);
        }
    }

    fn padding(&mut self, buffer: &mut [u8; BUFFER], n: usize) {
        let end = self.left.end;
        let window = &mut buffer[end..end + OVERHEAD + n];
        self.left.end += self.sealer.seal(Kind::Payload, window, 0, n);
    }
}

#[cfg(test)]
mod tests;
