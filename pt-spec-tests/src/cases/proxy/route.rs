//! What a proxy hears, and that a tunnel comes about through it.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{BASE, accepted, ipv6_listener, kinds, live, uri};
use crate::bench::Bench;
use crate::case::{Case, Level, Side, run};
use crate::cases::socks5::{Port, grants, round_trip};
use crate::instruments::pair::Bridge;
use crate::instruments::process::Pt;
use crate::instruments::socks::{Target, connect};
use crate::instruments::upstream::{Behaviour, Kind, Upstream, Visit};
use crate::instruments::wire::{SOON, accept};
use crate::verdict::{Verdict, deviation, ensure};

/// The cases, in the ledger's order.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "pt-3.2.2/through-an-http-proxy",
        line: 38,
        side: Side::Both,
        requirement: "A tunnel goes through an http proxy, which is asked with CONNECT for the bridge and told no credentials.",
        reference: "pt-spec 3.2.2: the proxy MUST be used for outgoing connections; RFC 9110 9.3.6",
        check: run!(through_an_http_proxy),
        ..BASE
    },
    Case {
        id: "pt-3.2.2/through-a-socks5-proxy",
        line: 38,
        side: Side::Both,
        requirement: "A tunnel goes through a socks5 proxy, which is offered no authentication and asked for the bridge.",
        reference: "pt-spec 3.2.2: the proxy MUST be used for outgoing connections; RFC 1928",
        check: run!(through_a_socks5_proxy),
        ..BASE
    },
    Case {
        id: "pt-3.2.2/through-a-socks4a-proxy",
        line: 38,
        side: Side::Both,
        requirement: "A tunnel goes through a socks4a proxy, which is asked for the bridge.",
        reference: "pt-spec 3.2.2: the proxy MUST be used for outgoing connections; SOCKS4 and 4a",
        check: run!(through_a_socks4a_proxy),
        ..BASE
    },
    Case {
        id: "pt-3.2.2/proxies-that-answer-byte-by-byte",
        line: 38,
        side: Side::Both,
        requirement: "The answers of a proxy are understood when they come one byte at a time.",
        reference: "TCP knows no segments; RFC 1928, RFC 9110 9.3.6",
        check: run!(byte_by_byte),
        ..BASE
    },
    Case {
        id: "tor-transports/proxy-credentials-are-verbatim",
        line: 39,
        level: Level::Real,
        side: Side::Both,
        requirement: "The user name ends at the first colon, the password at the last `@`, and both are told to the proxy without decoding.",
        reference: "tor puts Socks5ProxyUsername and Socks5ProxyPassword into the URI as they are (transports.c, measured)",
        reading: "Where a user name has a colon itself nobody can tell; it is taken for the shorter one.",
        check: run!(credentials_are_verbatim),
        ..BASE
    },
    Case {
        id: "tor-transports/http-credentials-are-verbatim",
        line: 39,
        level: Level::Real,
        side: Side::Both,
        requirement: "An http proxy is told user name and password as they stand before the last `@`, without decoding.",
        reference: "tor puts HTTPSProxyAuthenticator into the URI as it is (transports.c, measured)",
        check: run!(http_credentials_are_verbatim),
        ..BASE
    },
    Case {
        id: "rfc1929-2/credentials-for-a-socks5-proxy",
        line: 40,
        side: Side::Both,
        requirement: "User name and password are offered and told to a socks5 proxy.",
        reference: "pt-spec 3.2.2; RFC 1929 2",
        check: run!(socks5_credentials),
        ..BASE
    },
    Case {
        id: "pt-3.2.2/credentials-for-an-http-proxy",
        line: 40,
        side: Side::Both,
        requirement: "User name and password are told to an http proxy as Basic credentials, a user name alone with an empty password.",
        reference: "pt-spec 3.2.2; RFC 7617 2",
        check: run!(http_credentials),
        ..BASE
    },
    Case {
        id: "pt-3.2.2/user-of-a-socks4a-proxy",
        line: 40,
        side: Side::Both,
        requirement: "The user name is told to a socks4a proxy as the user id.",
        reference: "pt-spec 3.2.2; SOCKS4 and 4a",
        check: run!(socks4a_user),
        ..BASE
    },
    Case {
        id: "pt-3.2.2/dials-a-proxy-with-an-ipv6-address",
        line: 42,
        level: Level::Should,
        side: Side::Both,
        requirement: "A proxy with an IPv6 address is dialled there.",
        reference: "pt-spec 3.2.2; tor sends `http://user:pa:ss@[::1]:8080` (measured)",
        check: run!(dials_an_ipv6_address),
        ..BASE
    },
];

