//! Why a guest refuses, in its own words: the last line that it wrote to its standard error before it did.
//!
//! In: writes to descriptor 2. Out: one line of bounded length, if the guest had not met anybody yet: then the words are its
//! author's. Later they may carry a peer's bytes, and stay untold. Addresses and the values of the configuration are
//! struck out, as from every line.

use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr};

/// The longest line: names an argument, the form expected and the remedy.
const LINE: usize = 200;
/// The most of one write that is looked at, its end: the last line is the one that counts.
const LOOK: usize = 4 << 10;
/// Shorter values are `0`, `tcp` or `yes`, and are not told apart from a guest's own words.
const SECRET: usize = 4;
/// Words of a configuration that is no JSON, where nobody knows what is a value.
const OPAQUE_SECRET: usize = 8;

const STRUCK: &str = "[scrubbed]";

/// The end of what a guest has written to its standard error.
#[derive(Debug, Default)]
pub(super) struct LastWords {
    line: Vec<u8>,
    last: Vec<u8>,
    /// Nobody will ask any more.
    closed: bool,
}

impl LastWords {
    /// Takes what was written.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        if self.closed {
            return;
        }
        let end = &bytes[bytes.len().saturating_sub(LOOK)..];
        let mut pieces = end.split(|&byte| byte == b'\n');
        self.keep(pieces.next().unwrap_or_default());
        for piece in pieces {
            self.end_line();
            self.keep(piece);
        }
    }

    /// Forgets it all: what comes next has reasons of its own.
    pub(super) fn forget(&mut self) {
        self.line.clear();
        self.last.clear();
    }

    /// Forgets it all, and hears no more.
    pub(super) fn close(&mut self) {
        *self = LastWords {
            closed: true,
            ..LastWords::default()
        };
    }

    /// The last line, with what `conf` and `env` hold struck out.
    pub(super) fn told(&mut self, conf: Option<&[u8]>, env: &[(String, String)]) -> Option<String> {
        self.end_line();
        let text = String::from_utf8_lossy(&self.last).replace(char::is_control, " ");
        let text = without_addresses(text.trim());
        let text = without_values(text, conf.unwrap_or_default(), env);
        (!text.is_empty()).then_some(text)
    }

    fn keep(&mut self, piece: &[u8]) {
        let kept = piece.len().min(LINE - self.line.len());
        self.line.extend(&piece[..kept]);
    }

    fn end_line(&mut self) {
        if !self.line.trim_ascii().is_empty() {
            std::mem::swap(&mut self.line, &mut self.last);
        }
        self.line.clear();
    }
}

/// Addresses in any surroundings: with ports, in URLs, in brackets, with a zone.
fn without_addresses(text: &str) -> String {
    let is_of_address = |c: char| c.is_ascii_hexdigit() || matches!(c, '.' | ':');
    let mut told = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_of_address) {
        let (before, run) = rest.split_at(start);
        let end = run.find(|c| !is_of_address(c)).unwrap_or(run.len());
        let (run, after) = run.split_at(end);
        told.push_str(before);
        // A part of a word is none.
        let stands_alone =
            !before.ends_with(char::is_alphanumeric) && !after.starts_with(char::is_alphanumeric);
        if stands_alone && holds_address(run) {
            told.push_str(STRUCK);
            told.push_str(&run[run.trim_end_matches(['.', ':']).len()..]);
        } else {
            told.push_str(run);
        }
        rest = after;
    }
    told + rest
}

/// Whether digits, dots and colons are an address, with or without something behind it.
fn holds_address(run: &str) -> bool {
    let run = run.trim_end_matches(['.', ':']);
    let is_v6 = run.parse::<IpAddr>().is_ok();
    is_v6 || run.split(':').any(|part| part.parse::<Ipv4Addr>().is_ok())
}

