//! What tor took a line for, read from its log.
//!
//! In: the lines of a replay in order, and tor's log. tor logs each line that it gets from a transport, and right
//! after it what it makes of it; so every word of tor's belongs to one line. Out: a [`Refusal`] for each line that tor
//! did not take for what it is, or had something to say about that it should not have to say.

use std::fmt;
use std::net::SocketAddr;

use crate::line::Line;

/// A line that an oracle does not take for what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The run.
    pub transcript: String,
    /// The line.
    pub line: String,
    /// The oracle's word.
    pub why: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  {}\n  {}", self.transcript, self.line, self.why)
    }
}

/// A line of tor's log with `LogMessageDomains 1`: `Nov 20 12:30:11.000 [info] {PT} function(): text`.
#[derive(Clone, Copy, Debug)]
struct Entry<'a> {
    severity: &'a str,
    domain: &'a str,
    text: &'a str,
}

impl<'a> Entry<'a> {
    fn read(line: &'a str) -> Option<Entry<'a>> {
        let (_, rest) = line.split_once(" [")?;
        let (severity, rest) = rest.split_once("] ")?;
        let (domain, text) = rest.strip_prefix('{')?.split_once("} ")?;
        Some(Entry {
            severity,
            domain,
            text,
        })
    }

    /// tor's own marks between two lines of a transport, and its end.
    fn is_next(&self) -> bool {
        self.domain == "PROCESS"
            || self.text.contains(GOT)
            || self.text.starts_with("Catching signal TERM")
    }

    /// Whether it may be about a transport's line and is for the user's eyes.
    fn is_loud(&self) -> bool {
        matches!(self.severity, "notice" | "warn" | "err")
            && matches!(self.domain, "PT" | "CONFIG" | "GENERAL")
    }
}

const GOT: &str = "Got a line from managed proxy '";

/// How tor logs that it has read a line.
pub(crate) fn got(program: &str, line: &str) -> String {
    format!("{GOT}{program}': ({line})")
}

/// Whether tor has given up on a process.
pub(crate) fn gave_up(program: &str, entry: &str) -> bool {
    entry.contains(&format!("'{program}'"))
        && (entry.contains("failed the configuration protocol and will be destroyed")
            || entry.contains("outgoing proxy and will be terminated"))
}

/// What tor has to say about a line, and nothing louder than that.
#[derive(Debug, Default)]
struct Expected {
    /// For the user: severity and text, in order.
    loud: Vec<(&'static str, String)>,
    /// At level info; the end of the text.
    quiet: Vec<String>,
}

/// How far a conversation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Launched,
    Accepting,
    Completed,
}

/// The reading of one conversation.
struct Reading<'a> {
    program: &'a str,
    phase: Phase,
    methods: Vec<(String, SocketAddr)>,
}

/// Judges one replay: `program` is what tor started, `lines` what it printed.
pub(crate) fn judge(
    transcript: &str,
    program: &str,
    lines: &[String],
    log: &[String],
) -> Vec<Refusal> {
    let entries: Vec<Entry<'_>> = log.iter().filter_map(|line| Entry::read(line)).collect();
    let mut reading = Reading {
        program,
        phase: Phase::Launched,
        methods: Vec::new(),
    };
    let mut refusals = Vec::new();
    let mut at = 0;
    for line in lines {
        let wanted = got(program, line);
        let found = entries[at..]
            .iter()
            .position(|entry| entry.domain == "PT" && entry.text.ends_with(&wanted));
        let why = match found {
            None => Err("tor never came to it".to_owned()),
            Some(found) => {
                at += found + 1;
                let said = &entries[at..];
                let end = said.iter().position(Entry::is_next).unwrap_or(said.len());
                // A line that the contract does not have is judged by tor alone: it should say nothing.
                let expected = Line::read(line).map(|line| reading.expect(line));
                compare(&expected.unwrap_or_default(), &said[..end])
            }
        };
        if let Err(why) = why {
            let (transcript, line) = (transcript.to_owned(), line.clone());
            refusals.push(Refusal {
                transcript,
                line,
                why,
            });
        }
    }
    refusals
}

