//! What a server is told of the bridge behind it: the ORPort, or the Extended ORPort and its cookie (pt-spec 3.2.3).
//!
//! What is said on the Extended ORPort is the section `ext-orport`'s matter.

use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::SERVER;
use crate::bench::{Bench, UNUSED_ORPORT};
use crate::case::{Case, Level, Side, run};
use crate::cases::version::{failed_with, fails_with};
use crate::instruments::orport::ExtOrPort;
use crate::instruments::pair::Pair;
use crate::instruments::parent::Launch;
use crate::instruments::wire::{A_WHILE, Ended, SOON, hex, read_exactly, read_to_end, write_all};
use crate::verdict::{Verdict, deviation, ensure};

const ORPORT: &str = "TOR_PT_ORPORT";
const EXTENDED: &str = "TOR_PT_EXTENDED_SERVER_PORT";
const COOKIE: &str = "TOR_PT_AUTH_COOKIE_FILE";

/// What is no address and port.
const MALFORMED: [&str; 8] = [
    "garbage",
    "127.0.0.1",
    "127.0.0.1:",
    "127.0.0.1:65536",
    "127.0.0.256:9001",
    ":9001x",
    "localhost:9001",
    "[::1",
];

pub(super) const CASES: &[Case] = &[
    Case {
        id: "pt-3.2.3/orport-missing",
        line: 60,
        requirement: "Without TOR_PT_ORPORT and TOR_PT_EXTENDED_SERVER_PORT the answer is ENV-ERROR.",
        reference: "pt-spec 3.2.3 and 3.3.1: required variables are validated",
        check: run!(orport_missing),
        ..SERVER
    },
    Case {
        id: "pt-3.2.3/orport-is-optional-with-extended-port",
        line: 60,
        requirement: "With TOR_PT_EXTENDED_SERVER_PORT and its cookie TOR_PT_ORPORT is not required.",
        reference: "pt-spec 3.2.3: a parent that requires metadata sets TOR_PT_EXTENDED_SERVER_PORT instead; goptlib",
        check: run!(orport_optional),
        ..SERVER
    },
    Case {
        id: "pt-3.2.3/orport-malformed",
        line: 60,
        requirement: "A TOR_PT_ORPORT that is no address and port is answered with ENV-ERROR.",
        reference: "pt-spec 3.2.3, TOR_PT_ORPORT: <address>:<port>, and 3.3.1, ENV-ERROR",
        reading: "A host name is no address; goptlib refuses it too, since to resolve it would be a look-up that nobody asked for.",
        limit: Duration::from_secs(60),
        check: run!(orport_malformed),
        ..SERVER
    },
    Case {
        id: "pt-3.2.3/orport-of-port-0",
        line: 60,
        level: Level::Should,
        requirement: "A TOR_PT_ORPORT whose port is 0 is answered with ENV-ERROR.",
        reference: "pt-spec 3.2.3, TOR_PT_ORPORT, and 3.3.1, ENV-ERROR",
        reading: "SHOULD, since it has the form of an address and port; but nothing can listen there, and its author learns it at once.",
        check: run!(orport_of_port_0),
        ..SERVER
    },
    Case {
        id: "pt-3.2.3/orport-payload-only",
        line: 60,
        side: Side::Both,
        requirement: "A connection to the ORPort carries what the client's application sends, and nothing else.",
        reference: "pt-spec 3.2.3, TOR_PT_ORPORT: MUST only contain application payload",
        check: run!(payload_only),
        ..SERVER
    },
    Case {
        id: "pt-3.2.3/extended-port-empty",
        line: 61,
        requirement: "An empty TOR_PT_EXTENDED_SERVER_PORT is as good as none: no cookie is asked for, and the transport is launched.",
        reference: "pt-spec 3.2.3: a parent without that protocol sets it to an empty string; tor does",
        check: run!(extended_empty),
        ..SERVER
    },
    Case {
        id: "pt-3.2.3/extended-port-malformed",
        line: 61,
        requirement: "A TOR_PT_EXTENDED_SERVER_PORT that is neither empty nor an address and port is answered with ENV-ERROR, although the cookie file is there.",
        reference: "pt-spec 3.2.3, TOR_PT_EXTENDED_SERVER_PORT: <address>:<port>, and 3.3.1, ENV-ERROR; goptlib",
        reading: "As for TOR_PT_ORPORT.",
        limit: Duration::from_secs(60),
        check: run!(extended_malformed),
        ..SERVER
    },
    Case {
        id: "pt-3.3.1/extended-port-without-cookie",
        line: 62,
        requirement: "TOR_PT_EXTENDED_SERVER_PORT without TOR_PT_AUTH_COOKIE_FILE is answered with ENV-ERROR.",
        reference: "pt-spec 3.3.1, the example of ENV-ERROR",
        check: run!(extended_without_cookie),
        ..SERVER
    },
    Case {
        id: "tor-transports/cookie-file-comes-later",
        line: 63,
        level: Level::Real,
        side: Side::Both,
        requirement: "A cookie file that does not exist yet when the server starts is no error: it is read when a connection needs it.",
        reference: "tor may write the file after it has started the server (bug 15240)",
        check: run!(cookie_later),
        ..SERVER
    },
    Case {
        id: "tor-transports/cookie-is-read-for-each-connection",
        line: 63,
        level: Level::Real,
        side: Side::Both,
        requirement: "Every connection reads the cookie file anew: after it has changed, the new cookie counts.",
        reference: "ext-orport-spec 2.1: tor makes a new cookie at every start",
        check: run!(cookie_renewed),
        ..SERVER
    },
    Case {
        id: "extor-4/warns-of-a-remote-port",
        line: 64,
        level: Level::Should,
        requirement: "An Extended ORPort that is not on loopback makes the server warn.",
        reference: "ext-orport-spec 4: SHOULD issue a warning",
        reading: "A warning is a LOG line of severity warning or error, which is what tor shows to its user, and there is none for a port on loopback.",
        check: run!(warns_of_remote),
        ..SERVER
    },
    Case {
        id: "pt-3.2.3/extended-port-is-preferred",
        line: 65,
        side: Side::Both,
        requirement: "With both set, connections go to the Extended ORPort and none to the ORPort.",
        reference: "pt-spec 3.2.3: a parent that requires metadata sets TOR_PT_EXTENDED_SERVER_PORT instead; goptlib; tor sets both",
        check: run!(extended_preferred),
        ..SERVER
    },
];

