//! Messages in segments of the suite's choosing. Two writes arrive as two reads only if the second comes when the other
//! end has read the first, for which it gets a short time.
//!
//! In: a connection. Out: bytes on it. Where the time was too short the two are read as one, which makes a case easier
//! and never fails it.

use std::io;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::instruments::wire::SOON;

/// Enough for a reader that has nothing else to do.
const READ_MEANWHILE: Duration = Duration::from_millis(30);

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

/// Gives the other end the time to read what was sent.
pub(super) async fn until_read() {
    sleep(READ_MEANWHILE).await;
}
