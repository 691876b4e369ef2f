//! The `ptrs` traits for any WATM: a program written against them can use every module.
//!
//! In: a module, named by a type ([`Module`]), and any byte stream. Out: the stream on the other side of the
//! transport. The builders never block; a module is compiled when its first connection needs it, on a thread
//! for blocking work, and kept in the state directory if one was given. What can go wrong is a [`Failure`],
//! and comes when a connection is made: building cannot fail in `ptrs`.
//!
//! The caller brings its connections, so bind addresses are the caller's as well and are not used here.

use crate::error::Failure;
use crate::transport::State;
use crate::transport::artefacts::Artefacts;
use crate::transport::builtins::builtins;
use crate::transport::conf::Conf;
use crate::transport::registry::HANDSHAKE;
use crate::watm::{Connect, Host, Io, Limits, Program, Session, Settings, Stream};
use ::ptrs::args::Args;
use std::any::TypeId;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::net::{SocketAddrV4, SocketAddrV6};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio::time::timeout;

/// What the stream that a caller gets may hold in flight; the guest's own queues are bounded besides.
const IN_FLIGHT: usize = 64 << 10;
/// Instances at a time in a program that embeds this.
const SLOTS: usize = 1024;

/// A transport by its type: `ptrs` asks for names without a value to ask.
pub trait Module: Send + Sync + 'static {
    /// The transport's name.
    const NAME: &'static str;

    /// Its module's bytes.
    fn wasm() -> Cow<'static, [u8]>;
}

/// The built-in `plain`.
pub struct Plain;

/// The built-in `reverse`.
pub struct Reverse;

macro_rules! built_in {
    ($($module:ty = $name:literal),*) => {$(
        impl Module for $module {
            const NAME: &'static str = $name;

            fn wasm() -> Cow<'static, [u8]> {
                let found = builtins().iter().find(|one| one.name == $name);
                found.expect("the build embeds it").wasm.into()
            }
        }
    )*};
}

built_in!(Plain = "plain", Reverse = "reverse");

/// A WATM as a pluggable transport of `ptrs`.
pub struct Watm<M>(PhantomData<M>);

/// Makes either side of a transport.
pub struct Builder<M> {
    args: Vec<(String, String)>,
    state: Option<PathBuf>,
    handshake: Duration,
    module: PhantomData<M>,
}

/// One side of a transport, ready to be used.
pub struct Side<M> {
    builder: Builder<M>,
}

impl<M> Default for Builder<M> {
    fn default() -> Self {
        Builder {
            args: Vec::new(),
            state: None,
            handshake: HANDSHAKE,
            module: PhantomData,
        }
    }
}

impl<M> Clone for Builder<M> {
    fn clone(&self) -> Self {
        Builder {
            args: self.args.clone(),
            state: self.state.clone(),
            handshake: self.handshake,
            module: PhantomData,
        }
    }
}

impl<M: Module> fmt::Debug for Builder<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Arguments are secrets.
        write!(f, "Builder({})", M::NAME)
    }
}

impl<M: Module> Builder<M> {
    fn set_args(&mut self, args: &Args) {
        self.args = args
            .iter()
            .flat_map(|(key, values)| values.iter().map(|value| (key.clone(), value.clone())))
            .collect();
    }

    fn conf(&self) -> Result<Option<Arc<[u8]>>, Failure> {
        let args = self
            .args
            .iter()
            .map(|(key, value)| (key.as_bytes(), value.as_bytes()));
        Conf::new(None).map_err(Failure::Arguments)?.file(args)
    }

    async fn session(&self) -> Result<Session, Failure> {
        let state = self.state.clone();
        let program = tokio::task::spawn_blocking(move || program::<M>(state)).await;
        let program = program
            .map_err(|_| Failure::Host("compiling the module was broken off".to_owned()))??;
        Session::new(&program, self.conf()?).await
    }

    /// Runs the handshake and leaves the session to run by itself.
    async fn establish(
        self,
        role: impl AsyncFnOnce(&mut Session, Stream) -> Result<(), Failure>,
    ) -> Result<Established, Failure> {
        let (ours, theirs) = duplex(IN_FLIGHT);
        let cut = Arc::new(AtomicBool::new(false));
        let mut inner = Stream::gated(Io::Any(Box::new(theirs)), &[]);
        inner.tell_cut(Arc::clone(&cut));
        let handshake = async {
            let mut session = self.session().await?;
            role(&mut session, inner).await?;
            Ok(session)
        };
        let seconds = self.handshake.as_secs();
        let mut session = timeout(self.handshake, handshake)
            .await
            .unwrap_or(Err(Failure::HandshakeTimeout(seconds)))?;
        session.inner().open();
        tokio::spawn(session.run());
        Ok(Established { stream: ours, cut })
    }
}

/// The caller's end of a transport. A stream that was cut reads as a reset, never as an end.
#[derive(Debug)]
pub struct Established {
    stream: DuplexStream,
    cut: Arc<AtomicBool>,
}

