//! A transport's set-up run: what its module prepares before the first connection, and what it asks of the host.
//!
//! In: the module's own files from the state directory, its configuration, its role. Out: the files as the module left them,
//! written back, and its [`Answer`]. What can go wrong is one sentence: the transport does not start.

use super::registry::Transport;
use super::replay::ReplaySet;
use super::state::State;
use crate::error::Failure;
use crate::watm::{Files, Grants, Role, Session, SetUp, Wire, printable};
use serde_json::{Map, Value};
use std::io;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Keys are made here, which takes an interpreter a while; tor waits for this line as for every other.
const LIMIT: Duration = Duration::from_secs(60);

/// The folder of all transports' folders.
const FOLDER: &str = "transports";
/// The folder of all replay sets.
const REPLAY_FOLDER: &str = "replay";
/// Nothing larger was written by a set-up run.
const MAX_FILE: usize = 1 << 20;

const HANDSHAKE: RangeInclusive<u64> = 1_000..=3_600_000;
const QUIET_CLOSE: RangeInclusive<u64> = 1_000..=3_600_000;
const REPLAY: RangeInclusive<u64> = 60..=604_800;
/// obfs4 takes a handshake of the hour before, of this one and of the next.
const DEFAULT_REPLAY: u64 = 3 * 3600;

/// What a set-up run asks for: a JSON object, see `docs/writing-a-transport.md`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What a server's clients have to know: `SMETHOD`'s `ARGS`.
    pub args: Vec<(String, String)>,
    /// The deadline of a handshake.
    pub handshake: Option<Duration>,
    /// How long after its accept a connection that failed is closed.
    pub quiet_close: Option<Duration>,
    /// How long handshakes are remembered.
    pub replay: Duration,
    /// How connections look from outside.
    pub wire: Wire,
}

impl Answer {
    /// Reads the answer; an empty one asks for nothing.
    pub fn parse(text: &[u8]) -> Result<Answer, String> {
        let mut map = match serde_json::from_slice(text) {
            _ if text.is_empty() => Map::from_iter([("version".to_owned(), 1.into())]),
            Ok(Value::Object(map)) => map,
            Ok(_) => return Err("is no JSON object".to_owned()),
            Err(error) => return Err(format!("is no JSON ({error})")),
        };
        match map.remove("version") {
            Some(version) if version == 1 => {}
            Some(Value::Number(other)) => {
                return Err(format!("has version {other}, and this host knows 1"));
            }
            Some(_) => return Err("has a version that is no number".to_owned()),
            None => return Err("has no \"version\": 1".to_owned()),
        }
        let answer = Answer {
            args: args(map.remove("args"))?,
            handshake: number(&mut map, "handshake_ms", &HANDSHAKE)?.map(Duration::from_millis),
            quiet_close: number(&mut map, "quiet_close_ms", &QUIET_CLOSE)?
                .map(Duration::from_millis),
            replay: number(&mut map, "replay_seconds", &REPLAY)?
                .map_or(Duration::from_secs(DEFAULT_REPLAY), Duration::from_secs),
            wire: Wire {
                always_fin: match map.remove("end") {
                    None => false,
                    Some(end) if end == "rst" => false,
                    Some(end) if end == "fin" => true,
                    Some(_) => return Err("has an \"end\" that is not \"fin\" or \"rst\"".into()),
                },
                whole_writes: match map.remove("preserve_writes") {
                    None => false,
                    Some(Value::Bool(whole)) => whole,
                    Some(_) => return Err("has a \"preserve_writes\" that is no boolean".into()),
                },
            },
        };
        if let Some(unknown) = map.keys().next() {
            let unknown = printable(unknown);
            return Err(format!("has \"{unknown}\", which version 1 does not know"));
        }
        if let (Some(handshake), Some(quiet)) = (answer.handshake, answer.quiet_close)
            && quiet < handshake
        {
            return Err(
                "closes quietly before the handshake's deadline, so that a prober could tell one from the other; make \
                 quiet_close_ms at least handshake_ms"
                    .to_owned(),
            );
        }
        Ok(answer)
    }
}

fn args(value: Option<Value>) -> Result<Vec<(String, String)>, String> {
    let wrong = || "has \"args\" that are no object of strings".to_owned();
    match value {
        None => Ok(Vec::new()),
        Some(Value::Object(map)) => map
            .into_iter()
            .map(|(key, value)| match value {
                Value::String(value) if !key.is_empty() => Ok((key, value)),
                _ => Err(wrong()),
            })
            .collect(),
        Some(_) => Err(wrong()),
    }
}

