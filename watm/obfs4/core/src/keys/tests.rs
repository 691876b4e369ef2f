//! Keys of obfs4proxy's, and the distribution of ours.

use super::*;
use curve25519_dalek::montgomery::MontgomeryPoint;
use sha2::Sha256;

const VECTORS: &str = include_str!("../../tests/vectors/keys.txt");

/// The vectors of one kind, their fields without the kind.
pub(crate) fn vectors(kind: &str) -> impl Iterator<Item = Vec<&'static str>> {
    VECTORS.lines().filter_map(move |line| {
        let mut fields = line.split(' ');
        (fields.next() == Some(kind)).then(|| fields.collect())
    })
}

pub(crate) fn bytes<const N: usize>(hex: &str) -> [u8; N] {
    assert_eq!(hex.len(), 2 * N, "{hex}");
    core::array::from_fn(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).expect("hex"))
}

/// Says what it was told to say, and knows how much it has said.
pub(crate) struct Scripted(pub(crate) Vec<u8>);

impl Random for Scripted {
    fn fill(&mut self, bytes: &mut [u8]) {
        let rest = self.0.split_off(bytes.len());
        bytes.copy_from_slice(&self.0);
        self.0 = rest;
    }
}

/// SHA-256("<what> <number>"), as the vectors' inputs were made.
fn input(what: &str, number: usize) -> [u8; 32] {
    Sha256::digest(format!("{what} {number}")).into()
}

/// The key of one attempt.
fn attempt(random: [u8; 32]) -> Option<SessionKey> {
    // A representable attempt follows, which says whether the first one was.
    let next = vectors("key").find(|key| key[2] != "-").expect("a key");
    let mut script = Scripted([random, bytes(next[0])].concat());
    let key = SessionKey::generate(&mut script);
    (script.0.len() == 32).then_some(key)
}

#[test]
fn session_keys_are_those_of_obfs4proxy() {
    let mut made = 0;
    for vector in vectors("key") {
        let key = attempt(bytes(vector[0]));
        if vector[2] == "-" {
            assert!(key.is_none(), "{vector:?}");
            continue;
        }
        let key = key.expect("representable");
        assert_eq!(key.private, bytes(vector[1]));
        assert_eq!(key.public.0, bytes(vector[2]));
        assert_eq!(key.representative.0, bytes(vector[3]));
        assert_eq!(key.representative.to_public(), key.public);
        made += 1;
    }
    assert!(made > 12, "{made} keys among the vectors");
}

#[test]
fn a_thousand_attempts_end_as_those_of_obfs4proxy() {
    let mut groups = 0;
    for vector in vectors("keys") {
        let start: usize = vector[0].parse().expect("a number");
        let mut digest = Sha256::new();
        let mut made = 0;
        for number in start..start + 100 {
            if let Some(key) = attempt(input("keys", number)) {
                digest.update(key.public.0);
                digest.update(key.representative.0);
                made += 1;
            }
        }
        assert_eq!(made.to_string(), vector[1]);
        assert_eq!(digest.finalize().as_slice(), bytes::<32>(vector[2]));
        groups += 1;
    }
    assert_eq!(groups, 10);
}

#[test]
fn representatives_mean_what_they_mean_to_obfs4proxy() {
    let mut count = 0;
    for vector in vectors("map") {
        let representative = Representative(bytes(vector[0]));
        assert_eq!(representative.to_public().0, bytes(vector[1]), "{vector:?}");
        count += 1;
    }
    assert_eq!(count, 50);
    for vector in vectors("maps") {
        let start: usize = vector[0].parse().expect("a number");
        let mut digest = Sha256::new();
        for number in start..start + 100 {
            digest.update(Representative(input("map", number)).to_public().0);
        }
        assert_eq!(digest.finalize().as_slice(), bytes::<32>(vector[1]));
        count += 100;
    }
    assert_eq!(count, 1050);
}

