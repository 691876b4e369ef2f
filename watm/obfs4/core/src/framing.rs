//! Frames and packets: what the stream is made of once the handshake is done.
//!
//! A frame is an obfuscated length and a box ([`SecretBox`]); in the box lies a packet: its type, the payload's length, the
//! payload, and zeros that pad it. Frames are made and opened where the bytes lie, and move towards the front of their
//! buffer, so that one buffer serves a whole burst.
//!
//! In: 72 bytes of the key agreement for each direction. What can go wrong: a frame that was not made with these keys.
//! Nothing tells from outside whether its length or its box was wrong.

use crate::drbg::{Drbg, Seed};
use crate::random::{Random, below};
use crate::secretbox::{SecretBox, TAG};

/// The longest frame: a segment of TCP over Ethernet, less its options.
pub const MAX_FRAME: usize = 1448;
/// The most payload of one frame.
pub const MAX_PAYLOAD: usize = MAX_FRAME - OVERHEAD;
/// What a frame adds to its payload.
pub const OVERHEAD: usize = LENGTH + TAG + HEADER;
/// The bytes of the key agreement that one direction takes.
pub const KEY: usize = 32 + 16 + Seed::LENGTH;
/// Where the payload of a frame that is opened comes to lie is known only when its header has been read, in front of it.
pub const HEADER: usize = 3;

const LENGTH: usize = 2;
const MIN_BOX: usize = TAG;
const MAX_BOX: usize = MAX_FRAME - LENGTH;

/// What a packet is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// Bytes of the stream; without any it is padding.
    Payload = 0,
    /// The seed of the bridge's tables, for the client.
    Seed = 1,
}

/// One direction's keys and the position in its stream.
struct Link {
    secret_box: SecretBox,
    masks: Drbg,
    counter: u64,
}

impl Link {
    fn new(key: &[u8; KEY]) -> Link {
        let (secret, rest) = key.split_first_chunk::<32>().expect("shorter than the key");
        let (prefix, seed) = rest
            .split_first_chunk::<16>()
            .expect("shorter than the key");
        let seed = *seed.first_chunk().expect("the rest of the key");
        Link {
            secret_box: SecretBox::new(secret, prefix),
            masks: Drbg::new(&Seed::from_bytes(seed)),
            counter: 0,
        }
    }

    fn mask(&mut self) -> u16 {
        let [high, low, ..] = self.masks.next_block();
        u16::from_be_bytes([high, low])
    }

    /// The number of the next frame; no connection lives for 2^64 of them.
    fn count(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }
}

/// Makes the frames of one direction.
pub struct Sealer(Link);

impl Sealer {
    /// The start of a direction.
    #[must_use]
    pub fn new(key: &[u8; KEY]) -> Sealer {
        Sealer(Link::new(key))
    }

    /// Makes a frame at the start of `window` from the `payload` bytes that lie in it before its last `padding` ones, at
    /// least [`OVERHEAD`] from its start, and says how long it is.
    ///
    /// # Panics
    /// When payload and padding are more than [`MAX_PAYLOAD`], or the window is too short for them.
    pub fn seal(&mut self, kind: Kind, window: &mut [u8], payload: usize, padding: usize) -> usize {
        assert!(payload + padding <= MAX_PAYLOAD, "a frame's payload");
        let end = window.len();
        window[end - padding..].fill(0);
        let at = end - padding - payload;
        let length = u16::try_from(payload).expect("a frame's payload");
        window[at - HEADER] = kind as u8;
        window[at - HEADER + 1..at].copy_from_slice(&length.to_be_bytes());
        let (obfuscated, boxed) = window.split_at_mut(LENGTH);
        let shift = at - OVERHEAD;
        let box_length = TAG + HEADER + payload + padding;
        let number = self.0.count();
        self.0.secret_box.seal(number, boxed, shift);
        let masked = u16::try_from(box_length).expect("a frame's box") ^ self.0.mask();
        obfuscated.copy_from_slice(&masked.to_be_bytes());
        LENGTH + box_length
    }
}

