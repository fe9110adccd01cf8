//! The lock's algorithm, over any kernel: who owns it, how to wait for it, how to take it from the dead.
//!
//! The words: the *owner* (a roster id, 0 if free), an [event count](crate::sync::event_count) for those who sleep, and an
//! *alarm*, always 0, on which deaths wake a sleeper; a lock that stands alone names the event count's bell as that, for which
//! the real kernel takes a word in the roster. Locking is one compare-exchange of the owner word; it is the ownership
//! itself, so there is nothing to link or unlink around a critical section and no window in which a death goes unnoticed.
//! Unlocking is a plain release store of 0 and a look at the event count.
//!
//! | owner word | meaning |
//! |---|---|
//! | `0` | free |
//! | an id, the roster says alive | held |
//! | an id, the roster says dead | held by a dead thread: free for whoever finds it, with the news |
//!
//! Another word, `slow`, has its lowest bit set while the owner's pending pointer names the alarm until it unlocks: the owner had
//! armed the event count, or the lock is watched. The bit is changed by the owner alone; a dead owner may leave it set, which
//! costs the next one a look. The bits above it count the *watchers*: threads in `wait` of a condition variable of this lock. A
//! killed one stays counted. While there are any, a free lock has WATCHED in its owner word, so that the fast path fails. The
//! highest bits are the *epoch*: how often a watched lock was taken over from a dead owner.
//!
//! - L1 The owner word leaves 0 only by the new owner's compare-exchange, and a living owner's id only by that owner's store.
//!   It leaves a dead owner's id by a compare-exchange of whoever finds the owner dead.
//! - L2 While anybody sleeps, one of these answers for the sleepers:
//!   A. a thread in `acquire_slow`, awake, whose pending pointer names the alarm: it is going to look;
//!   B. the owner, if `slow`: its unlock rings, its death wakes a sleeper through the alarm;
//!   C. a sleeper that watches the life word of the present owner: the owner's unlock rings, its death wakes that sleeper;
//!   D. one that has stored 0 and not yet rung: as B or C; once it has moved the event count to RUNG, by the alarm.
//!
//!   A passes to B by taking the lock, to C by going to sleep on the owner that it saw (the kernel compares the owner word as it
//!   enqueues the sleeper). A sleeper's own death, awake or asleep, wakes another one through the alarm.
//! - L4 While the lock is watched, nobody becomes the owner who has not named the alarm before: the sleepers at a condition
//!   variable watch no owner's life, and learn of an owner's death through the alarm.
//! - L3 A waiter that gives up passes on the wake-up that it may have had, while the alarm is still named.
//!
//! What a `kill -9` leaves: a dead id in the owner word, at worst. The next one to lock takes it over by one compare-exchange and
//! is told whose death it was; if it is killed at that, its own id is the dead one. See `sync/README.md` for the timelines.

use crate::deadline::Deadline;
use crate::prim::{AtomicU32, Ordering};
use crate::sync::event_count::EventCount;
use crate::sync::kernel::{Awaits, Kernel, Pace, Sleep, Slept};

/// What an unlock leaves while there are watchers.
fn free_watched() -> u32 {
    if mutant!("cond-not-watched") { 0 } else { WATCHED }
}

/// The order of an unlock's store.
#[inline(always)]
fn unlocking() -> Ordering {
    if mutant!("relaxed-unlock") { Ordering::Relaxed } else { Ordering::Release }
}

/// The owner word of a free lock that is watched. Ids leave the top two bits free.
const WATCHED: u32 = 1 << 30;
/// In `slow`: the owner's pending pointer names the alarm.
const NAMED: u32 = 1;
/// In `slow`: one watcher.
const WATCHER: u32 = 2;
/// In `slow`: as many watchers as can be counted. Once that many were killed, the next ones are not counted.
const WATCHERS: u32 = (1 << 20) - WATCHER;
/// In `slow`: one more epoch.
const EPOCH: u32 = 1 << 20;
/// In `slow`: the epoch.
const EPOCHS: u32 = !(EPOCH - 1);

/// The lock's words that only the lock itself changes; the alarm is passed in, for several locks may share one.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct LockCore {
    owner: AtomicU32,
    event: EventCount,
    slow: AtomicU32,
}

