//! Who tor is and who the server is: types, nonces, hashes and the cookie (ext-orport-spec 2).

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::bench::Bench;
use crate::case::{Case, Check, Side, run};
use crate::instruments::orport::{Conversation, OKAY, Script, client_hash, frame, server_hash};
use crate::instruments::wire::{SOON, hex, read_exactly, read_to_end, write_all};
use crate::verdict::{Verdict, deviation, ensure};

use super::scene::{
    EXCHANGE, Scene, authenticated, carries, closed, expect, introduced, left, turned_away,
};

/// The cases.
pub(super) const CASES: &[Case] = &[
    Case {
        id: "extor-2/types-are-read-to-their-end",
        line: 116,
        side: Side::Both,
        requirement: "The list of authentication types is read up to the 0 that ends it, and type 1 is chosen wherever it stands.",
        reference: "ext-orport-spec 2 and 2.1: a list of types from 1 to 255, ended by 0; SAFE_COOKIE is 1",
        check: run!(types_to_their_end),
        ..Case::BASE
    },
    Case {
        id: "extor-2/no-type-that-it-knows",
        line: 116,
        side: Side::Both,
        requirement: "When type 1 is not among the authentication types, the server closes the connection and chooses none of them.",
        reference: "ext-orport-spec 2: an answer of 0 says that the client liked none of the types; tor closes then",
        reading: "Both are right: to close at once, and to answer 0 before.",
        check: run!(unknown_types),
        ..Case::BASE
    },
    Case {
        id: "extor-2/types-without-end",
        line: 116,
        side: Side::Both,
        limit: Duration::from_secs(60),
        requirement: "A list of authentication types that goes on after 255 of them is not read for ever: the server closes the connection.",
        reference: "ext-orport-spec 2: there are 255 types, so a longer list says nothing new",
        check: run!(endless_types),
        ..Case::BASE
    },
    Case {
        id: "extor-2/messages-in-pieces",
        line: 116,
        side: Side::Both,
        requirement: "What the Extended ORPort sends is understood in whatever segments it comes: single bytes, and cuts in the midst of a number or a hash.",
        reference: "ext-orport-spec 2 and 3: a byte stream, whose messages have their length in them",
        check: run!(in_pieces),
        ..Case::BASE
    },
    Case {
        id: "extor-2.1.3/nonce-is-fresh",
        line: 117,
        side: Side::Both,
        requirement: "The ClientNonce is 32 random bytes, fresh for every connection.",
        reference: "ext-orport-spec 2.1.3: ClientNonce is 32 octets of random data",
        check: run!(fresh_nonce),
        ..Case::BASE
    },
    Case {
        id: "extor-2.1.3/wrong-server-hash",
        line: 117,
        side: Side::Both,
        requirement: "An Extended ORPort whose ServerHash is not that of the cookie gets no ClientHash: the server closes the connection.",
        reference: "ext-orport-spec 2.1.3: the client MUST terminate the connection if the hash is invalid",
        check: run!(wrong_server_hash),
        ..Case::BASE
    },
    Case {
        id: "extor-2.1.3/hashes-are-compared-in-constant-time",
        line: 117,
        side: Side::Both,
        requirement: "The ServerHash is compared in constant time.",
        reference: "ext-orport-spec 2.1.3; goptlib uses hmac.Equal",
        check: Check::Outside(
            "the difference is some nanoseconds in the answer of one connection, far below what the connection itself varies by",
        ),
        ..Case::BASE
    },
    Case {
        id: "extor-2.1.3/client-hash",
        line: 118,
        side: Side::Both,
        requirement: "The ClientHash is the HMAC-SHA256 of the client-to-server text and both nonces under the cookie.",
        reference: "ext-orport-spec 2.1.3",
        check: run!(right_client_hash),
        ..Case::BASE
    },
    Case {
        id: "extor-2.1.3/status-other-than-1",
        line: 118,
        side: Side::Both,
        requirement: "After a status byte other than 1 the server sends no frame and closes the connection.",
        reference: "ext-orport-spec 2.1.3: status 1 is success, 0 failure",
        reading: "A status that the specification does not name is a failure as well.",
        check: run!(failed_status),
        ..Case::BASE
    },
    Case {
        id: "extor-2.1.2/cookie-header",
        line: 119,
        side: Side::Both,
        requirement: "A cookie file that does not begin with the static header is not used for authentication.",
        reference: "ext-orport-spec 2.1.2: clients MUST make sure that the StaticHeader is present",
        check: run!(cookie_header),
        ..Case::BASE
    },
    Case {
        id: "extor-2.1.2/cookie-length",
        line: 119,
        side: Side::Both,
        requirement: "A cookie file of fewer or more than 64 bytes is not used for authentication.",
        reference: "ext-orport-spec 2.1.2: a header of 32 octets and a cookie of 32; goptlib refuses 65",
        check: run!(cookie_length),
        ..Case::BASE
    },
    Case {
        id: "extor-2.1.2/cookie-missing",
        line: 119,
        side: Side::Both,
        requirement: "Without a cookie file the server does not authenticate, ends the application's connection, and serves again as soon as there is one.",
        reference: "ext-orport-spec 2.1.2; tor may write the file after it has started the transport",
        check: run!(cookie_missing),
        ..Case::BASE
    },
];

