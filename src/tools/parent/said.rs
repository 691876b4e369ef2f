//! What a pluggable transport says on its stdout, understood as strictly as tor does.
//!
//! In: lines. Out: a [`Record`] of methods, errors, logs, and whether it is ready. What can go wrong:
//! a line for which tor would kill the executable; the record keeps the first of those.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

/// A transport that the executable has launched: a `CMETHOD` or `SMETHOD` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method {
    /// The method name.
    pub name: String,
    /// Where it listens.
    pub addr: SocketAddr,
    /// A server's `ARGS:`, unescaped: what belongs on the bridge line.
    pub args: Vec<(String, String)>,
}

/// A `LOG` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// One of tor's five words.
    pub severity: String,
    /// The message, unquoted.
    pub message: String,
}

/// Everything an executable has said so far. The lists keep their newest [`KEPT`] entries.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// Every line of stdout.
    pub stdout: VecDeque<String>,
    /// Every line of stderr.
    pub stderr: VecDeque<String>,
    /// The `LOG` lines.
    pub logs: VecDeque<Log>,
    /// The text of the `STATUS` lines.
    pub statuses: VecDeque<String>,
    /// What was launched.
    pub methods: Vec<Method>,
    /// `CMETHOD-ERROR` and `SMETHOD-ERROR`: name and text.
    pub errors: Vec<(String, String)>,
    version: bool,
    proxy_done: bool,
    pub(super) done: Option<Instant>,
    pub(super) fatal: Option<(Cause, String)>,
}

/// How many lines of each kind a [`Record`] keeps.
pub const KEPT: usize = 4096;

/// Why a launch failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The executable could not be started at all.
    Spawn,
    /// It said `VERSION-ERROR`, `ENV-ERROR` or `PROXY-ERROR`.
    Refused,
    /// It broke the protocol: tor would kill it.
    Protocol,
    /// It ended before its `DONE` line.
    Ended,
    /// No `DONE` line within the time limit.
    Silent,
}

impl Record {
    /// Whether the `DONE` line has been read.
    pub fn is_done(&self) -> bool {
        self.done.is_some()
    }

    /// Takes one line as tor's `handle_proxy_line` does.
    pub(super) fn take_stdout(&mut self, line: String, kind: char, proxy: bool) {
        if let Err(what) = self.understand(&line, kind, proxy)
            && self.fatal.is_none()
        {
            self.fatal = Some(what);
        }
        keep(&mut self.stdout, line);
    }

    fn understand(&mut self, line: &str, kind: char, proxy: bool) -> Result<(), (Cause, String)> {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let broken = |why: &str| Err((Cause::Protocol, format!("{why}: {line}")));
        let (keyword, rest) = line.split_once(' ').unwrap_or((line, ""));
        let own = keyword.strip_prefix(kind);
        match (keyword, own) {
            ("VERSION-ERROR" | "ENV-ERROR" | "PROXY-ERROR", _) => {
                return Err((Cause::Refused, line.to_owned()));
            }
            ("LOG", _) => match parse_log(rest) {
                Some(log) => keep(&mut self.logs, log),
                None => return broken("tor rejects this LOG line"),
            },
            ("STATUS", _) => keep(&mut self.statuses, rest.to_owned()),
            ("VERSION", _) if self.version => return broken("a second VERSION"),
            ("VERSION", _) if rest != "1" => return broken("a version that tor does not speak"),
            ("VERSION", _) => self.version = true,
            ("PROXY", _) if rest == "DONE" && proxy => self.proxy_done = true,
            (_, Some("METHOD" | "METHOD-ERROR" | "METHODS")) if !self.version => {
                return broken("before VERSION");
            }
            (_, Some("METHOD" | "METHOD-ERROR" | "METHODS")) if self.done.is_some() => {
                return broken("after DONE");
            }
            (_, Some("METHOD")) => match parse_method(rest, kind) {
                Some(method) => self.methods.push(method),
                None => return broken("malformed"),
            },
            (_, Some("METHOD-ERROR")) => {
                let (name, text) = rest.split_once(' ').unwrap_or((rest, ""));
                self.errors.push((name.to_owned(), text.to_owned()));
            }
            (_, Some("METHODS")) if proxy && !self.proxy_done => {
                return broken("no PROXY DONE for the proxy given");
            }
            (_, Some("METHODS")) if rest == "DONE" => self.done = Some(Instant::now()),
            // Unknown lines are noticed and otherwise ignored.
            _ => {}
        }
        Ok(())
    }
}

/// `name socks5 ip:port` of a client, `name ip:port [ARGS:…]` of a server.
fn parse_method(rest: &str, kind: char) -> Option<Method> {
    let mut words = rest.split(' ');
    let name = words.next()?;
    if kind == 'C' && words.next()? != "socks5" {
        return None;
    }
    let addr: SocketAddr = words.next()?.parse().ok()?;
    let args = match words.next().map(|word| word.strip_prefix("ARGS:")) {
        Some(Some(args)) => parse_args(args)?,
        _ => Vec::new(),
    };
    (addr.port() != 0 && !name.is_empty()).then(|| Method {
        name: name.to_owned(),
        addr,
        args,
    })
}

/// `k=v,k=v` with backslashes before `,`, `=` and `\` (pt-spec 3.3.3).
fn parse_args(text: &str) -> Option<Vec<(String, String)>> {
    let mut args = Vec::new();
    let (mut key, mut word) = (None, String::new());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => word.push(chars.next()?),
            '=' if key.is_none() => key = Some(std::mem::take(&mut word)),
            ',' => args.push((key.take()?, std::mem::take(&mut word))),
            c => word.push(c),
        }
    }
    match key {
        Some(key) => args.push((key, word)),
        None if word.is_empty() && args.is_empty() => {}
        None => return None,
    }
    Some(args)
}

