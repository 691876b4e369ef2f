//! The errno of WASI preview1, with which host and guest answer each other.
//!
//! In: what the operating system or the host's own rules said. Out: the number that a guest reads, or
//! the name for a number that a guest returned (WATM: a negative result is an errno negated).

use std::fmt;
use std::io;

/// A preview1 errno; 0 is success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub u16);

macro_rules! errnos {
    ($($name:ident = $value:literal,)*) => {
        #[allow(missing_docs, reason = "POSIX names")]
        impl Errno {
            $(pub const $name: Errno = Errno($value);)*

            /// POSIX's name for it.
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

errnos! {
    SUCCESS = 0, E2BIG = 1, EACCES = 2, EADDRINUSE = 3, EADDRNOTAVAIL = 4, EAFNOSUPPORT = 5,
    EAGAIN = 6, EALREADY = 7, EBADF = 8, EBADMSG = 9, EBUSY = 10, ECANCELED = 11, ECHILD = 12,
    ECONNABORTED = 13, ECONNREFUSED = 14, ECONNRESET = 15, EDEADLK = 16, EDESTADDRREQ = 17, EDOM = 18,
    EDQUOT = 19, EEXIST = 20, EFAULT = 21, EFBIG = 22, EHOSTUNREACH = 23, EIDRM = 24, EILSEQ = 25,
    EINPROGRESS = 26, EINTR = 27, EINVAL = 28, EIO = 29, EISCONN = 30, EISDIR = 31, ELOOP = 32,
    EMFILE = 33, EMLINK = 34, EMSGSIZE = 35, EMULTIHOP = 36, ENAMETOOLONG = 37, ENETDOWN = 38,
    ENETRESET = 39, ENETUNREACH = 40, ENFILE = 41, ENOBUFS = 42, ENODEV = 43, ENOENT = 44,
    ENOEXEC = 45, ENOLCK = 46, ENOLINK = 47, ENOMEM = 48, ENOMSG = 49, ENOPROTOOPT = 50, ENOSPC = 51,
    ENOSYS = 52, ENOTCONN = 53, ENOTDIR = 54, ENOTEMPTY = 55, ENOTRECOVERABLE = 56, ENOTSOCK = 57,
    ENOTSUP = 58, ENOTTY = 59, ENXIO = 60, EOVERFLOW = 61, EOWNERDEAD = 62, EPERM = 63, EPIPE = 64,
    EPROTO = 65, EPROTONOSUPPORT = 66, EPROTOTYPE = 67, ERANGE = 68, EROFS = 69, ESPIPE = 70,
    ESRCH = 71, ESTALE = 72, ETIMEDOUT = 73, ETXTBSY = 74, EXDEV = 75, ENOTCAPABLE = 76,
}

impl Errno {
    /// The nearest errno for an error of a socket.
    pub fn of(error: &io::Error) -> Self {
        use io::ErrorKind as K;
        match error.kind() {
            K::ConnectionReset => Errno::ECONNRESET,
            K::ConnectionAborted => Errno::ECONNABORTED,
            K::ConnectionRefused => Errno::ECONNREFUSED,
            K::BrokenPipe | K::WriteZero => Errno::EPIPE,
            K::TimedOut => Errno::ETIMEDOUT,
            K::HostUnreachable => Errno::EHOSTUNREACH,
            K::NetworkUnreachable => Errno::ENETUNREACH,
            K::NotConnected => Errno::ENOTCONN,
            _ => Errno::EIO,
        }
    }

    /// The negated form that WATM host calls return where an fd was asked for.
    pub fn negated(self) -> i32 {
        -i32::from(self.0)
    }

    /// Reads the result of a guest's export: `Ok` holds a value of 0 or more.
    ///
    /// A guest that returns an errno un-negated is only caught where 0 is the one good value; see the
    /// caller.
    pub fn of_result(result: i32) -> Result<i32, Errno> {
        if result >= 0 {
            Ok(result)
        } else {
            Err(Errno(
                u16::try_from(result.unsigned_abs()).unwrap_or(u16::MAX),
            ))
        }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} (-{})", self.0),
            None => write!(f, "error -{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_signs() {
        assert_eq!(Errno::EPERM.to_string(), "EPERM (-63)");
        assert_eq!(Errno::of_result(-63), Err(Errno::EPERM));
        assert_eq!(Errno::of_result(5), Ok(5));
        assert_eq!(Errno::of_result(i32::MIN), Err(Errno(u16::MAX)));
        assert_eq!(Errno(900).to_string(), "error -900");
    }
}
