//! What tells this process to stop: signals, the end of stdin, the death of its parent (pt-spec 3.4).
//!
//! In: the operating system's events. Out: [`Stop`], once or twice. Nothing polls where the system can
//! tell: an idle process is not woken. What can go wrong is at the start only; later there is nothing
//! left to fail.

use std::io::{self, IsTerminal, Read};

use tokio::sync::oneshot;

/// How to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// At once, with status 0: SIGTERM, stdin's end, the parent's death, or a second signal.
    Now,
    /// Take no new connections, and stop when the open ones have ended: the first SIGINT.
    Drain,
}

/// Who started this process. To be noted before the first line is said: a parent that dies later leaves
/// us to another one, which must not be taken for it.
#[derive(Clone, Copy, Debug)]
pub struct Launcher {
    #[cfg(unix)]
    pid: Option<rustix::process::Pid>,
}

impl Launcher {
    /// The parent of now.
    pub fn note() -> Launcher {
        Launcher {
            #[cfg(unix)]
            pid: rustix::process::getppid(),
        }
    }
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
    pub fn watch(exit_on_stdin_close: bool, launcher: Launcher) -> io::Result<Parent> {
        let death = if exit_on_stdin_close {
            death::Death::never()
        } else {
            death::Death::of_parent(launcher)
        };
        if !exit_on_stdin_close && io::stdin().is_terminal() {
            // Nobody's pipe fills up, and reading would stop a process that a shell runs in background.
            return Parent::assemble(io::empty(), false, death);
        }
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

    /// Waits for a signal or the parent's death, but not for the end of stdin: a parent whose stdin was at
    /// its end from the start still wants to read the whole negotiation. Cancel-safe like
    /// [`stop`](Parent::stop).
    pub async fn interrupted(&mut self) {
        if !self.ended {
            tokio::select! {
                _ = self.signals.next() => {}
                () = self.death.happened() => {}
            }
            self.ended = true;
        }
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

    fn file_size() -> Option<Signal> {
        let number = rustix::process::Signal::XFSZ.as_raw();
        signal(SignalKind::from_raw(number)).ok()
    }

    #[derive(Debug)]
    pub(super) struct Signals {
        terminate: Signal,
        interrupt: Signal,
        /// Caught so that it does not kill: tor sends none, but a terminal does when it closes.
        hangup: Signal,
        /// Caught so that a write over `ulimit -f` fails instead of killing.
        _file_size: Option<Signal>,
    }

    impl Signals {
        /// SIGPIPE needs nothing: the runtime of the language ignores it before `main`.
        pub(super) fn catch() -> io::Result<Signals> {
            Ok(Signals {
                terminate: signal(SignalKind::terminate())?,
                interrupt: signal(SignalKind::interrupt())?,
                hangup: signal(SignalKind::hangup())?,
                _file_size: file_size(),
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
    use std::time::Duration;

    use super::Launcher;
    use rustix::process::{Pid, getppid};
    #[cfg(target_os = "linux")]
    use {std::os::fd::OwnedFd, tokio::io::unix::AsyncFd};

    /// Where the kernel tells nobody, the parent is looked for this often.
    const POLL: Duration = Duration::from_secs(1);

    #[derive(Debug)]
    pub(super) enum Death {
        /// Nobody to watch, or the kernel sends SIGTERM.
        Elsewhere,
        /// Becomes readable when the process has ended. Unlike a death signal it does not take the end
        /// of the thread that started us for the end of the process.
        #[cfg(target_os = "linux")]
        Watched(AsyncFd<OwnedFd>),
        /// Gone, or found so by asking: orphans get another parent.
        Polled(Pid),
    }

    impl Death {
        pub(super) fn never() -> Death {
            Death::Elsewhere
        }

        pub(super) fn of_parent(launcher: Launcher) -> Death {
            // None is a parent outside our pid namespace: a container's first process has no other end.
            match launcher.pid {
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
                #[cfg(target_os = "linux")]
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

    /// For kernels before 5.3, sandboxes that forbid pidfds, and Android, which may kill for asking.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn death_signal() -> Option<Death> {
        use rustix::process::{Signal, set_parent_process_death_signal};

        set_parent_process_death_signal(Some(Signal::TERM)).ok()?;
        Some(Death::Elsewhere)
    }

    #[cfg(not(target_os = "linux"))]
    fn watch(_: Pid) -> Option<Death> {
        None
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn death_signal() -> Option<Death> {
        None
    }
}

#[cfg(not(unix))]
mod death {
    use super::Launcher;

    #[derive(Debug)]
    pub(super) struct Death(());

    impl Death {
        pub(super) fn never() -> Death {
            Death(())
        }

        /// There is no such watch on this system yet; the end of stdin does for tor.
        pub(super) fn of_parent(_: Launcher) -> Death {
            Death(())
        }

        pub(super) async fn happened(&mut self) {
            std::future::pending().await
        }
    }
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests;
