//! Descriptors as objects: what kind they are, how long, where they stand; and a polite no to the rest.
//!
//! A socket answers as what it is, and a file of the guest's folders as one that only the set-up run may write. Every right
//! is always there: wasi-libc and TinyGo mask the rights of what they open with their directory's.

use super::super::errno::Errno;
use super::super::fds::Kind;
use super::super::guest::Guest;
use super::super::memory::{put, put_u64, split};
use super::{MODULE, code};
use wasmtime::{Caller, Linker};

const CHARACTER_DEVICE: u8 = 2;
pub(super) const DIRECTORY: u8 = 3;
pub(super) const REGULAR_FILE: u8 = 4;
const SOCKET_STREAM: u8 = 6;

pub(super) const NONBLOCK: u16 = 4;
pub(super) const APPEND: u16 = 1;

fn filetype(kind: &Kind) -> u8 {
    match kind {
        Kind::Stdin | Kind::Sink => CHARACTER_DEVICE,
        Kind::Dir(_) => DIRECTORY,
        Kind::File { .. } | Kind::Written { .. } | Kind::Answer => REGULAR_FILE,
        Kind::Stream(_) | Kind::Control => SOCKET_STREAM,
    }
}

/// Bytes of a file; 0 for everything else.
fn size(guest: &mut Guest, kind: &Kind) -> usize {
    match kind {
        Kind::File { data, .. } => data.len(),
        Kind::Written { name, .. } => guest.world.read(name).map_or(0, <[u8]>::len),
        _ => 0,
    }
}

pub(super) fn filestat(guest: &mut Guest, kind: &Kind) -> [u8; 64] {
    let mut stat = [0; 64];
    stat[16] = filetype(kind);
    stat[24] = 1; // links
    stat[32..40].copy_from_slice(&(size(guest, kind) as u64).to_le_bytes());
    stat
}

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    descriptors(linker)?;
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
                let appends = matches!(fd.kind, Kind::Written { appends: true, .. });
                let flags = if fd.nonblock { NONBLOCK } else { 0 } | u16::from(appends);
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
            code(fd.map(|fd| {
                fd.nonblock = flags & i32::from(NONBLOCK) != 0;
                if let Kind::Written { appends, .. } = &mut fd.kind {
                    *appends = flags & i32::from(APPEND) != 0;
                }
            }))
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
    linker.func_wrap(
        MODULE,
        "fd_filestat_set_size",
        |mut caller: Caller<'_, Guest>, fd: i32, size: i64| {
            code(set_size(caller.data_mut(), fd, size))
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
    let kind = guest.fds.get(fd)?.kind.clone();
    let size = size(guest, &kind);
    let (Kind::File { at, .. } | Kind::Written { at, .. }) = &mut guest.fds.get(fd)?.kind else {
        return Err(Errno::ESPIPE);
    };
    let base = match whence {
        0 => 0,
        1 => *at as i64,
        2 => size as i64,
        _ => return Err(Errno::EINVAL),
    };
    let to = base
        .checked_add(offset)
        .and_then(|to| u64::try_from(to).ok())
        .ok_or(Errno::EINVAL)?;
    *at = usize::try_from(to).map_err(|_| Errno::EOVERFLOW)?;
    Ok(to)
}

fn set_size(guest: &mut Guest, fd: i32, size: i64) -> Result<(), Errno> {
    let Kind::Written { name, .. } = guest.fds.get(fd)?.kind.clone() else {
        return Err(Errno::EROFS);
    };
    let size = usize::try_from(size).map_err(|_| Errno::EINVAL)?;
    guest.world.set_size(&name, size)
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
    for name in ["path_create_directory", "path_remove_directory"] {
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
