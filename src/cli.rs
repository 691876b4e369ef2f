//! The command line, and a run as a pluggable transport.
//!
//! In: arguments and the parent's environment. Out: the exit code. tor passes the arguments of its `exec`
//! line through, so the flags that people have in their torrc for obfs4proxy and lyrebird are taken too.

use crate::config::{CLIENT_CONNECTIONS, Config, SERVER_CONNECTIONS};
use crate::error::Severity;
use crate::log::{self, Sink};
use crate::net::dial::Dial;
use crate::net::orport::OrPort;
use crate::platform;
use crate::pt::env::{self, Environment, PROXY_ERROR_EXIT_CODE, Role, StartError};
use crate::pt::ipc::Ipc;
use crate::pt::is_transport_name;
use crate::pt::parent::{Parent, Stop};
use crate::server::Relay;
use crate::tools;
use crate::transport::{Registry, State, services};
use crate::tunnel::Slots;
use crate::{client, server};
use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};
use tokio::runtime::{Builder, Runtime};

/// How long the last lines may take to reach a parent that still reads.
const LAST_WORDS: Duration = Duration::from_secs(1);

const LOG_FILE: &str = "ouzel.log";

/// The exit status of a wrong use, as in PT 3 (EX_USAGE).
const USAGE: u8 = 64;

#[derive(Debug, Parser)]
#[command(
    name = "ouzel",
    version,
    about = "A pluggable transport for tor that runs every connection through a WebAssembly Transport Module (WATM)",
    long_about = "A pluggable transport for tor that runs every connection through a WebAssembly Transport Module (WATM).\n\n\
        tor starts it; in torrc, on a client and on a bridge:\n\n  \
        ClientTransportPlugin plain exec /usr/bin/ouzel\n  \
        ServerTransportPlugin plain exec /usr/bin/ouzel\n\n\
        A new transport is a file, added on the same line:\n\n  \
        ClientTransportPlugin mine exec /usr/bin/ouzel --module mine=/etc/ouzel/mine.wasm\n\n\
        To see it work without tor, run `ouzel demo`.",
    after_help = "Built in: plain (passes bytes as they are), reverse (a reversible scramble, for tests and tutorials).\n\
        Exit status: 0 stopped, 64 wrong use or ENV-ERROR, 69 PROXY-ERROR, 78 VERSION-ERROR.",
    args_conflicts_with_subcommands = true
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: Run,
}

#[derive(Debug, clap::Args)]
struct Run {
    /// Add a transport: its name, and its module (.wasm, or .cwasm made by `ouzel compile`)
    #[arg(long = "module", value_name = "NAME=FILE", value_parser = named_file)]
    modules: Vec<(String, PathBuf)>,
    /// Give a transport's module this configuration (a JSON object, or whatever the module reads)
    #[arg(long = "config", value_name = "NAME=FILE", value_parser = named_file)]
    configs: Vec<(String, PathBuf)>,
    /// Connections at a time [default: 1536 on a client, 4096 on a bridge]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    max_connections: Option<u32>,
    /// Processor threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// The quietest line to tell: error, warn, notice, info or debug
    #[arg(long, alias = "logLevel", value_name = "LEVEL", default_value = "notice", value_parser = severity)]
    log_level: Severity,
    /// Keep a log in the state directory (ouzel.log) too
    #[arg(long, alias = "enableLogging")]
    enable_logging: bool,
    /// Let addresses appear in logs; for debugging only
    #[arg(long, alias = "unsafeLogging")]
    unsafe_logging: bool,
    /// Taken for compatibility with lyrebird's command line; nothing here depends on it
    #[arg(long = "obfs4-distBias", hide = true)]
    dist_bias: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Play tor on both sides and fetch a page and a file through a bridge on this machine
    Demo(Demo),
    /// Compile a module ahead of time, for builds and machines that cannot
    Compile(tools::compile::Options),
}

#[derive(Debug, clap::Args)]
struct Demo {
    /// The transport to show
    #[arg(long, value_name = "NAME", default_value = "plain")]
    transport: String,
    /// How much to fetch, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    size: u64,
    /// Add a transport, as in torrc
    #[arg(long = "module", value_name = "NAME=FILE", value_parser = named_file)]
    modules: Vec<(String, PathBuf)>,
    /// Give a transport's module a configuration, as in torrc
    #[arg(long = "config", value_name = "NAME=FILE", value_parser = named_file)]
    configs: Vec<(String, PathBuf)>,
    /// Print the figures as one JSON object
    #[arg(long)]
    json: bool,
}

