//! The module's configuration: the file `/conf/watm.cfg` that the host may have laid out.
//!
//! In: the host's preopened directories. Out: the file's bytes, or `None` when the operator gave
//! no configuration. What can go wrong: a file of more than 64 KiB is [`Errno::FBIG`]; what the
//! bytes mean is for the transport to judge.

use crate::errno::Errno;
use crate::raw;

/// The longest configuration that is read.
pub const MAX_CONFIG: usize = 64 << 10;

const FILE: &[u8] = b"watm.cfg";
const FIRST_PREOPEN: i32 = 3;
/// Hosts give one directory; a scan that never meets `BADF` still ends.
const LAST_PREOPEN: i32 = 16;

/// The configuration, not read yet: a transport that needs none costs no host call.
pub struct Config<'a> {
    space: &'a mut [u8; MAX_CONFIG],
}

impl<'a> Config<'a> {
    pub(crate) fn new(space: &'a mut [u8; MAX_CONFIG]) -> Config<'a> {
        Config { space }
    }

    /// The whole file, or `None` when there is none.
    pub fn read(self) -> Result<Option<&'a [u8]>, Errno> {
        let Some(dir) = preopened(self.space) else {
            return Ok(None);
        };
        let fd = match raw::path_open(dir, FILE) {
            Err(Errno::NOENT) => return Ok(None),
            other => other?,
        };
        let result = read_to_end(fd, self.space);
        raw::fd_close(fd)?;
        let n = result?;
        Ok(Some(&self.space[..n]))
    }
}

fn preopened(space: &mut [u8; MAX_CONFIG]) -> Option<i32> {
    for fd in FIRST_PREOPEN..LAST_PREOPEN {
        let len = raw::fd_prestat_get(fd).ok()?;
        let Some(name) = space.get_mut(..len) else {
            continue;
        };
        if raw::fd_prestat_dir_name(fd, name).is_ok() && matches!(&*name, b"/conf/" | b"/conf") {
            return Some(fd);
        }
    }
    None
}

fn read_to_end(fd: i32, space: &mut [u8; MAX_CONFIG]) -> Result<usize, Errno> {
    let mut filled = 0;
    loop {
        if filled == space.len() {
            let mut one_more = [0];
            return match raw::fd_read(fd, &mut one_more)? {
                0 => Ok(filled),
                _ => Err(Errno::FBIG),
            };
        }
        match raw::fd_read(fd, &mut space[filled..])? {
            0 => return Ok(filled),
            n => filled += n,
        }
    }
}
