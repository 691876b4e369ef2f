//! X25519 (RFC 7748): the clamped multiple of any point.
//!
//! In: a private key's 32 bytes and a point's u, bit 255 ignored. Out: the u of the product, all zero for
//! points of low order, which is for the caller to refuse. The time depends on neither.
//!
//! A Montgomery ladder on our own arithmetic, because it is on the path of every connection: with
//! wide arithmetic it takes about four fifths of curve25519-dalek's time, without it the same. The tests
//! compare the two.

use crate::field::Element;
use subtle::{Choice, ConditionallySelectable};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// The u of the base point.
pub(crate) const BASE: [u8; 32] = {
    let mut u = [0; 32];
    u[0] = 9;
    u
};

/// The product. `private` need not be clamped.
pub(crate) fn x25519(private: &[u8; 32], u: &[u8; 32]) -> Zeroizing<[u8; 32]> {
    let product = multiple(private, u);
    Zeroizing::new(product.0.mul(product.1.inverse().1).to_bytes())
}

/// Two products, each of a private key and a point's u, with one inversion for both. If one of them is all zero, so is the
/// other: an agreement that refuses either refuses both.
pub(crate) fn two(pairs: [(&[u8; 32], &[u8; 32]); 2]) -> [Zeroizing<[u8; 32]>; 2] {
    let [a, b] = pairs.map(|(private, u)| multiple(private, u));
    let mut inverse = a.1.mul(b.1).inverse().1;
    let products = [a.0.mul(b.1.mul(inverse)), b.0.mul(a.1.mul(inverse))];
    inverse.zeroize();
    products.map(|mut product| {
        let bytes = Zeroizing::new(product.to_bytes());
        product.zeroize();
        bytes
    })
}

#[inline(never)]
fn multiple(private: &[u8; 32], u: &[u8; 32]) -> Fraction {
    let base = Element::from_bytes(u);
    // Two neighbouring multiples; the highest bit of a clamped key is bit 254.
    let mut low = Fraction(Element::ONE, Element::ZERO);
    let mut high = Fraction(base, Element::ONE);
    let mut swapped = Choice::from(0);
    for bit in (0..255).rev() {
        let set = match bit {
            0..3 => Choice::from(0),
            254 => Choice::from(1),
            _ => Choice::from(private[bit / 8] >> (bit % 8) & 1),
        };
        Fraction::swap(&mut low, &mut high, set ^ swapped);
        swapped = set;
        step(&base, &mut low, &mut high);
    }
    // The lowest bit of a clamped key is 0: nothing is left to swap.
    low
}

/// A u as numerator and denominator.
#[derive(Zeroize, ZeroizeOnDrop)]
struct Fraction(Element, Element);

impl Fraction {
    #[inline]
    fn swap(a: &mut Self, b: &mut Self, choice: Choice) {
        Element::conditional_swap(&mut a.0, &mut b.0, choice);
        Element::conditional_swap(&mut a.1, &mut b.1, choice);
    }
}

/// Doubles `low`, and makes `high` the sum of both, which differ by `base`.
#[inline]
fn step(base: &Element, low: &mut Fraction, high: &mut Fraction) {
    let (sum, difference) = (low.0.add(&low.1), low.0.sub(&low.1));
    let crossed = high.0.sub(&high.1).mul(sum);
    let other = high.0.add(&high.1).mul(difference);
    high.0 = crossed.add(&other).square();
    high.1 = crossed.sub(&other).square().mul(*base);

    let (aa, bb) = (sum.square(), difference.square());
    let e = aa.sub(&bb);
    low.0 = aa.mul(bb);
    low.1 = e.mul(e.mul_121666().add(&bb));
}

#[cfg(test)]
mod tests;
