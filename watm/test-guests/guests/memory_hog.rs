//! Grows its memory, page by page of the first half mebibyte and in steps of a mebibyte then,
//! until the host refuses, touches every step, and goes on as if nothing were. -48 (`ENOMEM`)
//! from init means that the host never refused.
#![cfg_attr(target_family = "wasm", no_std)]

use watm_sdk::{Config, Errno};
use watm_test_guests::relay::relay;
use watm_test_guests::{BUFFER, Behaviour, Conns, Guest};

struct MemoryHog;

impl Behaviour for MemoryHog {
    fn init(_: Config<'_>) -> Result<(), Errno> {
        grow_until_refused()
    }

    fn work(conns: Conns, _: &mut [u8; BUFFER]) -> Result<(), Errno> {
        relay(conns)
    }
}

#[cfg(target_family = "wasm")]
fn grow_until_refused() -> Result<(), Errno> {
    use core::arch::wasm32::{memory_grow, memory_size};

    const PAGE: usize = 64 << 10;
    const ALMOST_ALL: usize = 65_520;
    for step in [1, 16] {
        while memory_size::<0>() < ALMOST_ALL {
            let before = memory_grow::<0>(step);
            if before == usize::MAX {
                break;
            }
            touch(before * PAGE);
            if step == 1 && memory_size::<0>().is_multiple_of(16) {
                break;
            }
        }
    }
    if memory_size::<0>() >= ALMOST_ALL {
        return Err(Errno::NOMEM);
    }
    Ok(())
}

#[cfg(target_family = "wasm")]
#[allow(unsafe_code, reason = "memory that Rust does not know of")]
fn touch(address: usize) {
    // SAFETY: the address is the start of memory that `memory_grow` just added; nobody else has it.
    unsafe { (address as *mut u8).write_volatile(1) };
}

#[cfg(not(target_family = "wasm"))]
fn grow_until_refused() -> Result<(), Errno> {
    Err(Errno::NOSYS)
}

watm_sdk::export!(Guest<MemoryHog>: dialer, listener);
