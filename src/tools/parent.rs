//! Plays tor towards a pluggable transport: the parent's half of the v1 contract (pt-spec 3).
//!
//! In: any PT executable, the transports wanted from it and the side to play. Out: a running [`Pt`]
//! with its methods, or a [`LaunchError`] that quotes what the executable said; and
//! [`socks_connect`], which speaks to a client's listener the way tor does. The child sees a clean
//! environment (only `TOR_PT_*` and what the caller adds), its stdin is held open, and it does not
//! outlive its [`Pt`]. What can go wrong: the executable does not start, refuses, ends, stays
//! silent past the deadline, or breaks the protocol in a way for which tor would kill it.

use std::io;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdin};
use tokio::sync::watch;
use tokio::time::timeout;

mod launch;
mod said;
mod socks;

pub use launch::{Launch, ServerTransport, Side};
use said::keep;
pub use said::{Cause, KEPT, Log, Method, Record};
pub use socks::socks_connect;

/// Longest line read whole; a longer one is read in pieces.
const LINE: u64 = 256 * 1024;

/// A failed launch, with all the executable said.
#[derive(Debug, thiserror::Error)]
#[error("{program}: {what}{}", self.tail())]
pub struct LaunchError {
    /// What kind of failure it is.
    pub cause: Cause,
    /// The program's path.
    pub program: String,
    /// One sentence; the program's own line where it gave one.
    pub what: String,
    /// How it ended, if it ended by itself.
    pub status: Option<ExitStatus>,
    /// All it said.
    pub record: Box<Record>,
}

impl LaunchError {
    fn tail(&self) -> String {
        let logs = self.record.logs.iter().map(|log| log.message.as_str());
        let said = logs.chain(self.record.stderr.iter().map(String::as_str));
        let said: Vec<&str> = said.filter(|line| !line.trim().is_empty()).collect();
        match said.as_slice() {
            [] => String::new(),
            lines => format!(
                " (it said: {})",
                lines[lines.len().saturating_sub(5)..].join(" | ")
            ),
        }
    }
}

/// A running pluggable transport. Dropping it kills the process and waits for its end.
#[derive(Debug)]
pub struct Pt {
    child: Child,
    stdin: Option<ChildStdin>,
    record: watch::Receiver<Record>,
    pid: u32,
    ready_after: Duration,
}

