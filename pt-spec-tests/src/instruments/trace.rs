//! What an executable asks of the kernel, as `strace` sees it: the only way to notice a file opened or a connection made
//! that nobody at the other end tells about.

use std::ffi::OsString;
use std::path::PathBuf;

use rustix::process::Signal;

use super::leftovers::signal_children;
use super::parent::Launch;
use super::process::Pt;
use super::wire::SOON;
use crate::bench::Bench;
use crate::verdict::{Failure, Verdict};

/// A launch that is looked at.
pub struct Trace {
    file: PathBuf,
}

impl Trace {
    /// Puts strace around a launch; `calls` is its choice of system calls (`connect,sendto`, `%file`). The process id of
    /// what is started then is strace's.
    pub fn around(bench: &Bench, launch: Launch, calls: &str) -> Verdict<(Trace, Launch)> {
        Trace::with(bench, launch, calls, &[])
    }

    /// The same, and every descriptor is told with what is behind it: `1<pipe:[4711]>`.
    pub fn naming_files(bench: &Bench, launch: Launch, calls: &str) -> Verdict<(Trace, Launch)> {
        Trace::with(bench, launch, calls, &["-y"])
    }

    fn with(
        bench: &Bench,
        launch: Launch,
        calls: &str,
        options: &[&str],
    ) -> Verdict<(Trace, Launch)> {
        let file = bench.fresh_path("trace");
        let strace = find("strace").ok_or_else(|| {
            Failure::Instrument(
                "strace is missing: install it (Debian: apt-get install strace)".to_owned(),
            )
        })?;
        let mut words: Vec<OsString> = vec![strace.into()];
        words.extend(options.iter().map(OsString::from));
        words.extend(["-f", "-q", "-s", "4096", "-e"].map(OsString::from));
        words.push(format!("trace={calls}").into());
        words.push("-o".into());
        words.push(file.clone().into());
        words.push("--".into());
        Ok((Trace { file }, launch.through(&words)))
    }

    /// Ends the process by its stdin, or by force, and gives every call that was seen, one a line, without the process
    /// id.
    pub async fn calls(self, mut pt: Pt) -> Verdict<Vec<String>> {
        pt.close_stdin();
        if pt.exit(SOON).await?.is_none() {
            // strace ends behind its child, with everything written down.
            signal_children(pt.pid(), Signal::KILL);
            pt.exit(SOON).await?;
        }
        let text = std::fs::read_to_string(&self.file)?;
        let calls: Vec<String> = text
            .lines()
            .filter_map(|line| Some(line.split_once(' ')?.1.trim_start().to_owned()))
            .filter(|call| !call.starts_with("+++") && !call.starts_with("---"))
            .collect();
        if calls.is_empty() {
            return Err(Failure::Instrument("strace saw no call at all".to_owned()));
        }
        Ok(calls)
    }
}

/// A program on `PATH` or where daemons live.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}
