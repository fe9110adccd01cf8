//! A monitor: state that changes under a crash-safe lock, and sleepers who wait until it suits them. Over any kernel.
//!
//! ```text
//!   lock ── owner, event count of those who wait for it
//!   changed ── event count of those who wait for the state to change      version ── counts those changes
//!   alarm ── named by every thread for the length of its operation (always 0)
//! ```
//!
//! - M1 The state belongs to the lock's owner. Each change has one committing store: before it nothing has happened, after it
//!   everything has. What follows from the rest (sums, free lists, hints) is recomputed by the next owner if the last one died
//!   ([`State::repair`]).
//! - M2 An operation is an *attempt* under the lock: done, or "wait for a change". It calls no code of the user's.
//! - M3 The owner moves `version` before it releases the lock, if a sleeper may be waiting for what it changed. A sleeper looks
//!   under the lock *after* it has armed `changed`. As it is enqueued, the kernel compares three things: `version`, the event,
//!   and that nobody is inside: an owner that has committed its change and died before it moved `version` is still there. Who
//!   takes over from it moves `version` first of all.
//! - M4 The alarm covers whole operations, sleep included: a death at any instruction of one wakes a sleeper, which wakes all.
//! - M5 What is held *between* operations (permits, deliveries) is covered by the holder's life word: a sleeper watches the lives
//!   of all holders ([`State::lives`]), and an attempt takes from the dead what they held.
//! - M6 One that had come near sleep and is done rings at least one, also if it left nothing (E6): from now on it may hold what
//!   the others wait for, and they slept before they could watch its life. One that takes without having slept need not: what it
//!   takes was given up by somebody whose wake-up is still on its way to a sleeper.
//! - M7 A wake-up of one is right if any sleeper can use it. Where sleepers wait for different things, wake everybody.
//!
//! What a `kill -9` leaves: a lock with a dead owner; the next one repairs what follows from the rest. Timelines: `sync/README.md`.

use crate::prim::{AtomicU32, AtomicU64, Ordering};
use crate::sync::event_count::{Armed, EventCount};
use crate::sync::kernel::{ALL, Awaits, Kernel, LIVES_MAX, Pace, Sleep, Slept};
use crate::sync::lock_core::{Acquired, LockCore, Setting};
use crate::sync::patience::{GaveUp, Patience};

/// See the top of the file. Zeroed memory is a free monitor.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Monitor {
    lock: LockCore,
    changed: EventCount,
    version: AtomicU64,
    /// Always 0; see M4.
    alarm: AtomicU32,
    /// Always 0; for a mutant.
    zero: AtomicU32,
}

/// What a monitor guards, as far as the monitor must know it. All calls are made under the lock.
pub(crate) trait State {
    /// The last owner of the lock died in the middle of an attempt: recompute what follows from the rest.
    fn repair(&self) {}

    /// Names those whose death would let a waiter go on.
    fn lives(&self, _lives: &mut Lives) {}
}

/// How an attempt ended.
#[derive(Debug)]
pub(crate) enum Attempt<R> {
    /// Done, and so many sleepers may now be able to go on ([`NOBODY`], [`ONE`], [`EVERYBODY`], or a number).
    Done(R, u32),
    /// Nothing was changed; try again when something has.
    Wait,
}

/// Nothing that anybody waits for has changed.
pub(crate) const NOBODY: u32 = 0;
/// One sleeper can go on.
pub(crate) const ONE: u32 = 1;
/// All sleepers must look.
pub(crate) const EVERYBODY: u32 = ALL;

/// Roster ids of threads whose lives a sleeper watches.
#[derive(Debug)]
pub(crate) struct Lives {
    ids: [u32; LIVES_MAX],
    count: usize,
}

impl Lives {
    fn new() -> Lives {
        Lives { ids: [0; LIVES_MAX], count: 0 }
    }

