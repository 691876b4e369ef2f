//! How a process ends (pt-spec 3.4): at once and with 0 when the parent says or has gone, after the last connection
//! at SIGINT, and never otherwise.

use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::pipe::Receiver;
use tokio::net::{TcpListener, TcpStream};

use crate::support::deadline::{soon, stays_pending};
use crate::support::lines::Lines;
use crate::support::orport::OrPort;
use crate::support::pair::Pair;
use crate::support::peers;
use crate::support::pt::{Launch, Stdin};
use crate::support::socks::{Raw, open};

/// What a parent waits before it kills: Arti's limit.
const REASONABLE: Duration = Duration::from_secs(5);

/// Long enough for a process to do what it should not do.
const WHILE: Duration = Duration::from_millis(400);

/// Says something from one end and hears it at the other.
async fn ping(from: &mut TcpStream, to: &mut TcpStream) {
    soon("a ping", async {
        from.write_all(b"ping").await.unwrap();
        let mut bytes = [0; 4];
        to.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"ping");
    })
    .await;
}

#[tokio::test]
async fn sigterm_ends_it_at_once_with_and_without_connections() {
    let mut pt = Launch::client("plain").ready().await;
    pt.signal(Signal::TERM);
    let status = pt.ended_within(REASONABLE).await;
    assert_eq!(status.code(), Some(0), "{}", pt.story());

    let mut pair = Pair::of("plain").await;
    let (mut application, mut relay) = pair.open().await;
    ping(&mut application, &mut relay).await;
    for pt in [&mut pair.client, &mut pair.server] {
        pt.signal(Signal::TERM);
        // tor's kernel sends a second one 5 to 15 ms later.
        pt.signal(Signal::TERM);
        let status = pt.ended_within(REASONABLE).await;
        assert_eq!(status.code(), Some(0), "{}", pt.story());
    }
}

#[tokio::test]
async fn the_end_of_stdin_ends_it_when_tor_asked_for_that() {
    let mut pair = Pair::of("plain").await;
    let (mut application, mut relay) = pair.open().await;
    ping(&mut application, &mut relay).await;
    for pt in [&mut pair.client, &mut pair.server] {
        pt.close_stdin();
        let status = pt.ended_within(REASONABLE).await;
        assert_eq!(status.code(), Some(0), "{}", pt.story());
    }
}

#[tokio::test]
async fn the_end_of_stdin_means_nothing_otherwise() {
    for value in [None, Some("0"), Some(""), Some("true"), Some("11")] {
        let launch = Launch::client("plain").stdin(Stdin::Null);
        let launch = match value {
            None => launch.unset("TOR_PT_EXIT_ON_STDIN_CLOSE"),
            Some(value) => launch.set("TOR_PT_EXIT_ON_STDIN_CLOSE", value),
        };
        let mut pt = launch.ready().await;
        stays_pending(WHILE, "ended with its stdin", pt.stdout.end()).await;
        pt.signal(Signal::TERM);
        pt.exits(0).await;
    }
}

#[tokio::test]
async fn a_stdin_at_its_end_from_the_start_still_lets_it_negotiate() {
    let mut pt = Launch::client("plain").stdin(Stdin::Null).start();
    let status = pt.ended_within(REASONABLE).await;
    assert_eq!(status.code(), Some(0), "{}", pt.story());
    let lines = pt.stdout.so_far();
    assert_eq!(lines[0], "VERSION 1", "{}", pt.story());
    let done = lines.iter().any(|line| line == "CMETHODS DONE");
    assert!(done, "it left in the middle\n{}", pt.story());
}

#[tokio::test]
async fn what_is_said_on_stdin_is_read_and_ignored() {
    let mut pt = Launch::client("plain").ready().await;
    // More than a pipe holds: it must be read, or this never returns.
    pt.write_stdin(&vec![b'x'; 1 << 20]).await;
    pt.write_stdin(b"\nQUIT\n\x04").await;
    pt.assert_runs();
    pt.close_stdin();
    pt.exits(0).await;
}

