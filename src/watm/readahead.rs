//! Bytes read from a far end before the guest asked for them.
//!
//! Guests choose their buffers, and many read 1 KiB at a time: one system call each would cost five times
//! the CPU of the copy. So small reads are served from a 64 KiB buffer that the thread keeps in a pool; a
//! connection with nothing in flight holds none.

use std::cell::RefCell;
use std::io;
use std::task::{Poll, ready};
use tokio::io::ReadBuf;

/// What one read from a socket may bring.
const SIZE: usize = 64 << 10;
/// Buffers that a thread keeps: one for each connection that is mid-read at the same time, which on one
/// thread are few.
const POOLED: usize = 8;

thread_local! {
    static POOL: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// Bytes that wait for the guest to read them.
pub(super) struct ReadAhead {
    buffer: Option<Box<[u8]>>,
    start: usize,
    end: usize,
}

impl ReadAhead {
    pub(super) fn empty() -> Self {
        ReadAhead {
            buffer: None,
            start: 0,
            end: 0,
        }
    }

    /// Bytes that arrived before there was a guest.
    pub(super) fn holding(early: &[u8]) -> Self {
        if early.is_empty() {
            return ReadAhead::empty();
        }
        ReadAhead {
            buffer: Some(early.into()),
            start: 0,
            end: early.len(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }

    /// Reads with `read` into the empty buffer; gives the number of bytes, 0 at the end.
    pub(super) fn poll_fill(
        &mut self,
        read: impl FnOnce(&mut ReadBuf<'_>) -> Poll<io::Result<()>>,
    ) -> Poll<io::Result<usize>> {
        debug_assert!(self.is_empty());
        let mut buffer = take_buffer();
        let mut target = ReadBuf::new(&mut buffer);
        let done = read(&mut target);
        let filled = target.filled().len();
        if filled > 0 {
            (self.start, self.end) = (0, filled);
            self.buffer = Some(buffer);
        } else {
            give_buffer(buffer);
        }
        Poll::Ready(ready!(done).map(|()| filled))
    }

    /// Moves as much as fits into `target`.
    pub(super) fn take(&mut self, target: &mut [u8]) -> usize {
        let Some(buffer) = &self.buffer else { return 0 };
        let n = self.len().min(target.len());
        target[..n].copy_from_slice(&buffer[self.start..self.start + n]);
        self.start += n;
        if self.is_empty() {
            self.release();
        }
        n
    }

    fn release(&mut self) {
        (self.start, self.end) = (0, 0);
        if let Some(buffer) = self.buffer.take() {
            give_buffer(buffer);
        }
    }
}

impl Drop for ReadAhead {
    fn drop(&mut self) {
        self.release();
    }
}

fn take_buffer() -> Box<[u8]> {
    POOL.with_borrow_mut(Vec::pop)
        .unwrap_or_else(|| vec![0; SIZE].into())
}

fn give_buffer(buffer: Box<[u8]>) {
    // A thread that is going down has no pool any more; the buffer is then simply freed.
    let _ = POOL.try_with(|pool| {
        let mut pool = pool.borrow_mut();
        if buffer.len() == SIZE && pool.len() < POOLED {
            pool.push(buffer);
        }
    });
}
