//! Whole-process tests: every test starts real programs, speaks to them as tor, an application, a bridge or
//! an upstream proxy would, and looks only at what comes out. Ports are 0, waits are deadlines.
//!
//! Needed besides cargo: Debian's `tor`, `obfs4proxy`, `strace`, `perl` and `faketime`. A test that misses one fails and
//! says so.
//! They look through Linux's eyes (/proc, strace, prctl), so they exist on Linux only.

#![cfg(target_os = "linux")]
#![allow(
    clippy::disallowed_methods,
    reason = "a test is the far end: it opens its own connections and writes its own files"
)]
#![allow(clippy::unwrap_used, reason = "a test says what broke by breaking")]

mod compiling;
mod configuring;
mod dialling;
mod ext_orport;
mod files_opened;
mod granting;
mod inspecting;
mod languages;
mod lyrebird;
mod methods;
mod modules;
mod negotiation;
mod obfs4;
mod refusing;
mod relaying;
mod scarcity;
mod scrubbing;
mod setting_up;
mod socks_port;
mod standalone;
mod stopping;
mod support;
mod tools;
mod tor_network;
mod torrc;
mod upstream_proxy;
