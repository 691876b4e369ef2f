//! The guest's linear memory, read and written with every pointer checked.
//!
//! A pointer that does not fit is EFAULT, a count that no sane guest has is EINVAL; nothing here allocates
//! by a number that the guest chose.

use super::errno::Errno;
use super::guest::Guest;
use std::ops::Range;
use wasmtime::{Caller, Extern};

/// The most iovecs in one call; `writev` on Linux stops there too.
pub(super) const MAX_IOVECS: u32 = 1024;

/// The memory and the guest behind a host call, both at once.
pub(super) fn split<'a>(
    caller: &'a mut Caller<'_, Guest>,
) -> wasmtime::Result<(&'a mut [u8], &'a mut Guest)> {
    let memory = match caller.data().memory {
        Some(memory) => memory,
        // A wasm start section runs before the host has seen the exports.
        None => match caller.get_export("memory") {
            Some(Extern::Memory(memory)) => memory,
            _ => {
                return Err(wasmtime::Error::msg(
                    "the module called the host without exporting its memory",
                ));
            }
        },
    };
    Ok(memory.data_and_store_mut(caller))
}

/// Checks that `len` bytes at `ptr` exist.
pub(super) fn range(memory: &[u8], ptr: i32, len: u32) -> Result<Range<usize>, Errno> {
    let start = ptr.cast_unsigned() as usize;
    let end = start.checked_add(len as usize).ok_or(Errno::EFAULT)?;
    if end > memory.len() {
        return Err(Errno::EFAULT);
    }
    Ok(start..end)
}

/// The `len` bytes at `ptr`.
pub(super) fn bytes(memory: &mut [u8], ptr: i32, len: u32) -> Result<&mut [u8], Errno> {
    let range = range(memory, ptr, len)?;
    Ok(&mut memory[range])
}

/// Copies `data` to `ptr`.
pub(super) fn put(memory: &mut [u8], ptr: i32, data: &[u8]) -> Result<(), Errno> {
    let len = u32::try_from(data.len()).map_err(|_| Errno::EFAULT)?;
    bytes(memory, ptr, len)?.copy_from_slice(data);
    Ok(())
}

/// Writes a `size` or an fd.
pub(super) fn put_u32(memory: &mut [u8], ptr: i32, value: u32) -> Result<(), Errno> {
    put(memory, ptr, &value.to_le_bytes())
}

/// Writes a timestamp or a file size.
pub(super) fn put_u64(memory: &mut [u8], ptr: i32, value: u64) -> Result<(), Errno> {
    put(memory, ptr, &value.to_le_bytes())
}

/// The little-endian number of `N` bytes at `at` of a struct.
pub(super) fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N]
        .try_into()
        .expect("the caller's struct has the field")
}

/// The buffers of an iovec array, one after the other, each checked when it is reached.
pub(super) fn iovec(memory: &[u8], array: i32, index: u32) -> Result<Range<usize>, Errno> {
    let offset = i32::try_from(index * 8).map_err(|_| Errno::EINVAL)?;
    let at = array
        .cast_unsigned()
        .checked_add(offset.cast_unsigned())
        .ok_or(Errno::EFAULT)?;
    let entry = &memory[range(memory, at.cast_signed(), 8)?];
    let ptr = i32::from_le_bytes(field(entry, 0));
    let len = u32::from_le_bytes(field(entry, 4));
    range(memory, ptr, len)
}

/// The number of iovecs, refused where it is absurd.
pub(super) fn iovec_count(count: i32) -> Result<u32, Errno> {
    match u32::try_from(count) {
        Ok(count) if count <= MAX_IOVECS => Ok(count),
        _ => Err(Errno::EINVAL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_pointer_reaches_outside(ptr: i32, len: u32, size in 0usize..4096) {
            let memory = vec![0u8; size];
            if let Ok(range) = range(&memory, ptr, len) {
                prop_assert!(range.end <= size);
                prop_assert_eq!(range.len(), len as usize);
            }
        }

        #[test]
        fn no_iovec_reaches_outside(memory in proptest::collection::vec(any::<u8>(), 0..256), array: i32, index in 0..MAX_IOVECS) {
            if let Ok(range) = iovec(&memory, array, index) {
                prop_assert!(range.end <= memory.len());
            }
        }
    }
}