async fn orport_missing(bench: &Bench) -> Verdict {
    fails_with("ENV-ERROR", bench.server(UNUSED_ORPORT).unset(ORPORT)).await?;
    let neither = bench.server(UNUSED_ORPORT).unset(ORPORT).unset(EXTENDED);
    fails_with("ENV-ERROR", neither).await.map(drop)
}

async fn orport_optional(bench: &Bench) -> Verdict {
    let port = ExtOrPort::listen(bench.scratch()).await?;
    let launch = bench.server(UNUSED_ORPORT).unset(ORPORT);
    let launch = launch.set(EXTENDED, port.addr().to_string());
    launch
        .set(COOKIE, port.cookie_file())
        .ready()
        .await
        .map(drop)
}

async fn orport_malformed(bench: &Bench) -> Verdict {
    for value in [""].into_iter().chain(MALFORMED) {
        let launch = bench.server(UNUSED_ORPORT).set(ORPORT, value);
        let refused = fails_with("ENV-ERROR", launch).await;
        refused.map_err(|failure| failed_with(ORPORT, value, failure))?;
    }
    Ok(())
}

async fn orport_of_port_0(bench: &Bench) -> Verdict {
    let launch = bench.server(UNUSED_ORPORT).set(ORPORT, "127.0.0.1:0");
    fails_with("ENV-ERROR", launch).await.map(drop)
}

async fn extended_malformed(bench: &Bench) -> Verdict {
    let cookie = ExtOrPort::listen(bench.scratch()).await?;
    for value in MALFORMED {
        let launch = bench.server(UNUSED_ORPORT).set(EXTENDED, value);
        let launch = launch.set(COOKIE, cookie.cookie_file());
        let refused = fails_with("ENV-ERROR", launch).await;
        refused.map_err(|failure| failed_with(EXTENDED, value, failure))?;
    }
    Ok(())
}

