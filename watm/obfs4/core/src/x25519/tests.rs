//! The ladder against RFC 7748 and dalek.

use super::*;
use crate::keys::tests::bytes;
use curve25519_dalek::montgomery::MontgomeryPoint;
use proptest::prelude::*;

proptest! {
    #[test]
    fn products_are_those_of_dalek(private: [u8; 32], u: [u8; 32]) {
        let expected = MontgomeryPoint(u).mul_clamped(private);
        prop_assert_eq!(*x25519(&private, &u), expected.to_bytes());
    }

    #[test]
    fn two_products_are_those_of_one_each(a: [u8; 32], u: [u8; 32], b: [u8; 32], v: [u8; 32]) {
        prop_assert_eq!(two([(&a, &u), (&b, &v)]), [x25519(&a, &u), x25519(&b, &v)]);
        for zero in [two([(&a, &u), (&b, &[0; 32])]), two([(&a, &[0; 32]), (&b, &v)])] {
            prop_assert_eq!(zero.map(|product| *product), [[0; 32]; 2]);
        }
    }
}

#[test]
fn products_are_those_of_rfc_7748() {
    for [private, u, product] in [
        [
            "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
            "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
        ],
        [
            "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
            "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
            "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
        ],
    ] {
        assert_eq!(*x25519(&bytes(private), &bytes(u)), bytes::<32>(product));
    }
}

#[test]
fn a_thousand_products_end_where_rfc_7748_says() {
    let (mut private, mut u) = (BASE, BASE);
    for _ in 0..1000 {
        (private, u) = (*x25519(&private, &u), private);
    }
    assert_eq!(
        private,
        bytes("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51")
    );
}

/// Numbers around 0, p, 2^255 and 2^256, as a peer may send them.
#[test]
fn numbers_beyond_p_are_reduced() {
    for low in 0..=0xff {
        for (middle, high) in [(0, 0), (0xff, 0x7f), (0, 0x80), (0xff, 0xff)] {
            let mut u = [middle; 32];
            (u[0], u[31]) = (low, high);
            let expected = MontgomeryPoint(u).mul_clamped([0x42; 32]);
            assert_eq!(*x25519(&[0x42; 32], &u), expected.to_bytes(), "{u:x?}");
        }
    }
}
