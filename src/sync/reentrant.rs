//! A lock that its owner may lock again, with its data in a cell.
//!
//! The depth is written by the owner alone. Whoever gets the lock, from the living or the dead, sets it to 1, so nothing is
//! left of a dead owner's depth.

#![expect(unsafe_code, reason = "hands out references to the data under the lock")]

use crate::deadline::Deadline;
use crate::shm::{ShmCell, ShmSafe, roster};
use crate::sync::lock_core::{Acquired, Refused};
use crate::sync::mutex::inherited;
use crate::sync::owner_died::{Guard, LockError, OwnerDied, PANICKED, Recover};
use crate::sync::raw_mutex::RawMutex;
use bytemuck::Pod;
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Why [`ReentrantMutex::lock`] and its kin did not simply succeed.
pub type ReentrantMutexError<'a, T> = LockError<'a, T, ReentrantMutexGuard<'a, T>>;

/// A value in shared memory that one thread of one process at a time may use, and may lock again while it does.
///
/// The guard gives a [`Cell`]: one thread can have several guards, so none of them gives a `&mut T`. Otherwise it is as
/// [`Mutex`](crate::Mutex), deaths, panics and forks included.
///
/// - **Owner**: a thread of a process. Its guards may go in any order; the last one unlocks.
/// - **Death**: if the owner dies, at whatever depth, the next `lock` returns [`LockError::OwnerDied`] with a guard of depth 1. A
///   panic is reported if the guard that unlocks is dropped by it. Until somebody recovers, every lock says so, inner ones too.
/// - **Fork**: a child may not use a guard that it inherited (it panics); dropping that copy unlocks nothing.
/// - **Panics**: a thread that locks 2^32 times.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// use offspring::{ReentrantMutex, Shared};
/// let total = Shared::new(ReentrantMutex::new(0u64))?;
/// let add = |amount| {
///     let total = total.lock().unwrap();
///     total.set(total.get() + amount);
/// };
/// let both = total.lock().unwrap();
/// add(1);
/// add(2);
/// assert_eq!(both.get(), 3);
/// # Ok(()) }
/// ```
#[repr(C)]
pub struct ReentrantMutex<T: Pod> {
    raw: RawMutex,
    /// How many guards the owner has. Written and read by the owner alone.
    depth: AtomicU32,
    /// As in `Mutex`.
    died: AtomicU32,
    data: ShmCell<T>,
}

// SAFETY: the lock's words are atomics, and the data is Pod: any bytes that a dead owner leaves are a T, without pointers or
// drop glue. Only the lock's owner touches the data (L1 in `lock_core`), in whatever process.
unsafe impl<T: Pod> ShmSafe for ReentrantMutex<T> {}
// SAFETY: a `&ReentrantMutex` gives access to the data only through the lock; T: Pod has no thread affinity.
unsafe impl<T: Pod> Sync for ReentrantMutex<T> {}

/// Access to the data of a locked [`ReentrantMutex`]; the last one of a thread unlocks when dropped.
#[must_use = "the lock is released when the guard is dropped"]
pub struct ReentrantMutexGuard<'a, T: Pod> {
    lock: &'a ReentrantMutex<T>,
    me: u32,
    panicking: bool,
    /// The owner is a thread, and it may have other guards: neither Send nor Sync.
    _thread: PhantomData<*mut ()>,
}

impl<T: Pod> ReentrantMutex<T> {
    /// An unlocked mutex that holds `value`.
    pub const fn new(value: T) -> ReentrantMutex<T> {
        ReentrantMutex {
            raw: RawMutex::new(),
            depth: AtomicU32::new(0),
            died: AtomicU32::new(0),
            data: ShmCell::new(value),
        }
    }

    /// Locks; blocks while another thread has the lock.
    ///
    /// # Errors
    /// [`LockError::OwnerDied`], with the lock held, if the last owner died or panicked and nobody has recovered since.
    #[inline]
    pub fn lock(&self) -> Result<ReentrantMutexGuard<'_, T>, ReentrantMutexError<'_, T>> {
        self.lock_until(Deadline::NEVER)
    }

    /// Locks if that is possible without waiting.
    ///
    /// # Errors
    /// [`LockError::WouldBlock`] if another living thread has the lock; else as [`lock`](Self::lock).
    pub fn try_lock(&self) -> Result<ReentrantMutexGuard<'_, T>, ReentrantMutexError<'_, T>> {
        let me = roster::me();
        match self.raw.try_acquire(me) {
            Err(_) if self.raw.owner_id() == me => self.enter_again(me),
            acquired => self.enter(me, acquired),
        }
    }

    /// Locks; waits for at most `timeout`.
    ///
    /// # Errors
    /// [`LockError::TimedOut`] if other living threads had the lock all the time; else as [`lock`](Self::lock).
    pub fn lock_timeout(
        &self,
        timeout: Duration,
    ) -> Result<ReentrantMutexGuard<'_, T>, ReentrantMutexError<'_, T>> {
        self.lock_until(Deadline::after(timeout))
    }

