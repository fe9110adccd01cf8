//! What may live in shared memory.

#![expect(
    unsafe_code,
    reason = "promises that the std types listed here keep the rules of ShmSafe"
)]

use std::cell::UnsafeCell;
use std::sync::atomic::{
    AtomicBool, AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicIsize, AtomicU8, AtomicU16,
    AtomicU32, AtomicU64, AtomicUsize,
};

/// A type whose values may live in memory that several processes map.
///
/// Atomics, this crate's locks and queues, and arrays of them implement it. A plain number does not: nothing would guard it
/// against two processes at once. Put it in a [`Mutex`](crate::Mutex) or take an atomic.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// use std::sync::atomic::{AtomicU64, Ordering};
/// let hits = offspring::Shared::new(AtomicU64::new(0))?;
/// hits.fetch_add(1, Ordering::Relaxed);
/// # Ok(()) }
/// ```
///
/// What points into the memory of one process cannot be shared, and does not compile:
///
/// ```compile_fail,E0277
/// let shared = offspring::Shared::new(vec![1, 2, 3]);
/// ```
/// ```compile_fail,E0277
/// let number = 5;
/// let shared = offspring::Shared::new(&number);
/// ```
/// ```compile_fail,E0277
/// let shared = offspring::Shared::new(std::rc::Rc::new(1));
/// ```
/// ```compile_fail,E0277
/// let shared = offspring::Shared::new(offspring::Mutex::new(String::new()));
/// ```
///
/// # Safety
///
/// An implementor promises that:
/// - a shared reference to it is enough for every use, from any number of threads *and processes* at once;
/// - it has no pointer, reference, function pointer, file descriptor or other handle: only bytes that mean the same in every
///   process that maps them;
/// - it has no drop glue, and forgetting, moving (before it is shared) and never dropping it are fine;
/// - whatever bytes a process leaves that dies in the middle of any operation are a valid value for the others.
pub unsafe trait ShmSafe: Sync + 'static {}

macro_rules! atomics {
    ($($atomic:ty),*) => { $(
        // SAFETY: an atomic is used through `&`, is one indivisible value of plain bits, and has no drop glue. On 64-bit Linux
        // its operations are lock-free and so work between processes.
        unsafe impl ShmSafe for $atomic {}
    )* };
}
atomics!(AtomicBool, AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicIsize);
atomics!(AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize);

// SAFETY: an array is its elements, one after the other.
unsafe impl<T: ShmSafe, const N: usize> ShmSafe for [T; N] {}
// SAFETY: as for arrays; the length travels in the reference, never in the shared bytes.
unsafe impl<T: ShmSafe> ShmSafe for [T] {}
// SAFETY: no bytes at all.
unsafe impl ShmSafe for () {}
// SAFETY: its fields, in whatever order.
unsafe impl<A: ShmSafe, B: ShmSafe> ShmSafe for (A, B) {}

/// Bytes that several processes write, of which the owner of the memory alone says when.
///
/// `UnsafeCell` with `Sync`: for the data under a lock and the slots of a ring.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct ShmCell<T>(UnsafeCell<T>);

impl<T> ShmCell<T> {
    pub(crate) const fn new(value: T) -> ShmCell<T> {
        ShmCell(UnsafeCell::new(value))
    }

    /// The bytes; whoever dereferences this proves that nobody else writes.
    #[inline(always)]
    pub(crate) const fn get(&self) -> *mut T {
        self.0.get()
    }
}

// SAFETY: the cell gives out a raw pointer only; its users (`Mutex`, the ring) order the accesses between threads and
// processes. T: Send, because a value written by one is read by another.
unsafe impl<T: Send> Sync for ShmCell<T> {}
