//! The greeting: methods offered and chosen, and whoever is no SOCKS5 client at all.

use std::rc::Rc;
use std::time::Duration;

use super::{Port, closed};
use crate::bench::Bench;
use crate::case::{Case, Check, Level, Side, run};
use crate::instruments::socks::{Target, connect, credentials, greeting};
use crate::instruments::wire::{Ended, hex};
use crate::verdict::{Verdict, ensure};

/// How long a stranger may be listened to: six times what obfs4proxy has.
const STRANGERS: Duration = Duration::from_secs(30);

/// The cases, in the ledger's order.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "rfc1928-3/user-name-and-password",
        line: 96,
        side: Side::Client,
        requirement: "Where method 02 (user name and password) alone is offered, it is chosen.",
        reference: "RFC 1928 3; pt-spec 3.5: arguments travel by this method",
        check: run!(user_name_and_password),
        ..Case::BASE
    },
    Case {
        id: "rfc1928-3/no-authentication",
        line: 96,
        side: Side::Client,
        requirement: "Where method 00 (no authentication) is offered and 02 is not, it is chosen, whatever else is offered.",
        reference: "RFC 1928 3; tor offers only 00 for a bridge line without arguments",
        reading: "A transport that cannot do without arguments says so in its reply to the request: 05 FF tells nobody what is missing.",
        check: run!(no_authentication),
        ..Case::BASE
    },
    Case {
        id: "tor-connection/arguments-before-none",
        line: 96,
        level: Level::Real,
        side: Side::Client,
        requirement: "Where methods 00 and 02 are offered, 02 is chosen, in whatever order they stand and whatever stands between them.",
        reference: "tor offers 00 and 02 for a bridge line with arguments, and sends none of them when 00 is chosen (connection.c)",
        reading: "RFC 1928 leaves the choice to the server. A transport without arguments loses nothing by 00, but it cannot tell its user that the bridge line has some.",
        check: run!(arguments_before_none),
        ..Case::BASE
    },
    Case {
        id: "rfc1928-3/no-acceptable-method",
        line: 96,
        side: Side::Client,
        requirement: "Where no method is acceptable the answer is 05 FF, and the connection is closed.",
        reference: "RFC 1928 3",
        reading: "The RFC has the client close; a server that waits for it would keep strangers.",
        check: run!(no_acceptable_method),
        ..Case::BASE
    },
    Case {
        id: "rfc1928-3/no-method-offered",
        line: 96,
        side: Side::Client,
        requirement: "A greeting that offers no method at all is answered with 05 FF or nothing, and the connection is closed.",
        reference: "RFC 1928 3: NMETHODS counts 1 to 255 methods",
        check: run!(no_method_offered),
        ..Case::BASE
    },
    Case {
        id: "rfc1928-3/wrong-version",
        line: 110,
        side: Side::Client,
        limit: Duration::from_secs(90),
        requirement: "A greeting with any other version than 05 gets no method, and the connection is closed within the time limit of the handshake.",
        reference: "RFC 1928 3: VER is 05",
        reading: "No text sets the limit; more than 30 seconds is too long.",
        check: run!(wrong_version),
        ..Case::BASE
    },
    Case {
        id: "rfc1928-3/strangers",
        line: 110,
        side: Side::Client,
        limit: Duration::from_secs(60),
        requirement: "Whoever speaks HTTP, TLS, SSH, SOCKS4 or nothing known is sent away within the time limit of the handshake, and the port serves on.",
        reference: "RFC 1928 3; obfs4proxy closes after 5 seconds at the latest (measured)",
        reading: "No text sets the limit; more than 30 seconds is too long. What is said to a stranger is not looked at.",
        check: run!(strangers),
        ..Case::BASE
    },
    Case {
        id: "rfc1928-3/clients-that-leave",
        line: 110,
        side: Side::Client,
        requirement: "A client that leaves after any byte of the handshake harms nobody: the port serves on.",
        reference: "RFC 1928 3 to 6; tor gives connections up when its circuits time out",
        check: run!(clients_that_leave),
        ..Case::BASE
    },
    Case {
        id: "tor-connection/user-name-of-another-proxy",
        line: 111,
        level: Level::Should,
        side: Side::Client,
        requirement: "With Socks5ProxyUsername set and a bridge line without arguments, tor offers 00 and 02 and fails when 02 is chosen.",
        reference: "tor says \"Could not create SOCKS args string\" (measured); connection.c",
        check: Check::Outside(
            "the mistake is tor's: its offer looks like any other with arguments, and arguments have to be taken where they are offered",
        ),
        ..Case::BASE
    },
];

async fn user_name_and_password(bench: &Bench) -> Verdict {
    Port::start(bench).await?.greeted(&[2], 2).await.map(drop)
}

