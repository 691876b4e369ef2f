//! The guest's file descriptors: one table, lowest free number first.
//!
//! 0 is an empty stdin, 1 and 2 swallow what is written, then come the folders that were granted, everything else is a
//! file of theirs or a stream that the host handed over. A descriptor says which stream it
//! is; the streams themselves live in the guest's [`super::guest::Guest`], because they outlive a
//! `fd_close`: what is queued still has to be sent.

use super::errno::Errno;
use super::world::Dir;
use std::sync::Arc;

/// The most descriptors a guest can hold: two streams, a control pipe, a file or two, and room for modules
/// that dial more than once.
pub(super) const MAX: usize = 64;

/// What a descriptor stands for.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// Reads nothing.
    Stdin,
    /// Swallows writes: a guest's prints must never reach the conversation with tor.
    Sink,
    /// A directory; the first ones are preopened.
    Dir(Dir),
    /// A file in memory, read-only.
    File {
        /// The whole of it.
        data: Arc<[u8]>,
        /// Where the next read starts.
        at: usize,
    },
    /// A file that the transport's set-up run writes.
    Written {
        /// Its name.
        name: Arc<str>,
        /// Where the next read or write starts.
        at: usize,
        /// Whether every write goes to its end.
        appends: bool,
    },
    /// Where the set-up run writes its answer.
    Answer,
    /// A stream, by its place in the guest's list.
    Stream(usize),
    /// The control pipe.
    Control,
}

/// An open descriptor.
#[derive(Clone, Debug)]
pub(super) struct Fd {
    /// What it stands for.
    pub kind: Kind,
    /// `fdflags` NONBLOCK; everything starts blocking.
    pub nonblock: bool,
}

/// The table.
#[derive(Debug)]
pub(super) struct Fds {
    slots: Vec<Option<Fd>>,
}

impl Fds {
    /// The three standard descriptors, and a directory each from 3 on.
    pub(super) fn new(preopens: impl Iterator<Item = Dir>) -> Self {
        let mut fds = Fds {
            slots: Vec::with_capacity(8),
        };
        for kind in [Kind::Stdin, Kind::Sink, Kind::Sink]
            .into_iter()
            .chain(preopens.map(Kind::Dir))
        {
            fds.slots.push(Some(Fd {
                kind,
                nonblock: false,
            }));
        }
        fds
    }

    /// Opens the lowest free number.
    pub(super) fn open(&mut self, kind: Kind) -> Result<i32, Errno> {
        let fd = Some(Fd {
            kind,
            nonblock: false,
        });
        let at = match self.slots.iter().position(Option::is_none) {
            Some(free) => {
                self.slots[free] = fd;
                free
            }
            None if self.slots.len() < MAX => {
                self.slots.push(fd);
                self.slots.len() - 1
            }
            None => return Err(Errno::EMFILE),
        };
        Ok(i32::try_from(at).expect("MAX fits"))
    }

    /// Whether another descriptor can be opened.
    pub(super) fn has_room(&self) -> bool {
        self.slots.len() < MAX || self.slots.iter().any(Option::is_none)
    }

    /// The descriptor, or EBADF.
    pub(super) fn get(&mut self, fd: i32) -> Result<&mut Fd, Errno> {
        usize::try_from(fd)
            .ok()
            .and_then(|at| self.slots.get_mut(at))
            .and_then(Option::as_mut)
            .ok_or(Errno::EBADF)
    }

    /// Takes it out of the table.
    pub(super) fn close(&mut self, fd: i32) -> Result<Fd, Errno> {
        self.get(fd)?;
        let at = usize::try_from(fd).map_err(|_| Errno::EBADF)?;
        self.slots[at].take().ok_or(Errno::EBADF)
    }

    /// Moves `from` to the number `to`, which must be open too; what was there is given back.
    pub(super) fn renumber(&mut self, from: i32, to: i32) -> Result<Option<Fd>, Errno> {
        self.get(to)?;
        if from == to {
            return Ok(None);
        }
        let moved = self.close(from)?;
        Ok(Some(std::mem::replace(self.get(to)?, moved)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lowest_free_number_first() {
        let mut fds = Fds::new(std::iter::empty());
        assert_eq!(fds.open(Kind::Stream(0)), Ok(3));
        assert_eq!(fds.open(Kind::Stream(1)), Ok(4));
        fds.close(3).expect("open");
        assert_eq!(fds.open(Kind::Control), Ok(3));
        assert_eq!(fds.get(-1).map(|_| ()), Err(Errno::EBADF));
        assert_eq!(fds.close(63).map(|_| ()), Err(Errno::EBADF));
    }

    #[test]
    fn the_table_is_bounded() {
        let mut fds = Fds::new(std::iter::empty());
        for _ in 3..MAX {
            fds.open(Kind::Sink).expect("room");
        }
        assert_eq!(fds.open(Kind::Sink), Err(Errno::EMFILE));
    }

    #[test]
    fn renumber_replaces_an_open_descriptor() {
        let mut fds = Fds::new(std::iter::empty());
        let a = fds.open(Kind::Stream(0)).expect("room");
        let b = fds.open(Kind::Stream(1)).expect("room");
        let replaced = fds.renumber(a, b).expect("both open").expect("b was open");
        assert!(matches!(replaced.kind, Kind::Stream(1)));
        assert!(fds.get(a).is_err());
        assert!(fds.renumber(b, 40).is_err());
        assert!(matches!(fds.renumber(b, b), Ok(None)));
    }
}
