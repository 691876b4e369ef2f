//! What a bridge keeps: `obfs4_state.json` and `obfs4_bridgeline.txt`, as obfs4proxy and lyrebird keep them.
//!
//! In: the options of the operator, and the state file if there is one. Out: the bridge's [`Identity`], and the two
//! files' texts, byte for byte the incumbents'. What can go wrong: [`Fault`]; then nothing must be written, since a state
//! that is lost is a bridge line that no longer works.
//!
//! Rules: `node-id`, `private-key` and `drbg-seed` are given all together, and then the file is not looked at, or not at
//! all. `iat-mode` may be given alone; it goes before the file's, and is kept. A state made from options says
//! `"public-key":""`, as the incumbents' does.

use watm_json::{Object, Value};
use zeroize::Zeroizing;

use crate::arguments::IatMode;
use crate::cert;
use crate::drbg::Seed;
use crate::fault::{Fault, Flaw, Place};
use crate::hex;
use crate::keys::{IdentityKey, NodeId, PublicKey};
use crate::random::Random;
use crate::text::Text;

/// The state file, in `/state/`.
pub const STATE_FILE: &str = "obfs4_state.json";
/// The bridge line with its explanation, in `/state/`: for people, never read.
pub const BRIDGE_LINE_FILE: &str = "obfs4_bridgeline.txt";
/// Bytes of the longest state file that is written.
pub const STATE: usize = 291;
/// Bytes of the bridge line's file.
pub const BRIDGE_LINE: usize = 570;

const EXPLANATION: &[u8] = b"\
# obfs4 torrc client bridge line
#
# This file is an automatically generated bridge line based on
# the current obfs4proxy configuration.  EDITING IT WILL HAVE
# NO EFFECT.
#
# Before distributing this Bridge, edit the placeholder fields
# to contain the actual values:
#  <IP ADDRESS>  - The public IP address of your obfs4 bridge.
#  <PORT>        - The TCP/IP port of your obfs4 bridge.
#  <FINGERPRINT> - The bridge's fingerprint.

Bridge obfs4 <IP ADDRESS>:<PORT> <FINGERPRINT> cert=";

/// Who a bridge is.
pub struct Identity {
    /// With the public key, the key of the marks.
    pub node_id: NodeId,
    /// The key that a client knows from its bridge line.
    pub key: IdentityKey,
    /// What the bridge's length and delay tables, and its close delay, are made of.
    pub drbg_seed: Seed,
    /// How the bridge shapes what it sends.
    pub iat_mode: IatMode,
    /// Whether the state file shows the public key, which nobody reads there.
    shows_public_key: bool,
}

impl Identity {
    /// What an operator's options and a state file come to: a set-up run. The result is to be written back.
    pub fn establish<'a>(
        option: impl Fn(&str) -> Option<&'a [u8]>,
        stored: Option<&[u8]>,
        random: &mut impl Random,
    ) -> Result<Identity, Fault> {
        let mut draft = Draft::default();
        let mut place = Place::Options;
        for name in [PRIVATE_KEY, NODE_ID, DRBG_SEED] {
            if let Some(text) = option(name) {
                draft
                    .take(name, text.iter().copied())
                    .map_err(|flaw| place.fault(name, flaw))?;
            }
        }
        if draft.is_empty() {
            let Some(stored) = stored else {
                let mode = mode_among(&option)?.unwrap_or(IatMode::None);
                return Ok(Identity::generate(mode, random));
            };
            draft = Draft::read(stored)?;
            place = Place::StateFile;
        }
        if let Some(mode) = mode_among(&option)? {
            draft.iat_mode = Ok(mode);
        }
        draft.finish(place, |_, _, _| None)
    }

    /// What a state file says: a connection. `public` may know the public key of this private key, seed and mode.
    pub(crate) fn read(
        stored: &[u8],
        public: impl FnOnce(&[u8; 32], &Seed, IatMode) -> Option<PublicKey>,
    ) -> Result<Identity, Fault> {
        Draft::read(stored)?.finish(Place::StateFile, public)
    }

    fn generate(iat_mode: IatMode, random: &mut impl Random) -> Identity {
        let mut node_id = [0; 20];
        random.fill(&mut node_id);
        let key = IdentityKey::generate(random);
        let mut seed = Zeroizing::new([0; 24]);
        random.fill(seed.as_mut_slice());
        Identity {
            node_id: NodeId::from_bytes(node_id),
            key,
            drbg_seed: Seed::from_bytes(*seed),
            iat_mode,
            shows_public_key: true,
        }
    }

    /// The state file's text.
    #[must_use]
    pub fn state(&self) -> Text<STATE> {
        let mut text = Text::new(b"{\"node-id\":\"");
        text.push_hex(self.node_id.as_bytes())
            .push(b"\",\"private-key\":\"")
            .push_hex(self.key.private_bytes())
            .push(b"\",\"public-key\":\"");
        if self.shows_public_key {
            text.push_hex(self.key.public().as_bytes());
        }
        text.push(b"\",\"drbg-seed\":\"")
            .push_hex(self.drbg_seed.as_bytes())
            .push(b"\",\"iat-mode\":")
            .push_number(self.iat_mode.number().into())
            .push(b"}");
        text
    }

    /// The text of the bridge line's file.
    #[must_use]
    pub fn bridge_line(&self) -> Text<BRIDGE_LINE> {
        let mut text = Text::new(EXPLANATION);
        text.push(&self.cert())
            .push(b" iat-mode=")
            .push_number(self.iat_mode.number().into())
            .push(b"\n");
        text
    }

    /// The `cert=` of its bridge line.
    #[must_use]
    pub fn cert(&self) -> [u8; cert::LENGTH] {
        cert::encode(&self.node_id, self.key.public())
    }
}

