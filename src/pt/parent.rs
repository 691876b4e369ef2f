//! What tells this process to stop: signals, the end of stdin, the death of its parent (pt-spec 3.4).
//!
//! In: the operating system's events. Out: [`Stop`], once or twice. Nothing polls where the system can
//! tell: an idle process is not woken. What can go wrong is at the start only; later there is nothing
//! left to fail.

use std::io::{self, Read};

use tokio::sync::oneshot;

/// How to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// At once, with status 0: SIGTERM, stdin's end, the parent's death, or a second signal.
    Now,
    /// Take no new connections, and stop when the open ones have ended: the first SIGINT.
    Drain,
}

/// The watch on the parent and on signals.
#[derive(Debug)]
pub struct Parent {
    signals: signals::Signals,
    stdin: Option<oneshot::Receiver<()>>,
    death: death::Death,
    draining: bool,
    ended: bool,
}

impl Parent {
    /// Begins to watch; inside a runtime, once per process.
    ///
    /// With the flag, the end of stdin counts and the parent's death does not: a launcher may hand stdin
    /// over and leave. Without it, it is the other way round. Data on stdin is ignored in either case.
    pub fn watch(exit_on_stdin_close: bool) -> io::Result<Parent> {
        let death = if exit_on_stdin_close {
            death::Death::never()
        } else {
            death::Death::of_parent()
        };
        Parent::assemble(open_stdin(), exit_on_stdin_close, death)
    }

    fn assemble(
        stdin: impl Read + Send + 'static,
        exit_on_stdin_close: bool,
        death: death::Death,
    ) -> io::Result<Parent> {
        // A signal that arrives from here on is kept for `stop`.
        let signals = signals::Signals::catch()?;
        let (tell, end) = oneshot::channel();
        std::thread::Builder::new()
            .name("stdin".to_owned())
            .spawn(move || {
                drain(stdin);
                let _ = tell.send(());
            })?;
        Ok(Parent {
            signals,
            stdin: exit_on_stdin_close.then_some(end),
            death,
            draining: false,
            ended: false,
        })
    }

    /// Waits until the process is to stop. After [`Stop::Drain`] it can be called again, for what comes
    /// next is [`Stop::Now`]. Cancel-safe: an event that is not returned is not lost.
    pub async fn stop(&mut self) -> Stop {
        if self.ended {
            return Stop::Now;
        }
        let stdin = async {
            match &mut self.stdin {
                // A sender that is gone means that the thread is: the same as the end.
                Some(end) => drop(end.await),
                None => std::future::pending().await,
            }
        };
        // Every arm only waits, so a dropped one has taken nothing; a signal is taken by the arm that wins.
        let stop = tokio::select! {
            stop = self.signals.next() => stop,
            () = stdin => Stop::Now,
            () = self.death.happened() => Stop::Now,
        };
        if stop == Stop::Drain && !self.draining {
            self.draining = true;
            return Stop::Drain;
        }
        self.ended = true;
        Stop::Now
    }
}

/// Reads to the end or to an error, on a thread of its own: a regular file, `/dev/null` and some
/// terminals cannot be waited for in any other way.
fn drain(mut stdin: impl Read) {
    let mut ignored = [0; 4096];
    loop {
        match stdin.read(&mut ignored) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

#[cfg(unix)]
fn open_stdin() -> impl Read + Send + 'static {
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

    let stdin = io::stdin();
    // A descriptor inherited as non-blocking would look like an error; on a failure it then does.
    if let Ok(flags) = fcntl_getfl(&stdin)
        && flags.contains(OFlags::NONBLOCK)
    {
        let _ = fcntl_setfl(&stdin, flags.difference(OFlags::NONBLOCK));
    }
    stdin
}

#[cfg(not(unix))]
fn open_stdin() -> impl Read + Send + 'static {
    io::stdin()
}

#[cfg(unix)]
mod signals {
    use std::io;

    use tokio::signal::unix::{Signal, SignalKind, signal};

    use super::Stop;

    #[derive(Debug)]
    pub(super) struct Signals {
        terminate: Signal,
        interrupt: Signal,
        /// Caught so that it does not kill: tor sends none, but a terminal does when it closes.
        hangup: Signal,
    }

    impl Signals {
        /// SIGPIPE needs nothing: the runtime of the language ignores it before `main`.
        pub(super) fn catch() -> io::Result<Signals> {
            Ok(Signals {
                terminate: signal(SignalKind::terminate())?,
                interrupt: signal(SignalKind::interrupt())?,
                hangup: signal(SignalKind::hangup())?,
            })
        }

