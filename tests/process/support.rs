//! The far ends: what surrounds a pluggable transport, played by the tests.

pub(crate) mod bytes;
pub(crate) mod deadline;
pub(crate) mod folder;
pub(crate) mod lines;
pub(crate) mod orport;
pub(crate) mod pair;
pub(crate) mod peers;
pub(crate) mod pt;
pub(crate) mod socks;
pub(crate) mod strace;
pub(crate) mod tor;
pub(crate) mod upstream;
pub(crate) mod web;
