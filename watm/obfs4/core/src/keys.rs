//! Curve25519 keys: the bridge's own, and those of one handshake, whose public half travels as noise.
//!
//! In: randomness, or the bytes of a key. Out: keys, private halves wiped when dropped. Nothing can go
//! wrong. A session key takes two attempts on average, and nobody should see how many: make it before
//! the connection is touched.

use crate::comb;
use crate::elligator;
use crate::random::Random;
use crate::x25519;
use sha2::{Digest, Sha512};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// What a bridge calls itself beside its key; part of the `cert=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeId([u8; 20]);

/// The u of a point, little-endian, as X25519 has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

/// A public key as it goes over the wire, indistinguishable from random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Representative([u8; 32]);

/// The key of one handshake.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SessionKey {
    private: [u8; 32],
    #[zeroize(skip)]
    public: PublicKey,
    #[zeroize(skip)]
    representative: Representative,
}

/// A bridge's lasting key.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct IdentityKey {
    private: [u8; 32],
    #[zeroize(skip)]
    public: PublicKey,
}

impl NodeId {
    /// From its 20 bytes.
    pub const fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// Its 20 bytes.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

impl PublicKey {
    /// From its 32 bytes. All are taken, as X25519 takes them: bit 255 is ignored in arithmetic.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Representative {
    /// From the 32 bytes received.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes to send.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key that is meant. Every representative means one.
    pub fn to_public(&self) -> PublicKey {
        PublicKey(elligator::map(&self.0))
    }
}

impl SessionKey {
    /// A new key. Takes 32 bytes of `random` for each attempt.
    pub fn generate(random: &mut impl Random) -> Self {
        loop {
            let digest = hashed(random);
            let mut key = Self {
                private: [0; 32],
                public: PublicKey([0; 32]),
                representative: Representative([0; 32]),
            };
            key.private.copy_from_slice(&digest[..32]);
            // The digest's last byte is in no key, and chooses among the representatives.
            let (numerator, denominator) = comb::dirty_public(&key.private);
            let out = elligator::represent(&numerator, &denominator, digest[63]);
            if bool::from(out.found) {
                key.public = PublicKey(out.u);
                key.representative = Representative(out.representative);
                return key;
            }
        }
    }

    /// The public half, as both sides hash it.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The public half, as it is sent.
    pub fn representative(&self) -> &Representative {
        &self.representative
    }

    /// The client's two products: of this key with each of two peers'. All zero, both of them, if one is.
    pub(crate) fn agree_with(&self, peers: [&PublicKey; 2]) -> [Zeroizing<[u8; 32]>; 2] {
        x25519::two(peers.map(|peer| (&self.private, &peer.0)))
    }
}

impl IdentityKey {
    /// A new key.
    pub fn generate(random: &mut impl Random) -> Self {
        let mut private = Zeroizing::new([0; 32]);
        private.copy_from_slice(&hashed(random)[..32]);
        Self::from_private(*private)
    }

    /// The key with this private half, which is kept as it is, unclamped.
    pub fn from_private(private: [u8; 32]) -> Self {
        let public = PublicKey(*x25519::x25519(&private, &x25519::BASE));
        Self { private, public }
    }

    /// The key with both halves, which belong together.
    pub(crate) fn from_halves(private: [u8; 32], public: PublicKey) -> Self {
        Self { private, public }
    }

    /// The public half, part of the `cert=`.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The private half, for the state file.
    pub fn private_bytes(&self) -> &[u8; 32] {
        &self.private
    }

    /// The bridge's two products: of a session's key and of this one with the peer's. All zero, both of them, if one is.
    pub(crate) fn agree_beside(
        &self,
        session: &SessionKey,
        peer: &PublicKey,
    ) -> [Zeroizing<[u8; 32]>; 2] {
        x25519::two([&session.private, &self.private].map(|private| (private, &peer.0)))
    }
}

/// The SHA-512 of 32 random bytes: a private key and what else has to be chosen.
fn hashed(random: &mut impl Random) -> Zeroizing<[u8; 64]> {
    let mut seed = Zeroizing::new([0; 32]);
    random.fill(&mut *seed);
    Zeroizing::new(Sha512::digest(*seed).into())
}

#[cfg(test)]
pub(crate) mod tests;
