//! A module that was looked at, linked and is ready to be instantiated.
//!
//! In: an artefact. Out: a [`Program`], or one sentence that says what is wrong with the module and what to
//! do about it.

use super::abi::{Abi, Role};
use super::faults::faults;
use super::guest::Guest;
use super::host::Settings;
use super::outline::{Outline, printable_within};
use super::ticker::Ticker;
use std::fmt::Write as _;
use std::sync::Arc;
use wasmtime::{Engine, InstancePre, Linker, Module};

/// Larger than any transport; a typo that names a disk image is refused.
pub const MAX_MODULE: usize = 16 << 20;

/// How wasmtime says that something of WebAssembly is switched off; it has no kind of error for that.
const SWITCHED_OFF: [&str; 8] = [
    "enabled",
    "disabled",
    "disallowed",
    "proposal",
    " feature",
    "references required",
    "multiple memories",
    "multi-memory",
];

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
    /// It has more functions than the compiler is given.
    #[error("has {0} functions, more than the {max} that are compiled here", max = super::effort::MAX_FUNCTIONS)]
    TooManyFunctions(u32),
    /// It has a function larger than the compiler is given.
    #[error(
        "has a function of {0} bytes, more than the {max} that are compiled here; build it with less inlining", max = super::effort::MAX_BODY
    )]
    FunctionTooLarge(usize),
    /// It ends too early, or is damaged.
    #[error("is cut short or damaged ({0}); copy it again and compare its SHA-256")]
    Invalid(String),
    /// It uses something of wasm that is switched off here.
    #[error(
        "uses a feature of WebAssembly that transports cannot use here ({0}); build it for wasm32-wasip1 without extra target features"
    )]
    Feature(String),
    /// It is more than the compiler takes.
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
    #[error(
        "asks for {asks} MiB of memory from the start, and a transport may have {may}; raise memory under limits in its settings"
    )]
    Memory {
        /// MiB.
        asks: u64,
        /// MiB.
        may: u64,
    },
    /// It needs larger tables than an instance may have.
    #[error(
        "asks for a table of {asks} elements, and a transport may have {may}; raise table under limits in its settings"
    )]
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
    /// It exports what every module has to, and no role.
    #[error("plays no role: it exports none of {0}; build it with the role that it is written for")]
    NoRole(&'static str),
}

impl ModuleError {
    /// A short, stable word for programs.
    pub fn label(&self) -> &'static str {
        match self {
            ModuleError::NotWasm => "not-wasm",
            ModuleError::TooLarge(_) => "too-large",
            ModuleError::Invalid(_) => "damaged",
            ModuleError::TooManyFunctions(_) | ModuleError::FunctionTooLarge(_) => "too-large",
            ModuleError::Feature(_) => "feature",
            ModuleError::Compile(_) => "compile",
            ModuleError::CannotCompile => "no-compiler",
            ModuleError::DamagedArtefact => "damaged-artefact",
            ModuleError::Memory { .. } => "memory",
            ModuleError::Table { .. } => "table",
            ModuleError::Artefact(_) => "foreign-artefact",
            ModuleError::NoEngine(_) => "no-engine",
            ModuleError::Abi(_) => "other-abi",
            ModuleError::MissingExport(_) => "missing-export",
            ModuleError::BadExport(..) => "export-type",
            ModuleError::UnknownImport(_) => "unknown-import",
            ModuleError::BadImport(_) => "import-type",
            ModuleError::Role(..) | ModuleError::NoSuchRole(..) => "role",
            ModuleError::NoRole(_) => "no-role",
        }
    }

    pub(super) fn of_compile(error: &wasmtime::Error) -> Self {
        let text = one_line(error);
        // It is told with an offset, too.
        if SWITCHED_OFF.iter().any(|words| text.contains(words)) {
            ModuleError::Feature(text)
        } else if text.contains("unexpected end")
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
    let words: Vec<&str> = text.split_whitespace().collect();
    // What is wrong with a module is told in its own words, too.
    printable_within(&words.join(" "), 240)
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
    super::effort::check(wasm)
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
        let outline = Outline::of(module);
        if let Some(fault) = faults(&outline, abi, linker, module.engine(), settings.limits).next()
        {
            return Err(fault);
        }
        let pre = linker
            .instantiate_pre(module)
            .map_err(|error| ModuleError::BadImport(one_line(&error)))?;
        let (start, roles) = (outline.start(), abi.roles(&outline));
        Ok(Program {
            pre,
            ticker,
            settings,
            start,
            abi,
            roles,
            has_set_up: outline.has_setup(),
        })
    }

    /// Whether the module says it can play the role. Only running it shows whether it does: SDKs export
    /// every role and answer EPERM to those that no transport was written for.
    pub fn supports(&self, role: Role) -> Result<(), ModuleError> {
        self.abi.demand(&self.roles, role)
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
