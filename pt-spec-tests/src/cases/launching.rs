//! What a client and a server have in common when they are asked for transports (pt-spec 3.2.2 and 3.2.3): a list of
//! names goes in, a line for each transport and DONE come out.
//!
//! The two sections `client` and `server` list these as cases of their own side.

use super::faults::{self, Faults};
use crate::bench::{Bench, UNUSED_ORPORT};
use crate::instruments::negotiation::Negotiation;
use crate::instruments::parent::Launch;
use crate::instruments::trace::Trace;
use crate::instruments::wire::A_WHILE;
use crate::verdict::{Failure, Verdict, deviation, ensure};

/// Names that are well formed and belong to no transport.
const UNKNOWN: [&str; 2] = ["pt_spec_no_such_transport", "pt_spec_nor_this_one"];

/// Names that no transport may have.
const ILL_FORMED: [&str; 6] = [
    "2fast",
    "with-dash",
    "with.dot",
    "with blank",
    "with/slash",
    "*",
];

/// Which side of the executable is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// `TOR_PT_CLIENT_TRANSPORTS` and `CMETHOD`.
    Client,
    /// `TOR_PT_SERVER_TRANSPORTS` and `SMETHOD`.
    Server,
}

/// Wraps an `async fn(&Bench, Role) -> Verdict` for a table of cases.
macro_rules! run_as {
    ($role:ident, $function:path) => {
        $crate::case::Check::Run(|bench| {
            Box::pin($function(bench, $crate::cases::launching::Role::$role))
        })
    };
}
pub(super) use run_as;

impl Role {
    /// The keyword of the lines that tell of a launched transport.
    pub(super) fn keyword(self) -> &'static str {
        match self {
            Role::Client => "CMETHOD",
            Role::Server => "SMETHOD",
        }
    }

    /// A launch of this side as tor does it.
    pub(super) fn launch(self, bench: &Bench) -> Launch {
        match self {
            Role::Client => bench.client(),
            Role::Server => bench.server(UNUSED_ORPORT),
        }
    }

    /// A launch that asks for a list of transports; a server is told where each is to listen, as by tor.
    pub(super) fn asking(self, bench: &Bench, names: &[&str]) -> Launch {
        let list = names.join(",");
        match self {
            Role::Client => self.launch(bench).set("TOR_PT_CLIENT_TRANSPORTS", list),
            Role::Server => {
                let mut known = Vec::new();
                for name in names.iter().filter(|name| identifier(name)) {
                    let entry = format!("{name}-127.0.0.1:0");
                    if !known.contains(&entry) {
                        known.push(entry);
                    }
                }
                self.launch(bench)
                    .set("TOR_PT_SERVER_TRANSPORTS", list)
                    .set("TOR_PT_SERVER_BINDADDR", known.join(","))
            }
        }
    }

    /// What stands behind the keyword on each line that tells of a launched transport.
    pub(super) fn launched(self, said: &Negotiation) -> Vec<&str> {
        behind(said, self.keyword())
    }

    /// The names on those lines.
    pub(super) fn names(self, said: &Negotiation) -> Vec<&str> {
        let first = |rest: &'_ str| rest.find(' ').unwrap_or(rest.len());
        self.launched(said)
            .into_iter()
            .map(|rest| &rest[..first(rest)])
            .collect()
    }

    /// What stands behind the keyword on each line that tells of a transport that failed.
    pub(super) fn failed(self, said: &Negotiation) -> Vec<&str> {
        match self {
            Role::Client => behind(said, "CMETHOD-ERROR"),
            Role::Server => behind(said, "SMETHOD-ERROR"),
        }
    }
}

/// The sides that the subject has, each about to be started.
pub(super) fn sides(bench: &Bench) -> Vec<(Role, Launch)> {
    let sides = bench.subject().sides;
    let mut found = Vec::new();
    if sides.client() {
        found.push((Role::Client, Role::Client.launch(bench)));
    }
    if sides.server() {
        found.push((Role::Server, Role::Server.launch(bench)));
    }
    found
}

/// A transport that is asked for by name is launched once, and nothing else is.
pub(super) async fn launched_once(bench: &Bench, role: Role) -> Verdict {
    let said = done(role.launch(bench)).await?;
    let names = role.names(&said);
    ensure!(
        names == [bench.transport()],
        "asked for {}, it launched {names:?}",
        bench.transport()
    );
    Ok(())
}

