//! Listening sockets, and an accept that nothing ends.
//!
//! In: the address to bind. Out: a listener, then one connection after
//! the other. What can go wrong when accepting (no descriptors left, a peer that left the queue again)
//! passes, so it is told and waited out; a listener ends only when it is dropped.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::error::Failure;
use crate::platform;

/// How many connections the kernel holds for us. The usual 1024 stalls bursts of reconnecting clients.
pub const BACKLOG: u32 = 4096;

/// The wait after an accept that failed for want of something, doubled while it goes on. The listener
/// stays readable meanwhile, so without a wait it would spin.
const FIRST_WAIT: Duration = Duration::from_millis(5);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Binds and listens. Connections are accepted by the kernel from here on.
///
/// "Any address" of IPv4 means that of IPv6 too, on one socket, as with the Go transports that bridges ran
/// before: tor asks for `0.0.0.0` by default, and a bridge has IPv6 clients. Where the system has no IPv6
/// it is IPv4 alone. Anything else is bound exactly as asked.
pub fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    if addr.ip() == Ipv4Addr::UNSPECIFIED {
        let both = SocketAddr::from((Ipv6Addr::UNSPECIFIED, addr.port()));
        match bind(both) {
            Err(error) if has_no_ipv6(&error) => {}
            bound => return bound,
        }
    }
    bind(addr)
}

fn has_no_ipv6(error: &io::Error) -> bool {
    // EAFNOSUPPORT has no kind of its own.
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.kind() == io::ErrorKind::Unsupported
        || platform::is_unsupported_family(error)
}

fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = match addr {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    if addr.ip() == Ipv6Addr::UNSPECIFIED {
        SockRef::from(&socket).set_only_v6(false)?;
    }
    // Elsewhere than on Unix this would let another program take the port over.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

/// Waits for the next connection, however long the system fails to provide one.
///
/// `trouble` hears of each failure that makes it wait; it is for the caller to say so once in a while.
/// Cancel-safe: a connection that is not returned stays in the kernel's queue.
pub async fn accept(
    listener: &TcpListener,
    trouble: impl FnMut(&Failure),
) -> (TcpStream, SocketAddr) {
    accept_from(|| listener.accept(), trouble).await
}

async fn accept_from<T, F>(mut accept: impl FnMut() -> F, mut trouble: impl FnMut(&Failure)) -> T
where
    F: Future<Output = io::Result<T>>,
{
    let mut wait = FIRST_WAIT;
    loop {
        match accept().await {
            Ok(connection) => return connection,
            Err(error) if is_about_one_peer(&error) => {}
            Err(error) => {
                trouble(&accept_failure(&error));
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        }
    }
}

/// Linux passes pending network errors of the new connection through accept; the next one may be fine.
fn is_about_one_peer(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    matches!(
        error.kind(),
        K::ConnectionAborted
            | K::ConnectionReset
            | K::Interrupted
            | K::HostUnreachable
            | K::NetworkUnreachable
            | K::NetworkDown
            | K::TimedOut
    )
}

fn accept_failure(error: &io::Error) -> Failure {
    if platform::is_out_of_descriptors(error) {
        Failure::Descriptors
    } else {
        Failure::Host(format!("accepting a connection failed: {}", error.kind()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::time::Instant;
    use tokio::time::timeout;

    const LONG: Duration = Duration::from_secs(20);

    fn os_error(number: i32) -> io::Error {
        io::Error::from_raw_os_error(number)
    }

    #[tokio::test]
    async fn listens_on_the_very_address() {
        // This machine has IPv6, as tests of dual-stack sockets need; any address is any of both.
        for (asked, expected) in [
            ("127.0.0.1:0", "127.0.0.1"),
            ("0.0.0.0:0", "::"),
            ("[::1]:0", "::1"),
        ] {
            let asked: SocketAddr = asked.parse().unwrap();
            let listener = listen(asked).unwrap();
            let bound = listener.local_addr().unwrap();
            assert_eq!(bound.ip().to_string(), expected);
            assert_ne!(bound.port(), 0);
            let taken = listen(bound).unwrap_err();
            assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        }
    }

    #[tokio::test]
    #[expect(
        clippy::disallowed_methods,
        reason = "the test is the clients on loopback"
    )]
    async fn any_address_takes_ipv4_and_ipv6() {
        let listener = listen("0.0.0.0:0".parse().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in ["127.0.0.1", "::1"] {
            let ip: std::net::IpAddr = host.parse().unwrap();
            let client = TcpStream::connect((ip, port)).await.unwrap();
            let (_, peer) = listener.accept().await.unwrap();
            assert_eq!(peer.port(), client.local_addr().unwrap().port());
        }
    }

    #[tokio::test]
    #[expect(
        clippy::disallowed_methods,
        reason = "the test is the clients on loopback"
    )]
    async fn a_burst_of_connections_waits_to_be_accepted() {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let addr = listener.local_addr().unwrap();
        let mut clients = Vec::new();
        for _ in 0..64 {
            let connected = timeout(LONG, TcpStream::connect(addr)).await;
            clients.push(connected.expect("room in the queue").unwrap());
        }
        for client in clients {
            let accepted = timeout(LONG, accept(&listener, |failure| panic!("{failure}")));
            let (_, peer) = accepted.await.unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn nothing_ends_it() {
        use rustix::io::Errno;

        let script = [
            Errno::CONNABORTED,
            Errno::MFILE,
            Errno::NFILE,
            Errno::PROTO,
            Errno::NOBUFS,
            Errno::INTR,
        ];
        let script = RefCell::new(script.into_iter());
        let mut heard = Vec::new();
        let begin = Instant::now();
        let accepted = accept_from(
            || {
                let next = script.borrow_mut().next();
                async move { next.map_or(Ok(7), |errno| Err(os_error(errno.raw_os_error()))) }
            },
            |failure| heard.push(failure.label()),
        );
        assert_eq!(accepted.await, 7);
        assert_eq!(heard, ["descriptors", "descriptors", "host", "host"]);
        assert!(begin.elapsed() >= FIRST_WAIT * (1 + 2 + 4 + 8), "it waits");
    }
}
