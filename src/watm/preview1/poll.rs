//! `poll_oneoff`: the one place where a guest waits.
//!
//! In: up to [`MAX_SUBSCRIPTIONS`] questions. Out: at least one true answer, however long that takes; no
//! guest makes an idle connection cost CPU. While it waits, the streams' queues are flushed by the same
//! task, and so are waits for what becomes readable because of that.
//!
//! Write readiness is reported edge-wise wherever the guest also waits for something else: guests built on
//! tokio keep the question standing for ever.

use super::super::errno::Errno;
use super::super::fds::Kind;
use super::super::guest::Guest;
use super::super::memory::{bytes, field, put, put_u32, range, split};
use super::{MODULE, code, now};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};
use wasmtime::{Caller, Linker};

/// More than the descriptors a guest can hold, both ways, and its timers.
const MAX_SUBSCRIPTIONS: u32 = 256;

const SUBSCRIPTION: u32 = 48;
const EVENT: u32 = 32;

/// Polls that found nothing in time are free this often in a row; after that they wait a little longer each
/// time, up to [`MAX_FLOOR`]. A guest that polls with tiny time-outs on an idle connection would spin.
const FREE_POLLS: u32 = 32;
const MAX_FLOOR: Duration = Duration::from_millis(20);
/// How many times each of the waits for stale ends, and where their doubling stops.
const STALE_POLLS: u32 = 4;
const MAX_STALE_FLOOR: Duration = Duration::from_secs(30);

#[derive(Clone, Copy)]
enum Question {
    /// Due at this time.
    Clock(Instant),
    Read(i32),
    Write(i32),
    /// One that cannot be asked.
    Bad(Errno),
}

#[derive(Clone, Copy)]
struct Subscription {
    userdata: [u8; 8],
    kind: u8,
    question: Question,
}

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.func_wrap_async(
        MODULE,
        "poll_oneoff",
        |mut caller: Caller<'_, Guest>, (subs, events, count, out): (i32, i32, i32, i32)| {
            Box::new(async move {
                let (memory, guest) = split(&mut caller)?;
                let polled = poll_oneoff(memory, guest, subs, events, count).await?;
                wasmtime::Result::Ok(code(polled.and_then(|n| put_u32(memory, out, n))))
            })
        },
    )?;
    Ok(())
}

fn parse(sub: &[u8], guest: &Guest, start: Instant) -> Subscription {
    let kind = sub[8];
    let question = match kind {
        0 => {
            let id = i32::from_le_bytes(field(sub, 16));
            let nanos = u64::from_le_bytes(field(sub, 24));
            let absolute = sub[40] & 1 != 0;
            match now(guest, id) {
                Ok(now) => {
                    let wait = Duration::from_nanos(if absolute {
                        nanos.saturating_sub(now)
                    } else {
                        nanos
                    });
                    // A century is for ever, and fits.
                    let wait = wait.min(Duration::from_secs(100 * 365 * 86_400));
                    Question::Clock(start + wait)
                }
                Err(errno) => Question::Bad(errno),
            }
        }
        1 => Question::Read(i32::from_le_bytes(field(sub, 16))),
        2 => Question::Write(i32::from_le_bytes(field(sub, 16))),
        _ => Question::Bad(Errno::EINVAL),
    };
    Subscription {
        userdata: field(sub, 0),
        kind,
        question,
    }
}

/// The questions of a call, all of it checked.
fn questions(
    memory: &mut [u8],
    guest: &Guest,
    subs: i32,
    events: i32,
    count: i32,
) -> Result<Vec<Subscription>, Errno> {
    let count = u32::try_from(count)
        .ok()
        .filter(|n| (1..=MAX_SUBSCRIPTIONS).contains(n))
        .ok_or(Errno::EINVAL)?;
    range(memory, events, count * EVENT)?;
    let start = Instant::now();
    // Three subscriptions are the rule; the list is bounded by MAX_SUBSCRIPTIONS.
    Ok(bytes(memory, subs, count * SUBSCRIPTION)?
        .chunks_exact(SUBSCRIPTION as usize)
        .map(|sub| parse(sub, guest, start))
        .collect())
}

