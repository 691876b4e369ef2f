//! Keys, values, separators and backslashes.
//!
//! How a text was read shows in whether it is refused: a `;` that separates where it should not leaves an item without
//! an equals sign, and an equals sign that separates where it should not makes an item well formed.

use super::{BASE, NONE, accepts, refuses};
use crate::bench::Bench;
use crate::case::{Case, Level, run};
use crate::cases::socks5::Port;
use crate::verdict::Verdict;

const NOT_SAID: &str = "The text says how arguments are encoded, not what becomes of any other bytes: refused in the authentication step, as goptlib does it, they reach no transport.";

/// The cases, in the ledger's order.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "pt-3.5/escaped-characters",
        line: 99,
        requirement: "Backslashes, equals signs and semicolons behind a backslash are data, in keys and in values.",
        reference: "pt-spec 3.5",
        check: run!(escaped_characters),
        ..BASE
    },
    Case {
        id: "pt-3.5/escaped-characters-do-not-separate",
        line: 99,
        requirement: "An escaped equals sign does not end a key, and an escaped backslash does not escape what follows.",
        reference: "pt-spec 3.5",
        reading: "Seen by items that have no other equals sign, and are malformed for that.",
        check: run!(escaped_characters_do_not_separate),
        ..BASE
    },
    Case {
        id: "tor-transports/equals-signs-in-values",
        line: 99,
        level: Level::Real,
        requirement: "An equals sign in a value is data without a backslash, too.",
        reference: "tor escapes only semicolons and backslashes (transports.c, measured), although pt-spec 3.5 escapes equals signs as well",
        check: run!(equals_signs_in_values),
        ..BASE
    },
    Case {
        id: "pt-3.5/item-without-equals-sign",
        line: 100,
        requirement: "An item without an equals sign fails in the authentication step.",
        reference: "pt-spec 3.5: arguments are <Key>=<Value>; goptlib",
        reading: NOT_SAID,
        check: run!(item_without_equals_sign),
        ..BASE
    },
    Case {
        id: "pt-3.5/empty-key",
        line: 100,
        requirement: "An item whose key is empty fails in the authentication step.",
        reference: "pt-spec 3.5: arguments are <Key>=<Value>; goptlib",
        reading: NOT_SAID,
        check: run!(empty_key),
        ..BASE
    },
    Case {
        id: "pt-3.5/empty-item",
        line: 100,
        requirement: "An empty item fails in the authentication step: a semicolon at the start, at the end, or behind another.",
        reference: "pt-spec 3.5: semicolons stand between arguments; goptlib",
        reading: NOT_SAID,
        check: run!(empty_item),
        ..BASE
    },
    Case {
        id: "pt-3.5/dangling-backslash",
        line: 100,
        requirement: "A backslash at the very end fails in the authentication step.",
        reference: "pt-spec 3.5: a backslash stands before what it escapes; goptlib",
        reading: NOT_SAID,
        check: run!(dangling_backslash),
        ..BASE
    },
    Case {
        id: "pt-3.5/needless-backslash",
        line: 100,
        level: Level::Should,
        requirement: "A backslash before a character that needs none stands for that character.",
        reference: "pt-spec 3.5; goptlib",
        reading: "The text does not say it; goptlib accepts it, obfs4proxy does not, and no parent sends it.",
        check: run!(needless_backslash),
        ..BASE
    },
    Case {
        id: "pt-3.5/repeated-keys",
        line: 101,
        requirement: "A key may come more than once: that is not malformed.",
        reference: "pt-spec 3.5 forbids no key twice; goptlib keeps every value",
        check: run!(repeated_keys),
        ..BASE
    },
];

async fn escaped_characters(bench: &Bench) -> Verdict {
    let texts: [&[u8]; 8] = [
        br"key=val\;ue",
        br"key=val\\ue",
        br"key=val\=ue",
        br"key=\;\;\\\=",
        br"ke\;y=value",
        br"ke\=y=value",
        br"ke\\y=value",
        br"key=value\\;second=value",
    ];
    accepted(bench, &texts).await
}

async fn escaped_characters_do_not_separate(bench: &Bench) -> Verdict {
    let texts: [&[u8]; 4] = [
        br"key\=value",
        br"key=value;second\=value",
        br"key=value\\;second",
        br"key\\\=value",
    ];
    refused(bench, &texts).await
}

async fn equals_signs_in_values(bench: &Bench) -> Verdict {
    let texts: [&[u8]; 4] = [
        br"cert=ab\;c\\d=e=f",
        b"key==value",
        b"key=value=",
        b"url=https://localhost/?a=b&c=d;second=value==",
    ];
    accepted(bench, &texts).await
}

async fn item_without_equals_sign(bench: &Bench) -> Verdict {
    refused(
        bench,
        &[b"novalue", b"key=value;novalue", b"novalue;key=value", b"k"],
    )
    .await
}

async fn empty_key(bench: &Bench) -> Verdict {
    refused(
        bench,
        &[b"=value", b"key=value;=value", b"=value;key=value", b"="],
    )
    .await
}

async fn empty_item(bench: &Bench) -> Verdict {
    refused(
        bench,
        &[
            b";key=value",
            b"key=value;",
            b"key=value;;second=value",
            b";",
        ],
    )
    .await
}

async fn dangling_backslash(bench: &Bench) -> Verdict {
    let port = Port::start(bench).await?;
    refuses(&port, br"key=value\", NONE).await?;
    refuses(&port, br"key=value\\\", NONE).await?;
    refuses(&port, b"key=value", br"\").await?;
    refuses(&port, br"key\", NONE).await
}

async fn needless_backslash(bench: &Bench) -> Verdict {
    accepted(
        bench,
        &[br"key=v\alue", br"\key=value", br"key=value;second=\ value"],
    )
    .await
}

async fn repeated_keys(bench: &Bench) -> Verdict {
    accepted(
        bench,
        &[b"key=value;key=value", b"key=value;second=value;key=third"],
    )
    .await
}

async fn accepted(bench: &Bench, texts: &[&[u8]]) -> Verdict {
    let port = Port::start(bench).await?;
    for text in texts {
        accepts(&port, text, NONE).await?;
    }
    Ok(())
}

async fn refused(bench: &Bench, texts: &[&[u8]]) -> Verdict {
    let port = Port::start(bench).await?;
    for text in texts {
        refuses(&port, text, NONE).await?;
    }
    Ok(())
}
