//! The map and its inverse, by vectors of obfs4proxy's and against each other.

use super::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn a_representative_leads_back(representative: [u8; 32], tweak: u8) {
        let u = map(&representative);
        let found = inverse(&u, tweak).expect("what was mapped has a representative");
        prop_assert_eq!(map(&found), u);
        prop_assert_eq!(found[31] & 0xc0, tweak & 0xc0);
    }

    /// The two representatives of u, one for each value of the tweak's lowest bit, are all there are.
    #[test]
    fn the_tweak_reaches_both_preimages(mut representative: [u8; 32]) {
        let u = map(&representative);
        representative[31] &= 0x3f;
        let r = Element::from_bytes(&representative);
        // The canonical one of r and -r.
        let doubled = r.add(&r).carry().is_odd();
        let canonical = Element::conditional_select(&r, &r.neg().carry(), doubled).to_bytes();
        let found = [0, 1].map(|tweak| inverse(&u, tweak).expect("it has been mapped"));
        prop_assert!(found.contains(&canonical));
        prop_assert_ne!(found[0], found[1]);
    }

    #[test]
    fn the_upper_two_bits_mean_nothing(mut representative: [u8; 32]) {
        let u = map(&representative);
        for _ in 0..4 {
            representative[31] = representative[31].wrapping_add(0x40);
            prop_assert_eq!(map(&representative), u);
        }
    }

    #[test]
    fn a_fraction_is_what_it_stands_for(numerator: [u8; 32], denominator: [u8; 32], tweak: u8) {
        let (x, z) = (Element::from_bytes(&numerator), Element::from_bytes(&denominator));
        prop_assume!(z.to_bytes() != [0; 32]);
        let u = x.mul(z.inverse().1).to_bytes();
        let out = represent(&x, &z, tweak);
        match inverse(&u, tweak) {
            Some(representative) => {
                prop_assert!(bool::from(out.found));
                prop_assert_eq!(out.u, u);
                prop_assert_eq!(out.representative, representative);
            }
            None => prop_assert!(!bool::from(out.found)),
        }
    }

    /// By Euler's criterion alone, without the shared power.
    #[test]
    fn half_of_all_have_one(u: [u8; 32]) {
        let u = Element::from_bytes(&u);
        let product = u.mul(u.add(&A));
        let w = product.add(&product).carry().neg().carry();
        // (p - 1) / 2 = 2^254 - 10.
        let mut power = Element::ONE;
        for bit in (0..254).rev() {
            power = power.square();
            if bit >= 4 || 0b0110 >> bit & 1 == 1 {
                power = power.mul(w);
            }
        }
        let is_square = power.to_bytes() == Element::ONE.to_bytes();
        prop_assert_eq!(inverse(&u.to_bytes(), 0).is_some(), is_square);
    }
}

#[test]
fn points_of_low_order_have_none() {
    // 0, and -A whose v would be 0 too.
    assert_eq!(inverse(&[0; 32], 0), None);
    assert_eq!(inverse(&A.neg().carry().to_bytes(), 0), None);
    assert_eq!(represent(&A, &Element::ZERO, 0).found.unwrap_u8(), 0);
}
