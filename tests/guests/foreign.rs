//! Our modules on a WATER runtime that is not ours: obfs4's portable build as the client of a real bridge.
//!
//! The runtime has WebAssembly 2.0 and no more, a configuration, and no service of ours: no set-up run, no `/state/`, no
//! `/replay/`.

mod calls;
mod runtime;

use crate::tunnel::{pair, wasm, within};
use runtime::{Manners, Runtime};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

/// Debian's obfs4proxy as a bridge, and the relay behind it.
struct Bridge {
    address: String,
    cert: String,
    relay: TcpListener,
    _program: Child,
    _state: tempfile::TempDir,
}

impl Bridge {
    async fn start() -> Bridge {
        let relay = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let state = tempfile::tempdir().expect("a folder");
        let mut program = Command::new("obfs4proxy")
            .env("TOR_PT_MANAGED_TRANSPORT_VER", "1")
            .env("TOR_PT_STATE_LOCATION", state.path())
            .env("TOR_PT_SERVER_TRANSPORTS", "obfs4")
            .env("TOR_PT_SERVER_BINDADDR", "obfs4-127.0.0.1:0")
            .env(
                "TOR_PT_ORPORT",
                relay.local_addr().expect("bound").to_string(),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("obfs4proxy: {error}; install it (Debian: apt-get install obfs4proxy)")
            });
        let mut said = BufReader::new(program.stdout.take().expect("piped")).lines();
        let mut method = None;
        // To the last line: it would not survive that nobody takes one.
        loop {
            let line = said.next_line().await.expect("text").expect("a last line");
            match line.strip_prefix("SMETHOD obfs4 ") {
                Some(rest) => method = Some(rest.to_owned()),
                None if line == "SMETHODS DONE" => break,
                None => {}
            }
        }
        let method = method.expect("an SMETHOD");
        let (address, arguments) = method.split_once(" ARGS:cert=").expect("a cert");
        let (cert, _) = arguments.split_once(',').expect("an iat-mode");
        Bridge {
            address: address.to_owned(),
            cert: cert.to_owned(),
            relay,
            _program: program,
            _state: state,
        }
    }

    fn conf(&self, mode: u8) -> String {
        format!(r#"{{"cert":"{}","iat-mode":"{mode}"}}"#, self.cert)
    }
}

/// Bytes in which no block is like another.
fn bytes(salt: u64, n: usize) -> Vec<u8> {
    let word = |i: u64| (i ^ salt << 56).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let words = (0..n as u64).map(|i| (word(i) >> 32) as u8);
    words.collect()
}

/// Sends one and receives the other at the same time.
async fn exchange(stream: &mut TcpStream, sent: &[u8], expected: &[u8]) {
    let (mut reads, mut writes) = stream.split();
    let mut got = vec![0; expected.len()];
    let (sending, receiving) = tokio::join!(writes.write_all(sent), reads.read_exact(&mut got));
    sending.expect("it takes them");
    receiving.expect("they come");
    assert!(got == expected, "other bytes came");
}

#[test]
fn the_portable_obfs4_imports_what_every_runtime_has() {
    let module = wasm("obfs4");
    let mut others = Vec::new();
    for payload in wasmparser::Parser::new(0).parse_all(&module) {
        if let wasmparser::Payload::ImportSection(imports) = payload.expect("a module") {
            others.extend(imports.into_imports().filter_map(|import| {
                let import = import.expect("an import");
                let water = ["water_dial_fixed", "water_accept"];
                let is_known = import.module == "wasi_snapshot_preview1"
                    || import.module == "env" && water.contains(&import.name);
                (!is_known).then(|| format!("{} {}", import.module, import.name))
            }));
        }
    }
    assert_eq!(others, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn obfs4_is_a_client_on_any_runtime() {
    const MIB: usize = 1 << 20;
    let bridge = Bridge::start().await;
    for (mode, n, half_closes) in [
        (0, 16 * MIB, true),
        (0, 100_000, false),
        (1, 100_000, true),
        (2, 30_000, false),
    ] {
        let network = TcpStream::connect(&bridge.address).await.expect("up");
        let (mut app, inner) = pair().await;
        let (_cancel, control) = pair().await;
        let conf = bridge.conf(mode);
        let (dialled, is_dialled) = tokio::sync::oneshot::channel();
        let guest = tokio::task::spawn_blocking(move || {
            let manners = Manners { half_closes };
            let mut runtime = Runtime::new(&wasm("obfs4"), &conf, network, manners);
            let inner = runtime.push(inner);
            assert_eq!(runtime.call("watm_init_v1"), 0);
            let outer = runtime.call_with("watm_dial_v1", inner);
            assert!(outer > inner, "{outer}: {}", runtime.printed());
            let control = runtime.push(control);
            assert_eq!(runtime.call_with("watm_ctrlpipe_v1", control), 0);
            dialled.send(()).expect("somebody waits");
            (runtime.call("watm_start_v1"), runtime.printed())
        });
        let conversation = async {
            is_dialled.await.expect("dialled");
            let (mut relay, _) = bridge
                .relay
                .accept()
                .await
                .expect("a client of the bridge's");
            let (up, down) = (bytes(1, n), bytes(2, n));
            tokio::join!(
                exchange(&mut app, &up, &down),
                exchange(&mut relay, &down, &up)
            );
            // The application ends, since the padding of what it sent may still be on its way.
            app.shutdown().await.expect("ended");
            for far_end in [&mut relay, &mut app] {
                let end = far_end.read(&mut [0]).await.expect("no reset");
                assert_eq!(end, 0, "nothing more");
            }
        };
        within(&format!("iat-mode {mode}"), conversation).await;
        let ended = within("the worker's end", guest).await.expect("no panic");
        assert_eq!(ended, (0, String::new()), "iat-mode {mode}");
    }
}

#[tokio::test]
async fn obfs4_says_what_it_misses() {
    for (role, conf, said) in [
        (
            "watm_dial_v1",
            "{}",
            "cert= missing: copy the whole bridge line\n",
        ),
        (
            "watm_accept_v1",
            "{}",
            "a bridge needs a host that keeps its state (/state/ and ouzel_setup_v1)\n",
        ),
    ] {
        let ((_app, inner), (network, _peer)) = (pair().await, pair().await);
        let manners = Manners { half_closes: true };
        let mut runtime = Runtime::new(&wasm("obfs4"), conf, network, manners);
        let inner = runtime.push(inner);
        assert_eq!(runtime.call("watm_init_v1"), 0);
        assert!(runtime.call_with(role, inner) < 0);
        assert_eq!(runtime.printed(), said);
    }
}
