//! What the core asks of the world, from the host.

use obfs4_core::random::Random;
use watm_sdk::folder::REPLAY;
use watm_sdk::raw::{clock_time_get, random_get};
use watm_sdk::{Errno, Folder};

const REALTIME: u8 = 0;
const HOUR: u64 = 3600 * 1_000_000_000;

/// The host's randomness. Without it nothing may go on: a trap.
pub(crate) struct HostRandom;

impl Random for HostRandom {
    fn fill(&mut self, bytes: &mut [u8]) {
        random_get(bytes).expect("randomness");
    }
}

/// Hours since 1970.
pub(crate) fn hour() -> Result<u64, Errno> {
    Ok(clock_time_get(REALTIME)? / HOUR)
}

/// Whether this handshake is the first with its MAC. A host that keeps no such set answers every one.
pub(crate) fn is_new(mac: &[u8; 16]) -> bool {
    match Folder::find(REPLAY) {
        Some(replay) => replay.is_new(mac) == Ok(true),
        None => true,
    }
}
