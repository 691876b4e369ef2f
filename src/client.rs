//! The client's side: tor connects by SOCKS5, each connection becomes a tunnel to the bridge it names.
//!
//! In: the transports that tor asked for. Out: a `CMETHOD` line per listener, then connections. What can go
//! wrong with one connection is told as its SOCKS reply and a `LOG` line, and with one transport as its
//! `CMETHOD-ERROR`; neither ends anything else.

use crate::error::Failure;
use crate::front::socks5::{self, Request};
use crate::net::{
    dial::{Dial, Target},
    listen, tune_local,
};
use crate::pt::args;
use crate::pt::ipc::Ipc;
use crate::say;
use crate::transport::{Registry, Transport};
use crate::tunnel::{Admission, Connection, Slot, Slots, Way};
use crate::watm::{Io, Role};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Starts the listeners and says so. The tasks in the set are the listeners; dropping it closes them.
pub async fn start(
    names: &[String],
    registry: &Arc<Registry>,
    dial: Dial,
    slots: &Slots,
    ipc: &Ipc,
) -> JoinSet<()> {
    let dial = Arc::new(dial);
    let mut listeners = JoinSet::new();
    let unknown = names.iter().filter(|name| !registry.knows(name));
    registry.tell_unknown(unknown.map(String::as_str), names.len());
    for name in names {
        if !registry.knows(name) {
            continue;
        }
        match open(name, registry).await {
            Ok((transport, listener, at)) => {
                let client = Client {
                    transport,
                    dial: Arc::clone(&dial),
                    slots: slots.clone(),
                };
                listeners.spawn(accept(listener, Arc::new(client)));
                ipc.status_version(name);
                ipc.cmethod(name, at);
            }
            Err(why) => ipc.cmethod_error(name, &why),
        }
    }
    ipc.cmethods_done();
    listeners
}

async fn open(
    name: &str,
    registry: &Arc<Registry>,
) -> Result<(Transport, TcpListener, SocketAddr), String> {
    // A module that takes the bridge's address is what a bridge line is for, even if it could choose by itself.
    let mut transport = registry
        .load_first(name, &[Role::Dialer, Role::FixedDialer])
        .await?;
    if transport.role == Role::FixedDialer && transport.allow.is_empty() {
        return Err(format!(
            "its module chooses by itself where to go, and nothing allows it to go anywhere; put rules into allow of its \
             settings, like [transport.{name}] in the file after --config"
        ));
    }
    // Arguments come with each connection, so this is the operator's part.
    let conf = transport.conf.file(std::iter::empty());
    let conf = conf.map_err(|failure| failure.to_string())?;
    transport.set_up(transport.role, conf).await?;
    let listener = listen::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
        .map_err(|error| format!("no loopback port can be opened: {error}"))?;
    let at = listener
        .local_addr()
        .map_err(|error| format!("the loopback port is gone: {error}"))?;
    Ok((transport, listener, at))
}

struct Client {
    transport: Transport,
    dial: Arc<Dial>,
    slots: Slots,
}

async fn accept(listener: TcpListener, client: Arc<Client>) {
    loop {
        let trouble = |failure: &Failure| {
            say!(
                failure.severity(),
                "no connection can be accepted: {failure}"
            )
        };
        let (socket, _) = listen::accept(&listener, trouble).await;
        let client = Arc::clone(&client);
        match client.slots.admit().await {
            Admission::Carried(slot) => {
                tokio::spawn(async move { client.serve(socket, slot).await });
            }
            Admission::Refused(turn, full) => {
                tokio::spawn(async move {
                    client.turn_away(socket, full).await;
                    drop(turn);
                });
            }
        }
    }
}

impl Client {
    fn connection<'a>(&'a self, target: &'a Target, conf: Option<Arc<[u8]>>) -> Connection<'a> {
        Connection {
            transport: &self.transport,
            slots: &self.slots,
            conf,
            dialling: self.dial.timeout,
            far: target.unscrubbed(),
        }
    }

    async fn serve(&self, mut socket: TcpStream, _slot: Slot) {
        let Some(request) = self.handshake(&mut socket).await else {
            return;
        };
        let target = request.target.clone();
        if let Err((socket, failure)) = self.run(socket, request).await {
            self.connection(&target, None).tell(&failure);
            if let Some(socket) = socket {
                socks5::refuse(socket, failure.socks_reply()).await;
            }
        }
    }

    async fn turn_away(&self, mut socket: TcpStream, full: Failure) {
        if let Some(request) = self.handshake(&mut socket).await {
            self.connection(&request.target, None).tell(&full);
            socks5::refuse(socket, full.socks_reply()).await;
        }
    }

    async fn handshake(&self, socket: &mut TcpStream) -> Option<Request> {
        tune_local(socket);
        let mut malformed = None;
        let accepts = |encoded: &[u8]| {
            malformed = args::parse_client(encoded).err();
            malformed.is_none()
        };
        let handshake = socks5::handshake(&mut *socket, accepts);
        let mut why = match timeout(socks5::LIMIT, handshake).await {
            Ok(Ok(request)) => return Some(request),
            Ok(Err(socks5::Refused::Gone)) => return None,
            Ok(Err(why)) => why.to_string(),
            Err(_) => format!("it was not done within {} s", socks5::LIMIT.as_secs()),
        };
        if let Some(error) = malformed {
            why = format!("{why}: {error}; copy the bridge line again");
        }
        tracing::info!("{}: a SOCKS handshake failed: {why}", self.transport.name);
        socks5::close_after_reply(socket).await;
        None
    }

    async fn run(
        &self,
        socket: TcpStream,
        request: Request,
    ) -> Result<(), (Option<TcpStream>, Failure)> {
        let parsed = args::parse_client(&request.args)
            .map_err(|error| Failure::Arguments(error.to_string()));
        let conf = match parsed.and_then(|args| self.transport.conf.file(args.iter())) {
            Ok(conf) => conf,
            Err(failure) => return Err((Some(socket), failure)),
        };
        let way = self.way(&request.target);
        let connection = self.connection(&request.target, conf);
        connection
            .carry_client(socket, &request.early, way, &socks5::reply(0))
            .await
            .map(drop)
    }

    /// To the bridge of the bridge line, unless the module knows better.
    fn way(&self, target: &Target) -> Way {
        if self.transport.role == Role::FixedDialer {
            return Way::chosen_by_module(
                Arc::clone(&self.dial),
                Arc::clone(&self.transport.allow),
            );
        }
        let way = Arc::new((Arc::clone(&self.dial), target.clone()));
        Way::Host(Box::new(move || {
            let way = Arc::clone(&way);
            Box::pin(async move { way.0.connect(&way.1).await.map(Io::from) })
        }))
    }
}
