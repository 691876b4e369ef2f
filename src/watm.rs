//! The wasm side: a [`Host`] makes [`Program`]s, a program makes one [`Session`] per connection.
//!
//! In: a module's bytes, two streams (inner is the application's, outer the network's) and a configuration.
//! Out: the transformed bytes. What can go wrong: the module is no good ([`ModuleError`]), or one connection
//! of it fails ([`crate::error::Failure`]); neither touches anything else.
//!
//! ```
//! use ouzel::error::Failure;
//! use ouzel::watm::{Connect, Grants, Host, Io, Session, Settings, Stream};
//! use std::sync::{Arc, Mutex};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let builtins = ouzel::transport::builtins();
//! let plain = builtins.iter().find(|one| one.name == "plain").expect("it is built in");
//!
//! // Once per process, and once per module.
//! let host = Host::new(Settings::for_slots(16))?;
//! let artefact = host.compile(plain.wasm)?;
//! let program = Arc::new(host.load(&artefact)?);
//!
//! // Once per connection: the application's end, and a way out, here without a network.
//! let (mut application, inner) = duplex(4096);
//! let (outer, mut network) = duplex(4096);
//! let outer = Mutex::new(Some(outer));
//! let connect: Connect = Box::new(move || {
//!     let outer = outer.lock().ok().and_then(|mut outer| outer.take());
//!     Box::pin(async move { outer.map(Io::any).ok_or(Failure::Refused) })
//! });
//! let mut session = Session::new(&program, Grants::default()).await?;
//! session.dial(Stream::gated(Io::any(inner), b"early "), connect).await?;
//! // The transport is up: the application is answered, and bytes may flow.
//! session.inner().open();
//! let run = tokio::spawn(session.run());
//!
//! application.write_all(b"and late").await?;
//! let mut got = [0; 14];
//! network.read_exact(&mut got).await?;
//! assert_eq!(&got, b"early and late");
//!
//! // A connection ends when its ends do; `Session::control` cuts one off before.
//! drop((application, network));
//! let outcome = run.await?;
//! outcome.result?;
//! assert_eq!(outcome.from_inner, 14);
//! # Ok(())
//! # }
//! ```
//!
//! Nothing here knows tor, SOCKS or the environment, and nothing here opens a file or dials.

mod abi;
mod caps;
mod control;
mod crash;
mod effort;
mod ends;
mod engine;
mod errno;
mod faults;
mod fds;
mod framing;
mod grants;
mod guest;
mod host;
mod io;
mod last_words;
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
