//! A module that was looked at, linked and is ready to be instantiated.
//!
//! In: an artefact. Out: a [`Program`], or one sentence that says what is wrong with the module and what to
//! do about it.

use super::guest::{Guest, Limits};
use super::host::Settings;
use super::ticker::Ticker;
use super::v1;
use std::fmt::Write as _;
use std::sync::Arc;
use wasmtime::{Engine, ExternType, FuncType, InstancePre, Linker, Module, ValType};

/// Larger than any transport; a typo that names a disk image is refused.
pub const MAX_MODULE: usize = 16 << 20;

/// What a tunnel asks of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The client's: `watm_dial_v1`.
    Dialer,
    /// The server's: `watm_accept_v1`.
    Listener,
}

impl Role {
    pub(super) fn export(self) -> &'static str {
        match self {
            Role::Dialer => v1::DIAL,
            Role::Listener => v1::ACCEPT,
        }
    }
}

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
    /// It speaks another ABI than WATM v1.
    #[error("{0}")]
    Abi(&'static str),
    /// An export that WATM v1 requires is missing.
    #[error(
        "is no WATM v1 module: it does not export {0}; build it against WATM v1, see docs/writing-a-transport.md"
    )]
    MissingExport(&'static str),
    /// An export has another type than WATM v1 says.
    #[error("exports {0} with another type than WATM v1 says ({1}); build it against WATM v1")]
    BadExport(&'static str, String),
    /// It wants something that is not there.
    #[error("imports {0}, which no WATM host provides; build it for wasm32-wasip1 and WATM v1")]
    UnknownImport(String),
    /// It imports a known function by another type.
    #[error(
        "imports {0} with another type than WATM v1 or WASI preview1 says; build it for wasm32-wasip1 and WATM v1"
    )]
    BadImport(String),
    /// It cannot play this role.
    #[error(
        "cannot be used on a {0}: it does not export {1}; ask its author for a build with that role"
    )]
    Role(&'static str, &'static str),
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
    roles: Vec<Role>,
}

impl Program {
    pub(super) fn new(
        module: &Module,
        linker: &Linker<Guest>,
        ticker: Arc<Ticker>,
        settings: Settings,
    ) -> Result<Program, ModuleError> {
        check_needs(module, settings.limits)?;
        check_abi(module)?;
        check_imports(module, linker)?;
        let pre = linker
            .instantiate_pre(module)
            .map_err(|error| ModuleError::BadImport(one_line(&error)))?;
        let has = |name: &str| module.get_export(name).is_some();
        let start = ["_initialize", "_start"].into_iter().find(|name| has(name));
        let roles = [Role::Dialer, Role::Listener]
            .into_iter()
            .filter(|role| has(role.export()))
            .collect();
        Ok(Program {
            pre,
            ticker,
            settings,
            start,
            roles,
        })
    }

    /// Whether the module says it can play the role. Only running it shows whether it does: SDKs export
    /// every role and answer EPERM to those that no transport was written for.
    pub fn supports(&self, role: Role) -> Result<(), ModuleError> {
        if self.roles.contains(&role) {
            return Ok(());
        }
        let side = match role {
            Role::Dialer => "client",
            Role::Listener => "server",
        };
        Err(ModuleError::Role(side, role.export()))
    }

    pub(super) fn engine(&self) -> &Engine {
        self.pre.module().engine()
    }
}

fn check_needs(module: &Module, limits: Limits) -> Result<(), ModuleError> {
    let needs = module.resources_required();
    let memory = needs.max_initial_memory_size.unwrap_or(0);
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

fn check_abi(module: &Module) -> Result<(), ModuleError> {
    let has = |name: &str| module.get_export(name).is_some();
    if has("_water_v0") || has("_water_init") && !has(v1::INIT) && !has("_water_v1") {
        return Err(ModuleError::Abi(
            "speaks WATM v0, which this version does not run yet; ask its author for a v1 build",
        ));
    }
    if has("_water_v1") {
        return Err(ModuleError::Abi(
            "speaks water-rs' own preview of v1, which is no WATM v1; ask its author for a v1 build",
        ));
    }
    let accept_takes_nothing = module
        .get_export(v1::ACCEPT)
        .is_some_and(|export| export.func().is_some_and(|f| f.params().len() == 0));
    if has("watm_userpipe_v1") || has("watm_lasterror_v1") || accept_takes_nothing {
        return Err(ModuleError::Abi(
            "speaks the unreleased draft of a final v1; ask its author for a v1 build",
        ));
    }
    for (name, params) in [(v1::INIT, 0), (v1::CTRLPIPE, 1), (v1::START, 0)] {
        let export = module
            .get_export(name)
            .ok_or(ModuleError::MissingExport(name))?;
        check_export(name, &export, params)?;
    }
    for name in [v1::DIAL, v1::ACCEPT] {
        if let Some(export) = module.get_export(name) {
            check_export(name, &export, 1)?;
        }
    }
    match module.get_export("memory") {
        Some(ExternType::Memory(_)) => Ok(()),
        _ => Err(ModuleError::MissingExport("memory")),
    }
}

fn check_export(name: &'static str, export: &ExternType, params: usize) -> Result<(), ModuleError> {
    let Some(found) = export.func() else {
        return Err(ModuleError::BadExport(name, "it is no function".to_owned()));
    };
    let i32s = |mut types: Box<dyn Iterator<Item = ValType> + '_>| {
        types.all(|ty| matches!(ty, ValType::I32))
    };
    let fits = found.params().len() == params
        && found.results().len() == 1
        && i32s(Box::new(found.params()))
        && i32s(Box::new(found.results()));
    if fits {
        Ok(())
    } else {
        Err(ModuleError::BadExport(name, describe(found)))
    }
}

fn describe(found: &FuncType) -> String {
    let list = |types: Vec<String>| types.join(", ");
    let params = list(found.params().map(|ty| ty.to_string()).collect());
    let results = list(found.results().map(|ty| ty.to_string()).collect());
    format!("({params}) -> ({results})")
}

fn check_imports(module: &Module, linker: &Linker<Guest>) -> Result<(), ModuleError> {
    // Only the names: the store is needed to look an import up, and is thrown away.
    let mut store = wasmtime::Store::new(module.engine(), Guest::new(None, Limits::default()));
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
