//! What ouzel's obfs4 must reach.
//!
//! In: a scenario and a figure's name. Out: its target. The figures' own targets, which come with them, are those of a
//! transport that copies. A share is one of obfs4proxy's figure.

use crate::figure::Target;
use crate::options::Scenario;

/// What is asked of a figure of ouzel's.
pub(crate) fn target(scenario: Scenario, figure: &str) -> Target {
    use Scenario::{Bulk, Eight, Idle, Rate};
    match (scenario, figure) {
        (Bulk | Eight, "up" | "down") => Target::ShareAtLeast(2.5),
        (Bulk, "up, client CPU" | "up, server CPU") => Target::ShareAtMost(0.45),
        (Bulk, "down, client CPU" | "down, server CPU") => Target::ShareAtMost(0.45),
        (Rate, "16 at a time") => Target::ShareAtLeast(1.3),
        (Rate, "set-up, p99") => Target::ShareAtMost(1.0),
        (Idle, "client RSS/conn, used" | "server RSS/conn, used") => Target::ShareAtMost(0.4),
        (Idle, "client RSS, no connection" | "server RSS, no connection") => Target::AtMost(12.0),
        _ => Target::None,
    }
}
