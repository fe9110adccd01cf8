//! Waiting for an outcome: awake for some microseconds, then asleep on the pool's event count and on the lives of all who could wake.
//!
//! No wake-up can be lost by a death: whoever commits an outcome and dies before it wakes us is a worker (or the supervisor) whose
//! life we watch. A pool of more than 120 workers has lives that are not watched; its supervisor rings after each death.

use crate::deadline::Deadline;
use crate::pool::shop::{Failure, Shop};
use crate::pool::slot::{SLEEPER, Slot};
use crate::pool::word::{Kind, Word};
use crate::shm::roster;
use crate::sync::kernel::{Awaits, Kernel, LIVES_MAX, Pace, Sleep, Slept};
use crate::sync::linux::Linux;
use std::sync::atomic::Ordering;

/// Announces, while it lives, that a thread waits for several tasks at once.
pub(super) struct WatchAll<'a>(&'a Shop);

impl<'a> WatchAll<'a> {
    pub(super) fn new(shop: &'a Shop) -> WatchAll<'a> {
        shop.head.watch_all.fetch_add(1, Ordering::SeqCst);
        WatchAll(shop)
    }
}

impl Drop for WatchAll<'_> {
    fn drop(&mut self) {
        self.0.head.watch_all.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Shop {
    /// Waits until the task has an outcome; false at the deadline. Also true once the slot has another tenant.
    pub(super) fn await_outcome(&self, slot: &Slot, generation: u32, deadline: Deadline) -> bool {
        let is_done = |word: Word| word.generation != generation || word.kind.is_outcome();
        let mut step = 0;
        loop {
            if is_done(slot.word()) {
                return true;
            }
            if !Linux.pause(Pace::Queue { linger: 0 }, step) {
                break;
            }
            step += 1;
        }
        self.await_asleep(slot, generation, deadline)
    }

    /// The same without being awake first.
    pub(super) fn await_asleep(&self, slot: &Slot, generation: u32, deadline: Deadline) -> bool {
        let is_done = |word: Word| word.generation != generation || word.kind.is_outcome();
        loop {
            slot.watched.fetch_or(SLEEPER, Ordering::SeqCst);
            let word = slot.word();
            if is_done(word) {
                return true;
            }
            self.look_for_deaths(slot, word);
            if deadline.has_passed() {
                return is_done(slot.word());
            }
            self.sleep(Some((slot, word)), deadline, || {
                let word = slot.word();
                is_done(word) || self.bury(slot, word)
            });
        }
    }

    /// Waits until `ready` holds, which looks at several tasks; false at the deadline. The caller keeps a [`WatchAll`], or has
    /// announced otherwise that it wants to be woken.
    pub(super) fn await_any(&self, deadline: Deadline, ready: impl Fn() -> bool) -> bool {
        let mut step = 0;
        while Linux.pause(Pace::Queue { linger: 0 }, step) {
            if ready() {
                return true;
            }
            step += 1;
        }
        loop {
            self.look_at_all();
            if ready() {
                return true;
            }
            if deadline.has_passed() {
                return false;
            }
            self.sleep(None, deadline, || {
                self.look_at_all();
                ready()
            });
        }
    }

    /// Resolves what nobody else might: tasks of dead workers, and all of them if the pool has failed.
    pub(super) fn look_at_all(&self) {
        if self.has_failed() {
            return self.resolve_all(Kind::Broken, true);
        }
        for seat in self.used_seats() {
            let index = seat.slot.load(Ordering::Acquire);
            if let Some(slot) = self.slots.get(index as usize) {
                self.bury(slot, slot.word());
            }
        }
    }

    /// The same for one task.
    pub(super) fn look_for_deaths(&self, slot: &Slot, word: Word) {
        if self.has_failed() {
            return self.resolve_all(Kind::Broken, true);
        }
        self.bury(slot, word);
    }

    /// Whether nobody will do what has no outcome yet.
    pub(super) fn has_failed(&self) -> bool {
        let supervisor = self.head.supervisor.load(Ordering::Acquire);
        if supervisor != 0 && roster::is_dead(supervisor) {
            self.fail(Failure::Supervisor);
        }
        self.failure().is_some()
    }

    /// Sleeps until something may have changed. `ready` is asked once everybody sees that somebody is about to sleep, and once it
    /// is known which lives will be watched: who died before that is its business.
    fn sleep(
        &self,
        compare: Option<(&Slot, Word)>,
        deadline: Deadline,
        ready: impl Fn() -> bool,
    ) -> Slept {
        // Whoever sleeps has an entry in the roster: the alarms lie there.
        roster::me();
        let armed = self.head.done.arm(&Linux);
        let mut lives = [0; LIVES_MAX];
        let mut count = 0;
        let supervisor = self.head.supervisor.load(Ordering::SeqCst);
        let workers = self.used_seats().iter().map(|seat| seat.worker.load(Ordering::SeqCst));
        for id in std::iter::once(supervisor).chain(workers) {
            if id == 0 || roster::is_dead(id) || count == LIVES_MAX {
                continue;
            }
            lives[count] = id;
            count += 1;
        }
        if ready() || self.has_failed() {
            return Slept::Look;
        }
        let head = &self.head;
        let sleep = Sleep {
            awaits: Awaits::Outcome,
            bell: head.done.bell(),
            event: (head.done.word(), armed.value),
            owner: None,
            world: compare.map(|(slot, word)| (slot.raw_word(), word.to_bits(), &head.zero)),
            lives: if mutant!("pool-unwatched-lives") { &[] } else { &lives[..count] },
            alarm: &head.alarm,
            unarmed: armed.unarmed,
        };
        let slept = Linux.sleep(sleep, deadline);
        if slept == Slept::Alarmed {
            head.done.wake_all(&Linux);
        }
        slept
    }
}
