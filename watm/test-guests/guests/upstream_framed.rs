//! The shape of published shadowsocks modules: towards the network every chunk is a record, a length in a header of 18
//! bytes and a body that is 16 longer, and both are read in non-blocking mode by a loop that wants all of it. An EAGAIN at
//! the beginning of a record is "not now"; in the middle it is the end (EIO), and what was read is lost. The first record
//! has a salt before it. 0 at the first end.
#![cfg_attr(target_family = "wasm", no_std)]

use watm_sdk::{Conn, Errno};
use watm_test_guests::upstream::wait;
use watm_test_guests::{BUFFER, Behaviour, Conns, Guest};

struct UpstreamFramed;

const SALT: usize = 32;
const TAG: usize = 16;
const HEADER: usize = 2 + TAG;
const CHUNK: usize = 4096;

impl Behaviour for UpstreamFramed {
    fn work(conns: Conns, space: &mut [u8; BUFFER]) -> Result<(), Errno> {
        conns.set_nonblocking()?;
        let (header, body) = space.split_at_mut(64);
        let (mut salted, mut salt_read) = (false, false);
        loop {
            wait(conns)?;
            loop {
                match conns.inner.read(&mut body[..CHUNK]) {
                    Ok(0) => return Ok(()),
                    Ok(n) => {
                        if !salted {
                            conns.outer.write_all(&[0x5a; SALT])?;
                            salted = true;
                        }
                        header[..HEADER].fill(0);
                        header[..2].copy_from_slice(&(n as u16).to_be_bytes());
                        conns.outer.write_all(&header[..HEADER])?;
                        body[n..n + TAG].fill(0);
                        conns.outer.write_all(&body[..n + TAG])?;
                    }
                    Err(Errno::AGAIN) => break,
                    Err(errno) => return Err(errno),
                }
            }
            loop {
                if !salt_read {
                    match full(conns.outer, &mut header[..SALT]) {
                        Ok(()) => salt_read = true,
                        Err(Missing::Everything(Errno::AGAIN)) => break,
                        Err(Missing::Everything(Errno::PIPE)) => return Ok(()),
                        Err(_) => return Err(Errno::IO),
                    }
                }
                match full(conns.outer, &mut header[..HEADER]) {
                    Ok(()) => {}
                    Err(Missing::Everything(Errno::AGAIN)) => break,
                    Err(Missing::Everything(Errno::PIPE)) => return Ok(()),
                    Err(_) => return Err(Errno::IO),
                }
                let n = usize::from(u16::from_be_bytes([header[0], header[1]]));
                let record = body.get_mut(..n + TAG).ok_or(Errno::PROTO)?;
                full(conns.outer, record).map_err(|_| Errno::IO)?;
                conns.inner.write_all(&record[..n])?;
            }
        }
    }
}

/// What a read that wanted all did not get.
enum Missing {
    Everything(Errno),
    Something,
}

/// `io.ReadFull`, which takes EAGAIN for an error like any other.
fn full(from: Conn, buf: &mut [u8]) -> Result<(), Missing> {
    let mut filled = 0;
    while filled < buf.len() {
        match from.read(&mut buf[filled..]) {
            Ok(n) if n > 0 => filled += n,
            _ if filled > 0 => return Err(Missing::Something),
            Ok(_) => return Err(Missing::Everything(Errno::PIPE)),
            Err(errno) => return Err(Missing::Everything(errno)),
        }
    }
    Ok(())
}

watm_sdk::export!(Guest<UpstreamFramed>: dialer, listener);
