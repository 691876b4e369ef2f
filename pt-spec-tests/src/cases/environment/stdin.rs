//! stdin: closed, it ends a process that was told so (`TOR_PT_EXIT_ON_STDIN_CLOSE`) and no other; what is written to it
//! means nothing.

use std::time::Duration;

use super::sides;
use crate::bench::Bench;
use crate::case::{Case, Level, run};
use crate::instruments::listeners::door;
use crate::instruments::parent::{Ready, Stdin};
use crate::instruments::process::Pt;
use crate::instruments::wire::{A_WHILE, SOON, dial};
use crate::verdict::{Failure, Verdict, ensure};

/// The cases, in the ledger's order.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "pt-3.2.1/stdin-close-is-no-signal-by-itself",
        line: 18,
        requirement: "Without TOR_PT_EXIT_ON_STDIN_CLOSE a closed stdin ends nothing.",
        reference: "pt-spec 3.2.1: PTs MUST NOT treat a closed stdin as a signal to terminate unless the variable is set to 1",
        limit: PATIENT,
        check: run!(no_signal_by_itself),
        ..Case::BASE
    },
    Case {
        id: "pt-3.2.1/stdin-dev-null",
        line: 18,
        requirement: "Without TOR_PT_EXIT_ON_STDIN_CLOSE a process whose stdin is /dev/null, or closed from the start, is launched and stays.",
        reference: "pt-spec 3.2.1; how daemons are started",
        limit: PATIENT,
        check: run!(stdin_was_never_open),
        ..Case::BASE
    },
    Case {
        id: "pt-3.2.1/stdin-close-only-with-1",
        line: 18,
        requirement: "Any other value of TOR_PT_EXIT_ON_STDIN_CLOSE than 1 is as good as none.",
        reference: "pt-spec 3.2.1: unless this environment variable is set to \"1\"",
        reading: "Word for word: neither 0 nor true, yes, 11 or the empty string is \"1\".",
        limit: PATIENT,
        check: run!(only_with_1),
        ..Case::BASE
    },
    Case {
        id: "pt-3.4/stdin-close-ends-it",
        line: 19,
        level: Level::Should,
        requirement: "With TOR_PT_EXIT_ON_STDIN_CLOSE=1 the process exits with code 0 when its stdin is closed.",
        reference: "pt-spec 3.2.1 and 3.4; tor always sets the variable, and Arti relies on it",
        limit: PATIENT,
        check: run!(close_ends_it),
        ..Case::BASE
    },
    Case {
        id: "pt-3.4/stdin-closed-at-start",
        line: 19,
        level: Level::Should,
        requirement: "With TOR_PT_EXIT_ON_STDIN_CLOSE=1 and a stdin that is closed already, the negotiation comes to its end before the process exits with code 0.",
        reference: "pt-spec 3.3 and 3.4: a parent that waits for DONE is not left without it",
        reading: "A parent that wants nothing but the lines may close stdin at once.",
        limit: PATIENT,
        check: run!(closed_at_start),
        ..Case::BASE
    },
    Case {
        id: "pt-3.4/stdin-read-error",
        line: 19,
        level: Level::Should,
        requirement: "With TOR_PT_EXIT_ON_STDIN_CLOSE=1 an error in reading stdin counts as its end.",
        reference: "pt-spec 3.4: a parent that cannot be heard any more is gone",
        reading: "stdin is open for writing only here, so that read() fails with EBADF.",
        limit: PATIENT,
        check: run!(read_error),
        ..Case::BASE
    },
    Case {
        id: "pt-3.2.1/stdin-data-means-nothing",
        line: 20,
        requirement: "Bytes on stdin, lines of the protocol among them, change nothing.",
        reference: "pt-spec 3.2.1 and 3.4: only the end of stdin has a meaning",
        limit: PATIENT,
        check: run!(data_means_nothing),
        ..Case::BASE
    },
    Case {
        id: "pt-3.2.1/stdin-is-drained",
        line: 20,
        requirement: "With TOR_PT_EXIT_ON_STDIN_CLOSE=1 stdin is read as fast as the parent writes, and its end is seen behind any number of bytes.",
        reference: "pt-spec 3.2.1 and 3.4: the process monitors stdin; a full pipe would stop the parent and hide the end",
        reading: "No end can be noticed behind bytes that are not read.",
        limit: PATIENT,
        check: run!(stdin_is_drained),
        ..Case::BASE
    },
];

