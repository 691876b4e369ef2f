//! What tor puts into a pluggable transport's environment.
//!
//! In: a program, a state directory, a side and its transports. Out: a command ready to be started.
//! Nothing here can go wrong; that comes with [`Launch::start`].

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::{LaunchError, Pt, escape};

/// Which half of a bridge the executable plays.
#[derive(Clone, Debug)]
pub enum Side {
    /// In front of a tor client: SOCKS listeners.
    Client {
        /// Method names, as in `ClientTransportPlugin`.
        transports: Vec<String>,
        /// `TOR_PT_PROXY`, an upstream proxy's URL.
        proxy: Option<String>,
    },
    /// In front of a tor bridge: public listeners.
    Server {
        /// What to listen for.
        transports: Vec<ServerTransport>,
        /// `TOR_PT_ORPORT`.
        orport: Option<SocketAddr>,
        /// `TOR_PT_EXTENDED_SERVER_PORT` and `TOR_PT_AUTH_COOKIE_FILE`.
        ext_orport: Option<(SocketAddr, PathBuf)>,
    },
}

/// One transport of a server.
#[derive(Clone, Debug)]
pub struct ServerTransport {
    /// The method name.
    pub name: String,
    /// The address to listen on.
    pub bind: SocketAddr,
    /// `TOR_PT_SERVER_TRANSPORT_OPTIONS`, unescaped.
    pub options: Vec<(String, String)>,
}

/// How to start an executable: a builder, ended by [`Launch::start`].
#[derive(Clone, Debug)]
pub struct Launch {
    pub(super) program: PathBuf,
    args: Vec<OsString>,
    state: PathBuf,
    pub(super) side: Side,
    env: Vec<(OsString, Option<OsString>)>,
    pub(super) within: Duration,
}

impl Launch {
    /// The program, its state directory (the program creates it) and the side to play.
    pub fn new(program: impl Into<PathBuf>, state: impl Into<PathBuf>, side: Side) -> Self {
        Launch {
            program: program.into(),
            args: Vec::new(),
            state: state.into(),
            side,
            env: Vec::new(),
            within: Duration::from_secs(30),
        }
    }

    /// A server of one transport on a loopback port of the kernel's choice, with a plain ORPort.
    pub fn server(
        program: impl Into<PathBuf>,
        state: impl Into<PathBuf>,
        transport: &str,
        options: &[(String, String)],
        orport: SocketAddr,
    ) -> Self {
        let transport = ServerTransport {
            name: transport.to_owned(),
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            options: options.to_vec(),
        };
        let side = Side::Server {
            transports: vec![transport],
            orport: Some(orport),
            ext_orport: None,
        };
        Launch::new(program, state, side)
    }

    /// A client of one transport without an upstream proxy.
    pub fn client(program: impl Into<PathBuf>, state: impl Into<PathBuf>, transport: &str) -> Self {
        let side = Side::Client {
            transports: vec![transport.to_owned()],
            proxy: None,
        };
        Launch::new(program, state, side)
    }