#[tokio::test]
async fn sigint_without_connections_ends_it_at_once() {
    for mut pt in [
        Launch::client("plain").ready().await,
        Launch::server("plain", "127.0.0.1:9".parse().unwrap())
            .ready()
            .await,
    ] {
        pt.signal(Signal::INT);
        let status = pt.ended_within(REASONABLE).await;
        assert_eq!(status.code(), Some(0), "{}", pt.story());
    }
}

#[tokio::test]
async fn sigint_closes_the_doors_and_lets_connections_finish() {
    let mut pair = Pair::of("plain").await;
    let (mut application, mut relay) = pair.open().await;
    ping(&mut application, &mut relay).await;
    pair.client.signal(Signal::INT);
    soon("the SOCKS port closes", async {
        while TcpStream::connect(pair.socks.addr).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    pair.client.assert_runs();
    ping(&mut application, &mut relay).await;
    ping(&mut relay, &mut application).await;
    drop(application);
    drop(relay);
    let status = pair.client.ended_within(REASONABLE).await;
    assert_eq!(status.code(), Some(0), "{}", pair.client.story());
    pair.client.assert_quiet_after_done();
}

#[tokio::test]
async fn a_second_sigint_does_not_wait_for_connections() {
    let mut pair = Pair::of("plain").await;
    let (mut application, mut relay) = pair.open().await;
    ping(&mut application, &mut relay).await;
    pair.server.signal(Signal::INT);
    soon("the port closes", async {
        while TcpStream::connect(pair.bridge.addr).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    pair.server.assert_runs();
    ping(&mut application, &mut relay).await;
    pair.server.signal(Signal::INT);
    let status = pair.server.ended_within(REASONABLE).await;
    assert_eq!(status.code(), Some(0), "{}", pair.server.story());
}

#[tokio::test]
async fn sigterm_while_draining_ends_it_at_once() {
    let mut pair = Pair::of("plain").await;
    let (mut application, mut relay) = pair.open().await;
    ping(&mut application, &mut relay).await;
    pair.client.signal(Signal::INT);
    ping(&mut application, &mut relay).await;
    pair.client.signal(Signal::TERM);
    let status = pair.client.ended_within(REASONABLE).await;
    assert_eq!(status.code(), Some(0), "{}", pair.client.story());
}

#[tokio::test]
async fn sighup_changes_nothing() {
    let pair = Pair::of("plain").await;
    let (mut application, mut relay) = pair.open().await;
    pair.client.signal(Signal::HUP);
    pair.server.signal(Signal::HUP);
    ping(&mut application, &mut relay).await;
    let (mut application, mut relay) = pair.open().await;
    ping(&mut application, &mut relay).await;
}

/// A process that is not our child any more, killed if a test leaves it alive.
struct Orphan(i32);

impl Drop for Orphan {
    fn drop(&mut self) {
        let exe = std::fs::read_link(format!("/proc/{}/exe", self.0));
        if exe.is_ok_and(|exe| exe == peers::ouzel())
            && let Some(pid) = rustix::process::Pid::from_raw(self.0)
        {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
    }
}

/// A shell stands between us and the program and is killed, as early as `line` has been said; the program's stdin
/// says nothing. Its death shows as the end of the pipes that only it holds.
async fn orphaned_after(line: &str) {
    let mut pt = Launch::client("plain")
        .unset("TOR_PT_EXIT_ON_STDIN_CLOSE")
        // Not the shell's last command, so that it stays the parent.
        .through(&["/bin/sh", "-c", "\"$0\" \"$@\"; exit $?"])
        .start();
    pt.says(&[line]).await;
    let shell = pt.pid();
    let children = std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).unwrap();
    let _orphan = Orphan(children.trim().parse().expect("one child"));
    pt.signal(Signal::KILL);
    let status = pt.ended_within(REASONABLE).await;
    assert_eq!(status.code(), None, "the shell was killed");
}

#[tokio::test]
async fn the_death_of_the_parent_ends_it_without_a_word_on_stdin() {
    orphaned_after("CMETHODS DONE").await;
}

#[tokio::test]
async fn a_parent_that_dies_during_the_negotiation_is_noticed_too() {
    orphaned_after("VERSION 1").await;
}

#[tokio::test]
async fn nothing_stays_behind_but_state() {
    let mut pt = Launch::client("plain").ready().await;
    pt.signal(Signal::TERM);
    pt.exits(0).await;
    let mut folders = vec![pt.state_dir()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            assert!(
                !name.contains("tmp") && !name.starts_with('.'),
                "left behind: {path:?}"
            );
            if path.is_dir() {
                folders.push(path);
            } else {
                assert!(path.is_file(), "no sockets or pipes: {path:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_stdout_that_nobody_reads_any_more_harms_nothing() {
    let (reader, writer) = std::io::pipe().unwrap();
    let orport = OrPort::listen().await;
    let mut pt = Launch::server("plain", orport.addr).stdout(writer).start();
    let lines = Lines::of(Receiver::from_owned_fd(reader.into()).unwrap());
    let line = soon("its line", lines.find(|line| line.starts_with("SMETHOD ")))
        .await
        .unwrap();
    soon("DONE", lines.find(|line| line == "SMETHODS DONE")).await;
    let addr = line.split(' ').nth(2).unwrap().parse().unwrap();
    lines.close().await;
    // A relay that is not there makes it want to LOG; no SIGPIPE, and the next connection works.
    let port = orport.addr;
    drop(orport);
    let mut lost = Raw::to(addr).await;
    let _ = lost.rest_within(Duration::from_secs(60)).await;
    let orport = OrPort::listen_at(port).await;
    let mut application = Raw::to(addr).await.0;
    let mut relay = orport.accept().await;
    ping(&mut application, &mut relay).await;
    pt.signal(Signal::TERM);
    pt.exits(0).await;
}

#[tokio::test]
async fn a_stdout_that_is_full_stops_neither_connections_nor_the_end() {
    let (reader, writer) = std::io::pipe().unwrap();
    let filler = writer.try_clone().unwrap();
    let mut pt = Launch::client("plain").stdout(writer).start();
    let pipe = Receiver::from_owned_fd(reader.into()).unwrap();
    let mut head = BufReader::new(pipe);
    let mut negotiation = String::new();
    soon("DONE", async {
        while !negotiation.ends_with("CMETHODS DONE\n") {
            let read = head.read_line(&mut negotiation).await.unwrap();
            assert_ne!(read, 0, "{negotiation}");
        }
    })
    .await;
    let addr = negotiation
        .lines()
        .find_map(|line| line.strip_prefix("CMETHOD plain socks5 "))
        .unwrap()
        .parse()
        .unwrap();
    // Fill what the pipe holds and more: this thread waits in its write until the pipe is gone.
    let fill = std::thread::spawn(move || {
        let mut filler = filler;
        let _ = std::io::Write::write_all(&mut filler, &vec![b'x'; 1 << 20]);
    });
    let web = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refused = {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
        gone.local_addr().unwrap()
    };
    for _ in 0..200 {
        // Each one a line that it cannot get rid of.
        open(addr, &refused.into(), b"").await.unwrap_err();
    }
    let target = web.local_addr().unwrap().into();
    let mut application = open(addr, &target, b"").await.unwrap();
    let (mut far, _) = web.accept().await.unwrap();
    ping(&mut application, &mut far).await;
    pt.signal(Signal::TERM);
    let status = pt.ended_within(REASONABLE).await;
    assert_eq!(status.code(), Some(0));
    drop(head);
    fill.join().unwrap();
}
