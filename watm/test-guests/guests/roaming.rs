//! Knows by itself where to: the address is its configuration, after a network and a blank (`tcp 192.0.2.1:443`). As a
//! relay it goes where the host says, or, with a configuration, where that says. With the configuration `hoard` it takes a
//! connection, opens files until it may open no more, and says that it has dialled.
#![cfg_attr(target_family = "wasm", no_std)]

use core::str;
use watm_sdk::raw::{self, Slot};
use watm_sdk::{Config, Conn, Errno, FixedDialer, Relay, Session, Transport};
use watm_test_guests::Conns;
use watm_test_guests::relay::relay;

/// Longer than any name that a host takes, so that a test can ask for one too long.
const MOST: usize = 600;

static WHERE: Slot<([u8; MOST], usize)> = Slot::new(([0; MOST], 0));

struct Roaming;

struct Ends {
    inner: Conn,
    outer: Conn,
}

fn dial() -> Result<Conn, Errno> {
    WHERE.enter(|(text, length)| {
        let text = str::from_utf8(&text[..*length]).map_err(|_| Errno::INVAL)?;
        match text.split_once(' ') {
            Some((network, address)) => Conn::dial(network, address),
            None => Conn::dial_fixed(),
        }
    })
}

impl Transport for Roaming {
    type Session = Ends;

    fn init(config: Config<'_>) -> Result<Self, Errno> {
        WHERE.enter(|(text, length)| {
            if let Some(config) = config.read()? {
                *length = config.len().min(MOST);
                text[..*length].copy_from_slice(&config[..*length]);
            }
            Ok(Roaming)
        })
    }
}

impl FixedDialer for Roaming {
    fn dial_fixed(&mut self, inner: Conn) -> Result<Ends, Errno> {
        Ok(Ends {
            inner,
            outer: dial()?,
        })
    }
}

impl Relay for Roaming {
    fn associate(&mut self) -> Result<Ends, Errno> {
        let inner = Conn::accept()?;
        let hoards = WHERE.enter(|(text, length)| Ok(&text[..*length] == b"hoard"))?;
        let outer = if hoards {
            // The configuration's folder is the first descriptor behind the standard ones.
            while raw::path_open(3, b"watm.cfg").is_ok() {}
            Conn::dial_fixed().unwrap_or(inner)
        } else {
            dial()?
        };
        Ok(Ends { inner, outer })
    }
}

impl Session for Ends {
    fn outer(&self) -> Conn {
        self.outer
    }

    fn run(&mut self, control: Conn) -> Result<(), Errno> {
        relay(Conns {
            inner: self.inner,
            outer: self.outer,
            control,
        })
    }
}

watm_sdk::export!(Roaming: fixed_dialer, relay);
