//! The value of `TOR_PT_PROXY`, and the lines about it.

use super::{BASE, KINDS, SOMEWHERE, accepted, behind, ipv6_listener, kinds, launch, live, uri};
use crate::bench::Bench;
use crate::case::{Case, Level, run};
use crate::cases::version::fails_with;
use crate::instruments::negotiation::Negotiation;
use crate::instruments::trace::Trace;
use crate::instruments::upstream::Kind;
use crate::verdict::{Failure, Verdict, ensure};

/// A proxy that nobody has: its kind is not known to anyone.
const UNKNOWN_KIND: &str = "unheard-of://127.0.0.1:9";

/// The cases, in the ledger's order.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "pt-3.3.2/proxy-is-answered",
        line: 36,
        requirement: "A well-formed TOR_PT_PROXY is answered with PROXY DONE or, if it is of no use, with PROXY-ERROR.",
        reference: "pt-spec 3 step 4 and 3.3.2",
        check: run!(proxy_is_answered),
        ..BASE
    },
    Case {
        id: "pt-3.3.2/proxy-comes-first",
        line: 36,
        requirement: "PROXY DONE comes after VERSION and before any line about a transport.",
        reference: "pt-spec 3 step 4 and 3.3.2: before initialising any transports",
        check: run!(proxy_comes_first),
        ..BASE
    },
    Case {
        id: "pt-3.3.2/proxy-before-listeners",
        line: 36,
        requirement: "The proxy is looked at before a transport is initialised: with one that is refused, nothing ever listens.",
        reference: "pt-spec 3.3.2",
        reading: "Seen in the system calls: no listen().",
        check: run!(proxy_before_listeners),
        ..BASE
    },
    Case {
        id: "pt-3.3.2/proxy-done-before-listeners",
        line: 36,
        requirement: "The proxy is looked at before a transport is initialised: PROXY DONE is written before anything listens.",
        reference: "pt-spec 3.3.2: before initialising any transports",
        reading: "Seen in the system calls: no listen() before the write.",
        check: run!(proxy_done_before_listeners),
        ..BASE
    },
    Case {
        id: "pt-3.3.2/proxy-error-terminates",
        line: 36,
        requirement: "After PROXY-ERROR, on stdout, the process exits with a code other than 0, and no transport has been launched.",
        reference: "pt-spec 3.3.2: terminates immediately",
        check: run!(proxy_error_terminates),
        ..BASE
    },
    Case {
        id: "tor-transports/proxy-done-before-cmethods-done",
        line: 37,
        level: Level::Real,
        requirement: "PROXY DONE comes before CMETHODS DONE.",
        reference: "tor ends a process that configured no proxy by then: \"did not configure the specified outgoing proxy and will be terminated\" (transports.c, measured)",
        check: run!(proxy_done_before_cmethods_done),
        ..BASE
    },
    Case {
        id: "pt-3.2.2/http-proxies",
        line: 38,
        level: Level::Should,
        requirement: "Proxies of the kind http are taken.",
        reference: "pt-spec 3.2.2, an example; tor's HTTPSProxy",
        reading: SUPPORT,
        check: run!(http_proxies),
        ..BASE
    },
    Case {
        id: "pt-3.2.2/socks5-proxies",
        line: 38,
        level: Level::Should,
        requirement: "Proxies of the kind socks5 are taken.",
        reference: "pt-spec 3.2.2, an example; tor's Socks5Proxy",
        reading: SUPPORT,
        check: run!(socks5_proxies),
        ..BASE
    },
    Case {
        id: "pt-3.2.2/socks4a-proxies",
        line: 38,
        level: Level::Should,
        requirement: "Proxies of the kind socks4a are taken.",
        reference: "pt-spec 3.2.2, an example; tor's Socks4Proxy",
        reading: SUPPORT,
        check: run!(socks4a_proxies),
        ..BASE
    },
    Case {
        id: "pt-3.3.2/unknown-kinds-of-proxies",
        line: 38,
        requirement: "A kind of proxy that the executable does not know is a PROXY-ERROR.",
        reference: "pt-spec 3.3.2: malformed, unsupported or otherwise unusable",
        check: run!(unknown_kinds),
        ..BASE
    },
    Case {
        id: "pt-3.2.2/proxies-have-addresses",
        line: 38,
        requirement: "A proxy that is given by a host name is a PROXY-ERROR.",
        reference: "pt-spec 3.2.2: <ip>:<port>",
        reading: "To find out what a name stands for would tell somebody else before the proxy.",
        check: run!(proxies_have_addresses),
        ..BASE
    },
    Case {
        id: "pt-3.2.2/proxies-have-ports",
        line: 38,
        requirement: "A proxy without a port is a PROXY-ERROR.",
        reference: "pt-spec 3.2.2: <ip>:<port>",
        check: run!(proxies_have_ports),
        ..BASE
    },
    Case {
        id: "pt-3.3.2/malformed-proxies",
        line: 39,
        requirement: "Every value that cannot be understood is a PROXY-ERROR on stdout, not an end without a word.",
        reference: "pt-spec 3.3.2: MUST respond with a message; tor starts a process that ends without one again and again",
        check: run!(malformed_proxies),
        ..BASE
    },
    Case {
        id: "tor-transports/proxy-credentials-are-not-encoded",
        line: 39,
        level: Level::Real,
        requirement: "A user name and a password with `:`, `@`, `/`, `%` and the like in them are no reason to refuse a proxy.",
        reference: "tor puts Socks5ProxyUsername and Socks5ProxyPassword into the URI as they are (transports.c, measured)",
        reading: "Such a value is no URI of RFC 3986, but it is what a parent sends.",
        check: run!(credentials_are_not_encoded),
        ..BASE
    },
    Case {
        id: "pt-3.2.2/socks5-credentials-are-two",
        line: 40,
        requirement: "A socks5 proxy with a user name and no password, or with one of them empty, is a PROXY-ERROR.",
        reference: "pt-spec 3.2.2; RFC 1929 2: both have 1 to 255 bytes",
        reading: "The grammar lets a password be left out; SOCKS5 has no message for that.",
        check: run!(socks5_credentials_are_two),
        ..BASE
    },
    Case {
        id: "rfc1929-2/socks5-credentials-that-do-not-fit",
        line: 40,
        requirement: "A socks5 proxy with a user name or a password of more than 255 bytes is a PROXY-ERROR; 255 bytes are taken.",
        reference: "RFC 1929 2: both have 1 to 255 bytes",
        check: run!(socks5_credentials_that_do_not_fit),
        ..BASE
    },
    Case {
        id: "pt-3.2.2/socks4a-has-no-password",
        line: 40,
        requirement: "A socks4a proxy with a password is a PROXY-ERROR; with a user name alone it is taken.",
        reference: "pt-spec 3.2.2; SOCKS4 and 4a have a user id and no password",
        reading: "To leave the password out would be to use the proxy in another way than the user wants.",
        check: run!(socks4a_has_no_password),
        ..BASE
    },
    Case {
        id: "pt-3.2.2/proxies-with-ipv6-addresses",
        line: 42,
        level: Level::Should,
        requirement: "The IPv6 address of a proxy stands in brackets, behind credentials or without.",
        reference: "pt-spec 3.2.2; tor sends `http://user:pa:ss@[::1]:8080` (measured)",
        check: run!(ipv6_addresses),
        ..BASE
    },
];

