//! The ABI: what guests ask and what they are answered, and modules that are refused before they run.

use crate::tunnel::{Tunnel, dialer, host, tunnel, wasm, within};
use ouzel::watm::ModuleError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The guest checks some sixty answers and returns the number of the first wrong one.
#[tokio::test]
async fn preview1_answers_what_guests_rely_on() {
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
async fn the_configuration_is_a_file() {
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
async fn a_command_that_exits_in_start_is_used_all_the_same() {
    passes_bytes("command").await;
}

#[tokio::test]
async fn a_module_too_large_for_the_pool_gets_an_engine_of_its_own() {
    passes_bytes("bigtable").await;
}

#[tokio::test]
async fn a_guest_that_grows_is_told_no_and_lives() {
    passes_bytes("memory_hog").await;
}

#[tokio::test]
async fn what_a_guest_prints_goes_nowhere() {
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
fn modules_that_cannot_work_are_refused_with_a_reason() {
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
