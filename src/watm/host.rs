//! The face of the wasm side: makes programs of modules.
//!
//! In: how many instances there may be. Out: a [`Host`] that turns modules into [`Program`]s. What can go
//! wrong is answered by a slower engine rather than by none: without the address space for a pool, memories
//! come from the heap; where code cannot be made at run time, Pulley interprets it.

use super::abi::{Abi, Dialect};
use super::engine::{self, Memory};
use super::faults::faults;
use super::guest::{Guest, Limits};
use super::outline::Outline;
use super::program::{self, ModuleError, Program};
use super::ticker::Ticker;
use super::{preview1, v0, v1};
use crate::error::Failure;
use crate::platform;
use std::sync::{Arc, OnceLock};
use wasmtime::{Engine, Linker, Module};

/// An engine and the clock of its guests.
struct Running {
    memory: Memory,
    engine: Engine,
    ticker: Arc<Ticker>,
}

impl Running {
    fn start(memory: Memory, settings: Settings) -> Result<Running, Failure> {
        let engine = engine::engine(memory, settings).map_err(cannot_start)?;
        let ticker = Arc::new(Ticker::start(engine.weak()).map_err(cannot_start)?);
        Ok(Running {
            memory,
            engine,
            ticker,
        })
    }
}

/// Where modules are compiled, loaded and instantiated.
///
/// ```
/// use ouzel::watm::{Abi, Host, ModuleError, Role, Settings};
///
/// let host = Host::new(Settings::for_slots(16)).expect("some engine always starts");
/// for note in host.notes() {
///     eprintln!("{note}");
/// }
/// for one in ouzel::transport::builtins() {
///     // An artefact can be kept: `host.compatibility()` says for whom it is good.
///     let artefact = host.compile(one.wasm).expect("a good module");
///     let program = host.load(&artefact).expect("made by this host");
///     assert_eq!(program.abi(), Abi::V1, "{}", one.name);
///     assert!(program.supports(Role::Dialer).is_ok());
///     assert!(program.supports(Role::Relay).is_err());
/// }
/// assert_eq!(host.compile(b"no module").unwrap_err(), ModuleError::NotWasm);
/// ```
pub struct Host {
    main: Running,
    /// Without a pool, for modules that do not fit its slots.
    solo: OnceLock<Result<Running, Failure>>,
    settings: Settings,
    notes: Vec<String>,
}

/// What engines of one process have in common.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The most instances at a time.
    pub slots: usize,
    /// What one instance may use.
    pub limits: Limits,
    /// Interpret rather than compile; anyway where the system forbids making code at run time.
    pub interpret: bool,
}

impl Settings {
    /// For so many instances.
    pub fn for_slots(slots: usize) -> Self {
        Settings {
            slots,
            limits: Limits::default(),
            interpret: false,
        }
    }
}

impl Host {
    /// The best engine that this machine allows.
    pub fn new(mut settings: Settings) -> Result<Host, Failure> {
        let mut notes = Vec::new();
        if !settings.interpret && !platform::allows_jit() {
            settings.interpret = true;
            notes.push(
                "this system forbids making code at run time (W^X), so transports are interpreted, which is slower; \
                 allow it with MemoryDenyWriteExecute=no"
                    .to_owned(),
            );
        }
        settings.slots =
            engine::clamp_to_mappings(settings.slots, platform::max_mappings(), &mut notes);
        let pooled = if platform::limits_address_space() {
            Err("the address space is limited (ulimit -v)".to_owned())
        } else {
            Running::start(Memory::Pooled, settings).map_err(|failure| failure.to_string())
        };
        let main = match pooled {
            Ok(pooled) => pooled,
            Err(why) => {
                notes.push(format!(
                    "{why}, so connections cost more to make; raise the limit, or lower --max-connections"
                ));
                Running::start(Memory::Heap, settings)?
            }
        };
        Ok(Host {
            main,
            solo: OnceLock::new(),
            settings,
            notes,
        })
    }

    /// What a user should know about the choice that was made; usually nothing.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The most instances at a time.
    pub fn slots(&self) -> usize {
        self.settings.slots
    }

    /// The name of everything that an artefact depends on besides the module; none where nothing is compiled.
    #[cfg(feature = "compile")]
    pub fn compatibility(&self) -> Option<String> {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        self.main
            .engine
            .precompile_compatibility_hash()
            .hash(&mut hasher);
        env!("CARGO_PKG_VERSION").hash(&mut hasher);
        Some(format!("{:016x}", hasher.finish()))
    }

