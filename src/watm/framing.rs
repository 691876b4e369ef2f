//! Guests that read records: a short header, then as many bytes as it says, both with a loop that reads until it has all
//! of them. Published ones do so in non-blocking mode too, and lose what they have read when the loop meets EAGAIN.
//!
//! In: the reads of one stream, their places and lengths. Out: whether a read is in the middle of a record, where the host
//! waits for the rest instead of answering EAGAIN. Whoever waits in `poll_oneoff` in between keeps its own state and is left
//! alone; so is everybody whose first read is longer than a header. A guest that was held gets EAGAIN at the next record's
//! beginning, so that its other end has a turn; a wrong guess costs [`PATIENCE`] at most.

use std::time::Duration;

/// The longest header: obfuscated lengths and salts have 2 to 32 bytes.
const HEADER: usize = 64;

/// The rest of a record is on its way, or its sender has stopped.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// Where a guest is in its records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Framing {
    /// The length of the read with which a record begins; 0 is not known.
    opener: usize,
    at: At,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    #[default]
    Between,
    /// A read got less than it asked for; the next one asks for the rest.
    Split { next: usize, rest: usize, depth: u8 },
    /// Reads that got all they asked for since the record began, this one the last.
    After { len: usize, depth: u8 },
}

impl Framing {
    /// Whether a read of `len` bytes to `ptr` goes on with a record.
    pub(super) fn is_inside(&self, ptr: usize, len: usize) -> bool {
        match self.at {
            At::Between => false,
            At::Split { next, rest, .. } => (next, rest) == (ptr, len),
            // A first record may have a header of its own before the usual one.
            At::After { len: last, depth } => {
                len != self.opener && (depth == 1 || depth == 2 && last <= HEADER)
            }
        }
    }

    /// A read of `len` bytes to `ptr` got `n` of them.
    pub(super) fn has_read(&mut self, ptr: usize, len: usize, n: usize) {
        let depth = match self.at {
            At::Split { depth, .. } if self.is_inside(ptr, len) => depth,
            At::After { depth, .. } if self.is_inside(ptr, len) => depth + 1,
            _ if len <= HEADER => {
                self.opener = len;
                1
            }
            _ => 0,
        };
        self.at = match depth {
            0 => At::Between,
            _ if n < len => At::Split {
                next: ptr + n,
                rest: len - n,
                depth,
            },
            _ => At::After { len, depth },
        };
    }

    /// The guest knows that there is nothing more for now.
    pub(super) fn forget(&mut self) {
        *self = Framing::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads as a guest does them: place, length, how much there was. Says which were inside.
    fn inside(reads: &[(usize, usize, usize)]) -> Vec<bool> {
        let mut framing = Framing::default();
        let mut inside = Vec::new();
        for &(ptr, len, n) in reads {
            inside.push(framing.is_inside(ptr, len));
            framing.has_read(ptr, len, n);
        }
        inside
    }

    #[test]
    fn a_body_follows_its_header() {
        let reads = [
            (100, 18, 18),
            (200, 1040, 1040),
            (100, 18, 18),
            (200, 46, 46),
            (100, 18, 18),
        ];
        assert_eq!(inside(&reads), [false, true, false, true, false]);
    }

    #[test]
    fn a_cut_is_gone_on_with() {
        let reads = [
            (100, 18, 7),
            (107, 11, 11),
            (200, 1040, 40),
            (240, 1000, 1000),
            (100, 18, 18),
        ];
        assert_eq!(inside(&reads), [false, true, true, true, false]);
    }

    #[test]
    fn a_first_record_may_have_a_salt() {
        let reads = [
            (0, 32, 32),
            (100, 18, 18),
            (200, 40, 40),
            (100, 18, 18),
            (200, 90, 90),
        ];
        assert_eq!(inside(&reads), [false, true, true, false, true]);
    }

    #[test]
    fn guests_with_one_buffer_are_left_alone() {
        for len in [16, 1024] {
            let reads = [(0, len, len), (0, len, 3), (0, len, len), (0, len, len)];
            assert_eq!(inside(&reads), [false; 4], "{len}");
        }
        // One that fills a long buffer, and looks what it has each time.
        assert_eq!(inside(&[(0, 4096, 100), (100, 3996, 100)]), [false; 2]);
    }

    #[test]
    fn who_has_waited_keeps_state() {
        let mut framing = Framing::default();
        framing.has_read(100, 18, 7);
        framing.forget();
        assert!(!framing.is_inside(107, 11));
    }
}
