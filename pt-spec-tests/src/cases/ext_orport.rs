//! The way from a server into tor by the Extended ORPort (ext-orport-spec).
//!
//! A client of the same transport makes the connections, since only it can make one that the server takes. What the
//! server says to the Extended ORPort is recorded, and answered as tor does or as nobody should.

mod authentication;
mod introduction;
mod reached;
mod refusal;
mod scene;

use crate::case::Case;

pub(super) use scene::Scene;

/// The cases, in the ledger's order.
pub const TABLES: &[&[Case]] = &[authentication::CASES, introduction::CASES, refusal::CASES];
