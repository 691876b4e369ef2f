//! wasmtime's engines and stores, and why the knobs stand as they do.

use super::guest::{Guest, Watch};
use super::host::Settings;
use crate::error::Failure;
use std::time::Duration;
use wasmtime::{Config, Engine, PoolingAllocationConfig, Store, UpdateDeadline, WasmFeatures};

/// Ticks without progress after which a guest is stopped: a second of its own running time, which no
/// handshake's arithmetic takes, even interpreted. With its rests, that is some ten seconds.
const STUCK_TICKS: u32 = 100;

/// Ticks without progress after which a guest rests between them: more than a handshake's arithmetic takes, compiled.
/// Without rests, one such guest for each of the process's threads would leave nothing to anybody else.
const FREE_TICKS: u32 = 1;
/// How much longer each rest is than the one before.
const REST: Duration = Duration::from_millis(10);
/// The longest rest: a tenth of a processor is what a guest that goes nowhere keeps.
const MAX_REST: Duration = Duration::from_millis(100);

/// Mappings left for everything that is not an instance: libraries, heaps, thread stacks.
const OTHER_MAPPINGS: usize = 2048;
/// Mappings that each slot of the pool takes: two for its stack from the start, four while it lives.
const MAPPINGS_PER_SLOT: usize = 6;

/// What a module may be made of: WebAssembly 1.0 and what compilers for wasm32 emit without being asked, SIMD, and the
/// multiplication that public-key cryptography wants. Everything else is code of wasmtime that nobody here needs, and that
/// a module could look for mistakes in; docs/design/wasmtime.md goes through it.
const FEATURES: WasmFeatures = WasmFeatures::MUTABLE_GLOBAL
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::FLOATS)
    .union(WasmFeatures::SIMD)
    .union(WasmFeatures::WIDE_ARITHMETIC);

/// The stack of a guest's own calls, thousands of frames: a recursion that goes deeper is one that does not end.
const WASM_STACK: usize = 256 << 10;
/// The stack under a guest: host calls run on it too, and get what the guest cannot have. Untouched pages are free.
const STACK: usize = 512 << 10;

/// How instances get their memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Memory {
    /// A slot each of one large reservation: microseconds to make.
    Pooled,
    /// A reservation each, made when needed; for modules that do not fit the slots.
    OnDemand,
    /// The heap, with checked accesses; for address spaces that are too small for reservations.
    Heap,
}

/// The slots that the kernel has mappings for.
pub(super) fn clamp_to_mappings(
    slots: usize,
    mappings: Option<usize>,
    notes: &mut Vec<String>,
) -> usize {
    let Some(mappings) = mappings else {
        return slots;
    };
    let most = (mappings.saturating_sub(OTHER_MAPPINGS) / MAPPINGS_PER_SLOT).max(16);
    if slots > most {
        notes.push(format!(
            "the kernel's vm.max_map_count of {mappings} allows {most} connections, not {slots}; raise it with sysctl"
        ));
    }
    slots.min(most)
}

/// Makes an engine.
pub(super) fn engine(memory: Memory, settings: Settings) -> wasmtime::Result<Engine> {
    let Settings {
        slots,
        limits,
        interpret,
    } = settings;
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .memory_init_cow(true)
        .async_stack_size(STACK)
        .max_wasm_stack(WASM_STACK)
        .wasm_features(WasmFeatures::all(), false)
        .wasm_features(FEATURES, true)
        // Nobody reads them: a failure says what trapped, and names of functions are the guest's words.
        .wasm_backtrace_max_frames(None);
    if interpret {
        config.target("pulley64")?;
    }
    match memory {
        Memory::Pooled => {
            let count = u32::try_from(slots).unwrap_or(u32::MAX);
            let mut pool = PoolingAllocationConfig::new();
            pool.total_core_instances(count)
                .total_memories(count)
                .total_tables(count)
                .total_stacks(count)
                .max_memory_size(limits.memory)
                .table_elements(limits.table)
                // Address space only; large programs have a few hundred KiB of it.
                .max_core_instance_size(1 << 20)
                // What a small guest touches: zeroing it again is cheaper than a fault per page.
                .linear_memory_keep_resident(128 << 10)
                .table_keep_resident(16 << 10)
                // Slots that keep those pages between connections.
                .max_unused_warm_slots(64)
                .decommit_batch_size(16);
            config.allocation_strategy(pool);
        }
        Memory::OnDemand => {}
        Memory::Heap => {
            config
                .memory_reservation(0)
                .memory_guard_size(0)
                // Growing by less would copy the memory each time, by more would not fit many.
                .memory_reservation_for_growth(1 << 20)
                .memory_init_cow(false)
                .signals_based_traps(false);
        }
    }
    Engine::new(&config)
}

/// A store whose guest yields every tick, and is stopped when it stands still.
pub(super) fn store(engine: &Engine, guest: Guest) -> Store<Guest> {
    let mut store = Store::new(engine, guest);
    store.limiter(|guest| &mut guest.limits);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|mut store| {
        let guest = store.data_mut();
        if guest.watch.seen == guest.progress {
            guest.watch.ticks += 1;
        } else {
            guest.watch = Watch {
                seen: guest.progress,
                ticks: 0,
            };
        }
        if guest.watch.ticks > STUCK_TICKS {
            return Err(wasmtime::Error::new(Failure::Stuck));
        }
        guest.flush_now();
        let rest = rest(guest.watch.ticks);
        Ok(UpdateDeadline::YieldCustom(
            1,
            Box::pin(async move {
                if rest.is_zero() {
                    tokio::task::yield_now().await;
                } else {
                    tokio::time::sleep(rest).await;
                }
            }),
        ))
    });
    store
}

/// How long a guest rests after so many ticks without progress.
fn rest(ticks: u32) -> Duration {
    REST.saturating_mul(ticks.saturating_sub(FREE_TICKS))
        .min(MAX_REST)
}

#[cfg(test)]
mod tests;