/// Another bridge, in a network of documentation (RFC 5737): a proxy of ours takes everybody to the one that there is.
const OTHER: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 9), 443));

/// A bridge, a proxy that leads to it, and a client that was told of the proxy.
pub(super) struct Route {
    bridge: Bridge,
    proxy: Upstream,
    port: Port,
    _client: Pt,
}

impl Route {
    /// Starts all three; `user` is what stands before the `@` of the URI.
    pub(super) async fn start(bench: &Bench, kind: Kind, user: &str) -> Verdict<Route> {
        let bridge = bench.bridge().await?;
        let proxy = Upstream::start(kind, Behaviour::Relay(bridge.door)).await?;
        Route::with(bench, bridge, proxy, kind, user).await
    }

    async fn with(
        bench: &Bench,
        bridge: Bridge,
        proxy: Upstream,
        kind: Kind,
        user: &str,
    ) -> Verdict<Route> {
        let ready = accepted(bench, &uri(kind, user, proxy.addr())).await?;
        let port = Port::at(ready.method.addr);
        Ok(Route {
            bridge,
            proxy,
            port,
            _client: ready.pt,
        })
    }

    /// Whether the proxy is asked for the same place whatever the request says: the transport's arguments lead there.
    pub(super) async fn leads_elsewhere(&self, place: &str) -> Verdict<bool> {
        for target in [OTHER, self.bridge.addr] {
            let visit = self.tunnel(&Target::Ip(target)).await?;
            if visit.target != place {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Opens a tunnel and makes sure that it leads to the bridge; what the proxy was told.
    pub(super) async fn tunnel(&self, target: &Target) -> Verdict<Visit> {
        let mut socks = self.port.authenticated(&self.bridge.args).await?;
        socks.send(&connect(target)).await;
        let granted = grants(&mut socks).await;
        let visit = self.proxy.visit(SOON).await;
        // What the proxy was told and what the client made of it belong together in a report.
        let visit = match (granted, visit) {
            (Ok(_), Ok(visit)) if visit.whole => visit,
            (Ok(_), Ok(visit)) => deviation!("the request is granted; the proxy was told {visit}"),
            (Ok(_), Err(unheard)) => {
                deviation!("the request is granted without the proxy: {unheard}")
            }
            (Err(refused), Ok(visit)) => deviation!("{refused}; the proxy was told {visit}"),
            (Err(refused), Err(_)) => deviation!("{refused}; the proxy was not told anything"),
        };
        round_trip(&mut socks, &self.bridge.orport).await?;
        Ok(visit)
    }

    /// A tunnel to the bridge by its address, which has to be what the proxy is asked for, unless requests do not
    /// decide that.
    async fn to_the_bridge(&self) -> Verdict<Visit> {
        let bridge = self.bridge.addr;
        let visit = self.tunnel(&Target::Ip(bridge)).await?;
        ensure!(
            visit.target == bridge.to_string() || self.leads_elsewhere(&visit.target).await?,
            "the proxy is asked for {}, the bridge is at {bridge}",
            visit.target
        );
        Ok(visit)
    }
}

async fn through_an_http_proxy(bench: &Bench) -> Verdict {
    let visit = Route::start(bench, Kind::Http, "")
        .await?
        .to_the_bridge()
        .await?;
    let told = visit.header("proxy-authorization");
    ensure!(
        told.is_none(),
        "without credentials the proxy is told {told:?}"
    );
    Ok(())
}

async fn through_a_socks5_proxy(bench: &Bench) -> Verdict {
    let visit = Route::start(bench, Kind::Socks5(0), "")
        .await?
        .to_the_bridge()
        .await?;
    ensure!(
        visit.methods.contains(&0),
        "without credentials the proxy is offered {:?}",
        visit.methods
    );
    Ok(())
}

async fn through_a_socks4a_proxy(bench: &Bench) -> Verdict {
    Route::start(bench, Kind::Socks4a, "")
        .await?
        .to_the_bridge()
        .await
        .map(drop)
}

async fn byte_by_byte(bench: &Bench) -> Verdict {
    for kind in kinds(bench).await? {
        let bridge = bench.bridge().await?;
        let proxy = Upstream::start_bytewise(kind, Behaviour::Relay(bridge.door)).await?;
        Route::with(bench, bridge, proxy, kind, "")
            .await?
            .to_the_bridge()
            .await?;
    }
    Ok(())
}

async fn credentials_are_verbatim(bench: &Bench) -> Verdict {
    let plain = live(Kind::Socks5(2)).await?;
    accepted(bench, &uri(Kind::Socks5(2), "user:password", plain.addr())).await?;
    tells(
        bench,
        Kind::Socks5(2),
        "u:s@r:p%20w/d",
        ("u", "s@r:p%20w/d"),
    )
    .await
}

async fn socks5_credentials(bench: &Bench) -> Verdict {
    tells(
        bench,
        Kind::Socks5(2),
        "user:password",
        ("user", "password"),
    )
    .await?;
    let [user, password] = ["u", "p"].map(|letter| letter.repeat(255));
    tells(
        bench,
        Kind::Socks5(2),
        &format!("{user}:{password}"),
        (&user, &password),
    )
    .await
}

async fn http_credentials(bench: &Bench) -> Verdict {
    tells_basic(bench, "user:password", "user:password").await?;
    tells_basic(bench, "user", "user:").await
}

async fn http_credentials_are_verbatim(bench: &Bench) -> Verdict {
    let plain = live(Kind::Http).await?;
    accepted(bench, &uri(Kind::Http, "user:password", plain.addr())).await?;
    tells_basic(bench, "u:s@r:p%20w", "u:s@r:p%20w").await
}

/// A tunnel through a proxy to which these are told as Basic credentials.
async fn tells_basic(bench: &Bench, before: &str, wanted: &str) -> Verdict {
    let visit = Route::start(bench, Kind::Http, before)
        .await?
        .to_the_bridge()
        .await?;
    let told = visit.header("proxy-authorization").unwrap_or_default();
    let (scheme, text) = told.split_once(' ').unwrap_or((told, ""));
    ensure!(
        scheme.eq_ignore_ascii_case("basic") && text.trim() == STANDARD.encode(wanted),
        "expected Proxy-Authorization: Basic {} ({wanted}), the proxy is told {:?}",
        STANDARD.encode(wanted),
        visit.lines
    );
    Ok(())
}

async fn socks4a_user(bench: &Bench) -> Verdict {
    let visit = Route::start(bench, Kind::Socks4a, "user")
        .await?
        .to_the_bridge()
        .await?;
    ensure!(
        visit.user.as_deref() == Some("user"),
        "the proxy is told the user {:?}",
        visit.user
    );
    Ok(())
}

/// A tunnel through a proxy that asks for user name and password.
async fn tells(bench: &Bench, kind: Kind, before: &str, wanted: (&str, &str)) -> Verdict {
    let visit = Route::start(bench, kind, before)
        .await?
        .to_the_bridge()
        .await?;
    let told = (visit.user.as_deref(), visit.password.as_deref());
    ensure!(
        told == (Some(wanted.0), Some(wanted.1)),
        "expected the user name {:?} and the password {:?}, the proxy is told {told:?}",
        wanted.0,
        wanted.1
    );
    Ok(())
}

async fn dials_an_ipv6_address(bench: &Bench) -> Verdict {
    let (listener, addr) = ipv6_listener().await?;
    let bridge = bench.bridge().await?;
    for kind in kinds(bench).await? {
        let ready = accepted(bench, &uri(kind, "", addr)).await?;
        let mut socks = Port::at(ready.method.addr)
            .authenticated(&bridge.args)
            .await?;
        socks.send(&connect(&Target::Ip(bridge.addr))).await;
        accept(
            &listener,
            &format!("a connection to the proxy at {addr}"),
            SOON,
        )
        .await?;
    }
    Ok(())
}
