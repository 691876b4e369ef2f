//! The ABI that was called "final v1" and never released: the names of v1 with other signatures.
//! A host tells it by `watm_userpipe_v1`, `watm_lasterror_v1`, or an accept without parameters,
//! and refuses it. Each call here says so itself: 52 (`ENOSYS`), positive as that ABI has it.
#![cfg_attr(target_family = "wasm", no_std)]
#![allow(unsafe_code, reason = "the exports' names are the host's to find")]

use watm_sdk::Errno;

/// The constructors.
#[unsafe(no_mangle)]
pub extern "C" fn _initialize() {
    watm_sdk::raw::call_ctors();
}

/// The control fd.
#[unsafe(no_mangle)]
pub extern "C" fn watm_ctrlpipe_v1(_fd: i32) -> i32 {
    refused()
}

/// The application's fd.
#[unsafe(no_mangle)]
pub extern "C" fn watm_userpipe_v1(_fd: i32) -> i32 {
    refused()
}

/// As a dialer.
#[unsafe(no_mangle)]
pub extern "C" fn watm_dial_v1(_network_type: i32) -> i32 {
    refused()
}

/// As a listener.
#[unsafe(no_mangle)]
pub extern "C" fn watm_accept_v1() -> i32 {
    refused()
}

/// As a relay.
#[unsafe(no_mangle)]
pub extern "C" fn watm_associate_v1(_network_type: i32) -> i32 {
    refused()
}

/// The worker.
#[unsafe(no_mangle)]
pub extern "C" fn watm_start_v1() -> i32 {
    refused()
}

/// The error.
#[unsafe(no_mangle)]
pub extern "C" fn watm_lasterror_v1() -> i32 {
    refused()
}

fn refused() -> i32 {
    i32::from(Errno::NOSYS.0)
}
