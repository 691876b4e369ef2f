//! Command lines that were written for obfs4proxy and lyrebird, which are Go programs.
//!
//! In: the words of the command line. Out: the words that this program's own definition takes, and what flags of a single
//! transport ask for. Go takes `-flag`, `--flag`, `-flag=value` and `-switch=false`. Nothing goes wrong here: what is not
//! known is left as it is, to be complained about.

use std::ffi::OsString;

const VALUES: [&str; 1] = ["logLevel"];
const SWITCHES: [&str; 4] = ["enableLogging", "unsafeLogging", "version", "help"];

/// A switch that sets a key of one transport's configuration to true.
struct OfTransport {
    flag: &'static str,
    transport: &'static str,
    key: &'static str,
}

const OF_TRANSPORTS: [OfTransport; 1] = [OfTransport {
    flag: "obfs4-distBias",
    transport: "obfs4",
    key: "dist-bias",
}];

/// A command line, translated.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Translated {
    /// What is left for the definition.
    pub(super) words: Vec<OsString>,
    /// Keys to set to true: a transport's name, the key.
    pub(super) switches: Vec<(&'static str, &'static str)>,
}

/// Translates the words, the first of which is the program.
pub(super) fn translate(words: impl Iterator<Item = OsString>) -> Translated {
    let mut translated = Translated::default();
    let mut last = Last::Flag;
    for (n, word) in words.enumerate() {
        if last == Last::Flag && IGNORED.iter().any(|ignored| word == *ignored) {
            continue;
        }
        let flag = match last {
            Last::Name => None,
            _ => word.to_str().map(Flag::of),
        };
        last = match &flag {
            None if last == Last::Name => Last::Flag,
            _ if n == 0 => Last::Flag,
            Some(Flag::Value(text)) if !text.contains('=') => Last::Name,
            Some(Flag::Value(_) | Flag::Switch(..) | Flag::OfTransport(..)) => Last::Flag,
            Some(Flag::Unknown) | None => Last::Other,
        };
        match flag {
            Some(Flag::Value(text)) => translated.words.push(text.into()),
            Some(Flag::Switch(name, true)) => translated.words.push(format!("--{name}").into()),
            Some(Flag::OfTransport(of, true)) => translated.switches.push((of.transport, of.key)),
            Some(Flag::Switch(_, false) | Flag::OfTransport(_, false)) => {}
            Some(Flag::Unknown) | None => translated.words.push(whole(word)),
        }
    }
    translated
}

/// Words that may stand behind one of these flags, and mean nothing: `managed` once told obfsproxy, the first of them, what
/// tor's environment tells, and Go reads nothing behind the first word that is no flag.
const IGNORED: [&str; 3] = ["managed", "true", "false"];

/// What the last word was.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    /// The program, one of these flags, or its value.
    Flag,
    /// A flag whose value comes next.
    Name,
    Other,
}

/// A flag of several letters behind one dash, which would be read, and complained of, as the first of them.
fn whole(word: OsString) -> OsString {
    let is_flag = |text: &str| {
        let bare = text.strip_prefix('-').unwrap_or_default();
        bare.len() > 1
            && bare.starts_with(|first: char| first.is_ascii_alphabetic())
            && bare.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    match word.to_str() {
        Some(text) if is_flag(text) => format!("-{text}").into(),
        _ => word,
    }
}

enum Flag {
    Value(String),
    Switch(&'static str, bool),
    OfTransport(&'static OfTransport, bool),
    Unknown,
}

impl Flag {
    fn of(word: &str) -> Flag {
        let Some(bare) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else {
            return Flag::Unknown;
        };
        let (name, value) = match bare.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (bare, None),
        };
        if VALUES.contains(&name) {
            return Flag::Value(format!("--{bare}"));
        }
        let on = match value {
            None | Some("1" | "t" | "T" | "true" | "TRUE" | "True") => true,
            Some("0" | "f" | "F" | "false" | "FALSE" | "False") => false,
            Some(_) => return Flag::Unknown,
        };
        if let Some(name) = SWITCHES.into_iter().find(|known| *known == name) {
            return Flag::Switch(name, on);
        }
        let of = OF_TRANSPORTS.iter().find(|known| known.flag == name);
        of.map_or(Flag::Unknown, |of| Flag::OfTransport(of, on))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> (Vec<String>, usize) {
        let translated = translate(line.split(' ').map(OsString::from));
        let words = translated.words.into_iter();
        let text = |word: OsString| word.into_string().expect("text");
        (words.map(text).collect(), translated.switches.len())
    }

    #[test]
    fn every_way_to_write_a_flag() {
        for (line, expected) in [
            (
                "x -enableLogging --unsafeLogging",
                "x --enableLogging --unsafeLogging",
            ),
            (
                "x -enableLogging=true -unsafeLogging=F",
                "x --enableLogging",
            ),
            ("x -logLevel DEBUG", "x --logLevel DEBUG"),
            ("x --logLevel=warn", "x --logLevel=warn"),
            ("x -version", "x --version"),
            ("x -help", "x --help"),
            (
                "x -h -enableLogging=maybe -other",
                "x -h -enableLogging=maybe --other",
            ),
            ("x --module a=b demo", "x --module a=b demo"),
        ] {
            assert_eq!(words(line).0.join(" "), expected, "{line}");
        }
    }

    #[test]
    fn the_flag_of_a_transport_is_a_key_of_its_configuration() {
        for line in [
            "x -obfs4-distBias",
            "x --obfs4-distBias=1 -obfs4-distBias=false",
        ] {
            assert_eq!(words(line), (vec!["x".to_owned()], 1), "{line}");
        }
        let translated = translate(["x", "-obfs4-distBias"].map(OsString::from).into_iter());
        assert_eq!(translated.switches, [("obfs4", "dist-bias")]);
    }

    #[test]
    fn the_word_of_old_lines_means_nothing() {
        assert_eq!(words("x managed").0, ["x"]);
        assert_eq!(
            words("x managed -enableLogging").0,
            ["x", "--enableLogging"]
        );
        assert_eq!(
            words("x -enableLogging managed").0,
            ["x", "--enableLogging"]
        );
        for line in [
            "x -enableLogging -logLevel INFO managed",
            "x -enableLogging -logLevel=INFO managed",
            "x -enableLogging true -logLevel INFO",
        ] {
            let words = words(line).0.join(" ").replace('=', " ");
            assert_eq!(words, "x --enableLogging --logLevel INFO", "{line}");
        }
        assert_eq!(words("x --config managed").0, ["x", "--config", "managed"]);
        assert_eq!(
            words("x -logLevel managed").0,
            ["x", "--logLevel", "managed"]
        );
    }
}
