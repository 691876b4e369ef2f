//! The parent's part: starts a pluggable transport in an environment of the test's choosing, reads its lines, and
//! ends it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};

use super::deadline::{SOON, soon};
use super::lines::Lines;
use super::peers;

/// What the process finds on its stdin.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stdin {
    /// A pipe that we hold open, as tor does.
    Held,
    /// `/dev/null`: at its end from the start.
    Null,
}

/// A pluggable transport about to be started, in an environment that is empty but for what is set here.
pub(crate) struct Launch {
    through: Vec<OsString>,
    program: PathBuf,
    args: Vec<OsString>,
    env: BTreeMap<OsString, OsString>,
    state: Arc<TempDir>,
    stdin: Stdin,
    stdout: Option<Stdio>,
}

impl Launch {
    /// `program` with the variables that both sides need, as tor sets them.
    pub(crate) fn of(program: PathBuf) -> Self {
        let launch = Launch {
            through: Vec::new(),
            program,
            args: Vec::new(),
            env: BTreeMap::new(),
            state: Arc::new(tempfile::tempdir().unwrap()),
            stdin: Stdin::Held,
            stdout: None,
        };
        // tor's value ends in a slash, and the folder need not exist.
        let state = launch.state.path().join("pt_state/");
        launch
            .set("TOR_PT_MANAGED_TRANSPORT_VER", "1")
            .set("TOR_PT_STATE_LOCATION", state)
            .set("TOR_PT_EXIT_ON_STDIN_CLOSE", "1")
    }

    /// The program under test, with nothing set at all.
    pub(crate) fn bare() -> Self {
        let mut launch = Launch::of(peers::ouzel());
        launch.env.clear();
        launch
    }

    /// The program under test as a client.
    pub(crate) fn client(transports: &str) -> Self {
        Launch::of(peers::ouzel()).set("TOR_PT_CLIENT_TRANSPORTS", transports)
    }

    /// The program under test as a server of one transport on a port of 127.0.0.1, as tor sets it without an
    /// Extended ORPort.
    pub(crate) fn server(transport: &str, orport: SocketAddr) -> Self {
        Launch::of(peers::ouzel()).serving(transport, orport)
    }

    /// A server's variables.
    pub(crate) fn serving(self, transport: &str, orport: SocketAddr) -> Self {
        self.set("TOR_PT_SERVER_TRANSPORTS", transport)
            .set("TOR_PT_SERVER_BINDADDR", format!("{transport}-127.0.0.1:0"))
            .set("TOR_PT_ORPORT", orport.to_string())
            .set("TOR_PT_EXTENDED_SERVER_PORT", "")
    }

    /// Sets a variable.
    pub(crate) fn set(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.insert(name.into(), value.as_ref().to_owned());
        self
    }

    /// Takes a variable away.
    pub(crate) fn unset(mut self, name: &str) -> Self {
        self.env.remove(OsStr::new(name));
        self
    }

    /// Adds an argument.
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds `--module NAME=FILE`.
    pub(crate) fn module(self, name: &str, file: &Path) -> Self {
        let mut value = OsString::from(format!("{name}="));
        value.push(file);
        self.arg("--module").arg(value)
    }

    /// Starts it by way of another program that ends by executing what stands behind its own arguments.
    pub(crate) fn through<S: AsRef<OsStr>>(mut self, program: &[S]) -> Self {
        self.through = program.iter().map(|word| word.as_ref().into()).collect();
        self
    }

    /// Starts it in a shell with a limit set (`-n 40`, `-v 2000000`).
    pub(crate) fn limited(self, ulimit: &str) -> Self {
        let script = format!("ulimit {ulimit} && exec \"$0\" \"$@\"");
        self.through(&["/bin/sh", "-c", &script])
    }

    /// What it finds on stdin.
    pub(crate) fn stdin(mut self, stdin: Stdin) -> Self {
        self.stdin = stdin;
        self
    }

