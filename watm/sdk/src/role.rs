//! What a transport implements, one small trait per role.
//!
//! In: the configuration, then the application's connection. Out: a [`Session`] that owns both
//! connections. A handshake belongs into `dial` and `accept`: when they return, the transport is
//! up, and an error there means that it never was.

use crate::config::Config;
use crate::conn::Conn;
use crate::errno::Errno;

/// One connection's transport, made when the instance starts.
pub trait Transport: Sized {
    /// What runs once the transport is up.
    type Session: Session;

    /// Where `init` finds its configuration: in the first of a session's buffers, which every connection of a
    /// [`Duplex`](crate::Duplex) or [`Coded`](crate::Coded) touches anyway, or in a space of its own. In the buffer it
    /// costs no memory, and `init` must not use [`with_buffer`](crate::duplex::with_buffer).
    const CONFIG_IN_BUFFER: bool = false;

    /// Makes the transport from its configuration; a configuration that makes no sense is
    /// [`Errno::INVAL`].
    fn init(config: Config<'_>) -> Result<Self, Errno>;
}

/// The client's end: the host knows the bridge's address (`watm_dial_v1`).
pub trait Dialer: Transport {
    /// Dials ([`Conn::dial_fixed`]), shakes hands, returns the session. Fds are in blocking mode.
    fn dial(&mut self, inner: Conn) -> Result<Self::Session, Errno>;
}

/// The client's end when the module chooses the address itself (`watm_dial_fixed_v1`).
pub trait FixedDialer: Transport {
    /// Dials ([`Conn::dial`]), shakes hands, returns the session. Fds are in blocking mode.
    fn dial_fixed(&mut self, inner: Conn) -> Result<Self::Session, Errno>;
}

/// The bridge's end (`watm_accept_v1`).
pub trait Listener: Transport {
    /// Accepts ([`Conn::accept`]), shakes hands, returns the session. Fds are in blocking mode.
    fn accept(&mut self, inner: Conn) -> Result<Self::Session, Errno>;
}

/// Both ends are the network's: what is accepted goes on to where the module dials
/// (`watm_associate_v1`).
pub trait Relay: Transport {
    /// Accepts, dials, shakes hands, returns the session. Fds are in blocking mode.
    fn associate(&mut self) -> Result<Self::Session, Errno>;
}

/// What is done once per start, before the first connection (`ouzel_setup_v1`, an extension: other hosts do not call it).
pub trait SetUp {
    /// Prepares the transport's files in `/state/` and writes what it asks of the host to `answer`, as one JSON object; see
    /// "Set-up" in docs/writing-a-transport.md. No transport is made before it.
    fn set_up(part: Part, config: Config<'_>, answer: Conn) -> Result<(), Errno>;
}

/// The role that a set-up run is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// `watm_dial_v1`
    Dialer,
    /// `watm_accept_v1`
    Listener,
    /// `watm_dial_fixed_v1`
    FixedDialer,
    /// `watm_associate_v1`
    Relay,
}

impl Part {
    /// The host's number for it; one that is not known yet is [`Errno::INVAL`].
    pub(crate) fn from_host(number: i32) -> Result<Part, Errno> {
        match number {
            0 => Ok(Part::Dialer),
            1 => Ok(Part::Listener),
            2 => Ok(Part::FixedDialer),
            3 => Ok(Part::Relay),
            _ => Err(Errno::INVAL),
        }
    }
}

/// A connection whose transport is up.
pub trait Session {
    /// The network's connection, which the host asked for.
    fn outer(&self) -> Conn;

    /// Moves bytes until both directions have ended (`Ok`), the host cancels
    /// ([`Errno::CANCELED`]: any byte, or the end, on `control`) or something fails.
    fn run(&mut self, control: Conn) -> Result<(), Errno>;
}
