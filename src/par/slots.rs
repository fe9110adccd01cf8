//! A place in shared memory for each item's plain result.

#![expect(unsafe_code, reason = "writes and reads places in a mapping")]

use crate::error::Result;
use crate::queue::Plain;
use crate::shm::Region;
use bytemuck::checked::try_pod_read_unaligned;
use std::ptr::NonNull;

/// Invariant **S1**: a place is written by the worker that has claimed its item, once, and read by the caller after all workers
/// have ended; only if that worker got beyond the item.
pub(super) struct Slots<R: Plain> {
    first: NonNull<R>,
    len: usize,
    /// Keeps the mapping.
    _region: Region,
}

impl<R: Plain> Slots<R> {
    /// So many places; all of their memory is committed.
    pub(super) fn new(len: usize) -> Result<Slots<R>> {
        let bytes = len.saturating_mul(size_of::<R>());
        let region = Region::single(bytes, align_of::<R>())?;
        let first = region.reserve(bytes, align_of::<R>())?.cast();
        Ok(Slots { first, len, _region: region })
    }

    /// Writes the result of an item that this worker has claimed.
    #[inline(always)]
    pub(super) fn write(&self, item: usize, result: R) {
        assert!(item < self.len, "item {item} of {}", self.len);
        // SAFETY: inside the places (asserted).
        let place = unsafe { self.first.add(item) };
        // SAFETY: S1: nobody else uses this place now, in any process.
        unsafe { place.write(result) };
    }

    /// Reads the result of an item that is done.
    #[inline(always)]
    pub(super) fn read(&self, item: usize) -> Option<R> {
        assert!(item < self.len, "item {item} of {}", self.len);
        // SAFETY: inside the places (asserted).
        let place = unsafe { self.first.add(item) };
        // SAFETY: S1: nobody writes any more. The bytes are those of an R without padding (NoUninit), or zeros.
        let bytes =
            unsafe { std::slice::from_raw_parts(place.as_ptr().cast::<u8>(), size_of::<R>()) };
        try_pod_read_unaligned::<R>(bytes).ok()
    }
}
