//! The runtime that arti asks for when it is to launch a process.
//!
//! A launch needs a clock and nothing else. The rest of what arti calls a runtime is here because its type asks for
//! it: nothing connects, listens or speaks TLS, so that no TLS library is built for a test that has no use for one.

use std::borrow::Cow;
use std::convert::Infallible;
use std::future::Future;
use std::io::{self, Error, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use futures::task::{FutureObj, Spawn, SpawnError};
use futures::{AsyncRead, AsyncWrite};
use tor_general_addr::unix;
use tor_rtcompat::tls::{CertifiedConn, TlsAcceptorSettings, TlsConnector};
use tor_rtcompat::unimpl::{FakeListener, FakeStream};
use tor_rtcompat::{
    Blocking, CoarseInstant, CoarseTimeProvider, NetStreamProvider, RealCoarseTimeProvider,
    SleepProvider, StreamOps, TcpListenOptions, TlsProvider, UdpProvider, UdpSocket,
    UnixListenOptions,
};

/// Tokio's clock and tasks. To be used inside a tokio runtime.
#[derive(Clone, Debug)]
pub struct Offline;

impl SleepProvider for Offline {
    type SleepFuture = tokio::time::Sleep;

    fn sleep(&self, duration: Duration) -> Self::SleepFuture {
        tokio::time::sleep(duration)
    }
}

impl CoarseTimeProvider for Offline {
    fn now_coarse(&self) -> CoarseInstant {
        RealCoarseTimeProvider::new().now_coarse()
    }
}

impl Spawn for Offline {
    fn spawn_obj(&self, future: FutureObj<'static, ()>) -> Result<(), SpawnError> {
        tokio::spawn(future);
        Ok(())
    }
}

impl Blocking for Offline {
    type ThreadHandle<T: Send + 'static> = Pin<Box<dyn Future<Output = T> + Send>>;

    fn spawn_blocking<F, T>(&self, f: F) -> Self::ThreadHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let thread = tokio::task::spawn_blocking(f);
        Box::pin(async { thread.await.expect("arti wants a panic passed on") })
    }

    fn reenter_block_on<F>(&self, future: F) -> F::Output
    where
        F: Future,
        F::Output: Send + 'static,
    {
        tokio::runtime::Handle::current().block_on(future)
    }
}

fn nothing<T>() -> io::Result<T> {
    Err(Error::from(ErrorKind::Unsupported))
}

#[async_trait]
impl NetStreamProvider<SocketAddr> for Offline {
    type Stream = FakeStream;
    type Listener = FakeListener<SocketAddr>;
    type ConnectOptions = ();
    type ListenOptions = TcpListenOptions;

    async fn connect(&self, _: &SocketAddr, (): &()) -> io::Result<FakeStream> {
        nothing()
    }

    async fn listen(&self, _: &SocketAddr, _: &TcpListenOptions) -> io::Result<Self::Listener> {
        nothing()
    }
}

#[async_trait]
impl NetStreamProvider<unix::SocketAddr> for Offline {
    type Stream = FakeStream;
    type Listener = FakeListener<unix::SocketAddr>;
    type ConnectOptions = ();
    type ListenOptions = UnixListenOptions;

    async fn connect(&self, _: &unix::SocketAddr, (): &()) -> io::Result<FakeStream> {
        nothing()
    }

    async fn listen(
        &self,
        _: &unix::SocketAddr,
        _: &UnixListenOptions,
    ) -> io::Result<Self::Listener> {
        nothing()
    }
}

#[async_trait]
impl UdpProvider for Offline {
    type UdpSocket = Nothing;

    async fn bind(&self, _: &SocketAddr) -> io::Result<Nothing> {
        nothing()
    }
}

impl TlsProvider<FakeStream> for Offline {
    type Connector = Nothing;
    type TlsStream = Nothing;
    type Acceptor = Nothing;
    type TlsServerStream = Nothing;

    fn tls_connector(&self) -> Nothing {
        unreachable!("there is no connection to speak TLS on")
    }

    fn tls_acceptor(&self, _: TlsAcceptorSettings) -> io::Result<Nothing> {
        nothing()
    }

    fn supports_keying_material_export(&self) -> bool {
        false
    }
}

/// What there is none of.
pub struct Nothing(Infallible);

impl StreamOps for Nothing {}

impl AsyncRead for Nothing {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match self.0 {}
    }
}

impl AsyncWrite for Nothing {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        match self.0 {}
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.0 {}
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.0 {}
    }
}

impl CertifiedConn for Nothing {
    fn export_keying_material(&self, _: usize, _: &[u8], _: Option<&[u8]>) -> io::Result<Vec<u8>> {
        match self.0 {}
    }

    fn peer_certificate(&self) -> io::Result<Option<Cow<'_, [u8]>>> {
        match self.0 {}
    }

    fn own_certificate(&self) -> io::Result<Option<Cow<'_, [u8]>>> {
        match self.0 {}
    }
}

#[async_trait]
impl TlsConnector<FakeStream> for Nothing {
    type Conn = Nothing;

    async fn negotiate_unvalidated(&self, _: FakeStream, _: &str) -> io::Result<Nothing> {
        match self.0 {}
    }
}

#[async_trait]
impl UdpSocket for Nothing {
    async fn recv(&self, _: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        match self.0 {}
    }

    async fn send(&self, _: &[u8], _: &SocketAddr) -> io::Result<usize> {
        match self.0 {}
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        match self.0 {}
    }
}
