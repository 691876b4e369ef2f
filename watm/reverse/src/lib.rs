//! A reversible scramble: what one end changes, the other end changes back.
//!
//! For tests (a byte that comes out right went through two modules) and as the place to start a
//! transport of one's own. It is no encryption and hides nothing from anybody who looks; see
//! `scramble.rs`. Configuration: a JSON object, in which `key` (a string, the same at both ends)
//! is optional. A text that is no JSON object, or a `key` that is no string, makes init fail with
//! `INVAL`; other keys are left alone.
#![cfg_attr(target_family = "wasm", no_std)]

mod scramble;

use scramble::{Direction, Scramble, key_of};
use watm_sdk::json::{Object, Value};
use watm_sdk::{Config, Conn, Dialer, Duplex, Errno, Listener, Transport};

struct Reverse {
    key: u64,
}

impl Transport for Reverse {
    type Session = Duplex<Scramble, Scramble>;

    fn init(config: Config<'_>) -> Result<Self, Errno> {
        let key = key_from(config.read()?)?;
        Ok(Reverse { key })
    }
}

impl Dialer for Reverse {
    fn dial(&mut self, inner: Conn) -> Result<Self::Session, Errno> {
        let outer = Conn::dial_fixed()?;
        let up = Scramble::new(self.key, Direction::ClientToBridge);
        let down = Scramble::new(self.key, Direction::BridgeToClient);
        Ok(Duplex::new(inner, outer, up, down))
    }
}

impl Listener for Reverse {
    fn accept(&mut self, inner: Conn) -> Result<Self::Session, Errno> {
        let outer = Conn::accept()?;
        let up = Scramble::new(self.key, Direction::BridgeToClient);
        let down = Scramble::new(self.key, Direction::ClientToBridge);
        Ok(Duplex::new(inner, outer, up, down))
    }
}

watm_sdk::export!(Reverse: dialer, listener);

fn key_from(config: Option<&[u8]>) -> Result<u64, Errno> {
    let Some(text) = config else {
        return Ok(key_of(core::iter::empty()));
    };
    let object = Object::parse(text).map_err(|_| Errno::INVAL)?;
    match object.get("key") {
        None => Ok(key_of(core::iter::empty())),
        Some(Value::Text(key)) => Ok(key_of(key.bytes())),
        Some(_) => Err(Errno::INVAL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_optional() {
        let without = key_from(None);
        assert!(without.is_ok());
        assert_eq!(key_from(Some(b"{}")), without);
        assert_eq!(key_from(Some(br#"{"other":[1]}"#)), without);
        assert_ne!(key_from(Some(br#"{"key":"x"}"#)), without);
    }

    #[test]
    fn a_config_that_makes_no_sense_is_refused() {
        for text in [
            "",
            "key=x",
            "[]",
            r#"{"key":1}"#,
            r#"{"key":null}"#,
            r#"{"key":"x""#,
        ] {
            assert_eq!(key_from(Some(text.as_bytes())), Err(Errno::INVAL), "{text}");
        }
    }
}
