//! The checks. Every one has its number in the call; the numbers are what the guest answers.

use core::ptr::{without_provenance, without_provenance_mut};

use watm_sdk::raw::{self, ConstVec, Event, MutVec, Subscription, preview1};

use super::rest::*;
use super::{Conn, EARLY, Errno};

const AGAIN: i32 = 6;
const BADF: i32 = 8;
const FAULT: i32 = 21;
const INVAL: i32 = 28;
const NAMETOOLONG: i32 = 37;
const NOENT: i32 = 44;

const DIRECTORY: u8 = 3;
const REGULAR_FILE: u8 = 4;
const SOCKET: u8 = 6;
const NONBLOCK: u16 = 4;

/// Beyond any memory that a host gives, by itself and by its length.
const NOWHERE: usize = 0xffff_fff0;
const UNUSED_FD: i32 = 99;
const CONF: i32 = 3;

fn check(k: u16, holds: bool) -> Result<(), Errno> {
    if holds { Ok(()) } else { Err(Errno(1000 + k)) }
}

pub(crate) fn init() -> Result<(), Errno> {
    arguments()?;
    clocks_and_random()?;
    standard_streams()?;
    let has_conf = raw::fd_prestat_get(CONF).is_ok();
    check(12, prestat(CONF + i32::from(has_conf)) == BADF)?;
    check(13, prestat(-1) == BADF && prestat(UNUSED_FD) == BADF)?;
    if has_conf {
        conf_directory()?;
    }
    outside()?;
    polling()?;
    wrong_fds()?;
    everything_answers()
}

fn arguments() -> Result<(), Errno> {
    let (mut count, mut size) = (7, 7);
    // SAFETY: pointers to live locals.
    let errno = unsafe { preview1::args_sizes_get(&mut count, &mut size) };
    check(1, errno == 0 && count == 0 && size == 0)?;
    let (mut count, mut size) = (7, 7);
    // SAFETY: pointers to live locals.
    let errno = unsafe { preview1::environ_sizes_get(&mut count, &mut size) };
    check(2, errno == 0 && count == 0 && size == 0)
}

fn clocks_and_random() -> Result<(), Errno> {
    const THE_YEAR_2020: u64 = 1_577_836_800_000_000_000;
    check(
        3,
        raw::clock_time_get(0).is_ok_and(|now| now > THE_YEAR_2020),
    )?;
    let before = raw::clock_time_get(1)?;
    check(4, raw::clock_time_get(1).is_ok_and(|now| now >= before))?;
    check(5, raw::clock_time_get(99) == Err(Errno::INVAL))?;
    let (mut one, mut two) = ([0; 32], [0; 32]);
    let filled = raw::random_get(&mut one).and(raw::random_get(&mut two));
    check(6, filled.is_ok() && one != two && one != [0; 32])?;
    // SAFETY: the host must refuse the address; if it does not, nothing of ours lies there.
    let errno = unsafe { preview1::random_get(without_provenance_mut(NOWHERE), 32) };
    check(7, errno == FAULT)?;
    check(8, raw::random_get(&mut []).is_ok())
}

fn standard_streams() -> Result<(), Errno> {
    check(9, raw::fd_read(0, &mut [0; 8]) == Ok(0))?;
    check(
        10,
        raw::fd_write(1, b"out") == Ok(3) && raw::fd_write(2, b"err") == Ok(3),
    )?;
    for fd in 0..3 {
        let known = raw::fd_fdstat_get(fd).is_ok();
        check(11, known && raw::fd_fdstat_set_flags(fd, NONBLOCK).is_ok())?;
    }
    Ok(())
}

fn prestat(fd: i32) -> i32 {
    // SAFETY: a pointer to a live local.
    unsafe { preview1::fd_prestat_get(fd, &mut [0; 2]) }
}

