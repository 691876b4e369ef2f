//! The folders that a host may have laid out beside the configuration: `/state/` and `/replay/`.
//!
//! In: a name. Out: a file's bytes, or whether a handshake is new. On a host that has no such folder, [`Folder::find`]
//! answers `None`, and a transport goes without. What can go wrong: a file that is longer than the space is
//! [`Errno::FBIG`]; `/state/` can be written in the set-up run alone.

use crate::errno::Errno;
use crate::raw::{self, oflags};

const FIRST_PREOPEN: i32 = 3;
/// Hosts give a few directories; a scan that never meets `BADF` still ends.
const LAST_PREOPEN: i32 = 32;
const MAX_NAME: usize = 64;

/// The transport's own files: written by its set-up run, read by its connections.
pub const STATE: &[u8] = b"/state/";
/// What was seen before, by any connection of the transport.
pub const REPLAY: &[u8] = b"/replay/";

/// A folder that the host has laid out.
#[derive(Clone, Copy, Debug)]
pub struct Folder(i32);

impl Folder {
    /// The folder of that name; a host may leave out the slash at its end.
    #[must_use]
    pub fn find(name: &[u8]) -> Option<Folder> {
        let bare = name.strip_suffix(b"/").unwrap_or(name);
        let mut space = [0; MAX_NAME];
        for fd in FIRST_PREOPEN..LAST_PREOPEN {
            let len = raw::fd_prestat_get(fd).ok()?;
            let Some(found) = space.get_mut(..len) else {
                continue;
            };
            if raw::fd_prestat_dir_name(fd, found).is_ok()
                && is(found.strip_suffix(b"/").unwrap_or(found), bare)
            {
                return Some(Folder(fd));
            }
        }
        None
    }

    /// Reads a whole file into `space`; `None` when there is none of that name.
    pub fn read(self, name: &[u8], space: &mut [u8]) -> Result<Option<usize>, Errno> {
        let fd = match raw::path_open(self.0, name) {
            Err(Errno::NOENT) => return Ok(None),
            other => other?,
        };
        let result = read_to_end(fd, space);
        raw::fd_close(fd)?;
        result.map(Some)
    }

    /// Writes a whole file, in place of what has the name: in `/state/`, in the set-up run.
    pub fn write(self, name: &[u8], mut data: &[u8]) -> Result<(), Errno> {
        let flags = oflags::CREATE | oflags::TRUNCATE;
        let fd = raw::path_open_to_write(self.0, name, flags)?;
        let mut result = Ok(());
        while !data.is_empty() && result.is_ok() {
            result = raw::fd_write(fd, data).map(|n| data = &data[n..]);
        }
        raw::fd_close(fd)?;
        result
    }

    /// Takes note of a digest of 8 to 64 bytes in `/replay/`: false if somebody has before.
    pub fn is_new(self, digest: &[u8]) -> Result<bool, Errno> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut name = [0; 128];
        let name = name.get_mut(..2 * digest.len()).ok_or(Errno::INVAL)?;
        for (pair, byte) in name.chunks_exact_mut(2).zip(digest) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        match raw::path_open_to_write(self.0, name, oflags::CREATE | oflags::EXCLUSIVE) {
            Ok(fd) => raw::fd_close(fd).map(|()| true),
            Err(Errno::EXIST) => Ok(false),
            Err(errno) => Err(errno),
        }
    }
}

/// Equality without `memcmp`, which a module that is not linked with a C library has not.
fn is(one: &[u8], other: &[u8]) -> bool {
    one.iter().eq(other)
}

/// Reads to the end of a file; more than the space is [`Errno::FBIG`].
pub(crate) fn read_to_end(fd: i32, space: &mut [u8]) -> Result<usize, Errno> {
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