/// `SEVERITY=word MESSAGE="…"`, strictly: the order and the words that every parent takes.
fn parse_log(rest: &str) -> Option<Log> {
    let (severity, message) = rest.strip_prefix("SEVERITY=")?.split_once(" MESSAGE=")?;
    if !["error", "warning", "notice", "info", "debug"].contains(&severity) {
        return None;
    }
    let message = match message.strip_prefix('"') {
        Some(quoted) => unquote(quoted.strip_suffix('"')?)?,
        None if message.contains(' ') => return None,
        None => message.to_owned(),
    };
    Some(Log {
        severity: severity.to_owned(),
        message,
    })
}

/// The inside of a CString (control-spec 2.1.1); octal and hex escapes are single bytes.
fn unquote(text: &str) -> Option<String> {
    let (mut out, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'\\' {
            if byte == b'"' {
                return None;
            }
            out.push(byte);
            continue;
        }
        let (&escaped, tail) = rest.split_first()?;
        rest = tail;
        let number = |digits: &[u8], radix| {
            let digits = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, radix).ok()
        };
        out.push(match escaped {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'x' => {
                rest = tail.get(2..)?;
                number(&tail[..2], 16)?
            }
            b'0'..=b'7' => {
                let length = tail
                    .iter()
                    .take(2)
                    .take_while(|b| b.is_ascii_digit())
                    .count();
                rest = &tail[length..];
                let start = text.len() - tail.len() - 1;
                number(&text.as_bytes()[start..start + 1 + length], 8)?
            }
            other => other,
        });
    }
    String::from_utf8(out).ok()
}

/// Adds to a list, dropping the oldest of too many.
pub(super) fn keep<T>(list: &mut VecDeque<T>, item: T) {
    if list.len() == KEPT {
        list.pop_front();
    }
    list.push_back(item);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: char, proxy: bool, lines: &[&str]) -> Record {
        let mut record = Record::default();
        for line in lines {
            record.take_stdout((*line).to_owned(), kind, proxy);
        }
        record
    }

    fn fatal(kind: char, proxy: bool, lines: &[&str]) -> Option<Cause> {
        record(kind, proxy, lines).fatal.map(|(cause, _)| cause)
    }

    #[test]
    fn a_server_with_arguments_becomes_ready() {
        let lines = [
            "VERSION 1",
            "STATUS TRANSPORT=a TYPE=version",
            "something unknown",
            r"SMETHOD a [::1]:9 ARGS:cert=x\=\,\\y,iat-mode=0",
            "SMETHOD-ERROR b no such file",
            "SMETHODS DONE",
            r#"LOG SEVERITY=notice MESSAGE="it\'s \"up\"\n\101\x42 \7.""#,
        ];
        let record = record('S', false, &lines);
        assert!(record.is_done());
        assert_eq!(record.fatal, None);
        assert_eq!(record.stdout.len(), lines.len());
        let args = [("cert", r"x=,\y"), ("iat-mode", "0")];
        let args = args.map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(record.methods[0].args, args);
        assert_eq!(record.methods[0].addr.to_string(), "[::1]:9");
        assert_eq!(record.errors[0].1, "no such file");
        assert_eq!(record.logs[0].message, "it's \"up\"\nAB \u{7}.");
    }

    #[test]
    fn what_tor_would_kill_for_is_fatal() {
        let version = "VERSION 1";
        let cases: [&[&str]; 11] = [
            &["VERSION 2"],
            &[version, version],
            &["CMETHOD a socks5 127.0.0.1:1"],
            &[version, "CMETHOD a socks5 127.0.0.1:0"],
            &[version, "CMETHOD a transparent-TCP 127.0.0.1:1"],
            &[version, "CMETHOD a socks5 localhost:1"],
            &[version, "CMETHODS DONE", "CMETHODS DONE"],
            &[version, "CMETHODS DONE", "CMETHOD a socks5 127.0.0.1:1"],
            &["LOG WARN text"],
            &["LOG SEVERITY=warn MESSAGE=text"],
            &["LOG SEVERITY=info MESSAGE=two words"],
        ];
        for lines in cases {
            assert_eq!(fatal('C', false, lines), Some(Cause::Protocol), "{lines:?}");
        }
        let refusals = [
            "VERSION-ERROR no-version",
            "ENV-ERROR x",
            "PROXY-ERROR no such thing",
        ];
        for line in refusals {
            assert_eq!(fatal('C', true, &[line]), Some(Cause::Refused), "{line}");
        }
    }

    #[test]
    fn a_proxy_must_be_acknowledged_before_done() {
        let unasked = ["VERSION 1", "CMETHODS DONE"];
        assert_eq!(fatal('C', true, &unasked), Some(Cause::Protocol));
        assert_eq!(fatal('C', false, &unasked), None);
        let asked = ["VERSION 1", "PROXY DONE", "CMETHODS DONE"];
        assert_eq!(fatal('C', true, &asked), None);
    }

    #[test]
    fn malformed_arguments_are_no_arguments() {
        for text in ["a", "a=b,c", "a=b,", r"a=b\"] {
            assert_eq!(parse_args(text), None, "{text}");
        }
        assert_eq!(parse_args(""), Some(Vec::new()));
    }

    #[test]
    fn the_oldest_lines_go_first() {
        let mut list = VecDeque::new();
        for n in 0..KEPT + 3 {
            keep(&mut list, n);
        }
        assert_eq!((list.len(), list[0]), (KEPT, 3));
    }
}
