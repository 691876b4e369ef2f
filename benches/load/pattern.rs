//! Bytes that are cheap to make and cheap to check, and different at every position of a stream.
//!
//! In: a stream to fill or to check. Out: how far it got. What can go wrong: a byte that differs,
//! or a stream that ends early or late; both are said with the position.

use std::time::Duration;

use anyhow::{bail, ensure};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Of odd length, so that it drifts against every buffer size in the path.
const BLOCK: usize = 256 * 1024 + 21;

/// How far apart the stamps in a block are: less than what any buffer in the path holds, so that no
/// buffer can be lost, repeated or swapped for another without the stamps showing it.
const STAMP_EVERY: usize = 4096;

/// An endless stream: fixed noise, with the running number of each stretch stamped into it.
pub(crate) struct Pattern {
    block: Vec<u8>,
    number: u64,
    offset: usize,
}

impl Pattern {
    pub(crate) fn new() -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let noise = std::iter::repeat_with(|| {
            // xorshift64
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        });
        let mut pattern = Pattern {
            block: noise.take(BLOCK).collect(),
            number: 0,
            offset: 0,
        };
        pattern.stamp();
        pattern
    }

    /// What comes next, up to the end of the block.
    fn rest(&self) -> &[u8] {
        &self.block[self.offset..]
    }

    fn advance(&mut self, count: usize) {
        self.offset += count;
        if self.offset == self.block.len() {
            self.offset = 0;
            self.number += 1;
            self.stamp();
        }
    }

    fn stamp(&mut self) {
        let number = self.number.to_be_bytes();
        for stretch in self.block.chunks_exact_mut(STAMP_EVERY) {
            stretch[..8].copy_from_slice(&number);
        }
    }

    fn position(&self) -> u64 {
        self.number * BLOCK as u64 + self.offset as u64
    }

    /// Compares what arrived with what comes next.
    fn check(&mut self, mut arrived: &[u8]) -> anyhow::Result<()> {
        while !arrived.is_empty() {
            let count = arrived.len().min(self.rest().len());
            if arrived[..count] != self.rest()[..count] {
                let mut both = arrived.iter().zip(self.rest());
                let same = both.position(|(a, b)| a != b).unwrap_or(count);
                bail!("corrupt: byte {} differs", self.position() + same as u64);
            }
            self.advance(count);
            arrived = &arrived[count..];
        }
        Ok(())
    }
}

/// Writes that much of the pattern.
pub(crate) async fn send(stream: &mut (impl AsyncWrite + Unpin), bytes: u64) -> anyhow::Result<()> {
    let mut pattern = Pattern::new();
    while pattern.position() < bytes {
        let left = usize::try_from(bytes - pattern.position()).unwrap_or(usize::MAX);
        let rest = pattern.rest();
        let written = stream.write(&rest[..rest.len().min(left)]).await?;
        ensure!(written > 0, "the stream takes nothing any more");
        pattern.advance(written);
    }
    stream.flush().await?;
    Ok(())
}

/// Reads and checks that much of the pattern; what `pace` says may follow each read.
pub(crate) async fn receive(
    stream: &mut (impl AsyncRead + Unpin),
    bytes: u64,
    pace: Option<Pace>,
) -> anyhow::Result<()> {
    let mut pattern = Pattern::new();
    let mut buffer = vec![0; pace.map_or(BLOCK, |pace| pace.bytes)];
    let mut ticks = pace.map(|pace| tokio::time::interval(pace.every));
    while pattern.position() < bytes {
        if let Some(ticks) = &mut ticks {
            ticks.tick().await;
        }
        let left = usize::try_from(bytes - pattern.position()).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        let count = stream.read(&mut buffer[..wanted]).await?;
        let position = pattern.position();
        ensure!(count > 0, "cut short: {position} of {bytes} bytes arrived");
        pattern.check(&buffer[..count])?;
    }
    Ok(())
}

/// A reader's speed limit.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    /// At most this much ...
    pub(crate) bytes: usize,
    /// ... this often.
    pub(crate) every: Duration,
}
