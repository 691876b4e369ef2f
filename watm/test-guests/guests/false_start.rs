//! Has a set-up run, and traps in `_initialize` from its second instance on; the first is the host's trial.
#![cfg_attr(target_family = "wasm", no_std)]

use watm_sdk::folder::REPLAY;
use watm_sdk::role::{Part, SetUp};
use watm_sdk::{Config, Conn, Duplex, Errno, Folder, Identity, Listener, Transport};

struct FalseStart;

impl SetUp for FalseStart {
    fn set_up(_: Part, _: Config<'_>, answer: Conn) -> Result<(), Errno> {
        answer.write_all(br#"{"version":1,"handshake_ms":1000,"quiet_close_ms":1500}"#)
    }
}

impl Transport for FalseStart {
    type Session = Duplex<Identity, Identity>;

    fn init(_: Config<'_>) -> Result<Self, Errno> {
        Ok(FalseStart)
    }
}

impl Listener for FalseStart {
    fn accept(&mut self, inner: Conn) -> Result<Self::Session, Errno> {
        Ok(Duplex::new(inner, Conn::accept()?, Identity, Identity))
    }
}

watm_sdk::export_without_start!(FalseStart: listener, set_up);

/// Runs the constructors, once.
#[allow(unsafe_code, reason = "the name is the host's to find")]
#[unsafe(no_mangle)]
pub extern "C" fn _initialize() {
    watm_sdk::raw::call_ctors();
    if let Some(replay) = Folder::find(REPLAY) {
        assert!(replay.is_new(b"the host's trial") == Ok(true));
    }
}
