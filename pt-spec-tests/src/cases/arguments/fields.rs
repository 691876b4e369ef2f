//! User name and password as one text.

use super::{BASE, NONE, accepts, each_accepts, each_refuses, judged, needed, refuses};
use crate::bench::Bench;
use crate::case::{Case, Level, Side, run};
use crate::cases::socks5::{Port, accepted, bridge_of, granted, round_trip};
use crate::instruments::pair::Pair;
use crate::instruments::socks::{credentials, encode};
use crate::verdict::{Failure, Verdict, ensure};

/// What a field of RFC 1929 holds at most.
pub(super) const FIELD: usize = 255;

/// The cases, in the ledger's order.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "pt-3.5/arguments-in-the-user-name",
        line: 98,
        side: Side::Both,
        requirement: "Arguments that stand in the user name, with a single NUL as the password, arrive as they are: the NUL is no part of them.",
        reference: "pt-spec 3.5; tor sends up to 255 bytes so",
        check: run!(arguments_in_the_user_name),
        ..BASE
    },
    Case {
        id: "pt-3.5/a-nul-is-no-password",
        line: 98,
        requirement: "A password of a single NUL adds nothing to the user name: a backslash at the end of the name has nothing behind it.",
        reference: "pt-spec 3.5",
        reading: "Seen by a backslash that would otherwise escape the NUL.",
        check: run!(a_nul_is_no_password),
        ..BASE
    },
    Case {
        id: "pt-3.5/other-passwords-are-text",
        line: 98,
        level: Level::Should,
        requirement: "A password that ends in a NUL, or has more than one, is text as any other.",
        reference: "pt-spec 3.5: only a password of a single NUL stands for none",
        reading: "No parent sends it. Seen by backslashes before such a password, where those are taken before any character.",
        check: run!(other_passwords_are_text),
        ..BASE
    },
    Case {
        id: "pt-3.5/user-name-and-password-are-one-text",
        line: 98,
        requirement: "User name and password are put together before they are read, wherever the text is cut in two.",
        reference: "pt-spec 3.5: the list is transmitted in both fields; tor cuts after 255 bytes, in the middle of whatever stands there",
        check: run!(one_text),
        ..BASE
    },
    Case {
        id: "pt-3.5/arguments-arrive-wherever-they-are-cut",
        line: 98,
        side: Side::Both,
        requirement: "With the arguments of a bridge a tunnel comes about, wherever between user name and password they are cut.",
        reference: "pt-spec 3.5",
        check: run!(wherever_they_are_cut),
        ..BASE
    },
    Case {
        id: "tor-transports/longest-arguments",
        line: 98,
        level: Level::Real,
        requirement: "Arguments of up to 510 bytes are accepted: up to 255 in the user name with a NUL as the password, more of them cut after 255.",
        reference: "tor puts 255 bytes into the user name alone, although pt-spec 3.5 says less than 255, and refuses bridge lines with more than 510 (measured)",
        check: run!(longest_arguments),
        ..BASE
    },
];

async fn arguments_in_the_user_name(bench: &Bench) -> Verdict {
    let pair = Pair::start(bench).await?;
    needed(&pair.bridge.args)?;
    let text = encode(&pair.bridge.args);
    if text.len() > FIELD {
        return Err(Failure::NotApplicable(
            "the arguments do not fit into a user name".to_owned(),
        ));
    }
    leads_to_the_bridge(&pair, &text, NONE).await
}

async fn a_nul_is_no_password(bench: &Bench) -> Verdict {
    let port = Port::start(bench).await?;
    refuses(&port, br"key=value\", NONE).await?;
    // And where it is more than that, it counts.
    accepts(&port, br"key=value\", b"\\").await
}

async fn other_passwords_are_text(bench: &Bench) -> Verdict {
    let port = Port::start(bench).await?;
    if !judged(&port, br"key=v\alue", NONE).await? {
        return Err(Failure::NotApplicable(
            "it refuses a backslash before a character that needs none".to_owned(),
        ));
    }
    // A text without the password would end in the backslash.
    accepts(&port, br"key=value\", b"\0\0").await?;
    accepts(&port, br"key=value\", b"a\0").await?;
    // What stands behind a NUL counts as well: an item without an equals sign.
    refuses(&port, b"key=value", b"\0;item").await
}

async fn one_text(bench: &Bench) -> Verdict {
    let port = Port::start(bench).await?;
    each_accepts(&port, cuts(br"key=value;second=va\;l\\ue;third=3")).await?;
    each_refuses(&port, cuts(br"key=value;second\=value")).await
}

/// User name and password for every place where a text can be cut in two.
fn cuts(text: &[u8]) -> Vec<[Vec<u8>; 2]> {
    (1..text.len())
        .map(|at| [text[..at].to_vec(), text[at..].to_vec()])
        .collect()
}

async fn wherever_they_are_cut(bench: &Bench) -> Verdict {
    let pair = Pair::start(bench).await?;
    needed(&pair.bridge.args)?;
    let text = encode(&pair.bridge.args);
    for at in 1..text.len() {
        if at <= FIELD && text.len() - at <= FIELD {
            leads_to_the_bridge(&pair, &text[..at], &text[at..]).await?;
        }
    }
    Ok(())
}

async fn longest_arguments(bench: &Bench) -> Verdict {
    let port = Port::start(bench).await?;
    for length in [254, 255] {
        accepts(&port, &text_of(length), NONE).await?;
    }
    for length in [256, 257, 509, 510] {
        let text = text_of(length);
        let (user, password) = text.split_at(FIELD);
        accepts(&port, user, password).await?;
    }
    Ok(())
}

/// Arguments of so many bytes.
fn text_of(length: usize) -> Vec<u8> {
    let mut text = b"key=value;second=".to_vec();
    text.resize(length, b'v');
    text
}

/// Opens a tunnel with these credentials.
pub(super) async fn leads_to_the_bridge(pair: &Pair, user: &[u8], password: &[u8]) -> Verdict {
    let mut socks = Port::of(pair).greeted(&[0, 2], 2).await?;
    socks.send(&credentials(user, password)).await;
    let what = super::shown(user, password);
    let accepted = accepted(&mut socks, &what).await?;
    ensure!(accepted, "{what} are refused in the authentication step");
    granted(&mut socks, &bridge_of(pair)).await?;
    round_trip(&mut socks, &pair.bridge.orport).await
}
