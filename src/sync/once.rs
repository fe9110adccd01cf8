//! A value that is computed once, by whoever needs it first.

#![expect(unsafe_code, reason = "hands out references to a value that has been published")]

use crate::deadline::Deadline;
use crate::shm::{ShmCell, ShmSafe, roster};
use crate::sync::linux::Linux;
use crate::sync::once_core::OnceCore;
use bytemuck::Pod;
use std::convert::Infallible;
use std::fmt;
use std::mem::{self, MaybeUninit};
use std::time::{Duration, Instant};

/// A value in shared memory that is set at most once, by one of many processes, and then read by all.
///
/// Once it is there, reading it is one load.
///
/// - **Death**: if the one that computes the value dies in the middle of that (or panics, or returns an error), nothing has
///   happened: the next one that needs the value runs its own initialiser.
/// - **Fork**: a child that is forked in the initialiser cannot finish it: its return from there panics.
/// - **Panics**: an initialiser that asks for the value that it computes.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// use offspring::{OnceLock, Shared};
/// let seed = Shared::new(OnceLock::<u64>::new())?;
/// let child = offspring::spawn(|| *seed.get_or_init(|| u64::from(std::process::id())))?;
/// let pid = u64::from(child.pid());
/// assert_eq!(*seed.wait(), pid);
/// assert_eq!(child.join().unwrap(), pid);
/// assert_eq!(seed.set(7), Err(7));
/// # Ok(()) }
/// ```
#[repr(C)]
pub struct OnceLock<T: Pod> {
    core: OnceCore,
    value: ShmCell<MaybeUninit<T>>,
}

// SAFETY: the core is atomics, and the value is Pod: it has no pointers and no drop glue. It is written by the owner of `init` before
// the 1 in `done`, and read after it (O1 in `once_core`), in whatever process.
unsafe impl<T: Pod> ShmSafe for OnceLock<T> {}
// SAFETY: as above; many have a `&T` at a time: T: Pod promises to have no interior mutability, and it has no thread affinity.
unsafe impl<T: Pod> Sync for OnceLock<T> {}

impl<T: Pod> OnceLock<T> {
    /// Without a value.
    pub const fn new() -> OnceLock<T> {
        OnceLock { core: OnceCore::new(), value: ShmCell::new(MaybeUninit::uninit()) }
    }

    /// The value, if it has been set.
    #[inline(always)]
    pub fn get(&self) -> Option<&T> {
        self.core.is_done().then(|| {
            // SAFETY: O1: the value was written before the 1 that `is_done` has seen (Acquire), and is never written again.
            unsafe { &*self.value.get().cast::<T>() }
        })
    }

    /// Sets the value; blocks while somebody else computes one.
    ///
    /// # Errors
    /// Gives the value back if there is one already.
    ///
    /// # Panics
    /// In the initialiser of this value.
    pub fn set(&self, value: T) -> Result<(), T> {
        let mut own = Some(value);
        self.get_or_init(|| own.take().expect("an initialiser runs once"));
        own.map_or(Ok(()), Err)
    }

    /// The value; if there is none yet, the one that `compute` returns. Blocks while somebody else computes it: they all get the
    /// same value.
    ///
    /// # Panics
    /// In the initialiser of this value, and if `compute` panics: then the value is still not set.
    #[inline]
    pub fn get_or_init(&self, compute: impl FnOnce() -> T) -> &T {
        match self.get_or_try_init(|| Ok::<T, Infallible>(compute())) {
            Ok(value) => value,
            Err(never) => match never {},
        }
    }

    /// As [`get_or_init`](Self::get_or_init), with a `compute` that may fail.
    ///
    /// # Errors
    /// What `compute` returned; then the value is still not set, and the next one computes it.
    ///
    /// # Panics
    /// As [`get_or_init`](Self::get_or_init).
    ///
    /// ```
    /// let port = offspring::OnceLock::<u16>::new();
    /// assert!(port.get_or_try_init(|| "none".parse()).is_err());
    /// assert_eq!(port.get_or_try_init(|| "80".parse()), Ok::<_, std::num::ParseIntError>(&80));
    /// assert_eq!(port.get(), Some(&80));
    /// ```
    #[inline]
    pub fn get_or_try_init<E>(&self, compute: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
        match self.get() {
            Some(value) => Ok(value),
            None => self.initialise(compute),
        }
    }

    /// The value; blocks until it is set, also while nobody computes it.
    ///
    /// # Panics
    /// In the initialiser of this value.
    pub fn wait(&self) -> &T {
        match self.wait_until(Deadline::NEVER) {
            Some(value) => value,
            None => unreachable!("a wait without a deadline ended without a value"),
        }
    }

    /// The value; `None` if it is not set within `timeout`.
    pub fn wait_timeout(&self, timeout: Duration) -> Option<&T> {
        self.wait_until(Deadline::after(timeout))
    }

    /// The value; `None` if it is not set by `deadline`.
    pub fn wait_deadline(&self, deadline: Instant) -> Option<&T> {
        self.wait_until(Deadline::at(deadline))
    }

    /// The value, if it has been set, to change: nobody else can have a reference.
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.core.is_done().then(|| {
            // SAFETY: set, as in `get`. `&mut self` is the only reference in this process, and a value that other processes map
            // is behind a `Shared`, which never gives out `&mut`.
            unsafe { &mut *self.value.get().cast::<T>() }
        })
    }

    /// The value, if it has been set.
    pub fn into_inner(self) -> Option<T> {
        self.get().copied()
    }

    #[cold]
    fn initialise<E>(&self, compute: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
        let me = roster::me();
        if self.core.begin(&Linux, me) {
            let computing = Computing { core: &self.core, me };
            let value = compute()?;
            assert!(
                computing.is_mine(),
                "expected to finish an initialiser in the process that began it; this one is a fork of that"
            );
            mem::forget(computing);
            // SAFETY: O1: this thread owns `init` and there was no value when it had got it, so nobody reads and nobody else writes.
            unsafe { self.value.get().write(MaybeUninit::new(value)) };
            self.core.commit(&Linux, me);
        }
        Ok(self.get().expect("set by this thread or before it"))
    }

    fn wait_until(&self, deadline: Deadline) -> Option<&T> {
        if !self.core.is_done() {
            let me = roster::me();
            assert!(
                !deadline.is_never() || self.core.initialiser() != me,
                "expected a value that this thread is not computing; its initialiser waits for it"
            );
            self.core.wait(&Linux, deadline);
        }
        self.get()
    }
}

/// The initialiser is running; dropped if it fails.
struct Computing<'a> {
    core: &'a OnceCore,
    me: u32,
}

impl Computing<'_> {
    /// Not in a child that was forked in the initialiser.
    fn is_mine(&self) -> bool {
        self.me == roster::my_id()
    }
}

impl Drop for Computing<'_> {
    fn drop(&mut self) {
        if self.is_mine() {
            self.core.abandon(&Linux, self.me);
        }
    }
}

impl<T: Pod> Default for OnceLock<T> {
    fn default() -> OnceLock<T> {
        OnceLock::new()
    }
}

impl<T: Pod + fmt::Debug> fmt::Debug for OnceLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnceLock").field(&self.get()).finish()
    }
}
