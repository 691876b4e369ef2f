//! What a session does to the bytes of one direction.
//!
//! A [`Transform`] changes bytes in place, one for one. A [`Codec`] is everything else: it says
//! where in its buffer the next read goes, and then, piece by piece, what is to be written, with
//! pauses if it likes.

use crate::errno::Errno;

/// The largest read.
pub const MAX_READ: usize = 256 << 10;
/// The buffer of a direction: the largest read, and what a codec keeps in front of it or adds.
pub const SPACE: usize = MAX_READ + (4 << 10);

/// Changes bytes in place on their way through. What one end's transform does, the other end's
/// undoes, and chunks arrive cut anywhere: a transform sees a stream.
pub trait Transform {
    /// Changes the next bytes of the stream.
    fn apply(&mut self, bytes: &mut [u8]);
}

/// Changes nothing.
#[derive(Clone, Copy, Default, Debug)]
pub struct Identity;

impl Transform for Identity {
    fn apply(&mut self, _bytes: &mut [u8]) {}
}

/// A part of the buffer to write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Piece {
    /// Its first byte.
    pub start: usize,
    /// The byte after its last.
    pub end: usize,
    /// How long to wait after it, in nanoseconds.
    pub pause: u64,
}

/// One direction of a session. The calls come in the order space, arrived, next until it says
/// none, space; or, at the end of the stream, space, end. The outer side's begins with next: a
/// handshake ([`with_buffer`](crate::duplex::with_buffer)) may have left something. The buffer is [`SPACE`] bytes, holds
/// what was left in it from `arrived` to the last `next`, and nothing of that afterwards.
pub trait Codec {
    /// Where the next read goes: some of the buffer, at most `wish` bytes, at least one.
    fn space<'a>(&mut self, buffer: &'a mut [u8], wish: usize) -> &'a mut [u8];

    /// So many bytes have been read to there.
    fn arrived(&mut self, buffer: &mut [u8], n: usize) -> Result<(), Errno>;

    /// The next piece to write, or none until more has been read. An error ends the session; what
    /// was returned before it has been written.
    fn next(&mut self, buffer: &mut [u8]) -> Result<Option<Piece>, Errno>;

    /// The stream has ended; an error says that it must not have, here.
    fn end(&mut self) -> Result<(), Errno> {
        Ok(())
    }
}

/// A transform as a codec.
pub(crate) struct InPlace<'a, T> {
    transform: &'a mut T,
    len: usize,
}

impl<'a, T: Transform> InPlace<'a, T> {
    pub(crate) fn new(transform: &'a mut T) -> InPlace<'a, T> {
        InPlace { transform, len: 0 }
    }
}

impl<T: Transform> Codec for InPlace<'_, T> {
    fn space<'a>(&mut self, buffer: &'a mut [u8], wish: usize) -> &'a mut [u8] {
        &mut buffer[..wish]
    }

    fn arrived(&mut self, buffer: &mut [u8], n: usize) -> Result<(), Errno> {
        self.transform.apply(&mut buffer[..n]);
        self.len = n;
        Ok(())
    }

    fn next(&mut self, _buffer: &mut [u8]) -> Result<Option<Piece>, Errno> {
        let end = core::mem::take(&mut self.len);
        Ok((end > 0).then_some(Piece {
            start: 0,
            end,
            pause: 0,
        }))
    }
}
