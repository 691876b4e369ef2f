//! What a prober learns from a server and a neighbour from a process, and where else than under tor's roof it runs
//! (pt-spec 4, and practice).

mod probe;
mod secrets;
mod strangers;
mod surroundings;

use crate::case::Case;

/// The cases, in the ledger's order.
pub const TABLES: &[&[Case]] = &[
    probe::CASES,
    strangers::CASES,
    secrets::CASES,
    surroundings::CASES,
];
