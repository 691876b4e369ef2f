//! The outer shape of obfs4's handshake, as anybody who has the bridge line can make and check it: a representative,
//! padding, a mark and a MAC over the hour. Any 32 bytes are a representative, so nothing here needs a curve; what a
//! bridge then does with one is its own matter. Written from the protocol, apart from the module's own code.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Of a mark, and of a MAC.
const MARK: usize = 16;
/// The least and the most padding of a client.
pub(crate) const PADDING: std::ops::RangeInclusive<usize> = 77..=8128;
/// The most that either first flight may take.
pub(crate) const FLIGHT: usize = 8192;
/// The frame with the bridge's seed that follows its handshake: 2 + 16 + 3 + 24.
pub(crate) const SEED_FRAME: usize = 45;
/// The smallest frame: a length and a tag.
pub(crate) const SMALLEST_FRAME: usize = 18;
/// The largest.
pub(crate) const LARGEST_FRAME: usize = 1448;

/// What a bridge line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keys {
    /// 20 bytes.
    pub(crate) node_id: [u8; 20],
    /// Curve25519.
    pub(crate) public_key: [u8; 32],
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `n` random bytes.
pub(crate) fn random(n: usize) -> Vec<u8> {
    let mut bytes = vec![0; n];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}

/// The hour that it will be after `ahead`.
pub(crate) fn hour_after(ahead: Duration) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from((now + ahead).as_secs() / 3600).unwrap()
}

/// Longer than a flight is under way. With it, an hour that must not be too near or too far stays so if the bridge's
/// clock strikes in between.
pub(crate) const UNDER_WAY: Duration = Duration::from_secs(30);

impl Keys {
    fn mac(&self, parts: &[&[u8]]) -> Vec<u8> {
        let key = [self.public_key.as_slice(), &self.node_id].concat();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("any length will do");
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes()[..MARK].to_vec()
    }

    /// A bridge line's arguments in the form without a cert.
    pub(crate) fn old_form(&self, iat_mode: u8) -> Vec<u8> {
        let (node_id, public_key) = (hex(&self.node_id), hex(&self.public_key));
        format!("node-id={node_id};public-key={public_key};iat-mode={iat_mode}").into_bytes()
    }

    /// A client's first flight in this hour, with this much padding.
    pub(crate) fn first_flight(&self, hour: i64, padding: usize) -> Vec<u8> {
        let mut flight = random(32 + padding);
        let mark = self.mac(&[&flight[..32]]);
        flight.extend(mark);
        let mac = self.mac(&[&flight, hour.to_string().as_bytes()]);
        flight.extend(mac);
        flight
    }

    /// One that a bridge takes.
    pub(crate) fn good_flight(&self) -> Vec<u8> {
        self.first_flight(hour_after(Duration::ZERO), 500)
    }

    /// The hour of a first flight, if `said` is a whole one. One made in another hour than the last or this is none.
    pub(crate) fn flight_of(&self, said: &[u8]) -> Option<i64> {
        let padding = said.len().checked_sub(32 + 2 * MARK)?;
        let (covered, mac) = said.split_at(said.len() - MARK);
        let mark = &covered[32 + padding..];
        if !PADDING.contains(&padding) || mark != self.mac(&[&said[..32]]) {
            return None;
        }
        let now = hour_after(Duration::ZERO);
        let made_in = |hour: &i64| mac == self.mac(&[covered, hour.to_string().as_bytes()]);
        [now, now - 1].into_iter().find(made_in)
    }

    /// A bridge's answer in this hour, as far as it can be made without the bridge's secret: the agreement is random.
    pub(crate) fn answer(&self, hour: i64, padding: usize) -> Vec<u8> {
        let mut said = random(32 + 32 + padding);
        let mark = self.mac(&[&said[..32]]);
        said.extend(mark);
        let mac = self.mac(&[&said, hour.to_string().as_bytes()]);
        said.extend(mac);
        said
    }

    /// Where a bridge's handshake ends in `said`, if it is one, made in this hour; behind it comes the frame with the
    /// seed.
    pub(crate) fn answer_ends(&self, hour: i64, said: &[u8]) -> Option<usize> {
        let mark = self.mac(&[said.get(..32)?]);
        let behind = said.get(64..)?;
        let at = 64 + behind.windows(MARK).position(|window| *window == mark)?;
        let covered = at + MARK;
        let mac = self.mac(&[&said[..covered], hour.to_string().as_bytes()]);
        (said.get(covered..covered + MARK)? == mac).then_some(covered + MARK)
    }
}
