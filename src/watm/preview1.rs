//! WASI preview1 for transports: all 46 functions, denied by default, over our own descriptors.
//!
//! In: host calls. Out: an errno each. What moves bytes is in [`io`], what waits is in [`poll`]; here are
//! the rest: clocks, randomness, what was granted of a command line and an environment, files in memory, and a
//! polite no to everything that a transport has no business with. Nothing here touches the disk or the process's
//! environment.

mod files;
mod io;
mod paths;
mod poll;

use super::errno::Errno;
use super::guest::Guest;
use super::memory::{bytes, put, put_u32, put_u64, split};
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};
use wasmtime::{Caller, Linker};

const MODULE: &str = "wasi_snapshot_preview1";

/// More randomness than any handshake takes.
const MAX_RANDOM: u32 = 1 << 20;
/// As much as is made before others get their turn: a good tenth of a millisecond.
const RANDOM_TURN: usize = 16 << 10;

/// `proc_exit`, which unwinds the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exit(pub(super) i32);

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the module exited with code {}", self.0)
    }
}

impl std::error::Error for Exit {}

fn code(result: Result<(), Errno>) -> i32 {
    i32::from(result.err().unwrap_or(Errno::SUCCESS).0)
}

/// Defines every function of preview1.
pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    clocks_and_random(linker)?;
    process(linker)?;
    files::link(linker)?;
    paths::link(linker)?;
    io::link(linker)?;
    poll::link(linker)
}

fn clocks_and_random(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.func_wrap(
        MODULE,
        "clock_res_get",
        |mut caller: Caller<'_, Guest>, id: i32, out: i32| {
            let (memory, _) = split(&mut caller)?;
            let known = if (0..=1).contains(&id) {
                Ok(())
            } else {
                Err(Errno::EINVAL)
            };
            Ok(code(known.and_then(|()| put_u64(memory, out, 1))))
        },
    )?;
    linker.func_wrap(
        MODULE,
        "clock_time_get",
        |mut caller: Caller<'_, Guest>, id: i32, _precision: i64, out: i32| {
            let (memory, guest) = split(&mut caller)?;
            Ok(code(
                now(guest, id).and_then(|time| put_u64(memory, out, time)),
            ))
        },
    )?;
    linker.func_wrap_async(
        MODULE,
        "random_get",
        |mut caller: Caller<'_, Guest>, (ptr, len): (i32, i32)| {
            Box::new(async move {
                let (memory, _) = split(&mut caller)?;
                wasmtime::Result::Ok(code(random(memory, ptr, len.cast_unsigned()).await))
            })
        },
    )?;
    Ok(())
}

async fn random(memory: &mut [u8], ptr: i32, len: u32) -> Result<(), Errno> {
    if len > MAX_RANDOM {
        return Err(Errno::EINVAL);
    }
    // Calls in a row, without a loop, meet no epoch; here is where such a guest lets others in.
    tokio::task::consume_budget().await;
    for piece in bytes(memory, ptr, len)?.chunks_mut(RANDOM_TURN) {
        getrandom::fill(piece).map_err(|_| Errno::EIO)?;
        if piece.len() == RANDOM_TURN {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

/// Nanoseconds of preview1's clocks 0 (since 1970) and 1 (since the guest began).
fn now(guest: &Guest, id: i32) -> Result<u64, Errno> {
    let since = match id {
        0 => SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_err(|_| Errno::EOVERFLOW)?,
        1 => guest.started.elapsed(),
        _ => return Err(Errno::EINVAL),
    };
    u64::try_from(since.as_nanos()).map_err(|_| Errno::EOVERFLOW)
}

fn process(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    words(linker, "args_sizes_get", "args_get", |guest| {
        guest.argv.iter().map(|word| format!("{word}\0")).collect()
    })?;
    words(linker, "environ_sizes_get", "environ_get", |guest| {
        let variables = guest.env.iter();
        variables
            .map(|(name, value)| format!("{name}={value}\0"))
            .collect()
    })?;
    linker.func_wrap(MODULE, "proc_exit", |status: i32| -> wasmtime::Result<()> {
        Err(wasmtime::Error::new(Exit(status)))
    })?;
    linker.func_wrap(MODULE, "proc_raise", |_signal: i32| {
        code(Err(Errno::ENOSYS))
    })?;
    linker.func_wrap_async(MODULE, "sched_yield", |_: Caller<'_, Guest>, (): ()| {
        Box::new(async {
            tokio::task::yield_now().await;
            code(Ok(()))
        })
    })?;
    Ok(())
}

/// A list of texts for the guest: how long it is, and itself. An operator wrote it, and its length is bounded.
fn words(
    linker: &mut Linker<Guest>,
    sizes: &'static str,
    get: &'static str,
    list: fn(&Guest) -> Vec<String>,
) -> wasmtime::Result<()> {
    linker.func_wrap(
        MODULE,
        sizes,
        move |mut caller: Caller<'_, Guest>, count: i32, size: i32| {
            let (memory, guest) = split(&mut caller)?;
            let list = list(guest);
            let bytes = list.iter().map(String::len).sum();
            let put = put_count(memory, count, list.len());
            Ok(code(put.and_then(|()| put_count(memory, size, bytes))))
        },
    )?;
    linker.func_wrap(
        MODULE,
        get,
        move |mut caller: Caller<'_, Guest>, pointers: i32, texts: i32| {
            let (memory, guest) = split(&mut caller)?;
            Ok(code(put_list(memory, pointers, texts, &list(guest))))
        },
    )?;
    Ok(())
}

fn put_count(memory: &mut [u8], at: i32, count: usize) -> Result<(), Errno> {
    put_u32(
        memory,
        at,
        u32::try_from(count).map_err(|_| Errno::EOVERFLOW)?,
    )
}

fn put_list(memory: &mut [u8], pointers: i32, texts: i32, list: &[String]) -> Result<(), Errno> {
    let (mut pointer, mut at) = (pointers.cast_unsigned(), texts.cast_unsigned());
    for text in list {
        put_u32(memory, pointer.cast_signed(), at)?;
        put(memory, at.cast_signed(), text.as_bytes())?;
        let length = u32::try_from(text.len()).map_err(|_| Errno::EOVERFLOW)?;
        pointer = pointer.checked_add(4).ok_or(Errno::EFAULT)?;
        at = at.checked_add(length).ok_or(Errno::EFAULT)?;
    }
    Ok(())
}
