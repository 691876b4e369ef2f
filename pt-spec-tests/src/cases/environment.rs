//! The variables that clients and servers have in common (pt-spec 3.2.1), and those that are none of theirs.

mod cage;
mod outbound;
mod state;
mod stdin;
mod unknown;

use crate::bench::{Bench, UNUSED_ORPORT};
use crate::case::Case;
use crate::instruments::parent::Launch;

/// The tables, in the ledger's order.
pub const TABLES: &[&[Case]] = &[state::CASES, stdin::CASES, outbound::CASES, unknown::CASES];

/// A launch of every side that the subject has.
fn sides(bench: &Bench) -> Vec<Launch> {
    let sides = bench.subject().sides;
    let client = sides.client().then(|| bench.client());
    let server = sides.server().then(|| bench.server(UNUSED_ORPORT));
    client.into_iter().chain(server).collect()
}