    /// The name of everything that an artefact depends on besides the module; none where nothing is compiled.
    #[cfg(not(feature = "compile"))]
    pub fn compatibility(&self) -> Option<String> {
        None
    }

    /// Whether modules are interpreted here.
    pub fn interprets(&self) -> bool {
        self.settings.interpret
    }

    /// Compiles a module to an artefact that [`Host::load`] takes.
    pub fn compile(&self, wasm: &[u8]) -> Result<Vec<u8>, ModuleError> {
        program::check_bytes(wasm)?;
        #[cfg(feature = "compile")]
        {
            self.main
                .engine
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
        // wasmtime writes ELF with an ABI of its own; how much of it is left is for the checksum to say.
        const WASMTIME: u8 = 200;
        bytes.starts_with(b"\x7fELF") && bytes.get(7) == Some(&WASMTIME)
    }

    /// Makes a program of an artefact.
    ///
    /// An artefact is native code. The caller vouches that nobody but this user or the operator wrote it:
    /// `transport::artefacts` checks its owner, mode and HMAC, or the owner of a file that was named.
    pub fn load(&self, artefact: &[u8]) -> Result<Program, ModuleError> {
        self.load_with(artefact, self.settings.limits)
    }

    /// The same, with limits of its own for each of its instances.
    #[allow(unsafe_code, reason = "loading native code that was made earlier")]
    pub fn load_with(&self, artefact: &[u8], limits: Limits) -> Result<Program, ModuleError> {
        let load = |running: &Running| {
            // SAFETY: the bytes were made by `Host::compile` and not changed since, which the caller has
            // checked; they are in memory, so nobody can change them now. wasmtime itself compares version
            // and settings.
            unsafe { Module::deserialize(&running.engine, artefact) }
                .map_err(|error| ModuleError::of_artefact(&error))
        };
        let (slot, pooled) = (self.settings.limits, self.main.memory == Memory::Pooled);
        let outgrows = limits.memory > slot.memory || limits.table > slot.table;
        let loaded = (!(pooled && outgrows)).then(|| load(&self.main));
        let (running, module) = match loaded {
            Some(Ok(module)) => (&self.main, module),
            Some(Err(error)) if !pooled => return Err(error),
            // A pool refuses what does not fit its slots.
            Some(Err(_)) | None => {
                let solo = self.solo()?;
                (solo, load(solo)?)
            }
        };
        let abi = Dialect::of(&Outline::of(&module)).abi()?;
        let linker = linker(&running.engine, abi)?;
        let ticker = Arc::clone(&running.ticker);
        let settings = Settings {
            limits,
            ..self.settings
        };
        Program::new(&module, abi, &linker, ticker, settings)
    }

    /// Whether the bytes are wasm as this host runs it, every function's body included; quicker than compiling, and possible
    /// without a compiler.
    pub fn validate(&self, wasm: &[u8]) -> Result<(), ModuleError> {
        program::check_bytes(wasm)?;
        Module::validate(&self.main.engine, wasm).map_err(|error| ModuleError::of_compile(&error))
    }

    /// Everything for which a module of this outline is not run, at most so many of them.
    pub fn faults(&self, outline: &Outline<'_>, most: usize) -> Vec<ModuleError> {
        let engine = &self.main.engine;
        let dialect = Dialect::of(outline);
        // What speaks nothing lacks everything, and once is enough.
        let most = if dialect == Dialect::Unknown { 1 } else { most };
        let linked = dialect
            .abi()
            .and_then(|abi| Ok((abi, linker(engine, abi)?)));
        match linked {
            Ok((abi, linker)) => faults(outline, abi, &linker, engine, self.settings.limits)
                .take(most)
                .collect(),
            Err(error) => vec![error],
        }
    }

    fn solo(&self) -> Result<&Running, ModuleError> {
        let solo = self
            .solo
            .get_or_init(|| Running::start(Memory::OnDemand, self.settings));
        solo.as_ref()
            .map_err(|failure| ModuleError::NoEngine(failure.to_string()))
    }
}

/// What a module of this version may import.
fn linker(engine: &Engine, abi: Abi) -> Result<Linker<Guest>, ModuleError> {
    let mut linker = Linker::new(engine);
    preview1::link(&mut linker)
        .and_then(|()| match abi {
            Abi::V0 { .. } => v0::link(&mut linker),
            Abi::V1 => v1::link(&mut linker),
        })
        .map_err(|error| ModuleError::of_artefact(&error))?;
    Ok(linker)
}

fn cannot_start(error: impl std::fmt::Display) -> Failure {
    Failure::Host(format!("the wasm engine cannot start: {error}"))
}
