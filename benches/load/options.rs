//! The command line: which executables, which scenarios, how big.
//!
//! In: words. Out: [`Options`]. What can go wrong: an unknown word or a missing value, said as one
//! sentence.

use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, bail};

use crate::bridge::Subject;
use crate::scale::Scale;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Plays tor on both sides of a pluggable transport and measures it beside a native copy relay.

cargo bench --bench load -- [OPTIONS] [PT].. [SCENARIO]..

PT (default: this build of ouzel with the transport plain; repeat for more):
  --pt PATH             an executable; what follows belongs to it
  --transport NAME      its transport
  --pt-arg WORD         a word for its command line
  --server-options K=V;K=V

SCENARIO (default: all): bulk duplex slow rate latency start idle

OPTIONS
  --quick               small sizes and few rounds: shows that everything works
  --rounds N            how often each scenario is repeated
  --no-reference        leave the copy relay out
  --json                one JSON object instead of the table
";

/// Everything the command line says.
pub(crate) struct Options {
    pub(crate) subjects: Vec<Subject>,
    pub(crate) scenarios: Vec<Scenario>,
    pub(crate) scale: Scale,
    pub(crate) rounds: Option<usize>,
    pub(crate) json: bool,
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scenario {
    Bulk,
    Duplex,
    Slow,
    Rate,
    Latency,
    Start,
    Idle,
}

impl Scenario {
    const ALL: [Scenario; 7] = [
        Scenario::Bulk,
        Scenario::Duplex,
        Scenario::Slow,
        Scenario::Rate,
        Scenario::Latency,
        Scenario::Start,
        Scenario::Idle,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Scenario::Bulk => "bulk",
            Scenario::Duplex => "duplex",
            Scenario::Slow => "slow",
            Scenario::Rate => "rate",
            Scenario::Latency => "latency",
            Scenario::Start => "start",
            Scenario::Idle => "idle",
        }
    }

    /// Odd, so that a median is a measurement. The counts of `idle` hardly vary, and it is long.
    pub(crate) fn rounds(self, scale: Scale) -> usize {
        match self {
            Scenario::Idle | Scenario::Slow => 1,
            Scenario::Duplex => scale.pick(3, 1),
            Scenario::Bulk | Scenario::Rate | Scenario::Latency => scale.pick(5, 1),
            Scenario::Start => scale.pick(9, 3),
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Options {
    /// Reads the command line; `None` if it asks for help.
    pub(crate) fn read(args: impl Iterator<Item = String>) -> anyhow::Result<Option<Self>> {
        let mut options = Options {
            subjects: Vec::new(),
            scenarios: Vec::new(),
            scale: Scale::Full,
            rounds: None,
            json: false,
        };
        let mut reference = true;
        let mut args = args.peekable();
        while let Some(word) = args.next() {
            let mut value = || {
                let value = args.next();
                value.with_context(|| format!("{word} needs a value"))
            };
            match word.as_str() {
                // What `cargo bench` adds.
                "--bench" => {}
                "--help" | "-h" => return Ok(None),
                "--quick" => options.scale = Scale::Quick,
                "--json" => options.json = true,
                "--no-reference" => reference = false,
                "--rounds" => {
                    let rounds = value()?.parse().ok().filter(|n| *n > 0);
                    options.rounds = Some(rounds.context("--rounds needs a number above 0")?);
                }
                "--pt" => options
                    .subjects
                    .push(Subject::pt(PathBuf::from(value()?), "plain")),
                "--transport" => options.last().transport = value()?,
                "--pt-arg" => options.last().args.push(value()?.into()),
                "--server-options" => options.last().options = pairs(&value()?)?,
                name => match Scenario::ALL.into_iter().find(|s| s.name() == name) {
                    Some(scenario) => options.scenarios.push(scenario),
                    None => bail!("unknown word: {name} (--help lists them)"),
                },
            }
        }
        options.last();
        if reference {
            options.subjects.push(Subject::relay()?);
        }
        if options.scenarios.is_empty() {
            options.scenarios = Scenario::ALL.to_vec();
        }
        Ok(Some(options))
    }

    /// Everything is compared with the relay.
    pub(crate) fn reference(&self) -> Option<usize> {
        self.subjects.iter().position(|subject| subject.is_relay)
    }

    /// The executable that a word belongs to: the last one named, or ouzel as it was just built.
    fn last(&mut self) -> &mut Subject {
        if self.subjects.is_empty() {
            let program = PathBuf::from(env!("CARGO_BIN_EXE_ouzel"));
            self.subjects.push(Subject::pt(program, "plain"));
        }
        self.subjects.last_mut().expect("one was just added")
    }
}

fn pairs(text: &str) -> anyhow::Result<Vec<(String, String)>> {
    let items = text.split(';').filter(|item| !item.is_empty());
    let pairs = items.map(|item| {
        let pair = item
            .split_once('=')
            .map(|(k, v)| (k.to_owned(), v.to_owned()));
        pair.with_context(|| format!("--server-options: no = in {item}"))
    });
    pairs.collect()
}
