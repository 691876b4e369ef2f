//! Every client with every bridge, in every iat-mode, by both forms of a bridge line, over IPv4 and IPv6.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use crate::support::bytes;
use crate::support::deadline::within;
use crate::support::orport::OrPort;
use crate::support::pt::{Method, Pt};
use crate::support::socks;

use super::ends::{PROGRAMS, PROMPT, Program, cert, identity, keys};

/// Of the slowest: both sides in iat-mode 2 on a machine that has other things to do.
const CELL: std::time::Duration = std::time::Duration::from_secs(60);

/// How much each side sends: the modes with delays are slow on purpose.
fn length(iat_mode: u8) -> usize {
    match iat_mode {
        0 => 300_000,
        _ => 6_000,
    }
}

/// A stream through one pair. The bridge's side begins: once the client has read something, it uses the bridge's
/// tables, and obfs4proxy must not be left with a table of its own that may end it.
async fn exchange(socks: &Method, bridge: &Method, orport: &OrPort, args: &[u8], length: usize) {
    let mut application = socks::open(socks.addr, &bridge.addr.into(), args)
        .await
        .expect("a stream");
    let mut relay = orport.accept().await;
    relay.write_all(b"first").await.unwrap();
    let mut first = [0; 5];
    application.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"first");
    let (mut from_relay, mut to_relay) = application.split();
    let (mut from_application, mut to_application) = relay.split();
    tokio::join!(
        bytes::send(&mut to_relay, 1, length),
        bytes::expect(&mut from_application, 1, length),
        bytes::send(&mut to_application, 2, length),
        bytes::expect(&mut from_relay, 2, length),
    );
}

/// Every cell of one bridge.
async fn row(clients: Vec<(Program, Method)>, program: Program, iat_mode: u8, host: &str) -> Pt {
    let orport = OrPort::listen().await;
    let options = format!("{};obfs4:iat-mode={iat_mode}", identity(PROMPT));
    let pt = program
        .bridge(orport.addr, PROMPT)
        .set("TOR_PT_SERVER_BINDADDR", format!("obfs4-{host}:0"))
        .set("TOR_PT_SERVER_TRANSPORT_OPTIONS", options)
        .start();
    let bridge = pt.method("obfs4").await;
    let announced = String::from_utf8(bridge.args.clone()).unwrap();
    assert!(
        announced.ends_with(&format!(";iat-mode={iat_mode}")),
        "{announced}"
    );
    for (client, socks) in &clients {
        let old = keys(&bridge.args).old_form(iat_mode);
        for (form, args) in [("cert", &bridge.args), ("node-id", &old)] {
            let cell = format!("{client:?} to {program:?}, iat-mode {iat_mode}, {form}, {host}");
            // Said only if the test fails; the last is the one that did.
            eprintln!("{cell}");
            let bytes = exchange(socks, &bridge, &orport, args, length(iat_mode));
            within(CELL, &cell, bytes).await;
        }
    }
    pt
}

#[tokio::test]
async fn every_client_reaches_every_bridge() {
    let clients = PROGRAMS.map(|program| (program, program.client().start()));
    let mut ports = Vec::new();
    for (program, pt) in &clients {
        ports.push((*program, pt.method("obfs4").await));
    }
    for iat_mode in 0..=2 {
        // Four at a time, so that a failure's cell is easily found.
        let mut rows = JoinSet::new();
        for program in PROGRAMS {
            for host in ["127.0.0.1", "[::1]"] {
                rows.spawn(row(ports.clone(), program, iat_mode, host));
            }
        }
        let bridges = rows.join_all().await;
        let mut certs = Vec::new();
        for bridge in &bridges {
            certs.push(cert(&bridge.method("obfs4").await.args).to_owned());
        }
        certs.dedup();
        assert_eq!(certs.len(), 1, "one identity, one cert: {certs:?}");
    }
}
