//! `ouzel dial`, `listen` and `relay`: their arguments.

use crate::error::Severity;
use crate::net::allow::Rule;
use crate::net::dial::Target;
use crate::net::proxy::Proxy;
use crate::platform;
use crate::standalone::Options;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(super) struct Standalone {
    /// The module (.wasm, or .cwasm made by `ouzel compile`), or the name of a built-in; left out if --config names it
    #[arg(long, value_name = "FILE", required_unless_present = "config")]
    module: Option<PathBuf>,
    /// Where to listen, like 127.0.0.1:1080; port 0 takes a free one and prints it
    #[arg(long, value_name = "ADDR", required_unless_present = "config")]
    listen: Option<SocketAddr>,
    /// Where connections go: an address or a name, and a port
    #[arg(long, value_name = "ADDR", value_parser = target)]
    connect: Option<Target>,
    /// Where a module may go that chooses by itself (without --connect): example.com:443, *.example.org:443,
    /// 192.0.2.0/24:80-90, [2001:db8::]/32:*; again for more
    #[arg(long, value_name = "RULE", conflicts_with = "connect")]
    allow: Vec<Rule>,
    /// The operator's settings (.toml, or JSON of the Go runtime's shape), or the configuration that the module itself reads
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Go out through a proxy only: http, socks5 or socks4a, like socks5://127.0.0.1:9050
    #[arg(long, value_name = "URI", value_parser = proxy)]
    proxy: Option<Proxy>,
    /// Connections at a time [default: 1536 for dial, 4096 for listen and relay]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    max_connections: Option<u32>,
    /// How long a transport's handshake may take, in seconds; for dial and relay, what connecting takes comes on top [default: 30]
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=3600))]
    handshake_timeout: Option<u64>,
    /// How long connecting may take, in seconds
    #[arg(long, value_name = "S", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    connect_timeout: u64,
    /// How long open connections may take to end after the first signal, in seconds; a second signal ends them at once
    #[arg(long, value_name = "S", default_value_t = 30, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    drain_timeout: u64,
    /// Where compiled modules and the files of modules are kept [default: $XDG_STATE_HOME/ouzel or ~/.local/state/ouzel]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Processor threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) threads: Option<u16>,
    /// The quietest line to tell: error, warn, notice, info or debug
    #[arg(long, value_name = "LEVEL", default_value = "notice")]
    log_level: Severity,
    /// Let addresses appear in logs; for debugging only
    #[arg(long)]
    unsafe_logging: bool,
}

impl From<Standalone> for Options {
    fn from(args: Standalone) -> Options {
        Options {
            module: args.module,
            listen: args.listen,
            connect: args.connect,
            allow: args.allow,
            config: args.config,
            proxy: args.proxy,
            max_connections: args.max_connections.map(|n| n as usize),
            handshake: args.handshake_timeout.map(Duration::from_secs),
            dial: Duration::from_secs(args.connect_timeout),
            drain: Duration::from_secs(args.drain_timeout),
            compiler: platform::own_executable(),
            state: args.state,
            log_level: args.log_level,
            unsafe_logging: args.unsafe_logging,
        }
    }
}

fn target(text: &str) -> Result<Target, String> {
    text.parse().map_err(|_| {
        "expected an address or a name with a port, like 192.0.2.1:443 or example.com:443"
            .to_owned()
    })
}

fn proxy(text: &str) -> Result<Proxy, String> {
    Proxy::parse(text).map_err(|error| error.to_string())
}
