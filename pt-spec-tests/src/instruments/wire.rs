//! Reading, writing and waiting with limits, on sockets whose other end may do anything.
//!
//! What the other end does (an end, a reset, silence) is an answer here, not an error.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use rustix::io::Errno;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout, timeout_at};

use crate::verdict::{Failure, Verdict};

/// Longer than anything that is due at once takes on a busy machine; only a failure takes all of it.
pub const SOON: Duration = Duration::from_secs(10);

/// How long silence is listened to before "nothing came" counts as seen.
pub const A_WHILE: Duration = Duration::from_millis(1500);

/// The most that is read from one connection into memory.
const MOST: usize = 8 << 20;

/// How a connection stands after a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Closed in order: a FIN.
    Eof,
    /// Broken off: a RST, or a write to what is no longer there.
    Reset,
    /// Nothing happened until the limit: it is open and silent.
    Silent,
    /// It sent more than the suite is willing to read.
    Flood,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ended::Eof => "closed (FIN)",
            Ended::Reset => "reset (RST)",
            Ended::Silent => "open and silent",
            Ended::Flood => "sending without end",
        })
    }
}

/// Bytes that came before a read could be satisfied, and why it could not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// What came.
    pub got: Vec<u8>,
    /// Why no more.
    pub ended: Ended,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} after {}", self.ended, hex(&self.got))
    }
}

/// Reads exactly `count` bytes.
pub async fn read_exactly(
    stream: &mut (impl AsyncRead + Unpin),
    count: usize,
    within: Duration,
) -> Result<Vec<u8>, Cut> {
    let end = Instant::now() + within;
    let mut got = Vec::new();
    while got.len() < count {
        let room = (count - got.len()).min(64 << 10);
        let mut piece = vec![0; room];
        match timeout_at(end, stream.read(&mut piece)).await {
            Err(_) => {
                return Err(Cut {
                    got,
                    ended: Ended::Silent,
                });
            }
            Ok(Err(_)) => {
                return Err(Cut {
                    got,
                    ended: Ended::Reset,
                });
            }
            Ok(Ok(0)) => {
                return Err(Cut {
                    got,
                    ended: Ended::Eof,
                });
            }
            Ok(Ok(n)) => got.extend_from_slice(&piece[..n]),
        }
    }
    Ok(got)
}

/// Reads until the other end closes, resets or `within` is over; gives what came as well.
pub async fn read_to_end(
    stream: &mut (impl AsyncRead + Unpin),
    within: Duration,
) -> (Vec<u8>, Ended) {
    match read_exactly(stream, MOST, within).await {
        Ok(got) => (got, Ended::Flood),
        Err(Cut { got, ended }) => (got, ended),
    }
}

/// Writes all of it; an end says how far the other side let us.
pub async fn write_all(
    stream: &mut (impl AsyncWrite + Unpin),
    bytes: &[u8],
    within: Duration,
) -> Result<(), Ended> {
    match timeout(within, stream.write_all(bytes)).await {
        Err(_) => Err(Ended::Silent),
        Ok(Err(_)) => Err(Ended::Reset),
        Ok(Ok(())) => Ok(()),
    }
}

/// Connects to where the executable says that it listens: a refusal is its doing.
#[expect(
    clippy::disallowed_methods,
    reason = "the suite plays an application; it connects to what it tests"
)]
pub async fn dial(addr: SocketAddr) -> Verdict<TcpStream> {
    connected(addr, TcpStream::connect(addr)).await
}

/// The same from an address of loopback that somebody else would have.
#[expect(
    clippy::disallowed_methods,
    reason = "the suite plays a client from elsewhere; it connects to what it tests"
)]
pub async fn dial_from(source: Ipv4Addr, addr: SocketAddr) -> Verdict<TcpStream> {
    if !addr.is_ipv4() {
        return Err(Failure::NotApplicable(format!(
            "there is one address of loopback that could come to {addr}"
        )));
    }
    let socket = TcpSocket::new_v4()?;
    socket.bind((source, 0).into())?;
    connected(addr, socket.connect(addr)).await
}

async fn connected(
    addr: SocketAddr,
    connecting: impl Future<Output = io::Result<TcpStream>>,
) -> Verdict<TcpStream> {
    match timeout(SOON, connecting).await {
        Ok(Ok(stream)) => {
            stream.set_nodelay(true)?;
            Ok(stream)
        }
        Ok(Err(error)) if is_shortage(&error) => Err(error.into()),
        Ok(Err(error)) => Err(Failure::Deviation(format!(
            "nobody accepts connections at {addr}: {error}"
        ))),
        Err(_) => Err(Failure::Deviation(format!(
            "{addr} did not accept a connection within {SOON:?}"
        ))),
    }
}

/// Whether this machine had nothing left to start a process or open a socket with, which is no fault of the executable's.
pub(super) fn is_shortage(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    [Errno::MFILE, Errno::NFILE, Errno::AGAIN, Errno::NOMEM]
        .iter()
        .any(|errno| code == Some(errno.raw_os_error()))
}

/// A listener of ours on a free port of 127.0.0.1.
pub async fn listen() -> Verdict<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    Ok((listener, addr))
}

/// The next connection to a listener of ours; that none comes is the executable's doing, named by `what`.
pub async fn accept(listener: &TcpListener, what: &str, within: Duration) -> Verdict<TcpStream> {
    let (stream, _) = due(what, within, listener.accept()).await??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// What `future` gives; a deviation that names what did not happen otherwise.
pub async fn due<F: Future>(what: &str, within: Duration, future: F) -> Verdict<F::Output> {
    timeout(within, future)
        .await
        .map_err(|_| Failure::Deviation(format!("{what}: not within {within:?}")))
}

/// Looks again and again until `probe` gives something, for what cannot be awaited (files, /proc); `None` at the end.
pub async fn eventually<T>(within: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + within;
    let mut ticks = interval(Duration::from_millis(20));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match probe() {
            None if Instant::now() < end => {}
            found => return found,
        }
    }
}

/// Bytes for a report: hexadecimal, with the text beside it, and never more than a line.
pub fn hex(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "no byte".to_owned();
    }
    let shown = &bytes[..bytes.len().min(48)];
    let digits: String = shown.iter().map(|byte| format!("{byte:02x}")).collect();
    let text: String = shown
        .iter()
        .map(|byte| {
            if byte.is_ascii_graphic() {
                char::from(*byte)
            } else {
                '.'
            }
        })
        .collect();
    let rest = match bytes.len() - shown.len() {
        0 => String::new(),
        more => format!(" and {more} bytes more"),
    };
    format!("{digits} \"{text}\"{rest}")
}
