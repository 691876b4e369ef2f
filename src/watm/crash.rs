//! What wasmtime's error says about a guest, in a failure's words.

use super::preview1::Exit;
use crate::error::Failure;
use wasmtime::{PoolConcurrencyLimitError, Trap};

/// Why there is no instance.
pub(super) fn no_instance(error: &wasmtime::Error, slots: usize) -> Failure {
    if error.downcast_ref::<PoolConcurrencyLimitError>().is_some() {
        return Failure::PoolFull(slots);
    }
    let of_guest = error.is::<Trap>() || error.is::<Failure>() || error.is::<Exit>();
    if of_guest {
        return failure_of(error);
    }
    Failure::Host(format!("no instance could be made: {}", first_line(error)))
}

/// What wasmtime says first; further lines name the guest's functions, which are the guest's words.
fn first_line(error: &wasmtime::Error) -> String {
    let text = error.root_cause().to_string();
    text.lines().next().unwrap_or_default().to_owned()
}

/// Why a call did not return.
pub(super) fn failure_of(error: &wasmtime::Error) -> Failure {
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return failure.clone();
    }
    if let Some(exit) = error.downcast_ref::<Exit>() {
        return Failure::Module(exit.to_string());
    }
    match error.downcast_ref::<Trap>() {
        Some(trap) => Failure::Trap(trap.to_string()),
        None => Failure::Trap(first_line(error)),
    }
}
