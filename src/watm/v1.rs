//! WATM v1: the names, and the host's side of them.
//!
//! The naming is crossed: in `watm_dial_v1` the host knows the address, so the guest calls
//! `water_dial_fixed`; in `watm_dial_fixed_v1` the guest does, and calls `water_dial`. Every result is an fd
//! or 0, or an errno negated.

use super::errno::Errno;
use super::guest::Guest;
use super::memory::{iovec, iovec_count, split};
use crate::error::Failure;
use wasmtime::{Caller, Linker};

pub(super) const MODULE: &str = "env";

pub(super) const INIT: &str = "watm_init_v1";
pub(super) const CTRLPIPE: &str = "watm_ctrlpipe_v1";
pub(super) const START: &str = "watm_start_v1";
pub(super) const DIAL: &str = "watm_dial_v1";
pub(super) const ACCEPT: &str = "watm_accept_v1";

/// The longest network or address that a guest may name, as on the Go runtime.
const MAX_NAME: usize = 256;

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
        let guest = caller.data_mut();
        // Without room the connection stays the host's, to be ended quietly.
        let accepted = guest.check_room().and_then(|()| {
            let stream = guest.accepted.take().ok_or(Errno::ENOTCONN)?;
            guest.push(stream)
        });
        accepted.unwrap_or_else(Errno::negated)
    })?;
    linker.func_wrap(
        MODULE,
        "water_dial",
        |mut caller: Caller<'_, Guest>,
         network: i32,
         networks: i32,
         address: i32,
         addresses: i32| {
            let (memory, guest) = split(&mut caller)?;
            for (iovs, count) in [(network, networks), (address, addresses)] {
                if let Err(errno) = check_name(memory, iovs, count) {
                    return Ok(errno.negated());
                }
            }
            guest.failure = Some(Failure::Module(
                "it asked to dial an address of its own choice, and none is allowed".into(),
            ));
            wasmtime::Result::Ok(Errno::ENOTCONN.negated())
        },
    )?;
    Ok(())
}

async fn dial_fixed(guest: &mut Guest) -> i32 {
    let Some(connect) = &guest.connect else {
        return Errno::ENODEV.negated();
    };
    let connected = connect().await;
    guest.progress += 1;
    match connected {
        Ok(io) => {
            guest.failure = None;
            // One connection has one bridge; a module cannot fan out.
            guest.connect = None;
            let pushed = guest.push(super::stream::Stream::new(io));
            pushed.unwrap_or_else(Errno::negated)
        }
        Err(failure) => {
            guest.failure = Some(failure);
            Errno::ENOTCONN.negated()
        }
    }
}

fn check_name(memory: &[u8], iovs: i32, count: i32) -> Result<(), Errno> {
    let mut total = 0;
    for index in 0..iovec_count(count)? {
        total += iovec(memory, iovs, index).map_err(|_| Errno::EINVAL)?.len();
        if total > MAX_NAME {
            return Err(Errno::EINVAL);
        }
    }
    Ok(())
}
