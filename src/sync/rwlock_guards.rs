//! Access to the data of an `RwLock`: a share, or all of it.

#![expect(unsafe_code, reason = "hands out references to the data under the lock")]

use crate::shm::roster;
use crate::sync::linux::Linux;
use crate::sync::mutex::inherited;
use crate::sync::owner_died::{Guard, OwnerDied, PANICKED, Recover};
use crate::sync::rwlock::RwLock;
use bytemuck::Pod;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};

/// A share of an [`RwLock`](crate::RwLock): its data, to read; given back when dropped.
#[must_use = "the share is given back when the guard is dropped"]
pub struct RwLockReadGuard<'a, T: Pod> {
    lock: &'a RwLock<T>,
    me: u32,
    slot: u32,
    /// The owner is a thread: not Send.
    _thread: PhantomData<*mut ()>,
}

/// The data of an [`RwLock`](crate::RwLock), to change; unlocks when dropped.
#[must_use = "the lock is released when the guard is dropped"]
pub struct RwLockWriteGuard<'a, T: Pod> {
    lock: &'a RwLock<T>,
    me: u32,
    /// The mark to leave: 0, or the writer after which nobody has recovered yet.
    mark: u32,
    panicking: bool,
    /// The owner is a thread: not Send.
    _thread: PhantomData<*mut ()>,
}

// SAFETY: `&RwLockReadGuard` gives `&T`, and T: Pod is plain data.
unsafe impl<T: Pod + Sync> Sync for RwLockReadGuard<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Pod + Sync> Sync for RwLockWriteGuard<'_, T> {}

impl<'a, T: Pod> RwLockReadGuard<'a, T> {
    /// For `me`, the calling thread, which has just taken a share on this slot.
    #[inline(always)]
    pub(super) fn new(lock: &'a RwLock<T>, me: u32, slot: usize) -> RwLockReadGuard<'a, T> {
        RwLockReadGuard { lock, me, slot: slot as u32, _thread: PhantomData }
    }
}

impl<'a, T: Pod> RwLockWriteGuard<'a, T> {
    /// For `me`, the calling thread, which has just locked for writing; the mark was this before.
    #[inline(always)]
    pub(super) fn new(lock: &'a RwLock<T>, me: u32, mark: u32) -> RwLockWriteGuard<'a, T> {
        let panicking = std::thread::panicking();
        RwLockWriteGuard { lock, me, mark, panicking, _thread: PhantomData }
    }

    /// Turns the lock into a share: other readers come in, and no writer does in between.
    ///
    /// ```
    /// use offspring::{RwLock, RwLockWriteGuard};
    /// let lock = RwLock::new(1u32);
    /// let mut all = lock.write().unwrap();
    /// *all += 1;
    /// let share = RwLockWriteGuard::downgrade(all);
    /// assert_eq!((*share, *lock.read().unwrap()), (2, 2));
    /// ```
    ///
    /// # Panics
    /// In a child that inherited the guard by fork.
    pub fn downgrade(this: Self) -> RwLockReadGuard<'a, T> {
        let this = ManuallyDrop::new(this);
        check(this.me);
        let slot = this.lock.core().downgrade(&Linux, this.me, this.mark);
        RwLockReadGuard::new(this.lock, this.me, slot)
    }
}

/// A child that inherited a guard by fork does not own the lock.
#[inline(always)]
fn check(me: u32) {
    if me != roster::my_id() {
        inherited();
    }
}

impl<T: Pod> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        check(self.me);
        // SAFETY: this thread is in (checked, for a fork may have copied the guard), so no thread of any living process writes
        // (W2, W3 in `rw_core`); dead ones do not.
        unsafe { &*self.lock.data() }
    }
}

impl<T: Pod> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        check(self.me);
        // SAFETY: this thread writes (checked, for a fork may have copied the guard), so no other thread of any living process
        // touches the data (W3 in `rw_core`); dead ones do not.
        unsafe { &*self.lock.data() }
    }
}

impl<T: Pod> DerefMut for RwLockWriteGuard<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        check(self.me);
        // SAFETY: as in `deref`, and `&mut self` makes the reference the only one in this thread.
        unsafe { &mut *self.lock.data() }
    }
}

impl<T: Pod> Drop for RwLockReadGuard<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.me == roster::my_id() {
            self.lock.core().end_reading(&Linux, self.me, self.slot as usize);
        }
    }
}

impl<T: Pod> Drop for RwLockWriteGuard<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.me != roster::my_id() {
            return; // inherited by fork: the parent owns the lock
        }
        if std::thread::panicking() && !self.panicking {
            self.mark = self.me | PANICKED;
        }
        self.lock.core().end_writing(&Linux, self.me, self.mark);
    }
}

impl<T: Pod> Guard for RwLockReadGuard<'_, T> {
    const ATTEMPT: &'static str = "read under an rwlock";

    fn died(this: &Self) -> u32 {
        this.lock.core().mark()
    }
}

impl<T: Pod> Guard for RwLockWriteGuard<'_, T> {
    const ATTEMPT: &'static str = "write under an rwlock";

    fn died(this: &Self) -> u32 {
        this.mark
    }
}

impl<T: Pod> Recover for RwLockWriteGuard<'_, T> {
    fn recover(this: &mut Self) {
        this.mark = 0;
    }
}

impl<'a, T: Pod> OwnerDied<'a, T, RwLockReadGuard<'a, T>> {
    /// The share, with the data as the dead writer left it. The news stays for the others.
    ///
    /// ```
    /// # fn main() -> offspring::Result<()> {
    /// use offspring::{LockError, RwLock, Shared, spawn};
    /// let pair = Shared::new(RwLock::new([1, 1]))?;
    /// let writer = spawn(|| -> () {
    ///     let mut pair = pair.write().unwrap();
    ///     pair[0] = 2;
    ///     std::process::abort()
    /// })?;
    /// assert!(writer.join().is_err());
    /// let Err(LockError::OwnerDied(died)) = pair.read() else { panic!("expected a dead writer") };
    /// assert_eq!(*died.into_guard(), [2, 1]); // to look at; a writer repairs
    /// # Ok(()) }
    /// ```
    pub fn into_guard(self) -> RwLockReadGuard<'a, T> {
        self.into_inner()
    }
}

impl<T: Pod + fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: Pod + fmt::Debug> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
