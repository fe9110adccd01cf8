//! The lock for readers and writers in all executions of two parties: the orderings that shuttle does not see.
//!
//! What the lock guards is loom's cell: if a reader and a writer were inside together, or unordered, loom would report it.

#![expect(unsafe_code, reason = "loom's cell gives pointers")]

use crate::deadline::Deadline;
use crate::sync::model::loom_run::{explore, start};
use crate::sync::model::party::Party;
use crate::sync::model::world::World;
use crate::sync::rw_core::RwCore;
use loom::cell::UnsafeCell;
use std::sync::Arc;

struct Guarded {
    core: RwCore<1>,
    data: UnsafeCell<u32>,
}

// SAFETY: `data` is touched under the lock alone; if the lock were wrong, loom would report the access.
unsafe impl Sync for Guarded {}
// SAFETY: as above.
unsafe impl Send for Guarded {}

impl Guarded {
    fn new() -> Arc<Guarded> {
        Arc::new(Guarded { core: RwCore::new(), data: UnsafeCell::new(0) })
    }

    fn read(&self, party: &Party) -> u32 {
        let slot = self.core.read(party, party.id, Some(Deadline::NEVER)).unwrap();
        let value = self.data.with(|data| {
            // SAFETY: as for Sync.
            unsafe { *data }
        });
        self.core.end_reading(party, party.id, slot);
        value
    }

    fn add_one(&self, party: &Party) {
        self.core.write(party, party.id, Some(Deadline::NEVER)).unwrap();
        let mark = self.core.begin_writing(party.id);
        self.data.with_mut(|data| {
            // SAFETY: as for Sync.
            unsafe { *data += 1 }
        });
        self.core.end_writing(party, party.id, mark);
    }
}

/// One does this, the other that, on the same lock.
fn pair(one: fn(&Party, &Guarded), other: fn(&Party, &Guarded)) {
    let world = Arc::new(World::new(2, false));
    let lock = Guarded::new();
    let theirs = Arc::clone(&lock);
    let thread = start(&world, 2, 0, move |party| other(party, &theirs));
    let party = Party::new(&world, 1);
    one(&party, &lock);
    assert!(party.is_quiet());
    thread.join().unwrap();
}

#[test]
fn loom_rw_read_and_write() {
    explore(4, || pair(|party, lock| _ = lock.read(party), |party, lock| lock.add_one(party)));
}

#[test]
fn loom_rw_read_twice_and_write() {
    let twice = |party: &Party, lock: &Guarded| assert!(lock.read(party) <= lock.read(party));
    explore(3, move || pair(twice, |party, lock| lock.add_one(party)));
}

#[test]
fn loom_rw_write_and_write_and_read() {
    explore(3, || {
        pair(
            |party, lock| lock.add_one(party),
            |party, lock| {
                lock.add_one(party);
                assert!(lock.read(party) >= 1);
            },
        );
    });
}

/// There is one slot: a reader waits for the other one to leave.
#[test]
fn loom_rw_read_and_read() {
    explore(3, || pair(|party, lock| _ = lock.read(party), |party, lock| _ = lock.read(party)));
}

/// One dies at its n-th call of the kernel, for each n: the other one gets in.
#[test]
fn loom_rw_with_a_death() {
    for call in 1..=4 {
        explore(3, move || {
            let world = Arc::new(World::new(2, false));
            let lock = Guarded::new();
            let theirs = Arc::clone(&lock);
            let other = start(&world, 2, call, move |party| {
                theirs.read(party);
                theirs.add_one(party);
            });
            let party = Party::new(&world, 1);
            lock.add_one(&party);
            lock.read(&party);
            other.join().unwrap();
        });
    }
}