const NODE_ID: &str = "node-id";
const PRIVATE_KEY: &str = "private-key";
const PUBLIC_KEY: &str = "public-key";
const DRBG_SEED: &str = "drbg-seed";
const IAT_MODE: &str = "iat-mode";

/// The values that have been met so far.
struct Draft {
    node_id: Option<[u8; 20]>,
    private_key: Option<Zeroizing<[u8; 32]>>,
    drbg_seed: Option<Zeroizing<[u8; 24]>>,
    iat_mode: Result<IatMode, Flaw>,
    shows_public_key: bool,
}

impl Default for Draft {
    fn default() -> Draft {
        Draft {
            node_id: None,
            private_key: None,
            drbg_seed: None,
            iat_mode: Ok(IatMode::None),
            shows_public_key: false,
        }
    }
}

impl Draft {
    /// As Go's `encoding/json` fills a struct: keys in any case, the last of a repeated one, `null` and unknown keys
    /// passed over.
    fn read(stored: &[u8]) -> Result<Draft, Fault> {
        let fault = |name, flaw| Place::StateFile.fault(name, flaw);
        let object = Object::parse(stored).map_err(|_| fault("", Flaw::NotJson))?;
        let mut draft = Draft::default();
        for (key, value) in object.entries() {
            let known = [NODE_ID, PRIVATE_KEY, PUBLIC_KEY, DRBG_SEED, IAT_MODE]
                .into_iter()
                .find(|name| {
                    key.bytes()
                        .map(|byte| byte.to_ascii_lowercase())
                        .eq(name.bytes())
                });
            let taken = match (known, value) {
                (None, _) | (_, Value::Null) => continue,
                (Some(IAT_MODE), Value::Number(digits)) => draft.take_mode(digits),
                (Some(IAT_MODE), _) => Err(Flaw::Kind),
                (Some(name), Value::Text(text)) => draft.take(name, text.bytes()),
                (Some(_), _) => Err(Flaw::Kind),
            };
            taken.map_err(|flaw| fault(known.unwrap_or(""), flaw))?;
        }
        Ok(draft)
    }

    fn is_empty(&self) -> bool {
        self.node_id.is_none() && self.private_key.is_none() && self.drbg_seed.is_none()
    }

    fn take(&mut self, name: &str, digits: impl Iterator<Item = u8>) -> Result<(), Flaw> {
        match name {
            NODE_ID => self.node_id = Some(hex::decode(digits, false)?),
            PRIVATE_KEY => self.private_key = Some(hex::decode(digits, false)?.into()),
            // A longer seed is cut, by the incumbents as well.
            DRBG_SEED => self.drbg_seed = Some(hex::decode(digits, true)?.into()),
            // It follows from the private key.
            _ => self.shows_public_key = digits.count() > 0,
        }
        Ok(())
    }

    /// A whole number that is no mode is no fault yet: an option may replace it.
    fn take_mode(&mut self, digits: &[u8]) -> Result<(), Flaw> {
        if digits.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
            return Err(Flaw::Kind);
        }
        self.iat_mode = IatMode::parse(digits);
        Ok(())
    }

    fn finish(
        self,
        place: Place,
        public: impl FnOnce(&[u8; 32], &Seed, IatMode) -> Option<PublicKey>,
    ) -> Result<Identity, Fault> {
        let missing = |name| move || place.fault(name, Flaw::Missing);
        let private_key = self.private_key.ok_or_else(missing(PRIVATE_KEY))?;
        let node_id = self.node_id.ok_or_else(missing(NODE_ID))?;
        let drbg_seed = self.drbg_seed.ok_or_else(missing(DRBG_SEED))?;
        let drbg_seed = Seed::from_bytes(*drbg_seed);
        let iat_mode = self.iat_mode.map_err(|flaw| place.fault(IAT_MODE, flaw))?;
        let key = match public(&private_key, &drbg_seed, iat_mode) {
            Some(public) => IdentityKey::from_halves(*private_key, public),
            None => IdentityKey::from_private(*private_key),
        };
        Ok(Identity {
            node_id: NodeId::from_bytes(node_id),
            key,
            drbg_seed,
            iat_mode,
            shows_public_key: self.shows_public_key,
        })
    }
}

fn mode_among<'a>(option: impl Fn(&str) -> Option<&'a [u8]>) -> Result<Option<IatMode>, Fault> {
    option(IAT_MODE)
        .map(IatMode::parse)
        .transpose()
        .map_err(|flaw| Place::Options.fault(IAT_MODE, flaw))
}

#[cfg(test)]
mod tests;