fn conf_directory() -> Result<(), Errno> {
    check(14, raw::fd_prestat_get(CONF) == Ok(6))?;
    let mut name = [0; 6];
    let named = raw::fd_prestat_dir_name(CONF, &mut name);
    check(15, named.is_ok() && &name == b"/conf/")?;
    let short = raw::fd_prestat_dir_name(CONF, &mut name[..3]);
    check(16, short.map_err(Errno::code) == Err(-NAMETOOLONG))?;
    let mut stat = [0; 3];
    // SAFETY: a pointer to a live local.
    let errno = unsafe { preview1::fd_fdstat_get(CONF, &mut stat) };
    let (path_open, fd_read) = (stat[1] & (1 << 13) != 0, stat[2] & (1 << 1) != 0);
    check(
        17,
        errno == 0 && stat[0] as u8 == DIRECTORY && path_open && fd_read,
    )?;
    check(
        18,
        raw::fd_write(CONF, b"x").is_err() && raw::fd_read(CONF, &mut [0]).is_err(),
    )?;
    conf_file()?;
    check(24, open(CONF, b"other", 0, 2) == Err(NOENT))?;
    for path in [
        &b"../watm.cfg"[..],
        b"/etc/passwd",
        b"",
        b"watm.cfg/x",
        b"\xff",
        b"a\0b",
    ] {
        check(25, open(CONF, path, 0, 2).is_err())?;
    }
    // Creating and truncating, with the right to write.
    check(26, open(CONF, b"new", 1, 1 << 6).is_err())?;
    check(27, open(CONF, b"watm.cfg", 8, 1 << 6).is_err())?;
    for (path, len) in [(NOWHERE, 8), (NOWHERE, 32), (0, usize::MAX)] {
        let mut fd = -1;
        // SAFETY: the host must refuse the address before it reads.
        let errno = unsafe {
            let path = without_provenance(path);
            preview1::path_open(CONF, 1, path, len, 0, 2, 0, 0, &mut fd)
        };
        check(28, errno != 0 && fd == -1)?;
    }
    Ok(())
}

fn conf_file() -> Result<(), Errno> {
    let opened = open(CONF, b"watm.cfg", 0, 2);
    check(19, opened.is_ok_and(|fd| fd == CONF + 1))?;
    let fd = CONF + 1;
    check(
        20,
        raw::fd_fdstat_get(fd).is_ok_and(|(kind, _)| kind == REGULAR_FILE),
    )?;
    let mut stat = [0; 8];
    // SAFETY: a pointer to a live local.
    let errno = unsafe { fd_filestat_get(fd, &mut stat) };
    check(21, errno == 0 && stat[2] as u8 == REGULAR_FILE)?;
    let mut size = 0;
    while let n @ 1.. = raw::fd_read(fd, &mut [0; 100])? {
        size += n as u64;
    }
    check(22, size == stat[4])?;
    let refused = raw::fd_write(fd, b"x").is_err() && fd_filestat_set_size(fd, 0) != 0;
    let closed = raw::fd_close(fd).is_ok() && raw::fd_read(fd, &mut [0]) == Err(Errno::BADF);
    check(23, refused && closed)
}

fn open(dir: i32, path: &[u8], oflags: i32, rights: i64) -> Result<i32, i32> {
    let mut fd = -1;
    // SAFETY: a live slice and a live local.
    let errno = unsafe {
        preview1::path_open(
            dir,
            1,
            path.as_ptr(),
            path.len(),
            oflags,
            rights,
            0,
            0,
            &mut fd,
        )
    };
    if errno == 0 { Ok(fd) } else { Err(errno) }
}

/// There is no world outside.
fn outside() -> Result<(), Errno> {
    check(29, open(-1, b"watm.cfg", 0, 2) == Err(BADF))?;
    check(30, open(UNUSED_FD, b"watm.cfg", 0, 2) == Err(BADF))?;
    check(31, open(0, b"watm.cfg", 0, 2).is_err())
}

