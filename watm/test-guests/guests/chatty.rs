//! Prints everything that passes on its standard output and standard error.
#![cfg_attr(target_family = "wasm", no_std)]

use watm_sdk::raw::fd_write;
use watm_sdk::{Conn, Duplex, Errno, Session, Transform};
use watm_test_guests::{BUFFER, Behaviour, Conns, Guest};

struct Chatty;

impl Behaviour for Chatty {
    fn handshake(_: Conn) -> Result<(), Errno> {
        fd_write(1, b"chatty: a line on standard output\n")?;
        fd_write(2, b"chatty: a line on standard error\n")?;
        Ok(())
    }

    fn work(conns: Conns, _: &mut [u8; BUFFER]) -> Result<(), Errno> {
        Duplex::new(conns.inner, conns.outer, Print, Print).run(conns.control)
    }
}

struct Print;

impl Transform for Print {
    fn apply(&mut self, bytes: &mut [u8]) {
        for fd in [1, 2] {
            let printed = fd_write(fd, bytes);
            assert_eq!(printed, Ok(bytes.len()), "standard streams take everything");
        }
    }
}

watm_sdk::export!(Guest<Chatty>: dialer, listener);
