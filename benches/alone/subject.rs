//! What is measured: `ouzel dial` with a module, or a native copy in its place.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, BufReader, copy_bidirectional_with_sizes};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::timeout;

const BUFFER: usize = 64 << 10;

#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    /// This program, copying.
    Copy,
    /// `ouzel dial` with a built-in's name or a file.
    Dial(String),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Copy => f.write_str("native copy"),
            Subject::Dial(module) => {
                let name = Path::new(module).file_stem().unwrap_or_default();
                write!(f, "{}", name.to_string_lossy())
            }
        }
    }
}

/// A subject that runs; dropping it kills it.
pub(crate) struct Running {
    child: Child,
    pub(crate) addr: SocketAddr,
    /// From the start to the line that names the port.
    pub(crate) took: Duration,
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id().expect("it is waited for at the end only")
    }
}

impl Subject {
    pub(crate) async fn start(&self, target: SocketAddr, state: &Path) -> anyhow::Result<Running> {
        let started = Instant::now();
        let mut command = match self {
            Subject::Copy => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["--serve-copy", &target.to_string()]);
                command
            }
            Subject::Dial(module) => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_ouzel"));
                command
                    .args(["dial", "--listen", "127.0.0.1:0", "--module", module])
                    .args(["--connect", &target.to_string(), "--log-level", "warn"])
                    .arg("--state")
                    .arg(state);
                command
            }
        };
        let mut child = command
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{self} does not start"))?;
        let stdout = child.stdout.take().expect("it is piped");
        let mut line = String::new();
        let mut lines = BufReader::new(stdout);
        timeout(Duration::from_secs(120), lines.read_line(&mut line))
            .await
            .with_context(|| format!("{self} names no port"))??;
        let addr = line.trim().rsplit(' ').next().unwrap_or_default();
        let addr = addr
            .parse()
            .with_context(|| format!("{self} said {line:?}"))?;
        Ok(Running {
            child,
            addr,
            took: started.elapsed(),
        })
    }
}

/// The reference: tokio's `copy_bidirectional` between each connection and one of its own.
pub(crate) async fn serve_copy(target: SocketAddr) -> anyhow::Result<()> {
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let listener: TcpListener = socket.listen(4096)?;
    crate::table::print(&format!("listening on {}\n", listener.local_addr()?));
    loop {
        let (near, _) = listener.accept().await?;
        tokio::spawn(async move {
            // How a connection ended is for its two ends to judge.
            let _ = copy(near, target).await;
        });
    }
}

async fn copy(mut near: TcpStream, target: SocketAddr) -> std::io::Result<()> {
    near.set_nodelay(true)?;
    #[expect(
        clippy::disallowed_methods,
        reason = "the reference has no upstream proxy to go around"
    )]
    let mut far = TcpStream::connect(target).await?;
    far.set_nodelay(true)?;
    copy_bidirectional_with_sizes(&mut near, &mut far, BUFFER, BUFFER).await?;
    Ok(())
}
