//! The condition variable and the event in all executions of two parties.

#![expect(unsafe_code, reason = "loom's cell gives pointers")]

use crate::deadline::Deadline;
use crate::sync::cond_core::CondCore;
use crate::sync::event_core::EventCore;
use crate::sync::kernel::Kernel;
use crate::sync::lock_core::{Acquired, Setting};
use crate::sync::model::beside::Beside;
use crate::sync::model::loom_run::{explore, start};
use crate::sync::model::party::Party;
use crate::sync::model::world::World;
use loom::cell::UnsafeCell;
use std::sync::Arc;

struct Shared {
    lock: Beside,
    cond: CondCore,
    flag: UnsafeCell<u32>,
}

// SAFETY: `flag` is touched under the lock alone; if the lock were wrong, loom would report the access.
unsafe impl Sync for Shared {}
// SAFETY: as above.
unsafe impl Send for Shared {}

impl Shared {
    fn new() -> Shared {
        Shared { lock: Beside::new(), cond: CondCore::new(), flag: UnsafeCell::new(0) }
    }

    fn flag(&self) -> u32 {
        self.flag.with(|flag| {
            // SAFETY: as for Sync.
            unsafe { *flag }
        })
    }

    fn raise(&self) {
        self.flag.with_mut(|flag| {
            // SAFETY: as for Sync.
            unsafe { *flag += 1 }
        });
    }

    fn notify(&self, party: &Party) {
        if !self.cond.is_quiet() {
            self.cond.notify(party, self.lock.alarm(), 1);
        }
    }
}

/// One waits for the flag, the other raises it and notifies, before or after the unlock.
fn wait_and_notify(early: bool) {
    let world = Arc::new(World::new(2, false));
    let shared = Arc::new(Shared::new());
    let theirs = Arc::clone(&shared);
    let other = start(&world, 2, 0, move |party| {
        theirs.lock.lock(party, Deadline::NEVER).unwrap();
        theirs.raise();
        if early {
            theirs.notify(party);
        }
        theirs.lock.unlock(party);
        if !early {
            theirs.notify(party);
        }
    });
    let party = Party::new(&world, 1);
    let lock = &shared.lock;
    lock.lock(&party, Deadline::NEVER).unwrap();
    while shared.flag() == 0 {
        let woken = shared.cond.wait(&party, 1, &lock.core, lock, Deadline::NEVER).unwrap();
        assert_eq!(woken.acquired, Acquired::Free);
    }
    lock.unlock(&party);
    assert!(party.is_quiet());
    other.join().unwrap();
}

#[test]
fn loom_cond_notify_after_unlock() {
    explore(2, || wait_and_notify(false));
}

#[test]
fn loom_cond_notify_before_unlock() {
    explore(2, || wait_and_notify(true));
}

/// The other one dies with the lock, at its n-th call of the kernel from then on; the waiter hears of it.
#[test]
fn loom_cond_owner_dies() {
    explore(2, || {
        let world = Arc::new(World::new(2, false));
        let shared = Arc::new(Shared::new());
        let theirs = Arc::clone(&shared);
        let other = start(&world, 2, 0, move |party| {
            theirs.lock.lock(party, Deadline::NEVER).unwrap();
            theirs.raise();
            party.doom(1);
            party.heavy_fence(); // dies here
        });
        let party = Party::new(&world, 1);
        let lock = &shared.lock;
        let mut acquired = lock.lock(&party, Deadline::NEVER).unwrap();
        while acquired == Acquired::Free {
            let woken = shared.cond.wait(&party, 1, &lock.core, lock, Deadline::NEVER).unwrap();
            acquired = woken.acquired;
        }
        assert_eq!((acquired, shared.flag()), (Acquired::FromDead(2), 1));
        lock.unlock(&party);
        other.join().unwrap();
    });
}

struct Signalled {
    event: EventCore,
    data: UnsafeCell<u32>,
}

// SAFETY: `data` is written before `set` and read after `wait`; if the event were wrong, loom would report the access.
unsafe impl Sync for Signalled {}
// SAFETY: as above.
unsafe impl Send for Signalled {}

/// One sets (and clears again), the other waits, from before, and reads what was written before the set.
fn set_and_wait(clears: bool) {
    let world = Arc::new(World::new(2, false));
    let shared = Arc::new(Signalled { event: EventCore::new(), data: UnsafeCell::new(0) });
    let theirs = Arc::clone(&shared);
    let other = start(&world, 2, 0, move |party| {
        theirs.data.with_mut(|data| {
            // SAFETY: as for Sync.
            unsafe { *data = 7 }
        });
        theirs.event.set(party, party.id);
        if clears {
            theirs.event.clear();
        }
    });
    let party = Party::new(&world, 1);
    assert!(shared.event.wait_from(&party, 0, Deadline::NEVER));
    let seen = shared.data.with(|data| {
        // SAFETY: as for Sync.
        unsafe { *data }
    });
    assert_eq!(seen, 7);
    other.join().unwrap();
}

#[test]
fn loom_event_set() {
    explore(3, || set_and_wait(false));
}

#[test]
fn loom_event_set_and_clear() {
    explore(3, || set_and_wait(true));
}
