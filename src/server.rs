//! The server's side: connections from the network, each a tunnel to the relay.
//!
//! In: the transports that tor asked for and where to listen. Out: an `SMETHOD` line per listener, then
//! connections. The relay is dialled only when a client's handshake was good; until then every failure, a
//! full house among them, looks the same from outside.

use crate::error::{Failure, Severity};
use crate::net::{dial::Dial, listen, orport::OrPort, tune_network};
use crate::pt::args::{Args, ArgsError};
use crate::pt::env::ServerEnv;
use crate::pt::ipc::Ipc;
use crate::say;
use crate::transport::{Registry, Transport};
use crate::tunnel::{Admission, Connection, Slot, Slots, WasUp};
use crate::watm::{Role, Session, Stream, quiet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

/// What all transports of a server share.
#[derive(Clone)]
pub struct Relay {
    /// Where the relay listens.
    pub orport: OrPort,
    /// The source addresses for reaching it.
    pub dial: Dial,
    /// How long after its accept a connection that failed is closed, unless its transport says otherwise.
    pub quiet_close: Duration,
}

/// Starts the listeners and says so. The tasks in the set are the listeners; dropping it closes them.
pub async fn start(
    env: &ServerEnv,
    registry: &Arc<Registry>,
    relay: Relay,
    slots: &Slots,
    ipc: &Ipc,
) -> JoinSet<()> {
    let mut listeners = JoinSet::new();
    let unknown = env.binds.iter().filter(|bind| !registry.knows(&bind.name));
    registry.tell_unknown(unknown.map(|bind| bind.name.as_str()), env.binds.len());
    for bind in &env.binds {
        let name = &bind.name;
        if !registry.knows(name) {
            continue;
        }
        let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let addr = bind.addr.unwrap_or(any);
        match open(name, addr, env.options.get(name), registry).await {
            Ok((transport, conf, listener, at)) => {
                let mut args = Args::new();
                for (key, value) in transport.announced() {
                    if needs_escape(&key) || needs_escape(&value) {
                        say!(
                            Severity::Warning,
                            "{name}: tor will garble the announced {key:?} in the bridge line that it writes, because of \
                             a comma, an equals sign or a backslash in it; give clients the bridge line by hand, or \
                             encode the value without them"
                        );
                    }
                    args.push(key, value);
                }
                ipc.status_version(name);
                if let Err(error) = ipc.smethod(name, at, &args) {
                    ipc.smethod_error(name, &unannounced(&args, error));
                    continue;
                }
                let (relay, slots) = (relay.clone(), slots.clone());
                let server = Server {
                    transport,
                    conf,
                    relay,
                    slots,
                };
                listeners.spawn(accept(listener, Arc::new(server)));
            }
            Err(why) => ipc.smethod_error(name, &why),
        }
    }
    ipc.smethods_done();
    listeners
}

/// tor copies `ARGS` into bridge lines with their backslashes, and makes a space of every comma.
fn needs_escape(text: &str) -> bool {
    text.contains([',', '=', '\\'])
}

/// Why arguments cannot be announced, with the key to change.
fn unannounced(args: &Args, error: ArgsError) -> String {
    let key = match error {
        ArgsError::Unprintable(item) => args.iter().nth(item - 1).map(|(key, _)| key),
        _ => None,
    };
    match key {
        Some(key) => format!(
            "{:?} cannot be announced: {error}; use printable ASCII without blanks",
            String::from_utf8_lossy(key)
        ),
        None => format!("its arguments cannot be announced: {error}"),
    }
}

type Opened = (Transport, Option<Arc<[u8]>>, TcpListener, SocketAddr);

async fn open(
    name: &str,
    addr: SocketAddr,
    options: Option<&Args>,
    registry: &Arc<Registry>,
) -> Result<Opened, String> {
    let mut transport = registry.load(name, Role::Listener).await?;
    if let Some(options) = options {
        transport.conf = transport
            .conf
            .with_options(options.iter())
            .map_err(|failure| failure.to_string())?;
    }
    let conf = transport
        .conf
        .file(std::iter::empty())
        .map_err(|failure| failure.to_string())?;
    // A server has all of its configuration now: what the module says to it, it would say every time.
    transport.set_up(Role::Listener, conf.clone()).await?;
    let trial = timeout(
        transport.handshake,
        Session::new(&transport.program, transport.grants.with_conf(conf.clone())),
    );
    match trial.await {
        Ok(Ok(_)) => {}
        Ok(Err(failure)) => return Err(failure.to_string()),
        Err(_) => return Err("its module did not start in time".to_owned()),
    }
    let listener = listen::listen(addr).map_err(|error| cannot_listen(addr, &error))?;
    let at = listener
        .local_addr()
        .map_err(|error| format!("the port is gone: {error}"))?;
    Ok((transport, conf, listener, at))
}

fn cannot_listen(addr: SocketAddr, error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied if addr.port() < 1024 => format!(
            "port {} is below 1024 and not allowed; use a higher port and redirect to it (see torrc.example)",
            addr.port()
        ),
        std::io::ErrorKind::AddrInUse => {
            format!(
                "port {} is in use; choose another with ServerTransportListenAddr",
                addr.port()
            )
        }
        _ => format!("cannot listen: {error}; check ServerTransportListenAddr"),
    }
}

struct Server {
    transport: Transport,
    /// The same file for every connection: a server's arguments are its options.
    conf: Option<Arc<[u8]>>,
    relay: Relay,
    slots: Slots,
}

async fn accept(listener: TcpListener, server: Arc<Server>) {
    loop {
        let trouble = |failure: &Failure| {
            say!(
                failure.severity(),
                "no connection can be accepted: {failure}"
            )
        };
        let (socket, peer) = listen::accept(&listener, trouble).await;
        tune_network(&socket);
        let quiet_until = Instant::now() + server.transport.quiet_close(server.relay.quiet_close);
        let server = Arc::clone(&server);
        match server.slots.admit().await {
            Admission::Carried(slot) => {
                tokio::spawn(async move { server.serve(socket, peer, quiet_until, slot).await });
            }
            Admission::Refused(turn, full) => {
                server.connection(&peer).tell(&full);
                tokio::spawn(async move {
                    quiet(Stream::new(socket), quiet_until).await;
                    drop(turn);
                });
            }
        }
    }
}

impl Server {
    fn connection<'a>(&'a self, peer: &'a SocketAddr) -> Connection<'a> {
        Connection {
            transport: &self.transport,
            slots: &self.slots,
            conf: self.conf.clone(),
            dialling: Duration::ZERO,
            far: peer,
        }
    }

    async fn serve(&self, socket: TcpStream, peer: SocketAddr, quiet_until: Instant, slot: Slot) {
        let relay = self
            .relay
            .orport
            .connect(&self.relay.dial, peer, &self.transport.name);
        let served = self.connection(&peer).carry_server(socket, relay).await;
        if let Err((Some(stream), was_up)) = served {
            let _turn = self.slots.exchange(slot);
            let until = if was_up == WasUp(true) {
                Instant::now()
            } else {
                quiet_until
            };
            quiet(stream, until).await;
        }
    }
}
