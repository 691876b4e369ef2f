//! `STATUS` lines (pt-spec 3.3.5).

use super::mischief::{PATIENT, all};
use crate::bench::Bench;
use crate::case::{Case, Level, run};
use crate::instruments::grammar;
use crate::instruments::wire::A_WHILE;
use crate::verdict::{Failure, Verdict, ensure};

/// The cases, in the ledger's order.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "pt-3.3.5/status-format",
        line: 82,
        requirement: "A STATUS line has TRANSPORT or TYPE, and at least one pair <K>=<V> more; values with blanks stand in quotes.",
        reference: "pt-spec 3.3.5; tor and goptlib write STATUS TYPE=version, too",
        reading: "Nobody has to write one, but one that is written has the form of the section. A bare word is a value, as in its examples.",
        limit: PATIENT,
        check: run!(status_format),
        ..Case::BASE
    },
    Case {
        id: "pt-3.3.5/version-is-told",
        line: 82,
        level: Level::Should,
        requirement: "A STATUS line between VERSION and DONE tells the implementation and its version: TYPE=version IMPLEMENTATION=… VERSION=….",
        reference: "goptlib 1.5 and lyrebird; tor puts it into the bridge's extra-info document as transport-info",
        check: run!(version_is_told),
        ..Case::BASE
    },
    Case {
        id: "tor-ptmgr/status-names-a-transport",
        line: 82,
        level: Level::Should,
        requirement: "Every STATUS line has TRANSPORT with the name of a transport, the line that tells the version too.",
        reference: "Arti, tor-ptmgr, ipc.rs: `no TRANSPORT in STATUS` fails the launch in some versions; tor takes further keys",
        limit: PATIENT,
        check: run!(names_a_transport),
        ..Case::BASE
    },
];

type Pairs = Vec<(String, grammar::Text)>;

async fn status_format(bench: &Bench) -> Verdict {
    for (text, pairs) in statuses(bench).await? {
        let pairs = pairs.map_err(|wrong| Failure::Deviation(format!("{text:?}: {wrong}")))?;
        let first = &pairs[0].0;
        ensure!(
            first == "TRANSPORT" || first == "TYPE",
            "{text:?} begins with {first:?}, not with TRANSPORT or TYPE"
        );
    }
    Ok(())
}

async fn version_is_told(bench: &Bench) -> Verdict {
    let sides = bench.subject().sides;
    let client = sides.client().then(|| bench.client());
    let server = sides
        .server()
        .then(|| bench.server(crate::bench::UNUSED_ORPORT));
    for launch in client.into_iter().chain(server) {
        let said = launch.ready().await?.said;
        let told = said
            .lines
            .iter()
            .skip_while(|line| !line.starts_with("VERSION "))
            .any(|line| {
                let Ok(grammar::Said::Status(pairs)) = grammar::line(line.as_bytes()) else {
                    return false;
                };
                let has = |key: &str| value(&pairs, key).is_some_and(|value| !value.is_empty());
                value(&pairs, "TYPE") == Some("version") && has("IMPLEMENTATION") && has("VERSION")
            });
        ensure!(
            told,
            "no STATUS line tells implementation and version: {:?}",
            said.lines
        );
    }
    Ok(())
}

async fn names_a_transport(bench: &Bench) -> Verdict {
    for (text, pairs) in statuses(bench).await? {
        let pairs = pairs.unwrap_or_default();
        let name = value(&pairs, "TRANSPORT");
        ensure!(
            name.is_some_and(grammar::is_name),
            "TRANSPORT is {name:?} in {text:?}"
        );
    }
    Ok(())
}

/// All `STATUS` lines of a process in trouble, with what is wrong with them.
async fn statuses(bench: &Bench) -> Verdict<Vec<(String, Result<Pairs, String>)>> {
    let mut found = Vec::new();
    for said in all(bench, A_WHILE).await? {
        for line in said.with_keyword("STATUS") {
            let pairs = match grammar::line(&line.bytes) {
                Ok(grammar::Said::Status(pairs)) => Ok(pairs),
                Ok(_) => Err("no STATUS line".to_owned()),
                Err(wrong) => Err(wrong),
            };
            found.push((line.text(), pairs));
        }
    }
    match found.is_empty() {
        true => Err(Failure::NotApplicable(
            "it writes no STATUS line".to_owned(),
        )),
        false => Ok(found),
    }
}

fn value<'a>(pairs: &'a Pairs, key: &str) -> Option<&'a str> {
    let (_, text) = pairs.iter().find(|(other, _)| other == key)?;
    Some(&text.raw)
}
