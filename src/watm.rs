//! The wasm side: a [`Host`] makes [`Program`]s, a program makes one [`Session`] per connection.
//!
//! In: a module's bytes, two streams (inner is the application's, outer the network's) and a configuration.
//! Out: the transformed bytes. What can go wrong: the module is no good ([`ModuleError`]), or one connection
//! of it fails ([`crate::error::Failure`]); neither touches anything else.
//!
//! Nothing here knows tor, SOCKS or the environment, and nothing here opens a file or dials.

mod abi;
mod control;
mod effort;
mod ends;
mod engine;
mod errno;
mod faults;
mod fds;
mod grants;
mod guest;
mod host;
mod io;
mod leaving;
mod memory;
mod outline;
mod preview1;
mod prints;
mod program;
mod readahead;
mod session;
mod stream;
mod ticker;
mod v0;
mod v1;
mod world;

pub use abi::{Abi, Dialect, Role};
pub use control::Control;
pub use ends::quiet;
pub use errno::Errno;
pub use grants::{Files, Folder, Grants, Replay, Wire};
pub use guest::{Connect, Connecting, Dial, Limits};
pub use host::{Host, Settings};
pub use io::{Duplex, Io};
pub use outline::{Import, Item, Outline, printable, signature};
pub use prints::Output;
pub use program::{MAX_MODULE, ModuleError, Program};
pub use session::{Outcome, Session, SetUp};
pub use stream::Stream;
