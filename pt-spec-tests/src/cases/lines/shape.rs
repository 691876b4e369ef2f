//! Lines: their grammar, that they are whole, and that there is nothing else (pt-spec 3.3).

use tokio::task::JoinSet;

use super::mischief::{self, FOREIGN, PATIENT, Role, Said, all, end, over};
use crate::bench::{Bench, UNUSED_ORPORT};
use crate::case::{Case, Level, run};
use crate::instruments::grammar;
use crate::instruments::listeners::door;
use crate::instruments::output::Line;
use crate::instruments::parent::Launch;
use crate::instruments::socks::{self, Target};
use crate::instruments::trace::Trace;
use crate::instruments::upstream::dead_address;
use crate::instruments::wire::{A_WHILE, SOON, dial, write_all};
use crate::verdict::{Failure, Verdict, ensure};

/// The cases, in the ledger's order.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "pt-3.3/negotiation-lines",
        line: 73,
        requirement: "Every line of the negotiation keeps the grammar: a keyword, arguments after single blanks, US-ASCII, one line feed.",
        reference: "pt-spec 3.3 to 3.3.3; Arti splits at single blanks",
        limit: PATIENT,
        check: run!(negotiation_lines),
        ..Case::BASE
    },
    Case {
        id: "pt-3.3/error-lines",
        line: 73,
        requirement: "The lines before a failing exit keep the grammar, and the last of them ends in a line feed, too.",
        reference: "pt-spec 3.3.1 and 3.3.2: VERSION-ERROR, ENV-ERROR, PROXY-ERROR; NL-terminated lines",
        limit: PATIENT,
        check: run!(error_lines),
        ..Case::BASE
    },
    Case {
        id: "pt-3.3/lines-in-service",
        line: 73,
        requirement: "Lines keep the grammar after DONE, whatever goes wrong: bridges that refuse, arguments that are none, strangers on every port.",
        reference: "pt-spec 3.3",
        limit: PATIENT,
        check: run!(lines_in_service),
        ..Case::BASE
    },
    Case {
        id: "pt-3.3/foreign-text-makes-no-line",
        line: 73,
        requirement: "Text from arguments and from the network never becomes a line of its own: line feeds and quotes in it are not printed as they are.",
        reference: "pt-spec 3.3: <ArgChar> is any US-ASCII character but NUL or NL; whoever can add lines can make tor drop the transport",
        limit: PATIENT,
        check: run!(foreign_text),
        ..Case::BASE
    },
    Case {
        id: "pt-3.3/odd-names-make-no-line",
        line: 73,
        level: Level::Should,
        requirement: "Names of transports that no transport can have (with quotes, line feeds, beyond ASCII) come back in no line that breaks the grammar.",
        reference: "pt-spec 3.1 and 3.3",
        reading: "A parent should never ask for such names: what is done with them is open, but lines stay lines.",
        limit: PATIENT,
        check: run!(odd_names),
        ..Case::BASE
    },
    Case {
        id: "pt-3.3/lines-are-flushed",
        line: 74,
        requirement: "Every line is written out at once, although stdout is no terminal: DONE arrives while the process runs and has nothing more to say.",
        reference: "pt-spec 3.3; stdout is a pipe, which libraries buffer by blocks",
        limit: PATIENT,
        check: run!(lines_are_flushed),
        ..Case::BASE
    },
    Case {
        id: "pt-3.3/lines-do-not-mix",
        line: 74,
        requirement: "Lines about things that happen at the same time do not run into each other.",
        reference: "pt-spec 3.3",
        reading: "Seen with 64 connections, of a client to bridges that refuse, and of strangers to a server.",
        limit: PATIENT,
        check: run!(lines_do_not_mix),
        ..Case::BASE
    },
    Case {
        id: "pt-3.3/one-write-a-line",
        line: 74,
        level: Level::Should,
        requirement: "A line is handed to the kernel whole, with its line feed.",
        reference: "POSIX write: only what is written at once is not interleaved; seen by strace. tor puts pieces together",
        limit: PATIENT,
        check: run!(one_write_a_line),
        ..Case::BASE
    },
    Case {
        id: "pt-3.3/nothing-but-lines",
        line: 75,
        requirement: "Nothing is on stdout but lines whose keywords the specification has.",
        reference: "pt-spec 3.3; tor logs every line with an unknown keyword at notice, Arti warns",
        limit: PATIENT,
        check: run!(nothing_but_lines),
        ..Case::BASE
    },
    Case {
        id: "pt-3.3/usage-is-for-stderr",
        line: 75,
        requirement: "What is to be said about a wrong command line is on stderr; stdout has at most lines of the protocol.",
        reference: "pt-spec 3.3",
        limit: PATIENT,
        check: run!(usage_is_for_stderr),
        ..Case::BASE
    },
];

