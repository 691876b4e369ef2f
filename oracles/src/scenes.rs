//! Everything that makes ouzel write a line, and what it writes then.
//!
//! In: nothing but the executable. Out: the transcript of every scene. The scenes follow ouzel's own code from the
//! environment to the last connection; texts that come from outside (paths, names, host names, flags) hold whatever
//! could end a line, a quoted string or a parent's patience.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use futures::StreamExt;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpSocket};

use crate::ouzel::Launch;
use crate::transcript::Transcript;

mod client;
mod flood;
mod live;
mod server;
mod start;

/// Runs at a time; each may compile two modules.
const AT_A_TIME: usize = 4;

/// Quotes, a backslash, a line end, a tab, an escape sequence and two letters that are not ASCII.
pub(crate) const HOSTILE: &str =
    "a\"b'c\\d\ne\tf\u{1b}[31mg\u{e9}\u{1f426} \"; LOG SEVERITY=error MESSAGE=\"x";

/// A run without a conversation.
type Scene = (String, Launch);

/// The scratch folder of all scenes, gone when dropped.
pub struct Stage {
    folder: TempDir,
    /// Listens and never accepts: its port is taken.
    reserved: TcpListener,
    /// Bound and never listening: whoever connects is refused, and nobody else can have the port.
    silent: TcpSocket,
}

impl Stage {
    async fn new() -> Result<Self> {
        let silent = TcpSocket::new_v4()?;
        silent.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        Ok(Stage {
            folder: tempfile::tempdir()?,
            reserved: TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?,
            silent,
        })
    }

    /// An address that is taken.
    fn taken(&self) -> Result<SocketAddr> {
        Ok(self.reserved.local_addr()?)
    }

    /// An address that refuses every connection.
    fn nobody(&self) -> Result<SocketAddr> {
        Ok(self.silent.local_addr()?)
    }

    /// A path in the folder, absolute.
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A state directory of one's own.
    fn state(&self, name: &str) -> PathBuf {
        self.path("state").join(name)
    }

    #[expect(clippy::disallowed_methods, reason = "the scenes' own scratch folder")]
    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.path(name);
        std::fs::write(&path, bytes).with_context(|| path.display().to_string())?;
        Ok(path)
    }

    #[expect(clippy::disallowed_methods, reason = "the scenes' own scratch folder")]
    fn folder(&self, path: &Path) -> Result<()> {
        std::fs::create_dir_all(path).with_context(|| path.display().to_string())
    }
}

/// A module from the project's collection of guests that misbehave.
fn guest(name: &str) -> PathBuf {
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../watm/dist/test-guests");
    modules.join(name).with_extension("wasm")
}

/// `NAME=FILE`, as `--module` and `--config` take it.
fn named(name: &str, file: &Path) -> std::ffi::OsString {
    let mut argument = std::ffi::OsString::from(format!("{name}="));
    argument.push(file);
    argument
}

/// Plays all scenes.
pub async fn all() -> Result<Vec<Transcript>> {
    let stage = Stage::new().await?;
    let mut scenes = start::scenes(&stage)?;
    scenes.extend(client::scenes(&stage)?);
    scenes.extend(server::scenes(&stage)?);
    let played = futures::stream::iter(scenes)
        .map(|(name, launch)| async move { launch.transcript(&name).await })
        .buffered(AT_A_TIME);
    let mut transcripts = Vec::new();
    for transcript in played.collect::<Vec<_>>().await {
        transcripts.push(transcript?);
    }
    transcripts.extend(live::play(&stage).await?);
    transcripts.push(flood::play(&stage).await?);
    Ok(transcripts)
}
