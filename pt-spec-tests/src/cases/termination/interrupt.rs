//! Signals that do not end a process at once: SIGINT, which asks for an orderly end, and SIGHUP, which asks for nothing.

use std::net::SocketAddr;
use std::time::Duration;

use rustix::process::Signal;

use super::{carries, ends, ends_with_0, serves, sides};
use crate::bench::Bench;
use crate::case::{Case, Level, Side, run};
use crate::cases::launching::Role;
use crate::instruments::listeners::listening;
use crate::instruments::pair::Pair;
use crate::instruments::process::Pt;
use crate::instruments::wire::{A_WHILE, SOON, eventually};
use crate::verdict::{Verdict, deviation};

/// Where the way in which SIGINT is read here comes from.
const CONVENTION: &str = "pt-spec 3.4: SHOULD handle the system's mechanisms to terminate gracefully; older versions of it, goptlib and obfs4proxy: SIGINT lets connections finish";

const READING: &str = "SIGINT is the orderly end, SIGTERM the prompt one.";

/// The base of the cases about SIGINT with a connection open.
const DRAINING: Case = Case {
    line: 89,
    level: Level::Should,
    side: Side::Both,
    limit: Duration::from_secs(60),
    reference: CONVENTION,
    reading: READING,
    ..Case::BASE
};

pub(super) const CASES: &[Case] = &[
    Case {
        id: "pt-3.4/sigint-without-connections",
        requirement: "SIGINT ends a process without connections at once, with 0.",
        side: Side::Either,
        check: run!(sigint_idle),
        ..DRAINING
    },
    Case {
        id: "pt-3.4/sigint-closes-the-ports",
        requirement: "After SIGINT, with a connection open, no new connection is accepted.",
        check: run!(sigint_closes),
        ..DRAINING
    },
    Case {
        id: "pt-3.4/sigint-lets-connections-finish",
        requirement: "After SIGINT an open connection goes on carrying bytes both ways.",
        check: run!(sigint_drains),
        ..DRAINING
    },
    Case {
        id: "pt-3.4/sigint-ends-with-the-last-connection",
        requirement: "After SIGINT the process ends, with 0, as soon as its last connection has ended.",
        check: run!(sigint_last),
        ..DRAINING
    },
    Case {
        id: "pt-3.4/second-sigint",
        requirement: "A second SIGINT ends the process without waiting for open connections.",
        check: run!(second_sigint),
        ..DRAINING
    },
    Case {
        id: "pt-3.4/sigterm-after-sigint",
        requirement: "SIGTERM ends a process that waits for its connections after SIGINT.",
        check: run!(sigterm_after_sigint),
        ..DRAINING
    },
    Case {
        id: "pt-3.4/sighup-changes-nothing",
        line: 94,
        level: Level::Should,
        requirement: "SIGHUP does not end a process, nor keep it from serving.",
        reference: "tor does not pass SIGHUP on, but terminals and service managers send it to everybody",
        check: run!(sighup),
        ..Case::BASE
    },
];

async fn sigint_idle(bench: &Bench) -> Verdict {
    for (role, launch) in sides(bench) {
        let mut ready = launch.ready().await?;
        ready.pt.signal(Signal::INT);
        let what = format!("{role:?}: after SIGINT, with no connection open");
        ends_with_0(&mut ready.pt, &what).await?;
    }
    Ok(())
}

async fn sigint_closes(bench: &Bench) -> Verdict {
    for role in [Role::Client, Role::Server] {
        let mut pair = Pair::start(bench).await?;
        let _tunnel = pair.open().await?;
        interrupted(&mut pair, role).await?;
    }
    Ok(())
}

async fn sigint_drains(bench: &Bench) -> Verdict {
    for role in [Role::Client, Role::Server] {
        let mut pair = Pair::start(bench).await?;
        let mut tunnel = pair.open().await?;
        interrupted(&mut pair, role).await?;
        let (pt, _) = end(&mut pair, role);
        pt.must_run().await?;
        carries(&mut tunnel, &format!("{role:?}: after SIGINT")).await?;
    }
    Ok(())
}

async fn sigint_last(bench: &Bench) -> Verdict {
    for role in [Role::Client, Role::Server] {
        let mut pair = Pair::start(bench).await?;
        let mut tunnel = pair.open().await?;
        interrupted(&mut pair, role).await?;
        carries(&mut tunnel, &format!("{role:?}: after SIGINT")).await?;
        drop(tunnel);
        let what = format!("{role:?}: after SIGINT and the end of the last connection");
        ends_with_0(end(&mut pair, role).0, &what).await?;
    }
    Ok(())
}

async fn second_sigint(bench: &Bench) -> Verdict {
    twice(bench, Signal::INT, "a second SIGINT").await
}

async fn sigterm_after_sigint(bench: &Bench) -> Verdict {
    twice(bench, Signal::TERM, "SIGINT and SIGTERM").await
}

async fn twice(bench: &Bench, signal: Signal, what: &str) -> Verdict {
    for role in [Role::Client, Role::Server] {
        let mut pair = Pair::start(bench).await?;
        let _tunnel = pair.open().await?;
        interrupted(&mut pair, role).await?;
        let (pt, _) = end(&mut pair, role);
        pt.signal(signal);
        ends(
            pt,
            &format!("{role:?}: after {what}, with a connection open"),
        )
        .await?;
    }
    Ok(())
}

/// Sends SIGINT to one of the two, and waits until its port is closed.
async fn interrupted(pair: &mut Pair, role: Role) -> Verdict {
    let (pt, port) = end(pair, role);
    pt.signal(Signal::INT);
    // Asking the port itself would find whoever else was given it by then.
    let pid = pt.pid();
    let closed = || {
        let open = listening(pid).is_ok_and(|ports| ports.contains(&port));
        (!open).then_some(())
    };
    if eventually(SOON, closed).await.is_none() {
        deviation!("{role:?}: {SOON:?} after SIGINT it still listens at {port}");
    }
    Ok(())
}

fn end(pair: &mut Pair, role: Role) -> (&mut Pt, SocketAddr) {
    match role {
        Role::Client => (&mut pair.client, pair.socks),
        Role::Server => (&mut pair.bridge.server, pair.bridge.door),
    }
}

async fn sighup(bench: &Bench) -> Verdict {
    for (role, launch) in sides(bench) {
        let mut ready = launch.ready().await?;
        ready.pt.signal(Signal::HUP);
        if let Some(exit) = ready.pt.exit(A_WHILE).await? {
            deviation!("{role:?}: SIGHUP ends the process: {exit}");
        }
        serves(role, &mut ready, &format!("{role:?}: after SIGHUP")).await?;
    }
    Ok(())
}