const SUPPORT: &str = "The text lets an executable refuse any kind of proxy; a user who needs one of the kinds that tor has cannot use it then.";

async fn proxy_is_answered(bench: &Bench) -> Verdict {
    for kind in KINDS {
        behind(bench, &uri(kind, "", SOMEWHERE)).await?;
    }
    Ok(())
}

async fn proxy_comes_first(bench: &Bench) -> Verdict {
    for kind in kinds(bench).await? {
        let proxy = live(kind).await?;
        let said = accepted(bench, &uri(kind, "", proxy.addr())).await?.said;
        let [version, proxy] = ["VERSION ", "PROXY DONE"].map(|start| place(&said, start));
        ensure!(
            version < proxy,
            "PROXY DONE comes before VERSION: {:?}",
            said.lines
        );
        let transport = place(&said, "CMETHOD");
        ensure!(
            proxy < transport,
            "a transport comes before PROXY DONE: {:?}",
            said.lines
        );
    }
    Ok(())
}

fn place(said: &Negotiation, start: &str) -> Option<usize> {
    said.lines.iter().position(|line| line.starts_with(start))
}

async fn proxy_before_listeners(bench: &Bench) -> Verdict {
    // Writes are traced too, so that there is something to see at all.
    let (trace, launch) = Trace::around(bench, launch(bench, UNKNOWN_KIND), "listen,write,writev")?;
    let (pt, _) = launch.negotiate().await?;
    let calls = trace.calls(pt).await?;
    let listens = calls.iter().find(|call| call.starts_with("listen("));
    ensure!(
        listens.is_none(),
        "with the proxy {UNKNOWN_KIND} something listens: {listens:?}"
    );
    Ok(())
}

