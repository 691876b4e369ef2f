//! Descriptors as objects, and the one directory: `/conf/` with `watm.cfg`, read-only, in memory.
//!
//! wasi-libc and TinyGo ask for preopens from 3 upwards until EBADF, then mask the rights of what they open
//! with the directory's: so a socket answers `fd_prestat_get` with EBADF, and the directory has all rights.

use super::super::errno::Errno;
use super::super::fds::Kind;
use super::super::guest::Guest;
use super::super::memory::{bytes, put, put_u32, put_u64, split};
use super::{MODULE, code};
use wasmtime::{Caller, Linker};

/// The preopened directory's name, slash included.
const CONF_DIR: &[u8] = b"/conf/";
const CONF_FILE: &[u8] = b"watm.cfg";
/// As long as a path may be; the only good one has 8 bytes.
const MAX_PATH: u32 = 256;

const CHARACTER_DEVICE: u8 = 2;
const DIRECTORY: u8 = 3;
const REGULAR_FILE: u8 = 4;
const SOCKET_STREAM: u8 = 6;

const NONBLOCK: u16 = 4;

const O_CREAT: i32 = 1;
const O_DIRECTORY: i32 = 2;
const O_EXCL: i32 = 4;
const O_TRUNC: i32 = 8;

fn filetype(kind: &Kind) -> u8 {
    match kind {
        Kind::Stdin | Kind::Sink => CHARACTER_DEVICE,
        Kind::Conf => DIRECTORY,
        Kind::File { .. } => REGULAR_FILE,
        Kind::Stream(_) | Kind::Control => SOCKET_STREAM,
    }
}

/// Which object of the directory a path names.
enum Found {
    Itself,
    Config,
}

fn find(
    memory: &mut [u8],
    guest: &mut Guest,
    dir: i32,
    path: i32,
    len: i32,
) -> Result<Found, Errno> {
    let Kind::Conf = guest.fds.get(dir)?.kind else {
        return Err(Errno::ENOTDIR);
    };
    let len = len.cast_unsigned();
    if len > MAX_PATH {
        return Err(Errno::ENAMETOOLONG);
    }
    let mut path = &*bytes(memory, path, len)?;
    if path.starts_with(b"/") || path.split(|&b| b == b'/').any(|part| part == b"..") {
        return Err(Errno::ENOTCAPABLE);
    }
    while let Some(rest) = path.strip_prefix(b"./") {
        path = rest;
    }
    match path {
        b"." => Ok(Found::Itself),
        CONF_FILE => Ok(Found::Config),
        _ => Err(Errno::ENOENT),
    }
}

fn filestat(guest: &Guest, kind: &Kind) -> [u8; 64] {
    let size = match kind {
        Kind::File { data, .. } => data.len(),
        Kind::Conf => guest.grants.conf.as_ref().map_or(0, |conf| conf.len()),
        _ => 0,
    };
    let mut stat = [0; 64];
    stat[16] = filetype(kind);
    stat[24] = 1; // links
    stat[32..40].copy_from_slice(&(size as u64).to_le_bytes());
    stat
}

fn config_file(guest: &Guest) -> Result<Kind, Errno> {
    Ok(Kind::File {
        data: guest.grants.conf.clone().ok_or(Errno::ENOENT)?,
        at: 0,
    })
}

fn path_open(
    memory: &mut [u8],
    guest: &mut Guest,
    (dir, path, len): (i32, i32, i32),
    oflags: i32,
    fdflags: i32,
) -> Result<i32, Errno> {
    let kind = match find(memory, guest, dir, path, len) {
        Ok(_) if oflags & O_EXCL != 0 => return Err(Errno::EEXIST),
        Ok(_) if oflags & O_TRUNC != 0 => return Err(Errno::EROFS),
        Ok(Found::Itself) => Kind::Conf,
        Ok(Found::Config) if oflags & O_DIRECTORY != 0 => return Err(Errno::ENOTDIR),
        Ok(Found::Config) => config_file(guest)?,
        Err(Errno::ENOENT) if oflags & O_CREAT != 0 => return Err(Errno::EROFS),
        Err(errno) => return Err(errno),
    };
    let fd = guest.fds.open(kind)?;
    guest.fds.get(fd)?.nonblock = fdflags & i32::from(NONBLOCK) != 0;
    Ok(fd)
}

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    descriptors(linker)?;
    directory(linker)?;
    refusals(linker)
}

