//! A number of permits: who takes one waits until there is one. Those of the dead return.

#![expect(unsafe_code, reason = "promises that the semaphore may live in shared memory")]

use crate::deadline::Deadline;
use crate::shm::{ShmSafe, roster};
use crate::sync::linux::Linux;
use crate::sync::patience::{GaveUp, Patience};
use crate::sync::semaphore_core::{PERMITS_MAX, SemaphoreCore};
use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

/// A semaphore between processes: so many permits, each held by one thread.
///
/// `acquire` takes a [`Permit`], dropping that gives it back. Uncontended, each of the two is one atomic read-modify-write: a thread
/// that comes often keeps what it gives back (up to 15 permits) for its next time, until somebody needs it. A waiter spins for a moment, then sleeps. It is not fair, only fair enough: a waiter is woken, and whoever
/// comes first has the permit.
///
/// - **Death**: the permits of a thread that ends in any way (SIGKILL, exit, exec) return, and whoever waits is woken.
/// - **Signalling**: a permit that is [forgotten](Permit::forget) is gone, and [`add_permits`](Semaphore::add_permits) makes new
///   ones, from any thread: `add_permits(1)` here and `acquire().forget()` there sends a signal that is not lost.
/// - **Fork**: a child may not use a permit that it inherited; dropping that copy does nothing, and forgetting it panics.
/// - **Leaking** a permit (`std::mem::forget`) keeps it taken until its thread ends.
/// - **Limits**: at most 120 threads can hold permits at a time, any number each; another one waits as if there were none. At most
///   [`MAX_PERMITS`](Semaphore::MAX_PERMITS) permits.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// use offspring::{Semaphore, Shared};
/// let licences = Shared::new(Semaphore::new(2))?;
/// let child = offspring::spawn(|| -> () {
///     let _first = licences.acquire();
///     let _second = licences.acquire();
///     std::process::abort()
/// })?;
/// assert!(child.join().is_err());
/// let permit = licences.acquire(); // the dead one's have returned
/// assert_eq!(licences.available_permits(), 1);
/// drop(permit);
/// # Ok(()) }
/// ```
///
/// A permit stays on its thread:
///
/// ```compile_fail,E0277
/// let semaphore = offspring::Semaphore::new(1);
/// let permit = semaphore.acquire();
/// std::thread::scope(|s| { s.spawn(move || drop(permit)); });
/// ```
#[repr(C)]
pub struct Semaphore {
    core: SemaphoreCore,
}

// SAFETY: atomics alone, used through `&`; any value that a dying process leaves is one that `semaphore_core` handles.
unsafe impl ShmSafe for Semaphore {}

/// A permit of a [`Semaphore`]; gives it back when dropped.
#[must_use = "the permit is given back when it is dropped"]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
    me: u32,
    /// Where the semaphore has noted it.
    place: u32,
    /// The holder is a thread: not Send.
    _thread: PhantomData<*mut ()>,
}

// SAFETY: through `&Permit` nothing can be done.
unsafe impl Sync for Permit<'_> {}

/// Why no permit was acquired.
///
/// ```
/// use offspring::{Semaphore, sync::AcquireError};
/// use std::time::Duration;
/// let semaphore = Semaphore::new(0);
/// assert_eq!(semaphore.try_acquire().err(), Some(AcquireError::NoPermits));
/// let timed_out = semaphore.acquire_timeout(Duration::from_millis(1)).err();
/// assert_eq!(timed_out, Some(AcquireError::TimedOut));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcquireError {
    /// `try_acquire`: none is available, or 120 other threads hold some.
    NoPermits,
    /// So it was until the deadline.
    TimedOut,
}

impl Semaphore {
    /// The most permits that a semaphore can have.
    pub const MAX_PERMITS: u32 = PERMITS_MAX;

    /// A semaphore with `permits` permits, all available.
    ///
    /// # Panics
    /// If that is more than [`MAX_PERMITS`](Self::MAX_PERMITS).
    pub const fn new(permits: u32) -> Semaphore {
        assert!(permits <= PERMITS_MAX, "expected at most Semaphore::MAX_PERMITS permits");
        Semaphore { core: SemaphoreCore::new(permits) }
    }