async fn proxy_done_before_listeners(bench: &Bench) -> Verdict {
    let kinds = kinds(bench).await?;
    let proxy = live(kinds[0]).await?;
    let uri = uri(kinds[0], "", proxy.addr());
    let (trace, traced) = Trace::around(bench, launch(bench, &uri), "listen,write,writev")?;
    let (pt, said) = traced.negotiate().await?;
    ensure!(said.proxy_done, "no PROXY DONE in {:?}", said.lines);
    let calls = trace.calls(pt).await?;
    let Some(done) = calls.iter().position(|call| call.contains("PROXY DONE")) else {
        return Err(Failure::Instrument(
            "strace saw no write of PROXY DONE".to_owned(),
        ));
    };
    let listens = calls[..done].iter().find(|call| call.contains("listen"));
    ensure!(
        listens.is_none(),
        "with the proxy {uri} something listens before PROXY DONE: {listens:?}"
    );
    Ok(())
}

async fn proxy_error_terminates(bench: &Bench) -> Verdict {
    let said = fails_with("PROXY-ERROR", launch(bench, UNKNOWN_KIND)).await?;
    let launched = said.lines.iter().find(|line| line.starts_with("CMETHOD"));
    ensure!(
        launched.is_none(),
        "before PROXY-ERROR it says {launched:?}"
    );
    Ok(())
}

async fn proxy_done_before_cmethods_done(bench: &Bench) -> Verdict {
    for kind in kinds(bench).await? {
        let proxy = live(kind).await?;
        // Its lines are read up to CMETHODS DONE.
        accepted(bench, &uri(kind, "", proxy.addr())).await?;
    }
    Ok(())
}

async fn http_proxies(bench: &Bench) -> Verdict {
    taken(bench, Kind::Http).await
}

async fn socks5_proxies(bench: &Bench) -> Verdict {
    taken(bench, Kind::Socks5(0)).await
}

async fn socks4a_proxies(bench: &Bench) -> Verdict {
    taken(bench, Kind::Socks4a).await
}

async fn taken(bench: &Bench, kind: Kind) -> Verdict {
    let proxy = live(kind).await?;
    takes(bench, &uri(kind, "", proxy.addr())).await
}

async fn takes(bench: &Bench, uri: &str) -> Verdict {
    let taken = behind(bench, uri).await?;
    ensure!(taken.is_some(), "it refuses {uri} with PROXY-ERROR");
    Ok(())
}