/// One who waits at a condition variable of a lock, as the lock knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watcher {
    counted: u32,
    epoch: u32,
}

/// What a watcher sees of the lock before it sleeps.
#[derive(Debug)]
pub(crate) struct Sight<'a> {
    /// The owner's id, 0 if there is none.
    pub(crate) owner: u32,
    /// Somebody has taken over from a dead owner since the watcher gave the lock back.
    pub(crate) missed_a_death: bool,
    /// Words and values that must be so still when sleep begins.
    pub(crate) words: [(&'a AtomicU32, u32); 2],
}

/// How a lock was acquired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acquired {
    /// It was free.
    Free,
    /// It was held by the thread with this roster id, which has ended.
    FromDead(u32),
}

/// Why a lock was not acquired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// A living thread holds it (the caller itself, perhaps).
    Held,
    /// So it was until the deadline.
    TimedOut,
    /// So it was until the setting said that waiting was in vain.
    Stopped,
}

/// Where a lock stands: whose alarm its waiters use, and what else concerns them.
pub(crate) trait Setting {
    /// The word that deaths ring.
    fn alarm(&self) -> &AtomicU32;

    /// Whether the lock itself names the alarm: while it is waited for, and until an owner that had waited unlocks. Otherwise
    /// the caller names it for the whole operation, in which the lock is acquired and released.
    fn is_own(&self) -> bool;

    /// The alarm has woken the caller. Where sleepers of several kinds share an alarm, this wakes them all.
    fn alarmed<K: Kernel>(&self, _kernel: &K) {}

    /// Whether there is no point in waiting any longer.
    fn should_stop(&self) -> bool {
        false
    }

    /// The caller could not take the lock at once, and will sleep or give up: somebody else had better do what it came for.
    fn delayed<K: Kernel>(&self, _kernel: &K) {}
}

/// The setting of a lock that stands alone: its bell is its alarm, for nobody needs to tell them apart.
#[derive(Debug)]
pub(crate) struct Alone<'a>(pub(crate) &'a LockCore);

impl Setting for Alone<'_> {
    fn alarm(&self) -> &AtomicU32 {
        self.0.event.bell()
    }

    fn is_own(&self) -> bool {
        true
    }
}

impl LockCore {
    #[cfg(not(any(loom, shuttle)))]
    pub(crate) const fn new() -> LockCore {
        LockCore { owner: AtomicU32::new(0), event: EventCount::new(), slow: AtomicU32::new(0) }
    }

    #[cfg(any(loom, shuttle))]
    pub(crate) fn new() -> LockCore {
        LockCore { owner: AtomicU32::new(0), event: EventCount::new(), slow: AtomicU32::new(0) }
    }

