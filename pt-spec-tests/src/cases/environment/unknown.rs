//! What a process does not know: variables are ignored, options of its command line are not.

use super::sides;
use crate::bench::{Bench, UNUSED_ORPORT};
use crate::case::{Case, Level, run};
use crate::instruments::wire::SOON;
use crate::verdict::{Verdict, ensure};

/// The cases, in the ledger's order.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "pt-3.2/unknown-variables",
        line: 25,
        level: Level::Should,
        requirement: "Variables that the specification does not have are ignored, whatever they begin with.",
        reference: "pt-spec 3.2; later parents set variables that earlier processes do not know",
        check: run!(unknown_variables),
        ..Case::BASE
    },
    Case {
        id: "pt-3.2/variables-of-the-other-side",
        line: 25,
        level: Level::Should,
        requirement: "A client ignores the variables of pt-spec 3.2.3 and a server those of 3.2.2, but for the two that ask for transports.",
        reference: "pt-spec 3.2.2 and 3.2.3; goptlib",
        reading: "Nothing that is meant for the other side can be wrong for this one.",
        check: run!(variables_of_the_other_side),
        ..Case::BASE
    },
    Case {
        id: "unix-getopt/unknown-flags",
        line: 25,
        level: Level::Should,
        requirement: "An option on the command line that it does not know makes the process exit with a code other than 0 and say which on stderr.",
        reference: "tor hands over the words of the exec line as they are; Go's flag package exits with code 2 after its usage",
        reading: "A misspelt option that is ignored leaves its author in the belief that it works; any failing code will do.",
        check: run!(unknown_flags),
        ..Case::BASE
    },
];

async fn unknown_variables(bench: &Bench) -> Verdict {
    for launch in sides(bench) {
        let launch = launch
            .set("TOR_PT_A_LATER_VARIABLE", "1")
            .set("TOR_PT_", "")
            .set("TOR_PT_STATE_LOCATION_V6", "[::1]")
            .set("tor_pt_client_transports", "garbage")
            .set("PT_STATE_LOCATION", "/nowhere");
        launch.ready().await?;
    }
    Ok(())
}

async fn variables_of_the_other_side(bench: &Bench) -> Verdict {
    if bench.subject().sides.client() {
        let launch = bench
            .client()
            .set("TOR_PT_SERVER_BINDADDR", "garbage")
            .set("TOR_PT_SERVER_TRANSPORT_OPTIONS", "garbage")
            .set("TOR_PT_ORPORT", "garbage")
            .set("TOR_PT_EXTENDED_SERVER_PORT", "garbage");
        launch.ready().await?;
    }
    if bench.subject().sides.server() {
        let launch = bench.server(UNUSED_ORPORT).set("TOR_PT_PROXY", "garbage");
        let ready = launch.ready().await?;
        let lines = &ready.said.lines;
        ensure!(
            !lines.iter().any(|line| line.starts_with("PROXY")),
            "a server speaks of an upstream proxy: {lines:?}"
        );
    }
    Ok(())
}

async fn unknown_flags(bench: &Bench) -> Verdict {
    let mut pt = bench
        .either()
        .arg("--no-such-option-at-all")
        .start()
        .await?;
    let exit = pt.must_exit(SOON).await?;
    ensure!(
        exit.code.is_some_and(|code| code != 0),
        "it ends with {exit}"
    );
    let told = pt.stderr().texts();
    ensure!(
        told.iter()
            .any(|line| line.contains("no-such-option-at-all")),
        "stderr does not name the option: {told:?}"
    );
    Ok(())
}
