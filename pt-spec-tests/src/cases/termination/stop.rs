//! A process that is to stop: SIGTERM, the end of stdin, the death of its parent (pt-spec 3.4).

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use super::{ends, ends_with_0, sides};
use crate::bench::{Bench, UNUSED_ORPORT};
use crate::case::{Case, Level, Side, run};
use crate::instruments::leftovers::children;
use crate::instruments::listeners::door;
use crate::instruments::pair::Pair;
use crate::instruments::parent::Launch;
use crate::instruments::process::Pt;
use crate::instruments::socks::{Socks, Target, connect, greeting, tor_arguments};
use crate::instruments::upstream::blackhole;
use crate::instruments::wire::{SOON, dial};
use crate::verdict::{Failure, Verdict, deviation};

pub(super) const CASES: &[Case] = &[
    Case {
        id: "tor-process/sigterm-exits-with-0",
        line: 86,
        level: Level::Real,
        requirement: "A process that SIGTERM stops exits with 0.",
        reference: "tor warns its user of any other status; pt-spec 3.4: handle SIGTERM, clean up and shut down gracefully",
        check: run!(sigterm),
        ..Case::BASE
    },
    Case {
        id: "tor-process/stdin-close-exits-with-0",
        line: 86,
        level: Level::Real,
        requirement: "A process that the end of its stdin stops exits with 0.",
        reference: "tor warns its user of any other status; pt-spec 3.4: exit gracefully",
        check: run!(stdin_close),
        ..Case::BASE
    },
    Case {
        id: "pt-3.4/parent-death-exits-with-0",
        line: 86,
        level: Level::Real,
        requirement: "A process that the death of its parent stops exits with 0.",
        reference: "pt-spec 3.4: gracefully terminate; whoever adopts it, a supervisor say, sees the status",
        check: run!(parent_death_code),
        ..Case::BASE
    },
    Case {
        id: "pt-3.4/sigterm-is-prompt",
        line: 88,
        level: Level::Should,
        side: Side::Both,
        requirement: "SIGTERM ends a process within five seconds, with 0, even while a connection is open.",
        reference: "pt-spec 3.4: SHOULD handle SIGTERM, clean up and shut down gracefully",
        reading: "Graceful is not waiting for open connections, which may last for days: tor, which asks, is going.",
        check: run!(sigterm_with_a_tunnel),
        ..Case::BASE
    },
    Case {
        id: "tor-process/second-sigterm",
        line: 88,
        level: Level::Should,
        requirement: "A second SIGTERM, 10 ms after the first, does not make the end less orderly: the exit code is 0.",
        reference: "measured: tor sends SIGTERM, and the kernel sends another (PR_SET_PDEATHSIG) 5 to 15 ms later, when tor has gone",
        check: run!(second_sigterm),
        ..Case::BASE
    },
    Case {
        id: "pt-3.4/parent-death",
        line: 90,
        level: Level::Should,
        requirement: "A process whose parent dies ends within ten seconds, although nothing is said on stdin.",
        reference: "pt-spec 3.4: SHOULD attempt to detect when the parent has terminated",
        check: run!(parent_death),
        ..Case::BASE
    },
    Case {
        id: "pt-3.4/parent-death-during-negotiation",
        line: 90,
        level: Level::Should,
        requirement: "The death of the parent is noticed also when it comes right after the VERSION line.",
        reference: "pt-spec 3.4: SHOULD attempt to detect when the parent has terminated",
        check: run!(parent_death_early),
        ..Case::BASE
    },
    Case {
        id: "pt-3.4/as-process-1",
        line: 130,
        level: Level::Should,
        requirement: "As process 1 of a container it comes to DONE, and SIGTERM ends it with 0.",
        reference: "pt-spec 3.4; the kernel delivers no signal to process 1 that it does not handle",
        check: run!(process_1),
        ..Case::BASE
    },
    Case {
        id: "pt-3.4/stdin-close-with-a-tunnel",
        line: 92,
        level: Level::Should,
        side: Side::Both,
        requirement: "After the end of stdin the process is gone within five seconds, even while a connection is open.",
        reference: "pt-spec 3.4: wait for a reasonable time; Arti kills after 5 s",
        check: run!(stdin_close_with_a_tunnel),
        ..Case::BASE
    },
    Case {
        id: "pt-3.4/stdin-close-while-dialling",
        line: 92,
        level: Level::Should,
        side: Side::Client,
        requirement: "After the end of stdin a client is gone within five seconds, even while it waits for a bridge that does not answer.",
        reference: "pt-spec 3.4: wait for a reasonable time; Arti kills after 5 s",
        check: run!(stdin_close_while_dialling),
        ..Case::BASE
    },
    Case {
        id: "pt-3.4/stdin-close-with-a-silent-client",
        line: 92,
        level: Level::Should,
        side: Side::Server,
        requirement: "After the end of stdin a server is gone within five seconds, even while a client has connected and says nothing.",
        reference: "pt-spec 3.4: wait for a reasonable time; Arti kills after 5 s",
        check: run!(stdin_close_with_a_silent_client),
        ..Case::BASE
    },
];