/// Expects `PROXY-ERROR` and the end for each of these values; tells all that are taken otherwise.
async fn refuses(bench: &Bench, uris: &[impl AsRef<str>]) -> Verdict {
    let mut wrong = Vec::new();
    for uri in uris {
        let uri = uri.as_ref();
        match fails_with("PROXY-ERROR", launch(bench, uri)).await {
            Err(Failure::Deviation(text)) => wrong.push(format!("with the proxy {uri:?} {text}")),
            other => drop(other?),
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    Ok(())
}

async fn unknown_kinds(bench: &Bench) -> Verdict {
    let proxy = live(Kind::Http).await?;
    let values = ["unheard-of", "ftp", "socks6"].map(|kind| format!("{kind}://{}", proxy.addr()));
    refuses(bench, &values).await
}

async fn proxies_have_addresses(bench: &Bench) -> Verdict {
    for kind in KINDS {
        let proxy = live(kind).await?;
        // What the address was, and a name that nobody has.
        let named = uri(kind, "", proxy.addr()).replace("127.0.0.1", "localhost");
        let strange = uri(kind, "user", SOMEWHERE).replace("127.0.0.1", "proxy.invalid");
        refuses(bench, &[named, strange]).await?;
    }
    Ok(())
}

async fn proxies_have_ports(bench: &Bench) -> Verdict {
    let values = [
        "http://127.0.0.1",
        "http://127.0.0.1:",
        "socks5://127.0.0.1",
        "socks4a://127.0.0.1",
        "http://[::1]",
        "socks5://user:password@127.0.0.1",
    ];
    refuses(bench, &values).await
}

async fn malformed_proxies(bench: &Bench) -> Verdict {
    let values = [
        "garbage",
        "127.0.0.1:9",
        "://127.0.0.1:9",
        "http:127.0.0.1:9",
        "http:/127.0.0.1:9",
        "http://",
        "http://:9",
        "http://@:9",
        "http://[::1",
        "http://[::1:9",
        "http://[127.0.0.1]x:9",
        "http://127.0.0.1:http",
        "http://127.0.0.1:-1",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:0",
        "http://127.0.0.256:9",
        "http://127.0.0.1:9 ",
        "socks5://user:pass word@",
        "%",
        " ",
    ];
    refuses(bench, &values).await
}

async fn credentials_are_not_encoded(bench: &Bench) -> Verdict {
    let proxy = live(Kind::Socks5(2)).await?;
    let with = |user: &str| uri(Kind::Socks5(2), user, proxy.addr());
    accepted(bench, &with("user:password")).await?;
    let users = [
        "u:s@r:p%20w/d",
        "user:p%zz",
        "us%r:p?w#d",
        "user:p@ss:w@rd",
        "user:[p]ass",
    ];
    for user in users {
        takes(bench, &with(user)).await?;
    }
    Ok(())
}

async fn socks5_credentials_are_two(bench: &Bench) -> Verdict {
    let proxy = live(Kind::Socks5(2)).await?;
    let with = |user: &str| uri(Kind::Socks5(2), user, proxy.addr());
    accepted(bench, &with("user:password")).await?;
    refuses(bench, &["user", "user:", ":password", ":"].map(with)).await
}

async fn socks5_credentials_that_do_not_fit(bench: &Bench) -> Verdict {
    let proxy = live(Kind::Socks5(2)).await?;
    let with = |user: String| uri(Kind::Socks5(2), &user, proxy.addr());
    let [longest, longer] = [255, 256].map(|length| "x".repeat(length));
    accepted(bench, &with("user:password".to_owned())).await?;
    takes(bench, &with(format!("{longest}:{longest}"))).await?;
    refuses(
        bench,
        &[format!("{longer}:password"), format!("user:{longer}")].map(with),
    )
    .await
}

async fn socks4a_has_no_password(bench: &Bench) -> Verdict {
    let proxy = live(Kind::Socks4a).await?;
    let with = |user: &str| uri(Kind::Socks4a, user, proxy.addr());
    accepted(bench, &with("")).await?;
    takes(bench, &with("user")).await?;
    refuses(bench, &[with("user:password")]).await
}

async fn ipv6_addresses(bench: &Bench) -> Verdict {
    // Nobody has to speak there; an executable may look whether somebody listens.
    let (_listener, addr) = ipv6_listener().await?;
    for kind in kinds(bench).await? {
        takes(bench, &uri(kind, "", addr)).await?;
        let user = if kind == Kind::Socks4a {
            "user"
        } else {
            "user:pa:ss"
        };
        takes(bench, &uri(kind, user, addr)).await?;
    }
    Ok(())
}
