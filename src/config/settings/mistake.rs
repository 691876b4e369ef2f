//! What is wrong with a file of settings, in one sentence that says where.
//!
//! In: the errors of the TOML and JSON readers, and the text that they are about. Out: `FILE:LINE:COLUMN: what is wrong`,
//! for a key that does not exist with the one that was meant, or else with those that there are.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What is wrong with a file of settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Mistake {
    file: PathBuf,
    at: Option<(usize, usize)>,
    what: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        match self.at {
            Some((line, column)) => write!(f, "{file}:{line}:{column}: {}", self.what),
            None => write!(f, "{file} {}", self.what),
        }
    }
}

impl Mistake {
    /// About the file as a whole; the text continues "FILE ...".
    pub fn whole(what: &str, file: &Path) -> Mistake {
        Mistake {
            file: file.to_owned(),
            at: None,
            what: what.to_owned(),
        }
    }

    /// About the place that many bytes into the text.
    pub fn at(offset: usize, what: &str, text: &str, file: &Path) -> Mistake {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        Mistake {
            file: file.to_owned(),
            at: Some((before.matches('\n').count() + 1, line.chars().count() + 1)),
            what: what.to_owned(),
        }
    }

    /// The same with what to do about it.
    pub(super) fn with(mut self, remedy: &str) -> Mistake {
        self.what = format!("{}; {remedy}", self.what);
        self
    }

    pub(super) fn unreadable(error: &io::Error, file: &Path) -> Mistake {
        let what = match error.kind() {
            io::ErrorKind::NotFound => "does not exist; check the path after --config".to_owned(),
            io::ErrorKind::InvalidInput => "is no regular file; name one".to_owned(),
            io::ErrorKind::IsADirectory => "is a directory; name the file in it".to_owned(),
            _ => format!(
                "cannot be read ({error}); check its permissions, and under Debian's tor its AppArmor profile (it allows \
                 /etc/tor)"
            ),
        };
        Mistake::whole(&what, file)
    }

    pub(super) fn of_toml(error: &toml::de::Error, text: &str, file: &Path) -> Mistake {
        let what = sentence(error.message());
        match error.span() {
            Some(span) => Mistake::at(span.start, &what, text, file),
            None => Mistake::whole(&format!("is not good: {what}"), file),
        }
    }

    pub(super) fn of_json(error: &serde_json::Error, file: &Path) -> Mistake {
        let text = error.to_string();
        let message = text.rsplit_once(" at line ").map_or(&*text, |(it, _)| it);
        Mistake {
            file: file.to_owned(),
            at: Some((error.line(), error.column().max(1))),
            what: sentence(message),
        }
    }
}

/// One line, and for a key that does not exist what to write.
fn sentence(message: &str) -> String {
    let mut words = message.split('`').skip(1).step_by(2);
    if message.starts_with("unknown field `")
        && let Some(unknown) = words.next()
    {
        let known: Vec<&str> = words.collect();
        return match meant(unknown, &known) {
            Some(key) => format!("there is no key {unknown:?}; did you mean {key:?}?"),
            None => format!(
                "there is no key {unknown:?} here; there are {}",
                known.join(", ")
            ),
        };
    }
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The name that was probably meant.
fn meant<'a>(unknown: &str, known: &[&'a str]) -> Option<&'a str> {
    let wanted = unknown.to_lowercase();
    let far = |name: &str| strsim::damerau_levenshtein(&wanted, &name.to_lowercase());
    let nearest = known.iter().copied().min_by_key(|name| far(name))?;
    if far(nearest) <= (wanted.chars().count() / 3).max(1) {
        return Some(nearest);
    }
    let part = |name: &&&str| wanted.len() > 2 && name.contains(&wanted);
    known.iter().find(part).copied()
}
