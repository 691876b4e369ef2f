//! The edges towards the network: listeners, connections to bridges, connections to a relay.
//!
//! In: addresses and names. Out: connected sockets, ready to carry bytes both ways. What can go wrong
//! is a [`Failure`](crate::error::Failure), whose text never holds an address.

pub mod allow;
pub mod dial;
pub mod listen;
pub mod orport;
pub mod proxy;
pub mod upstream;

use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// How long a connection is idle before the kernel asks whether the other end is still there, and how often it asks
/// then: what Go's programs do, and obfs4proxy and lyrebird are such. Anybody who connects can see it.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Prepares a socket on this machine: what is written leaves at once.
pub fn tune_local(stream: &TcpStream) {
    // Only a dead socket refuses, and its first read says so better.
    let _ = stream.set_nodelay(true);
}

/// Prepares a socket towards the network: as above, and a peer that vanished is noticed.
pub fn tune_network(stream: &TcpStream) {
    tune_local(stream);
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE)
        .with_interval(KEEPALIVE);
    let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
}