/// The outer error ends the guest: there is nobody left to wait for.
async fn poll_oneoff(
    memory: &mut [u8],
    guest: &mut Guest,
    subs: i32,
    events: i32,
    count: i32,
) -> wasmtime::Result<Result<u32, Errno>> {
    let subs = match questions(memory, guest, subs, events, count) {
        Ok(subs) => subs,
        Err(errno) => return Ok(Err(errno)),
    };
    let start = Instant::now();
    for stream in &mut guest.streams {
        stream.turn = 0;
        stream.framing.forget();
    }

    let due = subs.iter().filter_map(|sub| match sub.question {
        Question::Clock(due) => Some(due),
        _ => None,
    });
    // An end that the guest has read already is no news: asked for again, it is told like a timer, or a
    // guest that keeps the question standing would spin until the other direction ends.
    let earliest = start + floor(guest.fruitless);
    let stale = subs.iter().any(|sub| is_stale(guest, sub));
    let stale_due = start + stale_floor(guest.fruitless);
    let due = due
        .chain(stale.then_some(stale_due))
        .min()
        .map(|due| due.max(earliest));
    // With nothing else to wake it, a guest must hear of write readiness every time it asks.
    let edge_wise = subs
        .iter()
        .any(|sub| !matches!(sub.question, Question::Write(_)));
    let mut timer = pin!(due.map(sleep_until));
    let (mut n, mut fruitful) = (0, false);
    let mut suspended = false;
    poll_fn(|cx| {
        let _ = guest.poll_flush(cx);
        for sub in &subs {
            if let Some((answer, flags)) = answer(guest, &subs, sub, edge_wise, cx) {
                write_event(memory, events, n, sub, answer, flags);
                n += 1;
                fruitful = true;
            }
        }
        if n == 0
            && let Some(timer) = timer.as_mut().as_pin_mut()
            && timer.poll(cx).is_ready()
        {
            let now = Instant::now();
            for sub in &subs {
                let flags = match sub.question {
                    Question::Clock(at) if at <= now => 0,
                    _ if now >= stale_due && is_stale(guest, sub) => HANGUP,
                    _ => continue,
                };
                write_event(memory, events, n, sub, Errno::SUCCESS, flags);
                n += 1;
            }
        }
        if n > 0 {
            return Poll::Ready(Ok(()));
        }
        suspended = true;
        match guest.look_around(cx) {
            Ok(()) => Poll::Pending,
            Err(failure) => Poll::Ready(Err(wasmtime::Error::new(failure))),
        }
    })
    .await?;
    if suspended {
        guest.progress += 1;
    }
    let moved = guest.moved();
    guest.fruitless = if fruitful || moved != guest.moved_before {
        0
    } else {
        guest.fruitless.saturating_add(1)
    };
    guest.moved_before = moved;
    Ok(Ok(n))
}

/// The shortest a poll may wait after so many fruitless ones.
fn floor(fruitless: u32) -> Duration {
    Duration::from_millis(u64::from(fruitless / FREE_POLLS)).min(MAX_FLOOR)
}

/// The same for ends that are no news: soon that is nothing but a heartbeat.
fn stale_floor(fruitless: u32) -> Duration {
    let doublings = fruitless.saturating_sub(FREE_POLLS) / STALE_POLLS;
    let wait = Duration::from_millis(u64::from(fruitless >= FREE_POLLS) << doublings.min(16));
    wait.min(MAX_STALE_FLOOR)
}

/// Whether the question is for an end that the guest has read, or for writing to what it knows is broken.
fn is_stale(guest: &mut Guest, sub: &Subscription) -> bool {
    match sub.question {
        Question::Read(fd) => matches!(guest.stream_at(fd), Ok(at) if guest.streams[at].end_read),
        Question::Write(fd) => matches!(
            guest.stream_at(fd),
            Ok(at) if guest.streams[at].broken().is_some() && !guest.streams[at].write_edge
        ),
        _ => false,
    }
}

