//! Guest programs against the host's rules: real modules, real sockets, no tor.
//!
//! Each test runs one or two sessions in this process: an application on one side, a peer or a second
//! session on the other. The guests are those of `watm/test-guests`, each written to need one rule.

#![expect(
    clippy::disallowed_methods,
    reason = "a test is the application and the peer, and reads the guests from the tree"
)]

mod abi;
mod alone;
mod assembly;
mod awkward;
mod boxes;
mod bytes;
mod crowd;
mod ends;
mod fate;
mod foreign;
mod hostile;
mod languages;
mod leaving;
mod misbehaviour;
mod mutants;
mod prints;
mod ptrs;
mod roster;
mod tunnel;
mod versions;
mod wire;

/// Longer than anything here takes on a slow machine; a test that hangs fails by this.
const DEADLINE: std::time::Duration = std::time::Duration::from_secs(120);
