//! Multiples of the base point with all of the curve in reach: the dirty public keys of obfs4.
//!
//! In: a private key's 32 bytes before clamping. Out: the Montgomery u of [s]B + [c]T as a
//! fraction, s the clamped key, c the three bits that clamping drops, B the base point, T a point of
//! order 8. Nothing can go wrong; the time does not depend on the key.
//!
//! A clean key lies in the subgroup of prime order L, and an observer could tell: 8 L points have
//! representatives, but only L of them would occur. So the dropped bits choose the coset, and a peer's
//! own clamped multiplication takes that choice out again.
//!
//! One multiplication does both: G = B + T generates the whole group, and the k with k = s mod L,
//! k = c mod 8 has kG = [s]B + [c]T. A comb of four teeth takes 64 doublings and 64 additions, half the
//! time of a ladder (a third of it goes into reading all of the table for every digit), and 1.5 KiB of
//! table; the usual table of 30 KiB would be so much memory touched by each connection.

mod table;

use crate::field::{Element, Sum};
use subtle::{ConditionallySelectable, ConstantTimeEq};
use table::TABLE;
use zeroize::{Zeroize, Zeroizing};

/// The distance of two teeth, in bits.
const COLUMNS: usize = 64;

/// L, the order of the base point, in 32-bit words, the least significant first.
const L: [u32; 8] = [
    0x5cf5_d3ed,
    0x5812_631a,
    0xa2f7_9cd6,
    0x14de_f9de,
    0,
    0,
    0,
    0x1000_0000,
];

/// The Montgomery u of the dirty public key, as numerator and denominator.
pub(crate) fn dirty_public(private: &[u8; 32]) -> (Element, Element) {
    let scalar = dirty_scalar(private);
    let mut sum = Point::IDENTITY;
    for column in (0..COLUMNS).rev() {
        let mut digit = 0;
        for (tooth, word) in scalar.iter().enumerate() {
            digit |= ((word >> column & 1) as u8) << tooth;
        }
        sum.double_and_add(&Multiple::select(digit));
    }
    let fraction = (sum.z.add(&sum.y).carry(), sum.z.sub(&sum.y).carry());
    sum.zeroize();
    fraction
}

/// The number below 2^256 that is the clamped key modulo L and its dropped bits modulo 8.
fn dirty_scalar(private: &[u8; 32]) -> Zeroizing<[u64; 4]> {
    let mut clamped = Zeroizing::new(*private);
    clamped[0] &= 0xf8;
    clamped[31] = clamped[31] & 0x7f | 0x40;
    // The clamped key is 0 modulo 8, and 5 is the inverse of L there.
    let times = u64::from((5 * (private[0] & 7)) & 7);
    let mut scalar = Zeroizing::new([0; 4]);
    let mut carry = 0;
    for (i, (bytes, word)) in clamped.as_chunks::<4>().0.iter().zip(L).enumerate() {
        // At most 8 (2^32 - 1) and a carry of less than 8; in the end nothing is carried.
        carry += u64::from(u32::from_le_bytes(*bytes)) + times * u64::from(word);
        scalar[i / 2] |= (carry & 0xffff_ffff) << (32 * (i % 2));
        carry >>= 32;
    }
    scalar
}

/// A point of the twisted Edwards curve -x^2 + y^2 = 1 + d x^2 y^2, as (X/Z, Y/Z).
#[derive(Zeroize)]
struct Point {
    x: Element,
    y: Element,
    z: Element,
}

/// A point as the addition takes it: the affine y + x, y - x and 2dxy.
#[derive(Clone, Copy)]
struct Multiple([Element; 3]);

/// The table in limbs.
static MULTIPLES: [Multiple; 16] = {
    let mut multiples = [Multiple([Element::ZERO; 3]); 16];
    let mut i = 0;
    while i < multiples.len() {
        let [sum, difference, product] = &TABLE[i];
        multiples[i] = Multiple([
            Element::from_words(sum),
            Element::from_words(difference),
            Element::from_words(product),
        ]);
        i += 1;
    }
    multiples
};

impl Multiple {
    /// Reads the whole table.
    fn select(digit: u8) -> Self {
        // Known to the compiler, the table would be folded into code that takes twice the time.
        let multiples = core::hint::black_box(&MULTIPLES);
        let mut out = multiples[0];
        for (i, multiple) in (1..).zip(&multiples[1..]) {
            let choice = digit.ct_eq(&i);
            for (out, element) in out.0.iter_mut().zip(&multiple.0) {
                out.conditional_assign(element, choice);
            }
        }
        out
    }
}

impl Point {
    const IDENTITY: Self = Self {
        x: Element::ZERO,
        y: Element::ONE,
        z: Element::ONE,
    };

    /// Hisil, Wong, Carter and Dawson's formulas for a = -1, complete on this curve.
    #[inline]
    fn double_and_add(&mut self, other: &Multiple) {
        let (xx, yy, zz) = (self.x.square(), self.y.square(), self.z.square());
        let h = yy.add(&xx).carry();
        let g = yy.sub(&xx).carry();
        let e = self.x.add(&self.y).square().sub(&h);
        let f = zz.add(&zz).carry().sub(&g);
        let (x, y, z, t) = (e.mul(f), Sum::from(g).mul(h), f.mul(g), e.mul(h));

        let [sum, difference, product] = other.0;
        let (a, b, c) = (
            y.sub(&x).mul(difference),
            y.add(&x).mul(sum),
            t.mul(product),
        );
        let d = z.add(&z).carry();
        let (e, f, g, h) = (b.sub(&a), d.sub(&c), d.add(&c), b.add(&a));
        self.x = e.mul(f);
        self.y = g.mul(h);
        self.z = f.mul(g);
    }
}

#[cfg(test)]
mod tests;
