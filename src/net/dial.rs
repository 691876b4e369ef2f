//! The one place that connects outward, and the one place that resolves names.
//!
//! In: a [`Target`], an upstream proxy if there is one, and the addresses to come from. Out: a connected
//! socket that carries the target's bytes. With a proxy nothing goes around it: no connection, no
//! look-up. What can go wrong is a [`Failure`] without any address in it.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout, timeout_at};

use super::allow::Allow;
use super::proxy::Proxy;
use super::{tune_network, upstream};
use crate::error::Failure;
use crate::platform::is_out_of_descriptors;

/// How long connecting may take in all: name, proxy and every address. TCP sends its SYN at 0, 1, 3, 7
/// and 15 s; the next one would leave at 31 s.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// How many addresses of one name are tried; each gets its share of the time.
const MAX_ADDRESSES: usize = 8;

/// Where a connection is to go.
#[derive(Clone, PartialEq, Eq)]
pub enum Target {
    /// An address.
    Ip(SocketAddr),
    /// A host name and a port. With a proxy it is the proxy that resolves it.
    Name(String, u16),
}

impl std::str::FromStr for Target {
    type Err = Failure;

    /// Reads `192.0.2.1:443`, `[2001:db8::1]:443` or `example.com:443`.
    fn from_str(text: &str) -> Result<Target, Failure> {
        if let Ok(addr) = text.parse() {
            return Ok(Target::Ip(addr));
        }
        let (name, port) = text.rsplit_once(':').ok_or(Failure::Unresolved)?;
        let port: u16 = port.parse().map_err(|_| Failure::Unresolved)?;
        if port == 0 || name.contains(':') {
            return Err(Failure::Unresolved);
        }
        normal(&Target::Name(name.to_owned(), port))
    }
}

impl Target {
    /// Reads what a module says to `water_dial`: `tcp`, `tcp4` or `tcp6`, and an address as in Go's net.Dial.
    pub fn named_by_module(network: &str, address: &str) -> Result<Target, Failure> {
        let target: Target = address
            .parse()
            .map_err(|_| Failure::Module("it asked to dial what is no address".to_owned()))?;
        let fits = match (network, &target) {
            ("tcp", _) => true,
            ("tcp4", Target::Ip(addr)) => addr.is_ipv4(),
            ("tcp6", Target::Ip(addr)) => addr.is_ipv6(),
            // Which of its addresses is taken is the resolver's choice, or the proxy's.
            ("tcp4" | "tcp6", Target::Name(..)) => true,
            _ => false,
        };
        if !fits {
            let text = "it asked to dial by a network that is not TCP".to_owned();
            return Err(Failure::Module(text));
        }
        Ok(target)
    }

    /// The address as it is; for logs of operators who want them.
    pub fn unscrubbed(&self) -> &(dyn fmt::Display + Sync) {
        match self {
            Target::Ip(addr) => addr,
            Target::Name(name, _) => name,
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Target::Ip(SocketAddr::V4(_)) => "Target(IPv4 [scrubbed])",
            Target::Ip(SocketAddr::V6(_)) => "Target(IPv6 [scrubbed])",
            Target::Name(..) => "Target(name [scrubbed])",
        })
    }
}

/// How to connect outward.
#[derive(Clone, Debug)]
pub struct Dial {
    /// What everything goes through.
    pub proxy: Option<Proxy>,
    /// The source address of IPv4 connections, except those that stay on this machine.
    pub bind_v4: Option<Ipv4Addr>,
    /// The same for IPv6.
    pub bind_v6: Option<Ipv6Addr>,
    /// The limit for all of it together.
    pub timeout: Duration,
}

impl Default for Dial {
    fn default() -> Self {
        Dial {
            proxy: None,
            bind_v4: None,
            bind_v6: None,
            timeout: DEFAULT_TIMEOUT,
        }
    }
}

