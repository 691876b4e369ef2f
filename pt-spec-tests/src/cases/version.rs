//! Which interface a process speaks, and its first words (pt-spec 3.2.1 and 3.3.1).

use crate::bench::{Bench, UNUSED_ORPORT};
use crate::case::{Case, Level, Side, run};
use crate::cases::launching::{Role, sides};
use crate::instruments::negotiation::Negotiation;
use crate::instruments::parent::Launch;
use crate::instruments::process::Exit;
use crate::instruments::wire::SOON;
use crate::verdict::{Failure, Verdict, deviation, ensure};

/// The cases, in the ledger's order.
pub const CASES: &[Case] = &[
    Case {
        id: "pt-2/one-side-per-process",
        line: 1,
        side: Side::Both,
        requirement: "A process that is asked to be client and server at once says ENV-ERROR and exits with a code other than 0.",
        reference: "pt-spec 2 and 3.2: a proxy runs in client mode or in server mode; base specification 2",
        check: run!(one_side_per_process),
        ..Case::BASE
    },
    Case {
        id: "pt-2/no-side-at-all",
        line: 1,
        requirement: "A process that is asked to be neither client nor server, though a version and a state directory are set, says ENV-ERROR and exits with a code other than 0.",
        reference: "pt-spec 3.2: one of TOR_PT_CLIENT_TRANSPORTS and TOR_PT_SERVER_TRANSPORTS is set, and 3.3.1, ENV-ERROR; goptlib",
        check: run!(no_side_at_all),
        ..Case::BASE
    },
    Case {
        id: "pt-2/empty-list-of-the-other-side",
        line: 1,
        requirement: "A list of transports that is set and empty asks for nothing: with the other side's list in use, the process runs as that side.",
        reference: "pt-spec 2 and 3.2",
        reading: "Empty is as good as unset, as the specification says of other variables; goptlib reads it so.",
        check: run!(empty_list_of_the_other_side),
        ..Case::BASE
    },
    Case {
        id: "base3-4.2/flags-of-its-own-keep-the-mode",
        line: 2,
        requirement: "Flags that are not the PT interface's do not change it: a process with the environment of version 1 speaks version 1.",
        reference: "PT 3.0 base 4.2: the flag -ptversion is looked at first, then TOR_PT_MANAGED_TRANSPORT_VER",
        reading: "The flags of the exec line as it was given to the suite are the ones tried; without any there is nothing to find out.",
        check: run!(flags_of_its_own),
        ..Case::BASE
    },
    Case {
        id: "pt-3.2.1/version-list",
        line: 3,
        requirement: "Any list of versions with 1 among its items is answered with VERSION 1, wherever the item stands.",
        reference: "pt-spec 3.2.1, TOR_PT_MANAGED_TRANSPORT_VER: a comma-separated list",
        check: run!(version_list),
        ..Case::BASE
    },
    Case {
        id: "pt-3.2.1/version-items-are-whole",
        line: 3,
        requirement: "Items of the version list are compared as whole strings: 11, 1a, \" 1\" and 2 are not version 1.",
        reference: "pt-spec 3.2.1; goptlib compares the same way",
        reading: "A blank is part of the item, since the grammar has none.",
        check: run!(version_items_are_whole),
        ..Case::BASE
    },
    Case {
        id: "pt-3.3.1/no-common-version",
        line: 4,
        requirement: "Without a common version the line is VERSION-ERROR on stdout, and the process exits with a code other than 0.",
        reference: "pt-spec 3.3.1: the proxy MUST terminate after a VERSION-ERROR",
        check: run!(no_common_version),
        ..Case::BASE
    },
    Case {
        id: "tor-transports/no-version-word",
        line: 4,
        level: Level::Real,
        requirement: "The text of VERSION-ERROR is exactly `no-version`.",
        reference: "tor matches `VERSION-ERROR no-version` and takes any other text for a version number; Arti warns",
        check: run!(no_version_word),
        ..Case::BASE
    },
    Case {
        id: "pt-3.2.1/version-missing",
        line: 5,
        requirement: "When TOR_PT_MANAGED_TRANSPORT_VER is missing or empty although transports are asked for, the answer is ENV-ERROR on stdout, and the process exits with a code other than 0.",
        reference: "pt-spec 3 step 3, 3.2.1 and 3.3.1; goptlib",
        reading: "ENV-ERROR rather than VERSION-ERROR, since there is no list in which a version could be wanting.",
        check: run!(version_missing),
        ..Case::BASE
    },
    Case {
        id: "pt-3.3.1/version-comes-first",
        line: 6,
        requirement: "VERSION 1 is the first configuration line.",
        reference: "pt-spec 3 step 2 and 3.3.1; tor gives up on a process that says CMETHOD or SMETHOD before",
        check: run!(version_comes_first),
        ..Case::BASE
    },
    Case {
        id: "pt-3.3.1/version-before-other-variables",
        line: 7,
        level: Level::Should,
        requirement: "An ENV-ERROR about another variable comes after VERSION 1, because the version is settled first.",
        reference: "pt-spec 3, steps 2 and 3",
        check: run!(version_before_other_variables),
        ..Case::BASE
    },
    Case {
        id: "tor-transports/env-error-is-explained",
        line: 7,
        level: Level::Should,
        requirement: "An ENV-ERROR after VERSION 1 is preceded by a LOG line of severity error, the only words of it that tor shows to its user.",
        reference: "tor drops the text of an ENV-ERROR that follows VERSION (transports.c, handle_proxy_line)",
        check: run!(env_error_is_explained),
        ..Case::BASE
    },
    Case {
        id: "pt-3/not-a-managed-transport",
        line: 12,
        requirement: "Started without any variable of the contract, it says so on stderr, prints nothing on stdout and exits with a code other than 0.",
        reference: "pt-spec 3: a proxy is configured by its parent's environment; stdout is for the parent",
        reading: "Without one variable of the contract there is no parent that reads stdout; pt-spec 3 could also be read to want an ENV-ERROR there.",
        check: run!(not_a_managed_transport),
        ..Case::BASE
    },
];

