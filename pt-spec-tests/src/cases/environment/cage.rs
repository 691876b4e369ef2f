//! A client that cannot reach anybody: strace fails every `connect` before the kernel sees it, and tells what the
//! process bound its socket to before. So destinations beyond loopback can be tried with nothing sent anywhere.
//!
//! In: a launch, a destination. Out: what it tried. Can go wrong: a machine without strace.

use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::bench::{Bench, BridgeArgs};
use crate::instruments::leftovers::signal_children;
use crate::instruments::parent::{Launch, Ready};
use crate::instruments::socks::{self, Reply, Target};
use crate::instruments::trace::find;
use crate::instruments::wire::{A_WHILE, SOON, read_to_end};
use crate::verdict::{Failure, Verdict};

/// A client whose connections strace lets none of through.
pub(super) struct Cage {
    file: PathBuf,
    /// The client; its process is strace.
    pub(super) ready: Ready,
    args: BridgeArgs,
}

/// What it tried.
pub(super) struct Tried {
    /// The connects to the destination that was looked for, as strace shows them.
    pub(super) connects: Vec<String>,
    /// For each of them, the bind of the same socket before it.
    pub(super) binds: Vec<Option<String>>,
}

impl Cage {
    /// Starts a client inside of it.
    pub(super) async fn close(
        bench: &Bench,
        change: impl FnOnce(Launch) -> Launch,
    ) -> Verdict<Cage> {
        let args = bench.bridge_args().await?;
        let file = bench.fresh_path("trace");
        let ready = change(bench.client())
            .through(&words(&file)?)
            .ready()
            .await?;
        Ok(Cage { file, ready, args })
    }

    /// Asks the client for a bridge there.
    pub(super) async fn ask(&self, far: SocketAddr) -> Verdict<Reply> {
        let target = Target::Ip(far);
        let (mut app, reply) =
            socks::open(self.ready.method.addr, &self.args, &target, SOON).await?;
        if reply.code == 0 {
            // It may have granted before it tried.
            read_to_end(&mut app, A_WHILE).await;
        }
        Ok(reply)
    }

    /// Ends the client, and tells what it tried.
    pub(super) async fn open(mut self, far: SocketAddr) -> Verdict<Tried> {
        // The launched process is strace, which ends behind its child.
        signal_children(self.ready.pt.pid(), Signal::KILL);
        self.ready.pt.close_stdin();
        self.ready.pt.exit(SOON).await?;
        Ok(tried(&fs::read_to_string(&self.file)?, far))
    }
}

/// strace in front of a launch: it tells of every bind and connect, and fails every connect before the kernel sees it.
fn words(file: &Path) -> Verdict<Vec<OsString>> {
    let strace = find("strace").ok_or_else(|| {
        Failure::Instrument(
            "strace is missing: install it (Debian: apt-get install strace)".to_owned(),
        )
    })?;
    let options = [
        "-f",
        "-q",
        "-e",
        "trace=bind,connect",
        "-e",
        "inject=connect:error=ECONNREFUSED",
        "-o",
    ];
    let mut words = vec![strace.into_os_string()];
    words.extend(options.map(OsString::from));
    words.extend([file.as_os_str().to_owned(), "--".into()]);
    Ok(words)
}

/// Reads strace's lines: `PID connect(FD, {…, sin_addr=inet_addr("203.0.113.9")}, 16) = …`.
fn tried(trace: &str, far: SocketAddr) -> Tried {
    let far = format!("\"{}\"", far.ip());
    let mut tried = Tried {
        connects: Vec::new(),
        binds: Vec::new(),
    };
    // Calls as (name, descriptor, whole), without the process id, which stands in columns.
    let calls = trace.lines().filter_map(|line| {
        let call = line.trim_start().split_once(' ')?.1.trim_start();
        let (name, arguments) = call.split_once('(')?;
        Some((name, arguments.split_once(',')?.0, call))
    });
    let calls: Vec<_> = calls.collect();
    for (at, (name, fd, call)) in calls.iter().enumerate() {
        if *name == "connect" && call.contains(&far) {
            let before = calls[..at]
                .iter()
                .rev()
                .find(|(name, other, _)| *name == "bind" && other == fd);
            tried.connects.push((*call).to_owned());
            tried
                .binds
                .push(before.map(|(_, _, call)| (*call).to_owned()));
        }
    }
    tried
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binds_are_found_by_their_descriptor() {
        let trace = r#"25109 bind(11, {sa_family=AF_INET, sin_port=htons(0), sin_addr=inet_addr("127.0.0.1")}, 16) = 0
  114 bind(13, {sa_family=AF_INET, sin_port=htons(0), sin_addr=inet_addr("127.0.0.2")}, 16 <unfinished ...>
25114 <... bind resumed>) = 0
25114 connect(13, {sa_family=AF_INET, sin_port=htons(443), sin_addr=inet_addr("203.0.113.9")}, 16) = -1 ECONNREFUSED (Connection refused) (INJECTED)
25114 connect(14, {sa_family=AF_INET, sin_port=htons(443), sin_addr=inet_addr("203.0.113.9")}, 16) = -1 ECONNREFUSED (Connection refused) (INJECTED)
25115 +++ exited with 0 +++
"#;
        let far = SocketAddr::from(([203, 0, 113, 9], 443));
        let other = SocketAddr::from(([203, 0, 113, 10], 443));
        let seen = tried(trace, far);
        assert_eq!(seen.connects.len(), 2);
        assert!(
            seen.binds[0]
                .as_ref()
                .is_some_and(|bind| bind.contains("127.0.0.2"))
        );
        assert!(seen.binds[1].is_none());
        assert!(tried(trace, other).connects.is_empty());
    }
}
