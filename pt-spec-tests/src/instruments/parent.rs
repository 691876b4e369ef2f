//! The parent's part: starts the executable in an environment of a case's choosing.
//!
//! The environment is empty but for what a case sets, `PATH`, a `HOME` and a `TMPDIR` in the case's scratch folder, and
//! the marker by which its processes are found. What it does afterwards is [`process`](super::process)'s matter.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::rc::Rc;

use tokio::process::Command;

use super::leftovers;
use super::negotiation::{Method, Negotiation};
use super::output::Output;
use super::process::{Pt, Record};
use super::wire::{SOON, eventually, is_shortage};
use crate::bench::{MARKER, Stage};
use crate::subject::Subject;
use crate::verdict::{Failure, Verdict};

/// What the process finds on its stdin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stdin {
    /// A pipe that the suite holds open, as tor does.
    Held,
    /// A pipe that is closed already.
    Ended,
    /// `/dev/null`.
    Null,
}

/// The executable, about to be started.
#[must_use]
pub struct Launch {
    stage: Rc<Stage>,
    transport: String,
    words: Vec<OsString>,
    through: Vec<OsString>,
    env: BTreeMap<OsString, OsString>,
    cwd: PathBuf,
    stdin: Stdin,
    unread: bool,
    orphaned: bool,
}

/// A process that came to the end of its negotiation with the transport launched.
pub struct Ready {
    /// The process.
    pub pt: Pt,
    /// What it said.
    pub said: Negotiation,
    /// The line of the transport under test.
    pub method: Method,
}

/// Runs what it is given as its child with its own stdin, and lives until it is killed.
const GO_BETWEEN: &str = r#"exec 3<&0; "$0" "$@" <&3 3<&- & exec 3<&- </dev/null; wait"#;

impl Launch {
    pub(crate) fn new(subject: &Subject, stage: Rc<Stage>) -> Launch {
        let scratch = stage.path();
        let mut words = vec![subject.program.clone().into_os_string()];
        words.extend(subject.args.iter().cloned());
        let launch = Launch {
            transport: subject.transport.clone(),
            words,
            through: Vec::new(),
            env: BTreeMap::new(),
            cwd: scratch.join("cwd"),
            stdin: Stdin::Held,
            unread: false,
            orphaned: false,
            stage: stage.clone(),
        };
        let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
        launch
            .set("PATH", path)
            .set("HOME", scratch.join("home"))
            .set("TMPDIR", scratch.join("tmp"))
            .set(MARKER, &stage.marker)
    }

    /// Sets a variable.
    pub fn set(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.insert(name.into(), value.as_ref().to_owned());
        self
    }

    /// Takes a variable away.
    pub fn unset(mut self, name: &str) -> Self {
        self.env.remove(OsStr::new(name));
        self
    }

    /// The value of a variable that is set.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.env.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// Adds an argument behind those of the `exec` line.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.words.push(arg.as_ref().to_owned());
        self
    }

    /// What it finds on stdin; a held pipe otherwise.
    pub fn stdin(mut self, stdin: Stdin) -> Self {
        self.stdin = stdin;
        self
    }

    /// Nobody reads its stdout (its stderr is read).
    pub fn unread(mut self) -> Self {
        self.unread = true;
        self
    }

    /// Its working directory.
    pub fn cwd(mut self, path: impl Into<PathBuf>) -> Self {
        self.cwd = path.into();
        self
    }

    /// Starts it by way of another program, which ends by executing what stands behind its own arguments.
    pub fn through<S: AsRef<OsStr>>(mut self, program: &[S]) -> Self {
        self.through = program
            .iter()
            .map(|word| word.as_ref().to_owned())
            .collect();
        self
    }

    /// Starts it in a shell with limits set: `ulimit`'s arguments, `-Sn 256`.
    pub fn limited(self, ulimit: &str) -> Self {
        let script = format!("ulimit {ulimit} && exec \"$0\" \"$@\"");
        self.through(&["/bin/sh", "-c", &script])
    }

    /// Starts it as the child of a go-between that [`Pt::abandon`] kills: a parent that dies.
    pub fn orphaned(mut self) -> Self {
        self.orphaned = true;
        self.through(&["/bin/sh", "-c", GO_BETWEEN])
    }

    /// Where its state goes.
    pub fn state(self, path: impl AsRef<Path>) -> Self {
        self.set("TOR_PT_STATE_LOCATION", path.as_ref())
    }

    /// Starts it. That it cannot be started is a deviation.
    pub async fn start(self) -> Verdict<Pt> {
        let words = [&self.through[..], &self.words[..]].concat();
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .env_clear()
            .envs(&self.env)
            .current_dir(&self.cwd)
            .stdin(match self.stdin {
                Stdin::Held | Stdin::Ended => Stdio::piped(),
                Stdin::Null => Stdio::null(),
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own: Ctrl-C on the terminal is for the suite, which ends what it started.
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| {
            let text = format!("cannot be started: {}: {error}", words[0].display());
            if !self.through.is_empty() || is_shortage(&error) {
                Failure::Instrument(text)
            } else {
                Failure::Deviation(text)
            }
        })?;
        let mut stdin = child.stdin.take();
        if self.stdin == Stdin::Ended {
            stdin = None;
        }
        let stdout = child.stdout.take();
        let (stdout, unread) = if self.unread {
            (Output::none(), stdout)
        } else {
            (stdout.map_or_else(Output::none, Output::read), None)
        };
        let stderr = child.stderr.take().map_or_else(Output::none, Output::read);
        let spawned = child.id().unwrap_or_default();
        let record = Record::new(&self.words, &self.env, spawned, &stdout, &stderr);
        self.stage.records.borrow_mut().push(record.clone());
        let pid = if self.orphaned {
            let found = eventually(SOON, || leftovers::children(spawned).first().copied()).await;
            found.ok_or_else(|| {
                Failure::Deviation("it ended as soon as it was started".to_owned())
            })?
        } else {
            spawned
        };
        leftovers::keep_status(pid);
        Ok(Pt::new(child, pid, stdin, unread, record))
    }

    /// Starts it and reads its lines up to the end of the negotiation, whatever that is.
    pub async fn negotiate(self) -> Verdict<(Pt, Negotiation)> {
        let mut pt = self.start().await?;
        let said = pt.negotiate().await?;
        Ok((pt, said))
    }

    /// Starts it; that the negotiation does not end with the transport under test launched is a deviation.
    pub async fn ready(self) -> Verdict<Ready> {
        let transport = self.transport.clone();
        let (pt, said) = self.negotiate().await?;
        if !said.done {
            return Err(Failure::Deviation(format!(
                "the negotiation did not end with DONE: {:?}",
                said.lines
            )));
        }
        let method = said.method(&transport)?.clone();
        Ok(Ready { pt, said, method })
    }
}
