//! The same box out of RustCrypto's `salsa20` and `poly1305`, to compare with.

use poly1305::Poly1305;
use poly1305::universal_hash::KeyInit;
use salsa20::XSalsa20;
use salsa20::cipher::{KeyIvInit, StreamCipher};

/// A cipher behind its one-time MAC key.
fn begin(key: &[u8; 32], nonce: &[u8; 24]) -> (XSalsa20, Poly1305) {
    let mut cipher = XSalsa20::new(key.into(), nonce.into());
    let mut mac_key = [0; 32];
    cipher.apply_keystream(&mut mac_key);
    (cipher, Poly1305::new(&mac_key.into()))
}

/// Seals `text` in place and gives its tag.
pub(crate) fn seal(key: &[u8; 32], nonce: &[u8; 24], text: &mut [u8]) -> [u8; 16] {
    let (mut cipher, mac) = begin(key, nonce);
    cipher.apply_keystream(text);
    mac.compute_unpadded(text).into()
}

/// Opens `text` in place; says whether the tag was right, and changes nothing if it was not.
pub(crate) fn open(key: &[u8; 32], nonce: &[u8; 24], text: &mut [u8], tag: &[u8; 16]) -> bool {
    let (mut cipher, mac) = begin(key, nonce);
    let right = mac.compute_unpadded(text) == poly1305::Tag::from(*tag);
    if right {
        cipher.apply_keystream(text);
    }
    right
}
