//! The transport that passes bytes as they are: what tor sends, the bridge gets.
//!
//! It hides nothing. It shows what a connection through a module costs, and it is the transport
//! to try first when something does not work. Configuration: none; what is there is ignored.
#![cfg_attr(target_family = "wasm", no_std)]

use watm_sdk::{Config, Conn, Dialer, Duplex, Errno, Identity, Listener, Transport};

struct Plain;

impl Transport for Plain {
    type Session = Duplex<Identity, Identity>;

    fn init(_: Config<'_>) -> Result<Self, Errno> {
        Ok(Plain)
    }
}

impl Dialer for Plain {
    fn dial(&mut self, inner: Conn) -> Result<Self::Session, Errno> {
        let outer = Conn::dial_fixed()?;
        Ok(Duplex::new(inner, outer, Identity, Identity))
    }
}

impl Listener for Plain {
    fn accept(&mut self, inner: Conn) -> Result<Self::Session, Errno> {
        let outer = Conn::accept()?;
        Ok(Duplex::new(inner, outer, Identity, Identity))
    }
}

watm_sdk::export!(Plain: dialer, listener);
