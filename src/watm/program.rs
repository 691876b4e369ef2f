//! A module that was looked at, linked and is ready to be instantiated.
//!
//! In: an artefact. Out: a [`Program`], or one sentence that says what is wrong with the module and what to
//! do about it.

use super::abi::{Abi, Role, SETUP};
use super::grants::Grants;
use super::guest::{Guest, Limits};
use super::host::Settings;
use super::ticker::Ticker;
use super::world::World;
use std::fmt::Write as _;
use std::sync::Arc;
use wasmtime::{Engine, InstancePre, Linker, Module};

/// Larger than any transport; a typo that names a disk image is refused.
pub const MAX_MODULE: usize = 16 << 20;

/// What is wrong with a module; the text continues "FILE ...".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModuleError {
    /// It does not begin like a module.
    #[error(
        "is not a WebAssembly module (it does not begin with \\0asm); name the .wasm file of a transport"
    )]
    NotWasm,
    /// It is larger than [`MAX_MODULE`].
    #[error("has {0} bytes, more than the {max} a transport may have", max = MAX_MODULE)]
    TooLarge(usize),
    /// It ends too early, or is damaged.
    #[error("is cut short or damaged ({0}); copy it again and compare its SHA-256")]
    Invalid(String),
    /// It uses something of wasm that is switched off here.
    #[error("cannot be compiled ({0})")]
    Compile(String),
    /// A runtime-only build was given a module.
    #[error(
        "is not compiled, and this build of ouzel cannot compile: run `ouzel compile` of a full build on its .wasm and name the result with --module NAME=FILE"
    )]
    CannotCompile,
    /// A file of `ouzel compile` that is not what was written.
    #[error("is cut short or damaged; copy it again, or run `ouzel compile` again")]
    DamagedArtefact,
    /// It needs more than an instance may have.
    #[error("asks for {asks} MiB of memory from the start, and a transport may have {may}")]
    Memory {
        /// MiB.
        asks: u64,
        /// MiB.
        may: u64,
    },
    /// It needs larger tables than an instance may have.
    #[error("asks for a table of {asks} elements, and a transport may have {may}")]
    Table {
        /// Elements.
        asks: u64,
        /// Elements.
        may: u64,
    },
    /// An artefact of another version, other settings or another machine.
    #[error(
        "was compiled for another version of ouzel, another machine or other limits ({0}); run `ouzel compile` again, there"
    )]
    Artefact(String),
    /// It needs more than a slot of the pool, and the engine for that does not start.
    #[error("needs an engine of its own, and {0}")]
    NoEngine(String),
    /// It speaks an ABI that only looks like WATM.
    #[error("{0}")]
    Abi(&'static str),
    /// An export that WATM requires is missing.
    #[error(
        "is no WATM module: it does not export {0}; build it against WATM v1, see docs/writing-a-transport.md"
    )]
    MissingExport(&'static str),
    /// An export has another type than WATM says.
    #[error("exports {0} with another type than WATM says ({1}); build it against WATM v1")]
    BadExport(&'static str, String),
    /// It wants something that is not there.
    #[error("imports {0}, which no WATM host provides; build it for wasm32-wasip1 and WATM v1")]
    UnknownImport(String),
    /// It imports a known function by another type.
    #[error(
        "imports {0} with another type than WATM or WASI preview1 says; build it for wasm32-wasip1 and WATM v1"
    )]
    BadImport(String),
    /// It cannot play this role.
    #[error(
        "cannot be used as a {0}: it does not export {1}; ask its author for a build with that role"
    )]
    Role(&'static str, &'static str),
    /// Its version of WATM does not know the role.
    #[error("cannot be used as a {0}: {1} has no such role; ask its author for a v1 build")]
    NoSuchRole(&'static str, Abi),
}

impl ModuleError {
    #[cfg(feature = "compile")]
    pub(super) fn of_compile(error: &wasmtime::Error) -> Self {
        let text = one_line(error);
        if text.contains("unexpected end")
            || text.contains("magic")
            || text.contains("malformed")
            || text.contains("offset")
        {
            ModuleError::Invalid(text)
        } else {
            ModuleError::Compile(text)
        }
    }

    pub(super) fn of_artefact(error: &wasmtime::Error) -> Self {
        ModuleError::Artefact(one_line(error))
    }
}

