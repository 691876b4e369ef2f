//! Addresses on loopback where a connection cannot be had: one refuses it, one never answers.
//!
//! In: nothing. Out: an address, for as long as its owner keeps it. Can go wrong: only the machine's sockets.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::instruments::wire::dial;
use crate::verdict::{Failure, Verdict};

/// A queue that was asked for as small as possible is full after a few connections.
const ATTEMPTS: usize = 16;

/// On loopback a connection that is not there by now was not let in.
const LET_IN: Duration = Duration::from_millis(300);

/// A port where nobody listens, and that nobody else is given meanwhile.
#[derive(Debug)]
pub struct DeadAddress {
    addr: SocketAddr,
    _bound: Socket,
}

/// A port that lets nobody in and refuses nobody: connecting takes as long as whoever tries has patience.
#[derive(Debug)]
pub struct Blackhole {
    addr: SocketAddr,
    _listener: Socket,
    _queue: Vec<TcpStream>,
}

impl DeadAddress {
    /// Where.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Blackhole {
    /// Where.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

/// An address of 127.0.0.1 where connections are refused.
pub fn dead_address() -> Verdict<DeadAddress> {
    let (bound, addr) = bound()?;
    Ok(DeadAddress {
        addr,
        _bound: bound,
    })
}

/// An address of 127.0.0.1 where connections are never answered: a listener whose queue is full drops the SYN of
/// every further one.
pub async fn blackhole() -> Verdict<Blackhole> {
    let (listener, addr) = bound()?;
    listener.listen(0)?;
    let mut queue = Vec::new();
    for _ in 0..ATTEMPTS {
        match timeout(LET_IN, dial(addr)).await {
            Ok(stream) => queue.push(stream?),
            Err(_) => {
                return Ok(Blackhole {
                    addr,
                    _listener: listener,
                    _queue: queue,
                });
            }
        }
    }
    Err(Failure::Instrument(
        "this system lets everybody into a full queue".to_owned(),
    ))
}

/// A socket bound to a free port, not listening.
fn bound() -> Verdict<(Socket, SocketAddr)> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    let addr = socket
        .local_addr()?
        .as_socket()
        .expect("an IPv4 socket has such an address");
    Ok((socket, addr))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dead_address_refuses() {
        let dead = dead_address().expect("a free port");
        let refused = dial(dead.addr())
            .await
            .expect_err("nobody listens")
            .to_string();
        assert!(refused.contains("refused"), "{refused}");
    }

    #[tokio::test]
    async fn a_blackhole_neither_answers_nor_refuses() {
        let hole = blackhole().await.expect("a free port");
        for _ in 0..2 {
            assert!(timeout(LET_IN, dial(hole.addr())).await.is_err());
        }
    }
}
