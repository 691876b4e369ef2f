//! Limits, environments and the time that a start takes.

use std::time::Duration;

use tokio::time::Instant;

use crate::bench::{Bench, UNUSED_ORPORT};
use crate::case::{Case, Check, Level, Side, run};
use crate::instruments::pair::Pair;
use crate::instruments::parent::Launch;
use crate::instruments::wire::{SOON, eventually};
use crate::verdict::{Failure, Verdict, deviation, ensure};

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "unix-setrlimit/descriptor-limit-is-raised",
        line: 129,
        level: Level::Should,
        side: Side::Either,
        requirement: "The soft limit of open files is raised to the hard one: tor hands down its own, often 1,024.",
        reference: "pt-spec 3 names no limit; the run-time library of Go does this since 1.19",
        check: run!(limit_is_raised),
        ..Case::BASE
    },
    Case {
        id: "pt-3.2/no-home-and-no-path",
        line: 130,
        level: Level::Should,
        side: Side::Either,
        requirement: "It starts without HOME, TMPDIR and PATH in its environment, as in a container.",
        reference: "pt-spec 3.2: the variables of the contract are all that a parent has to set",
        check: run!(no_home),
        ..Case::BASE
    },
    Case {
        id: "pt-3.2/root-as-working-directory",
        line: 130,
        level: Level::Should,
        side: Side::Either,
        requirement: "It starts with / as its working directory, where a service has it.",
        reference: "pt-spec 3.2; tor does not change the directory for what it starts",
        check: run!(in_the_root),
        ..Case::BASE
    },
    Case {
        id: "pt-2/tunnel-in-a-bare-environment",
        line: 130,
        level: Level::Should,
        side: Side::Both,
        requirement: "Client and server carry a connection with nothing in their environment but the contract's variables, and / as their working directory.",
        reference: "pt-spec 2 and 3.2",
        check: run!(bare_tunnel),
        ..Case::BASE
    },
    Case {
        id: "pt-3/profiles-and-capabilities",
        line: 130,
        level: Level::Should,
        requirement: "It works under a profile that allows it its state directory alone, and with capabilities of its file.",
        reference: "pt-spec 3; the kernel clears its parent's death signal where a file has capabilities",
        check: Check::Outside(
            "a profile and the capabilities of a file take privileges that the suite does not ask for",
        ),
        ..Case::BASE
    },
    Case {
        id: "tor-transports/client-starts-at-once",
        line: 131,
        level: Level::Should,
        side: Side::Client,
        requirement: "A client comes to CMETHODS DONE within a second, without a network.",
        reference: "tor builds no circuit before; Arti waits for 30 s",
        reading: "The fastest of five starts counts.",
        check: run!(client_starts),
        ..Case::BASE
    },
    Case {
        id: "tor-transports/server-starts-at-once",
        line: 131,
        level: Level::Should,
        side: Side::Server,
        requirement: "A server comes to SMETHODS DONE within a second, its first start with new keys included.",
        reference: "tor publishes no descriptor with the transport before",
        reading: "The fastest of five starts counts.",
        check: run!(server_starts),
        ..Case::BASE
    },
];

async fn limit_is_raised(bench: &Bench) -> Verdict {
    let ready = bench.either().limited("-Sn 256").ready().await?;
    let pid = ready.pt.pid();
    let raised = eventually(SOON, || {
        let (soft, hard) = open_files(pid).ok()?;
        (soft == hard).then_some(())
    });
    if raised.await.is_none() {
        let (soft, hard) = open_files(pid)?;
        deviation!("started with a soft limit of 256 open files it has {soft} of {hard}");
    }
    Ok(())
}

/// The soft and the hard limit of open files.
fn open_files(pid: u32) -> Verdict<(String, String)> {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits"))?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let mut words = line
        .unwrap_or_default()
        .split_whitespace()
        .map(str::to_owned);
    match (words.next(), words.next()) {
        (Some(soft), Some(hard)) => Ok((soft, hard)),
        _ => Err(Failure::Instrument(
            "no limit of open files in /proc".to_owned(),
        )),
    }
}

fn bare(launch: Launch) -> Launch {
    launch.unset("HOME").unset("TMPDIR").unset("PATH")
}

async fn no_home(bench: &Bench) -> Verdict {
    bare(bench.either()).ready().await.map(drop)?;
    // Set and empty is another thing than missing.
    let empty = bench
        .either()
        .set("HOME", "")
        .set("TMPDIR", "")
        .set("PATH", "");
    empty.ready().await.map(drop)
}

async fn in_the_root(bench: &Bench) -> Verdict {
    bench.either().cwd("/").ready().await.map(drop)
}

async fn bare_tunnel(bench: &Bench) -> Verdict {
    let pair = Pair::start_with(
        bench,
        |server| bare(server).cwd("/"),
        |client| bare(client).cwd("/"),
    )
    .await?;
    pair.open().await.map(drop)
}

async fn client_starts(bench: &Bench) -> Verdict {
    starts_at_once(|| bench.client()).await
}

async fn server_starts(bench: &Bench) -> Verdict {
    starts_at_once(|| bench.server(UNUSED_ORPORT)).await
}

async fn starts_at_once(launch: impl Fn() -> Launch) -> Verdict {
    let mut best = SOON;
    for _ in 0..5 {
        let start = Instant::now();
        launch().ready().await?;
        best = best.min(start.elapsed());
    }
    ensure!(
        best < Duration::from_secs(1),
        "the fastest of five starts takes {best:.2?}"
    );
    Ok(())
}