impl Pt {
    /// Starts an executable and waits for its `DONE` line.
    pub async fn launch(launch: Launch) -> Result<Pt, LaunchError> {
        let program = launch.program.display().to_string();
        let proxy = matches!(&launch.side, Side::Client { proxy: Some(_), .. });
        let kind = match launch.side {
            Side::Client { .. } => 'C',
            Side::Server { .. } => 'S',
        };
        let started = Instant::now();
        let mut child = launch.command().spawn().map_err(|error| LaunchError {
            cause: Cause::Spawn,
            program: program.clone(),
            what: format!("cannot be started: {error}"),
            status: None,
            record: Box::default(),
        })?;
        let (sender, record) = watch::channel(Record::default());
        if let Some(stdout) = child.stdout.take() {
            let sender = sender.clone();
            tokio::spawn(read_lines(stdout, move |line| {
                sender.send_modify(|record| record.take_stdout(line, kind, proxy));
            }));
        }
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(read_lines(stderr, move |line| {
                sender.send_modify(|record| keep(&mut record.stderr, line));
            }));
        }
        let mut pt = Pt {
            pid: child.id().expect("the child has not been waited for"),
            stdin: child.stdin.take(),
            child,
            record,
            ready_after: Duration::ZERO,
        };
        let over = |record: &Record| record.done.is_some() || record.fatal.is_some();
        let settled = timeout(launch.within, pt.record.wait_for(over)).await;
        let settled = settled.map(|record| record.is_ok());
        let record = pt.record();
        let (cause, what) = match (&record.fatal, record.done, settled) {
            (_, Some(done), _) => {
                pt.ready_after = done.duration_since(started);
                return Ok(pt);
            }
            (Some((cause, what)), None, _) => (*cause, what.clone()),
            (None, None, Ok(_)) => (Cause::Ended, "it ended before it was ready".to_owned()),
            (None, None, Err(_)) => (
                Cause::Silent,
                format!("it was not ready within {:?}", launch.within),
            ),
        };
        // One that refuses ends by itself; its status and last words belong in the report.
        let status = match cause {
            Cause::Silent | Cause::Protocol => None,
            _ => pt.wait(Duration::from_secs(2)).await,
        };
        if status.is_some() {
            let said_all = pt.record.wait_for(|_| false);
            let _ = timeout(Duration::from_secs(1), said_all).await;
        }
        let what = match status {
            Some(status) => format!("{what} ({status})"),
            None => what,
        };
        Err(LaunchError {
            cause,
            program,
            what,
            status,
            record: Box::new(pt.record()),
        })
    }

    /// The launched transport of that name.
    pub fn method(&self, name: &str) -> Option<Method> {
        let record = self.record.borrow();
        record.methods.iter().find(|m| m.name == name).cloned()
    }

    /// The `CMETHOD-ERROR` or `SMETHOD-ERROR` text for that name.
    pub fn method_error(&self, name: &str) -> Option<String> {
        let record = self.record.borrow();
        let error = record.errors.iter().find(|(n, _)| n == name);
        error.map(|(_, text)| text.clone())
    }

    /// The `LOG` lines so far.
    pub fn logs(&self) -> Vec<Log> {
        self.record.borrow().logs.iter().cloned().collect()
    }

    /// All it has said so far.
    pub fn record(&self) -> Record {
        self.record.borrow().clone()
    }

    /// What it did that tor would kill it for, since it became ready.
    pub fn violation(&self) -> Option<String> {
        let record = self.record.borrow();
        record.fatal.as_ref().map(|(_, what)| what.clone())
    }

    /// Waits until what it has said satisfies `wanted`; false if the deadline or its end comes first.
    pub async fn wait_until(&self, within: Duration, wanted: impl FnMut(&Record) -> bool) -> bool {
        let mut record = self.record.clone();
        matches!(timeout(within, record.wait_for(wanted)).await, Ok(Ok(_)))
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// From the start of the process to its `DONE` line.
    pub fn ready_after(&self) -> Duration {
        self.ready_after
    }

    /// Closes its stdin: the polite request to end.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Sends a signal.
    #[cfg(unix)]
    pub fn signal(&self, signal: rustix::process::Signal) -> io::Result<()> {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok());
        match pid.and_then(rustix::process::Pid::from_raw) {
            Some(pid) => Ok(rustix::process::kill_process(pid, signal)?),
            None => Err(io::Error::other("the process has ended")),
        }
    }

    /// Waits for its end; `None` if it is still running at the deadline.
    pub async fn wait(&mut self, within: Duration) -> Option<ExitStatus> {
        timeout(within, self.child.wait()).await.ok()?.ok()
    }

    /// Ends it as a parent does: closes stdin, then SIGTERM after 5 s, then kills it after 2 more.
    pub async fn close(mut self) -> io::Result<ExitStatus> {
        self.close_stdin();
        if let Some(status) = self.wait(Duration::from_secs(5)).await {
            return Ok(status);
        }
        #[cfg(unix)]
        {
            self.signal(rustix::process::Signal::TERM)?;
            if let Some(status) = self.wait(Duration::from_secs(2)).await {
                return Ok(status);
            }
        }
        self.child.start_kill()?;
        self.child.wait().await
    }
}

impl Drop for Pt {
    fn drop(&mut self) {
        if self.child.id().is_none() || self.child.start_kill().is_err() {
            return;
        }
        // A killed process ends at once: wait for it here, so that its ports and files are free,
        // and leave the zombie to tokio.
        #[cfg(unix)]
        {
            use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
            if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
                let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
                let _ = waitid(WaitId::Pid(pid), options);
            }
        }
        let _ = self.child.try_wait();
    }
}

