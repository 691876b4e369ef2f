//! Elligator 2 for Curve25519: public keys as 32 bytes that look like noise.
//!
//! In and out: the u of a point on v^2 = u^3 + A u^2 + u, and representatives, numbers up to
//! (p - 1) / 2, little-endian; the two bits above belong to nobody and are random on the wire. About
//! half of all points have no representative; that is the one thing that can go wrong. All of it takes
//! the same time for every value.
//!
//! As obfs4proxy does since 0.0.14: a point with a representative has two, and a bit of the `tweak`
//! chooses between them.

use crate::field::Element;
use subtle::{Choice, ConditionallySelectable};

/// A of Curve25519's equation.
const A: Element = Element::small(486_662);

/// What [`represent`] found. The bytes mean something only if `found`.
pub(crate) struct Represented {
    pub(crate) found: Choice,
    pub(crate) u: [u8; 32],
    pub(crate) representative: [u8; 32],
}

/// The u that 32 bytes represent; all have one. The upper two bits are ignored.
pub fn map(representative: &[u8; 32]) -> [u8; 32] {
    let mut bytes = *representative;
    bytes[31] &= 0x3f;
    let squared = Element::from_bytes(&bytes).square();
    // u = -A / d or its other candidate -u - A. d is never 0: -1/2 is no square.
    let d = squared.add(&squared).carry().add(&Element::ONE).carry();
    // u^3 + A u^2 + u = -A (A^2 - A^2 d + d^2) / d^3, a square if and only if `curve` times d is one,
    // and the inverse of that gives the one of d as well.
    let a_squared = A.square();
    let cubic = a_squared.sub(&a_squared.mul(d)).carry().add(&d.square());
    let curve = A.neg().mul(cubic);
    let (on_curve, inverse) = curve.mul(d).inverse();
    let u = A.neg().mul(curve.mul(inverse));
    let other = u.add(&A).carry().neg().carry();
    Element::conditional_select(&other, &u, on_curve).to_bytes()
}

/// A representative of `u`, if it has any. Bit 0 of `tweak` chooses which, bits 6 and 7 are put on top.
pub fn inverse(u: &[u8; 32], tweak: u8) -> Option<[u8; 32]> {
    let out = represent(&Element::from_bytes(u), &Element::ONE, tweak);
    bool::from(out.found).then_some(out.representative)
}

/// A representative of the u given as a fraction, and that u reduced.
///
/// It is the root of -u / (2 (u + A)) or of the inverse of that times 1/4, and exists if -2 u (u + A)
/// is a square. One power finds out, and gives the root and the denominator's inverse.
pub(crate) fn represent(numerator: &Element, denominator: &Element, tweak: u8) -> Represented {
    let shifted = numerator.add(&A.mul(*denominator)).carry();
    let product = numerator.mul(shifted);
    let w = product.add(&product).carry().neg().carry();
    // 1 / (denominator * root of w), up to its sign.
    let (found, root) = w.mul(denominator.square()).inverse_root();

    let inverse = root.square().mul(w).mul(*denominator);
    let top = Element::conditional_select(numerator, &shifted, Choice::from(tweak & 1));
    let r = top.mul(root).mul(*denominator);
    // Above (p - 1) / 2 the double wraps around and becomes odd.
    let negate = r.add(&r).carry().is_odd();
    let r = Element::conditional_select(&r, &r.neg().carry(), negate);
    let mut representative = r.to_bytes();
    representative[31] |= tweak & 0xc0;
    Represented {
        found,
        u: numerator.mul(inverse).to_bytes(),
        representative,
    }
}

#[cfg(test)]
mod tests;
