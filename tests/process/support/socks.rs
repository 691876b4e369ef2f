//! The application's side of a SOCKS5 port: as tor speaks it, or byte by byte.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::deadline::soon;

/// For the reply to a CONNECT: longer than any limit of a dial and a handshake together.
const REPLY: Duration = Duration::from_secs(90);

/// Where a CONNECT goes.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// ATYP 1 or 4.
    Ip(SocketAddr),
    /// ATYP 3.
    Name(String, u16),
}

impl From<SocketAddr> for Target {
    fn from(addr: SocketAddr) -> Self {
        Target::Ip(addr)
    }
}

impl Target {
    /// A host name.
    pub(crate) fn name(name: &str, port: u16) -> Self {
        Target::Name(name.to_owned(), port)
    }

    /// The CONNECT request.
    pub(crate) fn connect(&self) -> Vec<u8> {
        let mut request = vec![5, 1, 0];
        match self {
            Target::Ip(addr) => {
                match addr.ip() {
                    IpAddr::V4(ip) => {
                        request.push(1);
                        request.extend(ip.octets());
                    }
                    IpAddr::V6(ip) => {
                        request.push(4);
                        request.extend(ip.octets());
                    }
                }
                request.extend(addr.port().to_be_bytes());
            }
            Target::Name(name, port) => {
                request.extend([3, u8::try_from(name.len()).expect("fits")]);
                request.extend(name.as_bytes());
                request.extend(port.to_be_bytes());
            }
        }
        request
    }
}

/// Why there is no stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The REP byte of the reply.
    Reply(u8),
    /// The arguments were refused in the RFC 1929 step.
    Arguments,
    /// The connection ended without an answer.
    Silence,
}

/// The RFC 1929 message that carries `args` as tor does: all in the user name and a NUL for a password, or split
/// after 255 bytes.
pub(crate) fn credentials(args: &[u8]) -> Vec<u8> {
    let (user, password) = args.split_at(args.len().min(255));
    let password = if password.is_empty() { &[0] } else { password };
    userpass(user, password)
}

/// The RFC 1929 message.
pub(crate) fn userpass(user: &[u8], password: &[u8]) -> Vec<u8> {
    let mut message = vec![1, user.len() as u8];
    message.extend(user);
    message.push(password.len() as u8);
    message.extend(password);
    message
}

/// Opens a stream to `target` through the SOCKS port, as tor does it: `00 02` offered when there are arguments,
/// else only `00`.
pub(crate) async fn open(
    port: SocketAddr,
    target: &Target,
    args: &[u8],
) -> Result<TcpStream, Refusal> {
    let mut raw = Raw::to(port).await;
    let silent = |_| Refusal::Silence;
    if args.is_empty() {
        raw.send(&[5, 1, 0]).await;
        assert_eq!(raw.take(2).await.map_err(silent)?, [5, 0]);
    } else {
        raw.send(&[5, 2, 0, 2]).await;
        assert_eq!(raw.take(2).await.map_err(silent)?, [5, 2]);
        raw.send(&credentials(args)).await;
        match raw.take(2).await.map_err(silent)?[..] {
            [1, 0] => {}
            [1, _] => return Err(Refusal::Arguments),
            ref other => panic!("RFC 1929 answer {other:?}"),
        }
    }
    raw.send(&target.connect()).await;
    let reply = raw.take_within(REPLY, 10).await.map_err(silent)?;
    match reply[..] {
        [5, 0, 0, 1, 0, 0, 0, 0, 0, 0] => Ok(raw.0),
        // A tor is free to name an address here.
        [5, 0, 0, 1, ..] => Ok(raw.0),
        [5, rep, 0, 1, ..] => Err(Refusal::Reply(rep)),
        _ => panic!("SOCKS reply {reply:?}"),
    }
}

/// A TCP connection on which a test says exactly what it wants.
pub(crate) struct Raw(pub(crate) TcpStream);

impl Raw {
    /// Connects.
    pub(crate) async fn to(addr: SocketAddr) -> Self {
        let stream = soon("a TCP connection", TcpStream::connect(addr)).await;
        let stream = stream.unwrap_or_else(|e| panic!("connecting to {addr}: {e}"));
        stream.set_nodelay(true).unwrap();
        Raw(stream)
    }

    /// Sends. A connection that the other side has closed already is the next read's matter.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let _ = soon("sending", self.0.write_all(bytes)).await;
    }

    /// Reads exactly `n` bytes.
    pub(crate) async fn take(&mut self, n: usize) -> io::Result<Vec<u8>> {
        self.take_within(super::deadline::SOON, n).await
    }

    /// Reads exactly `n` bytes, with a limit of one's own.
    pub(crate) async fn take_within(&mut self, limit: Duration, n: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; n];
        super::deadline::within(limit, "an answer", self.0.read_exact(&mut bytes)).await?;
        Ok(bytes)
    }

    /// Reads to the end of the stream; an error (a reset) is one.
    pub(crate) async fn rest(&mut self) -> io::Result<Vec<u8>> {
        self.rest_within(super::deadline::SOON).await
    }

    /// Reads to the end of the stream, with a limit of one's own.
    pub(crate) async fn rest_within(&mut self, limit: Duration) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let end = self.0.read_to_end(&mut bytes);
        super::deadline::within(limit, "the end of the stream", end).await?;
        Ok(bytes)
    }
}