    /// Locks; waits until `deadline` at most.
    ///
    /// # Errors
    /// As [`lock_timeout`](Self::lock_timeout).
    pub fn lock_deadline(
        &self,
        deadline: Instant,
    ) -> Result<ReentrantMutexGuard<'_, T>, ReentrantMutexError<'_, T>> {
        self.lock_until(Deadline::at(deadline))
    }

    /// The data, without locking: nobody else can have a reference.
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

    #[inline(always)]
    fn lock_until(
        &self,
        deadline: Deadline,
    ) -> Result<ReentrantMutexGuard<'_, T>, ReentrantMutexError<'_, T>> {
        let me = roster::me();
        // First the compare-exchange: a load of the owner word that the unlock has written would be slow.
        match self.raw.try_acquire(me) {
            Ok(acquired) => self.enter(me, Ok(acquired)),
            Err(_) if self.raw.owner_id() == me => self.enter_again(me),
            Err(_) => self.enter(me, self.raw.acquire_until(me, deadline)),
        }
    }

    #[inline(always)]
    fn enter(
        &self,
        me: u32,
        acquired: Result<Acquired, Refused>,
    ) -> Result<ReentrantMutexGuard<'_, T>, ReentrantMutexError<'_, T>> {
        match acquired {
            Ok(Acquired::Free) => {}
            Ok(Acquired::FromDead(id)) => self.died.store(id, Ordering::Relaxed),
            Err(Refused::Held) => return Err(LockError::WouldBlock),
            Err(Refused::TimedOut | Refused::Stopped) => return Err(LockError::TimedOut),
        }
        self.depth.store(1, Ordering::Relaxed);
        self.guard(me)
    }

    /// By the owner.
    fn enter_again(
        &self,
        me: u32,
    ) -> Result<ReentrantMutexGuard<'_, T>, ReentrantMutexError<'_, T>> {
        let depth = self.depth.load(Ordering::Relaxed).checked_add(1);
        let depth = depth.expect("fewer than 2^32 guards of one thread");
        self.depth.store(depth, Ordering::Relaxed);
        self.guard(me)
    }

    #[inline(always)]
    fn guard(&self, me: u32) -> Result<ReentrantMutexGuard<'_, T>, ReentrantMutexError<'_, T>> {
        let panicking = std::thread::panicking();
        let guard = ReentrantMutexGuard { lock: self, me, panicking, _thread: PhantomData };
        match self.died.load(Ordering::Relaxed) {
            0 => Ok(guard),
            _ => Err(LockError::OwnerDied(OwnerDied::with(guard))),
        }
    }
}

impl<T: Pod> Deref for ReentrantMutexGuard<'_, T> {
    type Target = Cell<T>;

    #[inline(always)]
    fn deref(&self) -> &Cell<T> {
        if self.me != roster::my_id() {
            inherited();
        }
        // SAFETY: this thread owns the lock (checked, for a fork may have copied the guard), so no other thread of any living
        // process touches the data (L1 in `lock_core`), and a `&Cell` does not leave its thread. A `Cell<T>` has the layout of T.
        unsafe { &*self.lock.data.get().cast::<Cell<T>>() }
    }
}

impl<T: Pod> Drop for ReentrantMutexGuard<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.me != roster::my_id() {
            return; // inherited by fork: the parent owns the lock
        }
        let depth = self.lock.depth.load(Ordering::Relaxed) - 1;
        self.lock.depth.store(depth, Ordering::Relaxed);
        if depth > 0 {
            return;
        }
        if std::thread::panicking() && !self.panicking {
            self.lock.died.store(self.me | PANICKED, Ordering::Relaxed);
        }
        self.lock.raw.release(self.me);
    }
}

impl<T: Pod> Guard for ReentrantMutexGuard<'_, T> {
    const ATTEMPT: &'static str = "lock a reentrant mutex";

    fn died(this: &Self) -> u32 {
        this.lock.died.load(Ordering::Relaxed)
    }
}

impl<T: Pod> Recover for ReentrantMutexGuard<'_, T> {
    fn recover(this: &mut Self) {
        this.lock.died.store(0, Ordering::Relaxed);
    }
}

impl<T: Pod> fmt::Debug for ReentrantMutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owner = self.raw.owner_id();
        f.debug_struct("ReentrantMutex").field("owner", &owner).finish_non_exhaustive()
    }
}

impl<T: Pod + fmt::Debug> fmt::Debug for ReentrantMutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

impl<T: Pod + Default> Default for ReentrantMutex<T> {
    fn default() -> ReentrantMutex<T> {
        ReentrantMutex::new(T::default())
    }
}
