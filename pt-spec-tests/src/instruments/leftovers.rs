//! Finding and ending what an executable leaves behind, wherever it forked to.
//!
//! The suite is the subreaper of its descendants ([`adopt`]), so that a process whose parent ends becomes the suite's
//! own child; a variable in its environment tells which case it belongs to. Both are Linux's; elsewhere only process
//! groups are ended. Bounded: a fork bomb is hunted for [`ROUNDS`] rounds.

use std::path::PathBuf;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use crate::bench::MARKER;

/// Looks for survivors; two suffice for everything that does not fork faster than it is killed.
const ROUNDS: usize = 50;

/// Makes the suite the parent of whatever its descendants leave behind, forbids core files to all of them, and gives
/// itself the descriptors for many cases side by side.
pub fn adopt() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    let none = Rlimit {
        current: Some(0),
        maximum: getrlimit(Resource::Core).maximum,
    };
    let _ = setrlimit(Resource::Core, none);
    let files = getrlimit(Resource::Nofile).maximum;
    let all = Rlimit {
        current: files,
        maximum: files,
    };
    let _ = setrlimit(Resource::Nofile, all);
}

/// Ends every process of one case. Gives what was still there, described, but for the `known` ones.
pub async fn sweep(marker: &str, known: &[u32]) -> Vec<String> {
    let mark = format!("{MARKER}={marker}");
    let marked = || {
        let mut found = processes();
        found.retain(|pid| {
            std::fs::read(entry(*pid, "environ")).is_ok_and(|environment| {
                environment
                    .split(|byte| *byte == 0)
                    .any(|variable| variable == mark.as_bytes())
            })
        });
        found
    };
    hunt(marked, known).await
}

/// Ends every descendant of the suite. Gives what was still there, described.
pub async fn sweep_all() -> Vec<String> {
    hunt(|| descendants(std::process::id()), &[]).await
}

/// The children of a process.
pub fn children(parent: u32) -> Vec<u32> {
    let mut found = processes();
    found.retain(|pid| parent_of(*pid) == Some(parent));
    found
}

async fn hunt(prey: impl Fn() -> Vec<u32>, known: &[u32]) -> Vec<String> {
    let mut told = Vec::new();
    let mut seen = known.to_vec();
    let mut dying = Vec::new();
    for _ in 0..ROUNDS {
        let found = prey();
        for pid in found {
            if !seen.contains(&pid) {
                seen.push(pid);
                told.extend(describe(pid));
            }
            if let Some(pid) = raw(pid) {
                let _ = kill_process(pid, Signal::KILL);
                dying.push(pid);
            }
        }
        // Ours to reap once it is adopted; the runtime does not mind when it comes second. Another's child is not ours.
        dying.retain(|pid| matches!(waitpid(Some(*pid), WaitOptions::NOHANG), Ok(None)));
        if dying.is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    told
}

/// Its command; none for one that has ended and was not reaped, which is no work of the executable's.
fn describe(pid: u32) -> Option<String> {
    let command = std::fs::read(entry(pid, "cmdline")).ok()?;
    if command.is_empty() {
        return None;
    }
    let words: Vec<_> = command
        .split(|byte| *byte == 0)
        .map(String::from_utf8_lossy)
        .collect();
    Some(format!("process {pid}: {}", words.join(" ").trim_end()))
}

fn descendants(root: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = processes()
        .into_iter()
        .filter_map(|pid| Some((pid, parent_of(pid)?)))
        .collect();
    let mut found = vec![root];
    let mut at = 0;
    while at < found.len() {
        let parent = found[at];
        at += 1;
        for (pid, its_parent) in &parents {
            if *its_parent == parent && !found.contains(pid) {
                found.push(*pid);
            }
        }
    }
    found.split_off(1)
}

/// The fourth field of `/proc/PID/stat`; the second, in parentheses, may hold anything.
fn parent_of(pid: u32) -> Option<u32> {
    let stat = std::fs::read(entry(pid, "stat")).ok()?;
    let behind = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(&stat[behind + 1..]).ok()?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

fn processes() -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect()
}

fn entry(pid: u32, file: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{file}"))
}

fn raw(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}