    /// Takes a permit; blocks until there is one.
    ///
    /// A thread that waits for a permit that only it could give back waits for ever.
    #[inline]
    pub fn acquire(&self) -> Permit<'_> {
        match self.acquire_within(Patience::FOREVER) {
            Ok(permit) => permit,
            Err(error) => unreachable!("a wait without a deadline ended with {error:?}"),
        }
    }

    /// Takes a permit if one is available. Waits for another's operation that is under way, 10 ms at most.
    ///
    /// # Errors
    /// [`AcquireError::NoPermits`].
    #[inline]
    pub fn try_acquire(&self) -> Result<Permit<'_>, AcquireError> {
        self.acquire_within(Patience::None)
    }

    /// Takes a permit; waits for at most `timeout`.
    ///
    /// # Errors
    /// [`AcquireError::TimedOut`].
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<Permit<'_>, AcquireError> {
        self.acquire_within(Patience::Until(Deadline::after(timeout)))
    }

    /// Takes a permit; waits until `deadline` at most.
    ///
    /// # Errors
    /// [`AcquireError::TimedOut`].
    pub fn acquire_deadline(&self, deadline: Instant) -> Result<Permit<'_>, AcquireError> {
        self.acquire_within(Patience::Until(Deadline::at(deadline)))
    }

    #[inline(always)]
    fn acquire_within(&self, patience: Patience) -> Result<Permit<'_>, AcquireError> {
        let me = roster::me();
        match self.core.acquire(&Linux, me, patience) {
            Ok(place) => Ok(Permit { semaphore: self, me, place, _thread: PhantomData }),
            Err(GaveUp::NotNow) => Err(AcquireError::NoPermits),
            Err(GaveUp::TimedOut) => Err(AcquireError::TimedOut),
        }
    }

    /// How many permits are available: exact at some moment during the call, those of the dead included. If a process was
    /// stopped in the middle of an operation, it is the number last known, after 10 ms.
    pub fn available_permits(&self) -> u32 {
        self.core.available(&Linux, roster::me())
    }

    /// Adds `count` permits, and wakes as many waiters. No thread need hold any.
    ///
    /// # Panics
    /// If there would be more than [`MAX_PERMITS`](Self::MAX_PERMITS), held ones included; then none is added.
    pub fn add_permits(&self, count: u32) {
        let added = self.core.add(&Linux, roster::me(), count);
        assert!(
            added.is_ok(),
            "expected at most {PERMITS_MAX} permits, held ones included; {count} more were added to a semaphore"
        );
    }
}

impl Permit<'_> {
    /// Drops the permit without giving it back: the semaphore has one less from now on.
    ///
    /// # Panics
    /// If this permit was inherited by fork: it is the parent's.
    ///
    /// ```
    /// # fn main() -> offspring::Result<()> {
    /// use offspring::{Semaphore, Shared, spawn};
    /// let arrived = Shared::new(Semaphore::new(0))?;
    /// let child = spawn(|| arrived.add_permits(2))?; // two signals
    /// arrived.acquire().forget();
    /// arrived.acquire().forget();
    /// assert_eq!(arrived.available_permits(), 0);
    /// child.join().unwrap();
    /// # Ok(()) }
    /// ```
    pub fn forget(self) {
        assert!(
            self.me == roster::my_id(),
            "expected a permit of this process; this one was inherited by fork, and the parent holds it"
        );
        self.semaphore.core.forget(&Linux, self.me, self.place);
        std::mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.me == roster::my_id() {
            self.semaphore.core.release(&Linux, self.me, self.place);
        }
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("available", &self.core.last_available())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}

impl fmt::Display for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AcquireError::NoPermits => "acquire a permit: none is available",
            AcquireError::TimedOut => "acquire a permit: none was available until the deadline",
        })
    }
}

impl std::error::Error for AcquireError {}
