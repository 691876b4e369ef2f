//! The command line.
//!
//! In: arguments, and whether there is a parent. Out: the exit code of what was asked for. tor passes the arguments of its `exec`
//! line through, so the flags that people have in their torrc for obfs4proxy and lyrebird are taken too.

use crate::config::Config;
use crate::config::settings::Mistake;
use crate::pt::{env, is_transport_name};
use crate::standalone::{self, Job};
use crate::{managed, platform, tools};
use arguments::Standalone;
use called::Called;
use clap::{Parser, Subcommand};
use go_flags::Translated;
use run::Run;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::runtime::{Builder, Runtime};

/// The exit status of wrong flags, which is clap's, and of wrong settings.
const WRONG: u8 = 2;
/// The exit status of a wrong use, as in PT 3 (EX_USAGE).
const USAGE: u8 = 64;

mod arguments;
mod called;
mod go_flags;
mod run;

#[derive(Debug, Parser)]
#[command(
    name = "ouzel",
    version,
    about = "A pluggable transport for tor that runs every connection through a WebAssembly Transport Module (WATM)",
    long_about = "A pluggable transport for tor that runs every connection through a WebAssembly Transport Module (WATM).\n\n\
        tor starts it; in torrc, on a client and on a bridge:\n\n  \
        ClientTransportPlugin obfs4 exec /usr/bin/ouzel\n  \
        ServerTransportPlugin obfs4 exec /usr/bin/ouzel\n\n\
        A new transport is a file, added on the same line:\n\n  \
        ClientTransportPlugin mine exec /usr/bin/ouzel --module mine=/etc/tor/mine.wasm\n\n\
        To see it work without tor, run `ouzel demo`.",
    after_help = "Built in: obfs4 (what obfs4proxy and lyrebird speak), plain (passes bytes as they are), reverse (a reversible scramble, for tests and tutorials).\n\
        The flags of obfs4proxy and lyrebird are taken as well: -enableLogging, -logLevel LEVEL, -unsafeLogging, -obfs4-distBias, -version.\n\
        Exit status: 0 stopped, 1 a tool failed, 2 wrong flags or settings, 64 ENV-ERROR or started by hand, 69 PROXY-ERROR, 78 VERSION-ERROR.",
    args_conflicts_with_subcommands = true
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: Run,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Play tor on both sides and fetch a page and a file through a bridge on this machine
    Demo(Demo),
    /// Without tor: take connections here, put them through a module and send them to an address
    Dial(Standalone),
    /// Without tor: take connections that went through `ouzel dial` elsewhere, and send them on as they were
    Listen(Standalone),
    /// Without tor: let a module stand between those who connect here and an address
    Relay(Standalone),
    /// Compile a module ahead of time, for builds and machines that cannot
    Compile(tools::compile::Options),
    /// Say whether modules can be used: one line each; exit status 0 if all of them can, 1 if not
    Validate(tools::validate::Options),
    /// Tell what a module is, what it asks for and why it would be refused; exit status 1 if it cannot be read
    Inspect(tools::inspect::Options),
}

#[derive(Debug, clap::Args)]
struct Demo {
    /// The transport to show
    #[arg(long, value_name = "NAME", default_value = "obfs4", value_parser = transport_name)]
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
        .ok_or("expected NAME=FILE, like mine=/etc/tor/mine.wasm")?;
    let name = transport_name(name)?;
    if file.is_empty() {
        return Err("the file is missing after =".to_owned());
    }
    Ok((name, file.into()))
}

fn transport_name(name: &str) -> Result<String, String> {
    if is_transport_name(name) {
        return Ok(name.to_owned());
    }
    Err(format!(
        "{name:?} is no transport name: letters, digits and _ only, no digit first"
    ))
}

impl Cli {
    fn checked(self) -> Result<Cli, clap::Error> {
        self.run.check()?;
        Ok(self)
    }
}

/// The whole program.
pub fn main() -> ExitCode {
    let variable = |name: &str| std::env::var_os(name);
    let managed = env::is_managed(&variable);
    let called = Called::by(std::env::args_os().next().as_deref());
    let Translated { words, switches } = go_flags::translate(std::env::args_os());
    let cli = match Cli::try_parse_from(words).and_then(Cli::checked) {
        Ok(cli) => cli,
        Err(error) => return misused(called, managed, &error),
    };
    platform::raise_descriptor_limit();
    match cli.command {
        Some(Command::Demo(options)) => finish(
            runtime(None).and_then(|runtime| runtime.block_on(tools::demo::run(options.into()))),
        ),
        Some(Command::Dial(args)) => alone(Job::Dial, args),
        Some(Command::Listen(args)) => alone(Job::Listen, args),
        Some(Command::Relay(args)) => alone(Job::Relay, args),
        Some(Command::Compile(options)) => finish(tools::compile::run(&options)),
        Some(Command::Validate(options)) => answer(
            runtime(None).and_then(|runtime| runtime.block_on(tools::validate::run(&options))),
        ),
        Some(Command::Inspect(options)) => answer(tools::inspect::run(&options)),
        None if !managed => by_hand(called),
        None => match cli.run.read(called) {
            Ok((config, threads)) => {
                under_a_parent(&Config { switches, ..config }, threads, &variable)
            }
            Err(mistake) => {
                let _ = writeln!(io::stderr(), "{}: {mistake}", called.name());
                managed::refuse(&mistake.to_string());
                ExitCode::from(WRONG)
            }
        },
    }
}

