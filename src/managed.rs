//! A run as a pluggable transport, from the parent's environment to the exit code.
//!
//! In: the environment and the operator's flags. Out: the lines of the contract, then connections, then an
//! exit code. What can go wrong before the first listener is one of the contract's error lines.

use crate::config::{CLIENT_CONNECTIONS, Config, SERVER_CONNECTIONS};
use crate::error::Severity;
use crate::log::{self, Sink, Whose};
use crate::net::dial::Dial;
use crate::net::orport::OrPort;
use crate::pt::env::{self, Environment, PROXY_ERROR_EXIT_CODE, Role, StartError};
use crate::pt::ipc::Ipc;
use crate::pt::parent::{Launcher, Parent, Stop};
use crate::server::Relay;
use crate::transport::{Registry, State, services};
use crate::tunnel::Slots;
use crate::{client, platform, server};
use std::io::Write;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// How long the last lines may take to reach a parent that still reads.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Runs until the parent ends it.
pub fn run(config: &Config, variable: env::Lookup<'_>, runtime: Runtime) -> ExitCode {
    let launcher = Launcher::note();
    let Ok(ipc) = Ipc::stdout() else {
        return ExitCode::FAILURE;
    };
    let code = match negotiate(config, variable, &ipc) {
        Ok((environment, state)) => {
            runtime.block_on(serve(config, environment, launcher, &state, &ipc))
        }
        Err(code) => code,
    };
    ipc.flush(LAST_WORDS);
    // Connections that are still open end here; nothing that they hold outlives the process.
    runtime.shutdown_background();
    ExitCode::from(code)
}

/// Tells the parent why this process cannot even begin, before it exits.
pub fn refuse(why: &str) {
    if let Ok(ipc) = Ipc::stdout() {
        ipc.log(Severity::Error, why);
        ipc.env_error(why);
        ipc.flush(LAST_WORDS);
    }
}

/// Everything up to the first listener. The error is the exit status; its line has been said.
fn negotiate(
    config: &Config,
    variable: env::Lookup<'_>,
    ipc: &Ipc,
) -> Result<(Environment, State), u8> {
    let to_parent = ipc.clone();
    let level = config.log_level;
    let to_parent: Sink = Box::new(move |severity, text| {
        if severity >= level {
            to_parent.log(severity, text);
        }
    });
    if let Err(error) = env::version(variable) {
        return Err(start_error(ipc, &error));
    }
    ipc.version();
    let opened = env::parse(variable).and_then(|environment| {
        let state = State::open(&environment.state).map_err(|error| {
            let dir = environment.state.display();
            StartError::Env(format!(
                "the state directory {dir} cannot be made or opened ({error}); tor's DataDirectory must be writable"
            ))
        })?;
        Ok((environment, state))
    });
    let (environment, state) = match opened {
        Ok(opened) => opened,
        Err(error) => return Err(start_error(ipc, &error)),
    };
    let mut sinks = vec![to_parent];
    let mut quietest = config.log_level;
    if config.log_file {
        match state.append(config.log_name) {
            Ok(file) => {
                let level = config.file_level.unwrap_or(config.log_level);
                quietest = quietest.min(level);
                let to_file = to_file(file, state.clone(), config.log_name);
                let side = match environment.role {
                    Role::Client(_) => "client",
                    Role::Server(_) => "bridge",
                };
                // Whoever looks whether it logs sees that it does, at any level.
                let version = env!("CARGO_PKG_VERSION");
                to_file(
                    Severity::Notice,
                    &format!("ouzel {version} started as a {side}"),
                );
                sinks.push(Box::new(move |severity, text| {
                    if severity >= level {
                        to_file(severity, text);
                    }
                }));
            }
            Err(error) => {
                ipc.log(
                    Severity::Warning,
                    &format!(
                        "{} cannot be opened ({error}); make the state directory writable",
                        config.log_name
                    ),
                );
            }
        }
    }
    log::init(quietest, config.unsafe_logging, sinks);
    if let Role::Client(client) = &environment.role
        && let Some(proxy) = &client.proxy
    {
        match proxy {
            Ok(_) => ipc.proxy_done(),
            Err(why) => {
                ipc.proxy_error(why);
                return Err(PROXY_ERROR_EXIT_CODE);
            }
        }
    }
    Ok((environment, state))
}

fn start_error(ipc: &Ipc, error: &StartError) -> u8 {
    match error {
        StartError::Version => ipc.version_error(),
        StartError::Env(text) => {
            // After VERSION, tor drops the text of an ENV-ERROR; a LOG line is how the user hears of it.
            ipc.log(Severity::Error, text);
            ipc.env_error(text);
        }
    }
    error.exit_code()
}

fn to_file(file: std::fs::File, state: State, name: &'static str) -> Sink {
    let file = Mutex::new(file);
    Box::new(move |severity, text| {
        let now = humantime::format_rfc3339_seconds(SystemTime::now());
        let text = text.replace(|c: char| c.is_control(), " ");
        let line = format!("{now} [{}] {text}\n", severity.word());
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody may have tidied up; a file without a name is read by nobody.
        if platform::is_unlinked(&file)
            && let Ok(again) = state.append(name)
        {
            *file = again;
        }
        // A full disk loses log lines and nothing else.
        let _ = file.write_all(line.as_bytes());
    })
}

async fn serve(
    config: &Config,
    environment: Environment,
    launcher: Launcher,
    state: &State,
    ipc: &Ipc,
) -> u8 {
    let mut parent = match Parent::watch(environment.exit_on_stdin_close, launcher) {
        Ok(parent) => parent,
        Err(error) => {
            ipc.log(
                Severity::Error,
                &format!("signals cannot be watched: {error}"),
            );
            return 1;
        }
    };
    let slots = match environment.role {
        Role::Client(_) => CLIENT_CONNECTIONS,
        Role::Server(_) => SERVER_CONNECTIONS,
    };
    let slots = config.max_connections.unwrap_or(slots);
    let registry = Arc::new(Registry::new(config, slots, state));
    let slots = Slots::new(registry.slots());
    let starting = listen(environment, state, &registry, &slots, ipc);
    let mut listeners = tokio::select! {
        listeners = starting => listeners,
        // Even in the midst of compiling; nobody is connected yet.
        () = parent.interrupted() => return 0,
    };
    let stop = parent.stop().await;
    listeners.shutdown().await;
    if stop == Stop::Drain {
        tokio::select! {
            () = slots.all_free() => {}
            _ = parent.stop() => {}
        }
    }
    slots.end().await;
    0
}

async fn listen(
    environment: Environment,
    state: &State,
    registry: &Arc<Registry>,
    slots: &Slots,
    ipc: &Ipc,
) -> JoinSet<()> {
    let mut dial = Dial {
        bind_v4: environment.bind_v4,
        bind_v6: environment.bind_v6,
        ..Dial::default()
    };
    match environment.role {
        Role::Client(client) => {
            dial.proxy = client.proxy.and_then(Result::ok);
            client::start(&client.transports, registry, dial, slots, ipc).await
        }
        Role::Server(server) => {
            if let OrPort::Extended { addr, .. } = &server.orport
                && !addr.ip().is_loopback()
            {
                tracing::warn!(
                    "the ExtORPort is not a loopback address: clients' addresses cross the network unencrypted{}",
                    Whose(addr)
                );
            }
            let relay = Relay {
                orport: server.orport.clone(),
                dial,
                quiet_close: services::quiet_close(state),
            };
            server::start(&server, registry, relay, slots, ipc).await
        }
    }
}
