//! The values of settings: each reads itself and refuses what it cannot be.
//!
//! In: what TOML or JSON has at that place. Out: a value that needs no second look. What can go wrong is a text that says
//! what was expected; the reader adds the place.

use crate::error::Severity;
use crate::pt;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The most that a command line or an environment may have; a guest keeps all of it in its memory.
const MAX_WORDS: usize = 1000;
const MAX_WORD_BYTES: usize = 64 << 10;

/// What lies in the state directory already, or will; transports must not put their files there.
const OWN_STATE: [&str; 5] = [
    "watm-cache",
    "transports",
    "replay",
    "ouzel.log",
    "quiet-close-ms",
];

/// Whether tor takes a text for the name of a transport.
pub fn is_name(text: &str) -> bool {
    pt::is_transport_name(text)
}

/// A transport's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Name(pub String);

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(name: String) -> Result<Name, String> {
        if is_name(&name) {
            return Ok(Name(name));
        }
        Err(format!(
            "{name:?} is no transport name: letters, digits and _ only, no digit first"
        ))
    }
}

/// A value that is written as a text.
pub(super) struct Word<T>(pub(super) T);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Word).map_err(D::Error::custom)
    }
}

/// A whole number within bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u64")]
pub struct Whole<const LEAST: u64, const MOST: u64>(u64);

