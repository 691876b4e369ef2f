//! Saying why: one line on stderr before an export refuses.
//!
//! ouzel tells it with the failure, as long as the module has not dialled or accepted; other hosts
//! show it, or do not.

use crate::errno::Errno;
use crate::raw::fd_write;

const STDERR: i32 = 2;

/// Tells why, in a line of these parts, and returns what the export then returns. The line names
/// what is wrong and the form expected, and never a secret.
#[must_use]
pub fn refuse(parts: &[&[u8]]) -> Errno {
    for part in parts {
        // Nobody may be listening.
        let _ = fd_write(STDERR, part);
    }
    let _ = fd_write(STDERR, b"\n");
    Errno::INVAL
}
