//! The condition variable's algorithm, over any kernel: sleep until notified, beside a lock that outlives its owners.
//!
//! | state | meaning | who moves it on |
//! |---|---|---|
//! | `QUIET` | nobody waits: a notification is one load | a waiter, which owns the lock → `CALLED` |
//! | `CALLED` | somebody waits, awake; notifications are counted | a waiter → `ARMED` |
//! | `ARMED` | somebody may sleep: a notification wakes | a notifier that woke nobody → `QUIET` |
//!
//! The upper bits count the returns to `QUIET`. `seq` counts the notifications while the state is not QUIET.
//!
//! - C1 A waiter announces itself (not QUIET) and reads `seq` before it gives the lock back. So whoever changes the condition
//!   after that, under the lock, sees the announcement when it notifies, or that the state has become QUIET *since*.
//! - C2 A waiter returns when `seq` is not what it was, or when the state's count is not what it was: whoever moved the state
//!   to QUIET has wakened all that slept, and notifications after that were not counted.
//! - C3 The kernel compares `seq` and the state as sleep begins. A notifier counts first, then runs a full fence, then looks
//!   whether anybody may sleep; a waiter arms first, with a full fence after it, and then looks at `seq`: one sees the other.
//! - C4 A wake-up by a bell finds `seq` changed, for the kernel wakes in the order of going to sleep, and those who come after
//!   the count come later. If it does not (real-time priorities go first), the woken one passes the wake-up on and returns.
//! - C5 The sleepers sleep on the *lock's* alarm, and name it, from before they give the lock back until they release it the
//!   next time. A notifier names it too while it counts and wakes. So does every owner of the lock while anybody waits (L4 in
//!   `lock_core`). The death of any of them wakes all who wait: they look at `seq` and at the owner, and those who missed a
//!   notification, or find a dead owner, or that somebody has taken over from one (the epoch), go for the lock.
//! - C6 An owner whose pending pointer is needed elsewhere wakes the sleepers before (`release_owed`): these look at the owner
//!   word, and sleep on with that owner's life watched. The kernel compares the owner word and the epoch as sleep begins: an owner that is
//!   there already is watched, and one that comes later has named the alarm after the sleeper was enqueued on it.
//!
//! There is no RUNG here: a notification for one must not be swallowed by one that is under way to another. And no heavy
//! fence: the lock orders the announcement before the next change of the condition.

use crate::deadline::Deadline;
use crate::prim::{AtomicU32, AtomicU64, Ordering, fence};
use crate::sync::kernel::{ALL, Awaits, Kernel, Pace, Sleep, Slept};
use crate::sync::lock_core::{Acquired, LockCore, Refused, Setting, Sight, Watcher};

const STATE: u32 = 3;
const QUIET: u32 = 0;
const CALLED: u32 = 1;
const ARMED: u32 = 2;
const COUNT_ONE: u32 = 4;

/// How one who waits stays awake for a while.
const PACE: Pace = Pace::Queue { linger: 0 };

/// See the top of the file. Zeroed memory is a condition variable at which nobody waits.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct CondCore {
    seq: AtomicU64,
    state: AtomicU32,
    /// Always 0: where wake-ups come.
    bell: AtomicU32,
    /// Always 0, for [`Sleep::world`].
    zero: AtomicU32,
}

/// How a wait ended, with the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Woken {
    pub(crate) acquired: Acquired,
    pub(crate) timed_out: bool,
}

/// How a wait ended, before the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// `seq` has changed: there may be a notification that nobody else has had.
    Notified,
    /// Everybody was woken, or the lock's owner is dead.
    Spurious,
    TimedOut,
}

impl CondCore {
    #[cfg(not(any(loom, shuttle)))]
    pub(crate) const fn new() -> CondCore {
        CondCore {
            seq: AtomicU64::new(0),
            state: AtomicU32::new(QUIET),
            bell: AtomicU32::new(0),
            zero: AtomicU32::new(0),
        }
    }

    #[cfg(any(loom, shuttle))]
    pub(crate) fn new() -> CondCore {
        CondCore {
            seq: AtomicU64::new(0),
            state: AtomicU32::new(QUIET),
            bell: AtomicU32::new(0),
            zero: AtomicU32::new(0),
        }
    }

