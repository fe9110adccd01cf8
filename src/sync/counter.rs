//! A shared number with a name.

#![expect(unsafe_code, reason = "promises that the counter may live in shared memory")]

use crate::shm::ShmSafe;
use std::sync::atomic::{AtomicU64, Ordering};

/// Longest name kept, in bytes.
const NAME_BYTES: usize = 48;

/// A 64-bit counter that any number of processes add to, with a name, alone in its cache lines.
///
/// Every operation is one atomic instruction: it never blocks, and a process that dies has added or has not. The total wraps
/// around at 2^64. The orderings are relaxed: a counter counts, it publishes nothing else.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// use offspring::{Counter, Shared};
/// let done = Shared::new(Counter::new("files done"))?;
/// assert_eq!(done.add(3), 0);
/// assert_eq!((done.name(), done.get()), ("files done", 3));
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[repr(C, align(128))]
pub struct Counter {
    total: AtomicU64,
    name_length: u8,
    name: [u8; NAME_BYTES],
}

// SAFETY: the total is an atomic; the name is plain bytes that nobody changes after `new`.
unsafe impl ShmSafe for Counter {}

impl Counter {
    /// A counter at 0. Of a name longer than 48 bytes, the first 48 (to a whole character) are kept.
    pub fn new(name: &str) -> Counter {
        let length = name.floor_char_boundary(NAME_BYTES);
        let mut bytes = [0; NAME_BYTES];
        bytes[..length].copy_from_slice(&name.as_bytes()[..length]);
        Counter { total: AtomicU64::new(0), name_length: length as u8, name: bytes }
    }

    /// Adds `count` and returns the total before.
    #[inline]
    pub fn add(&self, count: u64) -> u64 {
        self.total.fetch_add(count, Ordering::Relaxed)
    }

    /// The total.
    #[inline]
    pub fn get(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Sets the total to 0 and returns what it was.
    ///
    /// ```
    /// let errors = offspring::Counter::new("errors");
    /// errors.add(3);
    /// assert_eq!((errors.reset(), errors.get()), (3, 0));
    /// ```
    pub fn reset(&self) -> u64 {
        self.total.swap(0, Ordering::Relaxed)
    }

    /// The name.
    pub fn name(&self) -> &str {
        std::str::from_utf8(&self.name[..usize::from(self.name_length)]).unwrap_or_default()
    }
}
