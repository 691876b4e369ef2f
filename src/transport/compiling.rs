//! Compiling in a process of its own: `ouzel compile - --output -`.
//!
//! In: the executable, a module. Out: its artefact. A compiler leaves twice the memory behind that a proxy needs for months, and strangers'
//! modules are made to look for its mistakes. What can go wrong, from a missing /proc to a module that does not compile, is
//! no answer: the caller compiles here, and hears why that fails. Whoever ends takes the other along: a parent by the kernel,
//! a child by its pipes.

use super::artefacts::{MAX_ARTEFACT, unsealed};
use crate::platform;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// Compiles a module with the executable `ouzel` at that place.
pub(super) fn compile(ouzel: &Path, wasm: &[u8], interpret: bool) -> Option<Vec<u8>> {
    let mut command = Command::new(ouzel);
    command.args(["compile", "-", "--output", "-", "--parent"]);
    command.arg(std::process::id().to_string());
    if interpret {
        command.arg("--interpreter");
    }
    // Its file may be called otherwise by now, or be a link of the kernel's.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::arg0(&mut command, "ouzel");
    platform::end_with_this_thread(&mut command);
    let child = command
        // Nothing of what tor says to this process is meant for it.
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => {
            tracing::debug!("no process to compile in: {error}");
            return None;
        }
    };
    let mut sealed = Vec::new();
    // It reads all of the module before it writes anything, and its end of the pipe closes with it.
    let fed = child.stdin.take().map(|mut stdin| stdin.write_all(wasm));
    let read = child.stdout.take().map(|stdout| {
        let most = MAX_ARTEFACT as u64 + 1;
        stdout.take(most).read_to_end(&mut sealed)
    });
    let is_whole = matches!((fed, read), (Some(Ok(())), Some(Ok(_))));
    if !is_whole {
        // Fails only where it has ended.
        let _ = child.kill();
    }
    let is_done = child.wait().is_ok_and(|status| status.success());
    if !is_done || !is_whole {
        tracing::debug!("the process that was to compile did not");
        return None;
    }
    let length = unsealed(&sealed).ok()?.len();
    sealed.truncate(length);
    Some(sealed)
}