fn without_values(mut text: String, conf: &[u8], env: &[(String, String)]) -> String {
    let mut values: Vec<String> = env
        .iter()
        .map(|(_, value)| value.clone())
        .filter(|value| value.len() >= SECRET)
        .collect();
    match serde_json::from_slice(conf) {
        Ok(json) => collect(json, &mut values),
        Err(_) => {
            let conf = String::from_utf8_lossy(conf);
            let words = conf.split_whitespace();
            values.extend(
                words
                    .filter(|word| word.len() >= OPAQUE_SECRET)
                    .map(str::to_owned),
            );
        }
    }
    // The longest first: one value may be part of another.
    values.sort_unstable_by_key(|value| std::cmp::Reverse(value.len()));
    for value in values {
        text = text.replace(&value, STRUCK);
    }
    text
}

fn collect(json: Value, values: &mut Vec<String>) {
    match json {
        Value::String(text) if text.len() >= SECRET => values.push(text),
        Value::Array(all) => all.into_iter().for_each(|json| collect(json, values)),
        Value::Object(all) => all.into_iter().for_each(|(_, json)| collect(json, values)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(writes: &[&str], conf: &str) -> Option<String> {
        let mut words = LastWords::default();
        for write in writes {
            words.take(write.as_bytes());
        }
        let env = [("TOKEN".to_owned(), "of-the-environment".to_owned())];
        words.told(Some(conf.as_bytes()), &env)
    }

    #[test]
    fn the_last_line_counts() {
        assert_eq!(told(&[], ""), None);
        assert_eq!(told(&["\n \n"], ""), None);
        assert_eq!(
            told(&["first\n", "key= ", "missing"], "").as_deref(),
            Some("key= missing")
        );
        assert_eq!(
            told(&["first\nkey= missing\n\n"], "").as_deref(),
            Some("key= missing")
        );
        assert_eq!(told(&["\x1b[31mred\r\n"], "").as_deref(), Some("[31mred"));
    }

    #[test]
    fn a_flood_is_bounded_and_its_end_heard() {
        let flood = "x".repeat(1 << 20);
        assert_eq!(told(&[&flood], ""), Some("x".repeat(LINE)));
        assert_eq!(told(&[&flood, "\nend\n"], "").as_deref(), Some("end"));
        assert_eq!(
            told(&[&format!("{flood}\nend")], "").as_deref(),
            Some("end")
        );
        let mut words = LastWords::default();
        words.take(b"before");
        words.close();
        words.take(b"after");
        assert_eq!(words.told(None, &[]), None);
    }

    #[test]
    fn addresses_and_values_are_struck_out() {
        let conf = r#"{"cert":"SECRETCERT","more":["SECRETCERTIFICATE",{"a":"swordfish"}],"iat-mode":"0"}"#;
        for (said, expected) in [
            ("iat-mode=0 is swordfish", "iat-mode=0 is [scrubbed]"),
            (
                "not SECRETCERTIFICATE, SECRETCERT",
                "not [scrubbed], [scrubbed]",
            ),
            (
                "no 192.0.2.1:443, (2001:db8::1) [2001:db8::1]:80",
                "no [scrubbed], ([scrubbed]) [[scrubbed]]:80",
            ),
            (
                "dial tcp 192.0.2.1:443: no, https://192.0.2.1:443/x <192.0.2.1> 192.0.2.1/24",
                "dial tcp [scrubbed]: no, https://[scrubbed]/x <[scrubbed]> [scrubbed]/24",
            ),
            (
                "addr=192.0.2.1:443:80 fe80::1%eth0 tcp://[2001:db8::1]:443",
                "addr=[scrubbed] [scrubbed]%eth0 tcp://[[scrubbed]]:443",
            ),
            (
                "in std::io, at 12:30:01, dead",
                "in std::io, at 12:30:01, dead",
            ),
            ("not of-the-environment", "not [scrubbed]"),
            ("/state/key: has 3 bytes", "/state/key: has 3 bytes"),
            ("cert= missing: copy it", "cert= missing: copy it"),
        ] {
            assert_eq!(told(&[said], conf).as_deref(), Some(expected));
        }
        assert_eq!(
            told(&["not swordfish"], "key = swordfish").as_deref(),
            Some("not [scrubbed]")
        );
    }
}
