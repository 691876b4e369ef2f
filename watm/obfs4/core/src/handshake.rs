//! The two messages that open a connection: noise to everybody but the other end.
//!
//! In: keys, the hour, randomness, and what the peer has sent so far. Out: the message, and the keys of both directions.
//! What can go wrong is [`Refused`] alone: a peer that does not know the bridge's keys, that has the wrong hour, or that
//! somebody plays back. Whoever answers it says nothing (the host closes the connection at the bridge's own moment).
//!
//! Client: X' ‖ padding ‖ mark ‖ MAC. Server: Y' ‖ AUTH ‖ padding ‖ mark ‖ MAC, and a frame with the seed of its tables.
//! The mark is HMAC(B ‖ node id, representative), the MAC that of everything before it and the hour, both cut to half.

use crate::framing;
use crate::keys::{IdentityKey, NodeId, PublicKey, Representative, SessionKey};
use crate::ntor::{self, Secrets};
use crate::random::{Expanded, Random, below};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The longest message of either side.
pub const MAX_MESSAGE: usize = 8192;

const REPRESENTATIVE: usize = 32;
const AUTH: usize = 32;
const MARK: usize = 16;
const MAC: usize = 16;
const END: usize = MARK + MAC;
/// The frame with the seed follows the server's message; both sides' lengths are to have the same range.
const SEED_FRAME: usize = 45;
const CLIENT_MIN: usize = REPRESENTATIVE + END;
const SERVER_MIN: usize = REPRESENTATIVE + AUTH + END;
/// What a client pads at least, so that its message is as long as the server's shortest.
const CLIENT_MIN_PADDING: usize = SERVER_MIN + SEED_FRAME - CLIENT_MIN;
const CLIENT_MAX_PADDING: usize = MAX_MESSAGE - CLIENT_MIN;
const SERVER_MAX_PADDING: usize = MAX_MESSAGE - SERVER_MIN - SEED_FRAME;

/// The peer is none of ours, or not now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refused;

/// The keys of both directions, the client's first.
pub struct Keys(Zeroizing<[u8; 2 * framing::KEY]>);

impl Keys {
    /// The key of what the client sends.
    #[must_use]
    pub fn to_server(&self) -> &[u8; framing::KEY] {
        self.0.first_chunk().expect("the first half")
    }

    /// The key of what the server sends.
    #[must_use]
    pub fn to_client(&self) -> &[u8; framing::KEY] {
        self.0.last_chunk().expect("the second half")
    }
}

type Half = [u8; 16];

/// HMAC-SHA256 under the bridge's identity.
struct Seal(Hmac<Sha256>);

impl Seal {
    fn new(identity: &PublicKey, node: &NodeId) -> Seal {
        let mut key = [0; 52];
        key[..32].copy_from_slice(identity.as_bytes());
        key[32..].copy_from_slice(node.as_bytes());
        Seal(KeyInit::new_from_slice(&key).expect("a key of any length"))
    }

    fn over(&self, parts: &[&[u8]]) -> Half {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(part);
        }
        half(mac)
    }
}

fn half(mac: Hmac<Sha256>) -> Half {
    let whole: [u8; 32] = mac.finalize().into_bytes().into();
    *whole.first_chunk().expect("half of it")
}

/// Hours since 1970, as both messages have them: in decimal.
#[derive(Clone, Copy)]
struct Hour {
    digits: [u8; 20],
    start: usize,
}

impl Hour {
    fn new(mut hour: u64) -> Hour {
        let mut digits = [b'0'; 20];
        let mut start = digits.len();
        loop {
            start -= 1;
            digits[start] = b'0' + (hour % 10) as u8;
            hour /= 10;
            if hour == 0 {
                return Hour { digits, start };
            }
        }
    }

    fn text(&self) -> &[u8] {
        &self.digits[self.start..]
    }
}

/// A client that has sent its message, or is about to.
pub struct Client {
    session: SessionKey,
    node: NodeId,
    identity: PublicKey,
    seal: Seal,
    hour: Hour,
}

impl Client {
    /// Begins in this hour since 1970; `session` is to be made before anything is sent, since making it takes a time of
    /// its own.
    #[must_use]
    pub fn new(session: SessionKey, node: NodeId, identity: PublicKey, hour: u64) -> Client {
        Client {
            seal: Seal::new(&identity, &node),
            hour: Hour::new(hour),
            session,
            node,
            identity,
        }
    }

    /// Writes the message, and says how long it is.
    pub fn message(&self, out: &mut [u8; MAX_MESSAGE], random: &mut impl Random) -> usize {
        let range = (CLIENT_MAX_PADDING - CLIENT_MIN_PADDING + 1) as u32;
        let padding = CLIENT_MIN_PADDING + below(random, range) as usize;
        let representative = self.session.representative();
        out[..REPRESENTATIVE].copy_from_slice(representative.as_bytes());
        let end = REPRESENTATIVE + padding;
        Expanded::new(random).fill(&mut out[REPRESENTATIVE..end]);
        close(&self.seal, representative.as_bytes(), &self.hour, out, end)
    }

