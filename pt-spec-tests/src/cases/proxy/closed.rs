//! With a proxy nothing goes out by another way: not to the bridge, and not to find out where a name leads.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::route::Route;
use super::{BASE, answered, behind, kinds, launch, uri};
use crate::bench::Bench;
use crate::case::{Case, Side, run};
use crate::cases::socks5::Port;
use crate::instruments::negotiation::Args;
use crate::instruments::orport::OrPort;
use crate::instruments::parent::Ready;
use crate::instruments::socks::{Socks, Target, connect};
use crate::instruments::trace::Trace;
use crate::instruments::upstream::{Behaviour, Kind, Upstream, dead_address};
use crate::instruments::wire::{A_WHILE, SOON};
use crate::verdict::{Failure, Verdict, deviation, ensure};

/// A name that no resolver knows.
const NAME: &str = "bridge.invalid";

/// The cases, in the ledger's order.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "pt-4/dead-proxy",
        line: 41,
        requirement: "Where the proxy cannot be reached no connection is made without it.",
        reference: "pt-spec 3.2.2 (the proxy MUST be used) and 4 (fail closed)",
        check: run!(dead_proxy),
        ..BASE
    },
    Case {
        id: "pt-4/failing-proxy",
        line: 41,
        limit: Duration::from_secs(90),
        requirement: "Where the proxy refuses, hangs up, talks nonsense or never answers no connection is made without it.",
        reference: "pt-spec 3.2.2 (the proxy MUST be used) and 4 (fail closed)",
        check: run!(failing_proxy),
        ..BASE
    },
    Case {
        id: "pt-4/nothing-around-the-proxy",
        line: 41,
        limit: Duration::from_secs(90),
        requirement: "With a proxy the process connects and sends to nobody else, name servers included.",
        reference: "pt-spec 3.2.2 (the proxy MUST be used) and 4 (fail closed, and no leak of DNS)",
        reading: "Seen in the system calls, which tell of attempts too: UDP counts as much as TCP.",
        check: run!(nothing_around_the_proxy),
        ..BASE
    },
    Case {
        id: "pt-4/names-for-an-http-proxy",
        line: 41,
        side: Side::Both,
        requirement: "A domain name in a CONNECT is handed to an http proxy unresolved.",
        reference: NAMES,
        check: run!(names_for_an_http_proxy),
        ..BASE
    },
    Case {
        id: "pt-4/names-for-a-socks5-proxy",
        line: 41,
        side: Side::Both,
        requirement: "A domain name in a CONNECT is handed to a socks5 proxy unresolved.",
        reference: NAMES,
        check: run!(names_for_a_socks5_proxy),
        ..BASE
    },
    Case {
        id: "pt-4/names-for-a-socks4a-proxy",
        line: 41,
        side: Side::Both,
        requirement: "A domain name in a CONNECT is handed to a socks4a proxy unresolved.",
        reference: NAMES,
        check: run!(names_for_a_socks4a_proxy),
        ..BASE
    },
];

const NAMES: &str = "pt-spec 4: no leak of DNS; RFC 1928 4 and 5 have requests for names";

/// A client behind a proxy that does not work, asked for a place that nobody may come to by another way.
struct Attempt {
    proxy: String,
    place: OrPort,
    asked: Vec<Socks>,
    _client: Ready,
}

impl Attempt {
    /// Asks for the place by its address and by a name.
    async fn start(bench: &Bench, args: &Args, proxy: String) -> Verdict<Option<Attempt>> {
        let Some(client) = behind(bench, &proxy).await? else {
            // It looked whether the proxy works: that is as good.
            return Ok(None);
        };
        let port = Port::at(client.method.addr);
        let place = OrPort::listen().await?;
        let addr = place.addr();
        let mut asked = Vec::new();
        for target in [
            Target::Ip(addr),
            Target::Name("localhost".to_owned(), addr.port()),
        ] {
            let mut socks = port.authenticated(args).await?;
            socks.send(&connect(&target)).await;
            asked.push(socks);
        }
        Ok(Some(Attempt {
            proxy,
            place,
            asked,
            _client: client,
        }))
    }

    /// Waits for the replies, for a while, and for whatever comes behind them.
    async fn nobody_came(mut attempts: Vec<Attempt>) -> Verdict {
        let end = Instant::now() + SOON;
        for socks in attempts.iter_mut().flat_map(|attempt| &mut attempt.asked) {
            // Its code says nothing here, and a proxy that never answers is waited for as long as a client likes.
            let left = end.saturating_duration_since(Instant::now());
            let _ = socks.reply_within(left).await;
        }
        sleep(A_WHILE).await;
        for attempt in attempts {
            let count = attempt.place.connections_so_far();
            ensure!(
                count == 0,
                "with the proxy {} the place that was asked for was connected to directly ({count} times)",
                attempt.proxy
            );
        }
        Ok(())
    }
}