async fn types_to_their_end(bench: &Bench) -> Verdict {
    let scene = Scene::start(bench).await?;
    let every: Vec<u8> = (1..=255).rev().chain([0]).collect();
    for types in [vec![1, 0], vec![1, 2, 3, 0], vec![255, 1, 7, 0], every] {
        let (app, mut server) = scene.visit().await?;
        let script = Script {
            types: types.clone(),
            ..Script::default()
        };
        if let Err(cut) = server.authenticate(&script).await {
            deviation!(
                "offered the types {}, the server leaves: {cut}",
                hex(&types)
            );
        }
        let chosen = server.chosen;
        ensure!(
            chosen == Some(1),
            "of the types {} it chooses {chosen:?}",
            hex(&types)
        );
        // A type that was left unread would be taken for the hash.
        introduced(&mut server).await?;
        server.answer(OKAY, b"").await;
        carries(app, server).await?;
    }
    Ok(())
}

async fn unknown_types(bench: &Bench) -> Verdict {
    let scene = Scene::start(bench).await?;
    for types in [&[0][..], &[2, 0], &[17, 2, 255, 0]] {
        let (_app, mut server) = scene.visit().await?;
        let _ = write_all(&mut server.stream, types, SOON).await;
        let (got, ended) = read_to_end(&mut server.stream, EXCHANGE).await;
        ensure!(
            matches!(got[..], [] | [0]),
            "offered the types {}, it answers {}",
            hex(types),
            hex(&got)
        );
        ensure!(
            closed(ended),
            "offered the types {}, it leaves the connection {ended}",
            hex(types)
        );
    }
    scene.serves().await
}

async fn endless_types(bench: &Bench) -> Verdict {
    let scene = Scene::start(bench).await?;
    let (_app, mut server) = scene.visit().await?;
    let _ = write_all(&mut server.stream, &[2; 1000], SOON).await;
    left(&mut server, "1000 authentication types without an end").await?;
    scene.serves().await
}

async fn in_pieces(bench: &Bench) -> Verdict {
    let scene = Scene::start(bench).await?;
    let (app, mut server) = scene.visit().await?;
    let cookie = scene.ext.cookie();
    pieces(&mut server.stream, &[3, 1, 2, 0], &[1, 1, 1]).await;
    let theirs = choice(&mut server).await?;
    let hash = [server_hash(&cookie, &theirs, &NONCE), NONCE].concat();
    pieces(&mut server.stream, &hash, &[1, 30, 2, 30]).await;
    let hash = client_hash(&cookie, &theirs, &NONCE);
    expect(&mut server.stream, &hash, "the bytes of the ClientHash").await?;
    pieces(&mut server.stream, &[1], &[]).await;
    introduced(&mut server).await?;
    pieces(
        &mut server.stream,
        &frame(OKAY, b"a body"),
        &[1, 1, 1, 1, 3],
    )
    .await;
    carries(app, server).await
}

/// Sends in segments of these sizes, and the rest in one. Where the server is too busy to read them one by one it has it
/// easier.
async fn pieces(stream: &mut TcpStream, mut bytes: &[u8], sizes: &[usize]) {
    for size in sizes {
        let (piece, rest) = bytes.split_at(*size);
        let _ = write_all(stream, piece, SOON).await;
        sleep(Duration::from_millis(5)).await;
        bytes = rest;
    }
    let _ = write_all(stream, bytes, SOON).await;
}

async fn fresh_nonce(bench: &Bench) -> Verdict {
    let scene = Scene::start(bench).await?;
    let mut seen: Vec<[u8; 32]> = Vec::new();
    for _ in 0..3 {
        let (_app, mut server) = scene.visit().await?;
        authenticated(&mut server, &Script::default()).await?;
        let nonce = server.nonce.unwrap_or_default();
        let first = nonce[0];
        ensure!(
            nonce.iter().any(|byte| *byte != first),
            "the nonce is {}",
            hex(&nonce)
        );
        ensure!(
            !seen.contains(&nonce),
            "the nonce {} came twice",
            hex(&nonce)
        );
        // Half of one in another: a counter or a padded number.
        let half = |nonce: &[u8; 32]| [nonce[..16].to_vec(), nonce[16..].to_vec()];
        let again = seen
            .iter()
            .any(|old| half(old).iter().any(|part| half(&nonce).contains(part)));
        ensure!(
            !again,
            "half of the nonce {} was in one before",
            hex(&nonce)
        );
        seen.push(nonce);
    }
    Ok(())
}

/// What an impostor may send in place of the right hash, from the cookie and both nonces.
type Lie = fn(&[u8; 32], &[u8; 32], &[u8; 32]) -> [u8; 32];

