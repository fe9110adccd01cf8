//! Shared memory that is mapped twice in a row, so that a ring of bytes has no seam: what runs over its end goes on at its start.

#![expect(unsafe_code, reason = "maps a file twice")]

use super::Errno;
use super::memory::{populate, sealed_file};
use std::os::fd::AsRawFd;
use std::ptr::NonNull;

/// `bytes` of shared memory at `base`, and the same once more behind it. Unmapped on drop; inherited by fork children at the same
/// address.
#[derive(Debug)]
pub(crate) struct Mirror {
    base: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the mapping belongs to this value; its bytes are reached through raw pointers only, by whoever may.
unsafe impl Send for Mirror {}
// SAFETY: as above.
unsafe impl Sync for Mirror {}

impl Mirror {
    /// Maps `bytes` (whole pages) of new, zeroed shared memory twice, and commits them.
    pub(crate) fn new(bytes: usize) -> Result<Mirror, Errno> {
        let file = sealed_file(bytes)?;
        let both = bytes.checked_mul(2).ok_or(Errno::ENOMEM)?;
        let reserve = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping wherever the kernel likes.
        let base =
            unsafe { libc::mmap(std::ptr::null_mut(), both, libc::PROT_NONE, reserve, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        let base = NonNull::new(base.cast::<u8>()).expect("a mapping is never at address 0");
        let mirror = Mirror { base, bytes };
        for start in [0, bytes] {
            // SAFETY: inside what was just reserved.
            let address = unsafe { base.as_ptr().add(start) };
            let access = libc::PROT_READ | libc::PROT_WRITE;
            let flags = libc::MAP_SHARED | libc::MAP_FIXED;
            // SAFETY: replaces a part of our own reservation, which nobody has used.
            let mapped =
                unsafe { libc::mmap(address.cast(), bytes, access, flags, file.as_raw_fd(), 0) };
            if mapped == libc::MAP_FAILED {
                return Err(Errno::last());
            }
        }
        for start in [0, bytes] {
            // SAFETY: as above.
            let address = unsafe { base.as_ptr().add(start) };
            // SAFETY: the half that was mapped there.
            unsafe { populate(address, bytes) }?;
        }
        Ok(mirror)
    }

    /// The first byte; `2 * bytes()` can be reached from it.
    #[inline(always)]
    pub(crate) fn base(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    /// How many bytes there are, once.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        // SAFETY: both halves, or what there is of them, are ours, and nobody can use them any more.
        unsafe { libc::munmap(self.base.as_ptr().cast(), 2 * self.bytes) };
    }
}
