//! The border to the host: every import a WATM may use, and the only `unsafe` code of the SDK.
//!
//! In: fds, slices, fixed-size arrays. Out: what the host answered, as `Result<_, Errno>`. The
//! imports themselves ([`preview1`], [`env`](mod@env)) are public for guests that must hand the host something odd.
//! What can go wrong is the host's word alone: a count that is larger than the buffer is
//! answered with [`Errno::IO`] instead of being believed.
//!
//! Natively (under `cargo test`) there is no host: every call answers [`Errno::NOSYS`].
#![allow(unsafe_code, reason = "the host is reached through raw imports only")]

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::errno::{Errno, check, from_host};
pub use crate::subscription::{Event, Subscription};

/// A readable stretch of guest memory, as the host reads it (`ciovec`).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ConstVec {
    /// Where it starts.
    pub buf: *const u8,
    /// How many bytes.
    pub len: usize,
}

/// A writable stretch of guest memory, as the host reads it (`iovec`).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct MutVec {
    /// Where it starts.
    pub buf: *mut u8,
    /// How many bytes.
    pub len: usize,
}

/// The functions of `wasi_snapshot_preview1`, as the host exports them.
#[cfg(target_family = "wasm")]
#[allow(missing_docs, reason = "preview1 is documented by WASI")]
pub mod preview1 {
    use super::{ConstVec, Event, MutVec, Subscription};

    #[link(wasm_import_module = "wasi_snapshot_preview1")]
    unsafe extern "C" {
        pub unsafe fn args_sizes_get(count: *mut usize, size: *mut usize) -> i32;
        pub unsafe fn environ_sizes_get(count: *mut usize, size: *mut usize) -> i32;
        pub unsafe fn clock_time_get(clock: i32, precision: i64, time: *mut u64) -> i32;
        pub safe fn fd_close(fd: i32) -> i32;
        pub unsafe fn fd_fdstat_get(fd: i32, stat: *mut [u64; 3]) -> i32;
        pub safe fn fd_fdstat_set_flags(fd: i32, flags: i32) -> i32;
        pub unsafe fn fd_prestat_get(fd: i32, prestat: *mut [u32; 2]) -> i32;
        pub unsafe fn fd_prestat_dir_name(fd: i32, name: *mut u8, len: usize) -> i32;
        pub unsafe fn fd_read(fd: i32, iovs: *const MutVec, n: usize, nread: *mut usize) -> i32;
        pub unsafe fn fd_write(fd: i32, iovs: *const ConstVec, n: usize, done: *mut usize) -> i32;
        pub unsafe fn path_open(
            dir: i32,
            dirflags: i32,
            path: *const u8,
            len: usize,
            oflags: i32,
            rights: i64,
            inheriting: i64,
            fdflags: i32,
            fd: *mut i32,
        ) -> i32;
        pub unsafe fn poll_oneoff(
            subscriptions: *const Subscription,
            events: *mut Event,
            n: usize,
            nevents: *mut usize,
        ) -> i32;
        pub safe fn proc_exit(code: i32) -> !;
        pub unsafe fn random_get(buf: *mut u8, len: usize) -> i32;
        pub safe fn sched_yield() -> i32;
        pub safe fn sock_shutdown(fd: i32, how: i32) -> i32;
    }
}

/// The functions of `env`: what makes a host a WATM v1 host.
#[cfg(target_family = "wasm")]
#[allow(missing_docs, reason = "documented at the functions below")]
pub mod env {
    use super::ConstVec;

    #[link(wasm_import_module = "env")]
    unsafe extern "C" {
        pub unsafe fn water_dial(
            network: *const ConstVec,
            network_n: usize,
            address: *const ConstVec,
            address_n: usize,
        ) -> i32;
        pub safe fn water_dial_fixed() -> i32;
        pub safe fn water_accept() -> i32;
    }
}

/// No host natively: the calls that the SDK makes, each answering "no such call" (52).
#[cfg(not(target_family = "wasm"))]
#[allow(
    missing_docs,
    clippy::missing_safety_doc,
    clippy::too_many_arguments,
    reason = "as above"
)]
pub mod preview1 {
    use super::{ConstVec, Event, MutVec, Subscription};

    macro_rules! absent {
        ($($name:ident($($arg:ty),*);)*) => {
            $(pub unsafe fn $name($(_: $arg),*) -> i32 { 52 })*
        };
    }
    absent! {
        args_sizes_get(*mut usize, *mut usize);
        environ_sizes_get(*mut usize, *mut usize);
        clock_time_get(i32, i64, *mut u64);
        fd_fdstat_get(i32, *mut [u64; 3]);
        fd_prestat_get(i32, *mut [u32; 2]);
        fd_prestat_dir_name(i32, *mut u8, usize);
        fd_read(i32, *const MutVec, usize, *mut usize);
        fd_write(i32, *const ConstVec, usize, *mut usize);
        path_open(i32, i32, *const u8, usize, i32, i64, i64, i32, *mut i32);
        poll_oneoff(*const Subscription, *mut Event, usize, *mut usize);
        random_get(*mut u8, usize);
    }