    /// Adds a command-line argument.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds command-line arguments.
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable, over what the contract would say.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), Some(value.into())));
        self
    }

    /// Leaves a variable out, whatever the contract says.
    pub fn env_remove(mut self, name: impl Into<OsString>) -> Self {
        self.env.push((name.into(), None));
        self
    }

    /// How long the executable may take until its `DONE` line (30 s, as Arti, unless said).
    pub fn within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// Starts the executable and waits for its `DONE` line.
    pub async fn start(self) -> Result<Pt, LaunchError> {
        Pt::launch(self).await
    }

    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .env_clear()
            .envs(self.environment())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        // A Ctrl-C in a terminal is the parent's to handle.
        #[cfg(unix)]
        command.process_group(0);
        for (name, value) in &self.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    /// What tor sets (transports.c, `create_managed_proxy_environment`).
    fn environment(&self) -> Vec<(&'static str, OsString)> {
        let mut state = self.state.clone().into_os_string();
        state.push("/");
        let mut env = vec![
            ("TOR_PT_MANAGED_TRANSPORT_VER", "1".into()),
            ("TOR_PT_STATE_LOCATION", state),
            ("TOR_PT_EXIT_ON_STDIN_CLOSE", "1".into()),
        ];
        #[cfg(windows)]
        if let Some(root) = std::env::var_os("SystemRoot") {
            env.push(("SystemRoot", root));
        }
        match &self.side {
            Side::Client { transports, proxy } => {
                env.push(("TOR_PT_CLIENT_TRANSPORTS", transports.join(",").into()));
                if let Some(proxy) = proxy {
                    env.push(("TOR_PT_PROXY", proxy.into()));
                }
            }
            Side::Server {
                transports,
                orport,
                ext_orport,
            } => {
                let list = |each: fn(&ServerTransport) -> String| {
                    let items: Vec<String> = transports.iter().map(each).collect();
                    OsString::from(items.join(","))
                };
                env.push(("TOR_PT_SERVER_TRANSPORTS", list(|t| t.name.clone())));
                env.push((
                    "TOR_PT_SERVER_BINDADDR",
                    list(|t| format!("{}-{}", t.name, t.bind)),
                ));
                let options: Vec<String> = transports
                    .iter()
                    .flat_map(|t| t.options.iter().map(move |(k, v)| (&t.name, k, v)))
                    .map(|(name, k, v)| format!("{name}:{}", escape(&format!("{k}={v}"), r":;\")))
                    .collect();
                if !options.is_empty() {
                    env.push(("TOR_PT_SERVER_TRANSPORT_OPTIONS", options.join(";").into()));
                }
                if let Some(orport) = orport {
                    env.push(("TOR_PT_ORPORT", orport.to_string().into()));
                }
                let mut extended = OsString::new();
                if let Some((address, cookie)) = ext_orport {
                    extended = address.to_string().into();
                    env.push(("TOR_PT_AUTH_COOKIE_FILE", cookie.into()));
                }
                // tor sets it to nothing when it has no ExtORPort.
                env.push(("TOR_PT_EXTENDED_SERVER_PORT", extended));
            }
        }
        env
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(launch: &Launch, name: &str) -> Option<String> {
        let mut env = launch.environment().into_iter();
        let value = env.find(|(n, _)| *n == name)?.1;
        Some(value.into_string().unwrap())
    }

    #[test]
    fn a_server_is_told_what_tor_tells() {
        let options = [("a", r"b;c:d\e"), ("f", "g=h")];
        let options = options.map(|(k, v)| (k.to_owned(), v.to_owned()));
        let orport = SocketAddr::from(([127, 0, 0, 1], 9));
        let launch = Launch::server("pt", "/state", "fake", &options, orport);
        let expected = [
            ("TOR_PT_MANAGED_TRANSPORT_VER", "1"),
            ("TOR_PT_STATE_LOCATION", "/state/"),
            ("TOR_PT_EXIT_ON_STDIN_CLOSE", "1"),
            ("TOR_PT_SERVER_TRANSPORTS", "fake"),
            ("TOR_PT_SERVER_BINDADDR", "fake-127.0.0.1:0"),
            (
                "TOR_PT_SERVER_TRANSPORT_OPTIONS",
                r"fake:a=b\;c\:d\\e;fake:f=g=h",
            ),
            ("TOR_PT_ORPORT", "127.0.0.1:9"),
            ("TOR_PT_EXTENDED_SERVER_PORT", ""),
        ];
        for (name, value) in expected {
            assert_eq!(variable(&launch, name).as_deref(), Some(value), "{name}");
        }
        assert_eq!(variable(&launch, "TOR_PT_CLIENT_TRANSPORTS"), None);
    }

    #[test]
    fn a_client_has_a_proxy_only_if_one_is_given() {
        let plain = Launch::client("pt", "/state", "a");
        assert_eq!(variable(&plain, "TOR_PT_PROXY"), None);
        let side = Side::Client {
            transports: vec!["a".to_owned(), "b".to_owned()],
            proxy: Some("http://127.0.0.1:1".to_owned()),
        };
        let proxied = Launch::new("pt", "/state", side);
        let value = |name| variable(&proxied, name).unwrap();
        assert_eq!(value("TOR_PT_CLIENT_TRANSPORTS"), "a,b");
        assert_eq!(value("TOR_PT_PROXY"), "http://127.0.0.1:1");
    }
}
