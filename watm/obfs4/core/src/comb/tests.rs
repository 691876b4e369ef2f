//! The comb against dalek's multiplication, and the cosets that it reaches.

use super::*;
use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::montgomery::MontgomeryPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::Identity;
use proptest::prelude::*;

fn dirty(private: &[u8; 32]) -> MontgomeryPoint {
    let (numerator, denominator) = dirty_public(private);
    MontgomeryPoint(numerator.mul(denominator.inverse().1).to_bytes())
}

/// The T of the table: of the four points of order 8 the one with its x and y.
fn torsion() -> usize {
    let step = (1..8).find(|&i| entry(ED25519_BASEPOINT_POINT + EIGHT_TORSION[i]) == parsed(1));
    step.expect("the table starts with B and a point of low order")
}

/// An affine point as the table has it.
fn entry(point: EdwardsPoint) -> [[u8; 32]; 3] {
    let compressed = point.compress().to_bytes();
    let y = Element::from_bytes(&compressed);
    let d = Element::small(121_665)
        .neg()
        .mul(Element::small(121_666).inverse().1);
    // -x^2 + y^2 = 1 + d x^2 y^2, hence x^2 = (y^2 - 1) / (d y^2 + 1) = w / v.
    let yy = y.square();
    let w = yy.sub(&Element::ONE).carry();
    let v = d.mul(yy).add(&Element::ONE).carry();
    let root = v.mul(w).inverse_root().1.mul(w);
    let odd = bool::from(root.is_odd()) == (compressed[31] >> 7 == 1);
    let x = if odd { root } else { root.neg().carry() };
    let product = x.mul(y).mul(d);
    [
        y.add(&x).carry().to_bytes(),
        y.sub(&x).carry().to_bytes(),
        product.add(&product).carry().to_bytes(),
    ]
}

fn parsed(digit: u8) -> [[u8; 32]; 3] {
    Multiple::select(digit).0.map(Element::to_bytes)
}

#[test]
fn the_table_is_computed_again() {
    let mut tooth = ED25519_BASEPOINT_POINT + EIGHT_TORSION[torsion()];
    let mut teeth = [EdwardsPoint::identity(); 4];
    for out in &mut teeth {
        *out = tooth;
        for _ in 0..COLUMNS {
            tooth += tooth;
        }
    }
    for digit in 0..16 {
        let sum = (0..4)
            .filter(|t| digit >> t & 1 == 1)
            .fold(EdwardsPoint::identity(), |sum, t| sum + teeth[t]);
        assert_eq!(parsed(digit), entry(sum), "entry {digit}");
    }
}

proptest! {
    #[test]
    fn a_dirty_key_is_the_clean_one_and_the_chosen_point(private: [u8; 32]) {
        let low_order = EIGHT_TORSION[usize::from(private[0] & 7) * torsion() % 8];
        let expected = EdwardsPoint::mul_base_clamped(private) + low_order;
        prop_assert_eq!(dirty(&private).0, expected.to_montgomery().0);
    }

    #[test]
    fn eight_times_dirty_is_eight_times_clean(private: [u8; 32]) {
        let eight = |point: MontgomeryPoint| point.mul_bits_be([true, false, false, false].into_iter());
        let clean = MontgomeryPoint::mul_base_clamped(private);
        prop_assert_eq!(eight(dirty(&private)).0, eight(clean).0);
    }

    #[test]
    fn a_peer_agrees_with_dirty_and_clean_alike(private: [u8; 32], peer: [u8; 32]) {
        let clean = MontgomeryPoint::mul_base_clamped(private);
        let expected = clean.mul_clamped(peer);
        prop_assert_eq!(dirty(&private).mul_clamped(peer).0, expected.0);
        let theirs = MontgomeryPoint::mul_base_clamped(peer);
        prop_assert_eq!(theirs.mul_clamped(private).0, expected.0);
    }

    #[test]
    fn the_scalar_has_both_residues(private: [u8; 32]) {
        let scalar = dirty_scalar(&private);
        prop_assert_eq!(scalar[0] & 7, u64::from(private[0] & 7));
        let mut bytes = [0; 32];
        for (out, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(*scalar) {
            *out = word.to_le_bytes();
        }
        let clamped = curve25519_dalek::scalar::clamp_integer(private);
        prop_assert_eq!(
            Scalar::from_bytes_mod_order(bytes),
            Scalar::from_bytes_mod_order(clamped)
        );
    }
}

#[test]
fn the_largest_scalar_fits() {
    let expected = EdwardsPoint::mul_base_clamped([0xff; 32]) + EIGHT_TORSION[7 * torsion() % 8];
    assert_eq!(dirty(&[0xff; 32]).0, expected.to_montgomery().0);
}

#[test]
fn all_eight_cosets_occur() {
    let mut private = [0x5a; 32];
    let mut seen: Vec<_> = (0..8)
        .map(|low| {
            private[0] = 0x58 | low;
            dirty(&private).0
        })
        .collect();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 8);
}