impl From<Demo> for tools::demo::Options {
    fn from(demo: Demo) -> Self {
        let mut pt_args = Vec::new();
        for (flag, files) in [("--module", demo.modules), ("--config", demo.configs)] {
            for (name, file) in files {
                let mut named = OsString::from(format!("{name}="));
                named.push(file);
                pt_args.extend([flag.into(), named]);
            }
        }
        tools::demo::Options {
            transport: demo.transport,
            size: demo.size,
            pt_args,
            json: demo.json,
        }
    }
}

fn named_file(text: &str) -> Result<(String, PathBuf), String> {
    let (name, file) = text
        .split_once('=')
        .ok_or("expected NAME=FILE, like mine=/etc/ouzel/mine.wasm")?;
    if !is_transport_name(name) {
        return Err(format!(
            "{name:?} is no transport name: letters, digits and _ only, no digit first"
        ));
    }
    if file.is_empty() {
        return Err("the file is missing after =".to_owned());
    }
    Ok((name.to_owned(), file.into()))
}

fn severity(text: &str) -> Result<Severity, String> {
    Ok(match text.to_ascii_lowercase().as_str() {
        "error" => Severity::Error,
        "warn" | "warning" => Severity::Warning,
        "notice" => Severity::Notice,
        "info" => Severity::Info,
        "debug" => Severity::Debug,
        _ => return Err("expected error, warn, notice, info or debug".to_owned()),
    })
}

/// Go programs take `-flag`; people have such lines for obfs4proxy in their torrc.
fn with_two_dashes(arg: OsString) -> OsString {
    const GO_FLAGS: [&str; 5] = [
        "-enableLogging",
        "-logLevel",
        "-unsafeLogging",
        "-obfs4-distBias",
        "-version",
    ];
    let text = arg.to_string_lossy();
    let flag = text.split('=').next().unwrap_or_default();
    if !GO_FLAGS.contains(&flag) {
        return arg;
    }
    let mut doubled = OsString::from("-");
    doubled.push(&arg);
    doubled
}

/// The whole program.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse_from(std::env::args_os().map(with_two_dashes)) {
        Ok(cli) => cli,
        Err(error) => {
            // clap knows which of its texts belong on stdout: help and version, asked for by a person.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(USAGE));
        }
    };
    platform::raise_descriptor_limit();
    let threads = cli.run.threads;
    match cli.command {
        Some(Command::Demo(options)) => finish(runtime(threads), |runtime| {
            runtime.block_on(tools::demo::run(options.into()))
        }),
        Some(Command::Compile(options)) => {
            finish(runtime(threads), |_| tools::compile::run(&options))
        }
        None => {
            let variable = |name: &str| std::env::var_os(name);
            if !env::is_managed(&variable) {
                return by_hand();
            }
            match runtime(threads) {
                Ok(runtime) => as_transport(cli.run, &variable, runtime),
                Err(error) => failed(&error),
            }
        }
    }
}

fn runtime(threads: Option<u16>) -> anyhow::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    if let Some(threads) = threads {
        builder.worker_threads(threads.into());
    }
    Ok(builder.enable_all().build()?)
}

