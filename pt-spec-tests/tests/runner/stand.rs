//! A place for one test: a folder for subjects and one for the runner's temporary files, and the runner in both.
//!
//! Subjects are shell scripts. Every process that one starts carries the folder's path in its command line (`sleep` is
//! linked there), so survivors are found by it.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// Longer than any run here takes on a machine that does other things too; only a failure takes all of it.
const LIMIT: Duration = Duration::from_secs(120);

pub(crate) struct Stand {
    subjects: TempDir,
    temporary: TempDir,
}

/// A run that ended.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Stand {
    pub(crate) fn new() -> Stand {
        let stand = Stand {
            subjects: tempfile::tempdir().expect("a folder"),
            temporary: tempfile::tempdir().expect("a folder"),
        };
        let sleep = ["/bin/sleep", "/usr/bin/sleep"]
            .iter()
            .find(|path| Path::new(path).exists());
        symlink(sleep.expect("every system has sleep"), stand.path("sleep")).expect("a link");
        stand
    }

    /// A path in the folder of subjects.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.subjects.path().join(name)
    }

    /// A file in the folder of subjects.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("a file");
        path
    }

    /// A subject: a script that finds its folder in `$here`.
    pub(crate) fn subject(&self, script: &str) -> PathBuf {
        let here = self.subjects.path().display();
        let path = self.file("subject", &format!("#!/bin/sh\nhere='{here}'\n{script}\n"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
        path
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pt-spec-tests"));
        command
            .args(words)
            .current_dir(self.subjects.path())
            .env("TMPDIR", self.temporary.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// The runner, started.
    pub(crate) fn start(&self, words: &[&str]) -> Child {
        self.command(words).spawn().expect("the runner starts")
    }

    /// The runner, to its end.
    pub(crate) async fn run(&self, words: &[&str]) -> Ran {
        Stand::end(self.start(words)).await
    }

    /// The runner with its temporary files where no folder is.
    pub(crate) async fn run_without_temporary_folder(&self, words: &[&str]) -> Ran {
        let mut command = self.command(words);
        command.env("TMPDIR", self.path("no-such-folder"));
        Stand::end(command.spawn().expect("the runner starts")).await
    }

    /// Waits for a started runner.
    pub(crate) async fn end(runner: Child) -> Ran {
        let since = Instant::now();
        let output = timeout(LIMIT, runner.wait_with_output()).await;
        let output = output
            .expect("the run ends")
            .expect("its output can be read");
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("stdout is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("stderr is UTF-8"),
            took: since.elapsed(),
        }
    }

    /// That no process of a subject runs and no temporary file is left.
    pub(crate) fn assert_clean(&self) {
        let processes = self.processes();
        assert!(processes.is_empty(), "still running: {processes:?}");
        let files: Vec<_> = fs::read_dir(self.temporary.path())
            .expect("the folder is there")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        assert!(files.is_empty(), "left behind: {files:?}");
    }

    /// The command lines of processes that a subject started.
    pub(crate) fn processes(&self) -> Vec<String> {
        let here = self.subjects.path().display().to_string();
        fs::read_dir("/proc")
            .expect("there is /proc")
            .filter_map(|entry| {
                let command = fs::read(entry.ok()?.path().join("cmdline")).ok()?;
                let command = String::from_utf8_lossy(&command).replace('\0', " ");
                let of_the_runner = command.starts_with(env!("CARGO_BIN_EXE_pt-spec-tests"));
                (command.contains(&here) && !of_the_runner).then_some(command)
            })
            .collect()
    }
}

impl Ran {
    /// The JSON document on stdout.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("stdout is not JSON ({error}): {}", self.stdout))
    }

    /// That it ended with this code; shows what it said otherwise.
    pub(crate) fn assert_code(&self, code: i32) {
        assert_eq!(
            self.code,
            Some(code),
            "stdout: {}\nstderr: {}",
            self.stdout,
            self.stderr
        );
    }
}
