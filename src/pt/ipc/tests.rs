//! The writer against parents that read, that do not, and that are gone.

use super::*;
use proptest::prelude::*;
use std::sync::mpsc;

const LONG: Duration = Duration::from_secs(20);

/// A parent that keeps what it reads.
#[derive(Clone, Default)]
struct Parent(Arc<Mutex<Vec<u8>>>);

impl Write for Parent {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn said(run: impl FnOnce(&Ipc)) -> Vec<String> {
    let parent = Parent::default();
    let ipc = Ipc::new(parent.clone()).unwrap();
    run(&ipc);
    assert!(ipc.flush(LONG));
    let bytes = parent.0.lock().unwrap().clone();
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(str::to_owned).collect()
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn a_client_negotiation() {
    let lines = said(|ipc| {
        ipc.log(Severity::Info, "early");
        ipc.version();
        ipc.status_version("plain");
        ipc.proxy_done();
        ipc.cmethod("plain", addr("127.0.0.1:4711"));
        ipc.cmethod_error("reverse", "broken \"file\"\nC:\\x");
        ipc.cmethods_done();
        ipc.log(Severity::Warning, "late");
    });
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        lines,
        [
            "LOG SEVERITY=info MESSAGE=\"early\"",
            "VERSION 1",
            &format!("STATUS TRANSPORT=plain TYPE=version IMPLEMENTATION=ouzel VERSION={version}"),
            "PROXY DONE",
            "CMETHOD plain socks5 127.0.0.1:4711",
            "CMETHOD-ERROR reverse broken 'file' C:/x",
            "CMETHODS DONE",
            "LOG SEVERITY=warning MESSAGE=\"late\"",
        ]
    );
}

#[test]
fn a_server_negotiation() {
    let mut args = Args::new();
    args.push("cert", "a,b");
    let mut bad = Args::new();
    bad.push("cert", "a b");
    let lines = said(|ipc| {
        ipc.version();
        ipc.smethod("plain", addr("[::1]:443"), &Args::new())
            .unwrap();
        ipc.smethod("obfs4", addr("0.0.0.0:80"), &args).unwrap();
        assert_eq!(
            ipc.smethod("bad", addr("0.0.0.0:81"), &bad),
            Err(ArgsError::Unprintable(1))
        );
        ipc.smethod_error("bad", "");
        ipc.smethods_done();
    });
    assert_eq!(
        lines,
        [
            "VERSION 1",
            "SMETHOD plain [::1]:443",
            "SMETHOD obfs4 0.0.0.0:80 ARGS:cert=a\\,b",
            "SMETHOD-ERROR bad no reason given",
            "SMETHODS DONE",
        ]
    );
}

#[test]
fn fatal_errors() {
    assert_eq!(
        said(|ipc| ipc.version_error()),
        ["VERSION-ERROR no-version"]
    );
    assert_eq!(
        said(|ipc| ipc.env_error("X is bad")),
        ["ENV-ERROR X is bad"]
    );
    let lines = said(|ipc| {
        ipc.version();
        ipc.env_error("X");
    });
    assert_eq!(lines, ["VERSION 1", "ENV-ERROR X"]);
    let lines = said(|ipc| {
        ipc.version();
        ipc.proxy_error("Y");
    });
    assert_eq!(lines, ["VERSION 1", "PROXY-ERROR Y"]);
}

/// Whatever is called and in which order, the parent reads nothing that it would punish.
#[test]
fn a_line_out_of_its_place_is_withheld() {
    type Call = fn(&Ipc);
    let calls: [(&str, Call); 9] = [
        ("VERSION", |i| i.version()),
        ("VERSION-ERROR", |i| i.version_error()),
        ("ENV-ERROR", |i| i.env_error("e")),
        ("PROXY", |i| i.proxy_done()),
        ("PROXY-ERROR", |i| i.proxy_error("e")),
        ("CMETHOD", |i| i.cmethod("a", ([127, 0, 0, 1], 1).into())),
        ("CMETHOD-ERROR", |i| i.cmethod_error("a", "e")),
        ("CMETHODS", |i| i.cmethods_done()),
        ("SMETHODS", |i| i.smethods_done()),
    ];
    for (keyword, call) in calls {
        let late = said(|ipc| {
            ipc.version();
            ipc.cmethods_done();
            call(ipc);
        });
        assert_eq!(late.len(), 3);
        assert!(
            late[2].starts_with("LOG ") && late[2].contains(keyword),
            "{late:?}"
        );
    }
    let early = said(|ipc| ipc.cmethod("a", ([127, 0, 0, 1], 1).into()));
    assert!(early[0].starts_with("LOG "), "{early:?}");
    let unnamed = said(|ipc| {
        ipc.version();
        ipc.cmethod_error("a\nVERSION", "e");
        ipc.status_version("a b");
    });
    assert!(
        unnamed[1..].iter().all(|l| l.starts_with("LOG ")),
        "{unnamed:?}"
    );
}

/// A parent that lets one byte through at a time and only when it is told to.
struct Slow {
    go: mpsc::Receiver<()>,
    parent: Parent,
}

impl Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // When the sender is gone the parent reads freely.
        let _ = self.go.recv();
        self.parent.write(&bytes[..1])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_parent_that_does_not_read_costs_log_lines_only() {
    let (go, gate) = mpsc::sync_channel(1);
    let parent = Parent::default();
    let ipc = Ipc::new(Slow {
        go: gate,
        parent: parent.clone(),
    })
    .unwrap();
    ipc.version();
    for n in 0..1000 {
        ipc.log(Severity::Info, &format!("line {n}"));
    }
    for n in 0..200 {
        ipc.cmethod(&format!("t{n}"), addr("127.0.0.1:1"));
    }
    ipc.cmethods_done();
    assert!(!ipc.flush(Duration::from_millis(10)), "nothing was read");
    drop(go);
    assert!(ipc.flush(LONG));
    let bytes = parent.0.lock().unwrap().clone();
    let text = String::from_utf8(bytes).unwrap();
    let count = |word: &str| text.lines().filter(|l| l.starts_with(word)).count();
    assert_eq!(count("CMETHOD "), 200);
    assert_eq!(count("CMETHODS DONE"), 1);
    assert_eq!(count("LOG "), MAX_WAITING_LOGS + 1);
    let last = text.lines().last().unwrap();
    assert_eq!(
        last,
        "LOG SEVERITY=notice MESSAGE=\"936 log lines were dropped: more came at once than were read\""
    );
}

#[test]
fn a_parent_that_reads_gets_every_line() {
    let lines = said(|ipc| {
        for n in 0..3 * MAX_WAITING_LOGS {
            ipc.log(Severity::Info, &n.to_string());
            assert!(ipc.flush(LONG));
        }
    });
    assert_eq!(lines.len(), 3 * MAX_WAITING_LOGS);
}

struct Gone(io::ErrorKind);

impl Write for Gone {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_parent_that_is_gone_is_not_written_to() {
    let ipc = Ipc::new(Gone(io::ErrorKind::BrokenPipe)).unwrap();
    ipc.version();
    assert!(ipc.flush(LONG));
    for _ in 0..1000 {
        ipc.log(Severity::Error, "nobody hears this");
    }
    ipc.cmethods_done();
    assert!(ipc.flush(LONG));
    assert!(ipc.lock().lines.is_empty());
}

/// A descriptor that does not block, full every other time.
struct Nonblocking {
    full: bool,
    parent: Parent,
}

impl Write for Nonblocking {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.full = !self.full;
        if self.full {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.parent.write(&bytes[..bytes.len().min(5)])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_pipe_that_does_not_block_loses_nothing() {
    let parent = Parent::default();
    let ipc = Ipc::new(Nonblocking {
        full: false,
        parent: parent.clone(),
    })
    .unwrap();
    ipc.version();
    ipc.cmethods_done();
    assert!(ipc.flush(LONG));
    assert_eq!(&*parent.0.lock().unwrap(), b"VERSION 1\nCMETHODS DONE\n");
}

/// What is queued is written even if nobody waits for it and every handle is gone.
#[test]
fn the_last_handle_does_not_take_lines_along() {
    struct Told(mpsc::SyncSender<()>, Parent);
    impl Write for Told {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let (tell, told) = mpsc::sync_channel(1);
    let parent = Parent::default();
    let ipc = Ipc::new(Told(tell, parent.clone())).unwrap();
    ipc.clone().version();
    drop(ipc);
    told.recv_timeout(LONG).expect("the writer ends");
    assert_eq!(&*parent.0.lock().unwrap(), b"VERSION 1\n");
}

#[test]
fn lines_of_threads_are_whole() {
    let lines = said(|ipc| {
        std::thread::scope(|scope| {
            for thread in 0..4 {
                scope.spawn(move || {
                    for n in 0..16 {
                        ipc.log(Severity::Debug, &format!("thread {thread} line {n}"));
                    }
                });
            }
        });
    });
    assert_eq!(lines.len(), 64);
    for thread in 0..4 {
        let mine: Vec<_> = lines
            .iter()
            .filter(|l| l.contains(&format!("thread {thread} ")))
            .collect();
        let expected: Vec<_> = (0..16)
            .map(|n| format!("LOG SEVERITY=debug MESSAGE=\"thread {thread} line {n}\""))
            .collect();
        assert_eq!(mine, expected.iter().collect::<Vec<_>>());
    }
}

proptest! {
    #[test]
    fn any_text_is_one_safe_line(text in "\\PC{0,60}[\\x00-\\x1f\\x7f\"\\\\é]{0,8}.{0,2000}") {
        let line = log_line(Severity::Info, &text);
        let inner = line.strip_prefix("LOG SEVERITY=info MESSAGE=\"").and_then(|l| l.strip_suffix('"'));
        let inner = inner.expect("the frame of a LOG line");
        prop_assert!((1..=MAX_TEXT).contains(&inner.len()));
        prop_assert!(inner.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'"' && b != b'\\'));
    }
}
