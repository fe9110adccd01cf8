//! Plain memory that the workers of a parallel call share with their caller.

#![expect(unsafe_code, reason = "hands out slices of a mapping")]

use crate::error::Result;
use crate::par::veil;
use crate::shm::Region;
use bytemuck::Pod;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// A vector of fixed length in shared memory: the memory for
/// [`par_for_each_chunk_mut`](crate::par_for_each_chunk_mut).
///
/// To its owner it is a slice, as a `Vec` is. Workers of the parallel calls see it as it is, without copying. The fork copies no
/// page tables for it, but a worker pays for the first touch of each page (some 0.2 ms for each MiB). What is only read is
/// better off in [`vec_in_huge_pages`](crate::par::vec_in_huge_pages).
///
/// Its elements are plain data ([`Pod`]): a worker that is killed in the middle of a write leaves bytes that may be wrong, and
/// are a value still.
///
/// **Not for other children.** A child of [`spawn`](crate::spawn) may live longer than the vector stays unchanged, and nothing
/// would guard it. There the vector's use panics, and a reference that was taken from it before the fork leads nowhere: its use
/// ends that child by SIGSEGV. Such children share [`Shared`](crate::Shared) values.
///
/// # Panics
/// [`new`](Self::new) for elements aligned to more than a page; any use in a child that was made by `spawn` and its kin.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// let mut numbers = offspring::SharedVec::new(1000, |index| index as u64)?;
/// numbers[7] = 70;
/// assert_eq!(numbers.iter().sum::<u64>(), 499_500 + 63);
/// # Ok(()) }
/// ```
pub struct SharedVec<T: Pod> {
    first: NonNull<T>,
    len: usize,
    generation: u32,
    /// Keeps the mapping. It is the vector's own.
    _region: Region,
}

// SAFETY: it owns its elements, as a Vec does; no other process touches them but while the vector is borrowed for that.
unsafe impl<T: Pod + Send> Send for SharedVec<T> {}
// SAFETY: `&SharedVec` gives `&[T]` only.
unsafe impl<T: Pod + Sync> Sync for SharedVec<T> {}

impl<T: Pod> SharedVec<T> {
    /// A vector of `len` elements, the result of `value(index)` for each.
    ///
    /// # Errors
    /// [`OutOfMemory`](crate::ErrorKind::OutOfMemory) if the memory cannot be had: all of it is committed here.
    /// [`LimitReached`](crate::ErrorKind::LimitReached) if no file descriptor is free for the moment of the call.
    pub fn new(len: usize, mut value: impl FnMut(usize) -> T) -> Result<SharedVec<T>> {
        let mut made = SharedVec::zeroed(len)?;
        made.iter_mut().enumerate().for_each(|(index, place)| *place = value(index));
        Ok(made)
    }

    /// A vector of `len` elements of zero bytes, which is what new memory holds.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn zeroed(len: usize) -> Result<SharedVec<T>> {
        let bytes = len.saturating_mul(size_of::<T>());
        let region = Region::single(bytes, align_of::<T>())?;
        let place = region.reserve(bytes, align_of::<T>())?;
        let generation = veil::hold(place, bytes.max(1));
        Ok(SharedVec { first: place.cast(), len, generation, _region: region })
    }

    /// A copy of `values`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn from_slice(values: &[T]) -> Result<SharedVec<T>> {
        let mut made = SharedVec::zeroed(values.len())?;
        made.copy_from_slice(values);
        Ok(made)
    }

    /// The first element, for whoever divides the vector among workers.
    pub(super) fn base(&mut self) -> NonNull<T> {
        self.check();
        self.first
    }

    #[inline(always)]
    fn check(&self) {
        if !veil::is_ours(self.generation) {
            refuse();
        }
    }
}

#[cold]
fn refuse() -> ! {
    panic!(
        "a SharedVec of the parent; a child of `spawn` has no part in it, only workers of parallel calls have"
    )
}

impl<T: Pod> Deref for SharedVec<T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        self.check();
        // SAFETY: `len` elements of committed memory; any bytes are a T (Pod). Other processes write them in `par_for_each_chunk_mut`
        // alone, which has the vector by `&mut` until they have ended; all other children are veiled.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.len) }
    }
}

impl<T: Pod> DerefMut for SharedVec<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        self.check();
        // SAFETY: as in `deref`; and nobody reads meanwhile: workers read only while their caller, who lent `&self`, waits.
        unsafe { std::slice::from_raw_parts_mut(self.first.as_ptr(), self.len) }
    }
}

impl<T: Pod> Drop for SharedVec<T> {
    fn drop(&mut self) {
        veil::release(self.first.cast());
    }
}

impl<T: Pod + fmt::Debug> fmt::Debug for SharedVec<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.deref().fmt(f)
    }
}
