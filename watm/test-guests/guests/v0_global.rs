//! A WATM v0 module as Rust makes them: its marker is a global, and its errors have numbers of their own.
#![cfg_attr(target_family = "wasm", no_std)]
#![allow(unsafe_code, reason = "the exports' names are the ABI's")]

/// The marker.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals, reason = "the ABI's name")]
pub static _water_v0: i32 = 0;

watm_test_guests::v0_exports!();
