//! The bare lock, for those who bring their own guard types.

#![expect(unsafe_code, reason = "implements the unsafe traits of lock_api")]

use crate::deadline::Deadline;
use crate::shm::{ShmSafe, roster};
use crate::sync::linux::Linux;
use crate::sync::lock_core::{Acquired, Alone, LockCore, Refused};
use crate::sync::takeover;
use parking_lot::lock_api;
use std::time::{Duration, Instant};

/// A lock in shared memory that outlives its owner's death; 16 bytes, zeroed memory is an unlocked one.
///
/// It implements `lock_api`'s `RawMutex` and `RawMutexTimed`, so `lock_api::Mutex<RawMutex, T>` and whatever is built on these
/// traits work between processes. What these traits cannot say is that the lock came from a dead owner: the next one to lock
/// simply gets it, and the data may be half-written. Use [`Mutex`](crate::Mutex) unless any state of your data is fine.
///
/// Locking blocks until the owner unlocks, dies, or (timed) the deadline passes. It panics if the calling thread itself holds
/// the lock and there is no deadline, and if 16,384 threads of one process tree are alive and use locks. In a fork child, a copy
/// of the parent's guard unlocks nothing. The owner is a thread: guards do not leave it.
///
/// In memory that you map yourself, create a [`Region`](crate::Region) before the first fork: that is when the process tree
/// gets the table of who is alive.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// use offspring::{RawMutex, Shared};
/// use parking_lot::lock_api::RawMutex as _;
/// let lock = Shared::new(RawMutex::INIT)?;
/// lock.lock();
/// assert!(!lock.try_lock());
/// // SAFETY: locked by this thread, above.
/// unsafe { lock.unlock() };
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[repr(C)]
pub struct RawMutex {
    core: LockCore,
}

const _: () = assert!(size_of::<RawMutex>() == 16);

// SAFETY: atomics alone, used through `&`; any value that a dying process leaves is one that `lock_core` handles.
unsafe impl ShmSafe for RawMutex {}

impl RawMutex {
    /// An unlocked lock.
    pub const fn new() -> RawMutex {
        RawMutex { core: LockCore::new() }
    }

    /// Locks for `me`, which is the caller's id.
    #[inline(always)]
    pub(crate) fn acquire(&self, me: u32) -> Acquired {
        if self.core.acquire_free(me) {
            return Acquired::Free;
        }
        self.acquire_contended(me)
    }

    #[cold]
    fn acquire_contended(&self, me: u32) -> Acquired {
        assert!(
            self.owner_id() != me,
            "expected a lock that this thread does not hold; it locked it before and did not unlock it"
        );
        match self.core.acquire_slow(&Linux, me, &Alone(&self.core), Deadline::NEVER) {
            Ok(acquired) => acquired,
            Err(refused) => unreachable!("a wait without a deadline ended with {refused:?}"),
        }
    }

    #[inline]
    pub(crate) fn try_acquire(&self, me: u32) -> Result<Acquired, Refused> {
        if self.core.acquire_free(me) {
            return Ok(Acquired::Free);
        }
        self.core.try_acquire(&Linux, me)
    }

    #[inline]
    pub(crate) fn acquire_until(&self, me: u32, deadline: Deadline) -> Result<Acquired, Refused> {
        if self.core.acquire_free(me) {
            return Ok(Acquired::Free);
        }
        self.core.acquire_slow(&Linux, me, &Alone(&self.core), deadline)
    }

    /// By the owner, who got the lock from this dead one: that is told when it unlocks, if anybody wants to hear it. Out of line, or
    /// what calls it would be, and guards that it gets would be kept in memory.
    #[cold]
    #[inline(never)]
    pub(crate) fn keep_news(&self, dead: u32) {
        let bell = self.core.event().bell();
        if takeover::keep(std::ptr::from_ref(bell).addr(), std::ptr::from_ref(self).addr(), dead) {
            self.core.unlock_slowly(&Linux, bell);
        }
    }

    /// The lock's words, for a condition variable.
    pub(crate) fn core(&self) -> &LockCore {
        &self.core
    }

    /// Unlocks; the calling thread, `me`, owns the lock.
    #[inline(always)]
    pub(crate) fn release(&self, me: u32) {
        self.core.release(&Linux, me, self.core.event().bell());
    }

    /// The owner's id, perhaps of a dead one; 0 if free.
    pub(crate) fn owner_id(&self) -> u32 {
        self.core.owner()
    }
}

impl Default for RawMutex {
    fn default() -> RawMutex {
        RawMutex::new()
    }
}

// SAFETY: mutual exclusion is the compare-exchange of the owner word (L1 in `lock_core`), between threads and processes; a
// lock is taken from a living owner never, from a dead one only after the kernel has marked its life word.
unsafe impl lock_api::RawMutex for RawMutex {
    const INIT: RawMutex = RawMutex::new();
    type GuardMarker = lock_api::GuardNoSend;

    #[inline]
    fn lock(&self) {
        self.acquire(roster::me());
    }

    #[inline]
    fn try_lock(&self) -> bool {
        self.try_acquire(roster::me()).is_ok()
    }

    #[inline]
    unsafe fn unlock(&self) {
        // A guard that a child inherited by fork is a safe copy of one whose lock the child does not own.
        let me = roster::my_id();
        if self.owner_id() == me {
            self.release(me);
        }
    }

    fn is_locked(&self) -> bool {
        let owner = self.owner_id();
        owner != roster::NOBODY && !roster::is_dead(owner)
    }
}

// SAFETY: as above.
unsafe impl lock_api::RawMutexTimed for RawMutex {
    type Duration = Duration;
    type Instant = Instant;

    fn try_lock_for(&self, timeout: Duration) -> bool {
        self.acquire_until(roster::me(), Deadline::after(timeout)).is_ok()
    }

    fn try_lock_until(&self, deadline: Instant) -> bool {
        self.acquire_until(roster::me(), Deadline::at(deadline)).is_ok()
    }
}
