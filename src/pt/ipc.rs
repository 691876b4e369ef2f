//! The lines that the parent reads on stdout (pt-spec 3.3), and their only writer.
//!
//! In: what any part of the program has to tell the parent. Out: whole lines, one at a time, each
//! flushed. Callers never block: they queue, and one thread writes. The lines of the contract are
//! never dropped, and there are only as many as the parent asked for; `LOG` lines are dropped when
//! 64 of them wait, and the loss is said later. When stdout is closed everything is dropped in silence.
//!
//! What a parent would punish cannot be written: a configuration line out of its place, which makes
//! tor give up on the whole process, becomes a `LOG` line instead.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::args::{Args, ArgsError, encode_smethod};
use super::is_transport_name;
use crate::error::Severity;

/// How many `LOG` and late `STATUS` lines may wait for a parent that does not read. Arti keeps as many.
const MAX_WAITING_LOGS: usize = 64;

/// How long a text may be. Parents take more, but a line below `PIPE_BUF` is written in one piece.
const MAX_TEXT: usize = 1000;

/// A handle on the conversation with the parent; clones share it.
#[derive(Clone)]
pub struct Ipc(Arc<Handle>);

/// Ends the writer thread with the last handle, after what is queued.
struct Handle(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Something to write, or the end.
    wake: Condvar,
    /// Everything is written, or never will be.
    idle: Condvar,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Line>,
    waiting_logs: usize,
    dropped_logs: u64,
    phase: Phase,
    writing: bool,
    closed: bool,
}

struct Line {
    text: String,
    droppable: bool,
}

/// How far the negotiation is; what may be written depends on it.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    #[default]
    Start,
    Versioned,
    /// `DONE` or a fatal error was said: only `LOG` and `STATUS` may follow.
    Done,
}

impl Ipc {
    /// Takes over stdout. To be called once; it fails only if no thread can be started.
    pub fn stdout() -> io::Result<Ipc> {
        Ipc::new(own_stdout()?)
    }

    /// Writes to anything; for tests, and for a parent that is not at the other end of stdout.
    pub fn new(out: impl Write + Send + 'static) -> io::Result<Ipc> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            wake: Condvar::new(),
            idle: Condvar::new(),
        });
        let writer = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("parent-lines".to_owned())
            .spawn(move || writer.write_lines(out))?;
        Ok(Ipc(Arc::new(Handle(shared))))
    }

    /// `VERSION 1`, the first line of the contract.
    pub fn version(&self) {
        self.step(Phase::Start, Phase::Versioned, "VERSION 1".to_owned());
    }

    /// `VERSION-ERROR no-version`; the process is to exit.
    pub fn version_error(&self) {
        // The word is fixed: tor takes any other text for a version number.
        let line = "VERSION-ERROR no-version".to_owned();
        self.step(Phase::Start, Phase::Done, line);
    }

    /// `ENV-ERROR`; the process is to exit. It may come before `VERSION` and after it.
    ///
    /// After `VERSION` tor obeys it but does not show its text: a `LOG` line has to say it first.
    pub fn env_error(&self, text: &str) {
        let line = format!("ENV-ERROR {}", sanitised(text));
        let mut state = self.lock();
        let from = state.phase.min(Phase::Versioned);
        self.step_locked(&mut state, from, Phase::Done, line);
    }

    /// `PROXY DONE`: the upstream proxy will be used. Only if one was given.
    pub fn proxy_done(&self) {
        self.configuration("PROXY DONE".to_owned());
    }

    /// `PROXY-ERROR`; the process is to exit.
    pub fn proxy_error(&self, text: &str) {
        let line = format!("PROXY-ERROR {}", sanitised(text));
        self.step(Phase::Versioned, Phase::Done, line);
    }

    /// `CMETHOD`: a client transport listens there, for SOCKS5.
    pub fn cmethod(&self, name: &str, addr: SocketAddr) {
        self.method("CMETHOD", name, &format!("socks5 {addr}"));
    }

    /// `CMETHOD-ERROR`: a client transport that was asked for cannot start.
    pub fn cmethod_error(&self, name: &str, text: &str) {
        self.method("CMETHOD-ERROR", name, &sanitised(text));
    }

    /// `CMETHODS DONE`: the end of a client's negotiation.
    pub fn cmethods_done(&self) {
        self.step(Phase::Versioned, Phase::Done, "CMETHODS DONE".to_owned());
    }

    /// `SMETHOD`: a server transport listens there; its arguments go into bridge lines.
    ///
    /// Arguments that the line cannot carry are the transport's fault: nothing is written then, and the
    /// caller, who has to close the listener, says [`smethod_error`](Ipc::smethod_error).
    pub fn smethod(&self, name: &str, addr: SocketAddr, args: &Args) -> Result<(), ArgsError> {
        if args.is_empty() {
            self.method("SMETHOD", name, &addr.to_string());
        } else {
            let args = encode_smethod(args)?;
            self.method("SMETHOD", name, &format!("{addr} ARGS:{args}"));
        }
        Ok(())
    }

    /// `SMETHOD-ERROR`: a server transport that was asked for cannot start.
    pub fn smethod_error(&self, name: &str, text: &str) {
        self.method("SMETHOD-ERROR", name, &sanitised(text));
    }

    /// `SMETHODS DONE`: the end of a server's negotiation.
    pub fn smethods_done(&self) {
        self.step(Phase::Versioned, Phase::Done, "SMETHODS DONE".to_owned());
    }

    /// `LOG`, at any time. The text must be scrubbed already; it is made safe for a line here.
    pub fn log(&self, severity: Severity, text: &str) {
        self.push_log(&mut self.lock(), severity, text);
    }

    /// `STATUS` with this program's name and version, once per transport, between `VERSION` and `DONE`.
    pub fn status_version(&self, transport: &str) {
        // TYPE=version is tor's; the pair TRANSPORT= is there because old Arti fails without it.
        let rest = concat!(
            "TYPE=version IMPLEMENTATION=ouzel VERSION=",
            env!("CARGO_PKG_VERSION")
        );
        if !is_transport_name(transport) {
            return self.withheld(&mut self.lock(), "STATUS");
        }
        let text = format!("STATUS TRANSPORT={transport} {rest}");
        let mut state = self.lock();
        let droppable = state.phase == Phase::Done;
        self.push(&mut state, Line { text, droppable });
    }

    /// Waits until everything is written, stdout turns out to be closed, or time is up. It blocks, so it
    /// is for the moment before the process exits. Says whether nothing was left to write.
    pub fn flush(&self, deadline: Duration) -> bool {
        let end = Instant::now() + deadline;
        let mut state = self.lock();
        while !state.is_idle() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.0.0.idle.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.0.lock()
    }

    fn method(&self, keyword: &str, name: &str, rest: &str) {
        if is_transport_name(name) {
            self.configuration(format!("{keyword} {name} {rest}"));
        } else {
            self.withheld(&mut self.lock(), keyword);
        }
    }

    fn configuration(&self, line: String) {
        self.step(Phase::Versioned, Phase::Versioned, line);
    }

    fn step(&self, from: Phase, to: Phase, line: String) {
        self.step_locked(&mut self.lock(), from, to, line);
    }

    fn step_locked(&self, state: &mut State, from: Phase, to: Phase, text: String) {
        if state.phase != from {
            let keyword = text.split(' ').next().unwrap_or_default();
            return self.withheld(state, keyword);
        }
        state.phase = to;
        let droppable = false;
        self.push(state, Line { text, droppable });
    }

    fn withheld(&self, state: &mut State, keyword: &str) {
        let text = format!("bug: a {keyword} line came out of its place and was withheld");
        self.push_log(state, Severity::Warning, &text);
    }

    fn push_log(&self, state: &mut State, severity: Severity, text: &str) {
        let text = log_line(severity, text);
        let droppable = true;
        self.push(state, Line { text, droppable });
    }

    fn push(&self, state: &mut State, line: Line) {
        if state.closed {
            return;
        }
        if line.droppable {
            if state.waiting_logs == MAX_WAITING_LOGS {
                state.dropped_logs += 1;
                return;
            }
            state.waiting_logs += 1;
        }
        state.lines.push_back(line);
        self.0.0.wake.notify_one();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.wake.notify_one();
    }
}