/// The definition does not fit the command line, or a person asked for help.
fn misused(called: Called, managed: bool, error: &clap::Error) -> ExitCode {
    // clap knows which of its texts belong on stdout: help and version, asked for by a person.
    let _ = error.print();
    if managed && error.use_stderr() {
        // tor hides stderr, and would start us again every second.
        let text = error.to_string();
        let what = text
            .lines()
            .next()
            .unwrap_or_default()
            .trim_start_matches("error: ");
        managed::refuse(&format!("{what}; see the exec line in torrc"));
    }
    let level = Run::is_about_the_level(error);
    match (called, u8::try_from(error.exit_code())) {
        (Called::InPlaceOf(_), _) if level => ExitCode::FAILURE,
        (_, code) => ExitCode::from(code.unwrap_or(USAGE)),
    }
}

fn under_a_parent(config: &Config, threads: Option<usize>, variable: env::Lookup<'_>) -> ExitCode {
    match runtime(threads) {
        Ok(runtime) => managed::run(config, variable, runtime),
        Err(error) => {
            managed::refuse(&format!(
                "this machine gives no threads or descriptors: {error}"
            ));
            ExitCode::from(USAGE)
        }
    }
}

fn alone(job: Job, args: Standalone) -> ExitCode {
    let threads = args.threads.map(usize::from);
    let run = |runtime: Runtime| {
        let done = runtime.block_on(standalone::run(job, args.into()));
        runtime.shutdown_background();
        done
    };
    match runtime(threads).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => match failed(&error) {
            _ if error.is::<Mistake>() => ExitCode::from(WRONG),
            other => other,
        },
    }
}

fn runtime(threads: Option<usize>) -> anyhow::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    if let Some(threads) = threads {
        builder.worker_threads(threads);
    }
    Ok(builder.enable_all().build()?)
}

fn finish(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

/// The exit status of a question: yes, or no.
fn answer(result: anyhow::Result<bool>) -> ExitCode {
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    let _ = writeln!(io::stderr(), "ouzel: {error:#}");
    ExitCode::FAILURE
}

/// Started without a parent: say what this is and how it is used.
fn by_hand(called: Called) -> ExitCode {
    if let Called::InPlaceOf(name) = called {
        let _ = writeln!(
            io::stderr(),
            "{name} must be run as a managed transport, by tor; put \"ServerTransportPlugin obfs4 exec /usr/bin/{name}\" into \
             torrc, on a client \"ClientTransportPlugin ...\" (this is ouzel {} in its place)",
            env!("CARGO_PKG_VERSION"),
        );
        return ExitCode::FAILURE;
    }
    let program = std::env::current_exe().unwrap_or_else(|_| "/usr/bin/ouzel".into());
    let program = program.display();
    let _ = writeln!(
        io::stderr(),
        "ouzel {} is a pluggable transport: it must be run as a managed transport, by tor.\n\n\
         In torrc, on a client and on a bridge:\n\n  \
         ClientTransportPlugin obfs4 exec {program}\n  \
         ServerTransportPlugin obfs4 exec {program}\n\n\
         To see it work now, with nothing installed:  {program} demo\n\
         Everything else:  {program} --help",
        env!("CARGO_PKG_VERSION"),
    );
    ExitCode::from(USAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn lines_for_obfs4proxy_are_understood() {
        let line = "ouzel -enableLogging -logLevel=DEBUG -unsafeLogging=false managed";
        let words = go_flags::translate(line.split(' ').map(OsString::from)).words;
        let cli = Cli::try_parse_from(words).expect("understood");
        assert!(cli.run.enable_logging && !cli.run.unsafe_logging);
        assert_eq!(cli.run.log_level, Some(crate::error::Severity::Debug));
    }

    #[test]
    fn a_module_needs_a_name_that_tor_accepts() {
        assert!(named_file("a-b=x.wasm").is_err());
        assert!(named_file("plain").is_err());
        assert!(named_file("plain=").is_err());
        assert_eq!(named_file("a=b=c"), Ok(("a".to_owned(), "b=c".into())));
    }
}