        pub(super) async fn next(&mut self) -> Stop {
            loop {
                tokio::select! {
                    biased;
                    _ = self.terminate.recv() => return Stop::Now,
                    _ = self.interrupt.recv() => return Stop::Drain,
                    _ = self.hangup.recv() => {}
                }
            }
        }
    }
}

#[cfg(not(unix))]
mod signals {
    use std::io;

    use super::Stop;

    #[derive(Debug)]
    pub(super) struct Signals(());

    impl Signals {
        pub(super) fn catch() -> io::Result<Signals> {
            Ok(Signals(()))
        }

        pub(super) async fn next(&mut self) -> Stop {
            match tokio::signal::ctrl_c().await {
                Ok(()) => Stop::Drain,
                Err(_) => std::future::pending().await,
            }
        }
    }
}

/// The parent's death, for parents that do not hold stdin.
#[cfg(unix)]
mod death {
    use std::os::fd::OwnedFd;
    use std::time::Duration;

    use rustix::process::{Pid, getppid};
    use tokio::io::unix::AsyncFd;

    /// Where the kernel tells nobody, the parent is looked for this often.
    const POLL: Duration = Duration::from_secs(1);

    #[derive(Debug)]
    pub(super) enum Death {
        /// Nobody to watch, or the kernel sends SIGTERM.
        Elsewhere,
        /// Becomes readable when the process has ended. Unlike a death signal it does not take the end
        /// of the thread that started us for the end of the process.
        Watched(AsyncFd<OwnedFd>),
        /// Gone, or found so by asking: orphans get another parent.
        Polled(Pid),
    }

    impl Death {
        pub(super) fn never() -> Death {
            Death::Elsewhere
        }

        pub(super) fn of_parent() -> Death {
            // None is a parent outside our pid namespace: a container's first process has no other end.
            match getppid() {
                Some(parent) => Death::of(parent, || getppid() == Some(parent)),
                None => Death::Elsewhere,
            }
        }

        /// `is_still` is asked once the watch is in place, since the parent may have died before.
        pub(super) fn of(parent: Pid, is_still: impl Fn() -> bool) -> Death {
            match watch(parent).or_else(death_signal) {
                Some(death) if is_still() => death,
                _ => Death::Polled(parent),
            }
        }

        pub(super) async fn happened(&mut self) {
            match self {
                Death::Elsewhere => std::future::pending().await,
                Death::Watched(process) => match process.readable().await {
                    // The guard is dropped with its readiness, so the next call finds it again.
                    Ok(_) => {}
                    Err(_) => std::future::pending().await,
                },
                Death::Polled(parent) => {
                    while getppid() == Some(*parent) {
                        tokio::time::sleep(POLL).await;
                    }
                }
            }
        }
    }

    #[cfg(target_os = "linux")]
    fn watch(parent: Pid) -> Option<Death> {
        use rustix::process::{PidfdFlags, pidfd_open};

        let process = pidfd_open(parent, PidfdFlags::empty()).ok()?;
        #[expect(
            deprecated,
            reason = "what replaces it is unsafe, for types that do not own their descriptor; this one does"
        )]
        let watched = AsyncFd::with_interest(process, tokio::io::Interest::READABLE);
        watched.ok().map(Death::Watched)
    }

    /// For kernels before 5.3 and sandboxes that forbid pidfds.
    #[cfg(target_os = "linux")]
    fn death_signal() -> Option<Death> {
        use rustix::process::{Signal, set_parent_process_death_signal};

        set_parent_process_death_signal(Some(Signal::TERM)).ok()?;
        Some(Death::Elsewhere)
    }

    #[cfg(not(target_os = "linux"))]
    fn watch(_: Pid) -> Option<Death> {
        None
    }

    #[cfg(not(target_os = "linux"))]
    fn death_signal() -> Option<Death> {
        None
    }
}

#[cfg(not(unix))]
mod death {
    #[derive(Debug)]
    pub(super) struct Death(());

    impl Death {
        pub(super) fn never() -> Death {
            Death(())
        }

        /// There is no such watch on this system yet; the end of stdin does for tor.
        pub(super) fn of_parent() -> Death {
            Death(())
        }

        pub(super) async fn happened(&mut self) {
            std::future::pending().await
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
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
    async fn our_own_parent_lives() {
        let _one = ONE.lock().await;
        let death = death::Death::of_parent();
        let mut parent = Parent::assemble(io::empty(), false, death).unwrap();
        keeps_running(&mut parent).await;
    }
}
