//! The face of WATM v0: its host calls, and its exports around one passing of bytes as they are.
//!
//! In: the host's calls, in the order init, one role, cancel_with, worker. Out: fds, 0, or negated
//! error numbers. [`exports!`](crate::v0_exports) emits what every v0 module has but its marker, which
//! differs: a function in TinyGo's modules, a global in Rust's.
#![allow(unsafe_code, reason = "the host is reached through raw imports only")]

use watm_sdk::raw::Slot;
use watm_sdk::{Conn, Errno};

use crate::Conns;
use crate::relay::relay;

#[cfg(target_family = "wasm")]
mod env {
    #[link(wasm_import_module = "env")]
    unsafe extern "C" {
        pub(super) safe fn host_dial() -> i32;
        pub(super) safe fn host_accept() -> i32;
        pub(super) safe fn pull_config() -> i32;
        pub(super) safe fn host_defer();
    }
}

#[cfg(not(target_family = "wasm"))]
mod env {
    pub(super) fn host_dial() -> i32 {
        -52
    }
    pub(super) fn host_accept() -> i32 {
        -52
    }
    pub(super) fn pull_config() -> i32 {
        -52
    }
    pub(super) fn host_defer() {}
}

/// The longest configuration that is passed on.
const MOST: usize = 256;

struct State {
    config: [u8; MOST],
    length: usize,
    ends: Option<(Conn, Conn)>,
    control: Option<Conn>,
}

static STATE: Slot<State> = Slot::new(State {
    config: [0; MOST],
    length: 0,
    ends: None,
    control: None,
});

fn answer(result: Result<i32, Errno>) -> i32 {
    result.unwrap_or_else(|errno| -i32::from(errno.0))
}

/// `_water_init`: reads the configuration, if there is one. One that begins with `refuse` is refused
/// with -3, which the Rust SDK calls InvalidConfig.
pub fn init() -> i32 {
    answer(STATE.enter(|state| {
        let Ok(file) = Conn::from_fd(env::pull_config()) else {
            return Ok(0);
        };
        while let n @ 1.. = file.read(&mut state.config[state.length..])? {
            state.length += n;
        }
        file.close()?;
        let refused = state.config[..state.length].starts_with(b"refuse");
        Ok(if refused { -3 } else { 0 })
    }))
}

/// `_water_dial`: dials, and says the configuration to the network first.
pub fn dial(inner: i32) -> i32 {
    role(Conn::from_fd(inner), || env::host_dial())
}

/// `_water_accept`: the same with a connection that came in.
pub fn accept(inner: i32) -> i32 {
    role(Conn::from_fd(inner), || env::host_accept())
}

/// `_water_associate`: takes a connection and dials on.
pub fn associate() -> i32 {
    role(Conn::from_fd(env::host_accept()), || env::host_dial()).min(0)
}

fn role(inner: Result<Conn, Errno>, outer: impl FnOnce() -> i32) -> i32 {
    answer(STATE.enter(|state| {
        let (inner, fd) = (inner?, outer());
        let outer = Conn::from_fd(fd)?;
        outer.write_all(&state.config[..state.length])?;
        state.ends = Some((inner, outer));
        env::host_defer();
        Ok(fd)
    }))
}

/// `_water_cancel_with`: only after a role, as the Rust SDK wants it.
pub fn cancel_with(fd: i32) -> i32 {
    answer(STATE.enter(|state| {
        if state.ends.is_none() {
            return Ok(-8);
        }
        state.control = Some(Conn::from_fd(fd)?);
        Ok(0)
    }))
}

/// `_water_worker`: passes bytes as they are until both directions have ended.
pub fn worker() -> i32 {
    answer(STATE.enter(|state| {
        let (inner, outer) = state.ends.ok_or(Errno::NOTCONN)?;
        let control = state.control.ok_or(Errno::NOTCONN)?;
        relay(Conns {
            inner,
            outer,
            control,
        })?;
        Ok(0)
    }))
}

/// Emits the exports, but for the marker.
#[macro_export]
macro_rules! v0_exports {
    () => {
        /// As WATM v0 has it.
        #[unsafe(no_mangle)]
        pub extern "C" fn _water_init() -> i32 {
            $crate::v0::init()
        }
        /// As WATM v0 has it.
        #[unsafe(no_mangle)]
        pub extern "C" fn _water_dial(inner: i32) -> i32 {
            $crate::v0::dial(inner)
        }
        /// As WATM v0 has it.
        #[unsafe(no_mangle)]
        pub extern "C" fn _water_accept(inner: i32) -> i32 {
            $crate::v0::accept(inner)
        }
        /// As WATM v0 has it.
        #[unsafe(no_mangle)]
        pub extern "C" fn _water_associate() -> i32 {
            $crate::v0::associate()
        }
        /// As WATM v0 has it.
        #[unsafe(no_mangle)]
        pub extern "C" fn _water_cancel_with(fd: i32) -> i32 {
            $crate::v0::cancel_with(fd)
        }
        /// As WATM v0 has it.
        #[unsafe(no_mangle)]
        pub extern "C" fn _water_worker() -> i32 {
            $crate::v0::worker()
        }
    };
}
