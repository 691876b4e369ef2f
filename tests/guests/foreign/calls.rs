//! The calls of that runtime, as a module imports them.
//!
//! In: numbers, and places in the guest's memory. Out: error numbers of preview1. A module that asks for what a dialer has
//! no need of panics here.

use super::runtime::{BADF, NOENT, NOTSUP, SUCCESS, errno};
use super::runtime::{Fd, Subscription, World};
use std::time::{SystemTime, UNIX_EPOCH};
use wasmtime::{Caller, Engine, Extern, Linker, Memory};

fn memory(caller: &mut Caller<'_, World>) -> Memory {
    match caller.get_export("memory") {
        Some(Extern::Memory(memory)) => memory,
        _ => panic!("a module exports its memory"),
    }
}

/// The guest's memory and the world beside it.
fn both<'a>(caller: &'a mut Caller<'_, World>) -> (&'a mut [u8], &'a mut World) {
    let memory = memory(caller);
    memory.data_and_store_mut(caller)
}

fn word(memory: &[u8], at: i32) -> usize {
    u32::from_le_bytes(*memory[at as usize..].first_chunk().expect("in memory")) as usize
}

fn put(memory: &mut [u8], at: i32, bytes: &[u8]) {
    memory[at as usize..][..bytes.len()].copy_from_slice(bytes);
}

/// The stretch of the only vector there is.
fn stretch(memory: &[u8], vectors: i32, n: i32) -> std::ops::Range<usize> {
    assert_eq!(n, 1, "one stretch at a time");
    let start = word(memory, vectors);
    start..start + word(memory, vectors + 4)
}

fn number(result: Result<(), i32>) -> i32 {
    result.err().unwrap_or(SUCCESS)
}

/// All of them.
pub(super) fn linker(engine: &Engine) -> Linker<World> {
    let mut linker = Linker::new(engine);
    water(&mut linker).expect("names of their own");
    streams(&mut linker).expect("names of their own");
    folders(&mut linker).expect("names of their own");
    world(&mut linker).expect("names of their own");
    linker
}

fn water(linker: &mut Linker<World>) -> wasmtime::Result<()> {
    for name in ["water_dial_fixed", "water_accept"] {
        linker.func_wrap("env", name, |mut caller: Caller<'_, World>| {
            let network = caller.data_mut().network.take().expect("taken once");
            caller.data_mut().push(network)
        })?;
    }
    Ok(())
}

const PREVIEW1: &str = "wasi_snapshot_preview1";

fn streams(linker: &mut Linker<World>) -> wasmtime::Result<()> {
    linker.func_wrap(
        PREVIEW1,
        "fd_read",
        |mut caller: Caller<'_, World>, fd: i32, vectors: i32, n: i32, count: i32| {
            let (memory, world) = both(&mut caller);
            let stretch = stretch(memory, vectors, n);
            let read = world.read(fd, &mut memory[stretch]);
            number(read.map(|n| put(memory, count, &(n as u32).to_le_bytes())))
        },
    )?;
    linker.func_wrap(
        PREVIEW1,
        "fd_write",
        |mut caller: Caller<'_, World>, fd: i32, vectors: i32, n: i32, count: i32| {
            let (memory, world) = both(&mut caller);
            let stretch = stretch(memory, vectors, n);
            let written = world.write(fd, &memory[stretch]);
            number(written.map(|n| put(memory, count, &(n as u32).to_le_bytes())))
        },
    )?;
    linker.func_wrap(
        PREVIEW1,
        "fd_fdstat_set_flags",
        |mut caller: Caller<'_, World>, fd: i32, flags: i32| match caller.data_mut().fd(fd) {
            Fd::Socket { waits, .. } => {
                *waits = flags & 4 == 0;
                SUCCESS
            }
            _ => BADF,
        },
    )?;
    linker.func_wrap(
        PREVIEW1,
        "fd_close",
        |mut caller: Caller<'_, World>, fd: i32| {
            *caller.data_mut().fd(fd) = Fd::Closed;
            SUCCESS
        },
    )?;
    linker.func_wrap(
        PREVIEW1,
        "sock_shutdown",
        |caller: Caller<'_, World>, fd: i32, how: i32| {
            assert_eq!(how, 2, "writing alone");
            if !caller.data().manners.half_closes {
                return NOTSUP;
            }
            let ended = socket2::SockRef::from(caller.data().socket(fd))
                .shutdown(std::net::Shutdown::Write);
            number(ended.map_err(|error| errno(&error)))
        },
    )?;
    linker.func_wrap(
        PREVIEW1,
        "poll_oneoff",
        |mut caller: Caller<'_, World>, from: i32, to: i32, n: i32, count: i32| {
            let (memory, world) = both(&mut caller);
            let records: Vec<Vec<u8>> = memory[from as usize..][..n as usize * 48]
                .chunks(48)
                .map(<[u8]>::to_vec)
                .collect();
            let subscriptions: Vec<_> = records.iter().map(|it| Subscription::of(it)).collect();
            let ready = match world.wait(&subscriptions) {
                Ok(ready) => ready,
                Err(errno) => return errno,
            };
            let mut at = to;
            for (record, _) in records.iter().zip(ready).filter(|(_, ready)| *ready) {
                let mut event = [0; 32];
                event[..8].copy_from_slice(&record[..8]);
                event[10] = record[8];
                put(memory, at, &event);
                at += 32;
            }
            put(memory, count, &((at - to) as u32 / 32).to_le_bytes());
            SUCCESS
        },
    )?;
    Ok(())
}