    /// Gives it a stdout that the test reads (or does not read) itself.
    pub(crate) fn stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.stdout = Some(stdout.into());
        self
    }

    /// Uses the state directory of another launch: the second start of the same installation.
    pub(crate) fn sharing_state(mut self, state: &Arc<TempDir>) -> Self {
        self.state = state.clone();
        let path = self.state_dir();
        self.set("TOR_PT_STATE_LOCATION", path)
    }

    /// The state directory, which exists only once the program made it.
    pub(crate) fn state_dir(&self) -> PathBuf {
        self.state.path().join("pt_state/")
    }

    /// Starts it.
    pub(crate) fn start(mut self) -> Pt {
        let program = self.program.as_os_str().to_owned();
        let mut words = self.through.clone();
        words.push(program);
        words.append(&mut self.args);
        let mut child = Command::new(&words[0])
            .args(&words[1..])
            .env_clear()
            .envs(&self.env)
            .current_dir("/")
            .stdin(match self.stdin {
                Stdin::Held => Stdio::piped(),
                Stdin::Null => Stdio::null(),
            })
            .stdout(self.stdout.unwrap_or_else(Stdio::piped))
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|e| panic!("starting {words:?}: {e}"));
        let nothing = || Lines::of(tokio::io::empty());
        let stdout = child.stdout.take().map_or_else(nothing, Lines::of);
        let contract = |name: &OsString| name.to_string_lossy().starts_with("TOR_PT_");
        let judged = self.program == peers::ouzel() && self.env.keys().any(contract);
        Pt {
            _transcript: judged.then(|| Transcript(stdout.clone())),
            stdin: child.stdin.take(),
            stdout,
            stderr: child.stderr.take().map_or_else(nothing, Lines::of),
            pid: child.id().expect("just started"),
            child,
            state: self.state,
        }
    }

    /// Starts it and waits until it has printed its last configuration line.
    pub(crate) async fn ready(self) -> Pt {
        let pt = self.start();
        pt.done().await;
        pt
    }
}

/// A running pluggable transport; killed when dropped.
pub(crate) struct Pt {
    stdin: Option<ChildStdin>,
    /// Its stdout.
    pub(crate) stdout: Lines,
    /// Its stderr.
    pub(crate) stderr: Lines,
    _transcript: Option<Transcript>,
    child: Child,
    pid: u32,
    /// Keeps the state directory, which others may share.
    pub(crate) state: Arc<TempDir>,
}

/// Keeps what ouzel printed for the oracles, other programs that judge every line: one file a process, in the folder
/// that `OUZEL_TRANSCRIPTS` names, if it does.
struct Transcript(Lines);

impl Drop for Transcript {
    fn drop(&mut self) {
        let Some(folder) = std::env::var_os("OUZEL_TRANSCRIPTS") else {
            return;
        };
        let lines = self.0.text();
        let kept = tempfile::Builder::new()
            .prefix("process-")
            .suffix(".txt")
            .tempfile_in(folder)
            .map_err(|e| e.to_string())
            .and_then(|mut file| {
                std::io::Write::write_all(&mut file, lines.as_bytes())
                    .map_err(|e| e.to_string())?;
                file.keep().map_err(|e| e.to_string())
            });
        if let Err(error) = kept {
            eprintln!("no transcript was kept: {error}");
        }
    }
}

/// A `CMETHOD` or `SMETHOD` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Method {
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    /// A server's `ARGS:`, as they go into a SOCKS client's user name.
    pub(crate) args: Vec<u8>,
}

impl Pt {
    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// The state directory.
    pub(crate) fn state_dir(&self) -> PathBuf {
        self.state.path().join("pt_state/")
    }

    /// Everything it printed, for a message.
    pub(crate) fn story(&self) -> String {
        format!(
            "--- stdout\n{}\n--- stderr\n{}\n---",
            self.stdout.text(),
            self.stderr.text()
        )
    }

    /// All lines up to the `CMETHODS DONE` or `SMETHODS DONE` line, that one included.
    pub(crate) async fn done(&self) -> Vec<String> {
        self.until(|line| line == "CMETHODS DONE" || line == "SMETHODS DONE")
            .await
    }

    /// All lines up to the first that `last` accepts.
    pub(crate) async fn until(&self, last: impl Fn(&str) -> bool) -> Vec<String> {
        match tokio::time::timeout(SOON, self.stdout.find(last)).await {
            Ok(Some(line)) => {
                let mut lines = self.stdout.so_far();
                let end = lines.iter().position(|other| *other == line);
                lines.truncate(end.expect("it was found") + 1);
                lines
            }
            Ok(None) => panic!("the line never came, stdout ended:\n{}", self.story()),
            Err(_) => panic!("the line did not come within {SOON:?}:\n{}", self.story()),
        }
    }

