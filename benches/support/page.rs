//! Memory that the sides of a benchmark share: an anonymous MAP_SHARED mapping, inherited by fork.
//!
//! Plain on purpose: the peers must not rest on the crate that they are compared with.
#![expect(unsafe_code, reason = "maps memory and lays a value into it")]

use std::ops::Deref;

/// A `T` in a shared mapping of its own, at the same address in every descendant.
pub(crate) struct Page<T> {
    value: *mut T,
}

// SAFETY: `Page` only hands out `&T`, from memory that lives as long as the `Page`.
unsafe impl<T: Sync> Sync for Page<T> {}

// SAFETY: as above; the mapping belongs to no thread.
unsafe impl<T: Sync> Send for Page<T> {}

impl<T: Sync> Page<T> {
    /// Maps fresh pages and moves `value` there. The value is never dropped: other processes may still use it.
    pub(crate) fn new(value: T) -> Page<T> {
        let bytes = size_of::<T>().max(1);
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
        // SAFETY: a new mapping at an address of the kernel's choice touches no existing memory.
        let address = unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, flags, -1, 0) };
        assert_ne!(address, libc::MAP_FAILED, "mmap of {bytes} shared bytes");
        let pointer: *mut T = address.cast();
        // SAFETY: the mapping is fresh, page-aligned, writable and at least as big as `T`.
        unsafe { pointer.write(value) };
        Page { value: pointer }
    }
}

impl<T> Deref for Page<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: `new` wrote a `T` there, the mapping lives until `drop`; other processes reach it through `&T` only.
        unsafe { &*self.value }
    }
}

impl<T> Drop for Page<T> {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours and no borrow of it outlives `self`; other processes keep their own mapping.
        unsafe { libc::munmap(self.value.cast(), size_of::<T>().max(1)) };
    }
}

/// Zeroed bytes in a shared mapping of their own, as many as asked for.
pub(crate) struct Bytes {
    address: *mut u8,
    len: usize,
}

// SAFETY: `Bytes` hands out an address and a length; who reads or writes there answers for that.
unsafe impl Sync for Bytes {}

// SAFETY: as above; the mapping belongs to no thread.
unsafe impl Send for Bytes {}

impl Bytes {
    pub(crate) fn new(len: usize) -> Bytes {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
        // SAFETY: a new mapping at an address of the kernel's choice touches no existing memory.
        let address = unsafe { libc::mmap(std::ptr::null_mut(), len, protection, flags, -1, 0) };
        assert_ne!(address, libc::MAP_FAILED, "mmap of {len} shared bytes");
        Bytes { address: address.cast(), len }
    }

    pub(crate) fn as_ptr(&self) -> *mut u8 {
        self.address
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and who was given the address holds `self`; other processes keep their own mapping.
        unsafe { libc::munmap(self.address.cast(), self.len) };
    }
}
