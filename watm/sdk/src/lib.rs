//! What a WebAssembly Transport Module (WATM v1) needs, and nothing else.
//!
//! A module is instantiated once per connection. The host calls its exports in this order:
//! `_initialize`, `watm_init_v1`, one role (`watm_dial_v1` or `watm_accept_v1` …) with the
//! application's connection, `watm_ctrlpipe_v1`, `watm_start_v1`. [`export!`] emits them for a
//! type that implements [`Transport`] and the traits of its roles; [`Duplex`] is the session for
//! everything that changes bytes in place.
//!
//! - [`conn`], [`poll`], [`config`]: connections, readiness, the configuration file
//! - [`folder`]: what a host keeps for all connections of a transport
//! - [`role`], [`instance`]: what a transport implements, and the exports made of it
//! - [`duplex`], [`codec`], [`pump`]: sessions that pass bytes both ways, and what changes them
//! - [`json`]: the configuration's text
//! - [`refuse`]: why an export refuses
//! - [`errno`], [`raw`]: the host's numbers and calls; `raw` holds the only unsafe code
//!
//! Nothing allocates, nothing formats, nothing needs std.
#![cfg_attr(target_family = "wasm", no_std)]
#![allow(
    clippy::new_without_default,
    reason = "what is made here goes into statics, where only a const fn can be called"
)]

pub mod codec;
pub mod config;
pub mod conn;
pub mod duplex;
pub mod errno;
pub mod folder;
mod host;
pub mod instance;
pub mod poll;
pub mod pump;
pub mod raw;
mod refusal;
pub mod role;
mod subscription;

pub use codec::{Codec, Identity, Piece, Transform};
pub use config::Config;
pub use conn::Conn;
pub use duplex::{Coded, Duplex};
pub use errno::Errno;
pub use folder::Folder;
pub use instance::Instance;
pub use poll::Poll;
pub use refusal::refuse;
pub use role::{Dialer, FixedDialer, Listener, Part, Relay, Session, SetUp, Transport};
pub use watm_json as json;
