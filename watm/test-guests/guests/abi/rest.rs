//! The part of preview1 that the SDK does not use: a module may import all of it, and all of it
//! must answer.

use watm_sdk::raw::{ConstVec, MutVec};

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    pub(crate) fn args_get(argv: *mut u32, buf: *mut u8) -> i32;
    pub(crate) fn clock_res_get(clock: i32, resolution: *mut u64) -> i32;
    pub(crate) fn environ_get(environ: *mut u32, buf: *mut u8) -> i32;
    pub(crate) safe fn fd_advise(fd: i32, offset: i64, len: i64, advice: i32) -> i32;
    pub(crate) safe fn fd_allocate(fd: i32, offset: i64, len: i64) -> i32;
    pub(crate) safe fn fd_datasync(fd: i32) -> i32;
    pub(crate) safe fn fd_fdstat_set_rights(fd: i32, base: i64, inheriting: i64) -> i32;
    pub(crate) fn fd_filestat_get(fd: i32, stat: *mut [u64; 8]) -> i32;
    pub(crate) safe fn fd_filestat_set_size(fd: i32, size: i64) -> i32;
    pub(crate) safe fn fd_filestat_set_times(fd: i32, atim: i64, mtim: i64, flags: i32) -> i32;
    pub(crate) fn fd_pread(
        fd: i32,
        iovs: *const MutVec,
        n: usize,
        at: i64,
        done: *mut usize,
    ) -> i32;
    pub(crate) fn fd_pwrite(
        fd: i32,
        iovs: *const ConstVec,
        n: usize,
        at: i64,
        done: *mut usize,
    ) -> i32;
    pub(crate) fn fd_readdir(
        fd: i32,
        buf: *mut u8,
        len: usize,
        cookie: i64,
        used: *mut usize,
    ) -> i32;
    pub(crate) safe fn fd_renumber(from: i32, to: i32) -> i32;
    pub(crate) fn fd_seek(fd: i32, offset: i64, whence: i32, at: *mut u64) -> i32;
    pub(crate) safe fn fd_sync(fd: i32) -> i32;
    pub(crate) fn fd_tell(fd: i32, at: *mut u64) -> i32;
    pub(crate) fn path_create_directory(dir: i32, path: *const u8, len: usize) -> i32;
    pub(crate) fn path_filestat_get(
        dir: i32,
        flags: i32,
        path: *const u8,
        len: usize,
        stat: *mut [u64; 8],
    ) -> i32;
    pub(crate) fn path_filestat_set_times(
        dir: i32,
        flags: i32,
        path: *const u8,
        len: usize,
        atim: i64,
        mtim: i64,
        which: i32,
    ) -> i32;
    pub(crate) fn path_link(
        old_dir: i32,
        flags: i32,
        old: *const u8,
        old_len: usize,
        new_dir: i32,
        new: *const u8,
        new_len: usize,
    ) -> i32;
    pub(crate) fn path_readlink(
        dir: i32,
        path: *const u8,
        len: usize,
        buf: *mut u8,
        buf_len: usize,
        used: *mut usize,
    ) -> i32;
    pub(crate) fn path_remove_directory(dir: i32, path: *const u8, len: usize) -> i32;
    pub(crate) fn path_rename(
        old_dir: i32,
        old: *const u8,
        old_len: usize,
        new_dir: i32,
        new: *const u8,
        new_len: usize,
    ) -> i32;
    pub(crate) fn path_symlink(
        old: *const u8,
        old_len: usize,
        dir: i32,
        new: *const u8,
        new_len: usize,
    ) -> i32;
    pub(crate) fn path_unlink_file(dir: i32, path: *const u8, len: usize) -> i32;
    pub(crate) safe fn proc_raise(signal: i32) -> i32;
    pub(crate) fn sock_accept(fd: i32, flags: i32, accepted: *mut i32) -> i32;
    pub(crate) fn sock_recv(
        fd: i32,
        iovs: *const MutVec,
        n: usize,
        flags: i32,
        done: *mut usize,
        out_flags: *mut u16,
    ) -> i32;
    pub(crate) fn sock_send(
        fd: i32,
        iovs: *const ConstVec,
        n: usize,
        flags: i32,
        done: *mut usize,
    ) -> i32;
}
