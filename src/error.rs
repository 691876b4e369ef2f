//! Why a connection failed, said once.
//!
//! In: what went wrong, wherever it did. Out: one [`Failure`], which knows whose fault it is and how
//! every audience hears of it: the SOCKS reply, the severity of the `LOG` line, a word for counting.
//! A failure's text never holds an address or a secret, so it can be logged as it is.

use crate::platform;
use std::io;

/// Whose fault a failure is: who can do something about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The program that started us (tor) or an application that speaks to us.
    Parent,
    /// Whoever configured this process.
    Operator,
    /// The other end of the network, or the path to it.
    Peer,
    /// The transport module.
    Module,
    /// This machine: out of descriptors, memory or slots.
    Host,
}

/// How loud a line is; the five words that tor accepts in `LOG SEVERITY=` (pt-spec 3.3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// For developers.
    Debug,
    /// Normal life.
    Info,
    /// Worth a user's glance.
    Notice,
    /// Something a user may have to act on.
    Warning,
    /// Something a user must act on.
    Error,
}

impl Severity {
    /// The word in a `LOG` line.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Debug => "debug",
            Severity::Info => "info",
            Severity::Notice => "notice",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

impl std::str::FromStr for Severity {
    type Err = String;

    fn from_str(text: &str) -> Result<Severity, String> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "error" => Severity::Error,
            "warn" | "warning" => Severity::Warning,
            "notice" => Severity::Notice,
            "info" => Severity::Info,
            "debug" => Severity::Debug,
            _ => return Err("expected error, warn, notice, info or debug".to_owned()),
        })
    }
}

/// Why one connection failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// ECONNREFUSED, or a reset before the transport was up.
    #[error("the bridge refused the connection")]
    Refused,
    /// EHOSTUNREACH.
    #[error("no route to the bridge")]
    HostUnreachable,
    /// ENETUNREACH: this machine has no way to the address's network.
    #[error("the bridge's network is unreachable from here (is the network up?)")]
    NetworkUnreachable,
    /// A name that does not resolve.
    #[error("the bridge's host name does not resolve")]
    Unresolved,
    /// No connection within the time limit.
    #[error("the connection to the bridge timed out")]
    DialTimeout,
    /// The transport's handshake ran out of time.
    #[error("the transport's handshake was not done within {0} s")]
    HandshakeTimeout(u64),
    /// The upstream proxy (`TOR_PT_PROXY`) failed; the text says how. Nothing went around it.
    #[error("the upstream proxy {0}")]
    Proxy(String),
    /// A proxy or policy forbids this destination.
    #[error("the upstream proxy does not allow this connection")]
    Forbidden,
    /// A module wanted to go where the operator does not let it.
    #[error(
        "the module wanted to connect to an address that no rule allows; add one with --allow, or to allow in its settings"
    )]
    NotAllowed,
    /// EACCES or EPERM: something on this machine forbids it.
    #[error("this machine does not allow the connection (a local firewall or a sandbox?)")]
    Denied,
    /// `TOR_PT_OUTBOUND_BIND_ADDRESS_V4/V6` cannot be used here.
    #[error(
        "the outbound bind address cannot be used on this machine (see OutboundBindAddressPT in torrc)"
    )]
    BindAddress,
    /// The arguments of a bridge line do not fit the transport; the text names the argument.
    #[error("bad transport arguments: {0}")]
    Arguments(String),
    /// The ORPort or ExtORPort could not be reached or refused us.
    #[error("{0}")]
    OrPort(String),
    /// The network or application connection broke.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The application left before it was answered.
    #[error("the application left before the transport was up")]
    Left,
    /// The far end that was dialled ended the handshake, or did not know it; the text names the module's errno.
    #[error(
        "the far end did not complete the handshake ({0}); check the bridge line, or both ends' configuration, and this machine's clock"
    )]
    Unanswered(String),
    /// Whoever came in did not know the handshake; the text names the module's errno.
    #[error("the handshake of whoever connected was not accepted ({0})")]
    Unaccepted(String),
    /// The module said no; the text names its errno.
    #[error("the module gave up: {0}")]
    Module(String),
    /// The module exports a role that nobody wrote: SDKs export them all.
    #[error("the module gave up: EPERM (-63): it has no transport for this role")]
    NoRole,
    /// The module's initialisation failed, which is where it reads its configuration; the text names its errno.
    #[error(
        "the module does not take its configuration: {0}; check --config and the bridge line's arguments, on a bridge ServerTransportOptions"
    )]
    Configuration(String),
    /// The module said why it refuses, before it had met anybody.
    #[error("the module says: {0}")]
    Declined(String),
    /// The module trapped.
    #[error("the module crashed: {0}")]
    Trap(String),
    /// The module ran without making any progress.
    #[error("the module made no progress and was stopped")]
    Stuck,
    /// The module crashed or stood still after it was refused memory.
    #[error(
        "the module crashed after it had asked for more than its {0} MiB of memory; if it needs them, raise limits.memory in its settings"
    )]
    OutOfMemory(u64),
    /// The process ended before the connection did.
    #[error("the connection was open when the process was told to end")]
    Stopped,
    /// The module went on when it was told to end.
    #[error("the module was told to end, did not within {0} s, and was stopped")]
    Overstayed(u64),
    /// Bytes could not be delivered within the stall deadline.
    #[error("the far end took no data for {0} s with the buffers full")]
    Stalled(u64),
    /// Every instance slot is taken.
    #[error("all {0} connection slots are in use (raise --max-connections)")]
    PoolFull(usize),
    /// Out of file descriptors.
    #[error("out of file descriptors (raise LimitNOFILE= or ulimit -n)")]
    Descriptors,
    /// Anything else this machine refused; the text says what.
    #[error("{0}")]
    Host(String),
}

