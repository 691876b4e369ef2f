//! A run without a parent: one module between a port here and an address there.
//!
//! In: what the command line says. Out: a line on stdout for the port, then connections, a summary an hour and one at the
//! end. What can go wrong with one connection is a log line; what is wrong with the module or the port ends the run
//! before it begins. For people who are not tor: `dial` puts a module before what they connect to, `listen` before what
//! they serve, `relay` between two of them.

mod counts;

use crate::config::settings::{Settings, Told};
use crate::config::{CLIENT_CONNECTIONS, Config, SERVER_CONNECTIONS};
use crate::error::{Failure, Severity};
use crate::log;
use crate::net::allow::{Allow, Rule};
use crate::net::dial::{self, Target};
use crate::net::proxy::Proxy;
use crate::net::{listen, tune_local, tune_network};
use crate::say;
use crate::transport::artefacts::hex;
use crate::transport::{Registry, State, Transport, services};
use crate::tunnel::{Admission, Connection, Slot, Slots, WasUp, Way};
use crate::watm::{Io, Role, Stream, quiet};
use anyhow::{Context, bail};
use counts::Counts;
use sha2::{Digest, Sha256};
use socket2::SockRef;
use std::future::Future;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// How often a run says what it has done.
const SUMMARY: Duration = Duration::from_secs(3600);

/// What the module is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// Connections from here go out through it.
    Dial,
    /// Connections that come in went through it elsewhere.
    Listen,
    /// It stands between two networks.
    Relay,
}

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The module's file, or the name of a built-in; if not, the settings name it.
    pub module: Option<PathBuf>,
    /// Where to listen; if not, the settings say so.
    pub listen: Option<SocketAddr>,
    /// Where connections go; nowhere if the module says so itself.
    pub connect: Option<Target>,
    /// Where a module may go that says so itself.
    pub allow: Vec<Rule>,
    /// The operator's settings, or what the module reads as its configuration.
    pub config: Option<PathBuf>,
    /// The proxy that every connection outward goes through.
    pub proxy: Option<Proxy>,
    /// Connections at a time.
    pub max_connections: Option<usize>,
    /// The deadline of a handshake; if not, the settings'.
    pub handshake: Option<Duration>,
    /// The deadline of a connection outward.
    pub dial: Duration,
    /// How long open connections may take to end after the first signal.
    pub drain: Duration,
    /// The executable `ouzel`, to compile modules in a process of its own; without it they are compiled here.
    pub compiler: Option<PathBuf>,
    /// Where compiled modules are kept.
    pub state: Option<PathBuf>,
    /// The quietest line that is told.
    pub log_level: Severity,
    /// Whether addresses may appear in logs.
    pub unsafe_logging: bool,
}

/// What every connection of a run shares.
struct Run {
    job: Job,
    transport: Transport,
    conf: Option<Arc<[u8]>>,
    connect: Option<Target>,
    allow: Arc<Allow>,
    dial: Arc<dial::Dial>,
    quiet_close: Duration,
    slots: Slots,
    counts: Counts,
}

/// Runs until a signal and the end of what is open then.
pub async fn run(job: Job, options: Options) -> anyhow::Result<()> {
    log::init(
        options.log_level,
        options.unsafe_logging,
        vec![Box::new(|severity, text| {
            let _ = writeln!(std::io::stderr(), "ouzel: {}: {text}", severity.word());
        })],
    );
    let drain = options.drain;
    let (run, addr) = Run::prepare(job, options).await?;
    let run = Arc::new(run);
    let listener = listen::listen(addr)
        .with_context(|| format!("cannot listen on {addr}; choose another with --listen"))?;
    // Before anybody knows the port: whoever does may send a signal.
    let mut signals = Signals::catch().context("signals cannot be watched")?;
    say_where(&listener)?;
    let started = Instant::now();
    let mut hours = interval_at(started + SUMMARY, SUMMARY);
    hours.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // One future for the whole run, so that an hour that passes takes no accepted connection along. The other arms only
    // wait.
    let mut accepting = Box::pin(accept(listener, Arc::clone(&run)));
    loop {
        tokio::select! {
            () = &mut accepting => {}
            _ = hours.tick() => run.counts.tell(started),
            () = signals.next() => break,
        }
    }
    drop(accepting);
    let open = run.counts.open.load(Ordering::Relaxed);
    if open > 0 {
        tracing::info!(
            "no new connections; {open} open ones may take {} s to end",
            drain.as_secs()
        );
    }
    tokio::select! {
        () = run.slots.all_free() => {}
        () = tokio::time::sleep(drain) => {}
        () = signals.next() => {}
    }
    run.slots.end().await;
    run.counts.tell(started);
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "no tor listens to a run without a parent; whoever asked for port 0 reads this line"
)]
fn say_where(listener: &TcpListener) -> anyhow::Result<()> {
    let at = listener.local_addr().context("the port is gone")?;
    let mut out = std::io::stdout();
    let _ = writeln!(out, "listening on {at}").and_then(|()| out.flush());
    Ok(())
}

