//! A v1 module that wants one function more than the ABI has (`env.open_window`): a host refuses
//! it when it is loaded, by the function's name.
#![cfg_attr(target_family = "wasm", no_std)]

use watm_sdk::{Conn, Errno};
use watm_test_guests::relay::relay;
use watm_test_guests::{BUFFER, Behaviour, Conns, Guest};

struct ForeignImport;

impl Behaviour for ForeignImport {
    fn handshake(_: Conn) -> Result<(), Errno> {
        match open_window(1) {
            0 => Ok(()),
            _ => Err(Errno::NOSYS),
        }
    }

    fn work(conns: Conns, _: &mut [u8; BUFFER]) -> Result<(), Errno> {
        relay(conns)
    }
}

#[cfg(target_family = "wasm")]
#[allow(unsafe_code, reason = "an import of a number only")]
fn open_window(pane: i32) -> i32 {
    #[link(wasm_import_module = "env")]
    unsafe extern "C" {
        safe fn open_window(pane: i32) -> i32;
    }
    open_window(pane)
}

#[cfg(not(target_family = "wasm"))]
fn open_window(_pane: i32) -> i32 {
    -52
}

watm_sdk::export!(Guest<ForeignImport>: dialer, listener);