fn compare(expected: &Expected, said: &[Entry<'_>]) -> Result<(), String> {
    let loud: Vec<(&str, &str)> = said
        .iter()
        .filter(|entry| entry.is_loud())
        .map(|entry| (entry.severity, entry.text))
        .collect();
    let wanted: Vec<(&str, &str)> = expected
        .loud
        .iter()
        .map(|(severity, text)| (*severity, text.as_str()))
        .collect();
    if loud != wanted {
        return Err(format!("tor said {loud:?} where {wanted:?} belongs"));
    }
    for quiet in &expected.quiet {
        if !said.iter().any(|entry| entry.text.ends_with(quiet)) {
            return Err(format!("tor did not say {quiet:?} but {said:?}"));
        }
    }
    Ok(())
}

impl Reading<'_> {
    fn expect(&mut self, line: Line) -> Expected {
        let mut expected = Expected::default();
        let warn = |text: String| ("warn", text);
        match line {
            Line::Version(_) => {
                self.phase = Phase::Accepting;
                expected
                    .quiet
                    .push(self.state("Launched -> Accepting methods"));
            }
            Line::VersionError(_) => {
                let text = "Managed proxy could not pick a configuration protocol version.";
                expected.loud = vec![warn(text.to_owned()), self.broken()];
            }
            Line::EnvError(text) => {
                // After VERSION tor gives up all the same, but says nothing of the reason.
                if self.phase == Phase::Launched {
                    expected.loud.push(warn(format!(
                        "Managed proxy couldn't understand the pluggable transport environment variables. ({text})"
                    )));
                }
                expected.loud.push(self.broken());
            }
            Line::ProxyError(text) => {
                expected.loud = vec![
                    warn(format!(
                        "Managed proxy failed to configure the pluggable transport's outgoing proxy. ({text})"
                    )),
                    self.broken(),
                ];
            }
            Line::Cmethod { name, addr, .. } => {
                expected.quiet.push(format!(
                    "Transport {name} at {addr} with SOCKS 3. Attached to managed proxy."
                ));
                self.methods.push((name, addr));
            }
            Line::Smethod { name, addr, .. } => {
                expected
                    .quiet
                    .push(format!("Server transport {name} at {addr}."));
                self.methods.push((name, addr));
            }
            Line::CmethodError { name, text } => {
                expected.loud.push(warn(format!(
                    "Client managed proxy encountered a method error. ({name} {text})"
                )));
            }
            Line::SmethodError { name, text } => {
                expected.loud.push(warn(format!(
                    "Server managed proxy encountered a method error. ({name} {text})"
                )));
            }
            Line::CmethodsDone => {
                self.done(&mut expected, "Client");
                for (name, _) in &self.methods {
                    expected
                        .quiet
                        .push(format!("Successfully registered transport {name}"));
                }
            }
            Line::SmethodsDone => {
                self.done(&mut expected, "Server");
                for (name, addr) in &self.methods {
                    let text = format!("Registered server transport '{name}' at '{addr}'");
                    expected.loud.push(("notice", text));
                }
            }
            Line::Log { severity, text } => {
                let severity = match severity.as_str() {
                    "error" => "err",
                    "warning" => "warn",
                    "notice" => "notice",
                    _ => "",
                };
                let text = format!("Managed proxy \"{}\": {text}", self.program);
                if severity.is_empty() {
                    expected.quiet.push(text);
                } else {
                    expected.loud.push((severity, text));
                }
            }
            // Anything wrong with them is said aloud; what is right is for controllers and descriptors.
            Line::ProxyDone | Line::Status(_) => {}
        }
        expected
    }

    fn done(&mut self, expected: &mut Expected, side: &str) {
        self.phase = Phase::Completed;
        let program = self.program;
        if self.methods.is_empty() {
            expected.loud.push((
                "warn",
                format!(
                    "Managed proxy '{program}' was spawned successfully, but it didn't launch any pluggable transport listeners!"
                ),
            ));
        }
        expected.quiet.push(format!(
            "{side} managed proxy '{program}' configuration completed!"
        ));
        expected.quiet.push(self.state("Configured -> Completed"));
    }

    fn state(&self, change: &str) -> String {
        format!("Managed proxy \"{}\" changed state: {change}", self.program)
    }

    fn broken(&self) -> (&'static str, String) {
        let text = format!(
            "Managed proxy at '{}' failed the configuration protocol and will be destroyed.",
            self.program
        );
        ("warn", text)
    }
}