impl Run {
    async fn prepare(job: Job, options: Options) -> anyhow::Result<(Run, SocketAddr)> {
        let told = match &options.config {
            Some(file) => Told::read(file)?,
            None => Told::default(),
        };
        for notice in &told.notices {
            tracing::info!("{notice}");
        }
        let Some(addr) = options.listen.or(told.listen) else {
            bail!("nobody says where to listen: give --listen ADDR");
        };
        let Some(module) = options.module.or_else(|| told.settings.module.clone()) else {
            bail!("nobody says which module to use: give --module FILE");
        };
        let slots = match job {
            Job::Dial => CLIENT_CONNECTIONS,
            Job::Listen | Job::Relay => SERVER_CONNECTIONS,
        };
        let slots = options.max_connections.unwrap_or(slots);
        let allow = Allow::new(options.allow).with(told.settings.allow.clone());
        let role = match (job, &options.connect) {
            (Job::Dial, Some(_)) => Role::Dialer,
            (Job::Dial, None) => Role::FixedDialer,
            (Job::Listen, _) => Role::Listener,
            (Job::Relay, _) => Role::Relay,
        };
        if options.connect.is_none() && job == Job::Listen {
            bail!(
                "nobody says where to connect: give --connect ADDR, what the connections are for"
            );
        }
        if options.connect.is_none() && allow.is_empty() {
            bail!(
                "nobody says where to connect: give --connect ADDR, or, for a module that knows by itself, an --allow rule for \
                 every place that it may go to"
            );
        }
        let state = match options.state.or_else(default_state) {
            Some(state) => state,
            None => bail!("there is no HOME to keep compiled modules in; give --state DIR"),
        };
        let state = State::open(&state)
            .with_context(|| format!("the state directory {} cannot be opened", state.display()))?;
        let (name, mut config) = named(&module, told.settings, told.own);
        config.compiler = options.compiler;
        let registry = Arc::new(Registry::new(&config, slots, &state));
        let mut transport = registry
            .load(&name, role)
            .await
            .map_err(anyhow::Error::msg)?;
        if let Some(deadline) = options.handshake {
            transport.handshake = deadline;
            transport.handshake_is_set = true;
        }
        let conf = transport.conf.file(std::iter::empty())?;
        transport.state = own_state(&state, &module)?;
        let set_up = transport.set_up(role, conf.clone()).await;
        set_up.map_err(anyhow::Error::msg)?;
        for (key, value) in transport.announced() {
            say!(Severity::Notice, "clients need {key}={value}");
        }
        let run = Run {
            job,
            transport,
            conf,
            connect: options.connect,
            allow: Arc::new(allow),
            dial: Arc::new(dial::Dial {
                proxy: options.proxy,
                timeout: options.dial,
                ..dial::Dial::default()
            }),
            quiet_close: services::quiet_close(&state),
            slots: Slots::new(registry.slots()),
            counts: Counts::default(),
        };
        Ok((run, addr))
    }

    fn connection<'a>(&'a self, peer: &'a SocketAddr) -> Connection<'a> {
        Connection {
            transport: &self.transport,
            slots: &self.slots,
            conf: self.conf.clone(),
            dialling: self.dial.timeout,
            far: peer,
        }
    }