async fn one_side_per_process(bench: &Bench) -> Verdict {
    let launch = bench
        .server(UNUSED_ORPORT)
        .set("TOR_PT_CLIENT_TRANSPORTS", bench.transport());
    fails_with("ENV-ERROR", launch).await.map(drop)
}

async fn no_side_at_all(bench: &Bench) -> Verdict {
    fails_with("ENV-ERROR", bench.managed()).await.map(drop)
}

async fn empty_list_of_the_other_side(bench: &Bench) -> Verdict {
    for (role, launch) in sides(bench) {
        let other = match role {
            Role::Client => "TOR_PT_SERVER_TRANSPORTS",
            Role::Server => "TOR_PT_CLIENT_TRANSPORTS",
        };
        let ready = launch.set(other, "").ready().await;
        ready.map_err(|failure| failed_with(other, "", failure))?;
    }
    Ok(())
}

async fn flags_of_its_own(bench: &Bench) -> Verdict {
    if bench.subject().args.is_empty() {
        return Err(Failure::NotApplicable(
            "the exec line has no flags".to_owned(),
        ));
    }
    let ready = bench.either().ready().await?;
    let version = ready.said.version.as_deref();
    ensure!(
        version == Some("1"),
        "it speaks version {version:?} with its own flags"
    );
    Ok(())
}

async fn version_list(bench: &Bench) -> Verdict {
    for list in ["1", "1,2", "2,1", "3.0,1", "2,1,3", "1,1"] {
        let (_pt, said) = version(bench, list).await?;
        ensure!(
            said.version.as_deref() == Some("1"),
            "the list {list:?} is answered with {:?}",
            said.lines
        );
    }
    Ok(())
}

async fn version_items_are_whole(bench: &Bench) -> Verdict {
    for list in ["2", "11", "1a", "1a,11", " 1", "1 ", "01", "1.0"] {
        let (_pt, said) = version(bench, list).await?;
        let refused = said
            .lines
            .iter()
            .any(|line| line.starts_with("VERSION-ERROR"));
        ensure!(
            refused,
            "the list {list:?} is answered with {:?}",
            said.lines
        );
    }
    Ok(())
}

async fn no_common_version(bench: &Bench) -> Verdict {
    let launch = bench.either().set("TOR_PT_MANAGED_TRANSPORT_VER", "2,3.0");
    fails_with("VERSION-ERROR", launch).await.map(drop)
}

async fn no_version_word(bench: &Bench) -> Verdict {
    let (_pt, said) = version(bench, "2").await?;
    let fatal = said.fatal.unwrap_or_default();
    ensure!(
        fatal == "VERSION-ERROR no-version",
        "instead of `VERSION-ERROR no-version` it says {fatal:?}"
    );
    Ok(())
}

