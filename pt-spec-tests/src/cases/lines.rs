//! What stands on stdout: the grammar of every line, and `LOG` and `STATUS` (pt-spec 3.3 to 3.3.5).

mod log;
mod mischief;
mod privacy;
mod shape;
mod status;
mod unheard;

use crate::case::Case;

/// The tables, in the ledger's order.
pub const TABLES: &[&[Case]] = &[
    shape::CASES,
    unheard::CASES,
    log::CASES,
    status::CASES,
    privacy::CASES,
];
