//! A handle to a value in shared memory.

#![expect(unsafe_code, reason = "hands out references into a mapping")]

use crate::error::Result;
use crate::shm::region::{Region, RegionMap};
use crate::shm::safe::ShmSafe;
use std::fmt;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;

/// A value in shared memory, as one process sees it: dereferences to `&T`, and a clone is another handle to the same value.
///
/// Fork copies the handle; parent, child and their later descendants then use the same bytes. Each process unmaps the memory
/// when its own last handle is dropped, and the kernel frees it when the last process has; the value itself is never dropped.
/// A process that dies leaves the others' handles as they are.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// use offspring::{Counter, Shared};
/// let hits = Shared::new(Counter::new("hits"))?;
/// let child = offspring::spawn(|| { hits.add(2); })?;
/// child.join().unwrap();
/// assert_eq!(hits.get(), 2);
/// # Ok(()) }
/// ```
pub struct Shared<T: ?Sized + ShmSafe> {
    value: NonNull<T>,
    map: Arc<RegionMap>,
}

impl<T: ShmSafe> Shared<T> {
    /// Places `value` in a shared memory region of its own, just large enough.
    ///
    /// # Errors
    /// [`OutOfMemory`](crate::ErrorKind::OutOfMemory) if the memory cannot be committed,
    /// [`LimitReached`](crate::ErrorKind::LimitReached) if no file descriptor is free for the moment of the call.
    ///
    /// # Panics
    /// If `T` is aligned to more than a page.
    pub fn new(value: T) -> Result<Shared<T>> {
        Region::single(size_of::<T>(), align_of::<T>())?.place(value)
    }

    /// Gives the value a name by which [`snapshot`](crate::snapshot) and `top` call it, in all processes. The first 48 bytes are kept (to
    /// a whole character), and the last 1024 names of a process tree; a later name of the same value counts. An empty name is none.
    ///
    /// ```
    /// # fn main() -> offspring::Result<()> {
    /// use offspring::{Mutex, Shared};
    /// let accounts = Shared::new(Mutex::new([0u64; 16]))?.named("accounts");
    /// assert!(accounts.try_lock().is_ok());
    /// # Ok(()) }
    /// ```
    pub fn named(self, name: &str) -> Shared<T> {
        self.map.enter::<T>(self.value.as_ptr().addr(), 1, name);
        self
    }
}

impl<T: ?Sized + ShmSafe> Shared<T> {
    /// # Safety
    /// - `value` points to an initialised `T` inside the placed part of `map`, where nothing else will be placed.
    pub(crate) unsafe fn from_raw(value: NonNull<T>, map: Arc<RegionMap>) -> Shared<T> {
        Shared { value, map }
    }
}

impl<T: ShmSafe> Shared<[T]> {
    /// The first of the values, of which there is one at least.
    pub(crate) fn into_first(self) -> Shared<T> {
        // SAFETY: an initialised T inside the placed part, as the slice is.
        unsafe { Shared::from_raw(NonNull::from(&self[0]), Arc::clone(&self.map)) }
    }
}

impl<T: ?Sized + ShmSafe> Deref for Shared<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: `from_raw`: the pointer is to an initialised value that stays mapped while `map` lives; it is never moved
        // or dropped, and ShmSafe says that `&T` is enough for every use by every process.
        unsafe { self.value.as_ref() }
    }
}

impl<T: ?Sized + ShmSafe> Clone for Shared<T> {
    fn clone(&self) -> Shared<T> {
        Shared { value: self.value, map: Arc::clone(&self.map) }
    }
}

impl<T: ?Sized + ShmSafe + fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shared").field(&&**self).finish()
    }
}

// SAFETY: a handle is a shared reference and a reference count; T: ShmSafe is Sync, and nothing is dropped with the handle
// but the mapping.
unsafe impl<T: ?Sized + ShmSafe> Send for Shared<T> {}
// SAFETY: as above; `&Shared<T>` gives `&T` only.
unsafe impl<T: ?Sized + ShmSafe> Sync for Shared<T> {}
