//! The lines that tell clients how to reach a server (pt-spec 3.3.3).

use std::net::SocketAddr;

use super::SERVER;
use crate::bench::{Bench, UNUSED_ORPORT};
use crate::case::{Case, Level, Side, run};
use crate::cases::launching::{Role, done};
use crate::instruments::listeners::door;
use crate::instruments::negotiation::smethod_args;
use crate::instruments::pair::Pair;
use crate::instruments::wire::{SOON, dial};
use crate::verdict::{Failure, Verdict, deviation, ensure};

const BINDADDR: &str = "TOR_PT_SERVER_BINDADDR";

pub(super) const CASES: &[Case] = &[
    Case {
        id: "pt-3.3.3/smethod-grammar",
        line: 67,
        requirement: "An SMETHOD line has the name, an address and at most options, each behind one blank.",
        reference: "pt-spec 3.3.3, SMETHOD",
        check: run!(grammar),
        ..SERVER
    },
    Case {
        id: "pt-3.3.3/smethod-address",
        line: 67,
        requirement: "The address in an SMETHOD line is an IP literal (an IPv6 one in brackets) and a port other than 0.",
        reference: "pt-spec 3.3.3, SMETHOD; tor gives up on a host name or port 0",
        check: run!(address),
        ..SERVER
    },
    Case {
        id: "pt-3.3.3/smethod-address-is-real",
        line: 67,
        requirement: "Asked for port 0, the server announces the port that it got: connections to it are accepted.",
        reference: "pt-spec 3.3.3: the address and port that clients should use",
        check: run!(real),
        ..SERVER
    },
    Case {
        id: "pt-3.3.3/args-grammar",
        line: 68,
        requirement: "ARGS are key=value pairs between commas, in which equals signs, commas and backslashes are escaped with a backslash.",
        reference: "pt-spec 3.3.3, ARGS: equal signs and commas MUST be escaped; goptlib escapes backslashes too",
        check: run!(args_grammar),
        ..SERVER
    },
    Case {
        id: "tor-transports/args-come-first",
        line: 68,
        level: Level::Real,
        requirement: "ARGS is the first option of the line, and there is no blank in it.",
        reference: "tor splits the line at blanks and looks at the first option only (transports.c, parse_smethod_line)",
        check: run!(args_first),
        ..SERVER
    },
    Case {
        id: "tor-transports/args-stay-the-same",
        line: 68,
        level: Level::Should,
        requirement: "A server that is started again with the same state directory announces the same ARGS, in the same order.",
        reference: "pt-spec 3.2.1: state is persisted across invocations; bridge lines that were handed out hold the ARGS",
        reading: "SHOULD, since no text says that ARGS last; bridge lines that were handed out are useless otherwise.",
        check: run!(args_stay),
        ..SERVER
    },
    Case {
        id: "tor-transports/args-need-no-escapes",
        line: 69,
        level: Level::Should,
        requirement: "Keys and values of ARGS are chosen such that nothing in them has to be escaped.",
        reference: "transports.c: tor copies ARGS with their backslashes into the descriptor and its file of bridge lines, where it turns every comma into a blank",
        check: run!(no_escapes),
        ..SERVER
    },
    Case {
        id: "pt-3.3.3/announced-address-is-good-for-clients",
        line: 70,
        level: Level::Should,
        side: Side::Both,
        requirement: "A client that is given the announced address and ARGS reaches the server, whether the address is real or not.",
        reference: "pt-spec 3.3.3: the address and port that clients should use to reach the reverse proxy",
        reading: "A synthetic address is allowed to a transport whose clients do not dial it, as webtunnel's.",
        check: run!(good_for_clients),
        ..SERVER
    },
];

/// What stands behind `SMETHOD` and the transport's name.
async fn lines(bench: &Bench) -> Verdict<Vec<String>> {
    let said = done(bench.server(UNUSED_ORPORT)).await?;
    let lines = Role::Server.launched(&said);
    ensure!(!lines.is_empty(), "no SMETHOD line: {:?}", said.lines);
    Ok(lines.into_iter().map(str::to_owned).collect())
}

/// The text behind `ARGS:`, on the first line that has some.
async fn args(bench: &Bench) -> Verdict<String> {
    let lines = lines(bench).await?;
    let found = lines.iter().find_map(|line| line.split_once(" ARGS:"));
    found
        .map(|(_, args)| args.to_owned())
        .ok_or_else(|| Failure::NotApplicable("it announces no ARGS".to_owned()))
}