async fn sigterm(bench: &Bench) -> Verdict {
    for (role, launch) in sides(bench) {
        let mut ready = launch.ready().await?;
        ready.pt.signal(Signal::TERM);
        ends_with_0(&mut ready.pt, &format!("{role:?}: after SIGTERM")).await?;
    }
    Ok(())
}

async fn stdin_close(bench: &Bench) -> Verdict {
    for (role, launch) in sides(bench) {
        let mut ready = launch.ready().await?;
        ready.pt.close_stdin();
        ends_with_0(&mut ready.pt, &format!("{role:?}: after the end of stdin")).await?;
    }
    Ok(())
}

/// Without the stdin flag, ready, and its parent dead.
async fn abandoned(launch: Launch) -> Verdict<Pt> {
    let launch = launch.unset("TOR_PT_EXIT_ON_STDIN_CLOSE").orphaned();
    let mut pt = launch.ready().await?.pt;
    pt.abandon();
    Ok(pt)
}

async fn parent_death_code(bench: &Bench) -> Verdict {
    for (role, launch) in sides(bench) {
        let mut pt = abandoned(launch).await?;
        let Some(exit) = pt.exit(SOON).await? else {
            // Whether it notices at all is another case's question.
            return Err(Failure::NotApplicable(format!(
                "{role:?}: the death of its parent does not end it"
            )));
        };
        if exit.code != Some(0) {
            deviation!(
                "{role:?}: after the death of its parent the process ends with {exit} instead of exit code 0"
            );
        }
    }
    Ok(())
}

async fn sigterm_with_a_tunnel(bench: &Bench) -> Verdict {
    let mut pair = Pair::start(bench).await?;
    let _tunnel = pair.open().await?;
    pair.client.signal(Signal::TERM);
    ends_with_0(
        &mut pair.client,
        "client: after SIGTERM, with a connection open",
    )
    .await?;
    let mut pair = Pair::start(bench).await?;
    let _tunnel = pair.open().await?;
    pair.bridge.server.signal(Signal::TERM);
    ends_with_0(
        &mut pair.bridge.server,
        "server: after SIGTERM, with a connection open",
    )
    .await
}

async fn second_sigterm(bench: &Bench) -> Verdict {
    for (role, launch) in sides(bench) {
        let mut ready = launch.ready().await?;
        ready.pt.signal(Signal::TERM);
        // Not a wait for anything: what tor's end looks like.
        sleep(Duration::from_millis(10)).await;
        ready.pt.signal(Signal::TERM);
        ends_with_0(&mut ready.pt, &format!("{role:?}: after two SIGTERM")).await?;
    }
    Ok(())
}

async fn parent_death(bench: &Bench) -> Verdict {
    for (role, launch) in sides(bench) {
        let mut pt = abandoned(launch).await?;
        if pt.exit(SOON).await?.is_none() {
            deviation!("{role:?}: the process still runs {SOON:?} after its parent died");
        }
    }
    Ok(())
}

