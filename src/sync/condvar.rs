//! A condition variable for a mutex.

#![expect(unsafe_code, reason = "promises that it keeps the rules of ShmSafe")]

use crate::deadline::Deadline;
use crate::shm::{ShmSafe, roster};
use crate::sync::cond_core::CondCore;
use crate::sync::kernel::ALL;
use crate::sync::linux::Linux;
use crate::sync::lock_core::Alone;
use crate::sync::mutex::{Mutex, MutexGuard};
use crate::sync::owner_died::LockError;
use bytemuck::Pod;
use std::fmt;
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Waiting, without the lock, for something that somebody does under a [`Mutex`].
///
/// It works as [`std::sync::Condvar`] does, between processes: `wait` gives the lock back and sleeps in one step, and has the
/// lock again when it returns. It may return without a notification, so look at the data again, or use
/// [`wait_while`](Self::wait_while). A notification while nobody waits is one load, and is not remembered.
///
/// - **Death of a waiter**: it holds up nobody, and if a notification had reached it, another waiter gets that.
/// - **Death of the lock's owner**: all who wait for the lock's condition variables are woken; the first to have the lock is
///   told [`LockError::OwnerDied`], and the others after it until somebody recovers. So a process that is killed between its change
///   of the data and its notification leaves nobody asleep, provided that it notifies *before it unlocks*.
/// - **Deadlines** cover the whole call, the lock included: see [`wait_timeout`](Self::wait_timeout).
/// - **Fork**: a child may not wait with a guard that it inherited (it panics).
/// - **One mutex**: a condition variable belongs to the mutex that it was first waited with, at that address.
///
/// While anybody waits, locking and unlocking that mutex costs some five times as much; after a waiter was killed, for ever.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// use offspring::{Condvar, Mutex, Shared};
/// let shared = Shared::new((Mutex::new(0u32), Condvar::new()))?;
/// let (count, changed) = &*shared;
/// let child = offspring::spawn(|| {
///     let guard = count.lock().unwrap();
///     *changed.wait_while(guard, |count| *count < 3).unwrap()
/// })?;
/// for _ in 0..3 {
///     *count.lock().unwrap() += 1;
///     changed.notify_one();
/// }
/// assert_eq!(child.join().unwrap(), 3);
/// # Ok(()) }
/// ```
#[repr(C)]
pub struct Condvar {
    core: CondCore,
    /// 0, or the address of the alarm of the mutex. A name, for nobody reads what is there; it is the same in all processes.
    /// Written once, by the first who waits, before it announces itself; read by notifiers that have seen that.
    alarm: AtomicU64,
}

// SAFETY: atomics alone, used through `&`; any value that a dying process leaves is one that `cond_core` handles. The address
// is never followed.
unsafe impl ShmSafe for Condvar {}

/// Whether a wait ended because its time was over.
///
/// ```
/// use offspring::{Condvar, Mutex};
/// use std::time::Duration;
/// let (ready, changed) = (Mutex::new(0u8), Condvar::new());
/// let guard = ready.lock().unwrap();
/// let (guard, result) =
///     changed.wait_timeout_while(guard, Duration::from_millis(1), |ready| *ready == 0).unwrap();
/// assert!(result.timed_out() && *guard == 0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult {
    timed_out: bool,
}

impl WaitTimeoutResult {
    /// True if nobody had notified by then.
    pub fn timed_out(&self) -> bool {
        self.timed_out
    }
}

/// What the waits return.
type Locked<'a, T> = Result<MutexGuard<'a, T>, LockError<'a, T>>;
/// What those with a time limit return.
type Timed<'a, T> = Result<(MutexGuard<'a, T>, WaitTimeoutResult), LockError<'a, T>>;

impl Condvar {
    /// A condition variable at which nobody waits, of no mutex yet.
    pub const fn new() -> Condvar {
        Condvar { core: CondCore::new(), alarm: AtomicU64::new(0) }
    }