impl Failure {
    /// Reads an error of connecting to the bridge.
    pub fn from_connect(error: &io::Error) -> Self {
        use io::ErrorKind as K;
        match error.kind() {
            K::ConnectionRefused | K::ConnectionReset | K::ConnectionAborted => Failure::Refused,
            K::HostUnreachable => Failure::HostUnreachable,
            K::NetworkUnreachable | K::NetworkDown => Failure::NetworkUnreachable,
            K::TimedOut => Failure::DialTimeout,
            K::PermissionDenied => Failure::Denied,
            K::AddrNotAvailable => Failure::BindAddress,
            _ if platform::is_out_of_descriptors(error) => Failure::Descriptors,
            kind => Failure::Host(format!("connecting failed: {kind}")),
        }
    }

    /// Who can do something about it.
    pub fn blame(&self) -> Blame {
        match self {
            Failure::Refused
            | Failure::HostUnreachable
            | Failure::NetworkUnreachable
            | Failure::Unresolved
            | Failure::DialTimeout
            | Failure::HandshakeTimeout(_)
            | Failure::Unanswered(_)
            | Failure::Unaccepted(_)
            | Failure::Broken(_)
            | Failure::Left
            | Failure::Stalled(_) => Blame::Peer,
            Failure::Proxy(_)
            | Failure::Forbidden
            | Failure::NotAllowed
            | Failure::Denied
            | Failure::BindAddress
            | Failure::NoRole
            | Failure::Configuration(_)
            | Failure::Declined(_) => Blame::Operator,
            Failure::Arguments(_) | Failure::OrPort(_) | Failure::Stopped => Blame::Parent,
            Failure::Module(_)
            | Failure::Trap(_)
            | Failure::Stuck
            | Failure::OutOfMemory(_)
            | Failure::Overstayed(_) => Blame::Module,
            Failure::PoolFull(_) | Failure::Descriptors | Failure::Host(_) => Blame::Host,
        }
    }

    /// The REP byte of the SOCKS5 reply (RFC 1928 section 6).
    pub fn socks_reply(&self) -> u8 {
        match self {
            Failure::Refused => 0x05,
            Failure::HostUnreachable | Failure::Unresolved => 0x04,
            Failure::NetworkUnreachable => 0x03,
            Failure::DialTimeout | Failure::HandshakeTimeout(_) => 0x06,
            Failure::Forbidden | Failure::NotAllowed | Failure::Denied => 0x02,
            _ => 0x01,
        }
    }

    /// How loud the `LOG` line is. A peer's failures are a user's daily life; the rest wants a hand.
    pub fn severity(&self) -> Severity {
        match self.blame() {
            Blame::Peer => Severity::Notice,
            Blame::Parent | Blame::Operator | Blame::Module | Blame::Host => Severity::Warning,
        }
    }

    /// A short, stable word for counting.
    pub fn label(&self) -> &'static str {
        match self {
            Failure::Refused => "refused",
            Failure::HostUnreachable => "host-unreachable",
            Failure::NetworkUnreachable => "network-unreachable",
            Failure::Unresolved => "unresolved",
            Failure::DialTimeout => "dial-timeout",
            Failure::HandshakeTimeout(_) => "handshake-timeout",
            Failure::Proxy(_) => "proxy",
            Failure::Forbidden => "forbidden",
            Failure::NotAllowed => "not-allowed",
            Failure::Denied => "denied",
            Failure::BindAddress => "bind-address",
            Failure::Arguments(_) => "arguments",
            Failure::OrPort(_) => "orport",
            Failure::Broken(_) => "broken",
            Failure::Unanswered(_) => "unanswered",
            Failure::Unaccepted(_) => "unaccepted",
            Failure::Module(_) => "module",
            Failure::NoRole => "no-role",
            Failure::Configuration(_) => "configuration",
            Failure::Declined(_) => "declined",
            Failure::Trap(_) => "trap",
            Failure::Stuck => "stuck",
            Failure::OutOfMemory(_) => "out-of-memory",
            Failure::Stopped => "stopped",
            Failure::Overstayed(_) => "overstayed",
            Failure::Left => "left",
            Failure::Stalled(_) => "stalled",
            Failure::PoolFull(_) => "pool-full",
            Failure::Descriptors => "descriptors",
            Failure::Host(_) => "host",
        }
    }
}
