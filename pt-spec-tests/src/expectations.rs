//! The expectation file of an executable: how to test it, and the deviations that are known, each with its reason.
//!
//! In: TOML. Out: defaults for the command line, and reasons by id. What can go wrong: a key, an id or a reason that is
//! not one, each told with its line. A file can become untrue in one way that only a run shows: a deviation that it
//! lists does not happen any more. Such an entry is *stale* and fails the run, so that the list only ever says what is.
//! What an executable does in some runs only is listed apart, as *unsteady*, and counts as a deviation in all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use toml::Spanned;

use crate::ledger;
use crate::report::{Finding, Judgement};
use crate::runner::{Observation, Observed};

/// The largest file that is read: hundreds of times what a list of reasons needs.
const LARGEST: u64 = 1 << 20;

/// What a file says, or nothing at all where there is none.
#[derive(Debug, Default)]
pub struct Expectations {
    /// Where it was read.
    pub file: PathBuf,
    /// The `[subject]` table.
    pub subject: SubjectTable,
    reasons: BTreeMap<String, String>,
    /// Those that happen in some runs only.
    unsteady: BTreeSet<String>,
}

/// Defaults for the command line; what is given there goes first.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SubjectTable {
    /// What reports call it.
    pub name: Option<String>,
    /// `--pt`.
    pub pt: Option<String>,
    /// `--transport`.
    pub transport: Option<String>,
    /// `--server-options`.
    pub server_options: Option<String>,
    /// `--only`.
    pub only: Option<Only>,
    /// `--args`.
    pub args: Option<String>,
    /// The argument vector of a command whose first line of output is the version.
    pub version_command: Option<Vec<String>>,
}

/// The sides that are tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Only {
    /// Client and server, whatever the expectation file says.
    Both,
    /// The client side.
    Client,
    /// The server side.
    Server,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    subject: SubjectTable,
    #[serde(default)]
    deviations: BTreeMap<Spanned<String>, Spanned<String>>,
    #[serde(default)]
    unsteady: BTreeMap<Spanned<String>, Spanned<String>>,
}

impl Expectations {
    /// Reads a file.
    pub fn read(file: &Path) -> Result<Expectations> {
        let size = std::fs::metadata(file)
            .with_context(|| file.display().to_string())?
            .len();
        if size > LARGEST {
            bail!("{}: larger than {LARGEST} bytes", file.display());
        }
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let mut read = Expectations::parse(&text).with_context(|| file.display().to_string())?;
        read.file = file.to_owned();
        Ok(read)
    }

    /// Reads a text.
    pub fn parse(text: &str) -> Result<Expectations> {
        let document: Document = toml::from_str(text)?;
        let mut reasons = BTreeMap::new();
        let mut unsteady = BTreeSet::new();
        let steady = document.deviations.into_iter().map(|entry| (entry, true));
        let others = document.unsteady.into_iter().map(|entry| (entry, false));
        for ((id, reason), steady) in steady.chain(others) {
            let line = line_of(text, id.span().start);
            let id = id.into_inner();
            if ledger::find(&id).is_none() {
                match ledger::closest(&id) {
                    Some(meant) => {
                        bail!("line {line}: no case has the id '{id}'; did you mean '{meant}'?")
                    }
                    None => bail!("line {line}: no case has the id '{id}'; `list` shows every id"),
                }
            }
            let reason = reason.into_inner();
            if reason.trim().is_empty() {
                bail!("line {line}: '{id}' needs a reason");
            }
            if !steady {
                unsteady.insert(id.clone());
            }
            if let Some(first) = reasons.insert(id, reason) {
                bail!("line {line}: the case has a reason already: {first:?}");
            }
        }
        Ok(Expectations {
            file: PathBuf::new(),
            subject: document.subject,
            reasons,
            unsteady,
        })
    }

    /// The reason given for a deviation.
    pub fn reason(&self, id: &str) -> Option<&str> {
        self.reasons.get(id).map(String::as_str)
    }