/// A line of [`FOREIGN`].
const FORGED: &str = "LOG SEVERITY=error MESSAGE=\"x\"";

/// Connections at the same time.
const AT_ONCE: usize = 64;

async fn negotiation_lines(bench: &Bench) -> Verdict {
    for launch in sides(bench) {
        let mut ready = launch.ready().await?;
        end(&mut ready.pt).await?;
        lawful(&ready.pt.stdout().so_far())?;
    }
    Ok(())
}

async fn error_lines(bench: &Bench) -> Verdict {
    let mut wrong = vec![
        bench.either().set("TOR_PT_MANAGED_TRANSPORT_VER", "2"),
        bench.either().unset("TOR_PT_STATE_LOCATION"),
        bench.either().unset("TOR_PT_MANAGED_TRANSPORT_VER"),
    ];
    if bench.subject().sides.client() {
        wrong.push(bench.client().set("TOR_PT_PROXY", "gopher://127.0.0.1:70"));
    }
    if bench.subject().sides.server() {
        wrong.push(
            bench
                .server(UNUSED_ORPORT)
                .set("TOR_PT_SERVER_BINDADDR", "garbage"),
        );
        wrong.push(
            bench
                .server(UNUSED_ORPORT)
                .set("TOR_PT_SERVER_TRANSPORT_OPTIONS", "garbage"),
        );
    }
    for launch in wrong {
        let (mut pt, _) = launch.negotiate().await?;
        end(&mut pt).await?;
        lawful(&pt.stdout().so_far())?;
    }
    Ok(())
}

async fn lines_in_service(bench: &Bench) -> Verdict {
    for said in all(bench, A_WHILE).await? {
        lawful(&said.out)?;
    }
    Ok(())
}

async fn foreign_text(bench: &Bench) -> Verdict {
    for said in all(bench, A_WHILE).await? {
        let lines = &said.out;
        let mut done = false;
        for line in lines {
            let text = line.text();
            ensure!(
                !done || !grammar::is_negotiation(&text),
                "{:?} said {text:?} after DONE",
                said.role
            );
            done |= matches!(text.as_str(), "CMETHODS DONE" | "SMETHODS DONE");
            ensure!(
                text != FORGED,
                "{FORGED:?} of somebody else has become a line"
            );
        }
        lawful(lines)?;
    }
    Ok(())
}

async fn odd_names(bench: &Bench) -> Verdict {
    let name = bench.transport();
    let odd = [
        "we\"ird\\name",
        "caf\u{e9}",
        "a b",
        "tab\there",
        "bell\u{7}",
        FOREIGN,
    ];
    // No variable can hold a NUL.
    let names = format!("{},{name}", odd.join(",")).replace('\0', "");
    for (launch, variable) in sides(bench).into_iter().zip(variables(bench)) {
        let (mut pt, _) = launch.set(variable, &names).negotiate().await?;
        end(&mut pt).await?;
        lawful(&pt.stdout().so_far())?;
        let texts = pt.stdout().texts();
        for forged in ["VERSION 9", FORGED] {
            ensure!(
                !texts.iter().any(|text| text == forged),
                "{forged:?} of a name has become a line"
            );
        }
    }
    Ok(())
}