fn descriptors(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.func_wrap(
        MODULE,
        "fd_close",
        |mut caller: Caller<'_, Guest>, fd: i32| {
            let guest = caller.data_mut();
            code(guest.fds.close(fd).map(|closed| guest.released(&closed)))
        },
    )?;
    linker.func_wrap(
        MODULE,
        "fd_renumber",
        |mut caller: Caller<'_, Guest>, from: i32, to: i32| {
            let guest = caller.data_mut();
            code(guest.fds.renumber(from, to).map(|replaced| {
                if let Some(fd) = replaced {
                    guest.released(&fd);
                }
            }))
        },
    )?;
    linker.func_wrap(
        MODULE,
        "fd_fdstat_get",
        |mut caller: Caller<'_, Guest>, fd: i32, out: i32| {
            let (memory, guest) = split(&mut caller)?;
            let stat = guest.fds.get(fd).map(|fd| {
                let mut stat = [0; 24];
                stat[0] = filetype(&fd.kind);
                let flags = if fd.nonblock { NONBLOCK } else { 0 };
                stat[2..4].copy_from_slice(&flags.to_le_bytes());
                stat[8..24].fill(0xff);
                stat
            });
            Ok(code(stat.and_then(|stat| put(memory, out, &stat))))
        },
    )?;
    linker.func_wrap(
        MODULE,
        "fd_fdstat_set_flags",
        |mut caller: Caller<'_, Guest>, fd: i32, flags: i32| {
            let fd = caller.data_mut().fds.get(fd);
            code(fd.map(|fd| fd.nonblock = flags & i32::from(NONBLOCK) != 0))
        },
    )?;
    linker.func_wrap(
        MODULE,
        "fd_fdstat_set_rights",
        |mut caller: Caller<'_, Guest>, fd: i32, _: i64, _: i64| {
            // Every right is there already, and none of them is more than the descriptor's kind allows.
            code(caller.data_mut().fds.get(fd).map(|_| ()))
        },
    )?;
    linker.func_wrap(
        MODULE,
        "fd_filestat_get",
        |mut caller: Caller<'_, Guest>, fd: i32, out: i32| {
            let (memory, guest) = split(&mut caller)?;
            let kind = guest.fds.get(fd).map(|fd| fd.kind.clone());
            Ok(code(kind.and_then(|kind| {
                put(memory, out, &filestat(guest, &kind))
            })))
        },
    )?;
    linker.func_wrap(
        MODULE,
        "fd_seek",
        |mut caller: Caller<'_, Guest>, fd: i32, offset: i64, whence: i32, out: i32| {
            let (memory, guest) = split(&mut caller)?;
            Ok(code(
                seek(guest, fd, offset, whence).and_then(|at| put_u64(memory, out, at)),
            ))
        },
    )?;
    linker.func_wrap(
        MODULE,
        "fd_tell",
        |mut caller: Caller<'_, Guest>, fd: i32, out: i32| {
            let (memory, guest) = split(&mut caller)?;
            Ok(code(
                seek(guest, fd, 0, 1).and_then(|at| put_u64(memory, out, at)),
            ))
        },
    )?;
    for name in ["fd_sync", "fd_datasync"] {
        linker.func_wrap(MODULE, name, |mut caller: Caller<'_, Guest>, fd: i32| {
            let guest = caller.data_mut();
            code(guest.fds.get(fd).map(|_| ()).map(|()| guest.flush_now()))
        })?;
    }
    Ok(())
}

fn seek(guest: &mut Guest, fd: i32, offset: i64, whence: i32) -> Result<u64, Errno> {
    let Kind::File { data, at } = &mut guest.fds.get(fd)?.kind else {
        return Err(Errno::ESPIPE);
    };
    let base = match whence {
        0 => 0,
        1 => *at as i64,
        2 => data.len() as i64,
        _ => return Err(Errno::EINVAL),
    };
    let to = base
        .checked_add(offset)
        .and_then(|to| u64::try_from(to).ok())
        .ok_or(Errno::EINVAL)?;
    *at = usize::try_from(to).map_err(|_| Errno::EOVERFLOW)?;
    Ok(to)
}

