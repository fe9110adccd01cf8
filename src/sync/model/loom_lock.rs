//! The lock and the event count in all executions of two parties: the orderings that shuttle does not see.
//!
//! What the lock guards is loom's cell, so that a missing release or acquire is a data race. A lost wake-up is a deadlock.

#![expect(unsafe_code, reason = "loom's cell gives pointers")]

use crate::deadline::Deadline;
use crate::prim::{AtomicU32, AtomicU64, Ordering};
use crate::sync::event_count::EventCount;
use crate::sync::kernel::{Awaits, Kernel, Sleep};
use crate::sync::lock_core::{Acquired, Alone, LockCore};
use crate::sync::model::loom_run::{explore, start};
use crate::sync::model::party::Party;
use crate::sync::model::world::World;
use loom::cell::UnsafeCell;
use std::sync::Arc;
use std::time::Instant;

struct Guarded {
    core: LockCore,
    data: UnsafeCell<u32>,
}

// SAFETY: `data` is touched under the lock alone; if the lock were wrong, loom would report the access.
unsafe impl Sync for Guarded {}
// SAFETY: as above.
unsafe impl Send for Guarded {}

impl Guarded {
    fn new() -> Guarded {
        Guarded { core: LockCore::new(), data: UnsafeCell::new(0) }
    }

    fn lock(&self, party: &Party, deadline: Deadline) -> Option<Acquired> {
        if self.core.acquire_free(party.id) {
            return Some(Acquired::Free);
        }
        self.core.acquire_slow(party, party.id, &Alone(&self.core), deadline).ok()
    }

    fn add_one(&self) {
        self.data.with_mut(|data| {
            // SAFETY: as for Sync.
            unsafe { *data += 1 }
        });
    }

    fn unlock(&self, party: &Party) {
        self.core.release(party, party.id, self.core.event().bell());
    }

    fn count(&self) -> u32 {
        self.data.with(|data| {
            // SAFETY: as for Sync.
            unsafe { *data }
        })
    }
}

/// Two parties, each locks `rounds` times.
fn lock_in_turn(rounds: u32, calms: bool) {
    let world = Arc::new(World::new(2, calms));
    let lock = Arc::new(Guarded::new());
    let work = move |party: &Party, lock: &Guarded| {
        for _ in 0..rounds {
            assert_eq!(lock.lock(party, Deadline::NEVER), Some(Acquired::Free));
            lock.add_one();
            lock.unlock(party);
        }
        assert!(party.is_quiet());
    };
    let theirs = Arc::clone(&lock);
    let other = start(&world, 2, 0, move |party| work(party, &theirs));
    work(&Party::new(&world, 1), &lock);
    other.join().unwrap();
    assert_eq!(lock.count(), 2 * rounds);
}

#[test]
fn loom_lock() {
    explore(3, || lock_in_turn(1, false));
}

#[test]
fn loom_lock_twice() {
    explore(2, || lock_in_turn(2, false));
}

#[test]
fn loom_lock_twice_calming() {
    explore(2, || lock_in_turn(2, true));
}

/// One waits without patience: it gets the lock or not, and the other one does not miss a wake-up by that.
#[test]
fn loom_lock_with_a_passed_deadline() {
    let now = Instant::now();
    explore(3, move || {
        let world = Arc::new(World::new(2, false));
        let lock = Arc::new(Guarded::new());
        let theirs = Arc::clone(&lock);
        let other = start(&world, 2, 0, move |party| {
            if theirs.lock(party, Deadline::at(now)).is_some() {
                theirs.add_one();
                theirs.unlock(party);
            }
        });
        let party = Party::new(&world, 1);
        lock.lock(&party, Deadline::NEVER).unwrap();
        lock.add_one();
        lock.unlock(&party);
        other.join().unwrap();
    });
}

/// One dies at its n-th call of the kernel, for each n; the other one gets the lock, and is told if it died as the owner.
#[test]
fn loom_lock_with_a_death() {
    for call in 1..=4 {
        explore(2, move || {
            let world = Arc::new(World::new(2, false));
            let lock = Arc::new(Guarded::new());
            let theirs = Arc::clone(&lock);
            let other = start(&world, 2, call, move |party| {
                for _ in 0..2 {
                    theirs.lock(party, Deadline::NEVER);
                    theirs.add_one();
                    party.heavy_fence(); // a place to die in
                    theirs.unlock(party);
                }
            });
            let party = Party::new(&world, 1);
            let acquired = lock.lock(&party, Deadline::NEVER).unwrap();
            assert!(acquired == Acquired::Free || acquired == Acquired::FromDead(2));
            lock.add_one();
            lock.unlock(&party);
            other.join().unwrap();
        });
    }
}

/// One changes the world and rings; the other sleeps until it sees that. The kernel compares the world, behind its full fence: a
/// look after arming may be stale if another had armed the word, or rung it, before (loom shows that without the comparison).
fn ring_each(changes: u64, calms: bool) {
    let world = Arc::new(World::new(2, calms));
    let words = || (AtomicU64::new(0), AtomicU32::new(0), AtomicU32::new(0));
    let shared = Arc::new((EventCount::new(), words()));
    let theirs = Arc::clone(&shared);
    let other = start(&world, 2, 0, move |party| {
        let (event, (change, _, alarm)) = &*theirs;
        for number in 1..=changes {
            change.store(number, Ordering::Release);
            event.ring(party, party.id, alarm);
        }
    });
    let party = Party::new(&world, 1);
    let (event, (change, flag, alarm)) = &*shared;
    for number in 1..=changes {
        loop {
            let armed = event.arm(&party);
            let seen = change.load(Ordering::Acquire);
            if seen >= number {
                break;
            }
            let sleep = Sleep {
                awaits: Awaits::Event,
                bell: event.bell(),
                event: (event.word(), armed.value),
                owner: None,
                world: Some((change, seen, flag)),
                lives: &[],
                alarm,
                unarmed: armed.unarmed,
            };
            party.sleep(sleep, Deadline::NEVER);
        }
    }
    other.join().unwrap();
}

#[test]
fn loom_event_count() {
    explore(3, || ring_each(1, false));
}

#[test]
fn loom_event_count_twice() {
    explore(3, || ring_each(2, false));
}

#[test]
fn loom_event_count_twice_calming() {
    explore(3, || ring_each(2, true));
}
