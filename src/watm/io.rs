//! What is under a stream: a socket, any other stream of bytes, or nothing yet.

use crate::platform;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Any byte stream that is not a socket.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Where a stream's bytes go.
pub enum Io {
    /// The fast path: readiness without buffers.
    Tcp(TcpStream),
    /// Any other stream, in process.
    Any(Box<dyn Duplex>),
    /// Not connected yet (a server's inner end until the ORPort is dialled).
    Unconnected,
}

impl From<TcpStream> for Io {
    fn from(socket: TcpStream) -> Self {
        Io::Tcp(socket)
    }
}

impl Io {
    /// A stream that is no socket.
    pub fn any(stream: impl Duplex + 'static) -> Io {
        Io::Any(Box::new(stream))
    }

    /// Bytes that the kernel has taken and not delivered, if it says.
    pub(super) fn undelivered(&self) -> usize {
        match self {
            Io::Tcp(socket) => platform::undelivered(socket).unwrap_or(0),
            _ => 0,
        }
    }

    pub(super) fn reset_on_close(&self) {
        if let Io::Tcp(socket) = self {
            // Fails only on a socket that is gone.
            let _ = socket2::SockRef::from(socket).set_linger(Some(std::time::Duration::ZERO));
        }
    }

    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Io::Tcp(socket) => Pin::new(socket).poll_read(cx, buf),
            Io::Any(stream) => Pin::new(stream).poll_read(cx, buf),
            Io::Unconnected => Poll::Pending,
        }
    }

    /// Writes the parts in order; never returns `Ok(0)` for something to write.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        parts: [&[u8]; 3],
    ) -> Poll<io::Result<usize>> {
        let total: usize = parts.iter().map(|part| part.len()).sum();
        let only = parts.iter().find(|part| part.len() == total).copied();
        let slices = parts.map(IoSlice::new);
        let wrote = match (self, only) {
            // The plain form lets tokio learn from a short count that the socket is full.
            (Io::Tcp(socket), Some(part)) => Pin::new(socket).poll_write(cx, part),
            (Io::Tcp(socket), None) => Pin::new(socket).poll_write_vectored(cx, &slices),
            (Io::Any(stream), Some(part)) => Pin::new(stream).poll_write(cx, part),
            (Io::Any(stream), None) => Pin::new(stream).poll_write_vectored(cx, &slices),
            (Io::Unconnected, _) => return Poll::Pending,
        };
        match ready!(wrote) {
            Ok(0) if total > 0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            other => Poll::Ready(other),
        }
    }

    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Io::Tcp(socket) => Pin::new(socket).poll_shutdown(cx),
            Io::Any(stream) => Pin::new(stream).poll_shutdown(cx),
            Io::Unconnected => Poll::Ready(Ok(())),
        }
    }
}
