//! NaCl's published values ("Cryptography in NaCl", sections 8 and 9), and RustCrypto's keystream.

use super::{GROUP, Key, Stream, VECTORS};
use proptest::prelude::*;
use salsa20::XSalsa20;
use salsa20::cipher::{KeyIvInit, StreamCipher};
use sha2::{Digest, Sha256};

const SHARED: [u8; 32] = [
    0x4a, 0x5d, 0x9d, 0x5b, 0xa4, 0xce, 0x2d, 0xe1, 0x72, 0x8e, 0x3b, 0xf4, 0x80, 0x35, 0x0f, 0x25,
    0xe0, 0x7e, 0x21, 0xc9, 0x47, 0xd1, 0x9e, 0x33, 0x76, 0xf0, 0x9b, 0x3c, 0x1e, 0x16, 0x17, 0x42,
];
const FIRST: [u8; 32] = [
    0x1b, 0x27, 0x55, 0x64, 0x73, 0xe9, 0x85, 0xd4, 0x62, 0xcd, 0x51, 0x19, 0x7a, 0x9a, 0x46, 0xc7,
    0x60, 0x09, 0x54, 0x9e, 0xac, 0x64, 0x74, 0xf2, 0x06, 0xc4, 0xee, 0x08, 0x44, 0xf6, 0x83, 0x89,
];
const SECOND: [u8; 32] = [
    0xdc, 0x90, 0x8d, 0xda, 0x0b, 0x93, 0x44, 0xa9, 0x53, 0x62, 0x9b, 0x73, 0x38, 0x20, 0x77, 0x88,
    0x80, 0xf3, 0xce, 0xb4, 0x21, 0xbb, 0x61, 0xb9, 0x1c, 0xbd, 0x4c, 0x3e, 0x66, 0x25, 0x6c, 0xe4,
];
const PREFIX: [u8; 16] = [
    0x69, 0x69, 0x6e, 0xe9, 0x55, 0xb6, 0x2b, 0x73, 0xcd, 0x62, 0xbd, 0xa8, 0x75, 0xfc, 0x73, 0xd6,
];
const SUFFIX: [u8; 8] = [0x82, 0x19, 0xe0, 0x03, 0x6b, 0x7a, 0x0b, 0x37];

/// So many groups of keystream, with a note of how often there was room for other work.
fn keystream(key: &Key, nonce: [u8; 8], groups: usize) -> (Vec<u8>, usize) {
    let mut stream = Stream::new(key, nonce);
    let mut bytes = vec![0; groups * GROUP];
    let mut rooms = 0;
    for group in bytes.as_chunks_mut::<GROUP>().0 {
        let mut expected = 0;
        let vectors: [_; VECTORS] = stream.group(|i| {
            assert_eq!(i, expected);
            expected += 1;
            rooms += 1;
        });
        for (vector, bytes) in vectors.into_iter().zip(group.as_chunks_mut().0) {
            vector.write(bytes);
        }
    }
    (bytes, rooms)
}

#[test]
fn subkeys_are_nacl_s() {
    let first = Key::new(&SHARED).subkey(&[0; 16]);
    assert_eq!(first.0, Key::new(&FIRST).0);
    assert_eq!(first.subkey(&PREFIX).0, Key::new(&SECOND).0);
}

#[test]
fn four_mebibytes_are_nacl_s() {
    let (stream, rooms) = keystream(&Key::new(&SECOND), SUFFIX, (4 << 20) / GROUP);
    assert_eq!(rooms, 20 * (4 << 20) / GROUP);
    let digest: [u8; 32] = Sha256::digest(&stream).into();
    let expected = [
        0x66, 0x2b, 0x9d, 0x0e, 0x34, 0x63, 0x02, 0x91, 0x56, 0x06, 0x9b, 0x12, 0xf9, 0x18, 0x69,
        0x1a, 0x98, 0xf7, 0xdf, 0xb2, 0xca, 0x03, 0x93, 0xc9, 0x6b, 0xbf, 0xc6, 0xb1, 0xfb, 0xd6,
        0x30, 0xa2,
    ];
    assert_eq!(digest, expected);
}

proptest! {
    #[test]
    fn any_key_and_nonce_give_rustcrypto_s_stream(key: [u8; 32], nonce: [u8; 24], groups in 1..8_usize) {
        let (prefix, suffix) = nonce.split_first_chunk().expect("24 bytes");
        let subkey = Key::new(&key).subkey(prefix);
        let (ours, _) = keystream(&subkey, suffix.try_into().expect("eight are left"), groups);
        let mut theirs = vec![0; groups * GROUP];
        XSalsa20::new(&key.into(), &nonce.into()).apply_keystream(&mut theirs);
        prop_assert_eq!(ours, theirs);
    }
}
