//! Looking at what a program asks of the kernel.

use std::path::PathBuf;

use tempfile::TempDir;

use super::peers;
use super::pt::{Launch, Pt};

/// A program under strace.
pub(crate) struct Traced {
    /// The program; its process id is strace's.
    pub(crate) pt: Pt,
    folder: TempDir,
}

impl Traced {
    /// Starts `launch` with strace following its threads and children; `options` choose what is looked at.
    pub(crate) async fn ready(launch: Launch, options: &[&str]) -> Self {
        let traced = Traced::start(launch, options);
        traced.pt.done().await;
        traced
    }

    /// The same, without waiting for it.
    pub(crate) fn start(launch: Launch, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("trace");
        let mut words: Vec<PathBuf> = vec![peers::find("strace", "strace")];
        words.extend(["-f", "-q", "-s", "4096", "-o"].map(PathBuf::from));
        words.push(file);
        words.extend(options.iter().map(PathBuf::from));
        words.push("--".into());
        let pt = launch.through(&words).start();
        Traced { pt, folder }
    }

    /// Ends the program by its stdin and gives everything that was seen, one call a line.
    pub(crate) async fn calls(mut self) -> Vec<String> {
        self.pt.close_stdin();
        self.pt.exits(0).await;
        let text = std::fs::read_to_string(self.folder.path().join("trace")).unwrap();
        let calls: Vec<String> = text
            .lines()
            // The process id, then the call.
            .filter_map(|line| Some(line.split_once(' ')?.1.trim_start().to_owned()))
            .filter(|call| !call.starts_with("+++") && !call.starts_with("---"))
            .collect();
        assert!(!calls.is_empty(), "strace saw nothing:\n{text}");
        calls
    }
}