    /// Adds a life, once. Of more than [`LIVES_MAX`] the rest is not watched.
    pub(crate) fn push(&mut self, id: u32) {
        if self.as_slice().contains(&id) {
            return;
        }
        if let Some(place) = self.ids.get_mut(self.count) {
            *place = id;
            self.count += 1;
        }
    }

    fn as_slice(&self) -> &[u32] {
        &self.ids[..self.count]
    }
}

impl Monitor {
    #[cfg(not(any(loom, shuttle)))]
    pub(crate) const fn new() -> Monitor {
        Monitor {
            lock: LockCore::new(),
            changed: EventCount::new(),
            version: AtomicU64::new(0),
            alarm: AtomicU32::new(0),
            zero: AtomicU32::new(0),
        }
    }

    #[cfg(any(loom, shuttle))]
    pub(crate) fn new() -> Monitor {
        Monitor {
            lock: LockCore::new(),
            changed: EventCount::new(),
            version: AtomicU64::new(0),
            alarm: AtomicU32::new(0),
            zero: AtomicU32::new(0),
        }
    }

    /// By the owner of the lock: nobody sleeps, and whoever will sleep will first look under the lock once more. (Or everybody
    /// who sleeps is about to be woken.)
    pub(crate) fn is_quiet(&self) -> bool {
        self.changed.is_quiet()
    }

    /// Runs `attempt` under the lock until it is done. Its argument says whether the caller has come near sleep, and so may have
    /// had a wake-up: then one sleeper is woken in any case (M6), and more if the attempt says so.
    #[inline(always)]
    pub(crate) fn run<K: Kernel, S: State, R>(
        &self,
        kernel: &K,
        me: u32,
        patience: Patience,
        state: &S,
        mut attempt: impl FnMut(bool) -> Attempt<R>,
    ) -> Result<R, GaveUp> {
        kernel.begin(&self.alarm);
        let is_inside = self.lock.acquire_free(me);
        if is_inside && let Attempt::Done(result, wakes) = attempt(false) {
            self.leave(kernel, me, wakes);
            kernel.end();
            return Ok(result);
        }
        let done = self.run_slow(kernel, me, patience, state, attempt, is_inside);
        kernel.end();
        done
    }

    /// The rest of [`run`](Self::run), when the first attempt was in vain, or the lock was not free.
    #[cold]
    #[inline(never)]
    fn run_slow<K: Kernel, S: State, R>(
        &self,
        kernel: &K,
        me: u32,
        patience: Patience,
        state: &S,
        mut attempt: impl FnMut(bool) -> Attempt<R>,
        mut is_inside: bool,
    ) -> Result<R, GaveUp> {
        let mut armed = None;
        loop {
            if is_inside {
                armed = self.wait(kernel, me, patience, state, armed)?;
            }
            if !self.lock.acquire_free(me) {
                self.enter_slow(kernel, me, patience, state, armed.is_some())?;
            }
            if let Attempt::Done(result, wakes) = attempt(armed.is_some()) {
                let chains = armed.is_some() && !mutant!("monitor-no-chain");
                self.leave(kernel, me, wakes.max(if chains { ONE } else { NOBODY }));
                return Ok(result);
            }
            is_inside = true;
        }
    }

    /// By the owner of the lock, at the end of an attempt that is done.
    #[inline(always)]
    fn leave<K: Kernel>(&self, kernel: &K, me: u32, wakes: u32) {
        if wakes == NOBODY {
            return self.lock.release(kernel, me, &self.alarm);
        }
        if !mutant!("monitor-version-after-release") {
            self.move_version();
        }
        self.lock.release(kernel, me, &self.alarm);
        if mutant!("monitor-version-after-release") {
            self.move_version();
        }
        if wakes == EVERYBODY {
            // Somebody may have rung for one, and nobody has looked since: that is not enough.
            return self.changed.ring_all(kernel);
        }
        self.changed.ring_many(kernel, me, &self.alarm, wakes);
    }