async fn grammar(bench: &Bench) -> Verdict {
    for line in lines(bench).await? {
        let words: Vec<_> = line.split(' ').collect();
        ensure!(
            words.len() >= 2 && words.iter().all(|word| !word.is_empty()),
            "expected `SMETHOD name address:port [options]` with single blanks, got \"SMETHOD {line}\""
        );
        // The only option that the specification knows; others may come, in the same form.
        let strange = words[2..].iter().find(|option| !option.contains(':'));
        ensure!(
            strange.is_none(),
            "{strange:?} is no option in \"SMETHOD {line}\""
        );
    }
    Ok(())
}

async fn address(bench: &Bench) -> Verdict {
    for line in lines(bench).await? {
        let addr = line
            .split_whitespace()
            .nth(1)
            .and_then(|addr| addr.parse::<SocketAddr>().ok());
        ensure!(
            addr.is_some_and(|addr| addr.port() != 0),
            "no usable address in \"SMETHOD {line}\""
        );
    }
    Ok(())
}

async fn real(bench: &Bench) -> Verdict {
    let ready = bench.server(UNUSED_ORPORT).ready().await?;
    let announced = ready.method.addr;
    if !announced.ip().is_loopback() && !announced.ip().is_unspecified() {
        return Err(Failure::NotApplicable(format!(
            "it announces the synthetic address {announced}; whether clients reach it is another case"
        )));
    }
    dial(announced).await.map(drop)
}

async fn args_grammar(bench: &Bench) -> Verdict {
    let text = args(bench).await?;
    let Some(args) = smethod_args(&text) else {
        deviation!("not key=value pairs between commas: ARGS:{text}");
    };
    ensure!(
        args.iter().all(|(key, _)| !key.is_empty()),
        "an empty key in ARGS:{text}"
    );
    let (mut escaped, mut bare) = (false, 0);
    for char in text.chars() {
        match char {
            _ if escaped => {
                ensure!(
                    "=,\\".contains(char),
                    "a backslash before {char:?} in ARGS:{text}"
                );
                escaped = false;
            }
            '\\' => escaped = true,
            '=' => bare += 1,
            _ => {}
        }
    }
    ensure!(
        bare == args.len(),
        "{bare} equals signs without a backslash for {} pairs in ARGS:{text}",
        args.len()
    );
    Ok(())
}

async fn args_first(bench: &Bench) -> Verdict {
    args(bench).await?;
    for line in lines(bench).await? {
        let options: Vec<_> = line.split(' ').skip(2).collect();
        let place = options
            .iter()
            .position(|option| option.starts_with("ARGS:"));
        ensure!(
            place.is_none_or(|place| place == 0),
            "ARGS is not the first option of \"SMETHOD {line}\""
        );
        let cut = options.iter().find(|option| !option.contains(':'));
        ensure!(
            cut.is_none(),
            "what stands behind a blank is lost to tor: {cut:?} in \"SMETHOD {line}\""
        );
    }
    Ok(())
}

async fn args_stay(bench: &Bench) -> Verdict {
    let state = bench.fresh_path("kept");
    let mut seen = Vec::new();
    let mut launch = bench.server(UNUSED_ORPORT).state(&state);
    for _ in 0..2 {
        let mut ready = launch.ready().await?;
        // tor asks for the same port again, which may be part of the ARGS.
        let bound = format!("{}-{}", bench.transport(), door(&ready.pt, &ready.method)?);
        launch = bench
            .server(UNUSED_ORPORT)
            .state(&state)
            .set(BINDADDR, bound);
        ready.pt.close_stdin();
        ready.pt.must_exit(SOON).await?;
        seen.push(ready.method.args);
    }
    ensure!(
        seen[0] == seen[1],
        "first it announces {:?}, then {:?}",
        seen[0],
        seen[1]
    );
    if seen[0].is_empty() {
        return Err(Failure::NotApplicable("it announces no ARGS".to_owned()));
    }
    Ok(())
}

async fn no_escapes(bench: &Bench) -> Verdict {
    let text = args(bench).await?;
    ensure!(!text.contains('\\'), "there are backslashes in ARGS:{text}");
    let bare = text.split(',').find(|pair| pair.matches('=').count() != 1);
    ensure!(bare.is_none(), "{bare:?} is no plain pair in ARGS:{text}");
    Ok(())
}

async fn good_for_clients(bench: &Bench) -> Verdict {
    Pair::start(bench).await?.open().await.map(drop)
}