fn folders(linker: &mut Linker<World>) -> wasmtime::Result<()> {
    const NAME: &[u8] = b"/conf/";
    linker.func_wrap(
        PREVIEW1,
        "fd_prestat_get",
        |mut caller: Caller<'_, World>, fd: i32, prestat: i32| {
            let (memory, world) = both(&mut caller);
            match usize::try_from(fd).ok().and_then(|at| world.fds.get(at)) {
                Some(Fd::Folder) => {
                    put(memory, prestat, &[0, 0, 0, 0, NAME.len() as u8, 0, 0, 0]);
                    SUCCESS
                }
                _ => BADF,
            }
        },
    )?;
    linker.func_wrap(
        PREVIEW1,
        "fd_prestat_dir_name",
        |mut caller: Caller<'_, World>, _fd: i32, name: i32, _len: i32| {
            put(both(&mut caller).0, name, NAME);
            SUCCESS
        },
    )?;
    linker.func_wrap(
        PREVIEW1,
        "path_open",
        |mut caller: Caller<'_, World>,
         _folder: i32,
         _follow: i32,
         path: i32,
         len: i32,
         oflags: i32,
         _rights: i64,
         _inheriting: i64,
         _fdflags: i32,
         fd: i32| {
            let (memory, world) = both(&mut caller);
            assert_eq!(oflags, 0, "it only reads");
            if &memory[path as usize..][..len as usize] != b"watm.cfg" {
                return NOENT;
            }
            world.fds.push(Fd::File { read: 0 });
            let opened = world.fds.len() as u32 - 1;
            put(memory, fd, &opened.to_le_bytes());
            SUCCESS
        },
    )?;
    Ok(())
}

fn world(linker: &mut Linker<World>) -> wasmtime::Result<()> {
    linker.func_wrap(
        PREVIEW1,
        "clock_time_get",
        |mut caller: Caller<'_, World>, clock: i32, _precision: i64, time: i32| {
            let (memory, world) = both(&mut caller);
            let now = match clock {
                0 => SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .expect("after 1970"),
                _ => world.start.elapsed(),
            };
            put(memory, time, &(now.as_nanos() as u64).to_le_bytes());
            SUCCESS
        },
    )?;
    linker.func_wrap(
        PREVIEW1,
        "random_get",
        |mut caller: Caller<'_, World>, at: i32, len: i32| {
            let memory = both(&mut caller).0;
            getrandom::fill(&mut memory[at as usize..][..len as usize]).expect("randomness");
            SUCCESS
        },
    )?;
    Ok(())
}