    /// By the owner of the lock: those who have looked before look again.
    #[inline(always)]
    fn move_version(&self) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version.wrapping_add(1), Ordering::Release);
    }

    #[cold]
    fn enter_slow<K: Kernel, S: State>(
        &self,
        kernel: &K,
        me: u32,
        patience: Patience,
        state: &S,
        armed: bool,
    ) -> Result<(), GaveUp> {
        let setting = Waiting { monitor: self, armed };
        let acquired = self.lock.acquire_slow(kernel, me, &setting, patience.deadline());
        match acquired {
            Ok(Acquired::Free) => Ok(()),
            Ok(Acquired::FromDead(_)) => {
                // It may have committed a change that it did not announce. Its alarm wakes those asleep; this stops those who
                // have looked before and are not asleep yet.
                if !mutant!("monitor-takeover-keeps-version") {
                    self.move_version();
                }
                state.repair();
                Ok(())
            }
            Err(_) => {
                if armed {
                    self.changed.pass_on(kernel);
                }
                Err(patience.gave_up())
            }
        }
    }

    /// By the owner of the lock, which it releases: waits until there may be something to do. What it returns says whether, and
    /// how, `changed` is armed for the next attempt.
    #[cold]
    fn wait<K: Kernel, S: State>(
        &self,
        kernel: &K,
        me: u32,
        patience: Patience,
        state: &S,
        armed: Option<Armed>,
    ) -> Result<Option<Armed>, GaveUp> {
        let seen = self.version.load(Ordering::Relaxed);
        let mut lives = Lives::new();
        if armed.is_some() && !mutant!("monitor-no-lives") {
            state.lives(&mut lives);
        }
        self.lock.release(kernel, me, &self.alarm);
        let deadline = match patience {
            Patience::Until(deadline) if !deadline.has_passed() => deadline,
            _ => {
                if armed.is_some() {
                    self.changed.pass_on(kernel);
                }
                return Err(patience.gave_up());
            }
        };
        let Some(armed) = armed else {
            if self.changes_while_awake(kernel, seen) {
                return Ok(None);
            }
            // Look once more now that everybody sees that somebody is about to sleep.
            return Ok(Some(self.changed.arm(kernel)));
        };
        let inside = match mutant!("monitor-no-owner-compare") {
            false => self.lock.owner_word(),
            true => &self.zero,
        };
        let sleep = Sleep {
            awaits: Awaits::Change,
            bell: self.changed.bell(),
            event: (self.changed.word(), armed.value),
            owner: None,
            world: Some((&self.version, seen, inside)),
            lives: lives.as_slice(),
            alarm: &self.alarm,
            unarmed: armed.unarmed,
        };
        if kernel.sleep(sleep, deadline) == Slept::Alarmed {
            self.wake_all(kernel);
        }
        Ok(Some(self.changed.arm(kernel)))
    }

    fn changes_while_awake<K: Kernel>(&self, kernel: &K, seen: u64) -> bool {
        let mut step = 0;
        while kernel.pause(Pace::Queue { linger: 0 }, step) {
            if self.version.load(Ordering::Relaxed) != seen {
                return true;
            }
            step += 1;
        }
        false
    }

    /// Wakes everybody who sleeps on anything here: after a death.
    #[cold]
    fn wake_all<K: Kernel>(&self, kernel: &K) {
        self.changed.wake_all(kernel);
        self.lock.event().wake_all(kernel);
    }
}

/// The setting of the lock, as one who waits for it sees it.
struct Waiting<'a> {
    monitor: &'a Monitor,
    /// The waiter may have had a wake-up from `changed`.
    armed: bool,
}

impl Setting for Waiting<'_> {
    fn alarm(&self) -> &AtomicU32 {
        &self.monitor.alarm
    }

    fn is_own(&self) -> bool {
        false
    }

    fn alarmed<K: Kernel>(&self, kernel: &K) {
        self.monitor.wake_all(kernel);
    }

    /// Passes the wake-up on: somebody else may get the lock first.
    fn delayed<K: Kernel>(&self, kernel: &K) {
        if self.armed {
            self.monitor.changed.pass_on(kernel);
        }
    }
}