async fn no_authentication(bench: &Bench) -> Verdict {
    let port = Port::start(bench).await?;
    let all_others: Vec<u8> = (0x80..=0xfe).rev().chain([0]).collect();
    for offer in [&[0][..], &[3, 0], &[0, 3], &[0x80, 3, 0, 5], &all_others] {
        port.greeted(offer, 0).await?;
    }
    Ok(())
}

async fn arguments_before_none(bench: &Bench) -> Verdict {
    let port = Port::start(bench).await?;
    let all_others: Vec<u8> = [0].into_iter().chain(0x80..=0xfe).chain([2]).collect();
    for offer in [
        &[0, 2][..],
        &[2, 0],
        &[3, 0, 5, 2],
        &[2, 0, 2, 0],
        &all_others,
    ] {
        port.greeted(offer, 2).await?;
    }
    Ok(())
}

async fn no_acceptable_method(bench: &Bench) -> Verdict {
    let port = Port::start(bench).await?;
    // Neither GSSAPI (01), which the RFC asks for and no transport has, nor what later texts assign.
    let private: Vec<u8> = (0x80..=0xfe).collect();
    for offer in [&[3][..], &[0x80], &[0xfe, 0x90], &private] {
        let mut socks = port.greeted(offer, 0xff).await?;
        closed(
            &mut socks,
            &format!("no method of {} is acceptable", hex(offer)),
        )
        .await?;
    }
    Ok(())
}

async fn no_method_offered(bench: &Bench) -> Verdict {
    let port = Port::start(bench).await?;
    let mut socks = port.dial().await?;
    socks.send(&greeting(&[])).await;
    let (said, ended) = socks.ends(STRANGERS).await;
    ensure!(
        said.is_empty() || said == [5, 0xff],
        "the greeting 0500 is answered with {}",
        hex(&said)
    );
    ensure!(
        ended != Ended::Silent,
        "{STRANGERS:?} after the greeting 0500 it is {ended}"
    );
    port.still_serves().await
}

async fn wrong_version(bench: &Bench) -> Verdict {
    let port = Port::start(bench).await?;
    let others = (0..=0xff).filter(|version| *version != 5);
    port.each(others, |port, version| {
        sent_away(port, vec![version, 2, 0, 2])
    })
    .await?;
    port.still_serves().await
}

async fn strangers(bench: &Bench) -> Verdict {
    let port = Port::start(bench).await?;
    let hellos = [
        &b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"[..],
        b"CONNECT localhost:9 HTTP/1.1\r\nHost: localhost:9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x04\x01\x00\x09\x7f\x00\x00\x01\x00",
        b"\x04\x01\x00\x09\x00\x00\x00\x01user\x00localhost\x00",
        b"\r\n\r\n",
        &[0; 600],
        &[0xff; 600],
        &[b'x'; 100_000],
    ]
    .map(<[u8]>::to_vec);
    port.each(hellos, sent_away).await?;
    port.still_serves().await
}

/// Comes as a stranger, who has to be sent away without a method.
async fn sent_away(port: Port, hello: Vec<u8>) -> Verdict {
    let mut socks = port.dial().await?;
    socks.send(&hello).await;
    let (said, ended) = socks.ends(STRANGERS).await;
    let hello = hex(&hello);
    ensure!(
        !matches!(said[..], [5, 0 | 2, ..]),
        "{hello} is answered with {}, as if it were a greeting",
        hex(&said)
    );
    ensure!(
        ended != Ended::Silent,
        "{STRANGERS:?} after {hello} the connection is {ended}"
    );
    Ok(())
}

async fn clients_that_leave(bench: &Bench) -> Verdict {
    let port = Port::start(bench).await?;
    let steps = [
        greeting(&[0, 2]),
        credentials(b"key=value", &[0]),
        connect(&Target::Ip(port.addr)),
    ];
    // How many messages are said whole, and how many bytes of the next. The last byte would make a CONNECT whole: what
    // a transport does then is another matter.
    let places: Vec<(usize, usize)> = (0..steps.len())
        .flat_map(|whole| (0..steps[whole].len()).map(move |bytes| (whole, bytes)))
        .collect();
    let steps = Rc::new(steps);
    port.each(places, |port, (whole, bytes)| {
        leaves(port, steps.clone(), whole, bytes)
    })
    .await?;
    port.still_serves().await
}

async fn leaves(port: Port, steps: Rc<[Vec<u8>; 3]>, whole: usize, bytes: usize) -> Verdict {
    let mut socks = port.dial().await?;
    for step in &steps[..whole] {
        socks.send(step).await;
        // Its answer, so that no byte is pipelined.
        let _ = socks.read(2).await;
    }
    socks.send(&steps[whole][..bytes]).await;
    Ok(())
}
