//! A lock with its data, for many readers or one writer.
//!
//! The algorithm is in `rw_core`; here is the data. A writer marks the lock as being changed, so that everybody after its
//! death or panic is told, until another writer has called [`recover`](crate::OwnerDied::recover).

#![expect(unsafe_code, reason = "hands out references to the data under the lock")]

use crate::deadline::Deadline;
use crate::shm::{ShmCell, ShmSafe, roster};
use crate::sync::linux::Linux;
use crate::sync::lock_core::Refused;
use crate::sync::owner_died::{LockError, OwnerDied};
use crate::sync::rw_core::RwCore;
use crate::sync::rwlock_guards::{RwLockReadGuard, RwLockWriteGuard};
use bytemuck::Pod;
use std::fmt;
use std::time::{Duration, Instant};

/// How many threads can read at a time.
pub(crate) const READERS: usize = 64;

/// Why [`RwLock::read`] and its kin did not simply succeed.
///
/// With [`LockError::OwnerDied`] comes a share: [`OwnerDied::get`] and [`OwnerDied::into_guard`] show the data as the dead writer
/// left it. Only a writer can recover.
pub type RwLockReadError<'a, T> = LockError<'a, T, RwLockReadGuard<'a, T>>;

/// Why [`RwLock::write`] and its kin did not simply succeed.
pub type RwLockWriteError<'a, T> = LockError<'a, T, RwLockWriteGuard<'a, T>>;

/// A value in shared memory that many threads of many processes may read, or one may change.
///
/// An uncontended read is one atomic read-modify-write and plain stores, on a cache line that few other readers use. A lock
/// takes 640 bytes and more; where writes are as frequent as reads, a [`Mutex`](crate::Mutex) is faster.
///
/// - **Order**: a writer that waits is served before readers that come later. A thread that has a share gets another one at
///   all times, also while a writer waits.
/// - **Death**: the share of a dead reader returns by itself. If a writer dies (SIGKILL, exit, exec, the end of its thread) or
///   panics with the guard held, the lock is free again, and every `read` and `write` returns [`LockError::OwnerDied`], with a
///   guard inside, until a writer has called [`OwnerDied::recover`].
/// - **Number**: 64 threads can read at a time. One more waits until one of them leaves, and holds up those behind it.
/// - **Fork**: a child may not use a guard that it inherited (it panics); dropping that copy unlocks nothing. A reference taken
///   from a guard before the fork cannot be checked: do not use one in a child.
/// - **Forgetting** a guard keeps the lock, or the share, until its thread ends. A reference that was leaked with the guard (`Box::leak`)
///   must not be used from then on, which nothing checks.
/// - **Panics**: a `read` or `write` that would wait for the calling thread itself, and for ever.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// use offspring::{RwLock, Shared};
/// let limits = Shared::new(RwLock::new([10u32, 20]))?;
/// let children: Vec<_> = (0..2)
///     .map(|_| offspring::spawn(|| limits.read().unwrap().iter().sum::<u32>()))
///     .collect::<offspring::Result<_>>()?;
/// for child in children {
///     assert_eq!(child.join().unwrap(), 30);
/// }
/// limits.write().unwrap()[0] = 15;
/// assert_eq!(*limits.read().unwrap(), [15, 20]);
/// # Ok(()) }
/// ```
///
/// A guard stays on its thread:
///
/// ```compile_fail,E0277
/// let lock = offspring::RwLock::new(0u32);
/// let guard = lock.read().unwrap();
/// std::thread::scope(|s| { s.spawn(move || drop(guard)); });
/// ```
#[repr(C)]
pub struct RwLock<T: Pod> {
    core: RwCore<READERS>,
    data: ShmCell<T>,
}

const _: () = assert!(size_of::<RwLock<u64>>() == 640);

// SAFETY: the core is atomics, and the data is Pod: any bytes that a dead writer leaves are a T, without pointers or drop glue. Only
// the writer touches the data, or readers that are in do (W2, W3 in `rw_core`), in whatever process.
unsafe impl<T: Pod> ShmSafe for RwLock<T> {}
// SAFETY: a `&RwLock` gives access to the data only through the lock. Several readers have a `&T` at a time: T: Pod promises
// to have no interior mutability, and it has no thread affinity.
unsafe impl<T: Pod> Sync for RwLock<T> {}

impl<T: Pod> RwLock<T> {
    /// An unlocked lock that holds `value`.
    pub const fn new(value: T) -> RwLock<T> {
        RwLock { core: RwCore::new(), data: ShmCell::new(value) }
    }

    /// Takes a share; blocks while somebody writes or waits to write.
    ///
    /// # Errors
    /// [`LockError::OwnerDied`], with the share inside, if a writer died or panicked and nobody has recovered since.
    ///
    /// # Panics
    /// If the calling thread is the writer.
    #[inline]
    pub fn read(&self) -> Result<RwLockReadGuard<'_, T>, RwLockReadError<'_, T>> {
        self.read_with(Some(Deadline::NEVER))
    }

