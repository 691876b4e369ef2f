//! What the test guests share: a guest is one behaviour, and this is everything around it.
//!
//! Each file under `guests/` is a module of its own that exercises one rule of a WATM host:
//! some behave like modules in the field, some as badly as a module can. They are built by
//! `build.sh` into `dist/test-guests/` and used by the executable's tests.
#![cfg_attr(target_family = "wasm", no_std)]

pub mod relay;
pub mod upstream;
pub mod v0;

use core::marker::PhantomData;

use watm_sdk::raw::Slot;
use watm_sdk::{Config, Conn, Dialer, Errno, Listener, Session, Transport};

/// The size of the buffer that every guest has.
pub const BUFFER: usize = 16 << 10;

static SPACE: Slot<[u8; BUFFER]> = Slot::new([0; BUFFER]);

/// The connections of a running guest, still in blocking mode.
#[derive(Clone, Copy)]
pub struct Conns {
    /// The application's.
    pub inner: Conn,
    /// The network's.
    pub outer: Conn,
    /// The host cancels here.
    pub control: Conn,
}

impl Conns {
    /// Puts all three into non-blocking mode.
    pub fn set_nonblocking(&self) -> Result<(), Errno> {
        self.inner.set_nonblocking()?;
        self.outer.set_nonblocking()?;
        self.control.set_nonblocking()
    }
}

/// What a guest does; everything not told otherwise goes well.
pub trait Behaviour {
    /// In `watm_init_v1`.
    fn init(_config: Config<'_>) -> Result<(), Errno> {
        Ok(())
    }

    /// In `watm_dial_v1` and `watm_accept_v1`, once the network's connection is there.
    fn handshake(_outer: Conn) -> Result<(), Errno> {
        Ok(())
    }

    /// In `watm_start_v1`.
    fn work(conns: Conns, space: &mut [u8; BUFFER]) -> Result<(), Errno>;
}

/// A module that behaves like `B` as a dialer and as a listener.
pub struct Guest<B>(PhantomData<fn() -> B>);

/// The running connection of a [`Guest`].
pub struct Running<B> {
    inner: Conn,
    outer: Conn,
    behaviour: PhantomData<fn() -> B>,
}

impl<B: Behaviour> Guest<B> {
    fn begin(inner: Conn, outer: Conn) -> Result<Running<B>, Errno> {
        B::handshake(outer)?;
        Ok(Running {
            inner,
            outer,
            behaviour: PhantomData,
        })
    }
}

impl<B: Behaviour> Transport for Guest<B> {
    type Session = Running<B>;

    fn init(config: Config<'_>) -> Result<Self, Errno> {
        B::init(config)?;
        Ok(Guest(PhantomData))
    }
}

impl<B: Behaviour> Dialer for Guest<B> {
    fn dial(&mut self, inner: Conn) -> Result<Self::Session, Errno> {
        Self::begin(inner, Conn::dial_fixed()?)
    }
}

impl<B: Behaviour> Listener for Guest<B> {
    fn accept(&mut self, inner: Conn) -> Result<Self::Session, Errno> {
        Self::begin(inner, Conn::accept()?)
    }
}

impl<B: Behaviour> Session for Running<B> {
    fn outer(&self) -> Conn {
        self.outer
    }

    fn run(&mut self, control: Conn) -> Result<(), Errno> {
        let conns = Conns {
            inner: self.inner,
            outer: self.outer,
            control,
        };
        SPACE.enter(|space| B::work(conns, space))
    }
}