/// Reads lines to the end of a pipe, so that the child never blocks on it.
async fn read_lines(pipe: impl AsyncRead + Unpin, mut each: impl FnMut(String)) {
    let mut pipe = BufReader::new(pipe);
    loop {
        let mut line = Vec::new();
        match (&mut pipe).take(LINE).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                if line.last() == Some(&b'\n') {
                    line.pop();
                }
                each(String::from_utf8_lossy(&line).into_owned());
            }
        }
    }
}

/// Puts a backslash before every special character.
fn escape(text: &str, special: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if special.contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// A shell that speaks as a client PT would.
    async fn shell(script: &str) -> Result<Pt, LaunchError> {
        let launch = Launch::client("/bin/sh", "state", "a").args(["-c", script]);
        launch.within(Duration::from_secs(20)).start().await
    }

    #[tokio::test]
    async fn one_that_is_ready_lives_until_its_stdin_closes() {
        let script = r#"
            echo "$TOR_PT_STATE_LOCATION" >&2
            echo "VERSION 1"
            echo "CMETHOD-ERROR b no such file"
            echo "CMETHOD a socks5 127.0.0.1:9"
            echo "CMETHODS DONE"
            read end
            exit 7
        "#;
        let pt = shell(script).await.unwrap();
        assert_eq!(pt.method("a").unwrap().addr.port(), 9);
        assert_eq!(pt.method("b"), None);
        assert_eq!(pt.method_error("b").as_deref(), Some("no such file"));
        let limit = Duration::from_secs(20);
        assert!(pt.wait_until(limit, |r| r.stderr == ["state/"]).await);
        assert_eq!(pt.close().await.unwrap().code(), Some(7));
    }

    #[tokio::test]
    async fn what_is_said_after_done_is_still_heard() {
        let script = r#"
            echo "VERSION 1"; echo "CMETHODS DONE"
            echo 'LOG SEVERITY=notice MESSAGE="late"'
            echo "CMETHODS DONE"
            read end
        "#;
        let pt = shell(script).await.unwrap();
        let limit = Duration::from_secs(20);
        assert!(pt.wait_until(limit, |r| r.stdout.len() == 4).await);
        assert_eq!(pt.logs()[0].message, "late");
        let violation = pt.violation().unwrap();
        assert!(violation.starts_with("after DONE"), "{violation}");
    }

    #[tokio::test]
    async fn one_that_refuses_is_quoted_with_its_status() {
        let script = "echo VERSION 1; echo ENV-ERROR no state; echo why >&2; exit 64";
        let error = shell(script).await.unwrap_err();
        assert_eq!(error.cause, Cause::Refused);
        assert_eq!(error.status.and_then(|status| status.code()), Some(64));
        let text = error.to_string();
        for part in ["ENV-ERROR no state", "64", "why"] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[tokio::test]
    async fn every_other_failure_has_its_cause() {
        let ended = shell("echo VERSION 1").await.unwrap_err();
        assert_eq!(ended.cause, Cause::Ended);
        let protocol = shell("echo VERSION 2; read end").await.unwrap_err();
        assert_eq!(protocol.cause, Cause::Protocol);
        let absent = Launch::client("/nonexistent", "state", "a").start().await;
        assert_eq!(absent.unwrap_err().cause, Cause::Spawn);
        let launch = Launch::client("/bin/sh", "state", "a").args(["-c", "read end"]);
        let silent = launch.within(Duration::from_millis(50)).start().await;
        assert_eq!(silent.unwrap_err().cause, Cause::Silent);
    }

    #[tokio::test]
    async fn one_that_is_dropped_is_gone() {
        let pt = shell("echo VERSION 1; echo CMETHODS DONE; while read end; do :; done")
            .await
            .unwrap();
        let pid = i32::try_from(pt.pid()).unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        drop(pt);
        // Gone for good, or a zombie that tokio has yet to collect.
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let gone = rustix::process::test_kill_process(pid).is_err();
        assert!(gone || state.contains(") Z "), "{state}");
    }
}
