//! The grammar of the lines on stdout, read strictly: pt-spec 3.3 to 3.3.5.
//!
//! In: the bytes of a line, without its line feed. Out: what it says, or in what it breaks the grammar, in words for a
//! report. What tor and Arti demand beyond the grammar is left to cases: they find the parts in what is given back.

use std::net::SocketAddr;

use super::negotiation::smethod_args;

/// A lawful line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// A line of the negotiation: `VERSION` to `SMETHODS DONE`, the errors included.
    Negotiation,
    /// `LOG`.
    Log(Log),
    /// `STATUS`: its pairs in order.
    Status(Vec<(String, Text)>),
    /// A keyword that the specification does not have: lawful, and of no use to anybody.
    Unknown,
}

/// A `LOG` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The word behind `SEVERITY=`.
    pub severity: String,
    /// What stands behind `MESSAGE=`.
    pub message: Text,
}

/// A value: `String` or `CString` of control-spec 2, or a bare word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// Whether it stood in double quotes.
    pub quoted: bool,
    /// As it stood on the line, without the quotes.
    pub raw: String,
    /// The characters that stood behind backslashes; octal and hexadecimal digits are behind the first of them.
    pub escapes: Vec<String>,
}

/// The five words of pt-spec 3.3.4.
pub const SEVERITIES: [&str; 5] = ["error", "warning", "notice", "info", "debug"];