/// The place in the list does not matter.
pub(super) async fn in_any_place(bench: &Bench, role: Role) -> Verdict {
    let name = bench.transport();
    for list in [
        &[UNKNOWN[0], name][..],
        &[name, UNKNOWN[0]],
        &[UNKNOWN[0], name, UNKNOWN[1]],
    ] {
        let said = done(role.asking(bench, list)).await?;
        let names = role.names(&said);
        ensure!(
            names.contains(&name),
            "asked for {list:?}, it launched {names:?}"
        );
    }
    Ok(())
}

/// A name that belongs to no transport of the executable gets no line at all.
pub(super) async fn unknown_names(bench: &Bench, role: Role) -> Verdict {
    let said = done(role.asking(bench, &[UNKNOWN[0], bench.transport(), UNKNOWN[1]])).await?;
    let told = [role.launched(&said), role.failed(&said)].concat();
    let about = told
        .iter()
        .find(|rest| UNKNOWN.iter().any(|name| rest.starts_with(name)));
    ensure!(
        about.is_none(),
        "a transport that it does not know gets a line: {:?}",
        said.lines
    );
    Ok(())
}

/// Nothing between two commas is nothing.
pub(super) async fn empty_items(bench: &Bench, role: Role) -> Verdict {
    let said = done(role.asking(bench, &["", bench.transport(), "", ""])).await?;
    let names = role.names(&said);
    ensure!(
        names.contains(&bench.transport()),
        "with empty items it launched {names:?}"
    );
    let failed = role.failed(&said);
    ensure!(
        failed.is_empty(),
        "empty items of the list get error lines: {:?}",
        said.lines
    );
    Ok(())
}

/// Twice is once.
pub(super) async fn repeated_names(bench: &Bench, role: Role) -> Verdict {
    let name = bench.transport();
    let said = done(role.asking(bench, &[name, name])).await?;
    let names = role.names(&said);
    ensure!(
        names == [name],
        "asked for {name} twice, it launched {names:?}"
    );
    let failed = role.failed(&said);
    ensure!(
        failed.is_empty(),
        "the second {name} gets an error line: {:?}",
        said.lines
    );
    Ok(())
}

/// Only C identifiers are launched; a list with others may be refused as a whole.
pub(super) async fn identifiers(bench: &Bench, role: Role) -> Verdict {
    let names = [&ILL_FORMED[..3], &[bench.transport()], &ILL_FORMED[3..]].concat();
    let (_pt, said) = role.asking(bench, &names).negotiate().await?;
    let refused = said
        .fatal
        .as_deref()
        .is_some_and(|line| line.starts_with("ENV-ERROR"));
    ensure!(
        said.done || refused,
        "the negotiation ended with neither DONE nor ENV-ERROR: {:?}",
        said.lines
    );
    let strange = role.launched(&said).into_iter().find(|rest| {
        let name = rest.split(' ').next().unwrap_or_default();
        // A blank in a name moves the line's other words.
        !identifier(name) || ILL_FORMED.iter().any(|bad| rest.starts_with(bad))
    });
    ensure!(
        strange.is_none(),
        "it launched what is no identifier: {strange:?}"
    );
    Ok(())
}

/// DONE comes once, and no line of the negotiation after it.
pub(super) async fn done_once(bench: &Bench, role: Role) -> Verdict {
    let mut ready = role.launch(bench).ready().await?;
    if let Some(exit) = ready.pt.exit(A_WHILE).await? {
        deviation!("after DONE it ended with {exit}");
    }
    let late = ready.pt.after_negotiation();
    let bound = late.iter().find(|line| line.contains("METHOD"));
    ensure!(bound.is_none(), "after DONE it says {bound:?}");
    Ok(())
}

/// DONE comes even if no transport was launched.
pub(super) async fn done_without_a_transport(bench: &Bench, role: Role) -> Verdict {
    let said = done(role.asking(bench, &UNKNOWN)).await?;
    let names = role.names(&said);
    ensure!(
        names.is_empty(),
        "asked for {UNKNOWN:?}, it launched {names:?}"
    );
    Ok(())
}

/// A process without a transport goes on.
pub(super) async fn runs_without_a_transport(bench: &Bench, role: Role) -> Verdict {
    let (mut pt, said) = role.asking(bench, &UNKNOWN).negotiate().await?;
    ensure!(
        said.done,
        "it ends the negotiation without DONE: {:?}",
        said.lines
    );
    match pt.exit(A_WHILE).await? {
        None => Ok(()),
        Some(exit) => deviation!("with no transport launched the process ended: {exit}"),
    }
}