fn finish(
    runtime: anyhow::Result<Runtime>,
    tool: impl FnOnce(&Runtime) -> anyhow::Result<()>,
) -> ExitCode {
    match runtime.and_then(|runtime| tool(&runtime)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    let _ = writeln!(io::stderr(), "ouzel: {error:#}");
    ExitCode::FAILURE
}

/// Started without a parent: say what this is and how it is used.
fn by_hand() -> ExitCode {
    let program = std::env::current_exe().unwrap_or_else(|_| "/usr/bin/ouzel".into());
    let program = program.display();
    let _ = writeln!(
        io::stderr(),
        "ouzel {} is a pluggable transport: it must be run as a managed transport, by tor.\n\n\
         In torrc, on a client and on a bridge:\n\n  \
         ClientTransportPlugin plain exec {program}\n  \
         ServerTransportPlugin plain exec {program}\n\n\
         To see it work now, with nothing installed:  {program} demo\n\
         Everything else:  {program} --help",
        env!("CARGO_PKG_VERSION"),
    );
    ExitCode::from(USAGE)
}

fn as_transport(run: Run, variable: env::Lookup<'_>, runtime: Runtime) -> ExitCode {
    let Ok(ipc) = Ipc::stdout() else {
        return ExitCode::FAILURE;
    };
    let config = Config {
        modules: run.modules,
        configs: run.configs,
        max_connections: run.max_connections.map(|n| n as usize),
        log_level: run.log_level,
        log_file: run.enable_logging,
        unsafe_logging: run.unsafe_logging,
    };
    let code = match negotiate(&config, variable, &ipc) {
        Ok((environment, state)) => runtime.block_on(serve(&config, environment, &state, &ipc)),
        Err(code) => code,
    };
    ipc.flush(LAST_WORDS);
    // Connections that are still open end here; nothing that they hold outlives the process.
    runtime.shutdown_background();
    ExitCode::from(code)
}

/// Everything up to the first listener. The error is the exit status; its line has been said.
fn negotiate(
    config: &Config,
    variable: env::Lookup<'_>,
    ipc: &Ipc,
) -> Result<(Environment, State), u8> {
    let to_parent = ipc.clone();
    let to_parent: Sink = Box::new(move |severity, text| to_parent.log(severity, text));
    if let Err(error) = env::version(variable) {
        return Err(start_error(ipc, &error));
    }
    ipc.version();
    let opened = env::parse(variable).and_then(|environment| {
        let state = State::open(&environment.state).map_err(|error| {
            StartError::Env(format!("the state directory cannot be made or opened ({error}); tor's DataDirectory must be writable"))
        })?;
        Ok((environment, state))
    });
    let (environment, state) = match opened {
        Ok(opened) => opened,
        Err(error) => return Err(start_error(ipc, &error)),
    };
    let file = config.log_file.then(|| state.append(LOG_FILE)).transpose();
    let mut sinks = vec![to_parent];
    match file {
        Ok(file) => sinks.extend(file.map(to_file)),
        Err(error) => ipc.log(
            Severity::Warning,
            &format!("the log file cannot be opened: {error}"),
        ),
    }
    log::init(config.log_level, config.unsafe_logging, sinks);
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

fn to_file(file: std::fs::File) -> Sink {
    let file = Mutex::new(file);
    Box::new(move |severity, text| {
        let now = humantime::format_rfc3339_seconds(SystemTime::now());
        let line = format!("{now} [{}] {text}\n", severity.word());
        if let Ok(mut file) = file.lock() {
            // A full disk loses log lines and nothing else.
            let _ = file.write_all(line.as_bytes());
        }
    })
}

async fn serve(config: &Config, environment: Environment, state: &State, ipc: &Ipc) -> u8 {
    let mut parent = match Parent::watch(environment.exit_on_stdin_close) {
        Ok(parent) => parent,
        Err(error) => {
            ipc.log(
                Severity::Error,
                &format!("signals cannot be watched: {error}"),
            );
            return 1;
        }
    };
    let mut dial = Dial {
        bind_v4: environment.bind_v4,
        bind_v6: environment.bind_v6,
        ..Dial::default()
    };
    let side = match environment.role {
        Role::Client(_) => CLIENT_CONNECTIONS,
        Role::Server(_) => SERVER_CONNECTIONS,
    };
    let slots = config.max_connections.unwrap_or(side);
    let registry = match Registry::new(config, slots, state) {
        Ok(registry) => registry,
        Err(failure) => {
            ipc.log(Severity::Error, &failure.to_string());
            return 1;
        }
    };
    let slots = Slots::new(registry.slots());
    let mut listeners = match environment.role {
        Role::Client(client) => {
            dial.proxy = client.proxy.and_then(Result::ok);
            client::start(&client.transports, &registry, dial, &slots, ipc).await
        }
        Role::Server(server) => {
            let orport = match (&server.ext_orport, server.orport) {
                (Some((addr, cookie)), _) => OrPort::Extended {
                    addr: *addr,
                    cookie: cookie.clone(),
                },
                (None, Some(addr)) => OrPort::Plain(addr),
                (None, None) => {
                    return start_error(
                        ipc,
                        &StartError::Env(
                            "neither TOR_PT_ORPORT nor TOR_PT_EXTENDED_SERVER_PORT is set"
                                .to_owned(),
                        ),
                    );
                }
            };
            let relay = Relay {
                orport,
                dial,
                quiet_close: services::quiet_close(state),
            };
            server::start(&server, &registry, relay, &slots, ipc).await
        }
    };
    if parent.stop().await == Stop::Drain {
        listeners.shutdown().await;
        tokio::select! {
            () = slots.all_free() => {}
            _ = parent.stop() => {}
        }
    }
    0
}
