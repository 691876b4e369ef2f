//! Paths: what a guest opens, lists, renames and removes below the folders that it was granted.
//!
//! wasi-libc, TinyGo and Go ask for preopened directories from 3 upwards until EBADF, so whatever is none answers that.

use super::super::errno::Errno;
use super::super::fds::Kind;
use super::super::guest::Guest;
use super::super::memory::{bytes, put, put_u32, range, split};
use super::super::world::{Dir, Found, Open};
use super::files::{APPEND, DIRECTORY, NONBLOCK, REGULAR_FILE, filestat};
use super::{MODULE, code};
use wasmtime::{Caller, Linker};

/// Longer than any path below the folders of a transport.
const MAX_PATH: u32 = 256;

/// Bytes of `dirent` before the name.
const DIRENT: usize = 24;

const O_CREAT: i32 = 1;
const O_DIRECTORY: i32 = 2;
const O_EXCL: i32 = 4;
const O_TRUNC: i32 = 8;

fn dir(guest: &mut Guest, fd: i32) -> Result<Dir, Errno> {
    match &guest.fds.get(fd)?.kind {
        Kind::Dir(dir) => Ok(dir.clone()),
        _ => Err(Errno::ENOTDIR),
    }
}

fn name(memory: &[u8], path: i32, len: i32) -> Result<&[u8], Errno> {
    let len = len.cast_unsigned();
    if len > MAX_PATH {
        return Err(Errno::ENAMETOOLONG);
    }
    Ok(&memory[range(memory, path, len)?])
}

fn kind_of(found: Found, appends: bool) -> Kind {
    match found {
        Found::Dir(dir) => Kind::Dir(dir),
        Found::File(data) => Kind::File { data, at: 0 },
        Found::Written(name) => Kind::Written {
            name,
            at: 0,
            appends,
        },
    }
}

fn path_open(
    memory: &[u8],
    guest: &mut Guest,
    (fd, path, len): (i32, i32, i32),
    oflags: i32,
    fdflags: i32,
) -> Result<i32, Errno> {
    let dir = dir(guest, fd)?;
    let path = name(memory, path, len)?;
    // What is opened is made first, and a name in the replay set stays taken.
    if !guest.fds.has_room() {
        return Err(Errno::EMFILE);
    }
    let how = Open {
        create: oflags & O_CREAT != 0,
        directory: oflags & O_DIRECTORY != 0,
        exclusive: oflags & O_EXCL != 0,
        truncate: oflags & O_TRUNC != 0,
    };
    let found = guest.world.open(&dir, path, how)?;
    let kind = kind_of(found, fdflags & i32::from(APPEND) != 0);
    let fd = guest.fds.open(kind)?;
    guest.fds.get(fd)?.nonblock = fdflags & i32::from(NONBLOCK) != 0;
    Ok(fd)
}

/// The name of a preopened directory.
fn preopen(guest: &mut Guest, fd: i32) -> Result<&[u8], Errno> {
    match &guest.fds.get(fd)?.kind {
        Kind::Dir(dir) if dir.is_preopen() => Ok(guest.world.name(dir).as_bytes()),
        _ => Err(Errno::EBADF),
    }
}

