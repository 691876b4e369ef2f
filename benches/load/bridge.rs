//! Both halves of a bridge as processes, with this program as tor on either side.
//!
//! In: a [`Subject`], an executable or the reference relay. Out: connected pairs of streams, one end
//! at the client's SOCKS port, the other behind the server's ORPort. What can go wrong: an
//! executable that does not start, refuses a connection, or does not dial the ORPort in time.

use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use ouzel::tools::parent::{Launch, Method, Pt, socks_connect};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

/// Longer than any transport's handshake takes on a loaded machine.
const CONNECT_LIMIT: Duration = Duration::from_secs(60);

/// An executable to measure.
#[derive(Clone)]
pub(crate) struct Subject {
    program: PathBuf,
    pub(crate) transport: String,
    pub(crate) args: Vec<OsString>,
    pub(crate) options: Vec<(String, String)>,
    /// Whether this is the copy relay.
    pub(crate) is_relay: bool,
}

impl Subject {
    pub(crate) fn pt(program: PathBuf, transport: &str) -> Self {
        Subject {
            program,
            transport: transport.to_owned(),
            args: Vec::new(),
            options: Vec::new(),
            is_relay: false,
        }
    }

    /// This program as a relay, in processes of their own.
    pub(crate) fn relay() -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("no path to this program")?;
        let mut subject = Subject::pt(program, crate::relay::TRANSPORT);
        subject.is_relay = true;
        Ok(subject)
    }

    pub(crate) fn client(&self, state: &Path) -> Launch {
        Launch::client(&self.program, state, &self.transport).args(self.words("client"))
    }

    pub(crate) fn server(&self, state: &Path, orport: SocketAddr) -> Launch {
        let (program, options) = (&self.program, &self.options);
        Launch::server(program, state, &self.transport, options, orport).args(self.words("server"))
    }

    /// The method of a process just launched.
    pub(crate) fn method(&self, pt: &Pt) -> anyhow::Result<Method> {
        let name = &self.transport;
        match (pt.method(name), pt.method_error(name)) {
            (Some(method), _) => Ok(method),
            (None, Some(error)) => bail!("{self} cannot start: {error}"),
            (None, None) => bail!("{self} did not launch {name}"),
        }
    }

    fn words(&self, role: &str) -> Vec<OsString> {
        match self.is_relay {
            true => vec!["--serve-relay".into(), role.into()],
            false => self.args.clone(),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_relay {
            return f.write_str("copy relay");
        }
        let name = self.program.file_name().unwrap_or(self.program.as_os_str());
        write!(f, "{} {}", name.display(), self.transport)
    }
}

/// The way in: a client's SOCKS port and the bridge line to use there.
#[derive(Clone)]
pub(crate) struct Route {
    socks: SocketAddr,
    line: Method,
}

impl Route {
    /// A connection through the client's SOCKS port.
    pub(crate) async fn connect(&self) -> anyhow::Result<TcpStream> {
        let connect = socks_connect(self.socks, self.line.addr, &self.line.args);
        let reply = timeout(CONNECT_LIMIT, connect).await;
        match reply.context("no SOCKS reply in time")?? {
            Ok(stream) => Ok(stream),
            Err(rep) => bail!("the client answered with SOCKS reply {rep}"),
        }
    }
}

/// A running client and server.
pub(crate) struct Bridge {
    pub(crate) client: Pt,
    pub(crate) server: Pt,
    pub(crate) route: Route,
    orport: TcpListener,
}

impl Bridge {
    pub(crate) async fn launch(subject: &Subject, state: &Path) -> anyhow::Result<Self> {
        let orport = listen()?;
        let address = orport.local_addr()?;
        let server = subject.server(&state.join("server"), address);
        let server = server.start().await?;
        let client = subject.client(&state.join("client")).start().await?;
        Ok(Bridge {
            route: Route {
                socks: subject.method(&client)?.addr,
                line: subject.method(&server)?,
            },
            client,
            server,
            orport,
        })
    }

    /// The next connection that the server makes to the ORPort.
    pub(crate) async fn accept(&self) -> anyhow::Result<TcpStream> {
        let (stream, _) = self.orport.accept().await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Both ends of one new connection. Only one at a time can tell which belong together.
    pub(crate) async fn pair(&self) -> anyhow::Result<(TcpStream, TcpStream)> {
        let accept = async {
            let accepted = timeout(CONNECT_LIMIT, self.accept()).await;
            accepted.context("the server did not dial the ORPort in time")?
        };
        tokio::try_join!(self.route.connect(), accept)
    }

    /// What the processes said last, for the report of a failure.
    pub(crate) fn last_words(&self) -> String {
        let said = |name: &str, pt: &Pt| {
            let record = pt.record();
            let logs = record.logs.iter().map(|log| log.message.clone());
            let mut lines: Vec<String> = logs.chain(record.stderr.iter().cloned()).collect();
            lines.drain(..lines.len().saturating_sub(3));
            match lines.is_empty() {
                true => format!("the {name} said nothing"),
                false => format!("the {name} said: {}", lines.join(" | ")),
            }
        };
        let (client, server) = (said("client", &self.client), said("server", &self.server));
        format!("{client}; {server}")
    }

    /// Ends both processes.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        tokio::try_join!(self.client.close(), self.server.close())?;
        Ok(())
    }
}

/// A listener on loopback whose backlog does not stall a burst.
fn listen() -> anyhow::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    Ok(socket.listen(4096)?)
}
