//! The executable under test, started as its parent would start it.
//!
//! In: the environment, the flags, what to take away from it. Out: a [`Transcript`], or a running process whose lines
//! can be waited for. Nothing is read from stdout unless somebody waits for a line, so a scene can be a parent that
//! does not listen. What can go wrong is a process that does not come to its end in time; it is killed.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::deadline::soon;
use crate::line::Line;
use crate::transcript::Transcript;

/// What a run may print before it is called a flood.
const MAX_STDOUT: u64 = 16 << 20;

/// The executable: `OUZEL`, or the release build of this tree.
pub fn executable() -> Result<PathBuf> {
    let path = match std::env::var_os("OUZEL") {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release/ouzel"),
    };
    path.canonicalize().with_context(|| {
        format!(
            "{} is not there: run `cargo build --release` in the project's root first, or name the executable in OUZEL",
            path.display()
        )
    })
}

/// A run that is about to begin.
#[derive(Clone, Debug, Default)]
pub struct Launch {
    args: Vec<OsString>,
    env: BTreeMap<OsString, OsString>,
    descriptors: Option<u32>,
}

impl Launch {
    /// With what every parent says.
    pub fn new(state: &Path) -> Self {
        Launch::default()
            .env("TOR_PT_MANAGED_TRANSPORT_VER", "1")
            .env("TOR_PT_STATE_LOCATION", state)
            .env("TOR_PT_EXIT_ON_STDIN_CLOSE", "1")
    }

    /// A client's.
    pub fn client(state: &Path, transports: impl AsRef<OsStr>) -> Self {
        Launch::new(state).env("TOR_PT_CLIENT_TRANSPORTS", transports)
    }

    /// A bridge's, in front of a relay that nobody reaches.
    pub fn server(state: &Path, transports: impl AsRef<OsStr>) -> Self {
        Launch::new(state)
            .env("TOR_PT_SERVER_TRANSPORTS", transports)
            .env("TOR_PT_ORPORT", "127.0.0.1:9")
    }

    /// Sets a variable.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.insert(name.into(), value.as_ref().to_owned());
        self
    }

    /// Takes a variable away.
    pub fn without(mut self, name: &str) -> Self {
        self.env.remove(OsStr::new(name));
        self
    }

    /// Adds a flag.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Leaves it this many file descriptors, the standard three among them.
    pub fn descriptors(mut self, limit: u32) -> Self {
        self.descriptors = Some(limit);
        self
    }

    /// Runs it with its stdin at the end from the start: it says all that it has to say first, and exits.
    pub async fn transcript(self, name: &str) -> Result<Transcript> {
        self.start(name)?.finish().await
    }

    /// Starts it.
    pub fn start(self, name: &str) -> Result<Running> {
        let program = executable()?;
        let mut command = match self.descriptors {
            None => Command::new(program),
            Some(limit) => {
                let mut shell = Command::new("/bin/sh");
                let script = format!("ulimit -n {limit}; exec \"$0\" \"$@\"");
                shell.arg("-c").arg(script).arg(program);
                shell
            }
        };
        let mut child = command
            .args(self.args)
            .env_clear()
            .envs(self.env)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().context("stdout is piped")?;
        Ok(Running {
            name: name.to_owned(),
            stdin: child.stdin.take(),
            stdout: BufReader::new(stdout.take(MAX_STDOUT)),
            said: Vec::new(),
            child,
        })
    }
}

/// A running process.
pub struct Running {
    name: String,
    stdin: Option<ChildStdin>,
    stdout: BufReader<tokio::io::Take<ChildStdout>>,
    said: Vec<u8>,
    child: Child,
}

impl Running {
    /// The pipe that it writes its lines to.
    pub fn pipe(&self) -> &ChildStdout {
        self.stdout.get_ref().get_ref()
    }

    /// Where a transport listens, as soon as it says so.
    pub async fn method(&mut self, wanted: &str) -> Result<SocketAddr> {
        loop {
            match Line::read(&self.next().await?) {
                Ok(Line::Cmethod { name, addr, .. } | Line::Smethod { name, addr, .. })
                    if name == wanted =>
                {
                    return Ok(addr);
                }
                _ => {}
            }
        }
    }

    /// Waits for a line that contains these words.
    pub async fn says(&mut self, words: &str) -> Result<()> {
        while !self.next().await?.contains(words) {}
        Ok(())
    }

    /// Closes its stdin and gives all that it has said.
    pub async fn finish(mut self) -> Result<Transcript> {
        drop(self.stdin.take());
        let rest = self.stdout.read_to_end(&mut self.said);
        soon("the end of stdout", rest)
            .await
            .and_then(|read| Ok(read?))
            .with_context(|| self.name.clone())?;
        soon("the exit", self.child.wait())
            .await
            .and_then(|exited| Ok(exited?))
            .with_context(|| self.name.clone())?;
        ensure!(
            self.stdout.get_ref().limit() > 0,
            "{}: more than {MAX_STDOUT} bytes of lines",
            self.name
        );
        Transcript::from_bytes(&self.name, self.said)
    }

    async fn next(&mut self) -> Result<String> {
        let before = self.said.len();
        let line = self.stdout.read_until(b'\n', &mut self.said);
        let read = soon("a line", line).await.and_then(|read| Ok(read?));
        let said = || String::from_utf8_lossy(&self.said).into_owned();
        match read {
            Ok(0) => bail!("{}: it ended after:\n{}", self.name, said()),
            Err(error) => bail!("{}: {error:#} after:\n{}", self.name, said()),
            Ok(_) => {}
        }
        let line = String::from_utf8_lossy(&self.said[before..]);
        Ok(line.trim_end_matches('\n').to_owned())
    }
}
