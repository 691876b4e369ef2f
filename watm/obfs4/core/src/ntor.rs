//! The key agreement, ntor as obfs4 speaks it.
//!
//! In: the keys of both sides and the bridge's node id. Out: the seed of the frames' keys, and AUTH, by
//! which a bridge proves that it holds its identity key. What can go wrong: a peer may send a point of low
//! order, whose products are all zero; such a handshake has no secrets.
//!
//! Not proposal 216 to the letter: what is hashed after the products is B, B, X, Y, the protocol's
//! name and the node id, B twice and the id last, for `verify` and AUTH alike.

use crate::keys::{IdentityKey, NodeId, PublicKey, SessionKey};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

const PROTOCOL: &[u8] = b"ntor-curve25519-sha256-1";
const MAC: &[u8] = b"ntor-curve25519-sha256-1:mac";
const EXTRACT: &[u8] = b"ntor-curve25519-sha256-1:key_extract";
const VERIFY: &[u8] = b"ntor-curve25519-sha256-1:key_verify";
const EXPAND: &[u8] = b"ntor-curve25519-sha256-1:key_expand";

/// What both sides know afterwards.
pub struct Secrets {
    /// What the keys of the frames come from.
    pub seed: KeySeed,
    /// What the bridge sends, and the client expects.
    pub auth: [u8; 32],
}

/// KEY_SEED.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct KeySeed([u8; 32]);

impl Secrets {
    /// Whether `received` is the AUTH expected, compared in constant time.
    pub fn auth_is(&self, received: &[u8; 32]) -> bool {
        self.auth.ct_eq(received).into()
    }
}

impl KeySeed {
    /// The keys of the frames: 72 bytes for client to bridge, then 72 for bridge to client, each the key
    /// of the box (32), the prefix of the nonces (16), and key (16) and first value (8) of the generator of
    /// the length masks.
    pub fn expand(&self) -> Zeroizing<[u8; 144]> {
        let mut keys = Zeroizing::new([0; 144]);
        Hkdf::<Sha256>::new(Some(EXTRACT), &self.0)
            .expand(EXPAND, &mut *keys)
            .expect("144 bytes are less than HKDF's limit of 255 blocks");
        keys
    }
}

/// The client's side, once Y has come: `server` is Y, `identity` and `node` are from the bridge line.
/// None if a product is all zero.
pub fn client(
    session: &SessionKey,
    server: &PublicKey,
    identity: &PublicKey,
    node: &NodeId,
) -> Option<Secrets> {
    let products = session.agree_with([server, identity]);
    secrets(&products, session.public(), server, identity, node)
}

/// The bridge's side, once X has come, which is `client`. None if a product is all zero.
pub fn server(
    client: &PublicKey,
    session: &SessionKey,
    identity: &IdentityKey,
    node: &NodeId,
) -> Option<Secrets> {
    let products = identity.agree_beside(session, client);
    secrets(&products, client, session.public(), identity.public(), node)
}

/// All is computed before the products are judged: a refusal takes as long as an agreement.
fn secrets(
    products: &[Zeroizing<[u8; 32]>; 2],
    x: &PublicKey,
    y: &PublicKey,
    b: &PublicKey,
    node: &NodeId,
) -> Option<Secrets> {
    let b = b.as_bytes().as_slice();
    let known = [b, b, x.as_bytes(), y.as_bytes(), PROTOCOL, node.as_bytes()];
    let secret = |key| {
        let mut mac = keyed(key);
        for part in products.iter().map(|product| product.as_slice()) {
            mac.update(part);
        }
        for part in known {
            mac.update(part);
        }
        Zeroizing::new(mac.finalize().into_bytes().into())
    };
    let seed: Zeroizing<[u8; 32]> = secret(EXTRACT);
    let verify: Zeroizing<[u8; 32]> = secret(VERIFY);
    let mut auth = keyed(MAC);
    auth.update(&*verify);
    for part in known {
        auth.update(part);
    }
    auth.update(b"Server");

    let secrets = Secrets {
        seed: KeySeed(*seed),
        auth: auth.finalize().into_bytes().into(),
    };
    let zero = products[0].ct_eq(&[0; 32]) | products[1].ct_eq(&[0; 32]);
    (!bool::from(zero)).then_some(secrets)
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

#[cfg(test)]
mod tests;