    /// Waits for a notification, and then for the lock; the caller, `me`, owns the lock.
    pub(crate) fn wait<K: Kernel>(
        &self,
        kernel: &K,
        me: u32,
        lock: &LockCore,
        setting: &impl Setting,
        deadline: Deadline,
    ) -> Result<Woken, Refused> {
        let alarm = setting.alarm();
        lock.name_to_wait(kernel, alarm);
        let count = self.announce();
        let seen = self.seq.load(Ordering::Relaxed);
        let watcher = lock.release_to_wait(kernel, me, alarm);
        let end = self.await_notification(kernel, (lock, watcher), alarm, (count, seen), deadline);
        let reacquired = lock.reacquire(kernel, me, setting, deadline);
        if reacquired.is_err() && end == End::Notified {
            // This one leaves without the lock, and can do nothing with what it was told (E5).
            kernel.wake(&self.bell, 1);
        }
        lock.unwatch(watcher);
        if reacquired.is_err() {
            kernel.unname_alarm(alarm);
        }
        Ok(Woken { acquired: reacquired?, timed_out: end == End::TimedOut })
    }

    /// C1. Returns the count of the state.
    fn announce(&self) -> u32 {
        loop {
            let word = self.state.load(Ordering::Relaxed);
            if word & STATE != QUIET || self.replace(word, word | CALLED) {
                return word & !STATE;
            }
        }
    }

    fn await_notification<K: Kernel>(
        &self,
        kernel: &K,
        (lock, watcher): (&LockCore, Watcher),
        alarm: &AtomicU32,
        (count, seen): (u32, u64),
        deadline: Deadline,
    ) -> End {
        let is_new = || self.seq.load(Ordering::Acquire) != seen;
        let mut step = 0;
        while kernel.pause(PACE, step) {
            if is_new() {
                return End::Notified;
            }
            step += 1;
        }
        loop {
            if !self.arm(count) {
                return if is_new() { End::Notified } else { End::Spurious };
            }
            if is_new() {
                return End::Notified;
            }
            let Sight { owner, missed_a_death, words } = lock.look(watcher);
            if missed_a_death || owner != 0 && kernel.is_dead(owner) {
                return End::Spurious;
            }
            if deadline.has_passed() {
                return End::TimedOut;
            }
            let lives = [owner];
            let sleep = Sleep {
                awaits: Awaits::Condition,
                bell: &self.bell,
                event: (&self.state, count | ARMED),
                owner: None,
                world: (!mutant!("cond-no-seq")).then_some((&self.seq, seen, &self.zero)),
                lives: if owner == 0 { &[] } else { &lives },
                alarm,
                unarmed: false,
            };
            let also = if mutant!("cond-owner-not-seen") { &[] } else { &words[..] };
            match kernel.sleep_if(sleep, also, deadline) {
                Slept::Alarmed if !mutant!("cond-alarm-wakes-one") => {
                    kernel.echo(alarm);
                }
                Slept::Rung if !is_new() => {
                    kernel.wake(&self.bell, 1); // C4
                    return End::Spurious;
                }
                _ => {}
            }
        }
    }

    /// Makes the state ARMED, with a full fence; false if it has been QUIET since the announcement (C2).
    fn arm(&self, count: u32) -> bool {
        let armed = count | ARMED;
        let word = self.state.load(Ordering::SeqCst);
        let is_armed = word == armed
            || word == count | CALLED && self.replace(word, armed)
            || self.state.load(Ordering::SeqCst) == armed;
        fence(Ordering::SeqCst);
        is_armed
    }

    /// Whether nobody waits. Acquire: one that sees an announcement sees what was written before it.
    #[inline(always)]
    pub(crate) fn is_quiet(&self) -> bool {
        self.state.load(Ordering::Acquire) & STATE == QUIET
    }

    /// Wakes at most `count` of those who wait; the lock is known by the address of its alarm.
    #[cold]
    pub(crate) fn notify<K: Kernel>(&self, kernel: &K, alarm: *const AtomicU32, count: u32) {
        let named = kernel.name_alarm(alarm);
        self.seq.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        let word = self.state.load(Ordering::SeqCst);
        match word & STATE {
            ARMED if kernel.wake(&self.bell, count) == 0 => self.quieten(kernel, word),
            CALLED if kernel.calm() => self.quieten(kernel, word),
            _ => {}
        }
        if named {
            kernel.unname_alarm(alarm);
        }
    }

    /// Nobody seems to wait: makes the state QUIET, and wakes those who fell asleep before that (C2).
    fn quieten<K: Kernel>(&self, kernel: &K, word: u32) {
        if self.replace(word, (word & !STATE).wrapping_add(COUNT_ONE) | QUIET)
            && !mutant!("cond-quieten-no-wake")
        {
            kernel.wake(&self.bell, ALL);
        }
    }

    fn replace(&self, from: u32, to: u32) -> bool {
        self.state.compare_exchange(from, to, Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }
}