    macro_rules! absent_and_safe {
        ($($name:ident($($arg:ty),*);)*) => {
            $(pub fn $name($(_: $arg),*) -> i32 { 52 })*
        };
    }
    absent_and_safe! {
        fd_close(i32);
        fd_fdstat_set_flags(i32, i32);
        sched_yield();
        sock_shutdown(i32, i32);
    }
}

/// No host natively: each call answers "no such call" (-52).
#[cfg(not(target_family = "wasm"))]
#[allow(missing_docs, clippy::missing_safety_doc, reason = "as above")]
pub mod env {
    use super::ConstVec;

    pub unsafe fn water_dial(_: *const ConstVec, _: usize, _: *const ConstVec, _: usize) -> i32 {
        -52
    }

    pub fn water_dial_fixed() -> i32 {
        -52
    }

    pub fn water_accept() -> i32 {
        -52
    }
}

/// Reads what is there into `buf`: 0 is the end of the stream.
pub fn fd_read(fd: i32, buf: &mut [u8]) -> Result<usize, Errno> {
    let iov = MutVec {
        buf: buf.as_mut_ptr(),
        len: buf.len(),
    };
    let mut n = 0;
    // SAFETY: one iovec over a live exclusive slice, and a count to write to.
    check(unsafe { preview1::fd_read(fd, &raw const iov, 1, &raw mut n) } as u16)?;
    within(n, buf.len())
}

/// Writes a part of `buf` or all of it.
pub fn fd_write(fd: i32, buf: &[u8]) -> Result<usize, Errno> {
    let iov = ConstVec {
        buf: buf.as_ptr(),
        len: buf.len(),
    };
    let mut n = 0;
    // SAFETY: one iovec over a live slice, and a count to write to.
    check(unsafe { preview1::fd_write(fd, &raw const iov, 1, &raw mut n) } as u16)?;
    within(n, buf.len())
}

/// Closes `fd`; what was written before still leaves.
pub fn fd_close(fd: i32) -> Result<(), Errno> {
    check(preview1::fd_close(fd) as u16)
}

/// Sets the status flags of `fd`; `NONBLOCK` is the only one that sockets have.
pub fn fd_fdstat_set_flags(fd: i32, flags: u16) -> Result<(), Errno> {
    check(preview1::fd_fdstat_set_flags(fd, i32::from(flags)) as u16)
}

/// The file type and the status flags of `fd`.
pub fn fd_fdstat_get(fd: i32) -> Result<(u8, u16), Errno> {
    let mut stat = [0u64; 3];
    // SAFETY: 24 bytes to write to, aligned to 8.
    check(unsafe { preview1::fd_fdstat_get(fd, &raw mut stat) } as u16)?;
    Ok((stat[0] as u8, (stat[0] >> 16) as u16))
}

/// Ends one direction of a socket (`how`: 1 reading, 2 writing, 3 both).
pub fn sock_shutdown(fd: i32, how: u8) -> Result<(), Errno> {
    check(preview1::sock_shutdown(fd, i32::from(how)) as u16)
}

/// Waits until one of `subscriptions` is ready; the answers come first in `events`.
pub fn poll_oneoff<const N: usize>(
    subscriptions: &[Subscription; N],
    n: usize,
    events: &mut [Event; N],
) -> Result<usize, Errno> {
    let n = within(n, N)?;
    let mut ready = 0;
    // SAFETY: n entries of each array, both at least that long, and a count to write to.
    let errno = unsafe {
        preview1::poll_oneoff(
            subscriptions.as_ptr(),
            events.as_mut_ptr(),
            n,
            &raw mut ready,
        )
    };
    check(errno as u16)?;
    within(ready, n)
}

/// The length of the name of a preopened directory; `BADF` when `fd` is none.
pub fn fd_prestat_get(fd: i32) -> Result<usize, Errno> {
    let mut prestat = [0u32; 2];
    // SAFETY: 8 bytes to write to.
    check(unsafe { preview1::fd_prestat_get(fd, &raw mut prestat) } as u16)?;
    if prestat[0] as u8 != 0 {
        return Err(Errno::BADF);
    }
    Ok(prestat[1] as usize)
}

/// The name of a preopened directory; `name` has exactly its length.
pub fn fd_prestat_dir_name(fd: i32, name: &mut [u8]) -> Result<(), Errno> {
    // SAFETY: a live exclusive slice.
    check(unsafe { preview1::fd_prestat_dir_name(fd, name.as_mut_ptr(), name.len()) } as u16)
}

/// What `path_open` does besides opening: the bits of `oflags`.
pub mod oflags {
    /// Makes the file if it is not there.
    pub const CREATE: i32 = 1;
    /// With `CREATE`: fails (`EXIST`) if it is there.
    pub const EXCLUSIVE: i32 = 4;
    /// Empties it.
    pub const TRUNCATE: i32 = 8;
}

