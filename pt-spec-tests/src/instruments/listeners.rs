//! The TCP sockets that a process listens on, as the kernel lists them.
//!
//! In: a process id. Out: addresses. Linux alone tells; elsewhere the machine is at fault.

use std::collections::BTreeSet;
use std::fs::{read_dir, read_link, read_to_string};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::leftovers::children;
use super::negotiation::Method;
use super::process::Pt;
use crate::verdict::{Failure, Verdict};

/// `TCP_LISTEN` in the kernel's lists.
const LISTEN: &str = "0A";

/// Where a server takes connections from this machine. Its line tells, unless it is a synthetic address for clients that
/// do not dial it.
pub fn door(pt: &Pt, method: &Method) -> Verdict<SocketAddr> {
    let announced = method.addr;
    let ip = match announced.ip().to_canonical() {
        ip if ip.is_loopback() => ip,
        ip if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        _ => {
            let bound = listening(pt.pid())?;
            // It may listen for something else as well: the arguments tell, where they hold an address.
            let told = |at: &&SocketAddr| {
                let port = format!(":{}", at.port());
                method.args.iter().any(|(_, value)| value.contains(&port))
            };
            let here = || {
                let near = |at: &&SocketAddr| at.ip().is_loopback() || at.ip().is_unspecified();
                bound.iter().filter(near)
            };
            let found = here().find(told).or_else(|| here().next());
            let found = found.copied().ok_or_else(|| {
                Failure::Deviation(format!("it announces {announced} and listens at {bound:?}"))
            })?;
            return Ok(if found.ip().is_unspecified() {
                SocketAddr::new(Ipv4Addr::LOCALHOST.into(), found.port())
            } else {
                found
            });
        }
    };
    Ok(SocketAddr::new(ip, announced.port()))
}

/// Where a process and its children listen.
pub fn listening(pid: u32) -> Verdict<Vec<SocketAddr>> {
    let mut inodes = sockets(pid)?;
    for child in children(pid) {
        // A child may end while it is looked at.
        inodes.extend(sockets(child).unwrap_or_default());
    }
    let mut found = Vec::new();
    for table in ["tcp", "tcp6"] {
        let table = read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        for line in table.lines().skip(1) {
            let words: Vec<_> = line.split_whitespace().collect();
            if let [_, addr, _, LISTEN, _, _, _, _, _, inode, ..] = words[..]
                && inodes.contains(inode)
            {
                found.extend(address(addr));
            }
        }
    }
    Ok(found)
}

/// The inodes of a process' sockets.
fn sockets(pid: u32) -> Verdict<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for entry in read_dir(format!("/proc/{pid}/fd"))? {
        // `socket:[4711]`; a descriptor may be gone again.
        let Ok(link) = read_link(entry?.path()) else {
            continue;
        };
        let link = link.to_string_lossy();
        let inode = link
            .strip_prefix("socket:[")
            .and_then(|rest| rest.strip_suffix(']'));
        found.extend(inode.map(str::to_owned));
    }
    Ok(found)
}

/// Reads `0100007F:1F90`: each group of eight digits is a word in the machine's byte order.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let mut bytes = Vec::new();
    for start in (0..ip.len()).step_by(8) {
        let word = u32::from_str_radix(ip.get(start..start + 8)?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    let ip = match bytes.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?),
        _ => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?),
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    #[tokio::test]
    async fn our_own_listeners_are_found() {
        for ip in [
            IpAddr::from(Ipv4Addr::LOCALHOST),
            IpAddr::from(Ipv6Addr::UNSPECIFIED),
        ] {
            let listener = std::net::TcpListener::bind((ip, 0)).expect("a free port");
            let addr = listener.local_addr().expect("bound");
            let found = listening(std::process::id()).expect("Linux");
            assert!(found.contains(&addr), "{addr} is not in {found:?}");
        }
    }
}
