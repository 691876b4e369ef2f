//! System calls that fail, by way of strace: the only way to meet an executable's error paths from outside.

use std::ffi::OsString;
use std::process::Stdio;

use tokio::process::Command;
use tokio::time::timeout;

use crate::instruments::parent::Launch;
use crate::instruments::process::Pt;
use crate::instruments::trace::find;
use crate::instruments::wire::SOON;
use crate::verdict::{Failure, Verdict};

/// The means to make them fail.
pub(super) struct Faults {
    strace: OsString,
}

impl Faults {
    /// Finds out whether processes may be traced here at all: containers and hardened kernels forbid it.
    pub(super) async fn prepare() -> Verdict<Faults> {
        let strace = find("strace").map(OsString::from);
        let strace = strace.ok_or_else(|| Failure::Instrument("strace is missing".to_owned()))?;
        let status = Command::new(&strace)
            .args(["-qq", "-e", "trace=none", "-o", "/dev/null", "--", "true"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .status();
        match timeout(SOON, status).await {
            Ok(Ok(status)) if status.success() => Ok(Faults { strace }),
            _ => Err(Failure::Instrument(
                "strace may not trace processes here".to_owned(),
            )),
        }
    }

    /// A launch in which system calls fail: `bind,listen:error=EADDRINUSE` (see strace's `--inject`). The process id of
    /// what is started then is strace's.
    pub(super) fn inject(&self, launch: Launch, what: &str) -> Launch {
        let inject = format!("inject={what}");
        let words = ["-f", "-qq", "-e", &inject, "-o", "/dev/null", "--"];
        let mut through = vec![self.strace.clone()];
        through.extend(words.map(OsString::from));
        launch.through(&through)
    }
}

/// Ends a process by its stdin and waits, so that strace does not leave behind what it traces.
pub(super) async fn release(pt: &mut Pt) -> Verdict {
    pt.close_stdin();
    pt.exit(SOON).await.map(drop)
}
