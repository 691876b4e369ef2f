//! Reports a failure of its worker as a positive number (29), as the TinyGo SDK does when its
//! wait fails: any number but 0 is an error. Until the first byte from the application all is well.
#![cfg_attr(target_family = "wasm", no_std)]
#![allow(unsafe_code, reason = "the exports' names are the host's to find")]

use watm_sdk::raw::Slot;
use watm_sdk::{Conn, Errno};

static INNER: Slot<Option<Conn>> = Slot::new(None);

/// The constructors.
#[unsafe(no_mangle)]
pub extern "C" fn _initialize() {
    watm_sdk::raw::call_ctors();
}

/// All is well.
#[unsafe(no_mangle)]
pub extern "C" fn watm_init_v1() -> i32 {
    0
}

/// As a dialer.
#[unsafe(no_mangle)]
pub extern "C" fn watm_dial_v1(inner: i32) -> i32 {
    begin(inner, Conn::dial_fixed())
}

/// As a listener.
#[unsafe(no_mangle)]
pub extern "C" fn watm_accept_v1(inner: i32) -> i32 {
    begin(inner, Conn::accept())
}

/// Not used.
#[unsafe(no_mangle)]
pub extern "C" fn watm_ctrlpipe_v1(_fd: i32) -> i32 {
    0
}

/// Waits for a byte and fails.
#[unsafe(no_mangle)]
pub extern "C" fn watm_start_v1() -> i32 {
    let read = INNER.enter(|inner| inner.ok_or(Errno::NOTCONN)?.read(&mut [0]));
    match read {
        Ok(_) => 29,
        Err(errno) => errno.code(),
    }
}

fn begin(inner: i32, outer: Result<Conn, Errno>) -> i32 {
    let begun = INNER.enter(|slot| {
        *slot = Some(Conn::from_fd(inner)?);
        outer
    });
    match begun {
        Ok(outer) => outer.fd(),
        Err(errno) => errno.code(),
    }
}
