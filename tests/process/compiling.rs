//! The process in which modules are compiled: it ends with the one that started it, it is the same program whatever
//! became of its file, and nothing depends on it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::deadline::{SOON, eventually, soon};
use crate::support::orport::OrPort;
use crate::support::peers;
use crate::support::pt::{Launch, Pt};
use crate::support::socks::open;
use crate::support::strace::Traced;

/// What takes longest of what is built in.
const MODULE: &str = "watm/dist/obfs4.wasm";

fn stat(pid: u32) -> Option<String> {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()
}

/// The state of a process as the kernel's letter, and its parent.
fn kin(pid: u32) -> Option<(char, u32)> {
    // The name in parentheses may hold anything.
    let stat = stat(pid)?;
    let mut words = stat.rsplit_once(") ")?.1.split(' ');
    Some((words.next()?.chars().next()?, words.next()?.parse().ok()?))
}

fn child_of(parent: u32) -> Option<u32> {
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .find(|pid| kin(*pid).is_some_and(|(state, of)| of == parent && state != 'Z'))
}

fn send(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    // One that has ended needs none.
    let _ = kill_process(pid, signal);
}

/// Starts a client that compiles, until its child was stopped in the middle of that.
async fn compiling() -> (Pt, u32) {
    for _ in 0..20 {
        let pt = Launch::client("obfs4").start();
        let seen = soon("a child, or what it makes", async {
            loop {
                if let Some(child) = child_of(pt.pid()) {
                    return Some(child);
                }
                if pt.stdout.text().contains("CMETHODS DONE") {
                    return None;
                }
                tokio::task::yield_now().await;
            }
        })
        .await;
        let Some(child) = seen else { continue };
        send(child, Signal::STOP);
        let is_stopped = || {
            kin(child)
                .is_none_or(|(state, _)| "TZX".contains(state))
                .then_some(())
        };
        let stopped = eventually(SOON, is_stopped).await;
        assert!(stopped.is_some(), "still running: {:?}", stat(child));
        if kin(child).is_some_and(|(state, parent)| state == 'T' && parent == pt.pid()) {
            return (pt, child);
        }
    }
    panic!("no child was ever seen: is anything compiled?");
}

#[tokio::test]
async fn it_ends_with_the_process_that_asked() {
    for signal in [Signal::TERM, Signal::KILL] {
        let (mut pt, child) = compiling().await;
        pt.signal(signal);
        pt.ended().await;
        let is_gone = || {
            kin(child)
                .is_none_or(|(state, _)| state == 'Z')
                .then_some(())
        };
        let gone = eventually(SOON, is_gone).await;
        assert!(gone.is_some(), "left behind: {:?}", stat(child));
    }
}

#[tokio::test]
async fn it_does_nothing_for_a_process_that_has_ended() {
    let module = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(MODULE)).unwrap();
    // No process has that number.
    for (parent, expected) in [(std::process::id(), true), (u32::MAX, false)] {
        let mut asked = tokio::process::Command::new(peers::ouzel())
            .args(["compile", "-", "--output", "-", "--parent"])
            .arg(parent.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = asked.stdin.take().unwrap();
        // It may end with the module unread.
        let feeding = async {
            let _ = stdin.write_all(&module).await;
            drop(stdin);
        };
        let (output, ()) = soon("an answer", async {
            tokio::join!(asked.wait_with_output(), feeding)
        })
        .await;
        let output = output.unwrap();
        assert_eq!(output.status.success(), expected, "{output:?}");
        assert_eq!(output.stdout.is_empty(), !expected);
    }
}

/// What a session needs of a client.
async fn works(pt: &Pt) {
    let far = OrPort::listen().await;
    let addr = pt.method("plain").await.addr;
    let mut near = open(addr, &far.addr.into(), b"").await.unwrap();
    near.write_all(b"ping").await.unwrap();
    let mut bytes = [0; 4];
    let mut far = far.accept().await;
    soon("a ping", far.read_exact(&mut bytes)).await.unwrap();
}

#[tokio::test]
async fn it_is_the_same_program_after_an_upgrade() {
    let folder = tempfile::tempdir().unwrap();
    let file: PathBuf = folder.path().join("ouzel");
    std::fs::copy(peers::ouzel(), &file).unwrap();
    let launch = Launch::of(file.clone()).set("TOR_PT_CLIENT_TRANSPORTS", "plain");
    // Whatever is executed stops before its first instruction.
    let traced = Traced::start(
        launch,
        &[
            "-e",
            "inject=execve:signal=STOP:when=1",
            "-e",
            "trace=execve",
        ],
    );
    let program = started(traced.pt.pid(), file.to_str().unwrap()).await;
    std::fs::remove_file(&file).unwrap();
    send(program, Signal::CONT);
    let compiler = started(program, "ouzel\0compile").await;
    send(compiler, Signal::CONT);
    works(&traced.pt).await;
}

/// The child of a process, once it was executed with these words, before which it may have been a copy of its parent.
async fn started(parent: u32, words: &str) -> u32 {
    let child = || {
        let child = child_of(parent)?;
        let said = std::fs::read(format!("/proc/{child}/cmdline")).ok()?;
        said.starts_with(words.as_bytes()).then_some(child)
    };
    let child = eventually(SOON, child).await;
    child.unwrap_or_else(|| panic!("{words:?} was never started"))
}

#[tokio::test]
async fn where_it_cannot_be_started_modules_are_compiled_all_the_same() {
    let forbidden = ["-e", "inject=execve:error=EACCES", "-P", "/proc/self/exe"];
    let traced = Traced::ready(Launch::client("plain"), &forbidden).await;
    works(&traced.pt).await;
    let calls = traced.calls().await;
    let is_denied = |call: &String| call.starts_with("execve(") && call.contains("(INJECTED)");
    assert!(
        calls.iter().any(is_denied),
        "nothing was forbidden: {calls:?}"
    );
}
