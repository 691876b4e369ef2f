//! Transports: names that tor asks for, and the modules behind them.
//!
//! In: a name, a role, the state directory. Out: a [`Transport`] that is ready to be instantiated per
//! connection, or one sentence for the `METHOD-ERROR` line. Everything that is written to disk is written
//! here, below the state directory.

pub mod artefacts;
pub mod builtins;
mod compiling;
pub mod conf;
mod folders;
mod granted;
mod prints;
pub mod registry;
pub mod replay;
pub mod services;
pub mod setup;
mod sources;
pub mod state;

pub use builtins::{BuiltIn, builtins};
pub use registry::{Registry, Transport};
pub use state::State;
