//! Bytes that can be told apart by where they stand, for bulk transfers that are compared whole without being kept.
//!
//! In: a seed and an offset. Out: bytes, the same every time; or the place of the first wrong one. Can go wrong: the
//! stream ends, resets, stops moving, or brings something else.

use std::fmt;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::wire::Ended;
use crate::verdict::Failure;

/// What is written or read at once.
const PIECE: usize = 32 << 10;

/// Why a transfer did not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// How many bytes were right, or were written.
    pub at: u64,
    /// What was then.
    pub why: Why,
}

/// What stopped a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The stream took or brought no more.
    Ended(Ended),
    /// Another byte than the pattern's.
    Wrong,
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.why {
            Why::Ended(ended) => write!(f, "{ended} after {} bytes", self.at),
            Why::Wrong => write!(f, "a wrong byte at offset {}", self.at),
        }
    }
}

impl From<Stopped> for Failure {
    fn from(stopped: Stopped) -> Self {
        Failure::Deviation(format!("a transfer stopped: {stopped}"))
    }
}

/// The `len` bytes of the pattern at `offset`. Two seeds, and two places of one seed, differ within a few bytes.
pub fn pattern(seed: u64, offset: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    fill(seed, offset, &mut bytes);
    bytes
}

/// Compares bytes with the pattern at `offset`; the error is the offset of the first wrong byte, counted from the
/// pattern's start.
pub fn check(seed: u64, offset: u64, bytes: &[u8]) -> Result<(), u64> {
    let expected = pattern(seed, offset, bytes.len());
    match expected
        .iter()
        .zip(bytes)
        .position(|(wanted, found)| wanted != found)
    {
        None => Ok(()),
        Some(at) => Err(offset + at as u64),
    }
}

/// Writes the first `total` bytes of the pattern. A write that makes no progress for `stall` ends it.
pub async fn pump(
    stream: &mut (impl AsyncWrite + Unpin),
    seed: u64,
    total: u64,
    stall: Duration,
) -> Result<(), Stopped> {
    let mut piece = vec![0; PIECE];
    let mut at = 0;
    while at < total {
        let size = size(total - at);
        fill(seed, at, &mut piece[..size]);
        let mut rest = &piece[..size];
        while !rest.is_empty() {
            let ended = match timeout(stall, stream.write(rest)).await {
                Ok(Ok(n)) if n > 0 => {
                    rest = &rest[n..];
                    at += n as u64;
                    continue;
                }
                Ok(_) => Ended::Reset,
                Err(_) => Ended::Silent,
            };
            return Err(Stopped {
                at,
                why: Why::Ended(ended),
            });
        }
        // The reader is often on the same thread.
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Reads `total` bytes and compares them with the pattern. A read that brings nothing for `stall` ends it; nothing is
/// read beyond `total`.
pub async fn expect_pattern(
    stream: &mut (impl AsyncRead + Unpin),
    seed: u64,
    total: u64,
    stall: Duration,
) -> Result<(), Stopped> {
    let mut piece = vec![0; PIECE];
    let mut at = 0;
    while at < total {
        let room = &mut piece[..size(total - at)];
        let ended = match timeout(stall, stream.read(room)).await {
            Ok(Ok(0)) => Ended::Eof,
            Ok(Ok(n)) => {
                check(seed, at, &room[..n]).map_err(|at| Stopped {
                    at,
                    why: Why::Wrong,
                })?;
                at += n as u64;
                continue;
            }
            Ok(Err(_)) => Ended::Reset,
            Err(_) => Ended::Silent,
        };
        return Err(Stopped {
            at,
            why: Why::Ended(ended),
        });
    }
    Ok(())
}

/// How much of what is left goes into one piece.
fn size(left: u64) -> usize {
    usize::try_from(left).unwrap_or(PIECE).min(PIECE)
}

/// SplitMix64 at the word's number, so that any place can be had without those before it.
fn word(seed: u64, number: u64) -> [u8; 8] {
    let mut word = seed
        .wrapping_mul(0xd134_2543_de82_ef95)
        .wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (word ^ (word >> 31)).to_le_bytes()
}

fn fill(seed: u64, offset: u64, mut bytes: &mut [u8]) {
    let mut number = offset / 8;
    // Below 8, so it fits.
    let mut skip = (offset % 8) as usize;
    while !bytes.is_empty() {
        let word = word(seed, number);
        let count = bytes.len().min(8 - skip);
        let (now, later) = bytes.split_at_mut(count);
        now.copy_from_slice(&word[skip..skip + count]);
        bytes = later;
        number += 1;
        skip = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::instruments::wire::SOON;

    const STALL: Duration = Duration::from_millis(50);

    proptest! {
        #[test]
        fn every_place_is_the_same_from_anywhere(
            seed: u64, start in 0_u64..1 << 40, skip in 0_usize..100, len in 0_usize..100
        ) {
            let whole = pattern(seed, start, 200);
            let part = pattern(seed, start + skip as u64, len);
            prop_assert_eq!(&whole[skip..skip + len], &part);
            prop_assert_eq!(check(seed, start + skip as u64, &part), Ok(()));
        }

        #[test]
        fn the_first_wrong_byte_is_found(seed: u64, start in 0_u64..1 << 40, at in 0_usize..99, bit in 0..8) {
            let mut bytes = pattern(seed, start, 100);
            bytes[at] ^= 1_u8 << bit;
            bytes[99] ^= 1;
            prop_assert_eq!(check(seed, start, &bytes), Err(start + at as u64));
        }

        #[test]
        fn a_shift_or_another_seed_shows(seed: u64, by in 1_u64..10_000) {
            let bytes = pattern(seed, 0, 32);
            prop_assert!(check(seed, by, &bytes).is_err());
            prop_assert!(check(seed.wrapping_add(by), 0, &bytes).is_err());
        }
    }

    #[tokio::test]
    async fn a_transfer_is_compared_whole() {
        let (mut near, mut far) = tokio::io::duplex(1000);
        let total = 300_001;
        let (sent, read) = tokio::join!(
            pump(&mut near, 7, total, SOON),
            expect_pattern(&mut far, 7, total, SOON),
        );
        assert_eq!((sent, read), (Ok(()), Ok(())));
    }

    #[tokio::test]
    async fn what_stops_a_transfer_is_told() {
        let (mut near, mut far) = tokio::io::duplex(1000);
        let stuck = pump(&mut near, 7, 5000, STALL).await;
        assert_eq!(
            stuck,
            Err(Stopped {
                at: 1000,
                why: Why::Ended(Ended::Silent)
            })
        );
        let other = expect_pattern(&mut far, 8, 1000, STALL).await;
        assert_eq!(other.expect_err("another seed").why, Why::Wrong);
        let silent = expect_pattern(&mut near, 7, 1, STALL).await;
        assert_eq!(
            silent,
            Err(Stopped {
                at: 0,
                why: Why::Ended(Ended::Silent)
            })
        );
        drop(far);
        let ended = expect_pattern(&mut near, 7, 1, STALL).await;
        assert_eq!(
            ended.expect_err("gone").to_string(),
            "closed (FIN) after 0 bytes"
        );
        let reset = pump(&mut near, 7, 1, STALL).await;
        assert_eq!(
            reset,
            Err(Stopped {
                at: 0,
                why: Why::Ended(Ended::Reset)
            })
        );
    }
}
