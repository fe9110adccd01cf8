//! The semaphore and the barrier in all executions of two parties: what one wrote before is seen by the other after.

#![expect(unsafe_code, reason = "loom's cell gives pointers")]

use crate::deadline::Deadline;
use crate::sync::barrier_core::BarrierCore;
use crate::sync::model::loom_run::{explore, start};
use crate::sync::model::party::Party;
use crate::sync::model::world::World;
use crate::sync::patience::Patience;
use crate::sync::semaphore_core::SemaphoreCore;
use loom::cell::UnsafeCell;
use std::sync::Arc;

/// What the parties share beside the primitive: loom reports a race.
struct Data(UnsafeCell<u32>);

// SAFETY: loom reports every access that the primitive does not order.
unsafe impl Sync for Data {}
// SAFETY: as above.
unsafe impl Send for Data {}

impl Data {
    fn add_one(&self) {
        self.0.with_mut(|data| {
            // SAFETY: as for Sync.
            unsafe { *data += 1 }
        });
    }

    fn get(&self) -> u32 {
        self.0.with(|data| {
            // SAFETY: as for Sync.
            unsafe { *data }
        })
    }
}

/// One permit: who has it may write.
#[test]
fn loom_semaphore() {
    explore(2, || {
        let world = Arc::new(World::new(2, false));
        let shared = Arc::new((SemaphoreCore::new(1), Data(UnsafeCell::new(0))));
        let work = |party: &Party, shared: &(SemaphoreCore, Data)| {
            let at = shared.0.acquire(party, party.id, Patience::FOREVER).unwrap();
            shared.1.add_one();
            shared.0.release(party, party.id, at);
        };
        let theirs = Arc::clone(&shared);
        let other = start(&world, 2, 0, move |party| work(party, &theirs));
        let party = Party::new(&world, 1);
        work(&party, &shared);
        other.join().unwrap();
        assert_eq!(shared.1.get(), 2);
    });
}

/// A signal: none at first, one adds, the other takes it and sees what was written before.
#[test]
fn loom_semaphore_signal() {
    explore(2, || {
        let world = Arc::new(World::new(2, false));
        let shared = Arc::new((SemaphoreCore::new(0), Data(UnsafeCell::new(0))));
        let theirs = Arc::clone(&shared);
        let other = start(&world, 2, 0, move |party| {
            theirs.1.add_one();
            theirs.0.add(party, party.id, 1).unwrap();
        });
        let party = Party::new(&world, 1);
        shared.0.acquire(&party, party.id, Patience::FOREVER).unwrap();
        assert_eq!(shared.1.get(), 1);
        other.join().unwrap();
    });
}

/// Before the barrier one writes, after it the other; then the first again.
#[test]
fn loom_barrier() {
    explore(2, || {
        let world = Arc::new(World::new(2, false));
        let shared = Arc::new((BarrierCore::new(2), Data(UnsafeCell::new(0))));
        let theirs = Arc::clone(&shared);
        let other = start(&world, 2, 0, move |party| {
            let (barrier, data) = &*theirs;
            data.add_one();
            barrier.wait(party, party.id, Deadline::NEVER).unwrap();
            barrier.wait(party, party.id, Deadline::NEVER).unwrap();
            assert_eq!(data.get(), 2);
        });
        let party = Party::new(&world, 1);
        let (barrier, data) = &*shared;
        barrier.wait(&party, party.id, Deadline::NEVER).unwrap();
        data.add_one();
        barrier.wait(&party, party.id, Deadline::NEVER).unwrap();
        other.join().unwrap();
    });
}
