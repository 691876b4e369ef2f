//! Reading and writing: where a guest's calls meet its streams.
//!
//! A write takes everything and answers the full count; it waits only at the hard bound, and a far end that
//! takes nothing for [`STALL`] ends the connection by name. A read finds nothing while its stream is gated,
//! while the other end is too slow for what was read before, or where an end would hide unread bytes.

use super::super::errno::Errno;
use super::super::fds::Kind;
use super::super::framing;
use super::super::guest::Guest;
use super::super::memory::{MAX_IOVECS, iovec, iovec_count, put_u32, split};
use super::{MODULE, code};
use crate::error::Failure;
use std::future::poll_fn;
use std::ops::Range;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::timeout;
use wasmtime::{Caller, Linker};

/// How long a write waits for room at the hard bound: longer than any pause of a live TCP path, short
/// enough that a dead one does not hold 4 MiB for ever.
const STALL: Duration = Duration::from_secs(120);

/// What one stream may deliver before the guest must wait once: a guest that drains one end before it looks
/// at the other would starve it. Smaller would cost TinyGo guests, whose polls are dear.
const TURN: usize = 1 << 20;

/// Where a guest says why it refuses.
const STDERR: i32 = 2;

/// A set-up run's answer names a few settings.
const MAX_ANSWER: usize = 64 << 10;

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.func_wrap_async(
        MODULE,
        "fd_read",
        |mut caller: Caller<'_, Guest>, (fd, iovs, count, out): (i32, i32, i32, i32)| {
            Box::new(async move {
                let (memory, guest) = split(&mut caller)?;
                let read = read(memory, guest, fd, iovs, count).await?;
                wasmtime::Result::Ok(code(read.and_then(|n| put_u32(memory, out, n))))
            })
        },
    )?;
    linker.func_wrap_async(
        MODULE,
        "fd_write",
        |mut caller: Caller<'_, Guest>, (fd, iovs, count, out): (i32, i32, i32, i32)| {
            Box::new(async move {
                let (memory, guest) = split(&mut caller)?;
                let written = write(memory, guest, fd, iovs, count).await?;
                wasmtime::Result::Ok(code(written.and_then(|n| put_u32(memory, out, n))))
            })
        },
    )?;
    linker.func_wrap_async(
        MODULE,
        "sock_recv",
        |mut caller: Caller<'_, Guest>,
         (fd, iovs, count, flags, out, out_flags): (i32, i32, i32, i32, i32, i32)| {
            Box::new(async move {
                let (memory, guest) = split(&mut caller)?;
                if let Err(errno) = socket_call(guest, fd, flags) {
                    return Ok(code(Err(errno)));
                }
                let read = read(memory, guest, fd, iovs, count).await?;
                let told = read.and_then(|n| put_u32(memory, out, n));
                wasmtime::Result::Ok(code(
                    told.and_then(|()| super::super::memory::put(memory, out_flags, &[0, 0])),
                ))
            })
        },
    )?;
    linker.func_wrap_async(
        MODULE,
        "sock_send",
        |mut caller: Caller<'_, Guest>,
         (fd, iovs, count, flags, out): (i32, i32, i32, i32, i32)| {
            Box::new(async move {
                let (memory, guest) = split(&mut caller)?;
                if let Err(errno) = socket_call(guest, fd, flags) {
                    return Ok(code(Err(errno)));
                }
                let written = write(memory, guest, fd, iovs, count).await?;
                wasmtime::Result::Ok(code(written.and_then(|n| put_u32(memory, out, n))))
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        "sock_shutdown",
        |mut caller: Caller<'_, Guest>, fd: i32, how: i32| {
            code(shutdown(caller.data_mut(), fd, how))
        },
    )?;
    Ok(())
}

/// `sock_recv` and `sock_send` are `fd_read` and `fd_write` on a socket without flags.
fn socket_call(guest: &mut Guest, fd: i32, flags: i32) -> Result<(), Errno> {
    guest.stream_at(fd)?;
    if flags == 0 {
        Ok(())
    } else {
        Err(Errno::ENOTSUP)
    }
}

fn shutdown(guest: &mut Guest, fd: i32, how: i32) -> Result<(), Errno> {
    const WR: i32 = 2;
    let at = guest.stream_at(fd)?;
    if !(1..=3).contains(&how) {
        return Err(Errno::EINVAL);
    }
    if how & WR != 0 {
        guest.streams[at].finish();
        guest.flush_now();
    }
    Ok(())
}

/// The outer error ends the guest: there is nobody left to wait for.
async fn read(
    memory: &mut [u8],
    guest: &mut Guest,
    fd: i32,
    iovs: i32,
    count: i32,
) -> wasmtime::Result<Result<u32, Errno>> {
    let asked = iovec_count(count).and_then(|count| {
        let fd = guest.fds.get(fd)?;
        Ok((count, fd.kind.clone(), fd.nonblock))
    });
    let (count, kind, nonblock) = match asked {
        Ok(asked) => asked,
        Err(errno) => return Ok(Err(errno)),
    };
    let mut total = 0;
    for index in 0..count {
        let buffer = match iovec(memory, iovs, index) {
            Ok(buffer) => buffer,
            Err(errno) => return Ok(Err(errno)),
        };
        if buffer.is_empty() {
            continue;
        }
        let place = buffer.start;
        let buffer = &mut memory[buffer];
        let wanted = buffer.len();
        let read = match kind {
            Kind::Stdin => Ok(0),
            Kind::Sink | Kind::Answer => Err(Errno::EBADF),
            Kind::Dir(_) => Err(Errno::EISDIR),
            Kind::File { .. } | Kind::Written { .. } => read_file(guest, fd, buffer),
            Kind::Control => {
                wait(guest, nonblock, |guest, cx| {
                    let _ = guest.poll_flush(cx);
                    guest.control.poll_read(cx, buffer).map(Ok)
                })
                .await?
            }
            // What is there already fills the further iovecs; nothing waits once something was read.
            Kind::Stream(at) if total > 0 && !guest.streams[at].has_read_ahead() => break,
            Kind::Stream(at) if nonblock && count == 1 => {
                read_record(guest, at, place, buffer).await?
            }
            Kind::Stream(at) => {
                wait(guest, nonblock || total > 0, |guest, cx| {
                    poll_read(guest, at, buffer, nonblock, cx)
                })
                .await?
            }
        };
        let n = match read {
            Ok(n) => n,
            // What was read is the guest's; the reason will be found again.
            Err(_) if total > 0 => break,
            Err(errno) => return Ok(Err(errno)),
        };
        total += n;
        if n < wanted {
            break;
        }
    }
    Ok(u32::try_from(total).map_err(|_| Errno::EOVERFLOW))
}

/// A non-blocking read, which waits all the same for the rest of a record: see [`super::super::framing`].
async fn read_record(
    guest: &mut Guest,
    at: usize,
    place: usize,
    buffer: &mut [u8],
) -> wasmtime::Result<Result<usize, Errno>> {
    let wanted = buffer.len();
    let read = if guest.streams[at].framing.is_inside(place, wanted) {
        // What is withheld in the middle of a record would be lost; its end is soon.
        let rest = wait(guest, false, |guest, cx| {
            let _ = guest.poll_flush(cx);
            let read = guest.streams[at].poll_read(cx, buffer);
            if read.is_pending() {
                // It was held: at the next record's beginning the other end has its turn.
                guest.streams[at].turn = TURN;
            }
            read.map(|read| noted(guest, at, read))
        });
        let rest = timeout(framing::PATIENCE, rest).await;
        rest.unwrap_or(Ok(Err(Errno::EAGAIN)))?
    } else {
        wait(guest, true, |guest, cx| {
            poll_read(guest, at, buffer, true, cx)
        })
        .await?
    };
    let framing = &mut guest.streams[at].framing;
    match read {
        Ok(n) if n > 0 => framing.has_read(place, wanted, n),
        _ => framing.forget(),
    }
    Ok(read)
}

/// Waits for a blocking descriptor, answers EAGAIN for one that must not wait.
async fn wait(
    guest: &mut Guest,
    nonblock: bool,
    mut poll: impl FnMut(&mut Guest, &mut Context<'_>) -> Poll<Result<usize, Errno>>,
) -> wasmtime::Result<Result<usize, Errno>> {
    poll_fn(|cx| match poll(guest, cx) {
        Poll::Ready(read) => Poll::Ready(Ok(read)),
        Poll::Pending if nonblock => Poll::Ready(Ok(Err(Errno::EAGAIN))),
        Poll::Pending => match guest.look_around(cx) {
            Ok(()) => Poll::Pending,
            Err(failure) => Poll::Ready(Err(wasmtime::Error::new(failure))),
        },
    })
    .await
}

fn poll_read(
    guest: &mut Guest,
    at: usize,
    buffer: &mut [u8],
    nonblock: bool,
    cx: &mut Context<'_>,
) -> Poll<Result<usize, Errno>> {
    if !guest.streams[at].has_read_ahead() {
        // The guest is about to wait, or a system call is due anyway: what it wrote goes out first.
        let _ = guest.poll_flush(cx);
    }
    if guest.streams[at].is_gated() || guest.is_withheld(at) {
        // With bytes read ahead nothing was flushed, and nothing else would wake the task.
        let _ = guest.poll_flush(cx);
        if guest.streams[at].is_gated() || guest.is_withheld(at) {
            return Poll::Pending;
        }
    }
    if nonblock && guest.streams[at].turn >= TURN {
        guest.streams[at].turn = 0;
        return Poll::Pending;
    }
    let read = guest.streams[at].poll_read(cx, buffer);
    match read {
        // A blocking read is a guest that wants this end and no other.
        Poll::Ready(Ok(0)) if nonblock && guest.hides_end(at, cx) => Poll::Pending,
        read => read.map(|read| noted(guest, at, read)),
    }
}

/// What was read is progress; so is an end, once.
fn noted(guest: &mut Guest, at: usize, read: Result<usize, Errno>) -> Result<usize, Errno> {
    match read {
        Ok(n) if n > 0 => guest.progress += n as u64,
        _ => {
            if !std::mem::replace(&mut guest.streams[at].end_read, true) {
                guest.progress += 1;
            }
        }
    }
    read
}

fn read_file(guest: &mut Guest, fd: i32, buffer: &mut [u8]) -> Result<usize, Errno> {
    let Guest { fds, world, .. } = guest;
    let (data, at) = match &mut fds.get(fd)?.kind {
        Kind::File { data, at } => (&**data, at),
        Kind::Written { name, at, .. } => (world.read(name)?, at),
        _ => return Err(Errno::EBADF),
    };
    let rest = data.get(*at..).unwrap_or_default();
    let n = rest.len().min(buffer.len());
    buffer[..n].copy_from_slice(&rest[..n]);
    *at += n;
    Ok(n)
}

/// Writes into a file of the set-up run, or into its answer.
fn write_file(guest: &mut Guest, fd: i32, data: &[u8]) -> Result<(), Errno> {
    let Guest {
        fds, world, answer, ..
    } = guest;
    match &mut fds.get(fd)?.kind {
        Kind::Written { name, at, appends } => {
            if *appends {
                *at = world.read(name)?.len();
            }
            *at = world.write(name, *at, data)?;
        }
        Kind::Answer => {
            if answer.len() + data.len() > MAX_ANSWER {
                return Err(Errno::EFBIG);
            }
            answer.extend_from_slice(data);
        }
        _ => return Err(Errno::EBADF),
    }
    Ok(())
}

/// The outer error ends the guest: the far end took nothing for too long.
async fn write(
    memory: &mut [u8],
    guest: &mut Guest,
    fd: i32,
    iovs: i32,
    count: i32,
) -> wasmtime::Result<Result<u32, Errno>> {
    let found = guest.fds.get(fd).map(|fd| fd.kind.clone());
    let (kind, count) = match found.and_then(|kind| Ok((kind, iovec_count(count)?))) {
        Ok(found) => found,
        Err(errno) => return Ok(Err(errno)),
    };
    match kind {
        Kind::Stream(_) | Kind::Sink | Kind::Written { .. } | Kind::Answer => {}
        Kind::Dir(_) => return Ok(Err(Errno::EISDIR)),
        Kind::Stdin | Kind::File { .. } | Kind::Control => return Ok(Err(Errno::EBADF)),
    }
    debug_assert!(count <= MAX_IOVECS);
    let mut total = 0u32;
    for index in 0..count {
        let buffer: Range<usize> = match iovec(memory, iovs, index) {
            Ok(buffer) => buffer,
            Err(errno) => return Ok(Err(errno)),
        };
        let Some(sum) = u32::try_from(buffer.len())
            .ok()
            .and_then(|len| total.checked_add(len))
        else {
            return Ok(Err(Errno::EINVAL));
        };
        let written = match kind {
            Kind::Stream(at) => write_all(guest, at, &memory[buffer]).await?,
            Kind::Sink => {
                if fd == STDERR {
                    guest.last_words.take(&memory[buffer.clone()]);
                }
                guest.prints.take(&memory[buffer]);
                Ok(())
            }
            _ => write_file(guest, fd, &memory[buffer]),
        };
        if let Err(errno) = written {
            return Ok(Err(errno));
        }
        total = sum;
    }
    Ok(Ok(total))
}

async fn write_all(
    guest: &mut Guest,
    at: usize,
    mut data: &[u8],
) -> wasmtime::Result<Result<(), Errno>> {
    while !data.is_empty() {
        let step = poll_fn(|cx| {
            let step = guest.streams[at].poll_write(cx, data);
            if step.is_pending() {
                let _ = guest.poll_flush(cx);
                // The flush may have made the room that the write was waiting for.
                return guest.streams[at].poll_write(cx, data);
            }
            step
        });
        let Ok(step) = timeout(STALL, step).await else {
            let stalled = Failure::Stalled(STALL.as_secs());
            return Err(wasmtime::Error::new(stalled));
        };
        match step {
            Ok(n) => {
                guest.progress += n as u64;
                data = &data[n..];
            }
            Err(errno) => return Ok(Err(errno)),
        }
    }
    Ok(Ok(()))
}
