//! The two directions of a connection: bursts out, frames in.

use crate::host::HostRandom;
use obfs4_core::arguments::IatMode;
use obfs4_core::burst::{BUFFER, GAP, MAX_BURST, Shaper, Tables};
use obfs4_core::drbg::Seed;
use obfs4_core::framing::{HEADER, Kind, MAX_FRAME, Opener, Sealer};
use watm_sdk::raw::Slot;
use watm_sdk::{Codec, Errno, Piece};

/// The seed that the bridge sent, on its way from one direction to the other.
static SEED: Slot<Option<Seed>> = Slot::new(None);

/// What the application sends.
pub(crate) struct Up {
    shaper: Shaper,
    iat_mode: IatMode,
    is_biased: bool,
    /// A client has none until the bridge's seed is there, or it speaks first.
    tables: Option<Tables>,
}

impl Up {
    pub(crate) fn new(sealer: Sealer, iat_mode: IatMode, is_biased: bool) -> Up {
        Up {
            shaper: Shaper::new(sealer, iat_mode),
            iat_mode,
            is_biased,
            tables: None,
        }
    }

    pub(crate) fn with_tables(sealer: Sealer, iat_mode: IatMode, tables: Tables) -> Up {
        Up {
            tables: Some(tables),
            ..Up::new(sealer, iat_mode, false)
        }
    }

    fn tables(&mut self) -> Result<(&mut Shaper, &Tables), Errno> {
        let seed = SEED.enter(|seed| Ok(seed.take()))?;
        if self.tables.is_none() || seed.is_some() {
            let (mode, is_biased) = (self.iat_mode, self.is_biased);
            self.tables = Some(match seed {
                Some(seed) => Tables::new(&seed, mode, is_biased),
                None => Tables::random(&mut HostRandom, mode, is_biased),
            });
        }
        let tables = self.tables.as_ref().ok_or(Errno::IO)?;
        Ok((&mut self.shaper, tables))
    }
}

fn burst(buffer: &mut [u8]) -> Result<&mut [u8; BUFFER], Errno> {
    buffer.first_chunk_mut().ok_or(Errno::NOMEM)
}

impl Codec for Up {
    fn space<'a>(&mut self, buffer: &'a mut [u8], _wish: usize) -> &'a mut [u8] {
        &mut buffer[GAP..GAP + MAX_BURST]
    }

    fn arrived(&mut self, buffer: &mut [u8], n: usize) -> Result<(), Errno> {
        let (shaper, tables) = self.tables()?;
        shaper.begin(burst(buffer)?, n, tables, &mut HostRandom);
        Ok(())
    }

    fn next(&mut self, buffer: &mut [u8]) -> Result<Option<Piece>, Errno> {
        let Some(tables) = &self.tables else {
            return Ok(None);
        };
        let piece = self.shaper.next(burst(buffer)?, tables, &mut HostRandom);
        Ok(piece.map(|piece| Piece {
            start: piece.start,
            end: piece.end,
            pause: u64::from(piece.pause) * 1_000,
        }))
    }
}

/// What the network sends.
pub(crate) struct Down {
    opener: Opener,
    is_client: bool,
    /// Bytes that came with the handshake, and lie where a read would have put them.
    early: usize,
    /// The seed among them. A client of obfs4proxy looks at them only when more comes: what it says before has the shape
    /// of its own tables, and so must ours.
    early_seed: Option<Seed>,
    payload: usize,
    is_broken: bool,
    /// The start of a frame that is not all there.
    rest: [u8; MAX_FRAME],
    rest_length: usize,
}

impl Down {
    pub(crate) fn new(opener: Opener, early: usize, is_client: bool) -> Down {
        Down {
            opener,
            is_client,
            early,
            early_seed: None,
            payload: 0,
            is_broken: false,
            rest: [0; MAX_FRAME],
            rest_length: 0,
        }
    }

    /// Opens all whole frames, and gives the seed if one of them brought it.
    fn open(&mut self, buffer: &mut [u8]) -> Option<Seed> {
        let mut seed = None;
        let opened = self.opener.open(buffer, &mut HostRandom, |kind, packet| {
            if let (Ok(packet), true) = (packet.try_into(), kind == Kind::Seed as u8) {
                seed = Some(Seed::from_bytes(packet));
            }
        });
        self.payload = opened.payload;
        self.is_broken = opened.is_broken;
        if !opened.is_broken {
            let rest = &buffer[buffer.len() - opened.rest..];
            self.rest_length = rest.len();
            self.rest[..rest.len()].copy_from_slice(rest);
        }
        seed
    }
}

impl Codec for Down {
    fn space<'a>(&mut self, buffer: &'a mut [u8], wish: usize) -> &'a mut [u8] {
        let start = HEADER + self.rest_length;
        buffer[HEADER..start].copy_from_slice(&self.rest[..self.rest_length]);
        &mut buffer[start..start + wish]
    }

    fn arrived(&mut self, buffer: &mut [u8], n: usize) -> Result<(), Errno> {
        let seed = self.open(&mut buffer[..HEADER + self.rest_length + n]);
        let seed = seed.or(self.early_seed.take());
        if seed.is_some() && self.is_client {
            SEED.enter(|place| {
                *place = seed;
                Ok(())
            })?;
        }
        Ok(())
    }

    fn next(&mut self, buffer: &mut [u8]) -> Result<Option<Piece>, Errno> {
        let early = core::mem::take(&mut self.early);
        if early > 0 {
            self.early_seed = self.open(&mut buffer[..HEADER + early]);
        }
        let payload = core::mem::take(&mut self.payload);
        match payload {
            0 if self.is_broken => Err(Errno::PROTO),
            0 => Ok(None),
            n => Ok(Some(Piece {
                start: HEADER,
                end: HEADER + n,
                pause: 0,
            })),
        }
    }

    fn end(&mut self) -> Result<(), Errno> {
        if self.rest_length > 0 || !self.opener.is_between_frames() {
            // In the middle of a frame: somebody cut the connection.
            return Err(Errno::IO);
        }
        Ok(())
    }
}
