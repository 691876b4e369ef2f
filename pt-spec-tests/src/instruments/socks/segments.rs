//! Messages in segments of the suite's choosing. Two writes arrive as two reads only if the second comes when the other
//! end has read the first, which the kernel tells for connections on loopback.
//!
//! In: a connection. Out: bytes on it, or the moment when they have been read. Where the kernel does not tell (no
//! `/proc/net/tcp`), a short pause stands in, and the two may be read as one, which makes a case easier and never fails
//! it.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::instruments::wire::{SOON, eventually};

/// A reader that has not read by then is not going to read this part alone.
const LONGEST: Duration = Duration::from_secs(2);

/// In place of knowing.
const PAUSE: Duration = Duration::from_millis(100);

/// Between the bytes of [`bytewise`]: enough for the reader to run. Bytes that are read together in spite of it only
/// make a case easier.
const BETWEEN_BYTES: Duration = Duration::from_millis(1);

/// Sends every byte in a segment of its own, for as long as the other end takes them.
pub(in crate::instruments) async fn bytewise(
    stream: &mut TcpStream,
    bytes: &[u8],
) -> io::Result<()> {
    for byte in bytes {
        match timeout(SOON, stream.write_all(&[*byte])).await {
            Ok(sent) => sent?,
            Err(_) => return Ok(()),
        }
        sleep(BETWEEN_BYTES).await;
    }
    Ok(())
}

/// Waits until our bytes are acknowledged and taken out of the other end's queue, or for [`LONGEST`].
pub(super) async fn until_read(stream: &TcpStream) {
    let (Ok(ours), Ok(theirs)) = (stream.local_addr(), stream.peer_addr()) else {
        return;
    };
    if table().is_empty() {
        sleep(PAUSE).await;
        return;
    }
    eventually(LONGEST, || {
        let table = table();
        // Bytes that are on their way count at the sender, the arrived ones at the reader; a row that is gone has no
        // reader any more.
        let unsent = queues(&table, ours, theirs).is_some_and(|(sending, _)| sending > 0);
        let unread = queues(&table, theirs, ours).is_some_and(|(_, reading)| reading > 0);
        (!unsent && !unread).then_some(())
    })
    .await;
}

/// The kernel's connections. A dual-stack listener's are in the second table.
fn table() -> String {
    let [v4, v6] = ["/proc/net/tcp", "/proc/net/tcp6"]
        .map(|path| fs::read_to_string(path).unwrap_or_default());
    v4 + &v6
}

/// Bytes waiting to be acknowledged and to be read, at the socket `local` of the connection with `remote`. On loopback
/// the two ports name a connection well enough.
fn queues(table: &str, local: SocketAddr, remote: SocketAddr) -> Option<(u64, u64)> {
    table.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let found = port(words.next()?)? == local.port() && port(words.next()?)? == remote.port();
        if !found {
            return None;
        }
        let (sending, reading) = words.nth(1)?.split_once(':')?;
        let bytes = |digits| u64::from_str_radix(digits, 16).ok();
        Some((bytes(sending)?, bytes(reading)?))
    })
}

fn port(address: &str) -> Option<u16> {
    u16::from_str_radix(address.rsplit_once(':')?.1, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_the_table_is_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when\n   \
            7: 0100007F:1F90 0100007F:C001 01 0000000A:00000010 00:00000000 00000000  0\n";
        let addr = |port| SocketAddr::from(([127, 0, 0, 1], port));
        assert_eq!(queues(table, addr(0x1f90), addr(0xc001)), Some((10, 16)));
        assert_eq!(queues(table, addr(0xc001), addr(0x1f90)), None);
    }
}