impl AsyncRead for Established {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let room = buf.remaining();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if room > 0 && buf.filled().len() == before && self.cut.load(Ordering::Acquire) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Established {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The one host of the process, and each module's program, compiled once.
fn program<M: Module>(state: Option<PathBuf>) -> Result<Arc<Program>, Failure> {
    static HOST: OnceLock<Result<Host, Failure>> = OnceLock::new();
    static PROGRAMS: Mutex<Option<HashMap<TypeId, Arc<Program>>>> = Mutex::new(None);

    let host = HOST
        .get_or_init(|| Host::new(Settings::for_slots(SLOTS)))
        .as_ref()
        .map_err(Clone::clone)?;
    let mut programs = PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner);
    let programs = programs.get_or_insert_default();
    if let Some(program) = programs.get(&TypeId::of::<M>()) {
        return Ok(Arc::clone(program));
    }
    let bad = |error| Failure::Module(format!("the module of {} {error}", M::NAME));
    let wasm = M::wasm();
    let program = match state.and_then(|dir| State::open(dir).ok()) {
        Some(state) => Artefacts::open(&state, None)
            .program(host, &wasm, Limits::default())
            .map_err(bad)?,
        None => host
            .compile(&wasm)
            .and_then(|artefact| host.load(&artefact))
            .map_err(bad)?,
    };
    let program = Arc::new(program);
    programs.insert(TypeId::of::<M>(), Arc::clone(&program));
    Ok(program)
}

/// A dial that hands over what the caller brought, once.
fn once(connecting: impl Future<Output = Result<Io, Failure>> + Send + 'static) -> Connect {
    let connecting = Mutex::new(Some(connecting));
    Box::new(move || {
        let connecting = connecting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        Box::pin(async move {
            match connecting {
                Some(connecting) => connecting.await,
                None => Err(Failure::Host(
                    "the caller's one connection was used already".to_owned(),
                )),
            }
        })
    })
}

type Pinned<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

impl<M, RW> ::ptrs::PluggableTransport<RW> for Watm<M>
where
    M: Module,
    RW: AsyncRead + AsyncWrite + Send + Sync + Unpin + 'static,
{
    type ClientBuilder = Builder<M>;
    type ServerBuilder = Builder<M>;

    fn name() -> String {
        M::NAME.to_owned()
    }

    fn client_builder() -> Builder<M> {
        Builder::default()
    }

    fn server_builder() -> Builder<M> {
        Builder::default()
    }
}

macro_rules! shared_settings {
    () => {
        fn method_name() -> String {
            M::NAME.to_owned()
        }

        fn build(&self) -> Side<M> {
            Side {
                builder: self.clone(),
            }
        }

        fn options(&mut self, args: &Args) -> Result<&mut Self, Failure> {
            self.set_args(args);
            Ok(self)
        }

        fn statefile_location(&mut self, path: &str) -> Result<&mut Self, Failure> {
            self.state = Some(path.into());
            Ok(self)
        }

        fn timeout(&mut self, limit: Option<Duration>) -> Result<&mut Self, Failure> {
            self.handshake = limit.unwrap_or(HANDSHAKE);
            Ok(self)
        }

        fn v4_bind_addr(&mut self, _: SocketAddrV4) -> Result<&mut Self, Failure> {
            Ok(self)
        }

        fn v6_bind_addr(&mut self, _: SocketAddrV6) -> Result<&mut Self, Failure> {
            Ok(self)
        }
    };
}

impl<M, RW> ::ptrs::ClientBuilder<RW> for Builder<M>
where
    M: Module,
    RW: AsyncRead + AsyncWrite + Send + Sync + Unpin + 'static,
{
    type Error = Failure;
    type ClientPT = Side<M>;
    type Transport = Watm<M>;

    shared_settings!();
}

impl<M, RW> ::ptrs::ServerBuilder<RW> for Builder<M>
where
    M: Module,
    RW: AsyncRead + AsyncWrite + Send + Sync + Unpin + 'static,
{
    type ServerPT = Side<M>;
    type Error = Failure;
    type Transport = Watm<M>;

    shared_settings!();

    fn get_client_params(&self) -> String {
        let mut args = Args::new();
        self.args
            .iter()
            .for_each(|(key, value)| args.add(key, value));
        args.encode_smethod_args()
    }
}

impl<M, RW, E> ::ptrs::ClientTransport<RW, E> for Side<M>
where
    M: Module,
    RW: AsyncRead + AsyncWrite + Send + Sync + Unpin + 'static,
    E: fmt::Display + Send + 'static,
{
    type OutRW = Established;
    type OutErr = Failure;
    type Builder = Builder<M>;

    fn establish(self, input: Pinned<RW, E>) -> Pinned<Established, Failure> {
        let connecting = async move {
            match input.await {
                Ok(stream) => Ok(Io::Any(Box::new(stream))),
                Err(error) => Err(Failure::Host(error.to_string())),
            }
        };
        Box::pin(
            self.builder
                .establish(async move |session, inner| session.dial(inner, once(connecting)).await),
        )
    }

    fn wrap(self, io: RW) -> Pinned<Established, Failure> {
        let connecting = std::future::ready(Ok(Io::Any(Box::new(io))));
        Box::pin(
            self.builder
                .establish(async move |session, inner| session.dial(inner, once(connecting)).await),
        )
    }

    fn method_name() -> String {
        M::NAME.to_owned()
    }
}

impl<M, RW> ::ptrs::ServerTransport<RW> for Side<M>
where
    M: Module,
    RW: AsyncRead + AsyncWrite + Send + Sync + Unpin + 'static,
{
    type OutRW = Established;
    type OutErr = Failure;
    type Builder = Builder<M>;

    fn reveal(self, io: RW) -> Pinned<Established, Failure> {
        let outer = Stream::new(Io::Any(Box::new(io)));
        Box::pin(
            self.builder
                .establish(async move |session, inner| session.accept(inner, outer).await),
        )
    }

    fn method_name() -> String {
        M::NAME.to_owned()
    }
}