/// For cases that start many processes on a busy machine.
const PATIENT: Duration = Duration::from_secs(60);

const VARIABLE: &str = "TOR_PT_EXIT_ON_STDIN_CLOSE";

/// More than a pipe holds.
const MUCH: usize = 256 << 10;

async fn no_signal_by_itself(bench: &Bench) -> Verdict {
    for launch in sides(bench) {
        let mut ready = launch.unset(VARIABLE).ready().await?;
        ready.pt.close_stdin();
        stays(&mut ready, A_WHILE).await?;
    }
    Ok(())
}

async fn stdin_was_never_open(bench: &Bench) -> Verdict {
    for stdin in [Stdin::Null, Stdin::Ended] {
        for launch in sides(bench) {
            let mut ready = launch.unset(VARIABLE).stdin(stdin).ready().await?;
            stays(&mut ready, A_WHILE).await?;
        }
    }
    Ok(())
}

async fn only_with_1(bench: &Bench) -> Verdict {
    let mut running = Vec::new();
    for value in ["", "0", "true", "yes", "11", "1 ", "01"] {
        let mut ready = bench.either().set(VARIABLE, value).ready().await?;
        ready.pt.close_stdin();
        running.push((value, ready));
    }
    // All have had the while of the first.
    let mut within = A_WHILE;
    for (value, ready) in &mut running {
        stays(ready, within).await.map_err(|failure| {
            failure.when(format_args!("with the value {value:?} and stdin closed"))
        })?;
        within = Duration::ZERO;
    }
    Ok(())
}

/// Expects it to run on, and to accept connections.
async fn stays(ready: &mut Ready, within: Duration) -> Verdict {
    let ended = ready.pt.exit(within).await?;
    if let Some(exit) = ended {
        return Err(Failure::Deviation(format!("the process has ended: {exit}")));
    }
    dial(door(&ready.pt, &ready.method)?).await.map(drop)
}

async fn close_ends_it(bench: &Bench) -> Verdict {
    for launch in sides(bench) {
        let mut ready = launch.ready().await?;
        ready.pt.close_stdin();
        ends_well(&mut ready.pt).await?;
    }
    Ok(())
}

async fn closed_at_start(bench: &Bench) -> Verdict {
    for launch in sides(bench) {
        let mut ready = launch.stdin(Stdin::Ended).ready().await?;
        ends_well(&mut ready.pt).await?;
    }
    Ok(())
}

async fn read_error(bench: &Bench) -> Verdict {
    for launch in sides(bench) {
        let unreadable = ["/bin/sh", "-c", "exec \"$0\" \"$@\" 0>/dev/null"];
        let mut ready = launch.through(&unreadable).ready().await?;
        ends_well(&mut ready.pt).await?;
    }
    Ok(())
}

async fn ends_well(pt: &mut Pt) -> Verdict {
    let exit = pt.must_exit(SOON).await?;
    ensure!(
        exit.code == Some(0),
        "it ends with {exit} instead of exit code 0"
    );
    Ok(())
}

async fn data_means_nothing(bench: &Bench) -> Verdict {
    let data =
        b"\n1\nVERSION-ERROR no-version\nCMETHODS DONE\nquit\n\x00\x03\x04\x1a\xff no line feed";
    for value in [None, Some("1")] {
        for launch in sides(bench) {
            let launch = match value {
                None => launch.unset(VARIABLE),
                Some(value) => launch.set(VARIABLE, value),
            };
            let mut ready = launch.ready().await?;
            // A process that does not care for its stdin may have closed it.
            ready.pt.write_stdin(data, SOON).await;
            stays(&mut ready, A_WHILE).await.map_err(|failure| {
                failure.when(format_args!("after {} bytes on stdin", data.len()))
            })?;
        }
    }
    Ok(())
}

async fn stdin_is_drained(bench: &Bench) -> Verdict {
    let mut ready = bench.either().ready().await?;
    let taken = ready.pt.write_stdin(&vec![b'x'; MUCH], 2 * SOON).await;
    ready.pt.must_run().await?;
    ensure!(
        taken,
        "it does not read the {MUCH} bytes on its stdin within {:?}",
        2 * SOON
    );
    ready.pt.close_stdin();
    ends_well(&mut ready.pt).await
}
