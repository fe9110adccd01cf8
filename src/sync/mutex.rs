//! A lock with the data that it guards, which says when its last owner died.
//!
//! The data is plain old data: an owner may be killed in the middle of a write, and whatever bytes it leaves must still be a
//! value. The next one to lock is told, gets the guard with the news, and repairs; until somebody has called
//! [`recover`](OwnerDied::recover), every lock says so again.

#![expect(unsafe_code, reason = "hands out references to the data under the lock")]

use crate::deadline::Deadline;
use crate::shm::ShmCell;
use crate::shm::{ShmSafe, roster};
use crate::sync::lock_core::Acquired;
use crate::sync::owner_died::{Guard, LockError, OwnerDied, PANICKED, Recover};
use crate::sync::raw_mutex::RawMutex;
use bytemuck::Pod;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A value in shared memory that one thread of one process at a time may use.
///
/// An uncontended lock and unlock are one atomic read-modify-write and a plain store. A waiter spins for a moment, then sleeps.
///
/// - **Death**: if the owner dies (SIGKILL, exit, exec, the end of its thread), the lock is free again, and the next `lock`
///   returns [`LockError::OwnerDied`], with the guard inside. A panic while the guard is held is reported the same way.
/// - **Fork**: a child may not use a guard that it inherited (it panics); dropping that copy unlocks nothing. A reference
///   taken from a guard before the fork cannot be checked: do not use one in a child.
///   A mutex that is not in shared memory is copied by fork, as it is: if it was locked, the child's copy stays locked.
/// - **Forgetting** a guard leaves the lock locked until its thread ends; then it is a dead owner's. A reference that was leaked with
///   the guard (`Box::leak`) must not be used from then on, which nothing checks.
/// - **Panics**: `lock` panics if the calling thread holds the lock already.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// use offspring::{LockError, Mutex, Shared};
/// let total = Shared::new(Mutex::new(0u64))?;
/// let child = offspring::spawn(|| -> () {
///     let _guard = total.lock().unwrap();
///     std::process::abort()
/// })?;
/// assert!(child.join().is_err());
/// match total.lock() {
///     Err(LockError::OwnerDied(died)) => {
///         println!("{} died with the lock", died.owner());
///         let mut total = died.recover();
///         *total = 0;
///     }
///     other => panic!("expected a dead owner, got {other:?}"),
/// }
/// # Ok(()) }
/// ```
///
/// A guard stays on its thread:
///
/// ```compile_fail,E0277
/// let lock = offspring::Mutex::new(0u32);
/// let guard = lock.lock().unwrap();
/// std::thread::scope(|s| { s.spawn(move || drop(guard)); });
/// ```
#[repr(C)]
pub struct Mutex<T: Pod> {
    raw: RawMutex,
    /// 0, or the id of the dead or panicked owner after which nobody has recovered yet, perhaps with [`PANICKED`]. Written by
    /// the lock's owner, read by the next one.
    died: AtomicU32,
    data: ShmCell<T>,
}

// SAFETY: the lock's words are atomics, and the data is Pod: any bytes that a dead owner leaves are a T, without pointers or
// drop glue. Only the lock's owner touches the data (L1), in whatever process.
unsafe impl<T: Pod> ShmSafe for Mutex<T> {}
// SAFETY: a `&Mutex` gives access to the data only through the lock; T: Pod has no thread affinity.
unsafe impl<T: Pod> Sync for Mutex<T> {}

/// Access to the data of a locked [`Mutex`]; unlocks when dropped.
#[must_use = "the lock is released when the guard is dropped"]
pub struct MutexGuard<'a, T: Pod> {
    lock: &'a Mutex<T>,
    me: u32,
    panicking: bool,
    /// The owner is a thread: not Send.
    _thread: PhantomData<*mut ()>,
}

// SAFETY: `&MutexGuard` gives `&T`, and T: Pod is plain data.
unsafe impl<T: Pod + Sync> Sync for MutexGuard<'_, T> {}

impl<T: Pod> Mutex<T> {
    /// An unlocked mutex that holds `value`.
    pub const fn new(value: T) -> Mutex<T> {
        Mutex { raw: RawMutex::new(), died: AtomicU32::new(0), data: ShmCell::new(value) }
    }

    /// Locks; blocks until the lock is free.
    ///
    /// The lock is held until the guard is dropped: `let _ = lock.lock()` gives it back at once, `let _guard = lock.lock()` at the end of the
    /// block. (Clippy's `let_underscore_lock` knows the locks of `std` and `parking_lot`, not this one.)
    ///
    /// # Errors
    /// [`LockError::OwnerDied`], with the lock held, if the last owner died or panicked and nobody has recovered since.
    ///
    /// # Panics
    /// If the calling thread holds the lock.
    #[inline]
    pub fn lock(&self) -> Result<MutexGuard<'_, T>, LockError<'_, T>> {
        let me = roster::me();
        let acquired = self.raw.acquire(me);
        self.enter(me, acquired)
    }

    /// Locks if that is possible without waiting.
    ///
    /// # Errors
    /// [`LockError::WouldBlock`] if a living thread holds the lock, this one included; else as [`lock`](Self::lock).
    ///
    /// ```
    /// use offspring::{LockError, Mutex};
    /// let lock = Mutex::new(0u32);
    /// let guard = lock.lock().unwrap();
    /// std::thread::scope(|threads| {
    ///     threads.spawn(|| assert!(matches!(lock.try_lock(), Err(LockError::WouldBlock))));
    /// });
    /// drop(guard);
    /// assert!(lock.try_lock().is_ok());
    /// ```
    #[inline]
    pub fn try_lock(&self) -> Result<MutexGuard<'_, T>, LockError<'_, T>> {
        let me = roster::me();
        match self.raw.try_acquire(me) {
            Ok(acquired) => self.enter(me, acquired),
            Err(_) => Err(LockError::WouldBlock),
        }
    }

