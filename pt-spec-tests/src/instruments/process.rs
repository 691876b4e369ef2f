//! A running executable: its lines, its stdin, signals to it, and how it ended.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::rc::Rc;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, kill_process_group, waitpid};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::time::{Instant, timeout};

use super::leftovers;
use super::negotiation::Negotiation;
use super::output::Output;
use super::wire::{SOON, eventually};
use crate::verdict::{Failure, Verdict};

/// How many lines of a pipe a report shows.
const SHOWN_LINES: usize = 40;

/// A started executable; killed when dropped, with its process group.
pub struct Pt {
    child: Child,
    pid: u32,
    stdin: Option<ChildStdin>,
    unread: Option<ChildStdout>,
    record: Record,
    /// How many lines of stdout the negotiation has read.
    read: usize,
    abandoned: bool,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The exit code, if it ended by itself.
    pub code: Option<i32>,
    /// The signal that ended it otherwise.
    pub signal: Option<i32>,
}

/// What a report tells of a process; the process writes on while a copy of it is held.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    command: String,
    variables: String,
    pub(crate) pid: u32,
    stdout: Output,
    stderr: Output,
    exit: Rc<RefCell<Option<Exit>>>,
}

impl Pt {
    pub(crate) fn new(
        child: Child,
        pid: u32,
        stdin: Option<ChildStdin>,
        unread: Option<ChildStdout>,
        record: Record,
    ) -> Pt {
        Pt {
            child,
            pid,
            stdin,
            unread,
            record,
            read: 0,
            abandoned: false,
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Its stdout.
    pub fn stdout(&self) -> &Output {
        &self.record.stdout
    }

    /// Its stderr.
    pub fn stderr(&self) -> &Output {
        &self.record.stderr
    }

    /// Reads on to the end of the negotiation: `DONE`, a fatal error, or the end of stdout. That none of them comes, or a
    /// flood, is a deviation.
    pub async fn negotiate(&mut self) -> Verdict<Negotiation> {
        let mut said = Negotiation::default();
        let end = Instant::now() + SOON;
        loop {
            let line = tokio::time::timeout_at(end, self.record.stdout.line(self.read)).await;
            match line {
                Err(_) => {
                    return Err(Failure::Deviation(format!(
                        "the negotiation did not end within {SOON:?}; so far: {:?}",
                        said.lines
                    )));
                }
                Ok(None) if self.record.stdout.flooded() => {
                    return Err(Failure::Deviation("floods its stdout".to_owned()));
                }
                Ok(None) => {
                    said.broken_off = true;
                    return Ok(said);
                }
                Ok(Some(line)) => {
                    self.read += 1;
                    if said.take(&line.text()) {
                        return Ok(said);
                    }
                }
            }
        }
    }

    /// The lines of stdout that came after what [`negotiate`](Pt::negotiate) has read.
    pub fn after_negotiation(&self) -> Vec<String> {
        self.record.stdout.texts().split_off(self.read)
    }

    /// A line on stdout that `wanted` accepts, from the first line on; `None` if none comes within the limit.
    pub async fn says(&self, within: Duration, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let line = timeout(within, self.record.stdout.find(wanted))
            .await
            .ok()??;
        Some(line.text())
    }

    /// How it ended, or `None` if it still runs after the limit. What it wrote last has been read then.
    pub async fn exit(&mut self, within: Duration) -> Verdict<Option<Exit>> {
        let exit = if self.abandoned {
            // The suite has become its parent: it adopts what its children leave behind.
            eventually(within, || self.adopted()).await
        } else if let Some(status) = self.child.try_wait()? {
            Some(Exit::from(status))
        } else {
            match timeout(within, self.child.wait()).await {
                Ok(status) => Some(Exit::from(status?)),
                Err(_) => None,
            }
        };
        if exit.is_some() {
            // Somebody else may hold the pipes.
            let _ = timeout(SOON, async {
                self.record.stdout.end().await;
                self.record.stderr.end().await;
            })
            .await;
            *self.record.exit.borrow_mut() = exit;
        }
        Ok(exit)
    }

    /// How it ended; that it still runs after the limit is a deviation.
    pub async fn must_exit(&mut self, within: Duration) -> Verdict<Exit> {
        self.exit(within)
            .await?
            .ok_or_else(|| Failure::Deviation(format!("the process still runs after {within:?}")))
    }

    /// That it has ended is a deviation.
    pub async fn must_run(&mut self) -> Verdict {
        match self.exit(Duration::ZERO).await? {
            None => Ok(()),
            Some(exit) => Err(Failure::Deviation(format!("the process has ended: {exit}"))),
        }
    }

    /// Sends a signal; to a process that has ended it does nothing.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = pid(self.pid) {
            let _ = kill_process(pid, signal);
        }
    }

