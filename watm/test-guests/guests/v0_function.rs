//! A WATM v0 module as TinyGo makes them: its marker is a function.
#![cfg_attr(target_family = "wasm", no_std)]
#![allow(unsafe_code, reason = "the exports' names are the ABI's")]

/// The marker.
#[unsafe(no_mangle)]
pub extern "C" fn _water_v0() {}

watm_test_guests::v0_exports!();