async fn parent_death_early(bench: &Bench) -> Verdict {
    for (role, launch) in sides(bench) {
        let mut pt = launch
            .unset("TOR_PT_EXIT_ON_STDIN_CLOSE")
            .orphaned()
            .start()
            .await?;
        if pt
            .says(SOON, |line| line.starts_with("VERSION "))
            .await
            .is_none()
        {
            deviation!("{role:?}: no VERSION line within {SOON:?}");
        }
        pt.abandon();
        if pt.exit(SOON).await?.is_none() {
            deviation!("{role:?}: the process still runs {SOON:?} after its parent died");
        }
    }
    Ok(())
}

/// Makes what it is given process 1, and ends as that does.
const CONTAINER: [&str; 6] = [
    "unshare",
    "--user",
    "--map-root-user",
    "--pid",
    "--fork",
    "--kill-child",
];

async fn process_1(bench: &Bench) -> Verdict {
    let allowed = Command::new(CONTAINER[0])
        .args(&CONTAINER[1..])
        .arg("true")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .status();
    if !matches!(timeout(SOON, allowed).await, Ok(Ok(status)) if status.success()) {
        return Err(Failure::NotApplicable(
            "this machine lets nobody have a process namespace".to_owned(),
        ));
    }
    for (role, launch) in sides(bench) {
        let mut ready = launch.through(&CONTAINER).ready().await?;
        let first = children(ready.pt.pid()).into_iter().next();
        let first = first.and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
        let first = first.ok_or_else(|| Failure::Instrument("no process 1".to_owned()))?;
        kill_process(first, Signal::TERM).map_err(std::io::Error::from)?;
        ends_with_0(
            &mut ready.pt,
            &format!("{role:?}: after SIGTERM, as process 1"),
        )
        .await?;
    }
    Ok(())
}

async fn stdin_close_with_a_tunnel(bench: &Bench) -> Verdict {
    let mut pair = Pair::start(bench).await?;
    let _tunnel = pair.open().await?;
    pair.client.close_stdin();
    ends(
        &mut pair.client,
        "client: after the end of stdin, with a connection open",
    )
    .await?;
    let mut pair = Pair::start(bench).await?;
    let _tunnel = pair.open().await?;
    pair.bridge.server.close_stdin();
    ends(
        &mut pair.bridge.server,
        "server: after the end of stdin, with a connection open",
    )
    .await?;
    Ok(())
}

async fn stdin_close_while_dialling(bench: &Bench) -> Verdict {
    let args = bench.bridge_args().await?;
    let nobody = blackhole().await?;
    let mut ready = bench.client().ready().await?;
    let mut socks = Socks::dial(ready.method.addr).await?;
    match tor_arguments(&args).filter(|_| !args.is_empty()) {
        Some(message) => {
            socks.send(&greeting(&[0, 2])).await;
            let _ = socks.read(2).await;
            socks.send(&message).await;
        }
        None => socks.send(&greeting(&[0])).await,
    }
    // The method, or the answer to the arguments.
    let _ = socks.read(2).await;
    socks.send(&connect(&Target::Ip(nobody.addr()))).await;
    // A reply at once is as good: then it waits for nothing, or behind the scenes.
    let _ = socks.reply_within(Duration::from_millis(300)).await;
    ready.pt.close_stdin();
    ends(
        &mut ready.pt,
        "after the end of stdin, with a bridge that does not answer",
    )
    .await?;
    Ok(())
}

async fn stdin_close_with_a_silent_client(bench: &Bench) -> Verdict {
    let mut ready = bench.server(UNUSED_ORPORT).ready().await?;
    let door = door(&ready.pt, &ready.method)?;
    let _silent = dial(door).await?;
    let mut halfway = Socks::dial(door).await?;
    halfway.send(b"\x16\x03").await;
    ready.pt.close_stdin();
    ends(
        &mut ready.pt,
        "after the end of stdin, with a client that says nothing",
    )
    .await?;
    Ok(())
}