impl Dial {
    /// Connects. The socket has TCP_NODELAY and keepalive on.
    pub async fn connect(&self, target: &Target) -> Result<TcpStream, Failure> {
        self.connect_within(target, None).await
    }

    /// Connects to where a module wants to go, in the words of its `water_dial`, if the rules allow it before and after a
    /// name is resolved.
    pub async fn connect_allowed(
        &self,
        network: &str,
        address: &str,
        allow: &Allow,
    ) -> Result<TcpStream, Failure> {
        let target = normal(&Target::named_by_module(network, address)?)?;
        if !allow.permits(network, &target) {
            return Err(Failure::NotAllowed);
        }
        self.connect_within(&target, Some(allow)).await
    }

    async fn connect_within(
        &self,
        target: &Target,
        allow: Option<&Allow>,
    ) -> Result<TcpStream, Failure> {
        let end = Instant::now() + self.timeout;
        let target = normal(target)?;
        let stream = match &self.proxy {
            // Where a name leads is the proxy's business; its network is not this machine's.
            Some(proxy) => self.through(proxy, &target, end).await?,
            None => self.direct(&target, allow, end).await?,
        };
        tune_network(&stream);
        Ok(stream)
    }

    async fn through(
        &self,
        proxy: &Proxy,
        target: &Target,
        end: Instant,
    ) -> Result<TcpStream, Failure> {
        let connecting = timeout_at(end, self.open(proxy.addr)).await;
        let mut stream = match connecting {
            Ok(Ok(stream)) => stream,
            Ok(Err(own @ (Failure::BindAddress | Failure::Descriptors))) => return Err(own),
            Ok(Err(Failure::Refused)) => return Err(unreachable_proxy("it refuses connections")),
            Ok(Err(Failure::DialTimeout)) | Err(_) => {
                return Err(unreachable_proxy("the connection timed out"));
            }
            Ok(Err(_)) => return Err(unreachable_proxy("there is no way to it from here")),
        };
        // Every protocol here is a few small messages that wait for each other.
        tune_network(&stream);
        match timeout_at(end, upstream::ask(&mut stream, proxy, target)).await {
            Ok(answer) => answer.map(|()| stream),
            // A proxy that waits for a silent bridge is silent too, and by far the likelier case.
            Err(_) => Err(Failure::DialTimeout),
        }
    }

    async fn direct(
        &self,
        target: &Target,
        allow: Option<&Allow>,
        end: Instant,
    ) -> Result<TcpStream, Failure> {
        let addrs = match target {
            Target::Ip(addr) => vec![*addr],
            Target::Name(name, port) => match timeout_at(end, resolve(name, *port)).await {
                Ok(addrs) => led_to(addrs?, allow)?,
                Err(_) => return Err(Failure::Unresolved),
            },
        };
        self.first_of(&addrs, end).await
    }

    async fn first_of(&self, addrs: &[SocketAddr], end: Instant) -> Result<TcpStream, Failure> {
        let mut failure = Failure::Unresolved;
        for (index, addr) in addrs.iter().enumerate() {
            let left = end.saturating_duration_since(Instant::now());
            // A share each: the first address must not use up the time of those that work.
            let shares = u32::try_from(addrs.len() - index).unwrap_or(u32::MAX);
            let opened = timeout(left / shares, self.open(*addr)).await;
            let error = match opened.unwrap_or(Err(Failure::DialTimeout)) {
                Ok(stream) => return Ok(stream),
                Err(error) => error,
            };
            failure = more_telling(failure, error);
        }
        Err(failure)
    }