    /// Unlocks, blocks until a notification, and locks again. It may also return without one.
    ///
    /// # Errors
    /// [`LockError::OwnerDied`], with the lock held, as [`Mutex::lock`].
    ///
    /// # Panics
    /// If the guard was inherited by fork, or belongs to another mutex than those of earlier waits.
    pub fn wait<'a, T: Pod>(&self, guard: MutexGuard<'a, T>) -> Locked<'a, T> {
        self.wait_until(guard, Deadline::NEVER).map(|(guard, _)| guard)
    }

    /// Waits for as long as `condition` is true of the data.
    ///
    /// # Errors
    /// [`LockError::OwnerDied`] as soon as the lock comes from a dead owner, whatever the condition; the lock is held.
    ///
    /// # Panics
    /// As [`wait`](Self::wait).
    pub fn wait_while<'a, T: Pod>(
        &self,
        guard: MutexGuard<'a, T>,
        condition: impl FnMut(&mut T) -> bool,
    ) -> Locked<'a, T> {
        self.wait_until_while(guard, Deadline::NEVER, condition).map(|(guard, _)| guard)
    }

    /// As [`wait`](Self::wait), for at most `timeout`.
    ///
    /// The time limit is one for the whole call. When it is over and nobody has notified, the lock is tried for a few microseconds
    /// more; if another thread keeps it (it may have been stopped inside), there is no guard to return.
    ///
    /// # Errors
    /// [`LockError::TimedOut`], *without* the lock, if another thread held it when the time was over; else as
    /// [`wait`](Self::wait).
    ///
    /// # Panics
    /// As [`wait`](Self::wait).
    pub fn wait_timeout<'a, T: Pod>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> Timed<'a, T> {
        self.wait_until(guard, Deadline::after(timeout))
    }

    /// As [`wait_timeout`](Self::wait_timeout), until `deadline` at most.
    ///
    /// # Errors
    /// As [`wait_timeout`](Self::wait_timeout).
    ///
    /// # Panics
    /// As [`wait`](Self::wait).
    pub fn wait_deadline<'a, T: Pod>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Instant,
    ) -> Timed<'a, T> {
        self.wait_until(guard, Deadline::at(deadline))
    }

    /// As [`wait_while`](Self::wait_while), for at most `timeout`; the result says whether the condition was still true then.
    ///
    /// # Errors
    /// As [`wait_timeout`](Self::wait_timeout).
    ///
    /// # Panics
    /// As [`wait`](Self::wait).
    pub fn wait_timeout_while<'a, T: Pod>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
        condition: impl FnMut(&mut T) -> bool,
    ) -> Timed<'a, T> {
        self.wait_until_while(guard, Deadline::after(timeout), condition)
    }

    /// As [`wait_timeout_while`](Self::wait_timeout_while), until `deadline` at most.
    ///
    /// # Errors
    /// As [`wait_timeout`](Self::wait_timeout).
    ///
    /// # Panics
    /// As [`wait`](Self::wait).
    pub fn wait_deadline_while<'a, T: Pod>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Instant,
        condition: impl FnMut(&mut T) -> bool,
    ) -> Timed<'a, T> {
        self.wait_until_while(guard, Deadline::at(deadline), condition)
    }

    /// Wakes one of those who wait, if anybody does. Never blocks; with or without the lock.
    #[inline]
    pub fn notify_one(&self) {
        if !self.core.is_quiet() {
            self.notify(1);
        }
    }

    /// Wakes all who wait. Never blocks; with or without the lock.
    ///
    /// ```
    /// # fn main() -> offspring::Result<()> {
    /// use offspring::{Condvar, Mutex, Shared, join_all, spawn};
    /// let gate = Shared::new((Mutex::new(0u8), Condvar::new()))?;
    /// let waits = || {
    ///     let (open, changed) = &*gate;
    ///     drop(changed.wait_while(open.lock().unwrap(), |open| *open == 0).unwrap());
    /// };
    /// let children = vec![spawn(waits)?, spawn(waits)?];
    /// *gate.0.lock().unwrap() = 1;
    /// gate.1.notify_all();
    /// join_all(children).unwrap();
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn notify_all(&self) {
        if !self.core.is_quiet() {
            self.notify(ALL);
        }
    }

    #[cold]
    fn notify(&self, count: u32) {
        roster::me(); // one that names an alarm must have an entry
        let alarm = self.alarm.load(Ordering::Relaxed) as usize;
        self.core.notify(&Linux, ptr::without_provenance::<AtomicU32>(alarm), count);
    }

    fn wait_until_while<'a, T: Pod>(
        &self,
        mut guard: MutexGuard<'a, T>,
        deadline: Deadline,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> Timed<'a, T> {
        while condition(&mut guard) {
            let timed_out;
            (guard, WaitTimeoutResult { timed_out }) = self.wait_until(guard, deadline)?;
            if timed_out {
                let timed_out = condition(&mut guard);
                return Ok((guard, WaitTimeoutResult { timed_out }));
            }
        }
        Ok((guard, WaitTimeoutResult { timed_out: false }))
    }

    fn wait_until<'a, T: Pod>(&self, guard: MutexGuard<'a, T>, deadline: Deadline) -> Timed<'a, T> {
        self.belong_to(guard.lock());
        let (mutex, me) = guard.suspend();
        let lock = mutex.raw().core();
        match self.core.wait(&Linux, me, lock, &Alone(lock), deadline) {
            Ok(woken) => {
                let guard = mutex.enter(me, woken.acquired)?;
                Ok((guard, WaitTimeoutResult { timed_out: woken.timed_out }))
            }
            Err(_) => Err(LockError::TimedOut),
        }
    }

    fn belong_to<T: Pod>(&self, mutex: &Mutex<T>) {
        let alarm = ptr::from_ref(mutex.raw().core().event().bell()).addr() as u64;
        let known = match self.alarm.load(Ordering::Relaxed) {
            0 => {
                match self.alarm.compare_exchange(0, alarm, Ordering::Relaxed, Ordering::Relaxed) {
                    Ok(_) => alarm,
                    Err(known) => known,
                }
            }
            known => known,
        };
        assert!(known == alarm, "expected the mutex that this condition variable was used with");
    }
}

impl Default for Condvar {
    fn default() -> Condvar {
        Condvar::new()
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").finish_non_exhaustive()
    }
}