fn number(
    map: &mut Map<String, Value>,
    key: &str,
    range: &RangeInclusive<u64>,
) -> Result<Option<u64>, String> {
    let Some(value) = map.remove(key) else {
        return Ok(None);
    };
    match value.as_u64().filter(|number| range.contains(number)) {
        Some(number) => Ok(Some(number)),
        None => Err(format!(
            "has a {key:?} that is no number from {} to {}",
            range.start(),
            range.end()
        )),
    }
}

impl Transport {
    /// Runs the module's set-up, if it has one, and takes over what it asks for. `conf` is what its connections are given
    /// as far as it is known now: all of it on a server, the operator's part on a client.
    pub async fn set_up(&mut self, role: Role, conf: Option<Arc<[u8]>>) -> Result<(), String> {
        if !self.program.has_set_up() {
            return Ok(());
        }
        let state = self.state.clone();
        let places = Places {
            own: state.below(FOLDER).below(&self.name),
            root: &state,
            in_root: &self.state_root,
        };
        let before = places.read()?;
        let grants = Grants {
            state: Some(Arc::new(before.clone())),
            ..self.grants.with_conf(conf)
        };
        let run = Session::set_up(&self.program, grants, role);
        let done = match timeout(LIMIT, run).await {
            Ok(done) => done,
            Err(_) => Err(Failure::HandshakeTimeout(LIMIT.as_secs())),
        };
        let Some(SetUp {
            answer,
            state: after,
        }) = done.map_err(|failure| places.on_disk(&format!("its set-up failed: {failure}")))?
        else {
            return Ok(());
        };
        let answer = Answer::parse(&answer).map_err(|why| format!("its set-up's answer {why}"))?;
        places.write(&before, &after)?;
        if role != Role::Dialer && role != Role::FixedDialer {
            let folder = state
                .folder(REPLAY_FOLDER)
                .unwrap_or_else(|_| state.clone());
            self.grants.replay = Some(Arc::new(ReplaySet::open(
                &folder,
                &self.name,
                answer.replay,
            )));
        }
        self.grants.state = Some(Arc::new(after));
        self.grants.wire = answer.wire;
        self.announced = answer.args;
        if !self.handshake_is_set {
            self.handshake = answer.handshake.unwrap_or(self.handshake);
        }
        self.quiet_close = answer.quiet_close;
        Ok(())
    }

    /// What a server's clients have to know: what its module said, then what the operator announces.
    pub fn announced(&self) -> Vec<(String, String)> {
        let mut told = self.announced.clone();
        for (key, value) in self.conf.announced() {
            // A key that is announced twice is refused by Arti.
            if told.iter().all(|(earlier, _)| *earlier != key) {
                told.push((key, value));
            }
        }
        told
    }

    /// How long after its accept a connection that failed is closed, for a bridge whose constant this is: never before the
    /// handshake's own deadline, which would tell the two apart.
    pub fn quiet_close(&self, constant: Duration) -> Duration {
        self.quiet_close.unwrap_or(constant).max(self.handshake)
    }
}

/// Where a transport's files lie on the disk.
struct Places<'a> {
    own: State,
    root: &'a State,
    /// The names that lie in the root of the state directory, where other programs look for them.
    in_root: &'a [String],
}

