//! A real tor, on loopback and without a network to reach.
//!
//! In: a torrc and how to see in the log that it has said enough. Out: its whole log. What can go wrong is that tor is
//! not installed, does not start, or does not come to the point in time; it is killed then.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines, Take};
use tokio::net::TcpSocket;
use tokio::process::{ChildStdout, Command};

use crate::deadline::{soon, within};

/// From tor's start to the last word of the last transport; tor waits a second before it launches any.
const ENOUGH: Duration = Duration::from_secs(30);

/// What a log may hold: tor repeats every line of a transport three times.
const MAX_LOG: u64 = 64 << 20;

/// What a tor needs beside its torrc.
pub struct Ground {
    /// Holds everything that tor writes.
    pub folder: PathBuf,
    /// Bound and never listening: who connects is refused, and nobody else can have the port.
    nobody: TcpSocket,
}

impl Ground {
    /// In an empty folder.
    #[expect(clippy::disallowed_methods, reason = "the scratch folder of this run")]
    pub fn new(folder: &Path) -> Result<Self> {
        let nobody = TcpSocket::new_v4()?;
        nobody.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        std::fs::write(folder.join("resolv.conf"), "nameserver 127.0.0.1\n")?;
        Ok(Ground {
            folder: folder.to_owned(),
            nobody,
        })
    }

    /// An address that refuses every connection: the authority, the bridges and the upstream proxy.
    pub fn nobody(&self) -> Result<SocketAddr> {
        Ok(self.nobody.local_addr()?)
    }

    /// The part of the torrc that keeps tor on this machine and lets it talk.
    fn managed(&self) -> Result<String> {
        let nobody = self.nobody()?;
        Ok(format!(
            "DataDirectory {}\nSocksPort 0\nShutdownWaitLength 0\n__OwningControllerProcess {}\n\
             DirAuthority nobody orport={} v3ident={:040} {nobody} {:040}\n\
             Log [pt,process]debug [*]info stdout\nLogMessageDomains 1\nSafeLogging 0\nAvoidDiskWrites 1\n",
            self.folder.join("data").display(),
            std::process::id(),
            nobody.port(),
            1,
            2,
        ))
    }

    /// Runs tor with this torrc until `enough` says so of a line of its log, then ends it and gives the log.
    #[expect(clippy::disallowed_methods, reason = "the scratch folder of this run")]
    pub async fn run(
        &self,
        torrc: &str,
        mut enough: impl FnMut(&str) -> bool,
    ) -> Result<Vec<String>> {
        let file = self.folder.join("torrc");
        std::fs::write(&file, format!("{}{torrc}", self.managed()?))?;
        let mut tor = Command::new(find()?)
            .args(["--defaults-torrc", "/dev/null", "-f"])
            .arg(&file)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = tor.stdout.take().context("stdout is piped")?;
        let mut lines = BufReader::new(stdout.take(MAX_LOG)).lines();
        let mut log = Vec::new();
        let came = within(ENOUGH, "tor's last word", async {
            while let Some(line) = lines.next_line().await? {
                let last = enough(&line);
                log.push(line);
                if last {
                    return Ok(true);
                }
            }
            Ok::<_, std::io::Error>(false)
        });
        match came.await.and_then(|came| Ok(came?)) {
            Ok(true) => {}
            Ok(false) => bail!("tor ended; its log:\n{}", log.join("\n")),
            Err(error) => bail!("{error:#}; tor's log:\n{}", log.join("\n")),
        }
        let pid = tor.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        kill_process(pid.context("tor has ended")?, Signal::TERM)?;
        soon("tor's end", rest(&mut lines, &mut log)).await??;
        let status = soon("tor's exit", tor.wait()).await??;
        ensure!(status.success(), "{status}:\n{}", log.join("\n"));
        Ok(log)
    }

    /// What tor says of a configuration that it is only to check; the error is its log.
    #[expect(clippy::disallowed_methods, reason = "the scratch folder of this run")]
    pub async fn verify(&self, torrc: &str) -> Result<Result<(), String>> {
        let file = self.folder.join("verified");
        std::fs::write(&file, torrc)?;
        let tor = Command::new(find()?)
            .args(["--defaults-torrc", "/dev/null", "--verify-config", "-f"])
            .arg(&file)
            .arg("--DataDirectory")
            .arg(self.folder.join("unused"))
            .env_clear()
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = soon("tor --verify-config", tor).await??;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(output.status.success().then_some(()).ok_or(said))
    }
}

async fn rest(
    lines: &mut Lines<BufReader<Take<ChildStdout>>>,
    log: &mut Vec<String>,
) -> std::io::Result<()> {
    while let Some(line) = lines.next_line().await? {
        log.push(line);
    }
    Ok(())
}

fn find() -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/bin"].map(PathBuf::from))
        .map(|folder| folder.join("tor"))
        .find(|candidate| candidate.is_file())
        .context("`tor` is missing: install it (Debian: apt-get install tor)")
}
