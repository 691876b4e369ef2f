//! The lines of a client's transports, and the SOCKS port behind each (pt-spec 2 and 3.3.2).

use std::net::SocketAddr;

use super::CLIENT;
use crate::bench::Bench;
use crate::case::{Case, Level, run};
use crate::cases::launching::{self, Role, only_log_and_status, run_as};
use crate::instruments::listeners::listening;
use crate::instruments::negotiation::Args;
use crate::instruments::socks::{self, Socks, Target, greeting};
use crate::instruments::upstream::dead_address;
use crate::instruments::wire::{A_WHILE, SOON, dial, due, hex};
use crate::verdict::{Verdict, deviation, ensure};

pub(super) const CASES: &[Case] = &[
    Case {
        id: "pt-2/socks-port-on-loopback",
        line: 44,
        requirement: "The SOCKS port is bound to a loopback address: nobody else's traffic can be sent through it.",
        reference: "pt-spec 2: the client application reaches the PT client over local loopback",
        reading: "The socket counts, as the kernel lists it, not only the address in the CMETHOD line.",
        check: run!(loopback),
        ..CLIENT
    },
    Case {
        id: "pt-3.3.2/two-clients-side-by-side",
        line: 44,
        requirement: "The SOCKS port is one that the kernel chose: two clients of the same transport run side by side.",
        reference: "pt-spec 3.3.2, CMETHOD reports the port; no variable sets it",
        check: run!(side_by_side),
        ..CLIENT
    },
    Case {
        id: "pt-3.3.2/listens-before-cmethod",
        line: 44,
        requirement: "The socket listens before the CMETHOD line is written.",
        reference: "pt-spec 3.3.2: CMETHOD signals that the transport has been launched; the order of system calls is looked at",
        check: run_as!(Client, launching::listens_first),
        ..CLIENT
    },
    Case {
        id: "pt-3.3.2/answers-from-cmethod-on",
        line: 44,
        requirement: "A connection that is made as soon as the CMETHOD line is out is accepted and answered.",
        reference: "pt-spec 3.3.2: CMETHOD signals that the transport has been launched",
        check: run!(answers_at_once),
        ..CLIENT
    },
    Case {
        id: "pt-3.3.2/cmethod-grammar",
        line: 45,
        requirement: "A CMETHOD line has the name, socks4 or socks5, and an address, each behind one blank, and nothing else.",
        reference: "pt-spec 3.3.2, CMETHOD; tor gives up on another protocol word, Arti splits at single blanks",
        check: run!(grammar),
        ..CLIENT
    },
    Case {
        id: "pt-3.3.2/cmethod-address",
        line: 45,
        requirement: "The address in a CMETHOD line is an IP literal (an IPv6 one in brackets) and a port other than 0.",
        reference: "pt-spec 3.3.2, CMETHOD; tor gives up on a host name or port 0",
        check: run!(address),
        ..CLIENT
    },
    Case {
        id: "pt-2/socks5-is-preferred",
        line: 45,
        level: Level::Should,
        requirement: "The SOCKS port speaks SOCKS5 rather than SOCKS4.",
        reference: "pt-spec 2: SHOULD prefer SOCKS 5 over SOCKS 4",
        check: run!(socks5),
        ..CLIENT
    },
    Case {
        id: "pt-3.3.2/failed-transport-is-told",
        line: 46,
        requirement: "A transport that cannot be launched gets a CMETHOD-ERROR line with a reason, and CMETHODS DONE follows.",
        reference: "pt-spec 3.3.2, CMETHOD-ERROR; tor shows the text to its user",
        reading: "What fails is the SOCKS port: bind and listen report that the address is in use.",
        check: run_as!(Client, launching::failure_is_told),
        ..CLIENT
    },
    Case {
        id: "pt-3.3.2/failed-transport-is-survived",
        line: 46,
        requirement: "A process whose only transport could not be launched goes on running.",
        reference: "pt-spec 3.3.1 and 3.3.2: VERSION-ERROR, ENV-ERROR and PROXY-ERROR end the process, CMETHOD-ERROR does not; tor restarts what exits every second",
        check: run_as!(Client, launching::failure_is_survived),
        ..CLIENT
    },
    Case {
        id: "pt-3.3.2/cmethods-done-once",
        line: 47,
        requirement: "CMETHODS DONE comes exactly once, after the line of every transport.",
        reference: "pt-spec 3.3.2, CMETHODS DONE",
        check: run_as!(Client, launching::done_once),
        ..CLIENT
    },
    Case {
        id: "pt-3.3.2/cmethods-done-without-a-transport",
        line: 47,
        requirement: "CMETHODS DONE comes also when none of the names is known.",
        reference: "pt-spec 3.3.2, notes: a proxy may immediately output CMETHODS DONE; tor waits for it for ever",
        check: run_as!(Client, launching::done_without_a_transport),
        ..CLIENT
    },
    Case {
        id: "pt-3.3.2/runs-without-a-transport",
        line: 48,
        requirement: "With no transport launched the process goes on running.",
        reference: "pt-spec 3.3.2, notes, and Dispatcher IPC 1.2.2.1: it does not result in termination; tor restarts what exits every second",
        check: run_as!(Client, launching::runs_without_a_transport),
        ..CLIENT
    },
    Case {
        id: "tor-transports/quiet-after-cmethods-done",
        line: 49,
        level: Level::Real,
        requirement: "After CMETHODS DONE nothing but LOG and STATUS lines is written on stdout, whatever happens on the SOCKS port.",
        reference: "pt-spec 3.3.2: the initialization is complete; a late CMETHOD or DONE makes tor give the process up, and itself abort at the next SIGHUP",
        limit: std::time::Duration::from_secs(60),
        check: run!(quiet_after_done),
        ..CLIENT
    },
];

