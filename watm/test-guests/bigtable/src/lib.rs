//! A guest whose table has more than 6,000 elements, as programs of the standard Go compiler have
//! (5,385 to 5,740): a host computes its limits from the module instead of guessing them.
//!
//! The worker is called through the table, so the table has to be right, not just large.
#![cfg_attr(target_family = "wasm", no_std)]

use watm_sdk::raw::Slot;
use watm_sdk::{Config, Errno};
use watm_test_guests::relay::relay;
use watm_test_guests::{BUFFER, Behaviour, Conns, Guest};

type Work = fn(Conns) -> Result<(), Errno>;

static WORK: Slot<Option<Work>> = Slot::new(None);

struct BigTable;

impl Behaviour for BigTable {
    fn init(_: Config<'_>) -> Result<(), Errno> {
        WORK.enter(|work| {
            *work = Some(core::hint::black_box(relay));
            Ok(())
        })
    }

    fn work(conns: Conns, _: &mut [u8; BUFFER]) -> Result<(), Errno> {
        let work = WORK.enter(|work| work.ok_or(Errno::NOTCONN))?;
        work(conns)
    }
}

watm_sdk::export!(Guest<BigTable>: dialer, listener);
