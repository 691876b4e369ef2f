//! A line as the contract has it (pt-spec 3.3), read without the help of either oracle.
//!
//! In: one line of a transport's stdout, without its end. Out: what it says, or why it is no line that both oracles
//! could read the same way. It is stricter than either: no escapes in texts, one space between words, ASCII.

use std::net::SocketAddr;

/// The five severities of `LOG` (pt-spec 3.3.4).
pub const SEVERITIES: [&str; 5] = ["error", "warning", "notice", "info", "debug"];

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the variants are the contract's keywords, the fields its words"
)]
pub enum Line {
    Version(String),
    VersionError(String),
    EnvError(String),
    ProxyDone,
    ProxyError(String),
    Cmethod {
        name: String,
        protocol: String,
        addr: SocketAddr,
    },
    CmethodError {
        name: String,
        text: String,
    },
    CmethodsDone,
    Smethod {
        name: String,
        addr: SocketAddr,
        args: Vec<(String, String)>,
    },
    SmethodError {
        name: String,
        text: String,
    },
    SmethodsDone,
    Log {
        severity: String,
        text: String,
    },
    Status(Vec<(String, String)>),
}

impl Line {
    /// Reads a line.
    pub fn read(line: &str) -> Result<Line, String> {
        if let Some(odd) = line.chars().find(|c| !matches!(c, ' '..='~')) {
            return Err(format!("{odd:?} is not printable ASCII"));
        }
        let (keyword, rest) = line.split_once(' ').unwrap_or((line, ""));
        if rest.is_empty() {
            return Err(format!("there is nothing after {keyword:?}"));
        }
        let text = rest.to_owned();
        Ok(match (keyword, rest) {
            ("VERSION", _) => Line::Version(text),
            ("VERSION-ERROR", _) => Line::VersionError(text),
            ("ENV-ERROR", _) => Line::EnvError(text),
            ("PROXY", "DONE") => Line::ProxyDone,
            ("PROXY-ERROR", _) => Line::ProxyError(text),
            ("CMETHOD", _) => cmethod(rest)?,
            ("CMETHOD-ERROR", _) => {
                let (name, text) = named(rest)?;
                Line::CmethodError { name, text }
            }
            ("CMETHODS", "DONE") => Line::CmethodsDone,
            ("SMETHOD", _) => smethod(rest)?,
            ("SMETHOD-ERROR", _) => {
                let (name, text) = named(rest)?;
                Line::SmethodError { name, text }
            }
            ("SMETHODS", "DONE") => Line::SmethodsDone,
            ("LOG", _) => log(rest)?,
            ("STATUS", _) => status(rest)?,
            _ => return Err(format!("{keyword:?} is no keyword of the contract")),
        })
    }

    /// Whether the process is to exit after it, and a parent to give up on it.
    pub fn is_fatal(&self) -> bool {
        matches!(
            self,
            Line::VersionError(_) | Line::EnvError(_) | Line::ProxyError(_)
        )
    }

    /// The variant's name: there are thirteen kinds of lines.
    pub fn kind(&self) -> &'static str {
        match self {
            Line::Version(_) => "VERSION",
            Line::VersionError(_) => "VERSION-ERROR",
            Line::EnvError(_) => "ENV-ERROR",
            Line::ProxyDone => "PROXY DONE",
            Line::ProxyError(_) => "PROXY-ERROR",
            Line::Cmethod { .. } => "CMETHOD",
            Line::CmethodError { .. } => "CMETHOD-ERROR",
            Line::CmethodsDone => "CMETHODS DONE",
            Line::Smethod { .. } => "SMETHOD",
            Line::SmethodError { .. } => "SMETHOD-ERROR",
            Line::SmethodsDone => "SMETHODS DONE",
            Line::Log { .. } => "LOG",
            Line::Status(_) => "STATUS",
        }
    }

    /// The transport that it is about.
    pub fn transport(&self) -> Option<&str> {
        match self {
            Line::Cmethod { name, .. }
            | Line::CmethodError { name, .. }
            | Line::Smethod { name, .. }
            | Line::SmethodError { name, .. } => Some(name),
            Line::Status(pairs) => {
                let transport = pairs.iter().find(|(key, _)| key == "TRANSPORT")?;
                Some(&transport.1)
            }
            _ => None,
        }
    }
}

fn cmethod(rest: &str) -> Result<Line, String> {
    let [name, protocol, addr] = words(rest)?;
    Ok(Line::Cmethod {
        name: method_name(name)?,
        protocol: protocol.to_owned(),
        addr: address(addr)?,
    })
}