async fn lines_are_flushed(bench: &Bench) -> Verdict {
    for launch in sides(bench) {
        let mut ready = launch.ready().await?;
        ready.pt.must_run().await?;
        let before = ready.said.lines.len();
        end(&mut ready.pt).await?;
        // What it says when it ends is new; what it had said is not repeated or completed then.
        let late = ready.pt.stdout().texts().split_off(before);
        let late = late.iter().find(|text| grammar::is_negotiation(text));
        ensure!(late.is_none(), "{late:?} came only when the process ended");
    }
    Ok(())
}

async fn lines_do_not_mix(bench: &Bench) -> Verdict {
    if bench.subject().sides.client() {
        lawful(&busy_client(bench).await?.out)?;
    }
    if bench.subject().sides.server() {
        lawful(&busy_server(bench).await?.out)?;
    }
    Ok(())
}

/// A server to which strangers come, all at once; where it takes them for clients, its ORPort refuses them.
async fn busy_server(bench: &Bench) -> Verdict<Said> {
    let orport = dead_address()?;
    let ready = bench.server(orport.addr()).ready().await?;
    let door = door(&ready.pt, &ready.method)?;
    let mut strangers = JoinSet::new();
    for _ in 0..AT_ONCE {
        strangers.spawn_local(async move {
            let mut stream = dial(door).await?;
            // It may hang up at any time.
            let _ = write_all(&mut stream, FOREIGN.as_bytes(), SOON).await;
            stream.set_zero_linger()?;
            Verdict::Ok(())
        });
    }
    while strangers.join_next().await.is_some() {}
    over(ready, Role::Server, A_WHILE).await
}

async fn busy_client(bench: &Bench) -> Verdict<Said> {
    let args = bench.bridge_args().await?;
    let ready = bench.client().ready().await?;
    let nobody = dead_address()?;
    let (port, target) = (ready.method.addr, Target::Ip(nobody.addr()));
    let mut attempts = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (args, target) = (args.clone(), target.clone());
        attempts
            .spawn_local(async move { socks::open(port, &args, &target, SOON).await.map(drop) });
    }
    // How each of them ends is not the matter.
    while attempts.join_next().await.is_some() {}
    over(ready, Role::Client, A_WHILE).await
}

async fn one_write_a_line(bench: &Bench) -> Verdict {
    let mut seen = 0;
    for launch in sides(bench) {
        let (trace, launch) = Trace::naming_files(bench, launch, "write,writev")?;
        let ready = launch.ready().await?;
        if ready.method.protocol.is_empty() {
            mischief::strangers(door(&ready.pt, &ready.method)?, None).await?;
        } else {
            let nobody = dead_address()?;
            let target = Target::Ip(nobody.addr());
            // Any reply will do.
            let _ = socks::open(ready.method.addr, &Vec::new(), &target, SOON).await;
        }
        for (whole, call) in judged(&trace.calls(ready.pt).await?) {
            seen += 1;
            ensure!(whole, "a write that does not end in a line feed: {call}");
        }
    }
    match seen {
        0 => Err(Failure::Instrument(
            "strace saw no write of a line".to_owned(),
        )),
        _ => Ok(()),
    }
}