#[test]
fn identity_keys_are_those_of_obfs4proxy() {
    let mut count = 0;
    for vector in vectors("identity") {
        let key = IdentityKey::from_private(bytes(vector[0]));
        assert_eq!(key.public.0, bytes(vector[1]));
        assert_eq!(*key.private_bytes(), bytes::<32>(vector[0]));
        count += 1;
    }
    assert_eq!(count, 16);
    // What is generated is the hash's first half, unclamped.
    let vector = vectors("key").next().expect("a key");
    let key = IdentityKey::generate(&mut Scripted(bytes::<32>(vector[0]).to_vec()));
    assert_eq!(key.private, bytes(vector[1]));
}

/// A source of which the keys below are made, the same every time.
struct Counted(u64);

impl Random for Counted {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            self.0 += 1;
            chunk.copy_from_slice(&Sha256::digest(self.0.to_le_bytes())[..chunk.len()]);
        }
    }
}

/// In which coset of the prime-order group a point lies, as far as u can tell: LP is one of the eight
/// points of low order, of which those with the same u differ by their sign.
fn coset(u: &PublicKey) -> [u8; 32] {
    // L, the most significant bit first.
    let order = 0x1000_0000_0000_0000_0000_0000_0000_0000_u128;
    let low = 0x14de_f9de_a2f7_9cd6_5812_631a_5cf5_d3ed_u128;
    let bits = [order, low]
        .into_iter()
        .flat_map(|half| (0..128).rev().map(move |bit| half >> bit & 1 == 1));
    MontgomeryPoint(u.0).mul_bits_be(bits).to_bytes()
}

/// Chi-square of the cosets against what uniform points give: of the eight points of low order, two
/// pairs of order 8 and one of order 4 share their u, and the two others, of order 1 and 2, both have
/// u = 0 in X25519.
fn chi_square(keys: &[PublicKey]) -> f64 {
    let mut counts = std::collections::HashMap::new();
    for key in keys {
        *counts.entry(coset(key)).or_insert(0.0) += 1.0;
    }
    assert!(counts.len() <= 4, "more than four kinds of cosets");
    let expected = keys.len() as f64 / 4.0;
    let mut chi = (4 - counts.len()) as f64 * expected;
    for count in counts.values() {
        let off: f64 = count - expected;
        chi += off * off / expected;
    }
    chi
}

/// A chi-square of three degrees of freedom passes 31 once in a million.
const BOUND: f64 = 31.0;

#[test]
fn representatives_are_noise_and_keys_are_all_over_the_curve() {
    const KEYS: usize = 4096;
    let mut random = Counted(0);
    let keys: Vec<_> = (0..KEYS)
        .map(|_| SessionKey::generate(&mut random))
        .collect();
    for bit in 0..256 {
        let ones = keys
            .iter()
            .filter(|key| key.representative.0[bit / 8] >> (bit % 8) & 1 == 1)
            .count();
        // 5 sigma of a fair coin: 5 * 64 / 2.
        assert!(ones.abs_diff(KEYS / 2) <= 160, "bit {bit}: {ones}");
    }
    let public: Vec<_> = keys.iter().map(|key| key.public).collect();
    let chi = chi_square(&public);
    assert!(chi < BOUND, "cosets: {chi}");
}

#[test]
fn other_choices_of_a_coset_would_be_noticed() {
    let mut random = Counted(0);
    // Clamped first, as a careful person might: all keys are clean. Or without the points of order 8.
    for kept in [0xf8, 0xfe] {
        let keys: Vec<_> = (0..512)
            .map(|_| {
                let mut private = [0; 32];
                random.fill(&mut private);
                private[0] &= kept;
                let (numerator, denominator) = comb::dirty_public(&private);
                PublicKey(numerator.mul(denominator.inverse().1).to_bytes())
            })
            .collect();
        let chi = chi_square(&keys);
        assert!(chi > BOUND, "{kept:x}: {chi}");
    }
}