async fn version_missing(bench: &Bench) -> Verdict {
    let name = "TOR_PT_MANAGED_TRANSPORT_VER";
    fails_with("ENV-ERROR", bench.either().unset(name)).await?;
    fails_with("ENV-ERROR", bench.either().set(name, ""))
        .await
        .map(drop)
}

async fn version_comes_first(bench: &Bench) -> Verdict {
    let (_pt, said) = bench.either().negotiate().await?;
    let first = said.lines.iter().find(|line| !is_free(line));
    ensure!(
        first.is_some_and(|line| line == "VERSION 1"),
        "the first configuration line is {first:?} in {:?}",
        said.lines
    );
    Ok(())
}

async fn version_before_other_variables(bench: &Bench) -> Verdict {
    let said = env_error(bench).await?;
    ensure!(
        said.version.as_deref() == Some("1"),
        "ENV-ERROR comes without VERSION 1 before it: {:?}",
        said.lines
    );
    Ok(())
}

async fn env_error_is_explained(bench: &Bench) -> Verdict {
    let said = env_error(bench).await?;
    if said.version.is_none() {
        // Before VERSION tor shows the text of ENV-ERROR itself.
        return Ok(());
    }
    ensure!(
        said.lines
            .iter()
            .any(|line| line.starts_with("LOG SEVERITY=error ")),
        "no LOG line of severity error among {:?}",
        said.lines
    );
    Ok(())
}

async fn not_a_managed_transport(bench: &Bench) -> Verdict {
    let mut pt = bench.bare().start().await?;
    let exit = pt.must_exit(SOON).await?;
    let (out, err) = (pt.stdout().texts(), pt.stderr().texts());
    ensure!(out.is_empty(), "stdout has {out:?}");
    ensure!(failed(exit), "{exit}");
    ensure!(
        !err.is_empty(),
        "stderr is empty: nobody learns what is wrong"
    );
    Ok(())
}

/// `LOG`, `STATUS` and what parents ignore may stand anywhere.
fn is_free(line: &str) -> bool {
    let keyword = line.split(' ').next().unwrap_or_default();
    let bound = [
        "VERSION",
        "VERSION-ERROR",
        "ENV-ERROR",
        "PROXY",
        "PROXY-ERROR",
        "CMETHOD",
        "CMETHOD-ERROR",
        "CMETHODS",
        "SMETHOD",
        "SMETHOD-ERROR",
        "SMETHODS",
    ];
    !bound.contains(&keyword)
}

/// The answer to a missing state location. Whether one has to come is another case's matter.
async fn env_error(bench: &Bench) -> Verdict<Negotiation> {
    let launch = bench.either().unset("TOR_PT_STATE_LOCATION");
    let (_pt, said) = launch.negotiate().await?;
    match &said.fatal {
        Some(line) if line.starts_with("ENV-ERROR") => Ok(said),
        _ => Err(Failure::NotApplicable(
            "it says no ENV-ERROR when the state location is missing".to_owned(),
        )),
    }
}

async fn version(
    bench: &Bench,
    list: &str,
) -> Verdict<(crate::instruments::process::Pt, Negotiation)> {
    bench
        .either()
        .set("TOR_PT_MANAGED_TRANSPORT_VER", list)
        .negotiate()
        .await
}

/// Tells with which value of a variable a deviation was seen.
pub(super) fn failed_with(variable: &str, value: &str, failure: Failure) -> Failure {
    match failure {
        Failure::Deviation(text) => Failure::Deviation(format!("with {variable}={value}: {text}")),
        other => other,
    }
}

/// Starts it, expects one fatal line with this keyword on stdout as its last configuration line, and a failing exit.
pub(super) async fn fails_with(keyword: &str, launch: Launch) -> Verdict<Negotiation> {
    let (mut pt, said) = launch.negotiate().await?;
    match &said.fatal {
        Some(line) if line.split(' ').next() == Some(keyword) => {}
        Some(line) => deviation!("expected {keyword}, but it says {line:?}"),
        None => deviation!("expected {keyword} on stdout; it says {:?}", said.lines),
    }
    let exit = pt.must_exit(SOON).await?;
    ensure!(failed(exit), "after {keyword} the process ends with {exit}");
    let late: Vec<_> = pt.after_negotiation();
    let bound = late.iter().find(|line| !is_free(line));
    ensure!(bound.is_none(), "after {keyword} it says {bound:?}");
    Ok(said)
}

fn failed(exit: Exit) -> bool {
    exit.code.is_some_and(|code| code != 0)
}