fn polling() -> Result<(), Errno> {
    let mut ready = 0;
    let sleep = [Subscription::after(5, 2_000_000)];
    let mut events = [Event::NONE; 2];
    // SAFETY: live arrays with room for n entries, or addresses the host must refuse.
    unsafe {
        let (subscriptions, events) = (sleep.as_ptr(), events.as_mut_ptr());
        let none = preview1::poll_oneoff(subscriptions, events, 0, &mut ready);
        check(32, none == INVAL)?;
        let nowhere = without_provenance(NOWHERE);
        let bad = preview1::poll_oneoff(nowhere, events, 1, &mut ready);
        check(33, bad == FAULT)?;
        let nowhere = without_provenance_mut(NOWHERE);
        let bad = preview1::poll_oneoff(subscriptions, nowhere, 1, &mut ready);
        check(34, bad == FAULT)?;
        let many = preview1::poll_oneoff(subscriptions, events, usize::MAX / 48, &mut ready);
        check(35, many != 0)?;
    }
    let before = raw::clock_time_get(1)?;
    let mut fired = [Event::NONE];
    let n = raw::poll_oneoff(&sleep, 1, &mut fired)?;
    let slept = raw::clock_time_get(1)? - before;
    let right = n == 1 && fired[0].userdata() == 5 && fired[0].0[1] == 0;
    check(36, right && slept >= 2_000_000)?;
    let wrong = [Subscription::read(8, UNUSED_FD)];
    let n = raw::poll_oneoff(&wrong, 1, &mut fired)?;
    check(
        37,
        n == 1 && fired[0].userdata() == 8 && i32::from(fired[0].errno()) == BADF,
    )
}

fn wrong_fds() -> Result<(), Errno> {
    for fd in [UNUSED_FD, -1, i32::MIN] {
        let read = raw::fd_read(fd, &mut [0]) == Err(Errno::BADF);
        let written = raw::fd_write(fd, b"x") == Err(Errno::BADF);
        let closed = raw::fd_close(fd) == Err(Errno::BADF);
        let stat = raw::fd_fdstat_get(fd) == Err(Errno::BADF);
        let flags = raw::fd_fdstat_set_flags(fd, NONBLOCK) == Err(Errno::BADF);
        check(38, read && written && closed && stat && flags)?;
        check(
            39,
            raw::sock_shutdown(fd, 2).is_err() && fd_renumber(fd, 1) != 0,
        )?;
    }
    check(40, raw::sock_shutdown(1, 2).is_err())?;
    let iov = [ConstVec {
        buf: without_provenance(NOWHERE),
        len: 8,
    }];
    let mut done = 0;
    // SAFETY: addresses that the host must refuse.
    unsafe {
        let bad = preview1::fd_write(2, without_provenance(NOWHERE), 1, &mut done);
        check(41, bad == FAULT)?;
        let bad = preview1::fd_write(2, iov.as_ptr(), 1, &mut done);
        check(42, bad == FAULT)?;
        let bad = preview1::fd_write(2, iov.as_ptr(), usize::MAX / 8, &mut done);
        check(43, bad != 0)?;
        let bad = preview1::fd_write(2, iov.as_ptr(), 0, without_provenance_mut(NOWHERE));
        check(44, bad == FAULT)?;
    }
    Ok(())
}

/// Whatever the host makes of them, these answer: most of them with an error.
fn everything_answers() -> Result<(), Errno> {
    let name = b"watm.cfg";
    let (path, len) = (name.as_ptr(), name.len());
    let (mut small, mut large, mut used) = ([0u8; 64], [0u64; 8], 0usize);
    let (mut at, mut flags, mut fd) = (0u64, 0u16, 0i32);
    // SAFETY: pointers to live locals, with their lengths.
    let (served, refused) = unsafe {
        let served = [
            args_get(large.as_mut_ptr().cast(), small.as_mut_ptr()),
            environ_get(large.as_mut_ptr().cast(), small.as_mut_ptr()),
            clock_res_get(1, &mut at),
            preview1::sched_yield(),
        ];
        let read = MutVec {
            buf: small.as_mut_ptr(),
            len: small.len(),
        };
        let write = ConstVec {
            buf: small.as_ptr(),
            len: small.len(),
        };
        let refused = [
            fd_advise(UNUSED_FD, 0, 1, 0),
            fd_allocate(UNUSED_FD, 0, 1),
            fd_datasync(UNUSED_FD),
            fd_fdstat_set_rights(UNUSED_FD, 0, 0),
            fd_filestat_get(UNUSED_FD, &mut large),
            fd_filestat_set_times(UNUSED_FD, 0, 0, 0),
            fd_pread(UNUSED_FD, &read, 1, 0, &mut used),
            fd_pwrite(UNUSED_FD, &write, 1, 0, &mut used),
            fd_readdir(UNUSED_FD, small.as_mut_ptr(), small.len(), 0, &mut used),
            fd_seek(UNUSED_FD, 0, 0, &mut at),
            fd_sync(UNUSED_FD),
            fd_tell(UNUSED_FD, &mut at),
            path_create_directory(CONF, b"new".as_ptr(), 3),
            path_filestat_get(UNUSED_FD, 0, path, len, &mut large),
            path_filestat_set_times(CONF, 0, path, len, 0, 0, 5),
            path_link(CONF, 0, path, len, CONF, b"new".as_ptr(), 3),
            path_readlink(CONF, path, len, small.as_mut_ptr(), 64, &mut used),
            path_remove_directory(CONF, path, len),
            path_rename(CONF, path, len, CONF, b"new".as_ptr(), 3),
            path_symlink(path, len, CONF, b"new".as_ptr(), 3),
            path_unlink_file(CONF, path, len),
            proc_raise(15),
            sock_accept(UNUSED_FD, 0, &mut fd),
            sock_recv(UNUSED_FD, &read, 1, 0, &mut used, &mut flags),
            sock_send(UNUSED_FD, &write, 1, 0, &mut used),
        ];
        (served, refused)
    };
    check(45, served == [0; 4])?;
    check(46, !refused.contains(&0))
}