    /// Looks at all that the server has sent: none yet, or how long its message is and the keys.
    pub fn answer(&self, received: &[u8]) -> Result<Option<(usize, Keys)>, Refused> {
        if received.len() < SERVER_MIN {
            return Ok(None);
        }
        let (representative, rest) = received.split_first_chunk().expect("longer than that");
        let auth: &[u8; AUTH] = rest.first_chunk().expect("longer than that");
        let mark = self.seal.over(&[representative]);
        let within = &received[..received.len().min(MAX_MESSAGE)];
        let Some(at) = find(&mark, &within[REPRESENTATIVE + AUTH..]) else {
            return if within.len() == MAX_MESSAGE {
                Err(Refused)
            } else {
                Ok(None)
            };
        };
        let end = REPRESENTATIVE + AUTH + at + MARK;
        let mac = self.seal.over(&[&received[..end], self.hour.text()]);
        let is_ours = mac.ct_eq(&received[end..end + MAC]);
        if !bool::from(is_ours) {
            return Err(Refused);
        }
        let server = Representative::from_bytes(*representative).to_public();
        let secrets = ntor::client(&self.session, &server, &self.identity, &self.node);
        let secrets = secrets.ok_or(Refused)?;
        if !secrets.auth_is(auth) {
            return Err(Refused);
        }
        Ok(Some((end + MAC, Keys(secrets.seed.expand()))))
    }
}

/// Where the mark lies, with room for the MAC after it.
fn find(mark: &Half, bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    let places = bytes.len().checked_sub(END)? + 1;
    let is_at = |at: &usize| bytes[*at..*at + MARK].iter().eq(mark);
    // Eight places at a time: where none has the mark's first byte, no byte of the difference is 0.
    let (words, rest) = bytes[..places].as_chunks::<8>();
    for (i, word) in words.iter().enumerate() {
        let difference = u64::from_le_bytes(*word) ^ (u64::from(mark[0]) * ONES);
        let has_zero = difference.wrapping_sub(ONES) & !difference & (ONES << 7) != 0;
        if has_zero && let Some(at) = (8 * i..8 * i + 8).find(is_at) {
            return Some(at);
        }
    }
    (places - rest.len()..places).find(is_at)
}

/// Puts mark and MAC at `end`, and says where the message ends.
fn close(seal: &Seal, representative: &[u8], hour: &Hour, out: &mut [u8], mut end: usize) -> usize {
    out[end..end + MARK].copy_from_slice(&seal.over(&[representative]));
    end += MARK;
    let mac = seal.over(&[&out[..end], hour.text()]);
    out[end..end + MAC].copy_from_slice(&mac);
    end + MAC
}

/// A server that waits for a client's message.
pub struct Server<'a> {
    session: SessionKey,
    node: &'a NodeId,
    identity: &'a IdentityKey,
    seal: Seal,
    mark: Option<Half>,
}

/// A client's message that was good.
pub struct Accepted {
    hour: Hour,
    secrets: Secrets,
}

impl<'a> Server<'a> {
    /// Waits; `session` is to be made before anything is read.
    #[must_use]
    pub fn new(session: SessionKey, node: &'a NodeId, identity: &'a IdentityKey) -> Server<'a> {
        Server {
            seal: Seal::new(identity.public(), node),
            session,
            node,
            identity,
            mark: None,
        }
    }

    /// Looks at all that the client has sent, in this hour since 1970. `is_new` takes note of a MAC, and says whether it
    /// was not seen before.
    pub fn request(
        &mut self,
        received: &[u8],
        hour: u64,
        mut is_new: impl FnMut(&Half) -> bool,
    ) -> Result<Option<Accepted>, Refused> {
        if received.len() < CLIENT_MIN + CLIENT_MIN_PADDING {
            return Ok(None);
        }
        let representative = received.first_chunk().expect("longer than that");
        let seal = &self.seal;
        let mark = *self
            .mark
            .get_or_insert_with(|| seal.over(&[representative]));
        // A client says nothing more before it is answered: its mark is at the end of what has come.
        let within = &received[..received.len().min(MAX_MESSAGE)];
        let at = within.len() - END;
        if !bool::from(mark.ct_eq(&within[at..at + MARK])) {
            return if within.len() == MAX_MESSAGE {
                Err(Refused)
            } else {
                Ok(None)
            };
        }
        let end = at + MARK;
        let mac: Half = *within[end..].first_chunk().expect("the end of it");
        let mut so_far = seal.0.clone();
        so_far.update(&within[..end]);
        // All three, whichever fits: how long it takes must not tell.
        let mut found = None;
        for hour in [hour, hour.wrapping_sub(1), hour.wrapping_add(1)].map(Hour::new) {
            let mut whole = so_far.clone();
            whole.update(hour.text());
            if bool::from(half(whole).ct_eq(&mac)) {
                found = Some(hour);
            }
        }
        let hour = found.ok_or(Refused)?;
        if !is_new(&mac) || received.len() != end + MAC {
            return Err(Refused);
        }
        let client = Representative::from_bytes(*representative).to_public();
        let secrets = ntor::server(&client, &self.session, self.identity, self.node);
        let secrets = secrets.ok_or(Refused)?;
        Ok(Some(Accepted { hour, secrets }))
    }

    /// Writes the answer to a message that was good; says how long it is, and the keys. The frame with the seed is to follow
    /// in the same write.
    pub fn answer(
        &self,
        accepted: &Accepted,
        out: &mut [u8; MAX_MESSAGE],
        random: &mut impl Random,
    ) -> (usize, Keys) {
        let padding = below(random, (SERVER_MAX_PADDING + 1) as u32) as usize;
        let representative = self.session.representative();
        let start = REPRESENTATIVE + AUTH;
        out[..REPRESENTATIVE].copy_from_slice(representative.as_bytes());
        out[REPRESENTATIVE..start].copy_from_slice(&accepted.secrets.auth);
        Expanded::new(random).fill(&mut out[start..start + padding]);
        let end = close(
            &self.seal,
            representative.as_bytes(),
            &accepted.hour,
            out,
            start + padding,
        );
        (end, Keys(accepted.secrets.seed.expand()))
    }
}

#[cfg(test)]
mod tests;
