//! A client's arguments, from a bridge line.
//!
//! In: a look-up of arguments by name, the first of each (contract of the pluggable transports: the first one counts).
//! Out: [`ClientArguments`]. What can go wrong: [`Fault`], which names the argument. `cert=` comes before the older form,
//! `node-id=` with `public-key=`, which then is not looked at; `iat-mode=` has to be there.

use crate::cert;
use crate::fault::{Fault, Flaw, Place};
use crate::hex;
use crate::keys::{NodeId, PublicKey};

/// What a client has to know of a bridge.
pub struct ClientArguments {
    /// The bridge's identity; with its public key, the key of the marks.
    pub node_id: NodeId,
    /// The bridge's public key.
    pub public_key: PublicKey,
    /// How this end shapes what it sends.
    pub iat_mode: IatMode,
}

/// How the times and sizes of writes are disguised.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IatMode {
    /// 0: not at all, padding aside.
    None,
    /// 1: full segments, a delay after each.
    Enabled,
    /// 2: segments of sampled sizes, a delay after each.
    Paranoid,
}

impl IatMode {
    /// Its number.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            IatMode::None => 0,
            IatMode::Enabled => 1,
            IatMode::Paranoid => 2,
        }
    }

    /// What a number says, spelled as Go's `strconv.Atoi` takes it: `+1` and `002` are numbers, `0x1` and `1_0` are not.
    pub(crate) fn parse(text: &[u8]) -> Result<IatMode, Flaw> {
        let digits = match text.split_first() {
            Some((b'+' | b'-', rest)) => rest,
            _ => text,
        };
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return Err(Flaw::Mode);
        }
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        match (&digits[zeros..], text[0] == b'-') {
            (b"", _) => Ok(IatMode::None),
            (b"1", false) => Ok(IatMode::Enabled),
            (b"2", false) => Ok(IatMode::Paranoid),
            _ => Err(Flaw::Mode),
        }
    }
}

impl ClientArguments {
    /// Reads the arguments that `get` knows.
    pub fn parse<'a>(get: impl Fn(&str) -> Option<&'a [u8]>) -> Result<ClientArguments, Fault> {
        let fault = |name| move |flaw| Place::BridgeLine.fault(name, flaw);
        let (node_id, public_key) = match (get("cert"), get("node-id"), get("public-key")) {
            (Some(text), _, _) => cert::decode(text).map_err(fault("cert"))?,
            (None, None, None) => return Err(fault("cert")(Flaw::Missing)),
            (None, node_id, public_key) => (
                NodeId::from_bytes(digits(node_id).map_err(fault("node-id"))?),
                PublicKey::from_bytes(digits(public_key).map_err(fault("public-key"))?),
            ),
        };
        let iat_mode = get("iat-mode")
            .ok_or(Flaw::Missing)
            .and_then(IatMode::parse)
            .map_err(fault("iat-mode"))?;
        Ok(ClientArguments {
            node_id,
            public_key,
            iat_mode,
        })
    }
}

fn digits<const N: usize>(text: Option<&[u8]>) -> Result<[u8; N], Flaw> {
    hex::decode(text.ok_or(Flaw::Missing)?.iter().copied(), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CERT: &str = "sSPcPnwKqAgWarFrWuQNQLsOLH1V3TIEbLyiO4nfqdhp1h3OKNXe5PDwRPSztHKMFAbbSA";
    const ID: &str = "b123dc3e7c0aa808166ab16b5ae40d40bb0e2c7d";
    const KEY: &str = "55DD32046cbca23b89dfa9d869d61dce28d5dee4f0f044f4b3b4728c1406DB48";

    type Read = ([u8; 20], [u8; 32], u8);

    fn parse(arguments: &[(&str, &str)]) -> Result<Read, Fault> {
        let get = |name: &str| {
            arguments
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value.as_bytes())
        };
        ClientArguments::parse(get).map(|read| {
            let mode = read.iat_mode.number();
            (*read.node_id.as_bytes(), *read.public_key.as_bytes(), mode)
        })
    }

    fn refused(arguments: &[(&str, &str)]) -> (&'static str, Flaw) {
        let fault = parse(arguments).expect_err("refused");
        assert_eq!(fault.place, Place::BridgeLine);
        (fault.name, fault.flaw)
    }

    #[test]
    fn both_forms_say_the_same() {
        let mode = ("iat-mode", "1");
        let new = parse(&[("cert", CERT), mode]).expect("cert");
        assert_eq!(
            parse(&[("node-id", ID), ("public-key", KEY), mode]),
            Ok(new)
        );
        assert_eq!(new.2, 1);
        let ignored = ("node-id", "not looked at");
        assert_eq!(parse(&[ignored, ("cert", CERT), mode]), Ok(new));
    }

    #[test]
    fn what_is_missing_is_named() {
        let mode = ("iat-mode", "0");
        assert_eq!(refused(&[]), ("cert", Flaw::Missing));
        assert_eq!(refused(&[mode]), ("cert", Flaw::Missing));
        assert_eq!(
            refused(&[("node-id", ID), mode]),
            ("public-key", Flaw::Missing)
        );
        assert_eq!(
            refused(&[("public-key", KEY), mode]),
            ("node-id", Flaw::Missing)
        );
        assert_eq!(refused(&[("cert", CERT)]), ("iat-mode", Flaw::Missing));
    }

    #[test]
    fn what_is_malformed_is_named() {
        let mode = ("iat-mode", "0");
        let short = Flaw::CertLength { found: 68 };
        assert_eq!(refused(&[("cert", &CERT[..68]), mode]), ("cert", short));
        // A broken cert= is not made up for by the older form.
        assert_eq!(
            refused(&[("cert", ""), ("node-id", ID), ("public-key", KEY), mode]),
            ("cert", Flaw::CertLength { found: 0 })
        );
        let found = Flaw::HexLength {
            found: 39,
            digits: 40,
        };
        assert_eq!(
            refused(&[("node-id", &ID[..39]), ("public-key", KEY), mode]),
            ("node-id", found)
        );
        assert_eq!(
            refused(&[("node-id", ID), ("public-key", CERT), mode]),
            ("public-key", Flaw::NotHex { digits: 64 })
        );
    }

    #[test]
    fn modes_are_spelled_as_go_spells_numbers() {
        for (text, mode) in [
            ("0", IatMode::None),
            ("-0", IatMode::None),
            ("000", IatMode::None),
            ("+1", IatMode::Enabled),
            ("00000000000000000000000001", IatMode::Enabled),
            ("02", IatMode::Paranoid),
        ] {
            assert_eq!(IatMode::parse(text.as_bytes()), Ok(mode), "{text}");
        }
        for text in [
            "", "+", "-", "--1", "-1", "3", "10", "1.0", "0x1", "1_0", " 1", "1 ", "0 1",
            "\u{0661}",
        ] {
            assert_eq!(IatMode::parse(text.as_bytes()), Err(Flaw::Mode), "{text}");
        }
    }
}
