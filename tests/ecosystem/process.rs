//! The executable, and the programs that stand at its other end.
//!
//! In: a command. Out: where it listens, and what it says. What can go wrong: it ends instead, and its last line says why.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::{interval, timeout};

/// Compiling a large module on a busy machine takes its time.
const STARTING: Duration = Duration::from_secs(180);

/// A process that was killed is gone by then, and its port is free.
const DYING: Duration = Duration::from_secs(30);

/// Lines that are kept of one process.
const KEPT: usize = 1000;

/// A program that runs, until this is dropped.
pub(crate) struct Running {
    child: Child,
    pub(crate) at: SocketAddr,
    pub(crate) log: Log,
}

/// What a program says on stderr.
#[derive(Clone)]
pub(crate) struct Log {
    lines: Arc<Mutex<VecDeque<String>>>,
    /// How many there have been, those that are no longer kept included.
    count: watch::Receiver<usize>,
}

/// Why `ouzel` does not run: what it said before it ended.
pub(crate) struct Refusal(pub(crate) String);

impl Running {
    /// Starts `ouzel` with these words and waits for its port.
    pub(crate) async fn ouzel(words: &[OsString]) -> Result<Result<Running, Refusal>> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ouzel"))
            .args(words)
            .args(["--listen", "127.0.0.1:0", "--threads", "2"])
            .args(["--log-level", "debug", "--drain-timeout", "5"])
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("ouzel cannot be started")?;
        let log = Log::of(child.stderr.take().context("its stderr is piped")?);
        let mut said = String::new();
        let mut out = BufReader::new(child.stdout.take().context("its stdout is piped")?);
        let line = timeout(STARTING, out.read_line(&mut said)).await;
        line.context("ouzel neither listens nor ends")??;
        if let Some(at) = said.strip_prefix("listening on ") {
            let at = at.trim_end().parse()?;
            return Ok(Ok(Running { child, at, log }));
        }
        let ended = timeout(STARTING, child.wait()).await;
        let status = ended.context("ouzel closed its stdout and did not end")??;
        // The pipe may still hold its last line.
        let last = timeout(STARTING, log.last()).await.unwrap_or_default();
        if status.code() != Some(1) {
            bail!("ouzel ended with {status}: {last}");
        }
        Ok(Err(Refusal(last)))
    }

    /// Starts another program that will listen at `at`, and waits until it does.
    pub(crate) async fn peer(words: &[String], at: SocketAddr) -> Result<Running> {
        let (program, words) = words.split_first().context("peer names no command")?;
        let mut child = Command::new(program)
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| {
                format!("{program}, this module's peer, cannot be started; install it")
            })?;
        let log = Log::of(child.stderr.take().context("its stderr is piped")?);
        let listens = async {
            let mut again = interval(Duration::from_millis(50));
            while TcpStream::connect(at).await.is_err() {
                again.tick().await;
            }
        };
        tokio::select! {
            () = listens => Ok(Running { child, at, log }),
            status = child.wait() => bail!("{program} ended with {}: {}", status?, log.last().await),
            () = tokio::time::sleep(STARTING) => bail!("{program} does not listen at {at}"),
        }
    }

    /// CPU seconds of all its threads so far, where that can be known.
    pub(crate) fn cpu_seconds(&self) -> Option<f64> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id()?)).ok()?;
        let spent = |task: std::io::Result<std::fs::DirEntry>| {
            let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        };
        let nanoseconds: u64 = tasks.map(spent).sum::<Option<u64>>()?;
        Some(nanoseconds as f64 / 1e9)
    }
}

impl Log {
    fn of(pipe: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let lines = Arc::new(Mutex::new(VecDeque::new()));
        let (tell, count) = watch::channel(0);
        let keep = Arc::clone(&lines);
        tokio::spawn(async move {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while let Ok(1..) = pipe.read_until(b'\n', &mut line).await {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                line.clear();
                let mut lines = keep.lock().unwrap_or_else(PoisonError::into_inner);
                if lines.len() == KEPT {
                    lines.pop_front();
                }
                lines.push_back(text);
                drop(lines);
                tell.send_modify(|count| *count += 1);
            }
        });
        Log { lines, count }
    }

    /// How many lines there have been.
    pub(crate) fn so_far(&self) -> usize {
        *self.count.borrow()
    }

    /// The first line after number `from` with one of these words in it; waits until there is one, for ever if the program
    /// ends without.
    pub(crate) async fn find(&self, from: usize, words: &[&str]) -> String {
        let mut count = self.count.clone();
        loop {
            let now = *count.borrow_and_update();
            if let Some(line) = self.line_among(from, now, words) {
                return line;
            }
            if count.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    fn line_among(&self, from: usize, now: usize, words: &[&str]) -> Option<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = lines.len().min(now.saturating_sub(from));
        let tells = |line: &&String| words.iter().any(|word| line.contains(word));
        let line = lines.iter().skip(lines.len() - fresh).find(tells)?;
        Some(line.trim_start_matches("ouzel: ").to_owned())
    }

    /// What it said last, once it has ended.
    async fn last(&self) -> String {
        let mut count = self.count.clone();
        while count.changed().await.is_ok() {}
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let last = lines.iter().rev().find(|line| !line.is_empty());
        last.map_or("nothing", |line| line.trim_start_matches("ouzel: "))
            .to_owned()
    }
}

/// The far end, anywhere or where the module goes by itself.
pub(crate) async fn far_end(at: Option<SocketAddr>) -> Result<(TcpListener, SocketAddr)> {
    let at = at.unwrap_or((Ipv4Addr::LOCALHOST, 0).into());
    let started = Instant::now();
    let far = loop {
        match TcpListener::bind(at).await {
            // The peer of the scene before may take a moment to die.
            Err(error) if error.kind() == ErrorKind::AddrInUse && started.elapsed() < DYING => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            far => break far,
        }
    };
    let far = far.with_context(|| format!("nobody can listen at {at}"))?;
    let at = far.local_addr()?;
    Ok((far, at))
}

/// An address that nobody listens at, for a program that cannot be told to choose.
pub(crate) async fn free_port() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .context("no port is free")?;
    Ok(listener.local_addr()?)
}

/// Words for a command.
pub(crate) fn words<const N: usize>(words: [&OsStr; N]) -> Vec<OsString> {
    words.into_iter().map(OsStr::to_owned).collect()
}