fn directory(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.func_wrap(
        MODULE,
        "fd_prestat_get",
        |mut caller: Caller<'_, Guest>, fd: i32, out: i32| {
            let (memory, guest) = split(&mut caller)?;
            let is_preopen = guest
                .fds
                .get(fd)
                .is_ok_and(|fd| matches!(fd.kind, Kind::Conf));
            let mut prestat = [0; 8];
            prestat[4] = CONF_DIR.len() as u8;
            let result = if is_preopen {
                put(memory, out, &prestat)
            } else {
                Err(Errno::EBADF)
            };
            Ok(code(result))
        },
    )?;
    linker.func_wrap(
        MODULE,
        "fd_prestat_dir_name",
        |mut caller: Caller<'_, Guest>, fd: i32, ptr: i32, len: i32| {
            let (memory, guest) = split(&mut caller)?;
            let is_preopen = guest
                .fds
                .get(fd)
                .is_ok_and(|fd| matches!(fd.kind, Kind::Conf));
            let result = if !is_preopen {
                Err(Errno::EBADF)
            } else if (len.cast_unsigned() as usize) < CONF_DIR.len() {
                Err(Errno::ENAMETOOLONG)
            } else {
                put(memory, ptr, CONF_DIR)
            };
            Ok(code(result))
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
            let kind = find(memory, guest, dir, path, len).and_then(|found| match found {
                Found::Itself => Ok(Kind::Conf),
                Found::Config => config_file(guest),
            });
            Ok(code(kind.and_then(|kind| {
                put(memory, out, &filestat(guest, &kind))
            })))
        },
    )?;
    Ok(())
}

/// What a transport has no business with. A bad descriptor is still EBADF.
fn refusals(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    fn refuse(caller: &mut Caller<'_, Guest>, fd: i32, errno: Errno) -> i32 {
        code(caller.data_mut().fds.get(fd).and(Err(errno)))
    }
    use Errno as E;
    type C<'a> = Caller<'a, Guest>;
    linker.func_wrap(
        MODULE,
        "fd_advise",
        |mut c: C<'_>, fd: i32, _: i64, _: i64, _: i32| refuse(&mut c, fd, E::ENOTSUP),
    )?;
    linker.func_wrap(
        MODULE,
        "fd_allocate",
        |mut c: C<'_>, fd: i32, _: i64, _: i64| refuse(&mut c, fd, E::EROFS),
    )?;
    linker.func_wrap(
        MODULE,
        "fd_filestat_set_size",
        |mut c: C<'_>, fd: i32, _: i64| refuse(&mut c, fd, E::EROFS),
    )?;
    linker.func_wrap(
        MODULE,
        "fd_filestat_set_times",
        |mut c: C<'_>, fd: i32, _: i64, _: i64, _: i32| refuse(&mut c, fd, E::EROFS),
    )?;
    linker.func_wrap(
        MODULE,
        "fd_pread",
        |mut c: C<'_>, fd: i32, _: i32, _: i32, _: i64, _: i32| refuse(&mut c, fd, E::ENOTSUP),
    )?;
    linker.func_wrap(
        MODULE,
        "fd_pwrite",
        |mut c: C<'_>, fd: i32, _: i32, _: i32, _: i64, _: i32| refuse(&mut c, fd, E::EROFS),
    )?;
    linker.func_wrap(
        MODULE,
        "fd_readdir",
        |mut c: C<'_>, fd: i32, _: i32, _: i32, _: i64, _: i32| refuse(&mut c, fd, E::ENOTSUP),
    )?;
    for name in [
        "path_create_directory",
        "path_remove_directory",
        "path_unlink_file",
    ] {
        linker.func_wrap(MODULE, name, |mut c: C<'_>, fd: i32, _: i32, _: i32| {
            refuse(&mut c, fd, E::EROFS)
        })?;
    }
    linker.func_wrap(
        MODULE,
        "path_filestat_set_times",
        |mut c: C<'_>, fd: i32, _: i32, _: i32, _: i32, _: i64, _: i64, _: i32| {
            refuse(&mut c, fd, E::EROFS)
        },
    )?;
    linker.func_wrap(
        MODULE,
        "path_link",
        |mut c: C<'_>, fd: i32, _: i32, _: i32, _: i32, _: i32, _: i32, _: i32| {
            refuse(&mut c, fd, E::EROFS)
        },
    )?;
    linker.func_wrap(
        MODULE,
        "path_readlink",
        |mut c: C<'_>, fd: i32, _: i32, _: i32, _: i32, _: i32, _: i32| {
            refuse(&mut c, fd, E::EINVAL)
        },
    )?;
    linker.func_wrap(
        MODULE,
        "path_rename",
        |mut c: C<'_>, fd: i32, _: i32, _: i32, _: i32, _: i32, _: i32| {
            refuse(&mut c, fd, E::EROFS)
        },
    )?;
    linker.func_wrap(
        MODULE,
        "path_symlink",
        |mut c: C<'_>, _: i32, _: i32, fd: i32, _: i32, _: i32| refuse(&mut c, fd, E::EROFS),
    )?;
    linker.func_wrap(
        MODULE,
        "sock_accept",
        |mut c: C<'_>, fd: i32, _: i32, _: i32| refuse(&mut c, fd, E::ENOTSUP),
    )?;
    Ok(())
}
