//! A server's part of the negotiation (pt-spec 3.2.3 and 3.3.3): which transports it launches and where, what it is told
//! of the bridge behind it, and the lines that tell clients how to reach it.

mod bindaddr;
mod options;
mod orport;
mod smethod;

use super::launching::{self, only_log_and_status, run_as};
use crate::bench::{Bench, UNUSED_ORPORT};
use crate::case::{Case, Level, Side, run};
use crate::instruments::listeners::door;
use crate::instruments::wire::{A_WHILE, SOON, dial, read_to_end, write_all};
use crate::verdict::Verdict;

/// The cases, in the ledger's order.
pub const TABLES: &[&[Case]] = &[
    ASKED,
    bindaddr::CASES,
    options::CASES,
    orport::CASES,
    smethod::CASES,
    DONE,
];

/// The base of every case here.
const SERVER: Case = Case {
    side: Side::Server,
    ..Case::BASE
};

const ASKED: &[Case] = &[
    Case {
        id: "pt-3.2.3/asked-once-launched-once",
        line: 50,
        requirement: "A transport named in TOR_PT_SERVER_TRANSPORTS is launched, with one SMETHOD line, and no other transport is.",
        reference: "pt-spec 3.2.3, TOR_PT_SERVER_TRANSPORTS, and 3.3.3",
        check: run_as!(Server, launching::launched_once),
        ..SERVER
    },
    Case {
        id: "pt-3.2.3/anywhere-in-the-list",
        line: 50,
        requirement: "A known transport is launched wherever it stands among the comma-separated names.",
        reference: "pt-spec 3.2.3, TOR_PT_SERVER_TRANSPORTS",
        check: run_as!(Server, launching::in_any_place),
        ..SERVER
    },
    Case {
        id: "pt-3.2.3/unknown-names-are-ignored",
        line: 50,
        level: Level::Should,
        requirement: "A name that the server does not know gets no line, although it has a bind address.",
        reference: "pt-spec 3.2.3: PTs SHOULD ignore names that they do not recognise",
        reading: "SHOULD, because the MUST NOT of 3.3.2 is about clients.",
        check: run_as!(Server, launching::unknown_names),
        ..SERVER
    },
    Case {
        id: "pt-3.2.3/empty-items-are-ignored",
        line: 50,
        level: Level::Should,
        requirement: "Empty items of TOR_PT_SERVER_TRANSPORTS are ignored.",
        reference: "pt-spec 3.2.3: names that are not recognised are ignored",
        reading: "An empty item is a name that nobody recognises.",
        check: run_as!(Server, launching::empty_items),
        ..SERVER
    },
    Case {
        id: "pt-3.2.3/repeated-names-count-once",
        line: 50,
        level: Level::Should,
        requirement: "A name that TOR_PT_SERVER_TRANSPORTS repeats is launched once.",
        reference: "pt-spec 3.2.3; there is one bind address for each name",
        reading: "The list is a set.",
        check: run_as!(Server, launching::repeated_names),
        ..SERVER
    },
    Case {
        id: "pt-3.1/server-names-are-identifiers",
        line: 50,
        requirement: "No transport is launched under a name that is not a C identifier, even if it is asked for.",
        reference: "pt-spec 3.1: [a-zA-Z_][a-zA-Z0-9_]*; tor gives up on a process that prints another name",
        reading: "Names like this in the list are ignored, or the list is refused with ENV-ERROR.",
        check: run_as!(Server, launching::identifiers),
        ..SERVER
    },
];

const DONE: &[Case] = &[
    Case {
        id: "pt-3.3.3/failed-transport-is-told",
        line: 71,
        requirement: "A transport that cannot be launched gets an SMETHOD-ERROR line with a reason, and SMETHODS DONE follows.",
        reference: "pt-spec 3.3.3, SMETHOD-ERROR; tor shows the text to its user",
        reading: "What fails is the port: bind and listen report that the address is in use.",
        check: run_as!(Server, launching::failure_is_told),
        ..SERVER
    },
    Case {
        id: "pt-3.3.3/failed-transport-is-survived",
        line: 71,
        requirement: "A process whose only transport could not be launched goes on running.",
        reference: "pt-spec 3.3.1 and 3.3.3: VERSION-ERROR and ENV-ERROR end the process, SMETHOD-ERROR does not; tor restarts what exits every second",
        check: run_as!(Server, launching::failure_is_survived),
        ..SERVER
    },
    Case {
        id: "pt-3.3.3/smethods-done-once",
        line: 71,
        requirement: "SMETHODS DONE comes exactly once, after the line of every transport.",
        reference: "pt-spec 3.3.3, SMETHODS DONE",
        check: run_as!(Server, launching::done_once),
        ..SERVER
    },
    Case {
        id: "pt-3.3.3/smethods-done-without-a-transport",
        line: 71,
        requirement: "SMETHODS DONE comes also when none of the names is known.",
        reference: "pt-spec 3.3.3, SMETHODS DONE; tor waits for it for ever",
        check: run_as!(Server, launching::done_without_a_transport),
        ..SERVER
    },
    Case {
        id: "pt-3.3.3/runs-without-a-transport",
        line: 71,
        requirement: "With no transport launched the process goes on running.",
        reference: "pt-spec 3.3.3 names no reason to end, and Dispatcher IPC 1.2.2.1 says so of clients; tor restarts what exits every second",
        check: run_as!(Server, launching::runs_without_a_transport),
        ..SERVER
    },
    Case {
        id: "tor-transports/quiet-after-smethods-done",
        line: 71,
        level: Level::Real,
        requirement: "After SMETHODS DONE nothing but LOG and STATUS lines is written on stdout, whatever clients send.",
        reference: "pt-spec 3.3.3: the initialization is complete; a late SMETHOD or DONE makes tor give the process up, and itself abort at the next SIGHUP",
        check: run!(quiet_after_done),
        ..SERVER
    },
    Case {
        id: "pt-3.3.3/listens-before-smethod",
        line: 72,
        requirement: "The socket listens before the SMETHOD line is written.",
        reference: "pt-spec 3.3.3: SMETHOD signals that the transport has been launched; the order of system calls is looked at",
        check: run_as!(Server, launching::listens_first),
        ..SERVER
    },
];

async fn quiet_after_done(bench: &Bench) -> Verdict {
    let mut ready = bench.server(UNUSED_ORPORT).ready().await?;
    let door = door(&ready.pt, &ready.method)?;
    for bytes in [
        &b""[..],
        b"GET / HTTP/1.1\r\nHost: bridge.invalid\r\n\r\n",
        &[0xff; 20_000],
    ] {
        let mut stream = dial(door).await?;
        // It may hang up on this.
        let _ = write_all(&mut stream, bytes, A_WHILE).await;
        read_to_end(&mut stream, A_WHILE).await;
    }
    ready.pt.close_stdin();
    ready.pt.exit(SOON).await?;
    only_log_and_status(&ready.pt.after_negotiation())
}
