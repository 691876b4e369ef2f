//! What a case found out.

use std::fmt;
use std::io;

/// `Ok` when the requirement is kept.
pub type Verdict<T = ()> = Result<T, Failure>;

/// Why a case did not pass.
#[derive(Debug)]
pub enum Failure {
    /// The executable does something else; the text says what was expected and what was seen.
    Deviation(String),
    /// The requirement does not concern this executable; the text says why.
    NotApplicable(String),
    /// The suite or the machine is at fault (no `strace`, no free port): never counted for or against the executable,
    /// and never a success.
    Instrument(String),
}

impl Failure {
    /// Puts what was tried before a deviation; what is not the executable's fault stays as it is.
    pub fn when(self, tried: impl fmt::Display) -> Failure {
        match self {
            Failure::Deviation(text) => Failure::Deviation(format!("{tried}: {text}")),
            other => other,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Deviation(text) => f.write_str(text),
            Failure::NotApplicable(text) => write!(f, "not applicable: {text}"),
            Failure::Instrument(text) => write!(f, "the suite could not find out: {text}"),
        }
    }
}

impl std::error::Error for Failure {}

/// An I/O error that nobody turned into an observation is the machine's: what the executable's sockets and pipes do is
/// reported as an end ([`Ended`](crate::instruments::wire::Ended)), not as an error.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Instrument(error.to_string())
    }
}

/// Ends a case with a deviation.
macro_rules! deviation {
    ($($text:tt)*) => {
        return Err($crate::verdict::Failure::Deviation(format!($($text)*)))
    };
}

/// Ends a case with a deviation unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($text:tt)*) => {
        if !$condition {
            return Err($crate::verdict::Failure::Deviation(format!($($text)*)));
        }
    };
}

pub(crate) use deviation;
pub(crate) use ensure;
