//! Machines that are full, strict or broken: something is said, with a remedy, and nothing else is harmed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::deadline::{eventually, soon, stays_pending};
use crate::support::orport::OrPort;
use crate::support::pair::Pair;
use crate::support::peers;
use crate::support::pt::{Launch, Pt};
use crate::support::socks::{Raw, Refusal, open};

async fn ping(from: &mut TcpStream, to: &mut TcpStream) {
    soon("a ping", async {
        from.write_all(b"ping").await.unwrap();
        let mut bytes = [0; 4];
        to.read_exact(&mut bytes).await.unwrap();
    })
    .await;
}

/// A session through `plain` of a client.
async fn works(pt: &Pt) {
    let far = OrPort::listen().await;
    let addr = pt.method("plain").await.addr;
    let mut near = open(addr, &far.addr.into(), b"")
        .await
        .unwrap_or_else(|e| panic!("{e:?}\n{}", pt.story()));
    let mut far = far.accept().await;
    ping(&mut near, &mut far).await;
    ping(&mut far, &mut near).await;
}

fn warnings(pt: &Pt) -> Vec<String> {
    let mut lines = pt.stdout.so_far();
    lines.retain(|line| {
        line.starts_with("LOG SEVERITY=warning") || line.starts_with("LOG SEVERITY=error")
    });
    lines
}

#[tokio::test]
async fn a_full_client_refuses_with_01_and_says_so_rarely() {
    let pt = Launch::client("plain")
        .arg("--max-connections")
        .arg("1")
        .ready()
        .await;
    let addr = pt.method("plain").await.addr;
    let far = OrPort::listen().await;
    let mut near = open(addr, &far.addr.into(), b"").await.unwrap();
    let mut its_far = far.accept().await;
    for _ in 0..30 {
        let refusal = open(addr, &far.addr.into(), b"").await.unwrap_err();
        assert_eq!(refusal, Refusal::Reply(1));
    }
    pt.logs(&["--max-connections"]).await;
    assert_eq!(
        warnings(&pt).len(),
        1,
        "a line a minute: {:?}",
        warnings(&pt)
    );
    far.assert_unused(Duration::from_millis(100)).await;
    ping(&mut near, &mut its_far).await;
    drop((near, its_far));
    let free = eventually_opens(addr, &far).await;
    assert!(free, "the slot was not given back");
}

/// Tries until a session is let in.
async fn eventually_opens(addr: std::net::SocketAddr, far: &OrPort) -> bool {
    let tries = async {
        let mut pace = tokio::time::interval(Duration::from_millis(50));
        while open(addr, &far.addr.into(), b"").await.is_err() {
            pace.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), tries)
        .await
        .is_ok()
}

#[tokio::test]
async fn a_full_server_is_quiet() {
    let orport = OrPort::listen().await;
    let pt = Launch::server("plain", orport.addr)
        .arg("--max-connections")
        .arg("1")
        .ready()
        .await;
    let addr = pt.method("plain").await.addr;
    let mut first = Raw::to(addr).await.0;
    let mut relay = orport.accept().await;
    ping(&mut first, &mut relay).await;
    let mut crowd = Vec::new();
    for _ in 0..10 {
        let mut one = Raw::to(addr).await;
        one.send(b"hello").await;
        crowd.push(one);
    }
    for one in &mut crowd[..3] {
        let mut byte = [0];
        stays_pending(
            Duration::from_millis(500),
            "a full house shows",
            one.0.read(&mut byte),
        )
        .await;
    }
    orport.assert_unused(Duration::from_millis(100)).await;
    pt.logs(&["--max-connections"]).await;
    assert_eq!(
        warnings(&pt).len(),
        1,
        "a line a minute: {:?}",
        warnings(&pt)
    );
    // A client's own end is answered at once.
    let mut leaving = crowd.pop().unwrap();
    leaving.0.shutdown().await.unwrap();
    let heard = leaving.rest_within(Duration::from_secs(5)).await.unwrap();
    assert!(heard.is_empty());
    ping(&mut relay, &mut first).await;
}

#[tokio::test]
async fn running_out_of_descriptors_ends_no_listener() {
    let mut pt = Launch::client("plain").limited("-n 48").ready().await;
    let addr = pt.method("plain").await.addr;
    let far = OrPort::listen().await;
    // Until one is not let in any more.
    let mut held = Vec::new();
    let full = async {
        loop {
            match open(addr, &far.addr.into(), b"").await {
                Ok(near) => held.push((near, far.accept().await)),
                Err(refusal) => return refusal,
            }
        }
    };
    // Or not even accepted, which is as good: the queue holds it.
    let _ = tokio::time::timeout(Duration::from_secs(5), full).await;
    assert!(
        held.len() >= 5,
        "{} sessions with 48 descriptors",
        held.len()
    );
    pt.logs(&["descriptors"]).await;
    assert!(warnings(&pt).len() <= 2, "{:?}", warnings(&pt));
    pt.assert_runs();
    let (near, its_far) = &mut held[0];
    ping(near, its_far).await;
    held.clear();
    assert!(
        eventually_opens(addr, &far).await,
        "the listener is gone\n{}",
        pt.story()
    );
}

#[tokio::test]
async fn a_soft_descriptor_limit_is_raised() {
    let pt = Launch::client("plain").limited("-S -n 64").ready().await;
    let text = std::fs::read_to_string(format!("/proc/{}/limits", pt.pid())).unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap();
    let words: Vec<_> = line.split_whitespace().collect();
    assert_eq!(words[3], words[4], "{line}");
}

