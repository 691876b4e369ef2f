//! `LOG` lines (pt-spec 3.3.4): what tor and Arti make of them.
//!
//! No process has to write any: one that writes none while everything goes wrong has nothing to be judged here.

use tokio::io::AsyncWriteExt;

use super::mischief::{A_LAST_WORD, PATIENT, Role, Said, all, end, over};
use crate::bench::{Bench, UNUSED_ORPORT};
use crate::case::{Case, Level, Side, run};
use crate::instruments::grammar::{self, SEVERITIES};
use crate::instruments::pair::Pair;
use crate::instruments::socks::{self, Target};
use crate::instruments::upstream::dead_address;
use crate::instruments::wire::{A_WHILE, SOON, read_to_end};
use crate::verdict::{Failure, Verdict, ensure};

/// The cases, in the ledger's order.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "pt-3.3.4/severities",
        line: 77,
        requirement: "The severity of a LOG line is error, warning, notice, info or debug.",
        reference: "pt-spec 3.3.4; tor answers any other word with a warning of its own",
        limit: PATIENT,
        check: run!(severities),
        ..Case::BASE
    },
    Case {
        id: "pt-3.3.4/severity-then-message",
        line: 77,
        requirement: "A LOG line has SEVERITY, then MESSAGE, and nothing else.",
        reference: "pt-spec 3.3.4; Arti reads them in this order only",
        limit: PATIENT,
        check: run!(severity_then_message),
        ..Case::BASE
    },
    Case {
        id: "pt-3.3.4/message-is-quoted",
        line: 78,
        requirement: "MESSAGE stands in double quotes, and ends at the closing one.",
        reference: "pt-spec 3.3.4: String or CString of control-spec 2, both of which are quoted; tor refuses blanks outside of quotes",
        limit: PATIENT,
        check: run!(message_is_quoted),
        ..Case::BASE
    },
    Case {
        id: "tor-cstring/escapes-tor-knows",
        line: 79,
        level: Level::Real,
        requirement: "Behind a backslash in MESSAGE stands what tor can undo: a backslash, a quote, n, r, t, up to three octal digits or x with two hexadecimal ones, and no NUL.",
        reference: "tor, lib/encoding/cstring.c, unescape_string: any other escape makes it refuse the line",
        limit: PATIENT,
        check: run!(escapes_tor_knows),
        ..Case::BASE
    },
    Case {
        id: "tor-ptmgr/no-octal-escapes",
        line: 79,
        level: Level::Real,
        requirement: "MESSAGE has no octal escapes.",
        reference: "Arti, tor-ptmgr, ipc.rs: `attempted unsupported octal escape code` fails the launch of the transport",
        limit: PATIENT,
        check: run!(no_octal_escapes),
        ..Case::BASE
    },
    Case {
        id: "pt-3.3.4/long-texts-are-cut",
        line: 80,
        level: Level::Should,
        requirement: "However long a text is that a LOG line quotes, the line has at most 4096 bytes.",
        reference: "POSIX PIPE_BUF: up to 4096 bytes go into a pipe in one piece; tor reads lines of any length",
        reading: "The specification sets no limit; tried with a name of a transport of 20,000 letters.",
        limit: PATIENT,
        check: run!(long_texts_are_cut),
        ..Case::BASE
    },
    Case {
        id: "pt-3.3.4/no-warnings-in-ordinary-life",
        line: 81,
        level: Level::Should,
        side: Side::Both,
        requirement: "A tunnel that opens, carries bytes and closes is nothing to warn of: no LOG line has the severity error or warning.",
        reference: "pt-spec 3.3.4: tor logs these at the same severity, and its user acts upon them",
        limit: PATIENT,
        check: run!(no_warnings),
        ..Case::BASE
    },
    Case {
        id: "pt-3.3.4/strangers-cause-no-errors",
        line: 81,
        level: Level::Should,
        side: Side::Server,
        requirement: "Strangers who connect to a server, and speak something else, cause no LOG line of severity error.",
        reference: "pt-spec 3.3.4: tor shows it as [err] to somebody who can do nothing about it",
        limit: PATIENT,
        check: run!(strangers_cause_no_errors),
        ..Case::BASE
    },
];

/// `PIPE_BUF` of Linux, the line feed included.
const MOST: usize = 4096;

async fn severities(bench: &Bench) -> Verdict {
    for text in logged(bench).await? {
        let word = text
            .split("SEVERITY=")
            .nth(1)
            .and_then(|rest| rest.split(' ').next());
        ensure!(
            word.is_some_and(|word| SEVERITIES.contains(&word)),
            "the severity of {text:?} is none of {SEVERITIES:?}"
        );
    }
    Ok(())
}

async fn severity_then_message(bench: &Bench) -> Verdict {
    for text in logged(bench).await? {
        if let Err(wrong) = grammar::line(text.as_bytes()) {
            return Err(Failure::Deviation(format!("{text:?}: {wrong}")));
        }
    }
    Ok(())
}

async fn message_is_quoted(bench: &Bench) -> Verdict {
    for text in logged(bench).await? {
        match grammar::line(text.as_bytes()) {
            Ok(grammar::Said::Log(log)) => ensure!(log.message.quoted, "no quotes in {text:?}"),
            Ok(_) => {}
            Err(wrong) => return Err(Failure::Deviation(format!("{text:?}: {wrong}"))),
        }
    }
    Ok(())
}

