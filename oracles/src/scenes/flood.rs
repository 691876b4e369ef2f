//! A parent that does not read: `LOG` lines are dropped, and the loss is said when it reads again.

use anyhow::Result;
use rustix::pipe::fcntl_setpipe_size;

use super::Stage;
use crate::ouzel::Launch;
use crate::socks::{say, to_name};
use crate::transcript::Transcript;

/// One page holds a few lines, then 64 wait; the rest is lost.
const CONNECTIONS: usize = 120;

pub(super) async fn play(stage: &Stage) -> Result<Transcript> {
    let launch = Launch::client(&stage.state("flood"), "plain").arg("--unsafe-logging");
    let mut pt = launch.start("a parent that does not read")?;
    let port = pt.method("plain").await?;
    pt.says("CMETHODS DONE").await?;
    fcntl_setpipe_size(pt.pipe(), 4096)?;
    for n in 0..CONNECTIONS {
        // Each is another name, and a key that is not UTF-8 is a user's mistake: told every time.
        let name = format!("{n:-<250}");
        say(port, &to_name(b"\xff=v", name.as_bytes(), 443)).await?;
    }
    pt.says("log lines were dropped").await?;
    pt.finish().await
}