impl<const LEAST: u64, const MOST: u64> Whole<LEAST, MOST> {
    /// The number.
    pub fn get(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl<const LEAST: u64, const MOST: u64> TryFrom<u64> for Whole<LEAST, MOST> {
    type Error = String;

    fn try_from(number: u64) -> Result<Self, String> {
        if (LEAST..=MOST).contains(&number) {
            return Ok(Whole(number));
        }
        Err(format!("{number} is out of bounds: from {LEAST} to {MOST}"))
    }
}

/// How loud a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Level(pub Severity);

impl TryFrom<String> for Level {
    type Error = String;

    fn try_from(text: String) -> Result<Level, String> {
        text.parse().map(Level)
    }
}

/// A number, or a text that has one.
enum Amount {
    Number(u64),
    Text(String),
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Amount;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or a text with a number and its unit")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Amount, E> {
                let number = u64::try_from(number);
                number
                    .map(Amount::Number)
                    .map_err(|_| E::custom("a number below zero is none here"))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Amount, E> {
                Ok(Amount::Number(number))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Amount, E> {
                Ok(Amount::Text(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// A span of time, from a second to an hour: seconds, or a text like `30s` or `1m 30s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Amount")]
pub struct Span(pub Duration);

impl TryFrom<Amount> for Span {
    type Error = String;

    fn try_from(amount: Amount) -> Result<Span, String> {
        let span = match &amount {
            Amount::Number(seconds) => Some(Duration::from_secs(*seconds)),
            Amount::Text(text) => humantime::parse_duration(text).ok(),
        };
        span.filter(|span| (1..=3600).contains(&span.as_secs()) && span.as_secs_f64() <= 3600.0)
            .map(Span)
            .ok_or_else(|| {
                "this is no time: expected one second to one hour, as seconds or like \"30s\" or \"2m\"".to_owned()
            })
    }
}

/// An amount of memory, from a megabyte to all that an address of 32 bits reaches: bytes, or a text like `64 MiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Amount")]
pub struct Size(pub usize);

impl TryFrom<Amount> for Size {
    type Error = String;

    fn try_from(amount: Amount) -> Result<Size, String> {
        let bytes = match &amount {
            Amount::Number(bytes) => Some(*bytes),
            Amount::Text(text) => size(text),
        };
        bytes
            .filter(|bytes| (1 << 20..=4 << 30).contains(bytes))
            .and_then(|bytes| usize::try_from(bytes).ok())
            .map(Size)
            .ok_or_else(|| {
                "this is no size of a memory: expected 1 MiB to 4 GiB, as bytes or like \"64 MiB\""
                    .to_owned()
            })
    }
}

fn size(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim() {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// What one instance may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Linear memory, bytes.
    pub memory: Option<Size>,
    /// Elements of all tables.
    pub table: Option<Whole<1, 10_000_000>>,
}

/// The SHA-256 that a module has to have, in hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Pin(pub String);

impl TryFrom<String> for Pin {
    type Error = String;

    fn try_from(text: String) -> Result<Pin, String> {
        if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(Pin(text.to_ascii_lowercase()));
        }
        Err(
            "this is no SHA-256: expected 64 hexadecimal digits, as sha256sum prints them"
                .to_owned(),
        )
    }
}

/// The configuration of a module, as JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct Given(pub Value);

impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match toml::Value::deserialize(deserializer)? {
            value @ (toml::Value::Table(_) | toml::Value::Array(_)) => {
                json(value).map(Given).map_err(D::Error::custom)
            }
            _ => Err(D::Error::custom(
                "config is a table, like { key = \"...\" }; a file's name goes after config-file",
            )),
        }
    }
}

fn json(value: toml::Value) -> Result<Value, &'static str> {
    Ok(match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => serde_json::Number::from_f64(number)
            .ok_or("config has a number that JSON has not: inf or nan")?
            .into(),
        toml::Value::Boolean(value) => value.into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(json).collect::<Result<_, _>>()?,
        toml::Value::Table(table) => table
            .into_iter()
            .map(|(key, value)| json(value).map(|value| (key, value)))
            .collect::<Result<serde_json::Map<_, _>, _>>()?
            .into(),
    })
}

/// The command line of an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct Argv(pub Vec<String>);

impl TryFrom<Vec<String>> for Argv {
    type Error = String;

    fn try_from(words: Vec<String>) -> Result<Argv, String> {
        check_words("argv", words.iter().map(|word| word.len() + 1))?;
        if words.iter().any(|word| word.contains('\0')) {
            return Err("argv has a NUL in it, which no command line can have".to_owned());
        }
        Ok(Argv(words))
    }
}

/// The environment of an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>")]
pub struct Environment(pub BTreeMap<String, String>);

impl TryFrom<BTreeMap<String, String>> for Environment {
    type Error = String;

    fn try_from(variables: BTreeMap<String, String>) -> Result<Environment, String> {
        let lengths = variables
            .iter()
            .map(|(name, value)| name.len() + value.len() + 2);
        check_words("env", lengths)?;
        for (name, value) in &variables {
            if name.is_empty() || name.contains(['=', '\0']) {
                return Err(format!(
                    "{name:?} is no name of a variable: not empty, without = and NUL"
                ));
            }
            if value.contains('\0') {
                return Err(format!(
                    "the variable {name} has a NUL in it, which none can have"
                ));
            }
        }
        Ok(Environment(variables))
    }
}

fn check_words(what: &str, lengths: impl ExactSizeIterator<Item = usize>) -> Result<(), String> {
    if lengths.len() > MAX_WORDS {
        return Err(format!("{what} has more than {MAX_WORDS} entries"));
    }
    if lengths.sum::<usize>() > MAX_WORD_BYTES {
        return Err(format!("{what} has more than {MAX_WORD_BYTES} bytes"));
    }
    Ok(())
}

/// Where an instance sees a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct GuestPath(pub String);

impl TryFrom<String> for GuestPath {
    type Error = String;

    fn try_from(path: String) -> Result<GuestPath, String> {
        let parts: Vec<&str> = path
            .strip_prefix('/')
            .unwrap_or_default()
            .split('/')
            .collect();
        let fine = |part: &&str| !matches!(*part, "" | "." | "..") && !part.contains('\0');
        if !parts.iter().all(fine) || path.len() > 255 {
            return Err(format!(
                "{path:?} is no path that a guest can see a folder at: expected one like \"/data\""
            ));
        }
        if matches!(parts[0], "conf" | "state" | "replay") {
            return Err(format!(
                "{path} is where ouzel puts its own files; take another, like \"/data\""
            ));
        }
        Ok(GuestPath(path))
    }
}

/// The name of a transport's file in the state directory itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct StateFile(pub String);

impl TryFrom<String> for StateFile {
    type Error = String;

    fn try_from(name: String) -> Result<StateFile, String> {
        let fine = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if name.is_empty() || name.len() > 128 || name.starts_with('.') || !name.bytes().all(fine) {
            return Err(format!(
                "{name:?} is no plain file name: letters, digits, ., _ and - only, no . first"
            ));
        }
        if OWN_STATE.contains(&&*name.to_ascii_lowercase()) {
            return Err(format!(
                "{name} is a file of ouzel's own; transports have others"
            ));
        }
        Ok(StateFile(name))
    }
}