fn smethod(rest: &str) -> Result<Line, String> {
    let (name, rest) = named(rest)?;
    let (addr, args) = match rest.split_once(' ') {
        None => (rest.as_str(), None),
        Some((addr, options)) => {
            let args = options.strip_prefix("ARGS:").ok_or("no ARGS: in front")?;
            (addr, Some(args))
        }
    };
    Ok(Line::Smethod {
        name,
        addr: address(addr)?,
        args: args.map_or(Ok(Vec::new()), arguments)?,
    })
}

/// `key=value,key=value`, with `\` before any character that is meant literally (pt-spec 3.3.3).
fn arguments(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut pairs = Vec::new();
    let (mut key, mut word) = (None, String::new());
    let mut chars = text.chars();
    loop {
        match (chars.next(), &key) {
            (Some('\\'), _) => word.push(chars.next().ok_or("a lone backslash at the end")?),
            (Some('='), None) => key = Some(std::mem::take(&mut word)),
            (Some('='), Some(_)) => return Err("an unescaped = in a value".to_owned()),
            (Some(' '), _) => return Err("a space in ARGS".to_owned()),
            (end @ (Some(',') | None), Some(_)) => {
                let key = key.take().unwrap_or_default();
                pairs.push((key, std::mem::take(&mut word)));
                if end.is_none() {
                    return Ok(pairs);
                }
            }
            (Some(',') | None, None) => return Err("an argument without =".to_owned()),
            (Some(c), _) => word.push(c),
        }
    }
}

/// Always in quotes, which tor wants, and with nothing in them that one of the two would read differently.
fn log(rest: &str) -> Result<Line, String> {
    let (severity, message) = rest
        .strip_prefix("SEVERITY=")
        .and_then(|rest| rest.split_once(" MESSAGE="))
        .ok_or("it is not SEVERITY=… MESSAGE=…")?;
    if !SEVERITIES.contains(&severity) {
        return Err(format!("{severity:?} is no severity"));
    }
    let text = message
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .ok_or("the message is not in quotes")?;
    if text.is_empty() || text.contains(['"', '\\']) {
        return Err("the message is empty or needs an escape".to_owned());
    }
    Ok(Line::Log {
        severity: severity.to_owned(),
        text: text.to_owned(),
    })
}

fn status(rest: &str) -> Result<Line, String> {
    let pair = |word: &str| {
        let (key, value) = word.split_once('=').ok_or("a STATUS item without =")?;
        if key.is_empty() || value.is_empty() || value.contains(['"', '\\']) {
            return Err(format!("{word:?} is no plain STATUS item"));
        }
        Ok((key.to_owned(), value.to_owned()))
    };
    rest.split(' ')
        .map(pair)
        .collect::<Result<_, _>>()
        .map(Line::Status)
}

fn words<const N: usize>(rest: &str) -> Result<[&str; N], String> {
    let words: Vec<&str> = rest.split(' ').collect();
    words
        .try_into()
        .map_err(|words: Vec<_>| format!("{} words where {N} belong", words.len()))
}

fn named(rest: &str) -> Result<(String, String), String> {
    let (name, rest) = rest.split_once(' ').ok_or("nothing after the name")?;
    if rest.is_empty() {
        return Err("nothing after the name".to_owned());
    }
    Ok((method_name(name)?, rest.to_owned()))
}

/// pt-spec 3.1.
fn method_name(name: &str) -> Result<String, String> {
    let mut chars = name.chars();
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
    match chars.next() {
        Some(first) if !first.is_ascii_digit() && good(first) && chars.all(good) => {
            Ok(name.to_owned())
        }
        _ => Err(format!("{name:?} is no method name")),
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let addr: SocketAddr = text
        .parse()
        .map_err(|_| format!("{text:?} is no address and port"))?;
    match addr.port() {
        0 => Err("port 0".to_owned()),
        _ => Ok(addr),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_arguments_are_read_as_they_were_meant() {
        let pairs = arguments(r"a\,b\=c=\=\,\\,k=").unwrap();
        let expected = [("a,b=c", r"=,\"), ("k", "")];
        assert_eq!(pairs, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
        for bad in ["", "a", "a=b=c", "a=b,", r"a=b\", "a=b c=d"] {
            assert!(arguments(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_the_contract_does_not_have_is_no_line() {
        for bad in [
            "",
            "HELLO",
            "HELLO you",
            "VERSION",
            "CMETHOD a socks5 localhost:1",
            "CMETHOD a  socks5 127.0.0.1:1",
            "CMETHOD a-b socks5 127.0.0.1:1",
            "CMETHOD a socks5 127.0.0.1:0",
            "CMETHODS DONE NOW",
            "LOG WARN x",
            r#"LOG SEVERITY=warn MESSAGE="x""#,
            r#"LOG SEVERITY=error MESSAGE="a"b""#,
            "LOG SEVERITY=error MESSAGE=x",
            "STATUS x",
            "ENV-ERROR \u{e9}",
        ] {
            assert!(Line::read(bad).is_err(), "{bad}");
        }
    }
}