/// A transport that cannot have a port gets its error line, and DONE comes all the same.
pub(super) async fn failure_is_told(bench: &Bench, role: Role) -> Verdict {
    let (mut pt, said) = without_ports(bench, role).await?.negotiate().await?;
    faults::release(&mut pt).await?;
    could_not_listen(role, &said)?;
    ensure!(
        said.done,
        "the negotiation did not end with DONE: {:?}",
        said.lines
    );
    told_failed(bench, role, &said)
}

/// A process whose transport failed goes on.
pub(super) async fn failure_is_survived(bench: &Bench, role: Role) -> Verdict {
    let (mut pt, said) = without_ports(bench, role).await?.negotiate().await?;
    could_not_listen(role, &said)?;
    if let Some(exit) = pt.exit(A_WHILE).await? {
        deviation!("after its transport had failed the process ended: {exit}");
    }
    faults::release(&mut pt).await
}

/// The line of a transport is written when its socket is listening already.
pub(super) async fn listens_first(bench: &Bench, role: Role) -> Verdict {
    Faults::prepare().await?;
    let calls = "listen,write,writev,pwrite64,sendto,sendmsg";
    let (trace, launch) = Trace::around(bench, role.launch(bench), calls)?;
    let calls = trace.calls(launch.ready().await?.pt).await?;
    let told = calls
        .iter()
        .position(|call| !call.starts_with("listen") && call.contains(role.keyword()));
    let Some(told) = told else {
        return Err(Failure::Instrument(format!(
            "strace saw no write of the {} line",
            role.keyword()
        )));
    };
    // `<... listen resumed>) = 0` where threads take turns.
    let listens = |call: &String| call.contains("listen") && call.ends_with("= 0");
    ensure!(
        calls[..told].iter().any(listens),
        "no listen() before the write of the line: {:?}, then {:?}",
        calls[told],
        calls[told + 1..].iter().find(|call| listens(call))
    );
    Ok(())
}

/// That nothing but `LOG` and `STATUS` lines are among these.
pub(super) fn only_log_and_status(late: &[String]) -> Verdict {
    let other = late
        .iter()
        .find(|line| !line.starts_with("LOG ") && !line.starts_with("STATUS "));
    ensure!(other.is_none(), "after DONE it says {other:?}");
    Ok(())
}

/// That the transport under test has an error line with a reason, and no other line.
pub(super) fn told_failed(bench: &Bench, role: Role, said: &Negotiation) -> Verdict {
    let name = bench.transport();
    let prefix = format!("{name} ");
    let told = role.failed(said);
    let reason = told.iter().find_map(|rest| rest.strip_prefix(&prefix));
    ensure!(
        reason.is_some_and(|reason| !reason.trim().is_empty()),
        "expected a line {}-ERROR {name} with a reason: {:?}",
        role.keyword(),
        said.lines
    );
    Ok(())
}

/// The lines up to DONE; that the negotiation ends otherwise is a deviation.
pub(super) async fn done(launch: Launch) -> Verdict<Negotiation> {
    let (_pt, said) = launch.negotiate().await?;
    ensure!(
        said.done,
        "the negotiation did not end with DONE: {:?}",
        said.lines
    );
    Ok(said)
}

/// A launch in which no port can be opened.
async fn without_ports(bench: &Bench, role: Role) -> Verdict<Launch> {
    let faults = Faults::prepare().await?;
    Ok(faults.inject(role.launch(bench), "bind,listen:error=EADDRINUSE"))
}

/// That it could open a port in spite of the fault is the suite's fault: it uses other system calls.
fn could_not_listen(role: Role, said: &Negotiation) -> Verdict {
    match role.launched(said).first() {
        None => Ok(()),
        Some(line) => Err(Failure::Instrument(format!(
            "strace could not keep it from listening: {line:?}"
        ))),
    }
}

fn behind<'a>(said: &'a Negotiation, keyword: &str) -> Vec<&'a str> {
    let rest = |line: &'a String| line.strip_prefix(keyword)?.strip_prefix(' ');
    said.lines.iter().filter_map(rest).collect()
}

/// pt-spec 3.1.
pub(super) fn identifier(name: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.bytes().all(word)
        && name
            .bytes()
            .next()
            .is_some_and(|byte| !byte.is_ascii_digit())
}