    /// Takes the lock if it is free: the fast path.
    #[inline(always)]
    pub(crate) fn acquire_free(&self, me: u32) -> bool {
        self.owner.compare_exchange(0, me, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// The same, in the one order of all SeqCst accesses: for one who looks at other words next.
    #[inline(always)]
    pub(crate) fn acquire_free_in_order(&self, me: u32) -> bool {
        self.owner.compare_exchange(0, me, Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }

    /// Takes the lock if it is free or its owner is dead.
    pub(crate) fn try_acquire<K: Kernel>(&self, kernel: &K, me: u32) -> Result<Acquired, Refused> {
        self.take(kernel, me, &Alone(self)).ok_or(Refused::Held)
    }

    /// Waits for the lock: awake for a moment, then asleep.
    #[cold]
    pub(crate) fn acquire_slow<K: Kernel>(
        &self,
        kernel: &K,
        me: u32,
        setting: &impl Setting,
        deadline: Deadline,
    ) -> Result<Acquired, Refused> {
        let acquired = self.acquire_named(kernel, me, setting, deadline);
        if acquired.is_err() && setting.is_own() {
            kernel.unname_alarm(setting.alarm());
        }
        acquired
    }

    /// The same; a failure leaves the alarm named.
    fn acquire_named<K: Kernel>(
        &self,
        kernel: &K,
        me: u32,
        setting: &impl Setting,
        deadline: Deadline,
    ) -> Result<Acquired, Refused> {
        if let Some(acquired) = self.take(kernel, me, setting) {
            return Ok(acquired);
        }
        let mut step = 0;
        while kernel.pause(Pace::Lock, step) {
            if self.owner.load(Ordering::Relaxed) & !WATCHED == 0
                && let Some(acquired) = self.take(kernel, me, setting)
            {
                return Ok(acquired);
            }
            step += 1;
        }
        setting.delayed(kernel);
        let own = setting.is_own();
        if own {
            kernel.settle();
            kernel.name_alarm(setting.alarm());
        }
        let acquired = self.sleep_until_taken(kernel, me, setting, deadline)?;
        if own {
            self.slow.fetch_or(NAMED, Ordering::Relaxed);
            kernel.keep_alarm();
        }
        Ok(acquired)
    }

    fn sleep_until_taken<K: Kernel>(
        &self,
        kernel: &K,
        me: u32,
        setting: &impl Setting,
        deadline: Deadline,
    ) -> Result<Acquired, Refused> {
        loop {
            let armed = self.event.arm(kernel);
            if let Some(acquired) = self.take(kernel, me, setting) {
                return Ok(acquired);
            }
            let owner = self.owner.load(Ordering::Relaxed);
            if owner & !WATCHED == 0 {
                continue;
            }
            let stopped = setting.should_stop();
            if stopped || deadline.has_passed() {
                self.event.pass_on(kernel);
                return Err(if stopped { Refused::Stopped } else { Refused::TimedOut });
            }
            let sleep = Sleep {
                awaits: Awaits::Lock,
                bell: self.event.bell(),
                event: (self.event.word(), armed.value),
                owner: Some((&self.owner, owner)),
                world: None,
                lives: &[],
                alarm: setting.alarm(),
                unarmed: armed.unarmed,
            };
            if kernel.sleep(sleep, deadline) == Slept::Alarmed {
                setting.alarmed(kernel);
            }
        }
    }

    /// One attempt, on a free lock or a dead owner's.
    fn take<K: Kernel>(&self, kernel: &K, me: u32, setting: &impl Setting) -> Option<Acquired> {
        let owner = self.owner.load(Ordering::Relaxed);
        let acquired = match owner {
            0 | WATCHED => Acquired::Free,
            _ if mutant!("dead-not-seen") => return None,
            _ if kernel.is_dead(owner) => Acquired::FromDead(owner),
            _ => return None,
        };
        // What a dead owner did to `slow` was done before it was seen to be dead.
        let watched = owner == WATCHED || owner != 0 && self.is_watched();
        let named = watched && {
            kernel.settle();
            kernel.name_alarm(setting.alarm()) // L4
        };
        if let Acquired::FromDead(dead) = acquired {
            kernel.takes_over(&self.owner, dead);
        }
        let mut order = Ordering::Acquire;
        if watched && acquired != Acquired::Free {
            // Before the owner word: a watcher that sees the heir there sees that there was a death.
            self.slow.fetch_add(EPOCH, Ordering::Relaxed);
            order = Ordering::AcqRel;
        }
        let taken = self.owner.compare_exchange(owner, me, order, Ordering::Relaxed);
        if taken.is_ok() && watched {
            self.slow.fetch_or(NAMED, Ordering::Relaxed);
            kernel.keep_alarm();
        } else if named {
            kernel.unname_alarm(setting.alarm());
        }
        taken.is_ok().then_some(acquired)
    }

    /// Gives the lock back; the caller, `me`, owns it.
    ///
    /// The store of 0 needs no compare-exchange (L1). Nor is the owner word loaded to make sure: on some CPUs a load of a word
    /// that a locked instruction has just written costs as much as half the lock.
    #[inline(always)]
    pub(crate) fn release<K: Kernel>(&self, kernel: &K, me: u32, alarm: &AtomicU32) {
        if self.slow.load(Ordering::Relaxed) & (NAMED | WATCHERS) != 0 {
            return self.release_slow(kernel, me, alarm);
        }
        self.owner.store(0, unlocking());
        self.event.ring(kernel, me, alarm);
    }

    #[cold]
    fn release_slow<K: Kernel>(&self, kernel: &K, me: u32, alarm: &AtomicU32) {
        let slow = self.slow.fetch_and(!NAMED, Ordering::Relaxed);
        self.owner.store(if slow & WATCHERS == 0 { 0 } else { free_watched() }, unlocking());
        self.event.ring(kernel, me, alarm);
        kernel.unname_alarm(alarm);
        kernel.released(alarm);
    }

    /// By the owner, as if it had waited: names the alarm until the unlock, which so takes the slow path.
    #[cold]
    pub(crate) fn unlock_slowly<K: Kernel>(&self, kernel: &K, alarm: &AtomicU32) {
        if self.slow.load(Ordering::Relaxed) & NAMED == 0 {
            kernel.settle();
            kernel.name_alarm(alarm);
            self.slow.fetch_or(NAMED, Ordering::Relaxed);
            kernel.keep_alarm();
        }
    }

    /// The owner is about to wait at a condition variable: names the alarm, from here until [`reacquire`](Self::reacquire) has
    /// given the lock back and it is released, or the caller gives up.
    pub(crate) fn name_to_wait<K: Kernel>(&self, kernel: &K, alarm: &AtomicU32) {
        if self.slow.load(Ordering::Relaxed) & NAMED == 0 {
            kernel.settle(); // what is named may be the same word, for another lock
        }
        kernel.name_alarm(alarm);
        kernel.unkeep_alarm();
    }

    /// Gives the lock back, watched; the alarm stays named.
    pub(crate) fn release_to_wait<K: Kernel>(
        &self,
        kernel: &K,
        me: u32,
        alarm: &AtomicU32,
    ) -> Watcher {
        // Others take off watchers meanwhile; the rest is the owner's.
        let slow = self.slow.load(Ordering::Relaxed);
        let counted = if slow & WATCHERS == WATCHERS { 0 } else { WATCHER };
        self.slow.fetch_add(counted.wrapping_sub(slow & NAMED), Ordering::Relaxed);
        self.owner.store(free_watched(), unlocking());
        self.event.ring(kernel, me, alarm);
        Watcher { counted, epoch: slow & EPOCHS }
    }

    /// Waits for the lock again; if it succeeds or not, the alarm stays named.
    pub(crate) fn reacquire<K: Kernel>(
        &self,
        kernel: &K,
        me: u32,
        setting: &impl Setting,
        deadline: Deadline,
    ) -> Result<Acquired, Refused> {
        self.acquire_named(kernel, me, setting, deadline)
    }

    /// The caller, which need not own the lock, does not wait any more at a condition variable.
    pub(crate) fn unwatch(&self, watcher: Watcher) {
        self.slow.fetch_sub(watcher.counted, Ordering::Relaxed);
    }

    fn is_watched(&self) -> bool {
        self.slow.load(Ordering::Relaxed) & WATCHERS != 0
    }

    /// A watcher looks before it sleeps.
    pub(crate) fn look(&self, watcher: Watcher) -> Sight<'_> {
        let owner = self.owner.load(Ordering::Acquire);
        let slow = self.slow.load(Ordering::Acquire);
        Sight {
            owner: owner & !WATCHED,
            missed_a_death: slow & EPOCHS != watcher.epoch && !mutant!("cond-no-epoch"),
            words: [(&self.owner, owner), (&self.slow, slow)],
        }
    }

    /// The event count of those who wait for the lock.
    pub(crate) fn event(&self) -> &EventCount {
        &self.event
    }

    /// The owner word itself, for those who sleep while nobody is inside.
    pub(crate) fn owner_word(&self) -> &AtomicU32 {
        &self.owner
    }

    /// The owner word as it is: 0, or a roster id.
    pub(crate) fn owner(&self) -> u32 {
        // Acquire: one that sees the unlock sees what was done under the lock.
        self.owner.load(Ordering::Acquire) & !WATCHED
    }

    /// The same, in the one order of all SeqCst accesses: for one who has just made itself visible to the owner.
    #[inline(always)]
    pub(crate) fn owner_in_order(&self) -> u32 {
        self.owner.load(Ordering::SeqCst)
    }
}