impl State {
    fn is_idle(&self) -> bool {
        self.lines.is_empty() && !self.writing && self.dropped_logs == 0
    }

    /// The next line; the account of what was dropped comes when there is nothing else to say.
    fn next(&mut self) -> Option<String> {
        if let Some(line) = self.lines.pop_front() {
            self.waiting_logs -= usize::from(line.droppable);
            return Some(line.text);
        }
        let dropped = std::mem::take(&mut self.dropped_logs);
        (dropped > 0).then(|| {
            let text =
                format!("{dropped} log lines were dropped: more came at once than were read");
            log_line(Severity::Notice, &text)
        })
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock, and a line that is queued is whole either way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_lines(&self, mut out: impl Write) {
        let mut state = self.lock();
        loop {
            if let Some(mut line) = state.next() {
                state.writing = true;
                drop(state);
                line.push('\n');
                let written = self.write_whole(&mut out, line.as_bytes());
                state = self.lock();
                state.writing = false;
                if written.is_err() {
                    // The parent is gone or does not listen. That it is gone is for others to notice.
                    state.closed = true;
                    state.lines.clear();
                    (state.waiting_logs, state.dropped_logs) = (0, 0);
                }
                continue;
            }
            self.idle.notify_all();
            if state.closed {
                return;
            }
            state = self
                .wake
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn write_whole(&self, out: &mut impl Write, mut line: &[u8]) -> io::Result<()> {
        while !line.is_empty() {
            match out.write(line) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => line = &line[n..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.pause(),
                Err(error) => return Err(error),
            }
        }
        out.flush()
    }

    /// A parent may have handed over a descriptor that does not block, and has not read it empty.
    fn pause(&self) {
        let wait = Duration::from_millis(20);
        let _ = self.idle.wait_timeout(self.lock(), wait);
    }
}

/// Stdout without the standard library's buffer, which could split a line.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one writer of stdout"
)]
fn own_stdout() -> io::Result<File> {
    let stdout = io::stdout();
    #[cfg(unix)]
    let owned = std::os::fd::AsFd::as_fd(&stdout).try_clone_to_owned()?;
    #[cfg(windows)]
    let owned = std::os::windows::io::AsHandle::as_handle(&stdout).try_clone_to_owned()?;
    Ok(File::from(owned))
}

fn log_line(severity: Severity, text: &str) -> String {
    // Always in quotes, which tor wants, and with nothing in them to escape: Arti gives up on octal
    // escapes, which goptlib writes.
    let (severity, text) = (severity.word(), sanitised(text));
    format!("LOG SEVERITY={severity} MESSAGE=\"{text}\"")
}

/// A text that needs no escape in a line of either kind: printable ASCII without `"` and `\`.
fn sanitised(text: &str) -> String {
    let mut safe: String = text
        .trim()
        .chars()
        .take(MAX_TEXT)
        .map(|c| match c {
            '"' => '\'',
            '\\' => '/',
            ' '..='~' => c,
            c if c.is_ascii_control() => ' ',
            _ => '?',
        })
        .collect();
    if safe.is_empty() {
        safe.push_str("no reason given");
    }
    safe
}

#[cfg(test)]
mod tests;
