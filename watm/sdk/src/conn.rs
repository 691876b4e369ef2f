//! A connection: one fd of the host, read and written.
//!
//! In: an fd that the host gave. Out: bytes, or an [`Errno`]. Sockets start in blocking mode,
//! which is what a handshake wants; [`Conn::set_nonblocking`] is for the worker.

use crate::errno::Errno;
use crate::raw;

const NONBLOCK: u16 = 4;
const SHUT_WR: u8 = 2;

/// One of the host's fds. A number, nothing more: dropping it closes nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Conn(i32);

impl Conn {
    /// Takes an fd that the host handed over; a negative one is [`Errno::BADF`].
    pub fn from_fd(fd: i32) -> Result<Conn, Errno> {
        if fd < 0 {
            return Err(Errno::BADF);
        }
        Ok(Conn(fd))
    }

    /// Dials the address that the host was given: for a dialer.
    pub fn dial_fixed() -> Result<Conn, Errno> {
        raw::water_dial_fixed().map(Conn)
    }

    /// Dials an address of the guest's own choice (`"tcp"`, `"host:port"`): for a fixed dialer
    /// or a relay. The operator's address rules decide.
    pub fn dial(network: &str, address: &str) -> Result<Conn, Errno> {
        raw::water_dial(network, address).map(Conn)
    }

    /// Takes the connection that the host accepted: for a listener or a relay.
    pub fn accept() -> Result<Conn, Errno> {
        raw::water_accept().map(Conn)
    }

    /// The host's number for it.
    #[must_use]
    pub const fn fd(self) -> i32 {
        self.0
    }

    /// Reads what is there: 0 is the end of the stream, [`Errno::AGAIN`] is "not now".
    pub fn read(self, buf: &mut [u8]) -> Result<usize, Errno> {
        loop {
            match raw::fd_read(self.0, buf) {
                Err(Errno::INTR) => {}
                other => return other,
            }
        }
    }

    /// Reads until `buf` is full; the end before that is [`Errno::PIPE`]. For blocking mode.
    pub fn read_exact(self, buf: &mut [u8]) -> Result<(), Errno> {
        let mut filled = 0;
        while filled < buf.len() {
            match self.read(&mut buf[filled..])? {
                0 => return Err(Errno::PIPE),
                n => filled += n,
            }
        }
        Ok(())
    }

    /// Writes a part of `buf` or all of it.
    pub fn write(self, buf: &[u8]) -> Result<usize, Errno> {
        loop {
            match raw::fd_write(self.0, buf) {
                Err(Errno::INTR) => {}
                other => return other,
            }
        }
    }

    /// Writes all of `buf`. For blocking mode.
    pub fn write_all(self, mut buf: &[u8]) -> Result<(), Errno> {
        while !buf.is_empty() {
            match self.write(buf)? {
                0 => return Err(Errno::IO),
                n => buf = &buf[n..],
            }
        }
        Ok(())
    }

    /// From now on a read or write that cannot be done at once answers [`Errno::AGAIN`].
    pub fn set_nonblocking(self) -> Result<(), Errno> {
        raw::fd_fdstat_set_flags(self.0, NONBLOCK)
    }

    /// Tells the peer that no more bytes come, and goes on reading.
    pub fn shutdown_write(self) -> Result<(), Errno> {
        raw::sock_shutdown(self.0, SHUT_WR)
    }

    /// Closes it; what was written before still leaves.
    pub fn close(self) -> Result<(), Errno> {
        raw::fd_close(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_negative_fd_is_refused() {
        assert_eq!(Conn::from_fd(-1), Err(Errno::BADF));
        assert_eq!(Conn::from_fd(0).map(Conn::fd), Ok(0));
    }

    #[test]
    fn without_a_host_every_call_says_so() {
        let conn = Conn::from_fd(3).expect("3 is not negative");
        assert_eq!(conn.read(&mut [0; 4]), Err(Errno::NOSYS));
        assert_eq!(conn.write_all(b"x"), Err(Errno::NOSYS));
        assert_eq!(conn.shutdown_write(), Err(Errno::NOSYS));
        assert_eq!(Conn::dial_fixed(), Err(Errno::NOSYS));
    }
}
