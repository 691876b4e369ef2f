//! The error numbers of WASI preview1, which WATMs use in both directions.
//!
//! In: what a host call returned. Out: the negative number that an export returns. Only the
//! numbers this SDK acts upon or returns have names; any other passes through unchanged.

/// A WASI preview1 error number, as the host knows it (positive).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Errno(pub u16);

impl Errno {
    /// Nothing to read, or no room to write, right now.
    pub const AGAIN: Errno = Errno(6);
    /// Not an open fd.
    pub const BADF: Errno = Errno(8);
    /// A role is already set.
    pub const BUSY: Errno = Errno(10);
    /// The host asked the worker to end.
    pub const CANCELED: Errno = Errno(11);
    /// The peer reset the connection.
    pub const CONNRESET: Errno = Errno(15);
    /// There is one of that name already.
    pub const EXIST: Errno = Errno(20);
    /// The host refused an address.
    pub const FAULT: Errno = Errno(21);
    /// More than the guest can hold.
    pub const FBIG: Errno = Errno(22);
    /// Interrupted: try again.
    pub const INTR: Errno = Errno(27);
    /// An argument, or the configuration, makes no sense.
    pub const INVAL: Errno = Errno(28);
    /// A stream broke its own rules.
    pub const IO: Errno = Errno(29);
    /// A message was cut short.
    pub const MSGSIZE: Errno = Errno(35);
    /// No such file.
    pub const NOENT: Errno = Errno(44);
    /// Out of memory.
    pub const NOMEM: Errno = Errno(48);
    /// The host does not have this call.
    pub const NOSYS: Errno = Errno(52);
    /// No connection: the role was not set, or the peer is gone.
    pub const NOTCONN: Errno = Errno(53);
    /// Not a socket.
    pub const NOTSOCK: Errno = Errno(57);
    /// The host does not support this.
    pub const NOTSUP: Errno = Errno(58);
    /// The module does not play this role.
    pub const PERM: Errno = Errno(63);
    /// The peer has gone.
    pub const PIPE: Errno = Errno(64);
    /// The handshake failed.
    pub const PROTO: Errno = Errno(65);

    /// What an export returns for this error: the number, negated.
    #[must_use]
    pub const fn code(self) -> i32 {
        -(self.0 as i32)
    }
}

/// `Ok` if the host said 0.
pub(crate) fn check(errno: u16) -> Result<(), Errno> {
    match errno {
        0 => Ok(()),
        number => Err(Errno(number)),
    }
}

/// The value an export returns: a number that is not negative, or the negated error.
pub(crate) fn to_export(result: Result<i32, Errno>) -> i32 {
    match result {
        Ok(value) => value,
        Err(errno) => errno.code(),
    }
}

/// What a host call of the `env` kind returned: an fd, or a negated error number.
pub(crate) fn from_host(value: i32) -> Result<i32, Errno> {
    if value >= 0 {
        return Ok(value);
    }
    Err(Errno(
        u16::try_from(value.unsigned_abs()).unwrap_or(Errno::IO.0),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_negated_once() {
        assert_eq!(Errno::CANCELED.code(), -11);
        assert_eq!(to_export(Err(Errno::INVAL)), -28);
        assert_eq!(to_export(Ok(4)), 4);
        assert_eq!(from_host(-53), Err(Errno::NOTCONN));
        assert_eq!(from_host(7), Ok(7));
        assert_eq!(check(6), Err(Errno::AGAIN));
        assert_eq!(check(0), Ok(()));
    }

    #[test]
    fn a_number_that_is_none_is_an_io_error() {
        assert_eq!(from_host(i32::MIN), Err(Errno::IO));
        assert_eq!(from_host(-65_536), Err(Errno::IO));
        assert_eq!(from_host(-1_007), Err(Errno(1_007)));
    }
}
