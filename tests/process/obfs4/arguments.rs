//! Arguments that cannot be: a client's in SOCKS, a bridge's in its options. Both programs refuse them; ouzel says which
//! it was, what it must look like, and never what it was given.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::deadline::soon;
use crate::support::orport::OrPort;
use crate::support::socks::{self, Refusal};

use super::ends::{
    Bridge, NODE_ID, PRIVATE_KEY, PROGRAMS, PROMPT, Program, cert, identity, options,
};

/// A client's arguments and words that tell what is wrong with them.
struct Bad {
    args: String,
    told: &'static [&'static str],
}

fn bad(args: impl Into<String>, told: &'static [&'static str]) -> Bad {
    let args = args.into();
    Bad { args, told }
}

/// Everything that a user can get wrong in copying a bridge line.
fn copied_badly(line: &str) -> Vec<Bad> {
    let cert = cert(line.as_bytes());
    let key = "5a".repeat(32);
    let cut = &cert[..68];
    let long = format!("{cert}AAAA");
    let odd = cert.replacen(&cert[3..4], "*", 1);
    vec![
        bad("", &["cert= missing", "bridge line"]),
        bad("iat-mode=0", &["cert= missing", "bridge line"]),
        bad(format!("cert={cert}"), &["iat-mode= missing"]),
        bad(format!("cert={cut};iat-mode=0"), &["cert=", "68", "70"]),
        bad(format!("cert={long};iat-mode=0"), &["cert=", "74", "70"]),
        bad("cert=;iat-mode=0", &["cert=", " 0 ", "70"]),
        bad(format!("cert={odd};iat-mode=0"), &["cert=", "base64"]),
        bad(format!("cert={cert}==;iat-mode=0"), &["cert="]),
        bad(
            format!("cert={cert};iat-mode=3"),
            &["iat-mode=", "0, 1 or 2"],
        ),
        bad(
            format!("cert={cert};iat-mode=-1"),
            &["iat-mode=", "0, 1 or 2"],
        ),
        bad(
            format!("cert={cert};iat-mode=x"),
            &["iat-mode=", "0, 1 or 2"],
        ),
        bad(
            format!("cert={cert};iat-mode="),
            &["iat-mode=", "0, 1 or 2"],
        ),
        bad(
            format!("node-id={NODE_ID};iat-mode=0"),
            &["public-key= missing"],
        ),
        bad(
            format!("public-key={key};iat-mode=0"),
            &["node-id= missing"],
        ),
        bad(
            format!("node-id={};public-key={key};iat-mode=0", &NODE_ID[1..]),
            &["node-id=", "39", "40"],
        ),
        bad(
            format!("node-id={NODE_ID};public-key={};iat-mode=0", &key[2..]),
            &["public-key=", "62", "64"],
        ),
        bad(
            format!("node-id={NODE_ID};public-key=g{};iat-mode=0", &key[1..]),
            &["public-key=", "hexadecimal", "64"],
        ),
    ]
}

#[tokio::test]
async fn a_bridge_line_copied_badly_is_refused_and_explained() {
    let bridge = Bridge::start(PROGRAMS[0], PROMPT).await;
    let line = String::from_utf8(bridge.pt.method("obfs4").await.args).unwrap();
    for program in PROGRAMS {
        let client = program.client().start();
        let port = client.method("obfs4").await.addr;
        // Nobody is called before the arguments make sense.
        let nobody = OrPort::listen().await;
        for Bad { args, told } in copied_badly(&line) {
            // A line is told once a minute, so each case has a client of its own to tell it.
            let fresh = match program {
                Program::Ouzel => Some(program.client().sharing_state(&client.state).start()),
                Program::Obfs4proxy => None,
            };
            let client = fresh.as_ref().unwrap_or(&client);
            let port = client.method("obfs4").await.addr;
            let refusal = socks::open(port, &nobody.addr.into(), args.as_bytes()).await;
            assert!(
                matches!(refusal, Err(Refusal::Arguments | Refusal::Reply(1))),
                "{program:?}, {args}: {refusal:?}"
            );
            if program == Program::Ouzel {
                client.logs(told).await;
            }
        }
        nobody.assert_unused(Duration::ZERO).await;
        if program == Program::Ouzel {
            let said = client.stdout.text();
            for value in [
                &cert(line.as_bytes())[4..68],
                &NODE_ID[1..],
                &"5a".repeat(31),
            ] {
                assert!(!said.contains(value), "it tells {value:?}:\n{said}");
            }
        }
        // And a good one is still a good one.
        let opened = socks::open(port, &bridge.addr.into(), line.as_bytes()).await;
        let mut application = opened.expect("a stream");
        let mut relay = bridge.orport.accept().await;
        application.write_all(b"!").await.unwrap();
        let byte = soon("a byte", relay.read_u8()).await;
        assert_eq!(byte.unwrap(), b'!');
    }
}

/// What an obfs4 bridge that does not start says about it, and whether it left a state file.
async fn refused(program: Program, given: &str) -> (String, bool) {
    let orport = OrPort::listen().await;
    let pt = program
        .fresh_bridge(orport.addr)
        .set("TOR_PT_SERVER_TRANSPORT_OPTIONS", given)
        .start();
    let line = pt.says(&["SMETHOD-ERROR obfs4 "]).await;
    (line, pt.state_dir().join("obfs4_state.json").exists())
}

#[tokio::test]
async fn options_that_cannot_be_are_named_in_the_error_line() {
    let seed = ("drbg-seed", PROMPT.hex);
    let id = ("node-id", NODE_ID);
    let key = ("private-key", PRIVATE_KEY);
    let all = identity(PROMPT);
    let cases = [
        (options(&[id, key]), "drbg-seed"),
        (options(&[id, seed]), "private-key"),
        (options(&[key, seed]), "node-id"),
        (options(&[id]), "private-key"),
        (options(&[("node-id", &NODE_ID[2..]), key, seed]), "node-id"),
        (options(&[("node-id", ""), key, seed]), "node-id"),
        (
            options(&[id, ("private-key", "not a key"), seed]),
            "private-key",
        ),
        (options(&[id, key, ("drbg-seed", "abcd")]), "drbg-seed"),
        (format!("{all};obfs4:iat-mode=3"), "iat-mode"),
        (format!("{all};obfs4:iat-mode=-1"), "iat-mode"),
        (format!("{all};obfs4:iat-mode=none"), "iat-mode"),
        (options(&[("iat-mode", "3")]), "iat-mode"),
    ];
    for (given, name) in &cases {
        for program in PROGRAMS {
            let (line, kept) = refused(program, given).await;
            let ours = program == Program::Ouzel;
            assert!(!ours || line.contains(name), "{given}: {line}");
            assert!(!ours || !kept, "{given}: a state file was written");
        }
    }
}