    async fn serve(&self, socket: TcpStream, peer: SocketAddr, quiet_until: Instant, slot: Slot) {
        self.counts.open.fetch_add(1, Ordering::Relaxed);
        let connection = self.connection(&peer);
        let carried = match self.job {
            Job::Dial => {
                let carried = connection.carry_client(socket, &[], self.way(), &[]).await;
                carried.map_err(|(socket, failure)| {
                    self.connection(&peer).tell(&failure);
                    // There is no reply to tell an application that it was not connected, but a reset.
                    if let Some(socket) = socket {
                        let _ = SockRef::from(&socket).set_linger(Some(Duration::ZERO));
                    }
                    None
                })
            }
            Job::Listen => {
                let carried = connection.carry_server(socket, self.onward()).await;
                carried.map_err(|(stream, was_up)| Some((stream, was_up)))
            }
            Job::Relay => {
                let carried = connection.carry_relay(socket, self.way()).await;
                carried.map_err(|(stream, was_up)| Some((stream, was_up)))
            }
        };
        match carried {
            Ok(outcome) => self.counts.add(&outcome),
            Err(unfinished) => {
                self.counts.failed.fetch_add(1, Ordering::Relaxed);
                if let Some((Some(stream), was_up)) = unfinished {
                    let _turn = self.slots.exchange(slot);
                    let now = was_up == WasUp(true);
                    quiet(stream, if now { Instant::now() } else { quiet_until }).await;
                }
            }
        }
        self.counts.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// How long after its accept a connection that failed is closed; a relay's handshake waits for its dial too.
    fn quiet_close(&self) -> Duration {
        let quiet = self.transport.quiet_close(self.quiet_close);
        match self.job {
            Job::Relay => quiet.max(self.transport.handshake + self.dial.timeout),
            Job::Dial | Job::Listen => quiet,
        }
    }

    /// A plain connection to where the run goes.
    fn onward(&self) -> impl Future<Output = Result<TcpStream, Failure>> + use<> {
        let (dial, target) = (Arc::clone(&self.dial), self.connect.clone());
        async move {
            let target = target.ok_or_else(|| Failure::Host("nobody said where to".to_owned()))?;
            dial.connect(&target).await
        }
    }

    fn way(&self) -> Way {
        let (dial, allow) = (Arc::clone(&self.dial), Arc::clone(&self.allow));
        match self.connect.clone() {
            Some(target) => {
                let way = Arc::new((dial, target));
                Way::Host(Box::new(move || {
                    let way = Arc::clone(&way);
                    Box::pin(async move { way.0.connect(&way.1).await.map(Io::from) })
                }))
            }
            None => Way::chosen_by_module(dial, allow),
        }
    }
}

/// Takes connections and sees to them, until it is dropped.
async fn accept(listener: TcpListener, run: Arc<Run>) {
    loop {
        let trouble = |failure: &Failure| {
            say!(
                failure.severity(),
                "no connection can be accepted: {failure}"
            )
        };
        let (socket, peer) = listen::accept(&listener, trouble).await;
        match run.job {
            Job::Dial => tune_local(&socket),
            Job::Listen | Job::Relay => tune_network(&socket),
        }
        let quiet_until = Instant::now() + run.quiet_close();
        let run = Arc::clone(&run);
        match run.slots.admit().await {
            Admission::Carried(slot) => {
                tokio::spawn(async move { run.serve(socket, peer, quiet_until, slot).await });
            }
            Admission::Refused(turn, full) => {
                run.connection(&peer).tell(&full);
                tokio::spawn(async move {
                    match run.job {
                        Job::Dial => drop(SockRef::from(&socket).set_linger(Some(Duration::ZERO))),
                        Job::Listen | Job::Relay => quiet(Stream::new(socket), quiet_until).await,
                    }
                    drop(turn);
                });
            }
        }
    }
}

/// A name for the module and the registry's settings for it: a path, unless it is a built-in's name alone.
fn named(
    module: &std::path::Path,
    mut settings: Settings,
    own: Option<PathBuf>,
) -> (String, Config) {
    let built_in = crate::transport::builtins()
        .iter()
        .find(|one| module.as_os_str() == one.name);
    let name = built_in.map_or("module", |one| one.name).to_owned();
    let modules = match built_in {
        Some(_) => Vec::new(),
        None => vec![(name.clone(), module.to_owned())],
    };
    // Which one was decided by the caller.
    settings.module = None;
    let configs = own.map(|file| (name.clone(), file)).into_iter().collect();
    let config = Config {
        modules,
        configs,
        transports: [(name.clone(), settings)].into(),
        ..Config::default()
    };
    (name, config)
}

/// Where the module keeps its files: apart from every other's, also from one of the same name in another folder.
fn own_state(state: &State, module: &std::path::Path) -> anyhow::Result<State> {
    let place = std::fs::canonicalize(module).unwrap_or_else(|_| module.to_owned());
    let digest = Sha256::digest(place.as_os_str().as_encoded_bytes());
    let own = state
        .folder("alone")
        .and_then(|all| all.folder(&hex(&digest[..8])));
    own.context("the module's folder in the state directory cannot be made")
}

fn default_state() -> Option<PathBuf> {
    let folder = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    folder("XDG_STATE_HOME")
        .or_else(|| Some(folder("HOME")?.join(".local/state")))
        .map(|state| state.join("ouzel"))
}

/// What ends a run: SIGTERM or SIGINT, or Ctrl-C where there are no signals.
struct Signals {
    #[cfg(unix)]
    caught: [tokio::signal::unix::Signal; 2],
}

impl Signals {
    fn catch() -> std::io::Result<Signals> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            Ok(Signals {
                caught: [
                    signal(SignalKind::terminate())?,
                    signal(SignalKind::interrupt())?,
                ],
            })
        }
        #[cfg(not(unix))]
        Ok(Signals {})
    }

    async fn next(&mut self) {
        #[cfg(unix)]
        {
            let [term, int] = &mut self.caught;
            tokio::select! {
                _ = int.recv() => {}
                _ = term.recv() => {}
            }
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    }
}