async fn loopback(bench: &Bench) -> Verdict {
    let ready = bench.client().ready().await?;
    let addr = ready.method.addr;
    ensure!(addr.ip().is_loopback(), "the SOCKS port is at {addr}");
    let bound = listening(ready.pt.pid())?;
    let open = bound
        .iter()
        .find(|at| at.port() == addr.port() && !at.ip().to_canonical().is_loopback());
    ensure!(
        open.is_none(),
        "its line says {addr}, its socket listens at {open:?}"
    );
    Ok(())
}

async fn side_by_side(bench: &Bench) -> Verdict {
    let first = bench.client().ready().await?;
    let second = bench.client().ready().await?;
    let (one, other) = (first.method.addr, second.method.addr);
    ensure!(one != other, "two clients at a time both announce {one}");
    drop((dial(one).await?, dial(other).await?));
    Ok(())
}

async fn answers_at_once(bench: &Bench) -> Verdict {
    let pt = bench.client().start().await?;
    let prefix = format!("CMETHOD {} ", bench.transport());
    let Some(line) = pt.says(SOON, |line| line.starts_with(&prefix)).await else {
        deviation!("no CMETHOD line for {} within {SOON:?}", bench.transport());
    };
    let mut words = line[prefix.len()..].split(' ');
    let (protocol, addr) = (words.next(), words.next());
    let addr: Option<SocketAddr> = addr.and_then(|addr| addr.parse().ok());
    let Some(addr) = addr else {
        deviation!("no address in {line:?}");
    };
    let stream = dial(addr).await?;
    if protocol == Some("socks5") {
        let mut socks = Socks::over(stream);
        socks.send(&greeting(&[0])).await;
        match socks.read(2).await {
            Ok(answer) if answer == [5, 0] => {}
            Ok(answer) => deviation!("a greeting is answered with {}", hex(&answer)),
            Err(cut) => deviation!("a greeting is not answered: {cut}"),
        }
    }
    Ok(())
}

async fn grammar(bench: &Bench) -> Verdict {
    let said = launching::done(bench.client()).await?;
    let lines = Role::Client.launched(&said);
    ensure!(!lines.is_empty(), "no CMETHOD line: {:?}", said.lines);
    for line in lines {
        let words: Vec<_> = line.split(' ').collect();
        ensure!(
            words.len() == 3 && ["socks4", "socks5"].contains(&words[1]),
            "expected `CMETHOD {} socks5 127.0.0.1:port`, got \"CMETHOD {line}\"",
            bench.transport()
        );
    }
    Ok(())
}

async fn address(bench: &Bench) -> Verdict {
    let said = launching::done(bench.client()).await?;
    let lines = Role::Client.launched(&said);
    ensure!(!lines.is_empty(), "no CMETHOD line: {:?}", said.lines);
    for line in lines {
        let addr = line
            .split_whitespace()
            .nth(2)
            .and_then(|addr| addr.parse::<SocketAddr>().ok());
        ensure!(
            addr.is_some_and(|addr| addr.port() != 0),
            "no usable address in \"CMETHOD {line}\""
        );
    }
    Ok(())
}

async fn socks5(bench: &Bench) -> Verdict {
    let ready = bench.client().ready().await?;
    let protocol = ready.method.protocol;
    ensure!(protocol == "socks5", "its SOCKS port speaks {protocol:?}");
    Ok(())
}

/// Does on the SOCKS port what could make a program talk: what is no SOCKS, half a greeting, a command and a bridge that
/// do not exist.
async fn quiet_after_done(bench: &Bench) -> Verdict {
    let args = bench.bridge_args().await?;
    let mut ready = bench.client().ready().await?;
    let addr = ready.method.addr;
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"\x04\x01\x00\x09",
        b"\x05",
        b"\x05\x01\x00\x05\x09\x00\x01",
    ] {
        let mut socks = Socks::dial(addr).await?;
        socks.send(bytes).await;
        socks.finish().await;
        socks.ends(A_WHILE).await;
    }
    let nobody = dead_address()?;
    let target = Target::Ip(nobody.addr());
    for args in [
        Args::new(),
        args.to_vec(),
        vec![("pt_spec_no_such".to_owned(), "argument".to_owned())],
    ] {
        // Refused or not, and however late: what counts is what it says on stdout meanwhile.
        let _ = due(
            "a reply",
            A_WHILE,
            socks::open(addr, &args, &target, A_WHILE),
        )
        .await;
    }
    ready.pt.close_stdin();
    ready.pt.exit(SOON).await?;
    only_log_and_status(&ready.pt.after_negotiation())
}