async fn wrong_server_hash(bench: &Bench) -> Verdict {
    let lies: [(&str, Lie); 5] = [
        (
            "a ServerHash with its last bit changed",
            |cookie, theirs, ours| {
                let mut hash = server_hash(cookie, theirs, ours);
                hash[31] ^= 1;
                hash
            },
        ),
        (
            "a ServerHash with its first bit changed",
            |cookie, theirs, ours| {
                let mut hash = server_hash(cookie, theirs, ours);
                hash[0] ^= 0x80;
                hash
            },
        ),
        ("a ServerHash of zeros", |_, _, _| [0; 32]),
        ("a ServerHash by another cookie", |_, theirs, ours| {
            server_hash(&[7; 32], theirs, ours)
        }),
        ("the hash of the other direction", client_hash),
    ];
    let scene = Scene::start(bench).await?;
    for (name, lie) in lies {
        let (_app, mut server) = scene.visit().await?;
        let cookie = scene.ext.cookie();
        impostor(&mut server, |theirs, ours| lie(&cookie, theirs, ours)).await?;
        left(&mut server, name).await?;
    }
    scene.serves().await
}

/// Our own nonce where a case answers by itself.
const NONCE: [u8; 32] = [0x5a; 32];

/// Offers type 1, reads the choice and the nonce, and sends a hash of the case's choosing.
pub(super) async fn impostor(
    server: &mut Conversation,
    hash: impl FnOnce(&[u8; 32], &[u8; 32]) -> [u8; 32],
) -> Verdict {
    let _ = write_all(&mut server.stream, &[1, 0], SOON).await;
    let theirs = choice(server).await?;
    let answer = [hash(&theirs, &NONCE), NONCE].concat();
    let _ = write_all(&mut server.stream, &answer, SOON).await;
    Ok(())
}

/// Reads the server's choice, which is to be 1, and its nonce.
async fn choice(server: &mut Conversation) -> Verdict<[u8; 32]> {
    expect(&mut server.stream, &[1], "the byte of the chosen type").await?;
    match read_exactly(&mut server.stream, 32, SOON).await {
        Ok(nonce) => Ok(nonce.try_into().expect("32 bytes were asked for")),
        Err(cut) => deviation!("instead of a ClientNonce the connection is {cut}"),
    }
}

async fn right_client_hash(bench: &Bench) -> Verdict {
    let scene = Scene::start(bench).await?;
    let (_app, mut server) = scene.visit().await?;
    authenticated(&mut server, &Script::default()).await?;
    ensure!(server.hash_right == Some(true), "the ClientHash is another");
    Ok(())
}

async fn failed_status(bench: &Bench) -> Verdict {
    let scene = Scene::start(bench).await?;
    for status in [0, 2, 255] {
        let (mut app, mut server) = scene.visit().await?;
        authenticated(
            &mut server,
            &Script {
                status,
                ..Script::default()
            },
        )
        .await?;
        let after = format!("the status {status}");
        left(&mut server, &after).await?;
        turned_away(&mut app, &after).await?;
    }
    scene.serves().await
}

async fn cookie_header(bench: &Bench) -> Verdict {
    let scene = Scene::start(bench).await?;
    let good = scene.ext.cookie_bytes();
    for at in [0, 15, 31] {
        let mut bad = good.clone();
        bad[at] ^= 0x20;
        unusable(
            &scene,
            &bad,
            &format!("a cookie file with another byte {at} in its header"),
        )
        .await?;
    }
    restored(&scene).await
}

async fn cookie_length(bench: &Bench) -> Verdict {
    let scene = Scene::start(bench).await?;
    let good = scene.ext.cookie_bytes();
    let longer = [&good[..], b"\n"].concat();
    for bad in [&good[..63], &longer, &good[..32], b""] {
        unusable(
            &scene,
            bad,
            &format!("a cookie file of {} bytes", bad.len()),
        )
        .await?;
    }
    restored(&scene).await
}

async fn cookie_missing(bench: &Bench) -> Verdict {
    let scene = Scene::start(bench).await?;
    scene.ext.remove_cookie()?;
    refuses(&scene, "a missing cookie file").await?;
    restored(&scene).await
}

async fn unusable(scene: &Scene, file: &[u8], what: &str) -> Verdict {
    scene.ext.write_cookie(file)?;
    refuses(scene, what).await
}

/// The file may be looked at before the Extended ORPort is dialled or as late as after the server's nonce; what counts is
/// that no hash follows.
async fn refuses(scene: &Scene, what: &str) -> Verdict {
    let mut app = scene.application().await?;
    let mut server = tokio::select! {
        biased;
        server = scene.ext.accept(2 * EXCHANGE) => server?,
        end = turned_away(&mut app, what) => return end,
    };
    match server.authenticate(&Script::default()).await {
        Ok(()) => deviation!("with {what} the server sends a ClientHash"),
        Err(cut) => ensure!(
            closed(cut.ended),
            "with {what} the server leaves the connection {cut}"
        ),
    }
    turned_away(&mut app, what).await
}

async fn restored(scene: &Scene) -> Verdict {
    scene.ext.write_cookie(&scene.ext.cookie_bytes())?;
    scene.serves().await
}