#[tokio::test]
async fn a_small_address_space_makes_it_slower_and_not_unable() {
    // 2 GiB: less than a pool of instances reserves.
    let pt = Launch::client("plain").limited("-v 2097152").ready().await;
    pt.logs(&["address space"]).await;
    works(&pt).await;
    let pair = Pair::adjusted("reverse", |launch| launch.limited("-v 2097152")).await;
    let (mut application, mut relay) = pair.open().await;
    ping(&mut application, &mut relay).await;
}

#[tokio::test]
async fn where_no_code_can_be_made_modules_are_interpreted() {
    // PR_SET_MDWE (65) with PR_MDWE_REFUSE_EXEC_GAIN (1), which systemd sets for MemoryDenyWriteExecute=yes. It is kept
    // across exec. Perl can ask without a compiler; the number of the system call is the machine's.
    let prctl = match std::env::consts::ARCH {
        "x86_64" => 157,
        "aarch64" => 167,
        other => panic!("which number has prctl on {other}? add it here"),
    };
    let script = format!(
        "syscall({prctl}, 65, 1, 0, 0, 0) == 0 or die \"this kernel has no PR_SET_MDWE (Linux 6.3 or later): $!\\n\"; exec @ARGV"
    );
    let perl = peers::find("perl", "perl");
    let through = [perl, "-e".into(), PathBuf::from(&script)];
    let pt = Launch::client("plain").through(&through).ready().await;
    pt.logs(&["MemoryDenyWriteExecute"]).await;
    works(&pt).await;
    let pair = Pair::adjusted("reverse", |launch| launch.through(&through)).await;
    let (mut application, mut relay) = pair.open().await;
    crate::support::deadline::within(Duration::from_secs(60), "8 MiB, interpreted", async {
        tokio::join!(
            crate::support::bytes::send(&mut application, 1, 8 << 20),
            crate::support::bytes::expect(&mut relay, 1, 8 << 20)
        )
    })
    .await;
}

#[tokio::test]
async fn an_unwritable_state_directory_costs_the_cache_and_nothing_else() {
    // It exists and nobody can write there, root included.
    let mut pt = Launch::client("plain")
        .set("TOR_PT_STATE_LOCATION", "/proc/self/fdinfo")
        .arg("--enable-logging")
        .ready()
        .await;
    let line = pt.logs(&["state directory", "writable"]).await;
    assert!(line.contains("SEVERITY=warning"), "{line}");
    works(&pt).await;
    pt.assert_runs();
}

#[tokio::test]
async fn a_state_directory_that_vanishes_is_not_missed() {
    for server in [false, true] {
        let orport = OrPort::listen().await;
        let launch = if server {
            Launch::server("plain", orport.addr)
        } else {
            Launch::client("plain")
        };
        let mut pt = launch.arg("--enable-logging").ready().await;
        std::fs::remove_dir_all(pt.state_dir()).unwrap();
        let addr = pt.method("plain").await.addr;
        if server {
            let mut near = Raw::to(addr).await.0;
            let mut relay = orport.accept().await;
            ping(&mut near, &mut relay).await;
        } else {
            works(&pt).await;
        }
        pt.assert_runs();
        pt.close_stdin();
        pt.exits(0).await;
    }
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn a_second_start_compiles_nothing() {
    let first = Launch::client("plain,reverse").ready().await;
    let contents = |pt: &Pt| -> Vec<_> {
        files(&pt.state_dir())
            .into_iter()
            .map(|path| {
                let made = std::fs::metadata(&path).unwrap().modified().unwrap();
                (path, made)
            })
            .collect()
    };
    let before = contents(&first);
    assert!(
        before
            .iter()
            .filter(|(path, _)| path.extension().is_some_and(|end| end == "cwasm"))
            .count()
            >= 2,
        "{before:?}"
    );
    let second = Launch::client("plain,reverse")
        .sharing_state(&first.state)
        .ready()
        .await;
    assert_eq!(contents(&second), before);
    works(&second).await;
}

#[tokio::test]
async fn a_damaged_cache_is_made_again() {
    type Damage = fn(&Path);
    let ways: [(&str, Damage); 5] = [
        ("flipped", |path| {
            let mut bytes = std::fs::read(path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            std::fs::write(path, bytes).unwrap();
        }),
        ("cut", |path| {
            let bytes = std::fs::read(path).unwrap();
            std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("empty", |path| std::fs::write(path, b"").unwrap()),
        ("foreign", |path| std::fs::write(path, b"\x7fELF").unwrap()),
        ("a folder", |path| {
            std::fs::remove_file(path).unwrap();
            std::fs::create_dir(path).unwrap();
        }),
    ];
    for (way, damage) in ways {
        let first = Launch::client("plain").ready().await;
        let made = files(&first.state_dir());
        assert!(!made.is_empty());
        for path in &made {
            damage(path);
        }
        let mut second = Launch::client("plain")
            .sharing_state(&first.state)
            .ready()
            .await;
        assert!(
            second.stdout.text().contains("CMETHOD plain "),
            "{way}\n{}",
            second.story()
        );
        works(&second).await;
        second.assert_runs();
    }
}

#[tokio::test]
async fn an_artefact_that_others_could_write_is_not_run() {
    use std::os::unix::fs::PermissionsExt;
    let first = Launch::client("plain").ready().await;
    let made = files(&first.state_dir());
    for path in &made {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666)).unwrap();
    }
    let second = Launch::client("plain")
        .sharing_state(&first.state)
        .ready()
        .await;
    works(&second).await;
    let artefact = made
        .iter()
        .find(|path| path.extension().is_some_and(|end| end == "cwasm"))
        .unwrap();
    // Compiled again, and put in its place, private once more.
    let private = eventually(Duration::from_secs(5), || {
        let mode = std::fs::metadata(artefact).ok()?.permissions().mode();
        (mode & 0o777 == 0o600).then_some(())
    })
    .await;
    assert!(private.is_some(), "{artefact:?} is still everybody's");
}