/// Fills `buf` with entries from `cookie` on; the last may be cut, which tells the guest that there are more.
fn read_dir(
    memory: &mut [u8],
    guest: &mut Guest,
    fd: i32,
    (buf, len): (i32, i32),
    cookie: i64,
) -> Result<u32, Errno> {
    let dir = dir(guest, fd)?;
    let space = bytes(memory, buf, len.cast_unsigned())?;
    let start = usize::try_from(cookie).map_err(|_| Errno::EINVAL)?;
    let entries = guest.world.list(&dir);
    let mut filled = 0;
    for (at, entry) in entries.iter().enumerate().skip(start) {
        let mut dirent = vec![0; DIRENT];
        dirent[..8].copy_from_slice(&(at as u64 + 1).to_le_bytes());
        dirent[8..16].copy_from_slice(&(at as u64 + 1).to_le_bytes());
        dirent[16..20].copy_from_slice(&(entry.name.len() as u32).to_le_bytes());
        dirent[20] = if entry.is_dir {
            DIRECTORY
        } else {
            REGULAR_FILE
        };
        dirent.extend_from_slice(entry.name.as_bytes());
        let n = dirent.len().min(space.len() - filled);
        space[filled..filled + n].copy_from_slice(&dirent[..n]);
        filled += n;
        if filled == space.len() {
            break;
        }
    }
    u32::try_from(filled).map_err(|_| Errno::EOVERFLOW)
}

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.func_wrap(
        MODULE,
        "fd_prestat_get",
        |mut caller: Caller<'_, Guest>, fd: i32, out: i32| {
            let (memory, guest) = split(&mut caller)?;
            let prestat = preopen(guest, fd).map(|name| {
                let mut prestat = [0; 8];
                prestat[4..].copy_from_slice(&(name.len() as u32).to_le_bytes());
                prestat
            });
            Ok(code(prestat.and_then(|prestat| put(memory, out, &prestat))))
        },
    )?;
    linker.func_wrap(
        MODULE,
        "fd_prestat_dir_name",
        |mut caller: Caller<'_, Guest>, fd: i32, ptr: i32, len: i32| {
            let (memory, guest) = split(&mut caller)?;
            let result = preopen(guest, fd).and_then(|name| {
                if (len.cast_unsigned() as usize) < name.len() {
                    return Err(Errno::ENAMETOOLONG);
                }
                put(memory, ptr, name)
            });
            Ok(code(result))
        },
    )?;
    linker.func_wrap(
        MODULE,
        "fd_readdir",
        |mut caller: Caller<'_, Guest>, fd: i32, buf: i32, len: i32, cookie: i64, out: i32| {
            let (memory, guest) = split(&mut caller)?;
            let listed = read_dir(memory, guest, fd, (buf, len), cookie);
            Ok(code(listed.and_then(|n| put_u32(memory, out, n))))
        },
    )?;
    linker.func_wrap(
        MODULE,
        "path_unlink_file",
        |mut caller: Caller<'_, Guest>, fd: i32, path: i32, len: i32| {
            let (memory, guest) = split(&mut caller)?;
            let unlinked = dir(guest, fd).and_then(|dir| {
                let path = name(memory, path, len)?;
                guest.world.unlink(&dir, path)
            });
            Ok(code(unlinked))
        },
    )?;
    linker.func_wrap(
        MODULE,
        "path_rename",
        |mut caller: Caller<'_, Guest>,
         fd: i32,
         old: i32,
         old_len: i32,
         to: i32,
         new: i32,
         new_len: i32| {
            let (memory, guest) = split(&mut caller)?;
            let renamed = dir(guest, fd).and_then(|from| {
                let to = dir(guest, to)?;
                let old = name(memory, old, old_len)?;
                let new = name(memory, new, new_len)?;
                guest.world.rename((&from, old), (&to, new))
            });
            Ok(code(renamed))
        },
    )?;
    linker.func_wrap(
        MODULE,
        "path_open",
        |mut caller: Caller<'_, Guest>,
         dir: i32,
         _dirflags: i32,
         path: i32,
         len: i32,
         oflags: i32,
         _rights: i64,
         _inheriting: i64,
         fdflags: i32,
         out: i32| {
            let (memory, guest) = split(&mut caller)?;
            let opened = path_open(memory, guest, (dir, path, len), oflags, fdflags);
            Ok(code(
                opened.and_then(|fd| put_u32(memory, out, fd.cast_unsigned())),
            ))
        },
    )?;
    linker.func_wrap(
        MODULE,
        "path_filestat_get",
        |mut caller: Caller<'_, Guest>, dir: i32, _flags: i32, path: i32, len: i32, out: i32| {
            let (memory, guest) = split(&mut caller)?;
            let kind = self::dir(guest, dir).and_then(|dir| {
                let found = guest.world.find(&dir, name(memory, path, len)?)?;
                Ok(kind_of(found, false))
            });
            Ok(code(kind.and_then(|kind| {
                put(memory, out, &filestat(guest, &kind))
            })))
        },
    )?;
    Ok(())
}