    /// Takes a share if that is possible without waiting.
    ///
    /// # Errors
    /// [`LockError::WouldBlock`] if a living thread writes, this one included, or waits to write; also if all 64 shares
    /// are taken, and for a moment while those who waited for a writer come in. Else as [`read`](Self::read).
    #[inline]
    pub fn try_read(&self) -> Result<RwLockReadGuard<'_, T>, RwLockReadError<'_, T>> {
        self.read_with(None)
    }

    /// Takes a share; waits for at most `timeout`.
    ///
    /// # Errors
    /// [`LockError::TimedOut`] if a share was not to be had all the time; else as [`read`](Self::read).
    pub fn read_timeout(
        &self,
        timeout: Duration,
    ) -> Result<RwLockReadGuard<'_, T>, RwLockReadError<'_, T>> {
        self.read_with(Some(Deadline::after(timeout)))
    }

    /// Takes a share; waits until `deadline` at most.
    ///
    /// # Errors
    /// As [`read_timeout`](Self::read_timeout).
    pub fn read_deadline(
        &self,
        deadline: Instant,
    ) -> Result<RwLockReadGuard<'_, T>, RwLockReadError<'_, T>> {
        self.read_with(Some(Deadline::at(deadline)))
    }

    /// Locks for writing; blocks until the other writers and all readers have left.
    ///
    /// # Errors
    /// [`LockError::OwnerDied`], with the lock held, if the last writer died or panicked and nobody has recovered since.
    ///
    /// # Panics
    /// If the calling thread is the writer, or has a share.
    #[inline]
    pub fn write(&self) -> Result<RwLockWriteGuard<'_, T>, RwLockWriteError<'_, T>> {
        self.write_with(Some(Deadline::NEVER))
    }

    /// Locks for writing if that is possible without waiting.
    ///
    /// # Errors
    /// [`LockError::WouldBlock`] if a living thread reads or writes, this one included; else as [`write`](Self::write).
    #[inline]
    pub fn try_write(&self) -> Result<RwLockWriteGuard<'_, T>, RwLockWriteError<'_, T>> {
        self.write_with(None)
    }

    /// Locks for writing; waits for at most `timeout`.
    ///
    /// # Errors
    /// [`LockError::TimedOut`] if living threads (this one included) read or wrote all the time; else as [`write`](Self::write).
    pub fn write_timeout(
        &self,
        timeout: Duration,
    ) -> Result<RwLockWriteGuard<'_, T>, RwLockWriteError<'_, T>> {
        self.write_with(Some(Deadline::after(timeout)))
    }

    /// Locks for writing; waits until `deadline` at most.
    ///
    /// # Errors
    /// As [`write_timeout`](Self::write_timeout).
    pub fn write_deadline(
        &self,
        deadline: Instant,
    ) -> Result<RwLockWriteGuard<'_, T>, RwLockWriteError<'_, T>> {
        self.write_with(Some(Deadline::at(deadline)))
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
    fn read_with(
        &self,
        patience: Option<Deadline>,
    ) -> Result<RwLockReadGuard<'_, T>, RwLockReadError<'_, T>> {
        let me = roster::me();
        let slot = match self.core.read(&Linux, me, patience) {
            Ok(slot) => slot,
            Err(refused) => return Err(refusal(refused)),
        };
        let guard = RwLockReadGuard::new(self, me, slot);
        match self.core.mark() {
            0 => Ok(guard),
            _ => Err(LockError::OwnerDied(OwnerDied::with(guard))),
        }
    }

    #[inline(always)]
    fn write_with(
        &self,
        patience: Option<Deadline>,
    ) -> Result<RwLockWriteGuard<'_, T>, RwLockWriteError<'_, T>> {
        let me = roster::me();
        if let Err(refused) = self.core.write(&Linux, me, patience) {
            return Err(refusal(refused));
        }
        let mark = self.core.begin_writing(me);
        let guard = RwLockWriteGuard::new(self, me, mark);
        match mark {
            0 => Ok(guard),
            _ => Err(LockError::OwnerDied(OwnerDied::with(guard))),
        }
    }

    pub(super) fn core(&self) -> &RwCore<READERS> {
        &self.core
    }

    pub(super) fn data(&self) -> *mut T {
        self.data.get()
    }
}

#[cold]
fn refusal<'a, T: Pod, G>(refused: Refused) -> LockError<'a, T, G> {
    match refused {
        Refused::Held => LockError::WouldBlock,
        Refused::TimedOut | Refused::Stopped => LockError::TimedOut,
    }
}

impl<T: Pod> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwLock").field("writer", &self.core.writer()).finish_non_exhaustive()
    }
}

impl<T: Pod + Default> Default for RwLock<T> {
    fn default() -> RwLock<T> {
        RwLock::new(T::default())
    }
}
