//! Where a module may dial on its own account: nowhere, unless an operator says so.
//!
//! In: rules (`example.com:443`, `*.example.org:443`, `192.0.2.0/24:80-90`, `[2001:db8::]/32:*`) and an address that a
//! module named. Out: whether, and where to. A name is judged before it is resolved and its addresses afterwards: a name
//! that leads to this machine or its network needs a rule for that address too, or whoever runs a name server could make
//! a bridge knock at its own doors.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::str::FromStr;

use ipnet::IpNet;

use super::dial::Target;

/// What an operator allows; empty allows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allow {
    rules: Vec<Rule>,
    listed: Vec<Listed>,
    denied: Vec<Listed>,
}

/// One address and the network to reach it by, word for word: how the lists of the Go runtime's validator name them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    network: String,
    target: Target,
}

impl Listed {
    /// Reads `tcp` and `192.0.2.1:443`; none if the latter is no address.
    pub fn new(network: &str, address: &str) -> Option<Listed> {
        Some(Listed {
            network: network.to_owned(),
            target: address.parse().ok()?,
        })
    }

    /// The case of a name and the dress of an address do not make another place of it.
    fn names(&self, target: &Target) -> bool {
        match (&self.target, target) {
            (Target::Ip(own), Target::Ip(other)) => {
                (own.ip().to_canonical(), own.port()) == (other.ip().to_canonical(), other.port())
            }
            (Target::Name(own, own_port), Target::Name(other, port)) => {
                let bare = |name: &str| name.trim_end_matches('.').to_ascii_lowercase();
                own_port == port && bare(own) == bare(other)
            }
            _ => false,
        }
    }

    fn fits(&self, network: &str, target: &Target) -> bool {
        self.network == network && self.names(target)
    }
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    host: Host,
    ports: RangeInclusive<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    /// Everything, addresses of this machine and its networks included.
    Any,
    /// An address or a block of them.
    Net(IpNet),
    /// A name, in lower case.
    Name(String),
    /// All names that end so, the dot included.
    Suffix(String),
}

/// Why a text is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no rule: expected HOST:PORTS, like example.com:443, *.example.org:443, 192.0.2.0/24:80-90 or [2001:db8::]/32:*"
)]
pub struct RuleError(String);

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Rule, RuleError> {
        let error = || RuleError(text.to_owned());
        let (host, ports) = text.rsplit_once(':').ok_or_else(error)?;
        let ports = parse_ports(ports).ok_or_else(error)?;
        let host = parse_host(host).ok_or_else(error)?;
        Ok(Rule { host, ports })
    }
}

fn parse_ports(text: &str) -> Option<RangeInclusive<u16>> {
    if text == "*" {
        return Some(1..=u16::MAX);
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
    (1 <= first && first <= last).then_some(first..=last)
}

fn parse_host(text: &str) -> Option<Host> {
    if text == "*" {
        return Some(Host::Any);
    }
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse().ok()?)),
        None => (text, None),
    };
    let bracketed = address
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    if let Ok(ip) = bracketed.unwrap_or(address).parse::<IpAddr>() {
        // A bare IPv6 address could not be told from its port.
        if ip.is_ipv6() != bracketed.is_some() {
            return None;
        }
        return Some(Host::Net(match prefix {
            Some(prefix) => IpNet::new(ip, prefix).ok()?,
            None => IpNet::from(ip),
        }));
    }
    let name = address.trim_end_matches('.').to_ascii_lowercase();
    if prefix.is_some() || bracketed.is_some() {
        return None;
    }
    match name.strip_prefix('*') {
        Some(suffix) if suffix.starts_with('.') && is_name(&suffix[1..]) => {
            Some(Host::Suffix(suffix.to_owned()))
        }
        None if is_name(&name) => Some(Host::Name(name)),
        _ => None,
    }
}

fn is_name(text: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=253).contains(&text.len())
        && text.split('.').all(|label| !label.is_empty() && label.bytes().all(fine))
        // A name like 10.0.0 would be an address to some resolvers.
        && text.bytes().any(|byte| byte.is_ascii_alphabetic())
}

impl Allow {
    /// These rules.
    pub fn new(rules: Vec<Rule>) -> Allow {
        Allow {
            rules,
            ..Allow::default()
        }
    }

    /// Exactly these.
    pub fn listed(listed: Vec<Listed>) -> Allow {
        Allow {
            listed,
            ..Allow::default()
        }
    }

