//! The `cert=` of a bridge line: base64 of node id and public key, the `==` at its end left out.
//!
//! In and out: the two values, and their 70 characters. What can go wrong: [`Flaw`]. What the incumbents accept is
//! accepted: they append `==` and hand it to Go's `encoding/base64`, which skips line breaks wherever they stand and
//! does not mind what the last character's four unused bits say.

use crate::fault::Flaw;
use crate::keys::{NodeId, PublicKey};

/// The characters of a certificate.
pub const LENGTH: usize = 70;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const NODE_ID: usize = 20;
const RAW: usize = NODE_ID + 32;

/// The certificate of a bridge.
#[must_use]
pub fn encode(node_id: &NodeId, public_key: &PublicKey) -> [u8; LENGTH] {
    let mut raw = [0; RAW];
    let (id, key) = raw.split_at_mut(NODE_ID);
    id.copy_from_slice(node_id.as_bytes());
    key.copy_from_slice(public_key.as_bytes());
    let mut text = [0; LENGTH];
    for (three, four) in raw.chunks(3).zip(text.chunks_mut(4)) {
        let bits = three.iter().enumerate().fold(0u32, |bits, (i, byte)| {
            bits | u32::from(*byte) << (16 - 8 * i)
        });
        for (i, character) in four.iter_mut().enumerate() {
            *character = ALPHABET[(bits >> (18 - 6 * i)) as usize & 63];
        }
    }
    text
}

/// What a certificate says.
pub fn decode(text: &[u8]) -> Result<(NodeId, PublicKey), Flaw> {
    let characters = || text.iter().filter(|byte| !matches!(byte, b'\r' | b'\n'));
    if !characters().all(|character| value(*character).is_some()) {
        return Err(Flaw::NotBase64);
    }
    let found = characters().count();
    if found != LENGTH {
        return Err(Flaw::CertLength { found });
    }
    let mut raw = [0; RAW];
    let mut bits = 0u32;
    let mut filled = 0;
    let mut bytes = raw.iter_mut();
    for character in characters() {
        bits = bits << 6 | u32::from(value(*character).unwrap_or(0));
        filled += 6;
        if filled >= 8
            && let Some(byte) = bytes.next()
        {
            filled -= 8;
            *byte = (bits >> filled) as u8;
        }
    }
    let mut id = [0; NODE_ID];
    let mut key = [0; RAW - NODE_ID];
    id.copy_from_slice(&raw[..NODE_ID]);
    key.copy_from_slice(&raw[NODE_ID..]);
    Ok((NodeId::from_bytes(id), PublicKey::from_bytes(key)))
}

fn value(character: u8) -> Option<u8> {
    Some(match character {
        b'A'..=b'Z' => character - b'A',
        b'a'..=b'z' => character - b'a' + 26,
        b'0'..=b'9' => character - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hex;
    use proptest::prelude::*;

    // Announced by obfs4proxy 0.0.14, with the state that it kept.
    const CERT: &[u8; LENGTH] =
        b"sSPcPnwKqAgWarFrWuQNQLsOLH1V3TIEbLyiO4nfqdhp1h3OKNXe5PDwRPSztHKMFAbbSA";
    const ID: &[u8] = b"b123dc3e7c0aa808166ab16b5ae40d40bb0e2c7d";
    const KEY: &[u8] = b"55dd32046cbca23b89dfa9d869d61dce28d5dee4f0f044f4b3b4728c1406db48";

    fn parts() -> ([u8; 20], [u8; 32]) {
        (
            hex::decode(ID.iter().copied(), false).expect("hex"),
            hex::decode(KEY.iter().copied(), false).expect("hex"),
        )
    }

    fn decoded(text: &[u8]) -> Result<([u8; 20], [u8; 32]), Flaw> {
        decode(text).map(|(id, key)| (*id.as_bytes(), *key.as_bytes()))
    }

    #[test]
    fn as_obfs4proxy_announces_it() {
        let (id, key) = parts();
        let (node_id, public_key) = (NodeId::from_bytes(id), PublicKey::from_bytes(key));
        assert_eq!(&encode(&node_id, &public_key), CERT);
        assert_eq!(decoded(CERT), Ok((id, key)));
    }

    #[test]
    fn line_breaks_and_unused_bits_do_not_matter() {
        let mut broken = b"\r\n".to_vec();
        broken.extend(&CERT[..33]);
        broken.extend(b"\n");
        broken.extend(&CERT[33..]);
        broken.extend(b"\n");
        assert_eq!(decoded(&broken), Ok(parts()));
        let mut odd = *CERT;
        odd[LENGTH - 1] = b'P';
        assert_eq!(decoded(&odd), Ok(parts()));
    }

    #[test]
    fn what_is_none_is_refused() {
        assert_eq!(decoded(b""), Err(Flaw::CertLength { found: 0 }));
        assert_eq!(decoded(&CERT[..69]), Err(Flaw::CertLength { found: 69 }));
        let mut padded = CERT.to_vec();
        padded.extend(b"==");
        assert_eq!(decoded(&padded), Err(Flaw::NotBase64));
        for foreign in [b'-', b'_', b' ', b'=', b'\\', 0, 0xff] {
            let mut text = *CERT;
            text[7] = foreign;
            assert_eq!(decoded(&text), Err(Flaw::NotBase64), "{foreign}");
        }
    }

    proptest! {
        #[test]
        fn there_and_back(id: [u8; 20], key: [u8; 32]) {
            let text = encode(&NodeId::from_bytes(id), &PublicKey::from_bytes(key));
            prop_assert_eq!(decoded(&text), Ok((id, key)));
        }

        #[test]
        fn nothing_makes_it_panic(text in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = decoded(&text);
        }
    }
}