    /// The first line on stdout that contains all of `words`.
    pub(crate) async fn says(&self, words: &[&str]) -> String {
        let lines = self
            .until(|line| words.iter().all(|word| line.contains(word)))
            .await;
        lines.last().expect("at least that one").clone()
    }

    /// A `LOG` line that contains all of `words`, whatever their case.
    pub(crate) async fn logs(&self, words: &[&str]) -> String {
        let lines = self
            .until(|line| {
                let text = line.to_lowercase();
                line.starts_with("LOG ")
                    && words.iter().all(|word| text.contains(&word.to_lowercase()))
            })
            .await;
        lines.last().expect("at least that one").clone()
    }

    /// Where a transport listens.
    pub(crate) async fn method(&self, name: &str) -> Method {
        let lines = self.done().await;
        lines
            .iter()
            .find_map(|line| method(line, name))
            .unwrap_or_else(|| panic!("no line for {name}:\n{}", self.story()))
    }

    /// Its exit status, once it has ended by itself.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        self.ended_within(SOON).await
    }

    /// Its exit status, once it has ended by itself, with a limit of one's own.
    pub(crate) async fn ended_within(&mut self, limit: Duration) -> ExitStatus {
        match tokio::time::timeout(limit, self.child.wait()).await {
            Ok(status) => {
                // Both pipes are read to their ends, so that what it said last can be looked at.
                soon("the end of stdout", self.stdout.end()).await;
                soon("the end of stderr", self.stderr.end()).await;
                status.unwrap()
            }
            Err(_) => panic!("still running after {limit:?}:\n{}", self.story()),
        }
    }

    /// Asserts that it ends by itself with this exit code.
    pub(crate) async fn exits(&mut self, code: i32) {
        let status = self.ended().await;
        assert_eq!(
            (status.code(), status.signal()),
            (Some(code), None),
            "exit status\n{}",
            self.story()
        );
    }

    /// Asserts that it runs.
    pub(crate) fn assert_runs(&mut self) {
        let status = self.child.try_wait().unwrap();
        assert!(status.is_none(), "ended: {status:?}\n{}", self.story());
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        // The child is not reaped while we hold it, so the id is its own.
        let pid = Pid::from_raw(self.pid as i32).expect("a pid");
        kill_process(pid, signal).unwrap();
    }

    /// Writes to its stdin.
    pub(crate) async fn write_stdin(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().expect("held");
        soon("stdin is read", stdin.write_all(bytes)).await.unwrap();
    }

    /// Closes its stdin.
    pub(crate) fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Asserts that after the `DONE` line came nothing but `LOG` and `STATUS` lines.
    pub(crate) fn assert_quiet_after_done(&self) {
        let lines = self.stdout.so_far();
        let done = lines.iter().position(|line| line.ends_with("METHODS DONE"));
        let after = &lines[done.expect("a DONE line") + 1..];
        for line in after {
            assert!(
                line.starts_with("LOG ") || line.starts_with("STATUS "),
                "after DONE: {line:?}"
            );
        }
    }

    /// A figure in kB from /proc/PID/status (`VmRSS`), or a count (`Threads`).
    pub(crate) fn status_figure(&self, name: &str) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap();
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
            .unwrap_or_else(|| panic!("no {name} in {text}"))
    }
}

/// Reads a `CMETHOD name socks5 addr` or `SMETHOD name addr [ARGS:..]` line of transport `name`.
fn method(line: &str, name: &str) -> Option<Method> {
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        ["CMETHOD", found, "socks5", addr] if found == name => Some(Method {
            addr: addr.parse().expect("an address"),
            args: Vec::new(),
        }),
        ["SMETHOD", found, addr, ref options @ ..] if found == name => Some(Method {
            addr: addr.parse().expect("an address"),
            args: options
                .iter()
                .find_map(|option| option.strip_prefix("ARGS:"))
                .map(arguments)
                .unwrap_or_default(),
        }),
        _ => None,
    }
}

/// `k=v,k=v` of an SMETHOD line as `k=v;k=v` of a SOCKS client.
fn arguments(smethod: &str) -> Vec<u8> {
    let mut socks = Vec::new();
    let mut escaped = false;
    for byte in smethod.bytes() {
        match (escaped, byte) {
            (false, b'\\') => escaped = true,
            (false, b',') => socks.push(b';'),
            (_, byte) => {
                if matches!(byte, b';' | b'\\') {
                    socks.push(b'\\');
                }
                socks.push(byte);
                escaped = false;
            }
        }
    }
    socks
}
