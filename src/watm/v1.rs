//! WATM v1: the names, and the host's side of them.
//!
//! The naming is crossed: in `watm_dial_v1` the host knows the address, so the guest calls
//! `water_dial_fixed`; in `watm_dial_fixed_v1` the guest does, and calls `water_dial`. Every result is an fd
//! or 0, or an errno negated.

use super::errno::Errno;
use super::guest::{Connecting, Guest};
use super::io::Io;
use super::memory::{iovec, iovec_count, split};
use super::stream::Stream;
use crate::error::Failure;
use std::future::poll_fn;
use std::task::Poll;
use wasmtime::{Caller, Linker};

pub(super) const MODULE: &str = "env";

pub(super) const INIT: &str = "watm_init_v1";
pub(super) const CTRLPIPE: &str = "watm_ctrlpipe_v1";
pub(super) const START: &str = "watm_start_v1";
pub(super) const DIAL: &str = "watm_dial_v1";
pub(super) const DIAL_FIXED: &str = "watm_dial_fixed_v1";
pub(super) const ACCEPT: &str = "watm_accept_v1";
pub(super) const ASSOCIATE: &str = "watm_associate_v1";

/// All of them.
pub(super) const EXPORTS: [&str; 7] = [INIT, CTRLPIPE, START, DIAL, DIAL_FIXED, ACCEPT, ASSOCIATE];

/// The longest network or address that a guest may name, as on the Go runtime.
const MAX_NAME: usize = 256;

/// Dials that may fail: a few addresses to choose from, tried more than once. A module that goes on would have the host
/// hammer on whoever refuses it.
const MAX_REFUSALS: u32 = 16;

/// Defines the host calls of v1.
pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.func_wrap_async(
        MODULE,
        "water_dial_fixed",
        |mut caller: Caller<'_, Guest>, (): ()| {
            Box::new(async move { dial_fixed(caller.data_mut()).await })
        },
    )?;
    linker.func_wrap(MODULE, "water_accept", |mut caller: Caller<'_, Guest>| {
        accept(caller.data_mut())
    })?;
    linker.func_wrap_async(
        MODULE,
        "water_dial",
        |mut caller: Caller<'_, Guest>,
         (network, networks, address, addresses): (i32, i32, i32, i32)| {
            Box::new(async move {
                let (memory, guest) = split(&mut caller)?;
                let named = name(memory, network, networks)
                    .and_then(|network| Ok((network, name(memory, address, addresses)?)));
                match named {
                    Ok((network, address)) => dial(guest, network, address).await,
                    Err(errno) => Ok(errno.negated()),
                }
            })
        },
    )?;
    Ok(())
}

/// `water_accept`: hands over the connection that the host has accepted.
pub(super) fn accept(guest: &mut Guest) -> i32 {
    // Without room the connection stays the host's, to be ended quietly.
    let accepted = guest.check_room().and_then(|()| {
        let mut stream = guest.accepted.take().ok_or(Errno::ENOTCONN)?;
        stream.wire = guest.wire;
        guest.accepted_at = Some(guest.streams.len());
        guest.push(stream)
    });
    accepted.unwrap_or_else(Errno::negated)
}

/// `water_dial_fixed`: dials where the host was told to.
pub(super) async fn dial_fixed(guest: &mut Guest) -> wasmtime::Result<i32> {
    let Some(connect) = &guest.connect else {
        return Ok(Errno::ENODEV.negated());
    };
    let connecting = connect();
    connect_for(guest, connecting).await
}

/// `water_dial`: dials where the guest wants to, if the host lets it.
async fn dial(guest: &mut Guest, network: String, address: String) -> wasmtime::Result<i32> {
    let Some(dial) = &guest.dial else {
        guest.failure = Some(Failure::Module(
            "it asked to dial an address of its own choice, and none is allowed".into(),
        ));
        return Ok(Errno::ENOTCONN.negated());
    };
    let connecting = dial(network, address);
    connect_for(guest, connecting).await
}

/// Waits for a connection as long as there is somebody to connect.
async fn connect_for(guest: &mut Guest, mut connecting: Connecting) -> wasmtime::Result<i32> {
    let result = poll_fn(|cx| match connecting.as_mut().poll(cx) {
        Poll::Ready(result) => Poll::Ready(Ok(result)),
        Poll::Pending => {
            // What the guest has answered its peer so far goes out.
            let _ = guest.poll_flush(cx);
            match guest.look_around(cx) {
                Ok(()) => Poll::Pending,
                Err(failure) => Poll::Ready(Err(wasmtime::Error::new(failure))),
            }
        }
    });
    let result = result.await?;
    Ok(connected(guest, result))
}

fn connected(guest: &mut Guest, connected: Result<Io, Failure>) -> i32 {
    guest.progress += 1;
    match connected {
        Ok(io) => {
            guest.failure = None;
            // One connection has one far end; a module cannot fan out.
            (guest.connect, guest.dial) = (None, None);
            let at = guest.streams.len();
            let mut stream = Stream::new(io);
            stream.wire = guest.wire;
            let pushed = guest.push(stream);
            guest.dialled_at = pushed.is_ok().then_some(at);
            pushed.unwrap_or_else(Errno::negated)
        }
        Err(failure) => {
            guest.refusals += 1;
            if guest.refusals == MAX_REFUSALS {
                (guest.connect, guest.dial) = (None, None);
            }
            guest.failure = Some(failure);
            Errno::ENOTCONN.negated()
        }
    }
}

/// A text that a guest gives as buffers.
fn name(memory: &[u8], iovs: i32, count: i32) -> Result<String, Errno> {
    let mut text = Vec::new();
    for index in 0..iovec_count(count)? {
        let piece = iovec(memory, iovs, index).map_err(|_| Errno::EINVAL)?;
        if text.len() + piece.len() > MAX_NAME {
            return Err(Errno::EINVAL);
        }
        text.extend_from_slice(&memory[piece]);
    }
    String::from_utf8(text).map_err(|_| Errno::EINVAL)
}
