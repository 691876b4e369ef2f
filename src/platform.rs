//! What differs between operating systems, in one place; what tells a process to stop is in `pt::parent`.
//!
//! Each question has an answer everywhere; where a system cannot be asked, the answer is the one that keeps
//! the program running.

use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Whether this process may make memory executable that it has written. Where it may not
/// (systemd's `MemoryDenyWriteExecute=`, `PR_SET_MDWE`, hardened kernels), modules are interpreted.
#[cfg(unix)]
#[allow(unsafe_code, reason = "mapping a page is the only way to ask")]
pub fn allows_jit() -> bool {
    use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
    const PAGE: usize = 4096;
    // SAFETY: the page is new, private, ours alone, never read, written or jumped into, and unmapped with
    // the address and length it was mapped with.
    unsafe {
        let Ok(page) = mmap_anonymous(
            std::ptr::null_mut(),
            PAGE,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::PRIVATE,
        ) else {
            return true;
        };
        let allowed = mprotect(page, PAGE, MprotectFlags::READ | MprotectFlags::EXEC).is_ok();
        let _ = munmap(page, PAGE);
        allowed
    }
}

/// Whether this process may make memory executable that it has written.
#[cfg(not(unix))]
pub fn allows_jit() -> bool {
    true
}

/// Whether the address space is limited (`ulimit -v`), so that no large reservations can be made.
pub fn limits_address_space() -> bool {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit};
        getrlimit(Resource::As).current.is_some()
    }
    #[cfg(not(unix))]
    {
        false
    }
}

/// How many memory mappings the kernel allows a process, if it says.
pub fn max_mappings() -> Option<usize> {
    std::fs::read_to_string("/proc/sys/vm/max_map_count")
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// Bytes that a socket's kernel side has taken and its peer has not acknowledged, where one can ask.
#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "an ioctl that rustix has no name for")]
pub fn undelivered(socket: &impl std::os::fd::AsFd) -> Option<usize> {
    use rustix::ioctl::{Getter, ioctl};
    const SIOCOUTQ: rustix::ioctl::Opcode = 0x5411;
    // SAFETY: SIOCOUTQ (tcp(7)) writes one int, which is what the getter has room for.
    let queued = unsafe { ioctl(socket, Getter::<SIOCOUTQ, std::ffi::c_int>::new()) };
    queued.ok().and_then(|bytes| usize::try_from(bytes).ok())
}

/// Bytes that a socket's kernel side has taken and its peer has not acknowledged, where one can ask.
#[cfg(not(target_os = "linux"))]
pub fn undelivered<T>(_: &T) -> Option<usize> {
    None
}

/// Raises the soft limit on file descriptors to the hard one; every connection takes two.
pub fn raise_descriptor_limit() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit, setrlimit};
        let mut limit = getrlimit(Resource::Nofile);
        if limit.current != limit.maximum {
            limit.current = limit.maximum;
            // Whoever is not allowed to keeps what there is.
            let _ = setrlimit(Resource::Nofile, limit);
        }
    }
}

/// The executable that this process runs, to run it again: on Linux that very one, though another may have its name by
/// now, or none.
pub fn own_executable() -> Option<PathBuf> {
    if cfg!(target_os = "linux") {
        return Some("/proc/self/exe".into());
    }
    std::env::current_exe().ok()
}

/// Has the kernel end the process that a command starts with the thread that starts it, where it can.
#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "nothing else runs between fork and exec")]
pub fn end_with_this_thread(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    let parent = std::process::id();
    let ends = move || {
        if end_with_parent(parent) {
            return Ok(());
        }
        Err(io::Error::from_raw_os_error(
            rustix::io::Errno::SRCH.raw_os_error(),
        ))
    };
    // SAFETY: what runs in the forked process makes two system calls, and neither allocates nor takes a lock.
    unsafe { command.pre_exec(ends) };
}

/// Has the kernel end the process that a command starts with the thread that starts it, where it can.
#[cfg(not(target_os = "linux"))]
pub fn end_with_this_thread(_: &mut Command) {}

/// Has the kernel end this process with the thread that started it, where it can. False if that has ended already.
pub fn end_with_parent(parent: u32) -> bool {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Signal, getppid, set_parent_process_death_signal};
        // Whoever cannot ask ends with its pipes.
        let _ = set_parent_process_death_signal(Some(Signal::KILL));
        // A parent that ended before that sent no signal.
        getppid().is_some_and(|now| now.as_raw_nonzero().get().unsigned_abs() == parent)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = parent;
        true
    }
}

/// Makes a directory, with its parents, that only its owner can enter.
pub fn create_private_dir(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Opens a file that somebody named, to read it. A FIFO is none: it would be waited for until somebody writes.
pub fn open_file(path: &Path) -> io::Result<std::fs::File> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let kind = std::fs::metadata(path)?.file_type();
        if kind.is_fifo() || kind.is_socket() {
            let what = "it is no regular file";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
    }
    std::fs::File::open(path)
}

/// Options for making a new file that only its owner can read.
#[expect(
    clippy::disallowed_methods,
    reason = "for transport::state, which does the writing"
)]
pub fn private_file() -> std::fs::OpenOptions {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Whether an open file has lost its name.
pub fn is_unlinked(file: &std::fs::File) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        file.metadata().is_ok_and(|metadata| metadata.nlink() == 0)
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        false
    }
}

/// Whether a file is this user's and no other's to read or write.
pub fn is_private(metadata: &Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        metadata.uid() == rustix::process::geteuid().as_raw() && metadata.mode() & 0o077 == 0
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        true
    }
}

/// Whether a file is this user's, and no other could have written it, though others may read it.
pub fn is_own(metadata: &Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        metadata.uid() == rustix::process::geteuid().as_raw() && metadata.mode() & 0o022 == 0
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        true
    }
}

/// Whether only this user or root could have written a file.
pub fn is_trusted(metadata: &Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let owner = metadata.uid();
        (owner == 0 || owner == rustix::process::geteuid().as_raw()) && metadata.mode() & 0o022 == 0
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        true
    }
}

/// Whether an error is EMFILE or ENFILE.
pub fn is_out_of_descriptors(error: &io::Error) -> bool {
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        matches!(error.raw_os_error(), Some(n) if n == Errno::MFILE.raw_os_error() || n == Errno::NFILE.raw_os_error())
    }
    #[cfg(not(unix))]
    {
        let _ = error;
        false
    }
}

/// Whether an error says that the system has no such kind of address (EAFNOSUPPORT).
pub fn is_unsupported_family(error: &io::Error) -> bool {
    #[cfg(unix)]
    {
        error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
    }
    #[cfg(not(unix))]
    {
        let _ = error;
        false
    }
}