/// The box that is being waited for.
#[derive(Clone, Copy)]
struct Expected {
    length: usize,
    /// The length was impossible, and this one was made up: the frame fails when it is there.
    is_invalid: bool,
}

/// Opens the frames of the other direction.
pub struct Opener {
    link: Link,
    expected: Option<Expected>,
}

/// What [`Opener::open`] found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Opened {
    /// So much payload lies in the buffer, from [`HEADER`] on.
    pub payload: usize,
    /// So many bytes at the buffer's end belong to a frame that is not all there.
    pub rest: usize,
    /// What follows the payload is no frame of the peer's: nothing more can be opened.
    pub is_broken: bool,
}

impl Opener {
    /// The start of a direction.
    #[must_use]
    pub fn new(key: &[u8; KEY]) -> Opener {
        Opener {
            link: Link::new(key),
            expected: None,
        }
    }

    /// Whether nothing of a frame has been taken from the stream: only then is its end one that the peer meant, or one that
    /// cannot be told from it.
    #[must_use]
    pub fn is_between_frames(&self) -> bool {
        self.expected.is_none()
    }

    /// Opens every frame that is all there. The stream's bytes lie in `buffer` from [`HEADER`] on, beginning with the rest
    /// that the last call left. Packets of other kinds than payload go to `other`.
    pub fn open(
        &mut self,
        buffer: &mut [u8],
        random: &mut impl Random,
        mut other: impl FnMut(u8, &[u8]),
    ) -> Opened {
        let mut at = HEADER;
        let mut out = HEADER;
        let opened = |out: usize, at: usize, is_broken, len: usize| Opened {
            payload: out - HEADER,
            rest: len - at,
            is_broken,
        };
        let len = buffer.len();
        loop {
            let expected = match self.expected {
                Some(expected) => expected,
                None if len - at < LENGTH => return opened(out, at, false, len),
                None => {
                    let length = [buffer[at], buffer[at + 1]];
                    at += LENGTH;
                    let expected = self.expect(u16::from_be_bytes(length), random);
                    *self.expected.insert(expected)
                }
            };
            if len - at < expected.length {
                return opened(out, at, false, len);
            }
            let end = at + expected.length;
            // The packet's header comes to lie on payload that is there already.
            let before = out - HEADER;
            let saved = [buffer[before], buffer[before + 1], buffer[before + 2]];
            let number = self.link.counter + 1;
            let window = &mut buffer[before..end];
            let whole = self.link.secret_box.open(number, window, at - before);
            if whole.is_err() || expected.is_invalid || expected.length < TAG + HEADER {
                buffer[before..out].copy_from_slice(&saved);
                return opened(out, at, true, len);
            }
            self.link.count();
            self.expected = None;
            at = end;
            let kind = buffer[before];
            let payload = usize::from(u16::from_be_bytes([buffer[before + 1], buffer[before + 2]]));
            if payload > expected.length - TAG - HEADER {
                buffer[before..out].copy_from_slice(&saved);
                return opened(out, at, true, len);
            }
            if kind != Kind::Payload as u8 {
                other(kind, &buffer[out..out + payload]);
            }
            buffer[before..out].copy_from_slice(&saved);
            if kind == Kind::Payload as u8 {
                out += payload;
            }
        }
    }

    /// An impossible length is answered by waiting for a possible one: what comes in between must not tell which bits of
    /// the length were hit (section 6 of "Plaintext Recovery Attacks Against SSH").
    fn expect(&mut self, obfuscated: u16, random: &mut impl Random) -> Expected {
        let length = usize::from(obfuscated ^ self.link.mask());
        if (MIN_BOX..=MAX_BOX).contains(&length) {
            return Expected {
                length,
                is_invalid: false,
            };
        }
        let made_up = below(random, (MAX_BOX - MIN_BOX + 1) as u32) as usize;
        Expected {
            length: MIN_BOX + made_up,
            is_invalid: true,
        }
    }
}

#[cfg(test)]
mod tests;