/// Reads one line.
pub fn line(bytes: &[u8]) -> Result<Said, String> {
    if let Some(wrong) = bytes.iter().find(|byte| !byte.is_ascii() || **byte == 0) {
        return Err(format!(
            "the byte {wrong:02x} is no US-ASCII character but NUL"
        ));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let (keyword, rest) = match text.split_once(' ') {
        None => (text, None),
        Some((keyword, rest)) => (keyword, Some(rest)),
    };
    let lawful = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_');
    if keyword.is_empty() || !keyword.chars().all(lawful) {
        return Err(format!("{keyword:?} is no keyword"));
    }
    if rest == Some("") {
        return Err("a blank at the end, with nothing behind it".to_owned());
    }
    let rest = rest.unwrap_or_default();
    let said = match keyword {
        "VERSION" => version(rest),
        "VERSION-ERROR" | "ENV-ERROR" | "PROXY-ERROR" => message(rest),
        "PROXY" | "CMETHODS" | "SMETHODS" => match rest {
            "DONE" => Ok(()),
            _ => Err(format!("{rest:?} in the place of DONE")),
        },
        "CMETHOD" => client_method(rest),
        "SMETHOD" => server_method(rest),
        "CMETHOD-ERROR" | "SMETHOD-ERROR" => {
            let (transport, text) = rest.split_once(' ').unwrap_or((rest, ""));
            name(transport).and_then(|()| message(text))
        }
        "LOG" => return log(rest).map(Said::Log),
        "STATUS" => return status(rest).map(Said::Status),
        _ => return Ok(Said::Unknown),
    };
    said.map(|()| Said::Negotiation)
}

/// Whether it may name a transport: a C identifier (pt-spec 3.1).
pub fn is_name(text: &str) -> bool {
    text.chars()
        .all(|char| char.is_ascii_alphanumeric() || char == '_')
        && text.starts_with(|char: char| !char.is_ascii_digit())
}

/// Whether parents may take it for a line of theirs to act upon: everything but `LOG`, `STATUS` and unknown keywords.
pub fn is_negotiation(text: &str) -> bool {
    let keyword = text.split(' ').next().unwrap_or_default();
    matches!(
        keyword,
        "VERSION"
            | "VERSION-ERROR"
            | "ENV-ERROR"
            | "PROXY"
            | "PROXY-ERROR"
            | "CMETHOD"
            | "CMETHOD-ERROR"
            | "CMETHODS"
            | "SMETHOD"
            | "SMETHOD-ERROR"
            | "SMETHODS"
    )
}

fn version(text: &str) -> Result<(), String> {
    let lawful = |char: char| char.is_ascii_graphic() && char != ',';
    if !text.is_empty() && text.chars().all(lawful) {
        return Ok(());
    }
    Err(format!("{text:?} is no version"))
}

fn message(text: &str) -> Result<(), String> {
    match text.trim() {
        "" => Err("no error message".to_owned()),
        _ => Ok(()),
    }
}

fn name(text: &str) -> Result<(), String> {
    if is_name(text) {
        return Ok(());
    }
    Err(format!("{text:?} is no name of a transport"))
}

fn client_method(rest: &str) -> Result<(), String> {
    let words: Vec<&str> = rest.split(' ').collect();
    let [transport, protocol, addr] = words[..] else {
        return Err(format!("{} words behind CMETHOD instead of 3", words.len()));
    };
    name(transport)?;
    if !matches!(protocol, "socks4" | "socks5") {
        return Err(format!("{protocol:?} is neither socks4 nor socks5"));
    }
    address(addr)
}

fn server_method(rest: &str) -> Result<(), String> {
    let words: Vec<&str> = rest.split(' ').collect();
    let [transport, addr, options @ ..] = &words[..] else {
        return Err("no address behind SMETHOD".to_owned());
    };
    name(transport)?;
    address(addr)?;
    for option in options {
        match option.strip_prefix("ARGS:") {
            None if option.is_empty() => return Err("two blanks in a row".to_owned()),
            Some(args) if smethod_args(args).is_none() => {
                return Err(format!("{args:?} is no list of <Key>=<Value>"));
            }
            _ => {}
        }
    }
    Ok(())
}

fn address(text: &str) -> Result<(), String> {
    match text.parse::<SocketAddr>() {
        Ok(addr) if addr.port() != 0 => Ok(()),
        Ok(_) => Err(format!("{text:?} has no port")),
        Err(_) => Err(format!("{text:?} is no <address:port>")),
    }
}

fn log(rest: &str) -> Result<Log, String> {
    let rest = rest
        .strip_prefix("SEVERITY=")
        .ok_or_else(|| format!("{rest:?} does not begin with SEVERITY="))?;
    let (severity, rest) = rest.split_once(' ').ok_or("nothing behind SEVERITY=")?;
    if !SEVERITIES.contains(&severity) {
        return Err(format!("{severity:?} is none of {SEVERITIES:?}"));
    }
    let rest = rest
        .strip_prefix("MESSAGE=")
        .ok_or_else(|| format!("{rest:?} does not begin with MESSAGE="))?;
    let (message, rest) = value(rest)?;
    match rest {
        "" => Ok(Log {
            severity: severity.to_owned(),
            message,
        }),
        _ => Err(format!("{rest:?} stands behind MESSAGE")),
    }
}

fn status(rest: &str) -> Result<Vec<(String, Text)>, String> {
    let mut pairs = Vec::new();
    let mut rest = rest;
    loop {
        let (key, behind) = rest
            .split_once('=')
            .ok_or_else(|| format!("{rest:?} is no <K>=<V>"))?;
        let lawful = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_');
        if key.is_empty() || !key.chars().all(lawful) {
            return Err(format!("{key:?} is no key"));
        }
        let (text, behind) = value(behind)?;
        pairs.push((key.to_owned(), text));
        rest = match behind.strip_prefix(' ') {
            Some(next) => next,
            None if behind.is_empty() => break,
            None => return Err(format!("{behind:?} stands behind a closing quote")),
        };
    }
    match pairs.len() {
        1 => Err("one pair only".to_owned()),
        _ => Ok(pairs),
    }
}

/// Reads a value up to its closing quote, or up to a blank where it has none; gives the rest as well.
fn value(text: &str) -> Result<(Text, &str), String> {
    let Some(text) = text.strip_prefix('"') else {
        let (raw, rest) = text.split_at(text.find(' ').unwrap_or(text.len()));
        if raw.is_empty() || raw.contains(['"', '\\']) {
            return Err(format!("{raw:?} is no value without quotes"));
        }
        let raw = raw.to_owned();
        return Ok((
            Text {
                quoted: false,
                raw,
                escapes: Vec::new(),
            },
            rest,
        ));
    };
    let mut escapes = Vec::new();
    let mut at = 0;
    loop {
        let length = text[at..].find(['"', '\\']).ok_or("no closing quote")?;
        at += length;
        if text[at..].starts_with('"') {
            let raw = text[..at].to_owned();
            return Ok((
                Text {
                    quoted: true,
                    raw,
                    escapes,
                },
                &text[at + 1..],
            ));
        }
        let escape = escape(&text[at + 1..]).ok_or("no closing quote")?;
        at += 1 + escape.len();
        escapes.push(escape.to_owned());
    }
}

/// What belongs to the backslash before `text`: one character, or digits.
fn escape(text: &str) -> Option<&str> {
    let digits = |radix: u32, from: usize, most: usize| {
        let count = text[from..]
            .chars()
            .take(most)
            .take_while(|char| char.is_digit(radix))
            .count();
        &text[..from + count]
    };
    match text.chars().next()? {
        '0'..='7' => Some(digits(8, 0, 3)),
        'x' => Some(digits(16, 1, 2)),
        char => Some(&text[..char.len_utf8()]),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_examples_of_the_specification_are_lawful() {
        for text in [
            "VERSION-ERROR no-version",
            "VERSION 1",
            "ENV-ERROR No TOR_PT_AUTH_COOKIE_FILE when TOR_PT_EXTENDED_SERVER_PORT set",
            "PROXY DONE",
            "PROXY-ERROR SOCKS 4 upstream proxies unsupported.",
            "CMETHOD trebuchet socks5 127.0.0.1:19999",
            "CMETHOD-ERROR trebuchet no rocks available",
            "CMETHODS DONE",
            "SMETHOD trebuchet 198.51.100.1:19999",
            "SMETHOD rot_by_N 198.51.100.1:2323 ARGS:N=13",
            "SMETHOD obfs4 [::]:1 ARGS:cert=a/b+c,iat-mode=0",
            "SMETHOD-ERROR trebuchet no cows available",
            "SMETHODS DONE",
        ] {
            assert_eq!(line(text.as_bytes()), Ok(Said::Negotiation), "{text}");
            assert!(is_negotiation(text));
        }
        for text in [
            r#"LOG SEVERITY=debug MESSAGE="Connected to bridge A""#,
            "STATUS TRANSPORT=obfs4 ADDRESS=198.51.100.123:1234 CONNECT=Success",
            r#"STATUS TRANSPORT=obfs4 CONNECT=Failed ERRSTR="Connection refused""#,
            "STATUS TYPE=version VERSION=0.8.1 IMPLEMENTATION=lyrebird",
            "X-NEW_word",
            "NEW  two blanks",
        ] {
            assert!(
                line(text.as_bytes()).is_ok(),
                "{text}: {:?}",
                line(text.as_bytes())
            );
            assert!(!is_negotiation(text));
        }
    }

    #[test]
    fn what_breaks_the_grammar_is_found() {
        for text in [
            "",
            " VERSION 1",
            "VERSION",
            "VERSION ",
            "VERSION 1 ",
            "VERSION 1\r",
            "VERSION 1,2",
            "ENV-ERROR",
            "PROXY done",
            "CMETHOD a socks5",
            "CMETHOD a socks5 127.0.0.1:0",
            "CMETHOD a socks5 localhost:9",
            "CMETHOD a  socks5 127.0.0.1:9",
            "CMETHOD 1a socks5 127.0.0.1:9",
            "CMETHOD a socks6 127.0.0.1:9",
            "CMETHOD a socks5 127.0.0.1:9 more",
            "CMETHOD-ERROR  no such transport",
            "CMETHOD-ERROR a",
            "CMETHODS DONE ",
            "SMETHOD a",
            "SMETHOD a 127.0.0.1:9 ",
            "SMETHOD a 127.0.0.1:9 ARGS:novalue",
            "LOG SEVERITY=warn MESSAGE=\"x\"",
            "LOG MESSAGE=\"x\" SEVERITY=error",
            "LOG SEVERITY=error",
            "LOG SEVERITY=error MESSAGE=",
            "LOG SEVERITY=error MESSAGE=two words",
            "LOG SEVERITY=error MESSAGE=\"open",
            "LOG SEVERITY=error MESSAGE=\"open\\\"",
            "LOG SEVERITY=error MESSAGE=\"one\" \"two\"",
            "LOG SEVERITY=error MESSAGE=\"one\" MORE=1",
            "STATUS TRANSPORT=a",
            "STATUS a b",
            "STATUS TRANSPORT=a K=",
            "STATUS TRANSPORT=\"a\"K=v",
            "2026/11/20 hello",
            "caf\u{e9} x",
            "VERSION 1\0",
        ] {
            assert!(line(text.as_bytes()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn escapes_are_told() {
        let said = line(br#"LOG SEVERITY=info MESSAGE="a\\b\"c\n\101\1z\x41\q""#);
        let Ok(Said::Log(log)) = said else {
            panic!("{said:?}");
        };
        assert!(log.message.quoted);
        assert_eq!(
            log.message.escapes,
            ["\\", "\"", "n", "101", "1", "x41", "q"]
        );
        assert_eq!(log.message.raw, r#"a\\b\"c\n\101\1z\x41\q"#);
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = line(&bytes);
        }

        #[test]
        fn any_status_or_log_is_judged(text in r#"(LOG SEVERITY=info MESSAGE=|STATUS )[ -~é"\\]{0,40}"#) {
            let _ = line(text.as_bytes());
        }
    }
}
