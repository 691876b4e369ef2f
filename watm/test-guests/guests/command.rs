//! A command, not a reactor: `_start` runs the constructors and leaves with `proc_exit(0)`, as
//! TinyGo does since 0.35; the exports work all the same afterwards.
#![cfg_attr(target_family = "wasm", no_std)]

use watm_sdk::Errno;
use watm_test_guests::relay::relay;
use watm_test_guests::{BUFFER, Behaviour, Conns, Guest};

struct Command;

impl Behaviour for Command {
    fn work(conns: Conns, _: &mut [u8; BUFFER]) -> Result<(), Errno> {
        relay(conns)
    }
}

watm_sdk::export_without_start!(Guest<Command>: dialer, listener);

/// The command's beginning and end.
#[cfg(target_family = "wasm")]
#[allow(unsafe_code, reason = "the name is the host's to find")]
#[unsafe(no_mangle)]
pub extern "C" fn _start() {
    watm_sdk::raw::call_ctors();
    watm_sdk::raw::preview1::proc_exit(0);
}
