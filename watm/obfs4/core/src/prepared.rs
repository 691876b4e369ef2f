//! What all connections of a bridge have in common, computed once: its public key and its tables.
//!
//! In, at the set-up run: the bridge's identity. Out: a file of binary numbers, kept beside the state. In, at a connection:
//! the state file and this one. Out: the identity and the tables, bit for bit those that would have been computed. What can
//! go wrong with this file does no harm: one that is missing, damaged or of another identity is passed over, and everything
//! is computed as if there were none. To know that, it begins with a MAC under the private key, over its contents and over
//! everything that they were computed from.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::arguments::IatMode;
use crate::burst::{MAX_PAUSE, Tables};
use crate::distribution::{Distribution, VALUES};
use crate::drbg::Seed;
use crate::fault::Fault;
use crate::framing::MAX_FRAME;
use crate::identity::Identity;
use crate::keys::PublicKey;

/// The file, in `/state/`.
pub const FILE: &str = "connection";
/// Bytes of the longest such file.
pub const LENGTH: usize = MAC + PUBLIC + 2 * (1 + VALUES * ENTRY);

/// To be changed with the format, and with whatever would make other tables of the same seed.
const VERSION: &[u8] = b"obfs4 connection 1";
const MAC: usize = 32;
const PUBLIC: usize = 32;
/// A value, an alias, the bits of a probability.
const ENTRY: usize = 2 + 1 + 8;

/// Writes the file to the front of `out`, and says how long it is.
#[must_use]
pub fn write(identity: &Identity, is_biased: bool, out: &mut [u8; LENGTH]) -> usize {
    let (seed, mode) = (&identity.drbg_seed, identity.iat_mode);
    let tables = Tables::new(seed, mode, is_biased);
    out[MAC..MAC + PUBLIC].copy_from_slice(identity.key.public().as_bytes());
    let mut end = MAC + PUBLIC;
    end += write_table(&tables.lengths, &mut out[end..]);
    if let Some(pauses) = &tables.pauses {
        end += write_table(pauses, &mut out[end..]);
    }
    let (mac, contents) = out[..end].split_at_mut(MAC);
    let made = seal(
        identity.key.private_bytes(),
        seed,
        mode,
        is_biased,
        contents,
    );
    mac.copy_from_slice(&made.finalize().into_bytes());
    end
}

/// The identity in a state file, and its tables: from the prepared file if that fits, computed otherwise.
pub fn read(
    stored: &[u8],
    prepared: Option<&[u8]>,
    is_biased: bool,
) -> Result<(Identity, Tables), Fault> {
    let mut tables = None;
    let identity = Identity::read(stored, |private, seed, mode| {
        let (mac, contents) = prepared?.split_at_checked(MAC)?;
        seal(private, seed, mode, is_biased, contents)
            .verify_slice(mac)
            .ok()?;
        let (public, found) = parse(contents, mode)?;
        tables = Some(found);
        Some(public)
    })?;
    let tables =
        tables.unwrap_or_else(|| Tables::new(&identity.drbg_seed, identity.iat_mode, is_biased));
    Ok((identity, tables))
}

fn seal(
    private: &[u8; 32],
    seed: &Seed,
    mode: IatMode,
    is_biased: bool,
    contents: &[u8],
) -> Hmac<Sha256> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(private).expect("a key of any length");
    mac.update(VERSION);
    mac.update(seed.as_bytes());
    mac.update(&[mode.number(), is_biased.into()]);
    mac.update(contents);
    mac
}

fn parse(contents: &[u8], mode: IatMode) -> Option<(PublicKey, Tables)> {
    let (public, rest) = contents.split_first_chunk()?;
    let (lengths, rest) = read_table(rest, MAX_FRAME as u16)?;
    let (pauses, rest) = match mode {
        IatMode::None => (None, rest),
        _ => {
            let (pauses, rest) = read_table(rest, MAX_PAUSE)?;
            (Some(pauses), rest)
        }
    };
    let public = PublicKey::from_bytes(*public);
    rest.is_empty()
        .then_some((public, Tables { lengths, pauses }))
}

fn write_table(table: &Distribution, out: &mut [u8]) -> usize {
    let (values, rest) = (table.values(), &mut out[1..]);
    for (i, entry) in rest.as_chunks_mut::<ENTRY>().0[..values.len()]
        .iter_mut()
        .enumerate()
    {
        let [v0, v1] = values[i].to_le_bytes();
        let [p0, p1, p2, p3, p4, p5, p6, p7] = table.probabilities()[i].to_le_bytes();
        *entry = [v0, v1, table.aliases()[i], p0, p1, p2, p3, p4, p5, p6, p7];
    }
    out[0] = values.len() as u8;
    1 + values.len() * ENTRY
}

fn read_table(bytes: &[u8], max: u16) -> Option<(Distribution, &[u8])> {
    let (&length, rest) = bytes.split_first()?;
    let (entries, rest) = rest.split_at_checked(usize::from(length) * ENTRY)?;
    let entries = entries.as_chunks::<ENTRY>().0.iter().map(|entry| {
        let [v0, v1, alias, probability @ ..] = *entry;
        (
            u16::from_le_bytes([v0, v1]),
            alias,
            f64::from_le_bytes(probability),
        )
    });
    Some((Distribution::assemble(entries, max)?, rest))
}

#[cfg(test)]
mod tests;