    /// One TCP connection from the right source address.
    async fn open(&self, addr: SocketAddr) -> Result<TcpStream, Failure> {
        let socket = match addr {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }
        .map_err(|error| no_socket(&error))?;
        if let Some(source) = self.source(addr.ip()) {
            socket.bind(SocketAddr::new(source, 0)).map_err(|error| {
                if is_out_of_descriptors(&error) {
                    Failure::Descriptors
                } else {
                    Failure::BindAddress
                }
            })?;
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the place that knows of the proxy and the bind addresses"
        )]
        let connecting = socket.connect(addr);
        connecting.await.map_err(|error| self.failure(&error, addr))
    }

    /// The source address for a destination. pt-spec 3.2.1 leaves out what stays on this machine, which
    /// on most systems includes the unspecified address.
    fn source(&self, destination: IpAddr) -> Option<IpAddr> {
        if destination.is_loopback() || destination.is_unspecified() {
            return None;
        }
        match destination {
            IpAddr::V4(_) => self.bind_v4.map(IpAddr::V4),
            IpAddr::V6(_) => self.bind_v6.map(IpAddr::V6),
        }
    }

    fn failure(&self, error: &io::Error, addr: SocketAddr) -> Failure {
        match Failure::from_connect(error) {
            // Without a bind address it means a family that is switched off, or no port left.
            Failure::BindAddress if self.source(addr.ip()).is_none() => Failure::NetworkUnreachable,
            // A bound address that cannot reach the destination, such as loopback.
            Failure::Host(_)
                if error.kind() == io::ErrorKind::InvalidInput
                    && self.source(addr.ip()).is_some() =>
            {
                Failure::BindAddress
            }
            failure => failure,
        }
    }
}

/// Of two failures, the later one, unless it only says that this machine lacks one of the two IPs.
fn more_telling(before: Failure, now: Failure) -> Failure {
    match (&before, &now) {
        (Failure::Unresolved, _) => now,
        (_, Failure::NetworkUnreachable) => before,
        _ => now,
    }
}

fn no_socket(error: &io::Error) -> Failure {
    // EAFNOSUPPORT: a kernel without IPv6. It has no kind of its own.
    match Failure::from_connect(error) {
        Failure::Host(_) => Failure::NetworkUnreachable,
        failure => failure,
    }
}

fn unreachable_proxy(why: &str) -> Failure {
    Failure::Proxy(format!("cannot be reached: {why}"))
}

/// One form for each destination: an address is not a name, nor IPv4 in the clothes of IPv6. And no
/// name that could say more to a proxy than a name.
fn normal(target: &Target) -> Result<Target, Failure> {
    match target {
        Target::Ip(addr) => Ok(Target::Ip(canonical(*addr))),
        Target::Name(name, port) => {
            let bare = name.strip_prefix('[').and_then(|n| n.strip_suffix(']'));
            if let Ok(ip) = bare.unwrap_or(name).parse() {
                return Ok(Target::Ip(canonical(SocketAddr::new(ip, *port))));
            }
            let is_fine = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
            if (1..=255).contains(&name.len()) && name.bytes().all(is_fine) {
                Ok(target.clone())
            } else {
                Err(Failure::Unresolved)
            }
        }
    }
}

fn canonical(mut addr: SocketAddr) -> SocketAddr {
    if let IpAddr::V4(v4) = addr.ip().to_canonical() {
        addr.set_ip(IpAddr::V4(v4));
    }
    addr
}

/// The addresses of a name that may be dialled.
fn led_to(mut addrs: Vec<SocketAddr>, allow: Option<&Allow>) -> Result<Vec<SocketAddr>, Failure> {
    let Some(allow) = allow else {
        return Ok(addrs);
    };
    let found = !addrs.is_empty();
    addrs.retain(|addr| allow.permits_resolved(*addr));
    if found && addrs.is_empty() {
        return Err(Failure::NotAllowed);
    }
    Ok(addrs)
}

async fn resolve(name: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one look-up, and only without a proxy"
    )]
    let found = tokio::net::lookup_host((name, port)).await;
    let mut addrs: Vec<SocketAddr> = match found {
        Ok(addrs) => addrs.collect(),
        Err(error) if is_out_of_descriptors(&error) => return Err(Failure::Descriptors),
        Err(_) => return Err(Failure::Unresolved),
    };
    addrs.truncate(MAX_ADDRESSES);
    Ok(addrs)
}

#[cfg(test)]
mod tests;
