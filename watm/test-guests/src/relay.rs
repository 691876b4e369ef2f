//! A plain relay for guests whose point lies elsewhere.

use watm_sdk::{Conn, Duplex, Errno, Identity, Session};

use crate::Conns;

/// Passes bytes both ways until both directions have ended.
pub fn relay(conns: Conns) -> Result<(), Errno> {
    Duplex::new(conns.inner, conns.outer, Identity, Identity).run(conns.control)
}

/// Copies in blocking mode until `from` ends.
pub fn copy(from: Conn, to: Conn, space: &mut [u8]) -> Result<(), Errno> {
    loop {
        match from.read(space)? {
            0 => return Ok(()),
            n => to.write_all(&space[..n])?,
        }
    }
}
