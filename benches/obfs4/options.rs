//! The command line: which executables, which scenarios, how big.
//!
//! In: words. Out: [`Options`]. What can go wrong: an unknown word, a missing value, or no obfs4proxy to compare with,
//! said as one sentence.

use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, bail, ensure};

use crate::bridge::Subject;
use crate::scale::Scale;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Measures obfs4proxy, ouzel's obfs4 and a native copy relay in their place, in the same run.

cargo bench --bench obfs4 -- [OPTIONS]

  --only SCENARIO       repeat it for more: bulk eight rate sequence latency start idle
  --rounds N            how often each scenario is repeated
  --quick               small sizes and one round: shows that everything works
  --json                one JSON object instead of the table
  --iat-mode N          the bridge's, 0 unless said
  --ouzel PATH          another build of ouzel instead of this one; repeat it to compare several
  --module FILE         one more column: the ouzel before it, with this module as its obfs4
  --obfs4proxy PATH     what to compare with [default: /usr/bin/obfs4proxy]
  --without WHAT        leave out `relay` or `ouzel`, to save time
";

/// One identity for all: the padding is drawn from tables that the seed makes, and some seeds make tables of a single
/// length.
const IDENTITY: [(&str, &str); 3] = [
    ("node-id", "6f757a656c2d62656e63686d61726b2d69642d31"),
    (
        "private-key",
        "a8d2c57b5a4be7cf24ecb6b3c4a2f0913c6b0e5d7f8192a3b4c5d6e7f8091a62",
    ),
    (
        "drbg-seed",
        "1d0c3fa05b9a4c77e2416f8a90b3d5c7e8f1a2b3c4d5e6f7",
    ),
];

/// Everything the command line says.
pub(crate) struct Options {
    pub(crate) subjects: Vec<Subject>,
    pub(crate) scenarios: Vec<Scenario>,
    pub(crate) scale: Scale,
    pub(crate) rounds: Option<usize>,
    pub(crate) json: bool,
    reference: usize,
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scenario {
    Bulk,
    Eight,
    Rate,
    Sequence,
    Latency,
    Start,
    Idle,
}

impl Scenario {
    const ALL: [Scenario; 7] = [
        Scenario::Bulk,
        Scenario::Eight,
        Scenario::Rate,
        Scenario::Sequence,
        Scenario::Latency,
        Scenario::Start,
        Scenario::Idle,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Scenario::Bulk => "bulk",
            Scenario::Eight => "eight",
            Scenario::Rate => "rate",
            Scenario::Sequence => "sequence",
            Scenario::Latency => "latency",
            Scenario::Start => "start",
            Scenario::Idle => "idle",
        }
    }

    /// Odd, so that a median is a measurement.
    pub(crate) fn rounds(self, scale: Scale) -> usize {
        match self {
            Scenario::Idle => scale.pick(3, 1),
            _ => scale.pick(5, 1),
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
    pub(crate) fn read(mut args: impl Iterator<Item = String>) -> anyhow::Result<Option<Self>> {
        let mut scenarios = Vec::new();
        let (mut scale, mut rounds, mut json) = (Scale::Full, None, false);
        let mut iat_mode = "0".to_owned();
        let mut obfs4proxy = PathBuf::from("/usr/bin/obfs4proxy");
        let mut builds: Vec<(PathBuf, Option<String>)> = Vec::new();
        let this = PathBuf::from(env!("CARGO_BIN_EXE_ouzel"));
        let (mut relay, mut ouzel) = (true, true);
        while let Some(word) = args.next() {
            let mut value = || {
                let value = args.next();
                value.with_context(|| format!("{word} needs a value"))
            };
            match word.as_str() {
                // What `cargo bench` adds.
                "--bench" => {}
                "--help" | "-h" => return Ok(None),
                "--quick" => scale = Scale::Quick,
                "--json" => json = true,
                "--rounds" => {
                    let number = value()?.parse().ok().filter(|n| *n > 0);
                    rounds = Some(number.context("--rounds needs a number above 0")?);
                }
                "--only" => {
                    let name = value()?;
                    let known = Scenario::ALL.into_iter().find(|s| s.name() == name);
                    scenarios.push(known.with_context(|| format!("no scenario {name} (--help)"))?);
                }
                "--iat-mode" => iat_mode = value()?,
                "--obfs4proxy" => obfs4proxy = value()?.into(),
                "--ouzel" => builds.push((value()?.into(), None)),
                "--module" => {
                    let build = builds.last().map_or(&this, |(build, _)| build).clone();
                    if builds.is_empty() {
                        builds.push((build.clone(), None));
                    }
                    builds.push((build, Some(value()?)));
                }
                "--without" => match value()?.as_str() {
                    "relay" => relay = false,
                    "ouzel" => ouzel = false,
                    other => bail!("--without takes relay or ouzel, not {other}"),
                },
                other => bail!("unknown word: {other} (--help lists them)"),
            }
        }
        ensure!(
            obfs4proxy.exists(),
            "there is no {}: install Debian's obfs4proxy, or name one with --obfs4proxy PATH",
            obfs4proxy.display()
        );
        if builds.is_empty() {
            builds.push((this, None));
        }
        let mut subjects = Vec::new();
        if relay {
            subjects.push(Subject::relay()?);
        }
        let reference = subjects.len();
        subjects.push(obfs4(obfs4proxy, &iat_mode));
        if ouzel {
            for (program, module) in builds {
                let mut subject = obfs4(program, &iat_mode);
                if let Some(module) = module {
                    subject.args = vec!["--module".into(), format!("obfs4={module}").into()];
                }
                subjects.push(subject);
            }
        }
        if scenarios.is_empty() {
            scenarios = Scenario::ALL.to_vec();
        }
        Ok(Some(Options {
            subjects,
            scenarios,
            scale,
            rounds,
            json,
            reference,
        }))
    }

    /// Everything is compared with obfs4proxy.
    pub(crate) fn reference(&self) -> Option<usize> {
        Some(self.reference)
    }
}

fn obfs4(program: PathBuf, iat_mode: &str) -> Subject {
    let mut subject = Subject::pt(program, "obfs4");
    let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    subject.options = IDENTITY.map(owned).to_vec();
    subject.options.push(owned(("iat-mode", iat_mode)));
    subject
}
