//! The name that this program was called by.
//!
//! In: the first word of the command line. Out: what it is to be like. A symlink `obfs4proxy` or `lyrebird` that leads here
//! stands where that program stood: its log has the name that people look for, its level is counted as there, and its exit
//! statuses are the ones that scripts know.

use crate::error::Severity;
use std::ffi::OsStr;
use std::path::Path;

/// Who is expected here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Called {
    /// This program.
    Ouzel,
    /// One whose place it has taken, which has this name.
    InPlaceOf(&'static str),
}

impl Called {
    /// Who is meant by the first word.
    pub(super) fn by(word: Option<&OsStr>) -> Called {
        let name = word.and_then(|word| Path::new(word).file_name());
        let name = name.and_then(OsStr::to_str).unwrap_or_default();
        match name.strip_suffix(".exe").unwrap_or(name) {
            "obfs4proxy" => Called::InPlaceOf("obfs4proxy"),
            "lyrebird" => Called::InPlaceOf("lyrebird"),
            _ => Called::Ouzel,
        }
    }

    /// The name in messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Called::Ouzel => "ouzel",
            Called::InPlaceOf(name) => name,
        }
    }

    /// The name of its log in the state directory.
    pub(super) fn log_name(self) -> &'static str {
        match self {
            Called::Ouzel => "ouzel.log",
            Called::InPlaceOf("lyrebird") => "lyrebird.log",
            Called::InPlaceOf(_) => "obfs4proxy.log",
        }
    }

    /// The quietest line in its log where the command line names this level, or none; `None`: the one for all.
    ///
    /// The others tell a failed connection at ERROR, a failed handshake at WARN and their own start at any level. Here these
    /// are warnings, notices and notices.
    pub(super) fn file_level(self, named: Option<Severity>) -> Option<Severity> {
        match (self, named.unwrap_or(Severity::Error)) {
            (Called::Ouzel, _) => None,
            (_, Severity::Error) => Some(Severity::Warning),
            (_, Severity::Warning) => Some(Severity::Notice),
            (_, other) => Some(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_name_counts() {
        let by = |word: &str| Called::by(Some(word.as_ref()));
        assert_eq!(by("/usr/bin/obfs4proxy"), Called::InPlaceOf("obfs4proxy"));
        assert_eq!(by("lyrebird"), Called::InPlaceOf("lyrebird"));
        assert_eq!(by("lyrebird.exe"), Called::InPlaceOf("lyrebird"));
        for other in ["ouzel", "/opt/lyrebird/ouzel", "obfs4proxy-old", ""] {
            assert_eq!(by(other), Called::Ouzel, "{other}");
        }
        assert_eq!(Called::by(None), Called::Ouzel);
    }
}
