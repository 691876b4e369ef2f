//! The configuration file: a JSON object of a bridge line's arguments, or of a bridge's options.
//!
//! In: `/conf/watm.cfg`. Out: the values of the keys that obfs4 knows; other keys are left alone. What can go wrong is
//! told in one line on stderr, and is `INVAL`.

use obfs4_core::arguments::ClientArguments;
use obfs4_core::fault::Fault;
use watm_sdk::json::{Object, Value};
use watm_sdk::{Config, Errno, refuse};
use zeroize::Zeroize;

/// The longest value: a private key has 64 digits, and what is too long is to be told how long it is.
const MAX_VALUE: usize = 256;

const KEYS: [&str; 6] = [
    "cert",
    "node-id",
    "public-key",
    "private-key",
    "drbg-seed",
    "iat-mode",
];
const DIST_BIAS: &str = "dist-bias";

/// What the configuration says.
pub(crate) struct Configuration {
    values: [Option<Text>; KEYS.len()],
    /// Whether tables are weighed as ScrambleSuit does.
    pub(crate) is_biased: bool,
}

struct Text {
    bytes: [u8; MAX_VALUE],
    len: usize,
}

impl Drop for Text {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl Text {
    fn of(bytes: impl Iterator<Item = u8>) -> Option<Text> {
        let mut text = Text {
            bytes: [0; MAX_VALUE],
            len: 0,
        };
        for byte in bytes {
            *text.bytes.get_mut(text.len)? = byte;
            text.len += 1;
        }
        Some(text)
    }
}

impl Configuration {
    /// Reads the file; none is an empty one.
    pub(crate) fn read(config: Config<'_>) -> Result<Configuration, Errno> {
        let mut read = Configuration {
            values: [const { None }; KEYS.len()],
            is_biased: false,
        };
        let Some(text) = config.read()? else {
            return Ok(read);
        };
        let not_json: [&[u8]; 1] = [b"the configuration is not one JSON object"];
        let object = Object::parse(text).map_err(|_| refuse(&not_json))?;
        for (key, place) in KEYS.iter().zip(&mut read.values) {
            *place = match object.get(key) {
                None => None,
                Some(Value::Text(text)) => Text::of(text.bytes()),
                Some(Value::Number(digits)) => Text::of(digits.iter().copied()),
                Some(_) => return Err(refuse(&[key.as_bytes(), b" must be a text"])),
            };
            if place.is_none() && object.get(key).is_some() {
                return Err(refuse(&[
                    key.as_bytes(),
                    b" is too long: copy the whole bridge line",
                ]));
            }
        }
        // A flag of the incumbents, and no argument: whatever else stands there is left alone, as they do.
        read.is_biased = match object.get(DIST_BIAS) {
            Some(Value::Bool(is_biased)) => is_biased,
            Some(Value::Text(text)) => text.is("true"),
            _ => false,
        };
        Ok(read)
    }

    /// The value of a key that obfs4 knows.
    pub(crate) fn get(&self, key: &str) -> Option<&[u8]> {
        let at = KEYS.iter().position(|known| *known == key)?;
        let text = self.values[at].as_ref()?;
        Some(&text.bytes[..text.len])
    }

    /// The bridge of a client.
    pub(crate) fn bridge(&self) -> Result<ClientArguments, Errno> {
        ClientArguments::parse(|key| self.get(key)).map_err(|fault| refused(&fault))
    }
}

/// Tells what is wrong.
pub(crate) fn refused(fault: &Fault) -> Errno {
    refuse(&[fault.text().as_bytes()])
}
