//! The wasm engine: chosen once, by what the machine allows.
//!
//! In: how many instances there may be. Out: a [`Host`] that turns modules into [`Program`]s. What can go
//! wrong is answered by a slower engine rather than by none: without the address space for a pool, memories
//! are allocated one by one; where code cannot be made at run time, Pulley interprets it.

use super::guest::{Guest, Limits};
use super::program::{ModuleError, Program};
use super::ticker::Ticker;
use super::{preview1, v1};
use crate::error::Failure;
use crate::platform;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroUsize;
use std::sync::Arc;
use wasmtime::{Config, Engine, Linker, Module, PoolingAllocationConfig, Store, UpdateDeadline};

/// Ticks without progress after which a guest is stopped: a second of its own running time, which no
/// handshake's arithmetic takes, even interpreted.
const STUCK_TICKS: u32 = 100;

/// Mappings left for everything that is not an instance: libraries, heaps, thread stacks.
const OTHER_MAPPINGS: usize = 2048;
/// Mappings that each slot of the pool takes: two for its stack from the start, four while it lives.
const MAPPINGS_PER_SLOT: usize = 6;

/// How instances get their memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Memory {
    /// A slot each of one large reservation: microseconds to make.
    Pooled,
    /// A reservation each, made when needed; for modules that do not fit the slots.
    OnDemand,
    /// The heap, with checked accesses; for address spaces that are too small for reservations.
    Heap,
}

/// Where modules are compiled, loaded and instantiated.
pub struct Host {
    engine: Engine,
    solo: Engine,
    tickers: [Arc<Ticker>; 2],
    slots: usize,
    notes: Vec<String>,
    limits: Limits,
}

impl Host {
    /// An engine for up to `slots` instances at a time.
    pub fn new(slots: usize, limits: Limits) -> Result<Host, Failure> {
        let mut notes = Vec::new();
        let interpret = !platform::allows_jit();
        if interpret {
            notes.push(
                "this system forbids making code at run time (W^X), so transports are interpreted, which is slower; \
                 allow it with MemoryDenyWriteExecute=no"
                    .to_owned(),
            );
        }
        let slots = clamp_to_mappings(slots, platform::max_mappings(), &mut notes);
        let small = platform::limits_address_space();
        let pooled = if small {
            None
        } else {
            engine(Memory::Pooled, interpret, slots, limits).ok()
        };
        let (engine, solo) = match pooled {
            Some(pooled) => (pooled, engine(Memory::OnDemand, interpret, slots, limits)),
            None => {
                notes.push(
                    "the address space is limited (ulimit -v), so connections cost more to make"
                        .to_owned(),
                );
                let heap = engine(Memory::Heap, interpret, slots, limits).map_err(cannot_start)?;
                (heap.clone(), Ok(heap))
            }
        };
        let solo = solo.map_err(cannot_start)?;
        let start = |engine: &Engine| {
            Ticker::start(engine.weak())
                .map(Arc::new)
                .map_err(cannot_start)
        };
        let first = start(&engine)?;
        let second = if Engine::same(&engine, &solo) {
            Arc::clone(&first)
        } else {
            start(&solo)?
        };
        Ok(Host {
            engine,
            solo,
            tickers: [first, second],
            slots,
            notes,
            limits,
        })
    }

    /// What a user should know about the choice that was made; usually nothing.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The most instances at a time.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// The name of everything that an artefact depends on besides the module.
    pub fn compatibility(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.engine
            .precompile_compatibility_hash()
            .hash(&mut hasher);
        env!("CARGO_PKG_VERSION").hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }

    /// Compiles a module to an artefact that [`Host::load`] takes.
    pub fn compile(&self, wasm: &[u8]) -> Result<Vec<u8>, ModuleError> {
        super::program::check_bytes(wasm)?;
        #[cfg(feature = "compile")]
        {
            self.engine
                .precompile_module(wasm)
                .map_err(|error| ModuleError::of_compile(&error))
        }
        #[cfg(not(feature = "compile"))]
        {
            Err(ModuleError::CannotCompile)
        }
    }

    /// Whether the bytes are an artefact rather than a module.
    pub fn is_artefact(bytes: &[u8]) -> bool {
        Engine::detect_precompiled(bytes).is_some()
    }

    /// Makes a program of an artefact.
    ///
    /// An artefact is native code. The caller vouches that nobody but this user or the operator wrote it:
    /// `transport::artefacts` checks its owner, mode and HMAC, or the owner of a file that was named.
    #[allow(unsafe_code, reason = "loading native code that was made earlier")]
    pub fn load(&self, artefact: &[u8]) -> Result<Program, ModuleError> {
        let load = |engine: &Engine| {
            // SAFETY: the bytes were made by `Host::compile` and not changed since, which the caller has
            // checked; they are in memory, so nobody can change them now. wasmtime itself compares version
            // and settings.
            unsafe { Module::deserialize(engine, artefact) }
                .map_err(|error| ModuleError::of_artefact(&error))
        };
        let module = load(&self.engine)?;
        let fits = fits_a_slot(&module, self.limits);
        let (engine, module, ticker) = if fits {
            (&self.engine, module, &self.tickers[0])
        } else {
            (&self.solo, load(&self.solo)?, &self.tickers[1])
        };
        let mut linker = Linker::new(engine);
        preview1::link(&mut linker)
            .and_then(|()| v1::link(&mut linker))
            .map_err(|e| ModuleError::of_artefact(&e))?;
        Program::new(&module, &linker, Arc::clone(ticker), self.limits)
    }
}

fn cannot_start(error: impl std::fmt::Display) -> Failure {
    Failure::Host(format!("the wasm engine cannot start: {error}"))
}

fn clamp_to_mappings(slots: usize, mappings: Option<usize>, notes: &mut Vec<String>) -> usize {
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

fn fits_a_slot(module: &Module, limits: Limits) -> bool {
    let needs = module.resources_required();
    needs.num_memories <= 1
        && needs.num_tables <= 1
        && needs
            .max_initial_memory_size
            .is_none_or(|bytes| bytes <= limits.memory as u64)
        && needs
            .max_initial_table_size
            .is_none_or(|elements| elements <= limits.table as u64)
}

fn engine(
    memory: Memory,
    interpret: bool,
    slots: usize,
    limits: Limits,
) -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .memory_init_cow(true)
        // Host calls run on the guest's stack too, and TLS-class guests go deep; untouched pages are free.
        .async_stack_size(512 << 10)
        .max_wasm_stack(256 << 10)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_wide_arithmetic(true)
        .wasm_backtrace_max_frames(NonZeroUsize::new(8));
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
            guest.watch = super::guest::Watch {
                seen: guest.progress,
                ticks: 0,
            };
        }
        if guest.watch.ticks > STUCK_TICKS {
            return Err(wasmtime::Error::new(Failure::Stuck));
        }
        guest.flush_now();
        Ok(UpdateDeadline::YieldCustom(
            1,
            Box::pin(tokio::task::yield_now()),
        ))
    });
    store
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_stay_below_the_kernels_mappings() {
        let mut notes = Vec::new();
        assert_eq!(clamp_to_mappings(4096, Some(65_530), &mut notes), 4096);
        assert_eq!(clamp_to_mappings(4096, None, &mut notes), 4096);
        assert!(notes.is_empty());
        assert_eq!(clamp_to_mappings(16_000, Some(65_530), &mut notes), 10_580);
        assert_eq!(notes.len(), 1);
    }
}