impl Places<'_> {
    fn place(&self, name: &str) -> &State {
        if self.in_root.iter().any(|root| root == name) {
            self.root
        } else {
            &self.own
        }
    }

    /// A text with the paths that an operator knows in place of a module's: `/state/NAME` lies somewhere.
    fn on_disk(&self, text: &str) -> String {
        const STATE: &str = "/state/";
        let mut pieces = text.split(STATE);
        let mut told = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let is_of_names = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
            let end = piece.find(|c| !is_of_names(c)).unwrap_or(piece.len());
            // A full stop behind a name is none of its letters.
            let name = piece[..end].trim_end_matches('.');
            let path = if name.is_empty() {
                self.own.path("")
            } else {
                self.place(name).path(name)
            };
            told.push_str(&path.display().to_string());
            told.push_str(&piece[name.len()..]);
        }
        told
    }

    fn read(&self) -> Result<Files, String> {
        let unreadable = |path: std::path::PathBuf, error: io::Error| {
            format!(
                "its file {} cannot be read ({error}); it must be this user's own, with mode 0600; chown and chmod it",
                path.display()
            )
        };
        let mut files = Files::new();
        let own = match self.own.list() {
            Ok(own) => own,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(unreadable(self.own.path(""), error)),
        };
        for name in own.iter().chain(self.in_root) {
            let place = self.place(name);
            let read = if self.in_root.contains(name) {
                self.read_foreign(name)
            } else {
                place.read(name, MAX_FILE)
            };
            match read {
                Ok(data) => drop(files.insert(name.clone(), data.into())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(unreadable(place.path(name), error)),
            }
        }
        Ok(files)
    }

    /// A file that other programs keep as well, and that people look at, may have become readable: it is made private again.
    fn read_foreign(&self, name: &str) -> io::Result<Vec<u8>> {
        let (data, was_readable) = self.root.read_foreign(name, MAX_FILE)?;
        if was_readable {
            tracing::warn!(
                "others could read {}; it is private again, but if a stranger has read a key in it, make a new one",
                self.root.path(name).display()
            );
            self.root.write(name, &data)?;
        }
        Ok(data)
    }

    /// Writes what has changed. A key that is lost on the way is lost for all clients, so this must succeed.
    fn write(&self, before: &Files, after: &Files) -> Result<(), String> {
        let unwritable = |path: std::path::PathBuf, error: io::Error| {
            format!(
                "its file {} cannot be written ({error}); make the state directory writable for this user",
                path.display()
            )
        };
        for (name, data) in after {
            if before.get(name) != Some(data) {
                let place = self.place(name);
                place
                    .make()
                    .and_then(|()| place.write(name, data))
                    .map_err(|error| unwritable(place.path(name), error))?;
            }
        }
        for name in before.keys().filter(|name| !after.contains_key(*name)) {
            let place = self.place(name);
            place
                .remove(name)
                .map_err(|error| unwritable(place.path(name), error))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_and_has_defaults() {
        let empty = Answer::parse(b"").expect("nothing is asked for");
        assert_eq!(empty, Answer::parse(br#"{"version":1}"#).expect("the same"));
        assert_eq!(empty.replay, Duration::from_secs(3 * 3600));
        assert_eq!(empty.wire, Wire::default());
        let answer = br#"{"version":1,"args":{"cert":"abc","iat-mode":"0"},"handshake_ms":5000,
            "quiet_close_ms":45123,"end":"fin","preserve_writes":true,"replay_seconds":60}"#;
        let answer = Answer::parse(answer).expect("good");
        assert_eq!(answer.args[1], ("iat-mode".to_owned(), "0".to_owned()));
        assert_eq!(answer.handshake, Some(Duration::from_secs(5)));
        assert_eq!(answer.quiet_close, Some(Duration::from_millis(45_123)));
        assert!(answer.wire.always_fin && answer.wire.whole_writes);
    }

    #[test]
    fn a_bad_answer_is_named() {
        for (answer, named) in [
            ("{}", "version"),
            ("[1]", "object"),
            ("{", "no JSON"),
            (r#"{"version":2}"#, "version 2"),
            (r#"{"version":1,"arg":{}}"#, "\"arg\""),
            (r#"{"version":1,"args":{"a":1}}"#, "strings"),
            (r#"{"version":1,"args":{"":"a"}}"#, "strings"),
            (r#"{"version":1,"handshake_ms":"1"}"#, "handshake_ms"),
            (r#"{"version":1,"handshake_ms":0}"#, "from 1000"),
            (r#"{"version":1,"end":"close"}"#, "\"end\""),
            (r#"{"version":1,"preserve_writes":1}"#, "boolean"),
            (
                r#"{"version":1,"handshake_ms":30000,"quiet_close_ms":20000}"#,
                "at least handshake_ms",
            ),
        ] {
            let why = Answer::parse(answer.as_bytes()).expect_err(answer);
            assert!(why.contains(named), "{answer}: {why}");
        }
    }

    #[test]
    fn files_go_where_they_belong_and_what_is_gone_goes() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let root = State::open(dir.path()).expect("there");
        let in_root = ["bridgeline.txt".to_owned()];
        let places = Places {
            own: root.folder("t").expect("made"),
            root: &root,
            in_root: &in_root,
        };
        assert_eq!(places.read(), Ok(Files::new()));
        let files = |list: &[(&str, &str)]| -> Files {
            let owned = |&(name, data): &(&str, &str)| (name.to_owned(), data.as_bytes().into());
            list.iter().map(owned).collect()
        };
        let first = files(&[("bridgeline.txt", "Bridge"), ("key", "1"), ("old", "2")]);
        places.write(&Files::new(), &first).expect("written");
        assert_eq!(
            root.read("bridgeline.txt", 99).expect("in the root"),
            b"Bridge"
        );
        assert_eq!(places.read().as_ref(), Ok(&first));
        let second = files(&[("bridgeline.txt", "Bridge"), ("key", "3")]);
        places.write(&first, &second).expect("written");
        assert_eq!(places.read(), Ok(second));
        let (own, root) = (places.own.path(""), root.path(""));
        let (own, root) = (own.display(), root.display());
        assert_eq!(
            places.on_disk("bad: /state/bridgeline.txt, /state/key. In /state/"),
            format!("bad: {root}bridgeline.txt, {own}key. In {own}")
        );
        assert_eq!(places.on_disk("nothing there"), "nothing there");
    }
}