    /// Locks; waits for at most `timeout`.
    ///
    /// # Errors
    /// [`LockError::TimedOut`] if a living thread (this one included) held the lock all the time; else as [`lock`](Self::lock).
    pub fn lock_timeout(&self, timeout: Duration) -> Result<MutexGuard<'_, T>, LockError<'_, T>> {
        self.lock_until(Deadline::after(timeout))
    }

    /// Locks; waits until `deadline` at most.
    ///
    /// # Errors
    /// As [`lock_timeout`](Self::lock_timeout).
    pub fn lock_deadline(&self, deadline: Instant) -> Result<MutexGuard<'_, T>, LockError<'_, T>> {
        self.lock_until(Deadline::at(deadline))
    }

    fn lock_until(&self, deadline: Deadline) -> Result<MutexGuard<'_, T>, LockError<'_, T>> {
        let me = roster::me();
        match self.raw.acquire_until(me, deadline) {
            Ok(acquired) => self.enter(me, acquired),
            Err(_) => Err(LockError::TimedOut),
        }
    }

    /// The data, without locking: nobody else can have a reference.
    ///
    /// ```
    /// let mut lock = offspring::Mutex::new(1u32);
    /// *lock.get_mut() = 2; // nobody else can have it
    /// assert_eq!(*lock.lock().unwrap(), 2);
    /// ```
    pub fn get_mut(&mut self) -> &mut T {
        // SAFETY: `&mut self` is the only reference in this process, and a value that other processes map is behind a
        // `Shared`, which never gives out `&mut`.
        unsafe { &mut *self.data.get() }
    }

    /// The data.
    pub fn into_inner(self) -> T {
        // SAFETY: `self` is owned, so nobody else uses it.
        unsafe { self.data.get().read() }
    }

    /// The lock under the mutex, for a condition variable.
    pub(crate) fn raw(&self) -> &RawMutex {
        &self.raw
    }

    /// What `lock` returns to `me`, who has the lock.
    #[inline(always)]
    pub(crate) fn enter(
        &self,
        me: u32,
        acquired: Acquired,
    ) -> Result<MutexGuard<'_, T>, LockError<'_, T>> {
        let panicking = std::thread::panicking();
        // Two, made where they are handed out: one that lives across the call would be kept in memory, on the fast path too.
        let guard = || MutexGuard { lock: self, me, panicking, _thread: PhantomData };
        if acquired == Acquired::Free && self.died.load(Ordering::Relaxed) == 0 {
            return Ok(guard());
        }
        self.note_death(acquired);
        Err(LockError::OwnerDied(OwnerDied::with(guard())))
    }

    /// The caller has the lock, which was a dead owner's, now or before.
    #[cold]
    #[inline(never)]
    fn note_death(&self, acquired: Acquired) {
        // From here on a later owner is told even if we leave without recovering; and if we die, we are the dead owner.
        if let Acquired::FromDead(id) = acquired {
            self.set_died(id);
            self.raw.keep_news(id);
        }
    }

    /// Notes whose death is to be reported until somebody recovers; the caller holds the lock.
    pub(crate) fn set_died(&self, owner: u32) {
        self.died.store(owner, Ordering::Relaxed);
    }
}

impl<'a, T: Pod> MutexGuard<'a, T> {
    /// The mutex that this guard holds.
    pub(crate) fn lock(&self) -> &'a Mutex<T> {
        self.lock
    }

    /// Ends the guard and leaves the mutex locked, by the owner that is returned; for a condition variable.
    pub(crate) fn suspend(self) -> (&'a Mutex<T>, u32) {
        self.check();
        let parts = (self.lock, self.me);
        std::mem::forget(self);
        parts
    }

    /// A child that inherited the guard by fork does not own the lock.
    #[inline(always)]
    fn check(&self) {
        if self.me != roster::my_id() {
            inherited();
        }
    }
}

impl<T: Pod> Guard for MutexGuard<'_, T> {
    const ATTEMPT: &'static str = "lock a mutex";

    fn died(this: &Self) -> u32 {
        this.lock.died.load(Ordering::Relaxed)
    }
}

impl<T: Pod> Recover for MutexGuard<'_, T> {
    fn recover(this: &mut Self) {
        this.lock.set_died(0);
    }
}

/// A guard is used in a child that inherited it.
#[cold]
#[inline(never)]
pub(crate) fn inherited() -> ! {
    panic!(
        "expected a guard of this process; this one was inherited by fork, and the parent holds the lock"
    );
}

impl<T: Pod> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        self.check();
        // SAFETY: this thread owns the lock (checked, for a fork may have copied the guard), so no other thread of any living
        // process touches the data (L1 in `lock_core`); dead ones do not.
        unsafe { &*self.lock.data.get() }
    }
}

impl<T: Pod> DerefMut for MutexGuard<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        self.check();
        // SAFETY: as in `deref`, and `&mut self` makes the reference the only one in this thread.
        unsafe { &mut *self.lock.data.get() }
    }
}

impl<T: Pod> Drop for MutexGuard<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.me != roster::my_id() {
            return; // inherited by fork: the parent owns the lock
        }
        if std::thread::panicking() && !self.panicking {
            self.lock.set_died(self.me | PANICKED);
        }
        self.lock.raw.release(self.me);
    }
}

impl<T: Pod> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mutex").field("owner", &self.raw.owner_id()).finish_non_exhaustive()
    }
}

impl<T: Pod + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: Pod + Default> Default for Mutex<T> {
    fn default() -> Mutex<T> {
        Mutex::new(T::default())
    }
}