/// The answer to a question that can be answered now, with the event's flags.
fn answer(
    guest: &mut Guest,
    subs: &[Subscription],
    sub: &Subscription,
    edge_wise: bool,
    cx: &mut Context<'_>,
) -> Option<(Errno, u8)> {
    let (fd, reads) = match sub.question {
        Question::Clock(_) => return None,
        Question::Bad(errno) => return Some((errno, 0)),
        Question::Read(fd) => (fd, true),
        Question::Write(fd) => (fd, false),
    };
    let (kind, nonblock) = match guest.fds.get(fd) {
        Ok(fd) => (fd.kind.clone(), fd.nonblock),
        Err(errno) => return Some((errno, 0)),
    };
    let ready = match kind {
        Kind::Stdin | Kind::Sink | Kind::File { .. } | Kind::Written { .. } | Kind::Answer => {
            Some(0)
        }
        Kind::Dir(_) => return Some((Errno::EISDIR, 0)),
        // Never writable, but no error either: mio asks for both on every descriptor.
        Kind::Control => (reads && guest.control.poll_readable(cx).is_ready()).then_some(0),
        Kind::Stream(at) if reads => readable(guest, subs, at, nonblock, cx),
        Kind::Stream(at) => writable(guest, at, edge_wise),
    };
    ready.map(|flags| (Errno::SUCCESS, flags))
}

const HANGUP: u8 = 1;

fn readable(
    guest: &mut Guest,
    subs: &[Subscription],
    at: usize,
    nonblock: bool,
    cx: &mut Context<'_>,
) -> Option<u8> {
    if guest.streams[at].is_gated() || guest.streams[at].end_read || guest.is_withheld(at) {
        return None;
    }
    if guest.streams[at].poll_readable(cx, !nonblock).is_pending() {
        return None;
    }
    if !guest.streams[at].ended() {
        return Some(0);
    }
    // Hide the end only from a guest that is waiting for the other ends as well.
    let others_asked = subs.iter().any(|sub| match sub.question {
        Question::Read(fd) => matches!(guest.stream_at(fd), Ok(other) if other != at),
        _ => false,
    });
    if others_asked && guest.hides_end(at, cx) {
        return None;
    }
    guest.streams[at].eof_told = true;
    Some(HANGUP)
}

fn writable(guest: &mut Guest, at: usize, edge_wise: bool) -> Option<u8> {
    let stream = &mut guest.streams[at];
    if stream.is_full() || (edge_wise && !stream.write_edge) {
        return None;
    }
    stream.write_edge = false;
    Some(if stream.broken().is_some() { HANGUP } else { 0 })
}

fn write_event(
    memory: &mut [u8],
    events: i32,
    index: u32,
    sub: &Subscription,
    errno: Errno,
    flags: u8,
) {
    let mut event = [0; EVENT as usize];
    event[0..8].copy_from_slice(&sub.userdata);
    event[8..10].copy_from_slice(&errno.0.to_le_bytes());
    event[10] = sub.kind;
    if errno == Errno::SUCCESS && sub.kind != 0 {
        // At least one byte can move; how many nobody knows.
        event[16] = 1;
        event[24] = flags;
    }
    let at = events.cast_unsigned() + index * EVENT;
    put(memory, at.cast_signed(), &event).expect("the whole list was checked before the wait");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fruitless_polls_get_slower_and_stop_there() {
        assert_eq!(floor(0), Duration::ZERO);
        assert_eq!(floor(FREE_POLLS - 1), Duration::ZERO);
        assert_eq!(floor(FREE_POLLS), Duration::from_millis(1));
        assert_eq!(floor(u32::MAX), MAX_FLOOR);
        assert_eq!(stale_floor(FREE_POLLS - 1), Duration::ZERO);
        assert_eq!(stale_floor(FREE_POLLS), Duration::from_millis(1));
        assert_eq!(stale_floor(FREE_POLLS + 4), Duration::from_millis(2));
        assert_eq!(stale_floor(u32::MAX), MAX_STALE_FLOOR);
    }
}
