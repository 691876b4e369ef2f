//! Sessions with sockets around them.

use crate::{DEADLINE, assembly};
use ouzel::error::Failure;
use ouzel::watm::{Connect, Host, Io, ModuleError, Outcome, Program, Session, Settings, Stream};
use std::collections::HashMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Room for a crowd of good tunnels, and for guests that will not leave at once beside them.
pub(crate) const SLOTS: usize = 320;

pub(crate) fn host() -> &'static Host {
    static HOST: OnceLock<Host> = OnceLock::new();
    HOST.get_or_init(|| Host::new(Settings::for_slots(SLOTS)).expect("the engine starts"))
}

fn file(name: &str) -> PathBuf {
    if name.contains('/') {
        return crate::languages::built(name);
    }
    let dist = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("watm/dist");
    let built_in = dist.join(format!("{name}.wasm"));
    if built_in.exists() {
        built_in
    } else {
        dist.join("test-guests").join(format!("{name}.wasm"))
    }
}

pub(crate) fn wasm(name: &str) -> Vec<u8> {
    if let Some(module) = assembly::assemble(name) {
        return module;
    }
    let path = file(name);
    std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; run `make wasm`", path.display()))
}

/// The guest's program, compiled once for all tests.
pub(crate) fn program(name: &str) -> Arc<Program> {
    load(name).unwrap_or_else(|error| panic!("{name} {error}"))
}

/// The program of a guest, compiled once for all tests, or why there is none.
pub(crate) fn load(name: &str) -> Result<Arc<Program>, ModuleError> {
    type Loaded = Arc<OnceLock<Result<Arc<Program>, ModuleError>>>;
    static LOADED: OnceLock<Mutex<HashMap<String, Loaded>>> = OnceLock::new();
    let loaded = LOADED.get_or_init(Mutex::default);
    let entry = {
        let mut loaded = loaded.lock().expect("nobody panics with the map");
        Arc::clone(loaded.entry(name.to_owned()).or_default())
    };
    let make = || {
        let artefact = host().compile(&wasm(name))?;
        host().load(&artefact).map(Arc::new)
    };
    entry.get_or_init(make).clone()
}

pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future)
        .await
        .unwrap_or_else(|_| panic!("{what}: nothing happened in time"))
}

/// Both ends of a TCP connection.
pub(crate) async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a loopback port");
    let at = listener.local_addr().expect("bound");
    let (near, far) = tokio::join!(TcpStream::connect(at), listener.accept());
    (near.expect("connected"), far.expect("accepted").0)
}

/// A way out that hands over this socket, once.
pub(crate) fn once(socket: TcpStream) -> Connect {
    let socket = Mutex::new(Some(socket));
    Box::new(move || {
        let socket = socket.lock().expect("not poisoned").take();
        Box::pin(async move { socket.map(Io::from).ok_or(Failure::Refused) })
    })
}

/// A dialer whose handshake is done: the application, the network, and the session to run.
pub(crate) async fn dialer(
    name: &str,
    conf: Option<&[u8]>,
) -> Result<(TcpStream, TcpStream, Session), Failure> {
    let (app, inner) = pair().await;
    let (outer, network) = pair().await;
    let mut session = Session::new(&program(name), conf.map(Arc::<[u8]>::from)).await?;
    session.dial(Stream::gated(inner, &[]), once(outer)).await?;
    session.inner().open();
    Ok((app, network, session))
}

/// A listener whose handshake is done, for this connection from the network.
pub(crate) async fn listener(
    name: &str,
    outer: TcpStream,
    conf: Option<&[u8]>,
) -> Result<(TcpStream, Session), Failure> {
    let mut session = Session::new(&program(name), conf.map(Arc::<[u8]>::from)).await?;
    session
        .accept(Stream::gated(Io::Unconnected, &[]), Stream::new(outer))
        .await?;
    let (relay, inner) = pair().await;
    session.inner().attach(inner);
    session.inner().open();
    Ok((relay, session))
}

/// A dialer and a listener of the same module, end to end.
pub(crate) struct Tunnel {
    pub(crate) app: TcpStream,
    pub(crate) relay: TcpStream,
    pub(crate) dialer: JoinHandle<Outcome>,
    pub(crate) listener: JoinHandle<Outcome>,
}

pub(crate) async fn tunnel(name: &str) -> Tunnel {
    within("the tunnel's handshake", async {
        let (app, network, dialer) = dialer(name, None).await.expect("the dialer's handshake");
        let (relay, listener) = listener(name, network, None)
            .await
            .expect("the listener's handshake");
        Tunnel {
            app,
            relay,
            dialer: tokio::spawn(dialer.run()),
            listener: tokio::spawn(listener.run()),
        }
    })
    .await
}