/// The whole chain of causes in one short line.
fn one_line(error: &wasmtime::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let separator = if text.is_empty() { "" } else { ": " };
        let _ = write!(text, "{separator}{cause}");
    }
    text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((at, _)) = text.char_indices().nth(240) {
        text.truncate(at);
        text.push_str("...");
    }
    text
}

/// The checks that need no compiler.
pub(super) fn check_bytes(wasm: &[u8]) -> Result<(), ModuleError> {
    if wasm.len() > MAX_MODULE {
        return Err(ModuleError::TooLarge(wasm.len()));
    }
    if !wasm.starts_with(b"\0asm") {
        return Err(ModuleError::NotWasm);
    }
    // The layer in the version field is what tells a component.
    if wasm.get(6..8).is_some_and(|layer| layer != [0, 0]) {
        return Err(ModuleError::Abi(
            "is a WebAssembly component, and this version runs core modules; build it for wasm32-wasip1",
        ));
    }
    Ok(())
}

/// A module, linked.
pub struct Program {
    pub(super) pre: InstancePre<Guest>,
    pub(super) ticker: Arc<Ticker>,
    pub(super) settings: Settings,
    pub(super) start: Option<&'static str>,
    pub(super) abi: Abi,
    roles: Vec<Role>,
    has_set_up: bool,
}

impl Program {
    pub(super) fn new(
        module: &Module,
        abi: Abi,
        linker: &Linker<Guest>,
        ticker: Arc<Ticker>,
        settings: Settings,
    ) -> Result<Program, ModuleError> {
        check_needs(module, settings.limits)?;
        check_imports(module, linker)?;
        let pre = linker
            .instantiate_pre(module)
            .map_err(|error| ModuleError::BadImport(one_line(&error)))?;
        let has = |name: &str| module.get_export(name).is_some();
        let start = ["_initialize", "_start"].into_iter().find(|name| has(name));
        let roles = Role::ALL
            .into_iter()
            .filter(|role| abi.role(*role).is_some_and(has))
            .collect();
        Ok(Program {
            pre,
            ticker,
            settings,
            start,
            abi,
            roles,
            has_set_up: has(SETUP),
        })
    }

    /// Whether the module says it can play the role. Only running it shows whether it does: SDKs export
    /// every role and answer EPERM to those that no transport was written for.
    pub fn supports(&self, role: Role) -> Result<(), ModuleError> {
        match self.abi.role(role) {
            Some(_) if self.roles.contains(&role) => Ok(()),
            Some(export) => Err(ModuleError::Role(role.word(), export)),
            None => Err(ModuleError::NoSuchRole(role.word(), self.abi)),
        }
    }

    /// The version of WATM that the module speaks.
    pub fn abi(&self) -> Abi {
        self.abi
    }

    /// The roles that the module exports; see [`Program::supports`].
    pub fn roles(&self) -> &[Role] {
        &self.roles
    }

    /// Whether the module has a set-up run (`ouzel_setup_v1`).
    pub fn has_set_up(&self) -> bool {
        self.has_set_up
    }

    pub(super) fn engine(&self) -> &Engine {
        self.pre.module().engine()
    }
}

/// What a memory's size is counted in.
const PAGE: u64 = 64 << 10;

fn check_needs(module: &Module, limits: Limits) -> Result<(), ModuleError> {
    let needs = module.resources_required();
    let memory = needs.max_initial_memory_size.unwrap_or(0) * PAGE;
    if memory > limits.memory as u64 {
        let (asks, may) = (memory >> 20, (limits.memory >> 20) as u64);
        return Err(ModuleError::Memory { asks, may });
    }
    let asks = needs.max_initial_table_size.unwrap_or(0);
    if asks > limits.table as u64 {
        let may = limits.table as u64;
        return Err(ModuleError::Table { asks, may });
    }
    Ok(())
}

fn check_imports(module: &Module, linker: &Linker<Guest>) -> Result<(), ModuleError> {
    // Only the names: the store is needed to look an import up, and is thrown away.
    let mut store = wasmtime::Store::new(
        module.engine(),
        Guest::new(Grants::default(), World::default(), Limits::default()),
    );
    for import in module.imports() {
        if linker.get_by_import(&mut store, &import).is_none() {
            return Err(ModuleError::UnknownImport(format!(
                "{}.{}",
                import.module(),
                import.name()
            )));
        }
    }
    Ok(())
}
