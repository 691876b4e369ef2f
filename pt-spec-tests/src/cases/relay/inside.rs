//! What the kernel tells about a running executable: its memory, its descriptors, and the options of its sockets.
//!
//! In: a process id. Out: numbers, for the process and its children. Can go wrong: only Linux tells, and a kernel or a
//! sandbox may forbid the copy of another process's socket: then nothing has been found out.

use std::io;
use std::net::SocketAddr;

use socket2::Socket;

use crate::instruments::leftovers::children;
use crate::verdict::{Failure, Verdict};

/// Resident memory in bytes.
pub(super) fn resident(pid: u32) -> Verdict<u64> {
    let mut sum = 0;
    for pid in family(pid) {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        let kib = kib.ok_or_else(|| Failure::Instrument("no VmRSS in /proc".to_owned()))?;
        sum += kib << 10;
    }
    Ok(sum)
}

/// How many files and sockets are open.
pub(super) fn descriptors(pid: u32) -> Verdict<usize> {
    let mut sum = 0;
    for pid in family(pid) {
        sum += std::fs::read_dir(format!("/proc/{pid}/fd"))?.count();
    }
    Ok(sum)
}

/// A copy of the connected TCP socket that `wanted` accepts by its own and its peer's address.
pub(super) fn socket(
    pid: u32,
    wanted: impl Fn(SocketAddr, SocketAddr) -> bool,
) -> Verdict<Option<Socket>> {
    for pid in family(pid) {
        for entry in std::fs::read_dir(format!("/proc/{pid}/fd"))? {
            let entry = entry?;
            // It may be closed by now.
            let kind = std::fs::read_link(entry.path()).unwrap_or_default();
            if !kind.to_string_lossy().starts_with("socket:") {
                continue;
            }
            let number = entry.file_name().to_string_lossy().parse::<i32>().ok();
            let Some(number) = number else { continue };
            let copy = match copy(pid, number) {
                Ok(copy) => copy,
                Err(error) if error.raw_os_error() == Some(BAD_DESCRIPTOR) => continue,
                Err(error) => {
                    return Err(Failure::Instrument(format!(
                        "the sockets of a child cannot be looked at: {error}"
                    )));
                }
            };
            let at = |addr: io::Result<socket2::SockAddr>| addr.ok()?.as_socket();
            if let (Some(own), Some(peer)) = (at(copy.local_addr()), at(copy.peer_addr()))
                && copy.r#type()? == socket2::Type::STREAM
                && wanted(own, peer)
            {
                return Ok(Some(copy));
            }
        }
    }
    Ok(None)
}

/// EBADF: closed between the look and the copy.
const BAD_DESCRIPTOR: i32 = 9;

#[cfg(target_os = "linux")]
fn copy(pid: u32, number: i32) -> io::Result<Socket> {
    use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("no process"))?;
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    Ok(pidfd_getfd(process, number, PidfdGetfdFlags::empty())?.into())
}

#[cfg(not(target_os = "linux"))]
fn copy(_pid: u32, _number: i32) -> io::Result<Socket> {
    Err(io::Error::other("only Linux shows the sockets of a child"))
}

/// A process and its children: some executables are only the parent of the one that works.
fn family(pid: u32) -> Vec<u32> {
    [vec![pid], children(pid)].concat()
}
