//! User name and password as messages (RFC 1929). What they say is a matter of [`arguments`](crate::cases::arguments).

use std::time::Duration;

use super::{Port, accepted, expect, refusal};
use crate::bench::Bench;
use crate::case::{Case, Side, run};
use crate::instruments::socks::{Target, credentials, request};
use crate::instruments::wire::hex;
use crate::verdict::{Verdict, ensure};

/// The cases, in the ledger's order.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "rfc1929-2/success",
        line: 97,
        side: Side::Client,
        requirement: "User name and password are accepted with 01 00, and a request can follow.",
        reference: "RFC 1929 2; pt-spec 3.5: they carry arguments, so there is no wrong password",
        check: run!(success),
        ..Case::BASE
    },
    Case {
        id: "rfc1929-2/longest-fields",
        line: 97,
        side: Side::Client,
        requirement: "User name and password may have 255 bytes each.",
        reference: "RFC 1929 2: UNAME and PASSWD have 1 to 255 bytes",
        check: run!(longest_fields),
        ..Case::BASE
    },
    Case {
        id: "rfc1929-2/empty-user-name",
        line: 97,
        side: Side::Client,
        requirement: "A user name of length 0 is refused with a status other than 00, and the connection is closed.",
        reference: "RFC 1929 2: UNAME has 1 to 255 bytes, and the server closes after a failure",
        reading: "The RFC does not say what a length of 0 means; a status tells the client what a mere end would not.",
        check: run!(empty_user_name),
        ..Case::BASE
    },
    Case {
        id: "rfc1929-2/empty-password",
        line: 97,
        side: Side::Client,
        requirement: "A password of length 0 is refused with a status other than 00, and the connection is closed.",
        reference: "RFC 1929 2: PASSWD has 1 to 255 bytes; pt-spec 3.5 has a NUL for no password",
        reading: "As for an empty user name.",
        check: run!(empty_password),
        ..Case::BASE
    },
    Case {
        id: "rfc1929-2/wrong-version",
        line: 97,
        side: Side::Client,
        limit: Duration::from_secs(100),
        requirement: "Credentials with any other version than 01 are refused with a status other than 00, and the connection is closed.",
        reference: "RFC 1929 2: VER is 01",
        reading: "The RFC does not say what another version means; a status tells the client what a mere end would not.",
        check: run!(wrong_version),
        ..Case::BASE
    },
];

async fn success(bench: &Bench) -> Verdict {
    let port = Port::start(bench).await?;
    let mut socks = port.greeted(&[2], 2).await?;
    let message = credentials(b"key=value", &[0]);
    socks.send(&message).await;
    expect(
        &mut socks,
        &[1, 0],
        &format!("the credentials {}", hex(&message)),
    )
    .await?;
    // BIND: every transport has the same reply to it, and nobody is dialled.
    socks.send(&request(2, &Target::Ip(port.addr))).await;
    refusal(&mut socks, "BIND after credentials")
        .await
        .map(drop)
}

async fn longest_fields(bench: &Bench) -> Verdict {
    let port = Port::start(bench).await?;
    let text = [&b"key="[..], &[b'v'; 506]].concat();
    for password in [1, 254, 255] {
        let mut socks = port.greeted(&[2], 2).await?;
        socks
            .send(&credentials(&text[..255], &text[255..][..password]))
            .await;
        let what = format!("a user name of 255 bytes and a password of {password}");
        let accepted = accepted(&mut socks, &what).await?;
        ensure!(accepted, "{what} are refused");
    }
    Ok(())
}

async fn empty_user_name(bench: &Bench) -> Verdict {
    let port = Port::start(bench).await?;
    port.each(
        [credentials(b"", &[0]), credentials(b"", b"key=value")],
        refuses,
    )
    .await
}

async fn empty_password(bench: &Bench) -> Verdict {
    let port = Port::start(bench).await?;
    port.each([credentials(b"key=value", b"")], refuses).await
}

async fn wrong_version(bench: &Bench) -> Verdict {
    let port = Port::start(bench).await?;
    let messages = (0..=0xff).filter(|version| *version != 1).map(|version| {
        let mut message = credentials(b"key=value", &[0]);
        message[0] = version;
        message
    });
    port.each(messages, refuses).await?;
    port.still_serves().await
}

/// Sends what ought to be credentials, and expects a failure and the end.
async fn refuses(port: Port, message: Vec<u8>) -> Verdict {
    let mut socks = port.greeted(&[2], 2).await?;
    socks.send(&message).await;
    let what = format!("the credentials {}", hex(&message));
    let accepted = accepted(&mut socks, &what).await?;
    ensure!(!accepted, "{what} are accepted");
    Ok(())
}
