//! The ABI: what guests ask and what they are answered, and modules that are refused before they run.

use crate::tunnel::{Tunnel, dialer, host, once, pair, tunnel, wasm, within};
use ouzel::watm::{Grants, ModuleError, Session, Stream};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The guest checks some sixty answers and returns the number of the first wrong one.
#[tokio::test]
pub(crate) async fn preview1_answers_what_guests_rely_on() {
    for conf in [None, Some(&b"{\"a\":1}"[..])] {
        let (mut app, mut network, session) = within("the self-check", dialer("abi", conf))
            .await
            .expect("no check failed");
        let run = tokio::spawn(session.run());
        within("the guest's bytes", async {
            app.write_all(b"hello").await.expect("sent");
            let mut got = [0; 5];
            network.read_exact(&mut got).await.expect("arrived");
            assert_eq!(&got, b"hello");
            drop((app, network));
            run.await.expect("no panic");
        })
        .await;
    }
}

#[tokio::test]
pub(crate) async fn the_configuration_is_a_file() {
    for (conf, expected) in [
        (None, vec![0xff; 4]),
        (Some(&b"abc"[..]), b"\0\0\0\x03abc".to_vec()),
    ] {
        let (_app, mut network, session) =
            dialer("config_echo", conf).await.expect("the handshake");
        let _run = tokio::spawn(session.run());
        let mut got = vec![0; expected.len()];
        within("the configuration", network.read_exact(&mut got))
            .await
            .expect("arrived");
        assert_eq!(got, expected);
    }
}

async fn passes_bytes(name: &str) {
    let Tunnel {
        mut app, mut relay, ..
    } = tunnel(name).await;
    within(name, async {
        app.write_all(b"ping").await.expect("sent");
        let mut got = [0; 4];
        relay.read_exact(&mut got).await.expect("arrived");
        relay.write_all(b"pong").await.expect("sent");
        app.read_exact(&mut got).await.expect("arrived");
        assert_eq!(&got, b"pong");
    })
    .await;
}

#[tokio::test]
pub(crate) async fn a_command_that_exits_in_start_is_used_all_the_same() {
    passes_bytes("command").await;
}

#[tokio::test]
pub(crate) async fn a_table_of_standard_go_s_size_fits() {
    passes_bytes("bigtable").await;
}

/// The same module with a second, empty table, which no slot of the pool has room for.
fn with_two_tables(wasm: &[u8]) -> Vec<u8> {
    const TABLES: u8 = 4;
    let mut out = wasm[..8].to_vec();
    let mut rest = &wasm[8..];
    let mut found = false;
    while let [id, after @ ..] = rest {
        let (len, used) = leb(after);
        let (body, next) = after[used..].split_at(len);
        if *id == TABLES {
            assert_eq!(body[0], 1, "one table");
            // Another count, the table that was there, and one of funcref with no elements.
            let mut tables = vec![2];
            tables.extend(&body[1..]);
            tables.extend([0x70, 0x00, 0x00]);
            out.extend([TABLES, u8::try_from(tables.len()).expect("a short section")]);
            out.extend(tables);
            found = true;
        } else {
            out.push(*id);
            out.extend(&after[..used + len]);
        }
        rest = next;
    }
    assert!(found, "the module has a table");
    out
}

fn leb(bytes: &[u8]) -> (usize, usize) {
    let (mut value, mut used) = (0, 0);
    loop {
        let byte = bytes[used];
        value |= usize::from(byte & 0x7f) << (7 * used);
        used += 1;
        if byte & 0x80 == 0 {
            return (value, used);
        }
    }
}

#[tokio::test]
async fn a_module_that_fits_no_slot_gets_an_engine_of_its_own() {
    let artefact = host()
        .compile(&with_two_tables(&wasm("bigtable")))
        .expect("compiled");
    let program = Arc::new(host().load(&artefact).expect("loaded"));
    let (mut app, inner) = pair().await;
    let (outer, mut network) = pair().await;
    let mut session = Session::new(&program, Grants::default())
        .await
        .expect("an instance");
    session
        .dial(Stream::gated(inner, &[]), once(outer))
        .await
        .expect("the handshake");
    session.inner().open();
    let _run = tokio::spawn(session.run());
    app.write_all(b"ping").await.expect("sent");
    let mut got = [0; 4];
    within("the bytes", network.read_exact(&mut got))
        .await
        .expect("arrived");
    assert_eq!(&got, b"ping");
}

#[tokio::test]
pub(crate) async fn a_guest_that_grows_is_told_no_and_lives() {
    passes_bytes("memory_hog").await;
}

#[tokio::test]
pub(crate) async fn what_a_guest_prints_goes_nowhere() {
    passes_bytes("chatty").await;
}

fn refusal(wasm: &[u8]) -> ModuleError {
    match host()
        .compile(wasm)
        .and_then(|artefact| host().load(&artefact))
    {
        Ok(_) => panic!("the module was taken"),
        Err(error) => error,
    }
}

#[test]
pub(crate) fn modules_that_cannot_work_are_refused_with_a_reason() {
    assert!(
        matches!(refusal(&wasm("final_v1")), ModuleError::Abi(text) if text.contains("final v1"))
    );
    assert!(matches!(
        refusal(&wasm("foreign_import")),
        ModuleError::UnknownImport(_)
    ));
    assert_eq!(refusal(b"GIF89a"), ModuleError::NotWasm);
    assert_eq!(refusal(b""), ModuleError::NotWasm);
    let mut large = b"\0asm".to_vec();
    large.resize(ouzel::watm::MAX_MODULE + 1, 0);
    assert!(matches!(refusal(&large), ModuleError::TooLarge(_)));
    let mut empty = b"\0asm\x01\0\0\0".to_vec();
    assert!(matches!(
        refusal(&empty),
        ModuleError::MissingExport("watm_init_v1")
    ));
    let component = b"\0asm\x0d\0\x01\0".to_vec();
    assert!(matches!(refusal(&component), ModuleError::Abi(text) if text.contains("component")));
    empty[4] = 9;
    assert!(matches!(refusal(&empty), ModuleError::Invalid(_)));
}

/// Cut anywhere, a module is damaged or misses something; it is never taken and never a crash.
#[test]
fn a_truncated_module_is_refused_wherever_it_is_cut() {
    let whole = wasm("plain");
    let step = (whole.len() / 97).max(1);
    for at in (8..whole.len()).step_by(step) {
        let error = refusal(&whole[..at]);
        assert!(!error.to_string().contains('\n'), "one line: {error}");
    }
}

#[test]
fn a_damaged_artefact_is_refused() {
    let artefact = host().compile(&wasm("plain")).expect("compiled");
    // The header's version is what wasmtime compares; the rest is for the HMAC of the cache.
    assert!(host().load(&artefact[..artefact.len() / 2]).is_err());
    assert!(host().load(b"").is_err());
}
