//! WATM v0: the names, and the host's side of them.
//!
//! Two of its four host calls are v1's under another name; `pull_config` hands the configuration over as a descriptor
//! instead of a directory, and `host_defer` means nothing any more.

use super::errno::Errno;
use super::fds::Kind;
use super::guest::Guest;
use super::v1;
use wasmtime::{Caller, Linker};

/// The marker; modules made with the Rust SDK export a global of this name, others a function.
pub(super) const MARKER: &str = "_water_v0";
pub(super) const INIT: &str = "_water_init";
pub(super) const DIAL: &str = "_water_dial";
pub(super) const ACCEPT: &str = "_water_accept";
pub(super) const ASSOCIATE: &str = "_water_associate";
pub(super) const CANCEL_WITH: &str = "_water_cancel_with";
pub(super) const WORKER: &str = "_water_worker";

/// All of them.
pub(super) const EXPORTS: [&str; 7] = [MARKER, INIT, DIAL, ACCEPT, ASSOCIATE, CANCEL_WITH, WORKER];

/// Defines the host calls of v0.
pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.func_wrap_async(
        v1::MODULE,
        "host_dial",
        |mut caller: Caller<'_, Guest>, (): ()| {
            Box::new(async move { v1::dial_fixed(caller.data_mut()).await })
        },
    )?;
    linker.func_wrap(
        v1::MODULE,
        "host_accept",
        |mut caller: Caller<'_, Guest>| v1::accept(caller.data_mut()),
    )?;
    linker.func_wrap(
        v1::MODULE,
        "pull_config",
        |mut caller: Caller<'_, Guest>| {
            pull_config(caller.data_mut()).unwrap_or_else(Errno::negated)
        },
    )?;
    linker.func_wrap(v1::MODULE, "host_defer", || {})?;
    Ok(())
}

/// The configuration as a file of its own, read from its beginning at each call. Without one the Go runtime answers
/// EACCES, which modules take for "none".
fn pull_config(guest: &mut Guest) -> Result<i32, Errno> {
    let data = guest.conf.clone().ok_or(Errno::EACCES)?;
    guest.fds.open(Kind::File { data, at: 0 })
}

/// The Rust SDK's name for a result.
pub(super) fn own_error(result: i32) -> Option<&'static str> {
    Some(match result {
        -1 => "Unknown",
        -2 => "InvalidArgument",
        -3 => "InvalidConfig",
        -4 => "InvalidFd",
        -5 => "InvalidFunction",
        -6 => "DoubleInit",
        -7 => "FailedIO",
        -8 => "NotInitialized",
        _ => return None,
    })
}
