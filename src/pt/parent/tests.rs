//! The watch against real signals, pipes and processes.

use super::*;
use rustix::process::{Pid, Signal, getpid, getppid, kill_process};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::timeout;

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(50);

/// Signals reach every watch of the test process, so one test at a time has one.
static ONE: Mutex<()> = Mutex::const_new(());

fn raise(signal: Signal) {
    kill_process(getpid(), signal).unwrap();
}

async fn next(parent: &mut Parent) -> Stop {
    timeout(LONG, parent.stop())
        .await
        .expect("a reason to stop")
}

async fn keeps_running(parent: &mut Parent) {
    let stop = timeout(SHORT, parent.stop()).await;
    assert!(stop.is_err(), "{stop:?}");
}

fn quiet(exit_on_stdin_close: bool) -> (Parent, io::PipeWriter) {
    let (reader, writer) = io::pipe().unwrap();
    let parent = Parent::assemble(reader, exit_on_stdin_close, death::Death::never());
    (parent.unwrap(), writer)
}

fn child() -> (Child, Pid) {
    let child = Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let pid = Pid::from_child(&child);
    (child, pid)
}

#[tokio::test]
async fn the_first_interrupt_drains_and_the_second_stops() {
    let _one = ONE.lock().await;
    let (mut parent, _stdin) = quiet(true);
    raise(Signal::HUP);
    keeps_running(&mut parent).await;
    raise(Signal::INT);
    assert_eq!(next(&mut parent).await, Stop::Drain);
    keeps_running(&mut parent).await;
    raise(Signal::INT);
    assert_eq!(next(&mut parent).await, Stop::Now);
    assert_eq!(next(&mut parent).await, Stop::Now);
}

#[tokio::test]
async fn termination_stops_even_while_draining() {
    let _one = ONE.lock().await;
    let (mut parent, _stdin) = quiet(false);
    raise(Signal::INT);
    assert_eq!(next(&mut parent).await, Stop::Drain);
    raise(Signal::TERM);
    assert_eq!(next(&mut parent).await, Stop::Now);

    let (mut parent, _stdin) = quiet(false);
    raise(Signal::TERM);
    assert_eq!(next(&mut parent).await, Stop::Now);
}

#[tokio::test]
async fn the_end_of_stdin_counts_with_the_flag_and_data_never() {
    use std::io::Write;

    let _one = ONE.lock().await;
    let (mut parent, mut stdin) = quiet(true);
    stdin.write_all(&[b'x'; 100_000]).unwrap();
    keeps_running(&mut parent).await;
    drop(stdin);
    assert_eq!(next(&mut parent).await, Stop::Now);
    assert_eq!(next(&mut parent).await, Stop::Now);

    let (mut parent, stdin) = quiet(false);
    drop(stdin);
    keeps_running(&mut parent).await;
}

#[tokio::test]
async fn a_read_error_is_the_end_of_stdin() {
    struct Broken(bool);
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            let first = std::mem::replace(&mut self.0, true);
            Err(if first {
                io::ErrorKind::Other
            } else {
                io::ErrorKind::Interrupted
            }
            .into())
        }
    }
    let _one = ONE.lock().await;
    let parent = Parent::assemble(Broken(false), true, death::Death::never());
    assert_eq!(next(&mut parent.unwrap()).await, Stop::Now);
}

#[tokio::test]
async fn stdin_may_be_a_file() {
    let _one = ONE.lock().await;
    for (path, flag) in [
        ("/dev/null", true),
        ("/proc/self/status", true),
        ("/dev/null", false),
    ] {
        let file = std::fs::File::open(path).unwrap();
        let mut parent = Parent::assemble(file, flag, death::Death::never()).unwrap();
        if flag {
            assert_eq!(next(&mut parent).await, Stop::Now);
        } else {
            keeps_running(&mut parent).await;
        }
    }
}

#[tokio::test]
async fn the_death_of_the_watched_process_stops() {
    let _one = ONE.lock().await;
    let (mut child, pid) = child();
    let death = death::Death::of(pid, || true);
    assert!(matches!(death, death::Death::Watched(_)));
    let mut parent = Parent::assemble(io::empty(), false, death).unwrap();
    keeps_running(&mut parent).await;
    child.kill().unwrap();
    assert_eq!(next(&mut parent).await, Stop::Now);
    child.wait().unwrap();
}

#[tokio::test]
async fn a_parent_that_died_before_the_watch_began_stops() {
    let _one = ONE.lock().await;
    let (mut child, pid) = child();
    // The process is not our parent, which is what an orphan finds.
    let death = death::Death::of(pid, || getppid() == Some(pid));
    let mut parent = Parent::assemble(io::empty(), false, death).unwrap();
    assert_eq!(next(&mut parent).await, Stop::Now);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn our_own_parent_lives_however_it_is_watched() {
    let _one = ONE.lock().await;
    let polled = death::Death::Polled(getppid().unwrap());
    for death in [death::Death::of_parent(Launcher::note()), polled] {
        let mut parent = Parent::assemble(io::empty(), false, death).unwrap();
        keeps_running(&mut parent).await;
    }
}

/// What happens while nobody waits is found by the next one who does.
#[tokio::test]
async fn an_event_between_two_waits_is_kept() {
    let _one = ONE.lock().await;
    let (mut parent, _stdin) = quiet(false);
    keeps_running(&mut parent).await;
    raise(Signal::TERM);
    assert_eq!(next(&mut parent).await, Stop::Now);
}
