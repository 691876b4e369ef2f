//! The published `reverse`: every piece of up to 1 KiB that it reads goes on backwards. Like everything made with that SDK it
//! exports all four roles, and answers -63 (`EPERM`) to those that nobody wrote.
#![cfg_attr(target_family = "wasm", no_std)]

use watm_sdk::raw::Slot;
use watm_sdk::{Config, Conn, Dialer, Errno, FixedDialer, Listener, Relay, Session, Transport};
use watm_test_guests::Conns;
use watm_test_guests::upstream::{Generation, write_again};

const PIECE: usize = 1024;

static SPACE: Slot<[u8; PIECE]> = Slot::new([0; PIECE]);

struct UpstreamReverse;

struct Ends {
    inner: Conn,
    outer: Conn,
}

impl Transport for UpstreamReverse {
    type Session = Ends;

    fn init(_: Config<'_>) -> Result<Self, Errno> {
        Ok(UpstreamReverse)
    }
}

impl Dialer for UpstreamReverse {
    fn dial(&mut self, inner: Conn) -> Result<Ends, Errno> {
        let outer = Conn::dial_fixed()?;
        Ok(Ends { inner, outer })
    }
}

impl Listener for UpstreamReverse {
    fn accept(&mut self, inner: Conn) -> Result<Ends, Errno> {
        let outer = Conn::accept()?;
        Ok(Ends { inner, outer })
    }
}

impl FixedDialer for UpstreamReverse {
    fn dial_fixed(&mut self, _: Conn) -> Result<Ends, Errno> {
        Err(Errno::PERM)
    }
}

impl Relay for UpstreamReverse {
    fn associate(&mut self) -> Result<Ends, Errno> {
        Err(Errno::PERM)
    }
}

fn write_backwards(to: Conn, bytes: &[u8]) -> Result<usize, Errno> {
    let mut turned = [0; PIECE];
    for (to, from) in turned.iter_mut().zip(bytes.iter().rev()) {
        *to = *from;
    }
    write_again(to, &turned[..bytes.len()])
}

impl Session for Ends {
    fn outer(&self) -> Conn {
        self.outer
    }

    fn run(&mut self, control: Conn) -> Result<(), Errno> {
        let generation = Generation {
            write: write_backwards,
            write_errors_are_fatal: false,
            at_end: Err(Errno::PIPE),
        };
        let conns = Conns {
            inner: self.inner,
            outer: self.outer,
            control,
        };
        SPACE.enter(|space| generation.work(conns, space))
    }
}

watm_sdk::export!(UpstreamReverse: dialer, fixed_dialer, listener, relay);
