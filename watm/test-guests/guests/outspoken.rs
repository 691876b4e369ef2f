//! Refuses where its configuration says so (`at`), and says why (`says`, line breaks and all, with `_` for a blank: as it is
//! it would be a value of the configuration, which is not told).
//!
//! `setup`, `init`, `role` (before it has dialled or accepted), `met` (after that: nobody may be told), `crash` (says so in
//! its initialisation, and traps).
#![cfg_attr(target_family = "wasm", no_std)]

use watm_sdk::json::{Object, Value};
use watm_sdk::raw::Slot;
use watm_sdk::role::{Part, SetUp};
use watm_sdk::{Config, Conn, Dialer, Duplex, Errno, Identity, Listener, Relay, Transport, refuse};

const MAX_WORDS: usize = 8192;

struct Outspoken {
    at: At,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Nowhere,
    SetUp,
    Init,
    Role,
    Met,
    Crash,
}

static WORDS: Slot<([u8; MAX_WORDS], usize)> = Slot::new(([0; MAX_WORDS], 0));

/// Where to refuse; what to say is kept in [`WORDS`].
fn read(config: Config<'_>) -> Result<At, Errno> {
    let Some(config) = config.read()? else {
        return Ok(At::Nowhere);
    };
    let object = Object::parse(config).map_err(|_| Errno::INVAL)?;
    if let Some(Value::Text(says)) = object.get("says") {
        WORDS.enter(|(space, len)| {
            for byte in says.bytes() {
                let byte = if byte == b'_' { b' ' } else { byte };
                *space.get_mut(*len).ok_or(Errno::FBIG)? = byte;
                *len += 1;
            }
            Ok(())
        })?;
    }
    let Some(Value::Text(at)) = object.get("at") else {
        return Ok(At::Nowhere);
    };
    Ok(match at.raw() {
        b"setup" => At::SetUp,
        b"init" => At::Init,
        b"role" => At::Role,
        b"met" => At::Met,
        b"crash" => At::Crash,
        _ => At::Nowhere,
    })
}

fn speak() -> Errno {
    let spoken = WORDS.enter(|(words, len)| Ok(refuse(&[&words[..*len]])));
    spoken.unwrap_or(Errno::INVAL)
}

impl SetUp for Outspoken {
    fn set_up(_: Part, config: Config<'_>, _: Conn) -> Result<(), Errno> {
        match read(config)? {
            At::SetUp => Err(speak()),
            _ => Ok(()),
        }
    }
}

impl Transport for Outspoken {
    type Session = Duplex<Identity, Identity>;

    fn init(config: Config<'_>) -> Result<Self, Errno> {
        match read(config)? {
            At::Init => Err(speak()),
            At::Crash => {
                speak();
                panic!("as told")
            }
            at => Ok(Outspoken { at }),
        }
    }
}

impl Outspoken {
    fn session(&self, inner: Conn, outer: fn() -> Result<Conn, Errno>) -> Result<Passing, Errno> {
        if self.at == At::Role {
            return Err(speak());
        }
        let outer = outer()?;
        if self.at == At::Met {
            return Err(speak());
        }
        Ok(Duplex::new(inner, outer, Identity, Identity))
    }
}

type Passing = Duplex<Identity, Identity>;

impl Dialer for Outspoken {
    fn dial(&mut self, inner: Conn) -> Result<Passing, Errno> {
        self.session(inner, Conn::dial_fixed)
    }
}

impl Listener for Outspoken {
    fn accept(&mut self, inner: Conn) -> Result<Passing, Errno> {
        self.session(inner, Conn::accept)
    }
}

impl Relay for Outspoken {
    fn associate(&mut self) -> Result<Passing, Errno> {
        if self.at == At::Role {
            return Err(speak());
        }
        let incoming = Conn::accept()?;
        self.session(incoming, Conn::dial_fixed)
    }
}

watm_sdk::export!(Outspoken: dialer, listener, relay, set_up);