async fn dead_proxy(bench: &Bench) -> Verdict {
    let args = bench.bridge_args().await?;
    let dead = dead_address()?;
    let mut attempts = Vec::new();
    for kind in kinds(bench).await? {
        attempts.extend(Attempt::start(bench, &args, uri(kind, "", dead.addr())).await?);
    }
    Attempt::nobody_came(attempts).await
}

async fn failing_proxy(bench: &Bench) -> Verdict {
    let args = bench.bridge_args().await?;
    let mut attempts = Vec::new();
    let mut proxies = Vec::new();
    for kind in kinds(bench).await? {
        for behaviour in failures(kind) {
            let proxy = Upstream::start(kind, behaviour).await?;
            attempts.extend(Attempt::start(bench, &args, uri(kind, "", proxy.addr())).await?);
            proxies.push(proxy);
        }
    }
    Attempt::nobody_came(attempts).await
}

fn failures(kind: Kind) -> [Behaviour; 4] {
    let code = match kind {
        Kind::Http => 403,
        Kind::Socks5(_) => 5,
        Kind::Socks4a => 91,
    };
    [
        Behaviour::Refuse(code),
        Behaviour::CloseAtOnce,
        Behaviour::Garbage,
        Behaviour::Hang,
    ]
}

async fn nothing_around_the_proxy(bench: &Bench) -> Verdict {
    let args = bench.bridge_args().await?;
    let dead = dead_address()?;
    for kind in kinds(bench).await? {
        let [refusing, ..] = failures(kind);
        let proxy = Upstream::start(kind, refusing).await?;
        let uri = uri(kind, "", proxy.addr());
        let (trace, traced) = Trace::around(
            bench,
            launch(bench, &uri),
            "connect,sendto,sendmsg,sendmmsg,write",
        )?;
        let Some(ready) = answered(bench, traced, &uri).await? else {
            continue;
        };
        let port = Port::at(ready.method.addr);
        for target in [Target::Ip(dead.addr()), Target::Name(NAME.to_owned(), 443)] {
            let mut socks = port.authenticated(&args).await?;
            socks.send(&connect(&target)).await;
            let _ = socks.reply_within(SOON).await;
        }
        // Some go on trying behind the reply.
        sleep(A_WHILE).await;
        let here = [
            format!("sin_port=htons({})", proxy.addr().port()),
            "inet_addr(\"127.0.0.1\")".to_owned(),
        ];
        let calls = trace.calls(ready.pt).await?;
        let astray = calls
            .iter()
            .find(|call| goes_out(call) && !here.iter().all(|part| call.contains(part)));
        if let Some(call) = astray {
            deviation!("with the proxy {uri} it calls {call}");
        }
    }
    Ok(())
}

/// Whether a call leads to an address of the network, or to a resolver on this machine.
fn goes_out(call: &str) -> bool {
    let name = call.split('(').next().unwrap_or_default();
    let names_an_address =
        call.contains("sin_port") || call.contains("sin6_port") || call.contains("/resolve/");
    matches!(name, "connect" | "sendto" | "sendmsg" | "sendmmsg") && names_an_address
}

async fn names_for_an_http_proxy(bench: &Bench) -> Verdict {
    hears_the_name(bench, Kind::Http).await
}

async fn names_for_a_socks5_proxy(bench: &Bench) -> Verdict {
    hears_the_name(bench, Kind::Socks5(0)).await
}

async fn names_for_a_socks4a_proxy(bench: &Bench) -> Verdict {
    hears_the_name(bench, Kind::Socks4a).await
}

async fn hears_the_name(bench: &Bench, kind: Kind) -> Verdict {
    let route = Route::start(bench, kind, "").await?;
    let visit = route.tunnel(&Target::Name(NAME.to_owned(), 443)).await?;
    let wanted = format!("{NAME}:443");
    if visit.target != wanted && route.leads_elsewhere(&visit.target).await? {
        return Err(Failure::NotApplicable(
            "the transport does not go where the request says".to_owned(),
        ));
    }
    ensure!(
        visit.target == wanted,
        "expected {NAME}:443, the proxy is asked for {:?}",
        visit.target
    );
    Ok(())
}
