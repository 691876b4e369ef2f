//! A client's part of the negotiation (pt-spec 3.2.2 and 3.3.2): which transports it launches, and the lines that tell
//! where its SOCKS ports are.

mod ports;

use super::launching::{self, run_as};
use crate::bench::Bench;
use crate::case::{Case, Level, Side, run};
use crate::instruments::parent::Launch;
use crate::verdict::{Verdict, ensure};

/// The cases, in the ledger's order.
pub const TABLES: &[&[Case]] = &[CASES, ports::CASES];

/// The base of every case here.
const CLIENT: Case = Case {
    side: Side::Client,
    ..Case::BASE
};

const CASES: &[Case] = &[
    Case {
        id: "pt-3.2.2/asked-once-launched-once",
        line: 31,
        requirement: "A transport named in TOR_PT_CLIENT_TRANSPORTS is launched, with one CMETHOD line, and no other transport is.",
        reference: "pt-spec 3.2.2, TOR_PT_CLIENT_TRANSPORTS, and 3.3.2",
        check: run_as!(Client, launching::launched_once),
        ..CLIENT
    },
    Case {
        id: "pt-3.2.2/anywhere-in-the-list",
        line: 31,
        requirement: "A known transport is launched wherever it stands among the comma-separated names.",
        reference: "pt-spec 3.2.2, TOR_PT_CLIENT_TRANSPORTS",
        check: run_as!(Client, launching::in_any_place),
        ..CLIENT
    },
    Case {
        id: "pt-3.3.2/unknown-names-are-ignored",
        line: 32,
        requirement: "A name that the client does not know gets no line: neither CMETHOD nor CMETHOD-ERROR.",
        reference: "pt-spec 3.3.2, notes: unknown transports are ignored entirely; Arti fails the whole launch on a CMETHOD-ERROR",
        check: run_as!(Client, launching::unknown_names),
        ..CLIENT
    },
    Case {
        id: "pt-3.2.2/empty-items-are-ignored",
        line: 33,
        level: Level::Should,
        requirement: "Empty items of TOR_PT_CLIENT_TRANSPORTS are ignored.",
        reference: "pt-spec 3.2.2: names that are not recognised are ignored",
        reading: "An empty item is a name that nobody recognises.",
        check: run_as!(Client, launching::empty_items),
        ..CLIENT
    },
    Case {
        id: "pt-3.2.2/repeated-names-count-once",
        line: 33,
        level: Level::Should,
        requirement: "A name that TOR_PT_CLIENT_TRANSPORTS repeats is launched once.",
        reference: "pt-spec 3.2.2; tor skips a second CMETHOD of the same name and logs a warning",
        reading: "The list is a set: a second port for the same transport is of no use to anybody.",
        check: run_as!(Client, launching::repeated_names),
        ..CLIENT
    },
    Case {
        id: "pt-3.1/client-names-are-identifiers",
        line: 34,
        requirement: "No transport is launched under a name that is not a C identifier, even if it is asked for.",
        reference: "pt-spec 3.1: [a-zA-Z_][a-zA-Z0-9_]*; tor gives up on a process that prints another name",
        reading: "Names like this in the list are ignored, or the list is refused with ENV-ERROR.",
        check: run_as!(Client, launching::identifiers),
        ..CLIENT
    },
    Case {
        id: "pt-3.3.2/no-proxy-line-unasked",
        line: 35,
        requirement: "Without TOR_PT_PROXY there is no PROXY line.",
        reference: "pt-spec 3.3.2: PROXY DONE answers an upstream proxy; Arti takes an unasked one for a violation",
        check: run!(no_proxy_line_unasked),
        ..CLIENT
    },
    Case {
        id: "pt-3.2.2/empty-proxy-is-no-proxy",
        line: 35,
        requirement: "An empty TOR_PT_PROXY is no upstream proxy: the transport is launched, and there is no PROXY line.",
        reference: "pt-spec 3.2.2, TOR_PT_PROXY",
        reading: "Empty is as good as unset, as the specification says of other variables; goptlib reads it so.",
        check: run!(empty_proxy),
        ..CLIENT
    },
];

async fn no_proxy_line_unasked(bench: &Bench) -> Verdict {
    quiet_about_proxies(bench.client()).await
}

async fn empty_proxy(bench: &Bench) -> Verdict {
    quiet_about_proxies(bench.client().set("TOR_PT_PROXY", "")).await
}

async fn quiet_about_proxies(launch: Launch) -> Verdict {
    let said = launch.ready().await?.said;
    let told = said.lines.iter().find(|line| line.starts_with("PROXY"));
    ensure!(
        told.is_none(),
        "no proxy is configured, yet it says {told:?}"
    );
    Ok(())
}
