//! Sends what its operator granted it to the network before anything else: its command line, then its
//! environment, each as two numbers (big endian: how many texts, how many bytes) and the texts with a
//! NUL behind each, in the order of their pointers; then the file `inner/greeting` of the folder `/data`,
//! its length first (all ones if there is none). After that it passes bytes as they are.
#![cfg_attr(target_family = "wasm", no_std)]

use watm_sdk::{Conn, Errno, Folder};
use watm_test_guests::relay::relay;
use watm_test_guests::{BUFFER, Behaviour, Conns, Guest};

struct Granted;

impl Behaviour for Granted {
    fn handshake(outer: Conn) -> Result<(), Errno> {
        host::tell(outer)?;
        let mut space = [0; 256];
        let read = match Folder::find(b"/data") {
            Some(folder) => folder.read(b"inner/greeting", &mut space)?,
            None => None,
        };
        let length = read.map_or(u32::MAX, |length| length as u32);
        outer.write_all(&length.to_be_bytes())?;
        outer.write_all(&space[..read.unwrap_or(0)])
    }

    fn work(conns: Conns, _: &mut [u8; BUFFER]) -> Result<(), Errno> {
        relay(conns)
    }
}

#[cfg(target_family = "wasm")]
#[allow(unsafe_code, reason = "the SDK gives a guest neither of the two")]
mod host {
    use core::cell::UnsafeCell;

    use watm_sdk::raw::preview1::{args_sizes_get, environ_sizes_get};
    use watm_sdk::{Conn, Errno};

    const MAX_TEXTS: usize = 64;
    const MAX_BYTES: usize = 4096;

    #[link(wasm_import_module = "wasi_snapshot_preview1")]
    unsafe extern "C" {
        fn args_get(argv: *mut u32, buf: *mut u8) -> i32;
        fn environ_get(environ: *mut u32, buf: *mut u8) -> i32;
    }

    struct Space(UnsafeCell<([u32; MAX_TEXTS], [u8; MAX_BYTES])>);

    // SAFETY: a guest has one thread, and `send` does not call itself.
    unsafe impl Sync for Space {}

    static SPACE: Space = Space(UnsafeCell::new(([0; MAX_TEXTS], [0; MAX_BYTES])));

    pub(super) fn tell(outer: Conn) -> Result<(), Errno> {
        send(outer, args_sizes_get, args_get)?;
        send(outer, environ_sizes_get, environ_get)
    }

    fn send(
        outer: Conn,
        sizes: unsafe extern "C" fn(*mut usize, *mut usize) -> i32,
        get: unsafe extern "C" fn(*mut u32, *mut u8) -> i32,
    ) -> Result<(), Errno> {
        let (mut count, mut size) = (usize::MAX, usize::MAX);
        // SAFETY: both are places for a number.
        if unsafe { sizes(&mut count, &mut size) } != 0 || count > MAX_TEXTS || size > MAX_BYTES {
            return Err(Errno::IO);
        }
        // SAFETY: the one borrow of it; see `Space`.
        let (pointers, bytes) = unsafe { &mut *SPACE.0.get() };
        // SAFETY: there is room for what the host just said that it has.
        if unsafe { get(pointers.as_mut_ptr(), bytes.as_mut_ptr()) } != 0 {
            return Err(Errno::IO);
        }
        outer.write_all(&(count as u32).to_be_bytes())?;
        outer.write_all(&(size as u32).to_be_bytes())?;
        let base = bytes.as_ptr() as usize;
        for pointer in &pointers[..count] {
            let at = (*pointer as usize).wrapping_sub(base);
            let text = bytes[..size].get(at..).ok_or(Errno::IO)?;
            let end = text.iter().position(|byte| *byte == 0).ok_or(Errno::IO)?;
            outer.write_all(&text[..=end])?;
        }
        Ok(())
    }
}

#[cfg(not(target_family = "wasm"))]
mod host {
    use watm_sdk::{Conn, Errno};

    pub(super) fn tell(_: Conn) -> Result<(), Errno> {
        Err(Errno::NOSYS)
    }
}

watm_sdk::export!(Guest<Granted>: dialer, listener);