/// The writes to stdout, and whether each ends in a line feed; without those that are too long for strace to show.
///
/// stdout is whatever `VERSION` is written to, by whichever descriptor and whichever process; another process may have
/// another stdout.
fn judged(calls: &[String]) -> Vec<(bool, &str)> {
    let writes = calls.iter().filter_map(|call| {
        let arguments = call
            .strip_prefix("write(")
            .or_else(|| call.strip_prefix("writev("))?;
        let (descriptor, rest) = arguments.split_once(", ")?;
        let (_, file) = descriptor.split_once('<')?;
        let (data, _) = rest.rsplit_once('"')?;
        Some((file, data, call.as_str()))
    });
    let writes: Vec<_> = writes.collect();
    let stdout = writes
        .iter()
        .find(|(_, data, _)| data.contains("\"VERSION "))
        .map(|(file, ..)| *file);
    let shown = writes
        .iter()
        .filter(|(file, _, call)| stdout == Some(*file) && !call.contains("\"..."));
    shown
        .map(|(_, data, call)| (data.ends_with("\\n"), *call))
        .collect()
}

async fn nothing_but_lines(bench: &Bench) -> Verdict {
    for said in all(bench, A_WHILE).await? {
        for line in &said.out {
            let unknown = grammar::line(&line.bytes) == Ok(grammar::Said::Unknown);
            ensure!(
                !unknown,
                "the keyword of {:?} is none of the specification's",
                line.text()
            );
        }
        lawful(&said.out)?;
    }
    Ok(())
}

async fn usage_is_for_stderr(bench: &Bench) -> Verdict {
    for words in [&["--no-such-option-at-all"][..], &["no such word"], &["-"]] {
        let launch = words
            .iter()
            .fold(bench.either(), |launch, word| launch.arg(word));
        let (mut pt, _) = launch.negotiate().await?;
        end(&mut pt).await?;
        let said = Said::by(&pt, Role::Client);
        lawful(&said.out)?;
        let unknown = said
            .out
            .iter()
            .find(|line| grammar::line(&line.bytes) == Ok(grammar::Said::Unknown));
        ensure!(
            unknown.is_none(),
            "with {words:?} stdout has {:?}",
            unknown.map(Line::text)
        );
    }
    Ok(())
}

/// Expects every line to keep the grammar and to end in a line feed.
fn lawful(lines: &[Line]) -> Verdict {
    for line in lines {
        let text = line.text();
        ensure!(
            line.whole,
            "no line feed behind {text:?}, the last that it said"
        );
        if let Err(wrong) = grammar::line(&line.bytes) {
            return Err(Failure::Deviation(format!(
                "{text:?} breaks the grammar: {wrong}"
            )));
        }
    }
    Ok(())
}

fn sides(bench: &Bench) -> Vec<Launch> {
    let sides = bench.subject().sides;
    let client = sides.client().then(|| bench.client());
    let server = sides.server().then(|| bench.server(UNUSED_ORPORT));
    client.into_iter().chain(server).collect()
}

/// The variables in which the sides are asked for transports, as [`sides`].
fn variables(bench: &Bench) -> Vec<&'static str> {
    let sides = bench.subject().sides;
    let client = sides.client().then_some("TOR_PT_CLIENT_TRANSPORTS");
    let server = sides.server().then_some("TOR_PT_SERVER_TRANSPORTS");
    client.into_iter().chain(server).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_judged_by_their_end() {
        let calls = [
            r#"write(2<pipe:[6]>, "hello", 5) = 5"#,
            r#"write(11<pipe:[5]>, "VERSION 1\n", 10) = 10"#,
            r#"write(11<pipe:[5]>, "VERSION 1", 9) = 9"#,
            r#"write(11<pipe:[5]>, "LOG x"..., 9000) = 9000"#,
            r#"writev(11<pipe:[5]>, [{iov_base="A 1", iov_len=3}, {iov_base="\n", iov_len=1}], 2) = 4"#,
            r#"write(1<pipe:[5]>, "A 1\n", 4 <unfinished ...>"#,
            r#"write(1<pipe:[7]>, "of a child's own", 16) = 16"#,
        ];
        let calls = calls.map(str::to_owned);
        let judged: Vec<bool> = judged(&calls).into_iter().map(|(whole, _)| whole).collect();
        assert_eq!(judged, [true, false, true, true]);
    }
}
