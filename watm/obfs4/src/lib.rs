//! obfs4 as a WebAssembly Transport Module, for both ends: what obfs4proxy and lyrebird speak.
//!
//! The protocol is `obfs4-core`; here are the connections, the files and the configuration. A client's configuration is
//! the bridge line's arguments (`cert`, or `node-id` with `public-key`, and `iat-mode`), a bridge's is the server options
//! (`node-id`, `private-key`, `drbg-seed`, `iat-mode`), both may have `dist-bias`. On a host without `/state/` it is a
//! client only.
#![cfg_attr(target_family = "wasm", no_std)]

mod codecs;
mod configuration;
mod host;
mod set_up;

use codecs::{Down, Up};
use configuration::Configuration;
use host::{HostRandom, hour, is_new};
use obfs4_core::framing::{HEADER, Kind, OVERHEAD, Opener, Sealer};
use obfs4_core::handshake::{Client, Keys, MAX_MESSAGE, Server};
use obfs4_core::keys::SessionKey;
use watm_sdk::duplex::with_buffer;
use watm_sdk::{Coded, Config, Conn, Dialer, Errno, Listener, Transport};

/// How much is read at once while a handshake goes on, as obfs4proxy does: a mark counts at the end of what was read.
const READ: usize = MAX_MESSAGE;

struct Obfs4 {
    configuration: Configuration,
}

impl Transport for Obfs4 {
    type Session = Coded<Up, Down>;
    const CONFIG_IN_BUFFER: bool = true;

    fn init(config: Config<'_>) -> Result<Self, Errno> {
        let configuration = Configuration::read(config)?;
        Ok(Obfs4 { configuration })
    }
}

impl Dialer for Obfs4 {
    fn dial(&mut self, inner: Conn) -> Result<Self::Session, Errno> {
        let bridge = self.configuration.bridge()?;
        // Half of all keys are thrown away; how many were must not show in when we speak.
        let session = SessionKey::generate(&mut HostRandom);
        let outer = Conn::dial_fixed()?;
        let client = Client::new(session, bridge.node_id, bridge.public_key, hour()?);
        let (keys, early) = with_buffer(|buffer| {
            let out = buffer.first_chunk_mut().ok_or(Errno::NOMEM)?;
            let length = client.message(out, &mut HostRandom);
            outer.write_all(&buffer[..length])?;
            answered(&client, outer, &mut buffer[HEADER..])
        })?;
        let sealer = Sealer::new(keys.to_server());
        let up = Up::new(sealer, bridge.iat_mode, self.configuration.is_biased);
        let down = Down::new(Opener::new(keys.to_client()), early, true);
        Ok(Coded::new(inner, outer, up, down))
    }
}

/// Reads until the server's message is there, and leaves what follows it at the start of the buffer.
fn answered(client: &Client, outer: Conn, buffer: &mut [u8]) -> Result<(Keys, usize), Errno> {
    let mut filled = 0;
    loop {
        filled += match outer.read(&mut buffer[filled..filled + READ])? {
            0 => return Err(Errno::PIPE),
            n => n,
        };
        let answer = client.answer(&buffer[..filled]);
        if let Some((length, keys)) = answer.map_err(|_| Errno::PROTO)? {
            buffer.copy_within(length..filled, 0);
            return Ok((keys, filled - length));
        }
    }
}

impl Listener for Obfs4 {
    fn accept(&mut self, inner: Conn) -> Result<Self::Session, Errno> {
        let (bridge, tables) = set_up::bridge(self.configuration.is_biased)?;
        let session = SessionKey::generate(&mut HostRandom);
        let outer = Conn::accept()?;
        let mut server = Server::new(session, &bridge.node_id, &bridge.key);
        let (sealer, opener) = with_buffer(|buffer| {
            let mut filled = 0;
            let accepted = loop {
                filled += match outer.read(&mut buffer[filled..filled + READ])? {
                    0 => return Err(Errno::PIPE),
                    n => n,
                };
                let request = server.request(&buffer[..filled], hour()?, is_new);
                if let Some(accepted) = request.map_err(|_| Errno::PROTO)? {
                    break accepted;
                }
            };
            let out = buffer
                .first_chunk_mut::<MAX_MESSAGE>()
                .ok_or(Errno::NOMEM)?;
            let (length, keys) = server.answer(&accepted, out, &mut HostRandom);
            let mut sealer = Sealer::new(keys.to_client());
            let seed = bridge.drbg_seed.as_bytes();
            let end = length + OVERHEAD + seed.len();
            buffer[length + OVERHEAD..end].copy_from_slice(seed);
            sealer.seal(Kind::Seed, &mut buffer[length..end], seed.len(), 0);
            outer.write_all(&buffer[..end])?;
            Ok((sealer, Opener::new(keys.to_server())))
        })?;
        let up = Up::with_tables(sealer, bridge.iat_mode, tables);
        Ok(Coded::new(inner, outer, up, Down::new(opener, 0, false)))
    }
}

watm_sdk::export!(Obfs4: dialer, listener, set_up);
