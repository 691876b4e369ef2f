//! Both sizes of limbs against slow arithmetic.

use proptest::prelude::*;
use subtle::{ConditionallySelectable, ConstantTimeEq};

/// Slow and obvious arithmetic: the number below p, in words, the least significant first.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Number([u64; 4]);

const P: [u64; 4] = [u64::MAX - 18, u64::MAX, u64::MAX, u64::MAX >> 1];

impl Number {
    fn from_bytes(mut bytes: [u8; 32]) -> Self {
        bytes[31] &= 0x7f;
        let words = bytes.as_chunks::<8>().0;
        Self([0, 1, 2, 3].map(|i| u64::from_le_bytes(words[i]))).reduce()
    }

    fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (chunk, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(self.0) {
            *chunk = word.to_le_bytes();
        }
        bytes
    }

    /// One subtraction is enough for all that is below 2p.
    fn reduce(self) -> Self {
        let mut borrow = false;
        let mut less = [0; 4];
        for i in 0..4 {
            (less[i], borrow) = self.0[i].borrowing_sub(P[i], borrow);
        }
        if borrow { self } else { Self(less) }
    }

    fn add(self, other: Self) -> Self {
        let mut sum = [0; 4];
        let mut carry = 0;
        for (i, word) in sum.iter_mut().enumerate() {
            carry += u128::from(self.0[i]) + u128::from(other.0[i]);
            *word = carry as u64;
            carry >>= 64;
        }
        Self(sum).reduce()
    }

    fn mul(self, other: Self) -> Self {
        let mut product = Self([0; 4]);
        for bit in (0..256).rev() {
            product = product.add(product);
            if other.0[bit / 64] >> (bit % 64) & 1 == 1 {
                product = product.add(self);
            }
        }
        product
    }

    fn neg(self) -> Self {
        // p - 1 times.
        let mut minus_one = P;
        minus_one[0] -= 1;
        self.mul(Self(minus_one))
    }
}

/// Random bytes, and often the numbers around 0, p and 2^255, where encodings go wrong.
fn residue() -> impl Strategy<Value = [u8; 32]> {
    let edges = (0..48u8, any::<bool>()).prop_map(|(offset, top)| {
        let mut bytes = if offset < 24 { [0; 32] } else { [0xff_u8; 32] };
        bytes[0] = bytes[0]
            .wrapping_add(offset)
            .wrapping_add(0xe0 * u8::from(offset >= 24));
        bytes[31] = bytes[31] & 0x7f | u8::from(top) << 7;
        bytes
    });
    prop_oneof![3 => any::<[u8; 32]>(), 1 => edges]
}

macro_rules! checks {
    ($limbs:ident) => {
        mod $limbs {
            use super::*;
            use crate::field::$limbs::{Element, Sum};

            fn element(bytes: [u8; 32]) -> Element {
                Element::from_bytes(&bytes)
            }

            proptest! {
                #[test]
                fn results_are_those_of_slow_arithmetic(a in residue(), b in residue(), c in residue()) {
                    let (x, y, z) = (element(a), element(b), element(c));
                    let [a, b, c] = [a, b, c].map(Number::from_bytes);
                    prop_assert_eq!(x.to_bytes(), a.to_bytes());
                    prop_assert_eq!(x.add(&y).carry().to_bytes(), a.add(b).to_bytes());
                    prop_assert_eq!(x.sub(&y).carry().to_bytes(), a.add(b.neg()).to_bytes());
                    prop_assert_eq!(x.neg().carry().to_bytes(), a.neg().to_bytes());
                    prop_assert_eq!(x.mul(y).to_bytes(), a.mul(b).to_bytes());
                    prop_assert_eq!(x.square().to_bytes(), a.mul(a).to_bytes());
                    prop_assert_eq!(Sum::from(x).carry().to_bytes(), a.to_bytes());
                    let sums = x.add(&y).mul(y.sub(&z));
                    prop_assert_eq!(sums.to_bytes(), a.add(b).mul(b.add(c.neg())).to_bytes());
                    prop_assert_eq!(x.sub(&z).square().to_bytes(), {
                        let difference = a.add(c.neg());
                        difference.mul(difference).to_bytes()
                    });
                    let scaled = Number([121_666, 0, 0, 0]).mul(a.add(c.neg()));
                    prop_assert_eq!(x.sub(&z).mul_121666().to_bytes(), scaled.to_bytes());
                    prop_assert_eq!(bool::from(x.is_odd()), a.0[0] & 1 == 1);
                    prop_assert_eq!(bool::from(x.ct_eq(&y)), a == b);
                    let choose = |choice: u8| Element::conditional_select(&x, &y, choice.into());
                    prop_assert_eq!(choose(0).to_bytes(), a.to_bytes());
                    prop_assert_eq!(choose(1).to_bytes(), b.to_bytes());
                    prop_assert_eq!(Element::from_words(&a.0).to_bytes(), a.to_bytes());
                }

                #[test]
                fn an_inverse_multiplies_to_1(a in residue()) {
                    let x = element(a);
                    let (_, inverse) = x.inverse();
                    let expected = if x.to_bytes() == [0; 32] { Element::ZERO } else { Element::ONE };
                    prop_assert_eq!(x.mul(inverse).to_bytes(), expected.to_bytes());
                }

                #[test]
                fn squares_are_told_from_others(a in residue()) {
                    let x = element(a);
                    prop_assume!(x.to_bytes() != [0; 32]);
                    let square = x.square();
                    let (is_square, root) = square.inverse_root();
                    prop_assert!(bool::from(is_square));
                    prop_assert_eq!(root.square().mul(square).to_bytes(), Element::ONE.to_bytes());
                    prop_assert!(bool::from(square.inverse().0));
                    // 2 is no square modulo p.
                    let other = square.add(&square).carry();
                    prop_assert!(!bool::from(other.inverse_root().0));
                    prop_assert!(!bool::from(other.inverse().0));
                }
            }

            #[test]
            fn nothing_is_a_root_of_0() {
                assert!(!bool::from(Element::ZERO.inverse_root().0));
                assert!(!bool::from(Element::ZERO.inverse().0));
            }
        }
    };
}

checks!(limbs64);
checks!(limbs32);
