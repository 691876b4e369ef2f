//! The transports that every executable carries.
//!
//! In: what `build.rs` has embedded. Out: each one's module, and what it is granted that a module in a file is granted only
//! by its settings. A file that takes a built-in's name takes nothing else of it: it is another module.

mod embedded {
    include!(concat!(env!("OUT_DIR"), "/builtins.rs"));
}

/// A transport that is part of the executable.
#[derive(Debug, PartialEq, Eq)]
pub struct BuiltIn {
    /// What tor calls it.
    pub name: &'static str,
    /// Its module, as its author's compiler wrote it.
    pub wasm: &'static [u8],
    /// Keys of its configuration that a bridge's clients need to know, besides what its set-up run announces.
    pub(super) announce: &'static [&'static str],
    /// Its files that lie in the root of the state directory, because other programs keep them there.
    pub(super) state_root: &'static [&'static str],
}

/// All of them; a module is added here and in `build.rs`.
const BUILT_IN: &[BuiltIn] = &[
    BuiltIn {
        name: "plain",
        wasm: embedded::PLAIN,
        announce: &[],
        state_root: &[],
    },
    BuiltIn {
        name: "reverse",
        wasm: embedded::REVERSE,
        announce: &["key"],
        state_root: &[],
    },
    BuiltIn {
        name: "obfs4",
        wasm: embedded::OBFS4,
        announce: &[],
        state_root: &["obfs4_state.json", "obfs4_bridgeline.txt"],
    },
];

/// The transports that are part of the executable.
pub fn builtins() -> &'static [BuiltIn] {
    BUILT_IN
}
