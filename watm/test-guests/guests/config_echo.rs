//! Sends its configuration to the network before anything else: four bytes of length (big
//! endian; all ones without a configuration), then the bytes. After that it passes bytes as they
//! are.
#![cfg_attr(target_family = "wasm", no_std)]

use watm_sdk::config::MAX_CONFIG;
use watm_sdk::raw::Slot;
use watm_sdk::{Config, Conn, Errno};
use watm_test_guests::relay::relay;
use watm_test_guests::{BUFFER, Behaviour, Conns, Guest};

static SEEN: Slot<Seen> = Slot::new(Seen {
    len: None,
    bytes: [0; MAX_CONFIG],
});

struct Seen {
    len: Option<usize>,
    bytes: [u8; MAX_CONFIG],
}

struct ConfigEcho;

impl Behaviour for ConfigEcho {
    fn init(config: Config<'_>) -> Result<(), Errno> {
        SEEN.enter(|seen| {
            if let Some(config) = config.read()? {
                seen.len = Some(config.len());
                seen.bytes[..config.len()].copy_from_slice(config);
            }
            Ok(())
        })
    }

    fn handshake(outer: Conn) -> Result<(), Errno> {
        SEEN.enter(|seen| {
            let length = seen.len.map_or(u32::MAX, |len| len as u32);
            outer.write_all(&length.to_be_bytes())?;
            outer.write_all(&seen.bytes[..seen.len.unwrap_or(0)])
        })
    }

    fn work(conns: Conns, _: &mut [u8; BUFFER]) -> Result<(), Errno> {
        relay(conns)
    }
}

watm_sdk::export!(Guest<ConfigEcho>: dialer, listener);