    /// Puts what was seen beside what was expected.
    pub fn judge(&self, seen: Observed) -> Finding {
        let reason = self.reason(seen.entry.case.id);
        let mut evidence = match &seen.observation {
            Observation::Pass | Observation::Interface3 => String::new(),
            Observation::Deviation(text)
            | Observation::NotApplicable(text)
            | Observation::Error(text) => text.clone(),
            Observation::Outside(why) => (*why).to_owned(),
        };
        let judgement = match (&seen.observation, reason) {
            (Observation::Error(_), _) => Judgement::Error,
            (Observation::Deviation(_), Some(_)) => Judgement::Expected,
            (Observation::Pass, Some(_)) if self.unsteady.contains(seen.entry.case.id) => {
                Judgement::Expected
            }
            (Observation::Deviation(_), None) => Judgement::Deviation,
            (Observation::Pass, None) => Judgement::Pass,
            (Observation::NotApplicable(_), None) => Judgement::NotApplicable,
            (Observation::Interface3, None) => Judgement::Interface3,
            (Observation::Outside(_), None) => Judgement::Outside,
            (other, Some(_)) => {
                let now = match other {
                    Observation::Pass => "now passes".to_owned(),
                    Observation::NotApplicable(why) => format!("is not applicable ({why})"),
                    _ => "is never run".to_owned(),
                };
                evidence = format!("{now}: remove it from {}", self.file.display());
                Judgement::Stale
            }
        };
        Finding {
            entry: seen.entry,
            judgement,
            evidence,
            reason: reason.unwrap_or_default().to_owned(),
            story: seen.story,
            leftovers: seen.leftovers,
            took: seen.took,
        }
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text
        .bytes()
        .take(offset)
        .filter(|byte| *byte == b'\n')
        .count()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ledger::Entry;

    fn first() -> Entry {
        ledger::entries()
            .find(|entry| entry.case.runs())
            .expect("some case runs")
    }

    fn seen(observation: Observation) -> Observed {
        Observed {
            entry: first(),
            observation,
            story: String::new(),
            leftovers: Vec::new(),
            took: Duration::ZERO,
        }
    }

    fn error(text: &str) -> String {
        format!(
            "{:#}",
            Expectations::parse(text).expect_err("the text is wrong")
        )
    }

    #[test]
    fn a_file_gives_defaults_and_reasons() {
        let id = first().case.id;
        let text = format!(
            "[subject]\nname = \"x (1)\"\npt = \"/bin/x -v\"\nonly = \"client\"\nversion-command = [\"x\", \"-V\"]\n\
             [deviations]\n\"{id}\" = \"because\"\n"
        );
        let read = Expectations::parse(&text).expect("well formed");
        assert_eq!(read.subject.name.as_deref(), Some("x (1)"));
        assert_eq!(read.subject.only, Some(Only::Client));
        assert_eq!(read.reason(id), Some("because"));
        assert_eq!(read.reason("pt-0/else"), None);
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        assert!(error("[subject]\nnmae = \"x\"\n").contains("line 2"));
        assert!(error("[subjects]\n").contains("line 1"));
        let slip = format!("{}x", first().case.id);
        let told = error(&format!("\n[deviations]\n\"{slip}\" = \"because\"\n"));
        assert!(told.contains("line 3"), "{told}");
        assert!(
            told.contains(&format!("did you mean '{}'", first().case.id)),
            "{told}"
        );
        let told = error(&format!("[deviations]\n\"{}\" = \" \"\n", first().case.id));
        assert!(
            told.contains("line 2") && told.contains("needs a reason"),
            "{told}"
        );
    }

    #[test]
    fn a_listed_deviation_is_expected_and_anything_else_of_it_is_stale() {
        let text = format!("[deviations]\n\"{}\" = \"because\"\n", first().case.id);
        let mut listed = Expectations::parse(&text).expect("well formed");
        listed.file = "x.toml".into();
        let judge = |observation| listed.judge(seen(observation));

        let expected = judge(Observation::Deviation("seen".to_owned()));
        assert_eq!(expected.judgement, Judgement::Expected);
        assert_eq!(
            (expected.evidence.as_str(), expected.reason.as_str()),
            ("seen", "because")
        );

        let stale = judge(Observation::Pass);
        assert_eq!(stale.judgement, Judgement::Stale);
        assert_eq!(stale.evidence, "now passes: remove it from x.toml");

        let gone = judge(Observation::NotApplicable("no server".to_owned()));
        assert_eq!(gone.judgement, Judgement::Stale);
        let broken = judge(Observation::Error("no strace".to_owned()));
        assert_eq!(broken.judgement, Judgement::Error);
    }

    #[test]
    fn without_a_file_a_deviation_is_one() {
        let none = Expectations::default();
        let judge = |observation| none.judge(seen(observation)).judgement;
        assert_eq!(judge(Observation::Pass), Judgement::Pass);
        assert_eq!(
            judge(Observation::Deviation(String::new())),
            Judgement::Deviation
        );
        assert_eq!(
            judge(Observation::NotApplicable(String::new())),
            Judgement::NotApplicable
        );
    }

    #[test]
    fn what_happens_sometimes_is_expected_either_way() {
        let text = format!("[unsteady]\n\"{}\" = \"a race\"", first().case.id);
        let file = Expectations::parse(&text).expect("well formed");
        for observation in [Observation::Pass, Observation::Deviation("x".to_owned())] {
            let finding = file.judge(Observed {
                entry: first(),
                observation,
                story: String::new(),
                leftovers: Vec::new(),
                took: Duration::ZERO,
            });
            assert_eq!(finding.judgement, Judgement::Expected);
        }
        let twice = format!(
            "[deviations]\n\"{0}\" = \"a\"\n[unsteady]\n\"{0}\" = \"b\"",
            first().case.id
        );
        assert!(Expectations::parse(&twice).is_err());
    }
}