    /// Writes to its stdin; says whether it took everything within the limit.
    pub async fn write_stdin(&mut self, bytes: &[u8], within: Duration) -> bool {
        match &mut self.stdin {
            None => false,
            Some(stdin) => matches!(timeout(within, stdin.write_all(bytes)).await, Ok(Ok(()))),
        }
    }

    /// Closes its stdin.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Starts to read a stdout that was [unread](super::parent::Launch::unread).
    pub fn read_now(&mut self) {
        if let Some(stdout) = self.unread.take() {
            self.record.stdout = Output::read(stdout);
        }
    }

    /// Kills the parent of an [orphaned](super::parent::Launch::orphaned) launch.
    pub fn abandon(&mut self) {
        self.abandoned = true;
        // The go-between leads the group in which the executable is too: only it is meant.
        if let Some(pid) = self.child.id().and_then(pid) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }

    fn adopted(&self) -> Option<Exit> {
        match waitpid(pid(self.pid), WaitOptions::NOHANG) {
            Ok(None) => None,
            Ok(Some((_, status))) => Some(Exit {
                code: status.exit_status(),
                signal: status.terminating_signal(),
            }),
            // Not adopted yet.
            Err(_) if Path::new(&format!("/proc/{}", self.pid)).exists() => None,
            // It ended before the go-between did, which had its status.
            Err(_) => Some(Exit {
                code: None,
                signal: None,
            }),
        }
    }
}

impl Drop for Pt {
    fn drop(&mut self) {
        // While the leader is not reaped the group's id is its own.
        if let Some(group) = self.child.id().and_then(pid) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        leftovers::forget_status(self.pid);
    }
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        Exit {
            code: status.code(),
            signal: status.signal(),
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => write!(f, "exit code {code}"),
            (None, Some(signal)) => write!(f, "killed by signal {signal}"),
            (None, None) => f.write_str("ended"),
        }
    }
}

impl Record {
    pub(crate) fn new(
        words: &[OsString],
        env: &BTreeMap<OsString, OsString>,
        pid: u32,
        stdout: &Output,
        stderr: &Output,
    ) -> Record {
        let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
        let contract = env
            .iter()
            .filter(|(name, _)| name.to_string_lossy().starts_with("TOR_PT_"));
        let variables: Vec<_> = contract
            .map(|(name, value)| format!("{}={}", name.to_string_lossy(), value.to_string_lossy()))
            .collect();
        Record {
            command: words.join(" "),
            variables: variables.join(" "),
            pid,
            stdout: stdout.clone(),
            stderr: stderr.clone(),
            exit: Rc::default(),
        }
    }

    /// The story of the process, for a report.
    pub(crate) fn tell(&self) -> String {
        let exit = match *self.exit.borrow() {
            Some(exit) => exit.to_string(),
            None => "not waited for".to_owned(),
        };
        format!(
            "$ {}\n  {}\n{}{}  {exit}",
            self.command,
            self.variables,
            shown("stdout", &self.stdout),
            shown("stderr", &self.stderr),
        )
    }
}

/// The first lines of an output, quoted, since an executable may write anything.
fn shown(name: &str, output: &Output) -> String {
    let lines = output.so_far();
    let mut text: String = lines
        .iter()
        .take(SHOWN_LINES)
        .map(|line| {
            let line = line.text();
            let cut: String = line.chars().take(300).collect();
            format!("  {name}: {}\n", cut.escape_debug())
        })
        .collect();
    if lines.len() > SHOWN_LINES {
        text.push_str(&format!(
            "  {name}: and {} lines more\n",
            lines.len() - SHOWN_LINES
        ));
    }
    text
}

fn pid(raw: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(raw).ok()?)
}
