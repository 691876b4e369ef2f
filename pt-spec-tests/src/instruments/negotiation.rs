//! What an executable said up to the end of its negotiation, read leniently: cases judge, this only sorts.
//!
//! In: lines of stdout. Out: versions, methods, errors, and whether it came to `DONE`.

use std::net::SocketAddr;

use crate::verdict::{Failure, Verdict};

/// Arguments of a bridge line: pairs in order, keys may repeat.
pub type Args = Vec<(String, String)>;

/// A `CMETHOD` or `SMETHOD` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method {
    /// The transport.
    pub name: String,
    /// A client's proxy protocol (`socks5`); empty on a server.
    pub protocol: String,
    /// Where it listens.
    pub addr: SocketAddr,
    /// A server's `ARGS:`, unescaped.
    pub args: Args,
}

/// The sorted lines, up to and including the last one of the negotiation.
#[derive(Clone, Debug, Default)]
pub struct Negotiation {
    /// All lines in order, `LOG` and `STATUS` included.
    pub lines: Vec<String>,
    /// The word after `VERSION`.
    pub version: Option<String>,
    /// Usable `CMETHOD` and `SMETHOD` lines.
    pub methods: Vec<Method>,
    /// `CMETHOD-ERROR` and `SMETHOD-ERROR`: name and text.
    pub errors: Vec<(String, String)>,
    /// The first `VERSION-ERROR`, `ENV-ERROR` or `PROXY-ERROR` line.
    pub fatal: Option<String>,
    /// Whether `PROXY DONE` came.
    pub proxy_done: bool,
    /// Whether `CMETHODS DONE` or `SMETHODS DONE` came.
    pub done: bool,
    /// Whether stdout ended before the negotiation did.
    pub broken_off: bool,
}

impl Negotiation {
    /// Takes in the next line; says whether it was the last of the negotiation.
    pub fn take(&mut self, line: &str) -> bool {
        self.lines.push(line.to_owned());
        let (keyword, rest) = line.split_once(' ').unwrap_or((line, ""));
        match keyword {
            "VERSION" => {
                self.version.get_or_insert(rest.to_owned());
            }
            "CMETHOD" | "SMETHOD" => self.methods.extend(method(keyword, rest)),
            "CMETHOD-ERROR" | "SMETHOD-ERROR" => {
                let (name, text) = rest.split_once(' ').unwrap_or((rest, ""));
                self.errors.push((name.to_owned(), text.to_owned()));
            }
            "PROXY" if rest == "DONE" => self.proxy_done = true,
            "VERSION-ERROR" | "ENV-ERROR" | "PROXY-ERROR" => {
                self.fatal.get_or_insert(line.to_owned());
                return true;
            }
            "CMETHODS" | "SMETHODS" if rest == "DONE" => {
                self.done = true;
                return true;
            }
            _ => {}
        }
        false
    }

    /// The method of this name; that there is none is a deviation.
    pub fn method(&self, name: &str) -> Verdict<&Method> {
        self.methods
            .iter()
            .find(|method| method.name == name)
            .ok_or_else(|| {
                Failure::Deviation(format!(
                    "no usable method line for {name} in {:?}",
                    self.lines
                ))
            })
    }
}

/// Reads what stands behind `CMETHOD` or `SMETHOD`.
fn method(keyword: &str, rest: &str) -> Option<Method> {
    let words: Vec<&str> = rest.split(' ').collect();
    match (keyword, &words[..]) {
        ("CMETHOD", [name, protocol, addr]) => Some(Method {
            name: (*name).to_owned(),
            protocol: (*protocol).to_owned(),
            addr: addr.parse().ok()?,
            args: Args::new(),
        }),
        ("SMETHOD", [name, addr, options @ ..]) => Some(Method {
            name: (*name).to_owned(),
            protocol: String::new(),
            addr: addr.parse().ok()?,
            args: match options
                .iter()
                .find_map(|option| option.strip_prefix("ARGS:"))
            {
                Some(args) => smethod_args(args)?,
                None => Args::new(),
            },
        }),
        _ => None,
    }
}

/// Reads `k=v,k=v` with backslashes, as in pt-spec 3.3.3; `None` where a pair has no `=` or a backslash has no successor.
pub fn smethod_args(text: &str) -> Option<Args> {
    let mut args = Args::new();
    if text.is_empty() {
        return Some(args);
    }
    let mut pair: (String, Option<String>) = Default::default();
    let mut chars = text.chars();
    loop {
        let char = chars.next();
        match char {
            Some(',') | None => {
                let (key, value) = std::mem::take(&mut pair);
                args.push((key, value?));
                if char.is_none() {
                    return Some(args);
                }
            }
            Some('=') if pair.1.is_none() => pair.1 = Some(String::new()),
            Some(char) => {
                let char = if char == '\\' { chars.next()? } else { char };
                pair.1.as_mut().unwrap_or(&mut pair.0).push(char);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smethod_arguments_are_unescaped() {
        let args = smethod_args(r"a=b\,c\=d\\,e=f=g,h=").expect("well formed");
        let pairs: Vec<_> = args.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(pairs, [("a", r"b,c=d\"), ("e", "f=g"), ("h", "")]);
        assert_eq!(smethod_args(""), Some(Args::new()));
        assert_eq!(smethod_args("a=b,"), None);
        assert_eq!(smethod_args(r"a=b\"), None);
    }

    #[test]
    fn a_negotiation_ends_with_done_or_a_fatal_line() {
        let mut said = Negotiation::default();
        assert!(!said.take("VERSION 1"));
        assert!(!said.take("CMETHOD a socks5 127.0.0.1:9"));
        assert!(!said.take("CMETHOD-ERROR b no luck"));
        assert!(said.take("CMETHODS DONE"));
        assert!(said.done && said.method("a").is_ok() && said.method("b").is_err());
        assert_eq!(said.errors, [("b".to_owned(), "no luck".to_owned())]);
        assert!(Negotiation::default().take("ENV-ERROR x"));
    }
}