async fn escapes_tor_knows(bench: &Bench) -> Verdict {
    for (text, log) in read(bench).await? {
        let strange = log.message.escapes.iter().find(|escape| !tor_knows(escape));
        ensure!(
            strange.is_none(),
            "tor cannot undo the escape {strange:?} in {text:?}"
        );
    }
    Ok(())
}

/// What tor undoes, of what stood behind a backslash.
fn tor_knows(escape: &str) -> bool {
    let number = |digits: &str, radix| u32::from_str_radix(digits, radix).unwrap_or(0);
    match escape.as_bytes() {
        [b'\\' | b'"' | b'\'' | b'n' | b'r' | b't'] => true,
        [b'x', digits @ ..] => digits.len() == 2 && number(&escape[1..], 16) != 0,
        [b'0'..=b'7', ..] => (1..256).contains(&number(escape, 8)),
        _ => false,
    }
}

async fn no_octal_escapes(bench: &Bench) -> Verdict {
    for (text, log) in read(bench).await? {
        let octal = log
            .message
            .escapes
            .iter()
            .find(|escape| escape.starts_with(|char: char| char.is_ascii_digit()));
        ensure!(octal.is_none(), "the octal escape {octal:?} in {text:?}");
    }
    Ok(())
}

/// All `LOG` lines that come when everything goes wrong, as texts.
async fn logged(bench: &Bench) -> Verdict<Vec<String>> {
    let said = all(bench, A_LAST_WORD).await?;
    some(
        said.iter()
            .flat_map(|said| said.with_keyword("LOG"))
            .map(|line| line.text())
            .collect(),
    )
}

/// The ones that keep the grammar, read.
async fn read(bench: &Bench) -> Verdict<Vec<(String, grammar::Log)>> {
    let said = all(bench, A_LAST_WORD).await?;
    some(said.iter().flat_map(Said::logs).collect())
}

fn some<T>(lines: Vec<T>) -> Verdict<Vec<T>> {
    match lines.is_empty() {
        true => Err(Failure::NotApplicable(
            "it writes no LOG line, whatever goes wrong".to_owned(),
        )),
        false => Ok(lines),
    }
}

async fn long_texts_are_cut(bench: &Bench) -> Verdict {
    let names = format!("{},{}", "x".repeat(20_000), bench.transport());
    if bench.subject().sides.client() {
        let launch = bench.client().set("TOR_PT_CLIENT_TRANSPORTS", &names);
        let ready = launch.ready().await?;
        let nobody = dead_address()?;
        let args = vec![("k".to_owned(), "y".repeat(500))];
        // Any reply will do.
        let _ = socks::open(ready.method.addr, &args, &Target::Ip(nobody.addr()), SOON).await;
        short(&over(ready, Role::Client, A_WHILE).await?)?;
    }
    if bench.subject().sides.server() {
        let launch = bench.server(UNUSED_ORPORT);
        let ready = launch.set("TOR_PT_SERVER_TRANSPORTS", &names);
        short(&over(ready.ready().await?, Role::Server, A_WHILE).await?)?;
    }
    Ok(())
}

fn short(said: &Said) -> Verdict {
    for line in said.with_keyword("LOG") {
        let length = line.bytes.len() + 1;
        let begin: String = line.text().chars().take(100).collect();
        ensure!(length <= MOST, "a LOG line of {length} bytes: {begin:?}…");
    }
    Ok(())
}

async fn no_warnings(bench: &Bench) -> Verdict {
    let mut pair = Pair::start(bench).await?;
    for _ in 0..3 {
        let mut tunnel = pair.open().await?;
        // Each side says goodbye in order.
        tunnel.app.shutdown().await?;
        read_to_end(&mut tunnel.tor, SOON).await;
        tunnel.tor.shutdown().await?;
        read_to_end(&mut tunnel.app, SOON).await;
    }
    end(&mut pair.client).await?;
    end(&mut pair.bridge.server).await?;
    for said in [
        Said::by(&pair.client, Role::Client),
        Said::by(&pair.bridge.server, Role::Server),
    ] {
        no_log(&said, &["error", "warning"])?;
    }
    Ok(())
}

async fn strangers_cause_no_errors(bench: &Bench) -> Verdict {
    let bridge = bench.bridge().await?;
    super::mischief::strangers(bridge.door, None).await?;
    let mut server = bridge.server;
    end(&mut server).await?;
    no_log(&Said::by(&server, Role::Server), &["error"])
}

fn no_log(said: &Said, severities: &[&str]) -> Verdict {
    let logs = said.logs();
    let loud = logs
        .iter()
        .find(|(_, log)| severities.contains(&log.severity.as_str()));
    ensure!(
        loud.is_none(),
        "{:?}: {:?}",
        said.role,
        loud.map(|(text, _)| text)
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_escapes_of_tor() {
        for escape in ["\\", "\"", "'", "n", "r", "t", "1", "101", "377", "x41"] {
            assert!(tor_knows(escape), "{escape}");
        }
        for escape in ["q", "a", "0", "000", "777", "x", "x4", "x00", " "] {
            assert!(!tor_knows(escape), "{escape}");
        }
    }
}