async fn payload_only(bench: &Bench) -> Verdict {
    let pair = Pair::start(bench).await?;
    // That the application's first bytes are the connection's first is seen here.
    let mut tunnel = pair.open().await?;
    let answer = b"and the bridge answers";
    let sent = write_all(&mut tunnel.tor, answer, SOON).await;
    ensure!(sent.is_ok(), "the ORPort connection took no byte: {sent:?}");
    match read_exactly(&mut tunnel.app, answer.len(), SOON).await {
        Ok(got) => ensure!(got == answer, "the application reads {}", hex(&got)),
        Err(cut) => deviation!("the application does not get the answer: {cut}"),
    }
    tunnel.app.shutdown().await?;
    let (more, ended) = read_to_end(&mut tunnel.tor, SOON).await;
    ensure!(
        more.is_empty(),
        "behind the payload the ORPort reads {}",
        hex(&more)
    );
    ensure!(ended != Ended::Flood, "the ORPort connection is {ended}");
    Ok(())
}

async fn extended_empty(bench: &Bench) -> Verdict {
    bench
        .server(UNUSED_ORPORT)
        .set(EXTENDED, "")
        .unset(COOKIE)
        .ready()
        .await?;
    bench
        .server(UNUSED_ORPORT)
        .unset(EXTENDED)
        .unset(COOKIE)
        .ready()
        .await
        .map(drop)
}

async fn extended_without_cookie(bench: &Bench) -> Verdict {
    let launch = || {
        bench
            .server(UNUSED_ORPORT)
            .set(EXTENDED, UNUSED_ORPORT.to_string())
    };
    fails_with("ENV-ERROR", launch().unset(COOKIE)).await?;
    fails_with("ENV-ERROR", launch().set(COOKIE, ""))
        .await
        .map(drop)
}

async fn cookie_later(bench: &Bench) -> Verdict {
    let port = ExtOrPort::listen(bench.scratch()).await?;
    port.remove_cookie()?;
    let pair = behind(bench, &port).await?;
    port.renew_cookie()?;
    passes(&pair, &port).await
}

async fn cookie_renewed(bench: &Bench) -> Verdict {
    let port = ExtOrPort::listen(bench.scratch()).await?;
    let pair = behind(bench, &port).await?;
    passes(&pair, &port).await?;
    port.renew_cookie()?;
    passes(&pair, &port).await
}

async fn warns_of_remote(bench: &Bench) -> Verdict {
    // TEST-NET-1 (RFC 5737); no client comes, so nobody dials it.
    let remote = warning(bench, "192.0.2.1:9").await?;
    ensure!(remote.is_some(), "no warning with {EXTENDED}=192.0.2.1:9");
    let local = warning(bench, "127.0.0.1:9").await?;
    ensure!(
        local.is_none(),
        "it warns also of a port on loopback: {local:?}"
    );
    Ok(())
}

async fn warning(bench: &Bench, port: &str) -> Verdict<Option<String>> {
    let cookie = ExtOrPort::listen(bench.scratch()).await?;
    let launch = bench.server(UNUSED_ORPORT).set(EXTENDED, port);
    let ready = launch.set(COOKIE, cookie.cookie_file()).ready().await?;
    let loud = ["LOG SEVERITY=warning ", "LOG SEVERITY=error "];
    let warns = |line: &str| loud.iter().any(|start| line.starts_with(start));
    Ok(ready.pt.says(A_WHILE, warns).await)
}

async fn extended_preferred(bench: &Bench) -> Verdict {
    let port = ExtOrPort::listen(bench.scratch()).await?;
    let pair = behind(bench, &port).await?;
    passes(&pair, &port).await?;
    pair.bridge.orport.unused(Duration::ZERO).await
}

/// A pair whose server has both ports behind it.
async fn behind(bench: &Bench, port: &ExtOrPort) -> Verdict<Pair> {
    let extended = |server: Launch| {
        server
            .set(EXTENDED, port.addr().to_string())
            .set(COOKIE, port.cookie_file())
    };
    Pair::start_with(bench, extended, |client| client).await
}

/// Opens a connection and has its first bytes come out of the Extended ORPort, behind a faultless introduction.
async fn passes(pair: &Pair, port: &ExtOrPort) -> Verdict {
    let hello = b"through the Extended ORPort";
    let mut app = pair.dial(pair.bridge.addr).await?;
    let sent = write_all(&mut app, hello, SOON).await;
    ensure!(
        sent.is_ok(),
        "the SOCKS connection took no byte after its reply: {sent:?}"
    );
    let mut met = port.welcome().await?;
    match read_exactly(&mut met.stream, hello.len(), SOON).await {
        Ok(got) => ensure!(
            got == hello,
            "behind OKAY the Extended ORPort reads {}",
            hex(&got)
        ),
        Err(cut) => deviation!("behind OKAY the Extended ORPort is {cut}"),
    }
    Ok(())
}
