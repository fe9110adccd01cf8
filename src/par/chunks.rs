//! Memory that is changed in place, each chunk by one worker.

#![expect(unsafe_code, reason = "cuts a vector into slices for several processes")]

use crate::par::crew;
use crate::par::error::ParError;
use crate::par::options::Par;
use crate::par::shared_vec::SharedVec;
use crate::par::worker::{Desk, Job};
use bytemuck::Pod;
use std::any::type_name;
use std::ops::Range;
use std::ptr::NonNull;

/// Calls `f` with each chunk of `chunk_len` elements and its index, in children that are forked now; the last chunk may be
/// shorter. What `f` writes there stays.
///
/// Each chunk is given to one child once, as `&mut`, in no particular order. Nothing is copied.
/// Everything else is as in [`par_map`](crate::par_map); the items are the chunks.
///
/// # Errors
/// As [`par_map`](crate::par_map). A chunk that failed has what was written until then; it may be anywhere between the old and
/// the new.
///
/// # Panics
/// If `chunk_len` is 0.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut pixels = offspring::SharedVec::from_slice(&[200u8; 640 * 480])?;
/// offspring::par_for_each_chunk_mut(&mut pixels, 640, |row, pixels| {
///     pixels.iter_mut().for_each(|pixel| *pixel = if row % 2 == 0 { *pixel / 2 } else { 0 });
/// })?;
/// assert_eq!((pixels[0], pixels[640]), (100, 0));
/// # Ok(()) }
/// ```
pub fn par_for_each_chunk_mut<T: Pod>(
    memory: &mut SharedVec<T>,
    chunk_len: usize,
    f: impl Fn(usize, &mut [T]),
) -> Result<(), ParError> {
    Par::new().for_each_chunk_mut(memory, chunk_len, f)
}

impl Par {
    /// [`par_for_each_chunk_mut`] with these options. ([`chunk`](Self::chunk) counts chunks of `chunk_len` elements.)
    ///
    /// # Errors
    /// As [`par_for_each_chunk_mut`].
    ///
    /// # Panics
    /// As [`par_for_each_chunk_mut`].
    pub fn for_each_chunk_mut<T: Pod>(
        &self,
        memory: &mut SharedVec<T>,
        chunk_len: usize,
        f: impl Fn(usize, &mut [T]),
    ) -> Result<(), ParError> {
        assert!(chunk_len > 0, "expected chunks of at least one element");
        let (len, first) = (memory.len(), memory.base());
        let chunks = len.div_ceil(chunk_len);
        let (staff, plan) = self.staff(chunks);
        let job = Chunks { first, len, chunk_len, f };
        let harvest = crew::run(&staff, &plan, &job, "()", &mut |_, _| Ok(()))?;
        let missing = harvest.missing(&plan, false, &|chunk, progress| chunk < progress);
        match missing.is_empty() {
            true => Ok(()),
            false => Err(ParError::of(chunks, missing, Vec::new())),
        }
    }
}

/// Invariant **M1**: the memory is borrowed by `&mut` for the whole call, and nobody uses it but through here.
struct Chunks<T, F> {
    first: NonNull<T>,
    len: usize,
    chunk_len: usize,
    f: F,
}

impl<T: Pod, F: Fn(usize, &mut [T])> Job for Chunks<T, F> {
    fn task(&self) -> &'static str {
        type_name::<F>()
    }

    fn run(&self, _chunk: usize, items: Range<usize>, desk: &mut Desk<'_>) {
        desk.each(items, |index, _| {
            let start = index * self.chunk_len;
            let len = self.chunk_len.min(self.len - start);
            // SAFETY: the chunk lies in the vector: `index` is less than the count of chunks.
            let first = unsafe { self.first.add(start) };
            // SAFETY: M1, and each index is claimed by one worker once (T1 in table.rs), whichever process that is: so this
            // is the only reference to these elements. Any bytes are a T (Pod).
            (self.f)(index, unsafe { std::slice::from_raw_parts_mut(first.as_ptr(), len) });
        });
    }
}
