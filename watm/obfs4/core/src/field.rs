//! Arithmetic modulo p = 2^255 - 19.
//!
//! In: 32 bytes, little-endian. Out: the canonical 32 bytes. Nothing can go wrong, and nothing takes
//! longer for one value than for another.
//!
//! Multiplication, carries and encodings are fiat-crypto's, generated together with a proof. Its two
//! bounds are types here as there: an [`Element`] may be added, a [`Sum`] may only be multiplied or
//! carried. 64-bit limbs want the 128-bit product in one instruction, which wasm has with wide
//! arithmetic alone; the portable build takes 32-bit limbs. Tests compile both.

#[cfg(any(test, feature = "wide", not(target_family = "wasm")))]
use fiat_crypto::curve25519_64;

#[cfg(any(test, all(not(feature = "wide"), target_family = "wasm")))]
use fiat_crypto::curve25519_32;

#[cfg(any(feature = "wide", not(target_family = "wasm")))]
pub(crate) use limbs64::{Element, Sum};

#[cfg(all(not(feature = "wide"), target_family = "wasm"))]
pub(crate) use limbs32::{Element, Sum};

macro_rules! arithmetic {
    ($fiat:ident, $limbs:literal) => {
        use super::$fiat as fiat;
        use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
        use zeroize::Zeroize;

        /// A residue with carried limbs.
        #[derive(Clone, Copy)]
        pub(crate) struct Element(fiat::fiat_25519_tight_field_element);

        /// A residue whose limbs await a carry: a factor, not a summand.
        #[derive(Clone, Copy)]
        pub(crate) struct Sum(fiat::fiat_25519_loose_field_element);

        impl Element {
            pub(crate) const ZERO: Self = Self::small(0);
            pub(crate) const ONE: Self = Self::small(1);

            /// A square root of -1.
            const ROOT_OF_MINUS_ONE: Self = Self::from_words(&[
                0xc4ee_1b27_4a0e_a0b0,
                0x2f43_1806_ad2f_e478,
                0x2b4d_0099_3dfb_d7a7,
                0x2b83_2480_4fc1_df0b,
            ]);

            /// Bit 255 is ignored; a number of p or more is reduced.
            pub(crate) const fn from_bytes(bytes: &[u8; 32]) -> Self {
                let mut bytes = *bytes;
                bytes[31] &= 0x7f;
                let mut out = fiat::fiat_25519_tight_field_element([0; $limbs]);
                fiat::fiat_25519_from_bytes(&mut out, &bytes);
                Self(out)
            }

            /// The least significant word first.
            pub(crate) const fn from_words(words: &[u64; 4]) -> Self {
                let mut bytes = [0; 32];
                let mut i = 0;
                while i < 32 {
                    bytes[i] = (words[i / 8] >> (8 * (i % 8))) as u8;
                    i += 1;
                }
                Self::from_bytes(&bytes)
            }

            pub(crate) const fn small(value: u32) -> Self {
                Self::from_words(&[value as u64, 0, 0, 0])
            }

            /// The number below p, little-endian.
            pub(crate) const fn to_bytes(self) -> [u8; 32] {
                let mut bytes = [0; 32];
                fiat::fiat_25519_to_bytes(&mut bytes, &self.0);
                bytes
            }

            #[inline]
            pub(crate) fn add(&self, other: &Self) -> Sum {
                let mut out = fiat::fiat_25519_loose_field_element([0; $limbs]);
                fiat::fiat_25519_add(&mut out, &self.0, &other.0);
                Sum(out)
            }

            #[inline]
            pub(crate) fn sub(&self, other: &Self) -> Sum {
                let mut out = fiat::fiat_25519_loose_field_element([0; $limbs]);
                fiat::fiat_25519_sub(&mut out, &self.0, &other.0);
                Sum(out)
            }

            #[inline]
            pub(crate) fn neg(&self) -> Sum {
                let mut out = fiat::fiat_25519_loose_field_element([0; $limbs]);
                fiat::fiat_25519_opp(&mut out, &self.0);
                Sum(out)
            }

            #[inline]
            pub(crate) fn mul(&self, other: impl Into<Sum>) -> Self {
                Sum::from(*self).mul(other)
            }

            #[inline]
            pub(crate) fn square(&self) -> Self {
                Sum::from(*self).square()
            }

            /// `self` to the power of 2^`doublings`.
            fn squares(&self, doublings: usize) -> Self {
                let mut out = *self;
                for _ in 0..doublings {
                    out = out.square();
                }
                out
            }

            /// The lowest bit of the number below p.
            pub(crate) fn is_odd(&self) -> Choice {
                Choice::from(self.to_bytes()[0] & 1)
            }

            /// `self` to the power of (p - 5) / 8 = 2^252 - 3.
            fn power(&self) -> Self {
                let two = self.square();
                let nine = two.squares(2).mul(*self);
                let eleven = nine.mul(two);
                let ones5 = eleven.square().mul(nine);
                let ones10 = ones5.squares(5).mul(ones5);
                let ones20 = ones10.squares(10).mul(ones10);
                let ones40 = ones20.squares(20).mul(ones20);
                let ones50 = ones40.squares(10).mul(ones10);
                let ones100 = ones50.squares(50).mul(ones50);
                let ones200 = ones100.squares(100).mul(ones100);
                let ones250 = ones200.squares(50).mul(ones50);
                ones250.squares(2).mul(*self)
            }

            /// A root r with r^2 * self = 1 or the square root of -1 or a negative of these. This one
            /// power gives inverse square roots, inverses and the quadratic character.
            fn root(&self) -> Self {
                let cube = self.square().mul(*self);
                let seventh = cube.square().mul(*self);
                seventh.power().mul(cube)
            }

            /// Whether this is a square other than 0, and if so one of the two r with r^2 * self = 1.
            pub(crate) fn inverse_root(&self) -> (Choice, Self) {
                let root = self.root();
                let check = root.square().mul(*self);
                let turned = check.ct_eq(&Self::ONE.neg().carry());
                let is_square = check.ct_eq(&Self::ONE) | turned;
                let rotated = root.mul(Self::ROOT_OF_MINUS_ONE);
                (is_square, Self::conditional_select(&root, &rotated, turned))
            }

            /// The inverse (0 of 0), and whether this is a square other than 0.
            pub(crate) fn inverse(&self) -> (Choice, Self) {
                let squared = self.root().square();
                // root^2 * self is a fourth root of 1, and that squared is the quadratic character.
                let is_square = squared.mul(*self).square().ct_eq(&Self::ONE);
                let inverse = squared.square().mul(*self);
                let negative = inverse.neg().carry();
                (
                    is_square,
                    Self::conditional_select(&negative, &inverse, is_square),
                )
            }
        }

        impl Sum {
            #[inline]
            pub(crate) fn carry(&self) -> Element {
                let mut out = fiat::fiat_25519_tight_field_element([0; $limbs]);
                fiat::fiat_25519_carry(&mut out, &self.0);
                Element(out)
            }

            #[inline]
            pub(crate) fn mul(&self, other: impl Into<Sum>) -> Element {
                let mut out = fiat::fiat_25519_tight_field_element([0; $limbs]);
                fiat::fiat_25519_carry_mul(&mut out, &self.0, &other.into().0);
                Element(out)
            }

            /// (A + 2) / 4 times this.
            #[inline]
            pub(crate) fn mul_121666(&self) -> Element {
                let mut out = fiat::fiat_25519_tight_field_element([0; $limbs]);
                fiat::fiat_25519_carry_scmul_121666(&mut out, &self.0);
                Element(out)
            }

            #[inline]
            pub(crate) fn square(&self) -> Element {
                let mut out = fiat::fiat_25519_tight_field_element([0; $limbs]);
                fiat::fiat_25519_carry_square(&mut out, &self.0);
                Element(out)
            }
        }

        impl From<Element> for Sum {
            #[inline]
            fn from(element: Element) -> Self {
                let mut out = fiat::fiat_25519_loose_field_element([0; $limbs]);
                fiat::fiat_25519_relax(&mut out, &element.0);
                Self(out)
            }
        }

        impl ConditionallySelectable for Element {
            #[inline]
            fn conditional_select(a: &Self, b: &Self, choice: Choice) -> Self {
                let mut out = *a;
                for (limb, other) in out.0.0.iter_mut().zip(&b.0.0) {
                    limb.conditional_assign(other, choice);
                }
                out
            }
        }

        impl ConstantTimeEq for Element {
            fn ct_eq(&self, other: &Self) -> Choice {
                self.to_bytes().ct_eq(&other.to_bytes())
            }
        }

        impl Zeroize for Element {
            fn zeroize(&mut self) {
                self.0.0.zeroize();
            }
        }
    };
}

#[cfg(any(test, feature = "wide", not(target_family = "wasm")))]
mod limbs64 {
    arithmetic!(curve25519_64, 5);
}

#[cfg(any(test, all(not(feature = "wide"), target_family = "wasm")))]
mod limbs32 {
    arithmetic!(curve25519_32, 10);
}

#[cfg(test)]
mod tests;
