//! Finding and ending what an executable leaves behind, wherever it forked to.
//!
//! The suite is the subreaper of its descendants ([`adopt`]), so that a process whose parent ends becomes the suite's
//! own child; a variable in its environment tells which case it belongs to. Both are Linux's; elsewhere only process
//! groups are ended. Bounded: a fork bomb is hunted for `ROUNDS` rounds.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use crate::bench::MARKER;

/// Looks for survivors; two suffice for everything that does not fork faster than it is killed.
const ROUNDS: usize = 50;

/// How many survivors are described; more say nothing more.
const MOST_TOLD: usize = 20;

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

/// Ends every process of one case: those with its marker, and those that threw it away and still stand in its folder.
/// Gives what was still there, described, but for the `known` ones.
pub async fn sweep(marker: &str, scratch: &Path, known: &[u32]) -> Vec<String> {
    let mark = format!("{MARKER}={marker}");
    let marked = |pid: u32| {
        std::fs::read(entry(pid, "environ")).is_ok_and(|environment| {
            environment
                .split(|byte| *byte == 0)
                .any(|variable| variable == mark.as_bytes())
        })
    };
    let inside = |pid: u32| {
        std::fs::read_link(entry(pid, "cwd")).is_ok_and(|folder| folder.starts_with(scratch))
    };
    let own = std::process::id();
    let prey = || {
        let mut found = processes();
        found.retain(|pid| *pid != own && (marked(*pid) || inside(*pid)));
        found
    };
    hunt(prey, known).await
}

/// Reaps what was adopted and has ended, so that an executable that forks on and on does not use up the machine's
/// process numbers. To be called now and then: what ended since the last look may still be waited for by name.
pub fn reap() {
    // Several may call.
    let now = Instant::now();
    if LOOKED
        .get()
        .is_some_and(|before| now.duration_since(before) < BETWEEN)
    {
        return;
    }
    LOOKED.set(Some(now));
    let own = std::process::id();
    let ended: BTreeSet<u32> = processes()
        .into_iter()
        .filter(|pid| stat(*pid).is_some_and(|(state, parent)| state == 'Z' && parent == own))
        .collect();
    let before = ENDED.replace(ended.clone());
    for pid in ended.intersection(&before).copied().filter_map(raw) {
        if !AWAITED.with_borrow(|awaited| awaited.contains(&pid.as_raw_nonzero().get())) {
            let _ = waitpid(Some(pid), WaitOptions::NOHANG);
        }
    }
}

/// Keeps the exit status of a process, adopted or not, for whoever asks for it later.
pub(super) fn keep_status(pid: u32) {
    if let Some(pid) = raw(pid) {
        AWAITED.with_borrow_mut(|awaited| awaited.insert(pid.as_raw_nonzero().get()));
    }
}

/// Nobody asks for it any more.
pub(super) fn forget_status(pid: u32) {
    if let Some(pid) = raw(pid) {
        AWAITED.with_borrow_mut(|awaited| awaited.remove(&pid.as_raw_nonzero().get()));
    }
}

/// The least time from one look at what has ended to the next.
const BETWEEN: Duration = Duration::from_millis(400);

thread_local! {
    /// When that was looked at last.
    static LOOKED: Cell<Option<Instant>> = const { Cell::new(None) };
    /// Ended children that nobody had waited for at the last look.
    static ENDED: RefCell<BTreeSet<u32>> = const { RefCell::new(BTreeSet::new()) };
    /// Those whose status a case will ask for.
    static AWAITED: RefCell<BTreeSet<i32>> = const { RefCell::new(BTreeSet::new()) };
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

/// Sends a signal to the children of a process: what runs under a tracer, not the tracer.
pub fn signal_children(parent: u32, signal: Signal) {
    for child in children(parent).into_iter().filter_map(raw) {
        // One that has ended needs none.
        let _ = kill_process(child, signal);
    }
}

async fn hunt(prey: impl Fn() -> Vec<u32>, known: &[u32]) -> Vec<String> {
    let mut told = Vec::new();
    let mut seen = known.to_vec();
    let mut dying = Vec::new();
    for _ in 0..ROUNDS {
        let found = prey();
        let none = found.is_empty();
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
        if none && dying.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    if told.len() > MOST_TOLD {
        let more = told.len() - MOST_TOLD;
        told.truncate(MOST_TOLD);
        told.push(format!("and {more} processes more"));
    }
    told
}

/// Its command; none for one that has ended and was not reaped, or was killed and did not come to run since: that is no
/// work of the executable's.
fn describe(pid: u32) -> Option<String> {
    let command = std::fs::read(entry(pid, "cmdline")).ok()?;
    if command.is_empty() || is_killed(pid) {
        return None;
    }
    let words: Vec<_> = command
        .split(|byte| *byte == 0)
        .map(String::from_utf8_lossy)
        .collect();
    Some(format!("process {pid}: {}", words.join(" ").trim_end()))
}

/// Whether SIGKILL waits for a process: what an executable takes along when it ends needs a processor to end on.
fn is_killed(pid: u32) -> bool {
    const KILL: u64 = 1 << 8;
    let status = std::fs::read_to_string(entry(pid, "status")).unwrap_or_default();
    status.lines().any(|line| {
        let pending = line
            .strip_prefix("SigPnd:")
            .or_else(|| line.strip_prefix("ShdPnd:"));
        pending
            .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
            .is_some_and(|mask| mask & KILL != 0)
    })
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

fn parent_of(pid: u32) -> Option<u32> {
    Some(stat(pid)?.1)
}

/// The state and the parent: the third and fourth field of `/proc/PID/stat`. The second, in parentheses, may hold
/// anything.
fn stat(pid: u32) -> Option<(char, u32)> {
    let stat = std::fs::read(entry(pid, "stat")).ok()?;
    let behind = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(&stat[behind + 1..]).ok()?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.next()?.parse().ok()?))
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