/// Opens a file below a preopened directory for reading.
pub fn path_open(dir: i32, path: &[u8]) -> Result<i32, Errno> {
    const FD_READ: i64 = 1 << 1;
    open(dir, path, 0, FD_READ)
}

/// Opens a file below a preopened directory for writing (`oflags`: [`oflags`]).
pub fn path_open_to_write(dir: i32, path: &[u8], oflags: i32) -> Result<i32, Errno> {
    const FD_WRITE: i64 = 1 << 6;
    open(dir, path, oflags, FD_WRITE)
}

fn open(dir: i32, path: &[u8], oflags: i32, rights: i64) -> Result<i32, Errno> {
    const FOLLOW: i32 = 1;
    let mut fd = -1;
    // SAFETY: a live slice, and an fd to write to.
    let errno = unsafe {
        preview1::path_open(
            dir,
            FOLLOW,
            path.as_ptr(),
            path.len(),
            oflags,
            rights,
            0,
            0,
            &raw mut fd,
        )
    };
    check(errno as u16)?;
    Ok(fd)
}

/// Fills `buf` from the host's random source.
pub fn random_get(buf: &mut [u8]) -> Result<(), Errno> {
    // SAFETY: a live exclusive slice.
    check(unsafe { preview1::random_get(buf.as_mut_ptr(), buf.len()) } as u16)
}

/// Nanoseconds of a clock (0 real time since 1970, 1 monotonic).
pub fn clock_time_get(clock: u8) -> Result<u64, Errno> {
    let mut time = 0;
    // SAFETY: eight bytes to write to.
    check(unsafe { preview1::clock_time_get(i32::from(clock), 1, &raw mut time) } as u16)?;
    Ok(time)
}

/// Dials an address that the guest chooses (`"tcp"`, `"host:port"`), if the operator allows it.
pub fn water_dial(network: &str, address: &str) -> Result<i32, Errno> {
    let network = ConstVec {
        buf: network.as_ptr(),
        len: network.len(),
    };
    let address = ConstVec {
        buf: address.as_ptr(),
        len: address.len(),
    };
    // SAFETY: one ciovec each, over live strings.
    from_host(unsafe { env::water_dial(&raw const network, 1, &raw const address, 1) })
}

/// Dials the address that the host was given.
pub fn water_dial_fixed() -> Result<i32, Errno> {
    from_host(env::water_dial_fixed())
}

/// Takes the connection that the host accepted.
pub fn water_accept() -> Result<i32, Errno> {
    from_host(env::water_accept())
}

/// Runs the constructors of the module. The linker sees the reference and then no longer wraps
/// every export in calls of constructors and destructors.
pub fn call_ctors() {
    #[cfg(target_family = "wasm")]
    {
        unsafe extern "C" {
            fn __wasm_call_ctors();
        }
        // SAFETY: made by the linker for exactly this call; `_initialize` runs once, first.
        unsafe { __wasm_call_ctors() }
    }
}

/// The guest panicked. Nobody reads a message, so none is made.
#[cfg(all(target_family = "wasm", not(feature = "std")))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

fn within(n: usize, max: usize) -> Result<usize, Errno> {
    if n <= max { Ok(n) } else { Err(Errno::IO) }
}

/// A place for the one value that all exports of a module share.
///
/// In this order: a flag behind a large value would be one more page that a connection touches.
#[repr(C)]
pub struct Slot<T> {
    taken: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: `enter` hands out one reference at a time, guarded by `taken`, to one thread at a time.
unsafe impl<T: Send> Sync for Slot<T> {}

impl<T> Slot<T> {
    /// A slot that holds `value`.
    pub const fn new(value: T) -> Slot<T> {
        Slot {
            taken: AtomicBool::new(false),
            value: UnsafeCell::new(value),
        }
    }

    /// Works with the value; `BUSY` when somebody does so already.
    pub fn enter<R>(&self, work: impl FnOnce(&mut T) -> Result<R, Errno>) -> Result<R, Errno> {
        if self.taken.swap(true, Ordering::Acquire) {
            return Err(Errno::BUSY);
        }
        // SAFETY: `taken` was false and is true until `work` has returned, so this reference is
        // the only one. A panic in `work` leaves it true: nobody enters again.
        let result = work(unsafe { &mut *self.value.get() });
        self.taken.store(false, Ordering::Release);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_entered_once_at_a_time() {
        let slot = Slot::new(1);
        let inner = slot.enter(|value| {
            *value += 1;
            Ok(slot.enter(|_| Ok(())))
        });
        assert_eq!(inner, Ok(Err(Errno::BUSY)));
        assert_eq!(slot.enter(|value| Ok(*value)), Ok(2));
    }

    #[test]
    fn a_count_beyond_the_buffer_is_not_believed() {
        assert_eq!(within(5, 4), Err(Errno::IO));
        assert_eq!(within(4, 4), Ok(4));
    }
}