/// The network's fd, in blocking mode.
pub(crate) fn socket(outer: Conn) -> Result<(), Errno> {
    let fd = outer.fd();
    check(51, raw::fd_fdstat_get(fd) == Ok((SOCKET, 0)))?;
    check(52, prestat(fd) == BADF)?;
    outer.set_nonblocking()?;
    check(53, raw::fd_fdstat_get(fd) == Ok((SOCKET, NONBLOCK)))?;
    let mut byte = [0];
    match outer.read(&mut byte) {
        Ok(1) => EARLY.enter(|early| {
            *early = Some(byte);
            Ok(())
        })?,
        other => check(54, other == Err(Errno::AGAIN))?,
    }
    socket_addresses(fd)?;
    let mut at = 0;
    // SAFETY: a pointer to a live local.
    check(59, unsafe { fd_seek(fd, 0, 1, &mut at) } != 0)?;
    check(60, open(fd, b"watm.cfg", 0, 2).is_err())?;
    let mut events = [Event::NONE; 2];
    let both = [Subscription::read(1, fd), Subscription::after(2, 1_000_000)];
    let n = raw::poll_oneoff(&both, 2, &mut events)?;
    let well = events[..n].iter().all(|event| event.errno() == 0);
    check(61, n >= 1 && well)?;
    for _ in 0..3 {
        let room = [Subscription::write(3, fd)];
        let mut event = [Event::NONE];
        let n = raw::poll_oneoff(&room, 1, &mut event)?;
        check(
            62,
            n == 1 && event[0].userdata() == 3 && event[0].errno() == 0,
        )?;
    }
    check(63, raw::fd_fdstat_set_flags(fd, 0).is_ok())?;
    check(64, raw::fd_fdstat_get(fd) == Ok((SOCKET, 0)))
}

fn socket_addresses(fd: i32) -> Result<(), Errno> {
    let outside = [MutVec {
        buf: without_provenance_mut(NOWHERE),
        len: 8,
    }];
    let across = [MutVec {
        buf: without_provenance_mut(8),
        len: usize::MAX,
    }];
    let nothing = [MutVec {
        buf: without_provenance_mut(8),
        len: 0,
    }];
    let mut done = 0;
    // SAFETY: addresses that the host must refuse, or a length of 0.
    unsafe {
        let nowhere: *const MutVec = without_provenance(NOWHERE);
        check(55, preview1::fd_read(fd, nowhere, 1, &mut done) == FAULT)?;
        check(
            56,
            preview1::fd_read(fd, outside.as_ptr(), 1, &mut done) == FAULT,
        )?;
        check(
            57,
            preview1::fd_read(fd, across.as_ptr(), 1, &mut done) == FAULT,
        )?;
        let empty = preview1::fd_read(fd, nothing.as_ptr(), 1, &mut done);
        check(58, (empty == 0 && done == 0) || empty == AGAIN)
    }
}