    /// Everything but these, this machine and its networks included.
    pub fn all_but(denied: Vec<Listed>) -> Allow {
        let everything = Rule {
            host: Host::Any,
            ports: 1..=u16::MAX,
        };
        Allow {
            rules: vec![everything],
            listed: Vec::new(),
            denied,
        }
    }

    /// These and those. What one of the two denies stays denied.
    pub fn with(mut self, more: Allow) -> Allow {
        self.rules.extend(more.rules);
        self.listed.extend(more.listed);
        self.denied.extend(more.denied);
        self
    }

    /// How many rules there are, of whatever kind.
    pub fn len(&self) -> usize {
        self.rules.len() + self.listed.len() + self.denied.len()
    }

    /// Whether nothing at all is allowed.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.listed.is_empty()
    }

    /// Whether a target may be dialled by a network (`tcp`, `tcp4`, `tcp6`), as far as it can be told before a name is
    /// resolved.
    pub fn permits(&self, network: &str, target: &Target) -> bool {
        if self.denied.iter().any(|entry| entry.fits(network, target)) {
            return false;
        }
        if self.listed.iter().any(|entry| entry.fits(network, target)) {
            return true;
        }
        match target {
            Target::Ip(addr) => self.permits_address(*addr),
            Target::Name(name, port) => self.permits_name(name, *port),
        }
    }

    /// Whether an address that an allowed name led to may be dialled: one of the internet may, any other needs a rule.
    pub fn permits_resolved(&self, addr: SocketAddr) -> bool {
        let named = |entry: &Listed| entry.names(&Target::Ip(addr));
        !self.denied.iter().any(named)
            && (is_public(addr.ip()) || self.permits_address(addr) || self.listed.iter().any(named))
    }

    fn permits_name(&self, name: &str, port: u16) -> bool {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        self.rules.iter().any(|rule| {
            let fits = match &rule.host {
                Host::Any => true,
                Host::Net(_) => false,
                Host::Name(exact) => *exact == name,
                Host::Suffix(suffix) => name.len() > suffix.len() && name.ends_with(suffix),
            };
            fits && rule.ports.contains(&port)
        })
    }

    fn permits_address(&self, addr: SocketAddr) -> bool {
        let ip = addr.ip().to_canonical();
        self.rules.iter().any(|rule| {
            let fits = match &rule.host {
                Host::Any => true,
                Host::Net(net) => net.contains(&ip),
                Host::Name(_) | Host::Suffix(_) => false,
            };
            fits && rule.ports.contains(&addr.port())
        })
    }
}

/// Whether an address is one of the internet's, rather than of this machine, its networks or nobody's.
fn is_public(ip: IpAddr) -> bool {
    let special: &[&str] = match ip.to_canonical() {
        // RFC 6890 and its registry: this network, private, shared, loopback, link-local, protocol assignments,
        // documentation, benchmarks, multicast, reserved, broadcast.
        IpAddr::V4(_) => &[
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",
        ],
        // Unspecified, loopback, mapped, translated (which reach IPv4 by another name), discard, protocol assignments,
        // documentation, 6to4, unique local, link-local, multicast.
        IpAddr::V6(_) => &[
            "::/96",
            "::ffff:0:0/96",
            "64:ff9b::/96",
            "64:ff9b:1::/48",
            "100::/64",
            "2001::/23",
            "2001:db8::/32",
            "2002::/16",
            "3fff::/20",
            "fc00::/7",
            "fe80::/10",
            "fec0::/10",
            "ff00::/8",
        ],
    };
    let ip = ip.to_canonical();
    !special.iter().any(|block| {
        block
            .parse::<IpNet>()
            .expect("a block of the registry")
            .contains(&ip)
    })
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Any => f.write_str("*")?,
            Host::Net(IpNet::V4(net)) => write!(f, "{net}")?,
            Host::Net(IpNet::V6(net)) => write!(f, "[{}]/{}", net.addr(), net.prefix_len())?,
            Host::Name(name) => f.write_str(name)?,
            Host::Suffix(suffix) => write!(f, "*{suffix}")?,
        }
        match (*self.ports.start(), *self.ports.end()) {
            (1, u16::MAX) => f.write_str(":*"),
            (first, last) if first == last => write!(f, ":{first}"),
            (first, last) => write!(f, ":{first}-{last}"),
        }
    }
}

#[cfg(test)]
mod tests;
