//! The lock under random schedules, with deaths: one owner at a time, each death of an owner reported once, and nobody who
//! lives sleeps for ever.

use crate::deadline::Deadline;
use crate::prim::{AtomicU32, Ordering};
use crate::sync::lock_core::{Acquired, Alone, LockCore, Refused};
use crate::sync::model::party::Party;
use crate::sync::model::shuttle_run::{explore, fates, start};
use crate::sync::model::world::{World, random};
use std::sync::Arc;
use std::sync::Mutex as Ledger;
use std::sync::atomic::{AtomicU32 as Note, Ordering::Relaxed};
use std::time::Duration;

/// A lock, and what is known about it without its help: std's types, which no schedule sees.
struct Watched {
    core: LockCore,
    /// Guarded by the lock.
    data: AtomicU32,
    /// Who is inside.
    inside: Note,
    /// Who died while the lock was theirs, and whose death was reported.
    died: Ledger<Vec<u32>>,
    reported: Ledger<Vec<u32>>,
}

impl Watched {
    fn new() -> Watched {
        Watched {
            core: LockCore::new(),
            data: AtomicU32::new(0),
            inside: Note::new(0),
            died: Ledger::new(Vec::new()),
            reported: Ledger::new(Vec::new()),
        }
    }

    fn lock(&self, party: &Party) {
        self.lock_until(party, Deadline::NEVER).unwrap();
    }

    fn lock_until(&self, party: &Party, deadline: Deadline) -> Result<(), Refused> {
        let acquired = match self.core.acquire_free(party.id) {
            true => Acquired::Free,
            false => self.core.acquire_slow(party, party.id, &Alone(&self.core), deadline)?,
        };
        self.enter(party, acquired);
        Ok(())
    }

    fn try_lock(&self, party: &Party) -> bool {
        let acquired = self.core.try_acquire(party, party.id);
        if let Ok(acquired) = acquired {
            self.enter(party, acquired);
        }
        acquired.is_ok()
    }

    fn enter(&self, party: &Party, acquired: Acquired) {
        let before = self.inside.swap(party.id, Relaxed);
        let died = self.died.lock().unwrap();
        assert!(before == 0 || died.contains(&before), "{before} is inside and lives");
        match acquired {
            Acquired::Free => assert_eq!(before, 0, "a dead owner was not reported"),
            Acquired::FromDead(owner) => {
                assert!(died.contains(&owner), "{owner} did not die as the owner");
                self.reported.lock().unwrap().push(owner);
            }
        }
        drop(died);
        self.work(party);
    }

    /// Something that two at a time would spoil.
    fn work(&self, party: &Party) {
        self.data.store(party.id, Ordering::Relaxed);
        assert_eq!(self.data.load(Ordering::Relaxed), party.id, "somebody else is inside");
    }

    fn unlock(&self, party: &Party) {
        self.work(party);
        let before = self.inside.swap(0, Relaxed);
        assert_eq!(before, party.id, "somebody else is inside");
        self.core.release(party, party.id, self.core.event().bell());
    }

    /// At the death of `party`.
    fn last_words(&self, party: &Party) {
        if self.core.owner() == party.id {
            self.died.lock().unwrap().push(party.id);
        }
    }

    /// When all threads have ended: the lock works, and each death of an owner was reported once, if not to one that died of it.
    fn settle(&self, party: &Party) {
        assert!(self.try_lock(party), "a dead or absent owner holds the lock");
        self.unlock(party);
        let died = self.died.lock().unwrap();
        let mut reported = self.reported.lock().unwrap().clone();
        reported.sort_unstable();
        reported.dedup();
        assert_eq!(reported.len(), self.reported.lock().unwrap().len(), "reported twice");
        // A death may have been reported to one that did not live to say so; then that one died as the owner.
        assert!(died.is_empty() || !reported.is_empty(), "no death was reported");
    }
}

/// Locks `count` locks among `parties` threads that do `life`; at most `deaths` of them die.
fn run(parties: u32, locks: usize, deaths: usize, steps: u32, life: fn(&Party, &[Watched])) {
    let world = Arc::new(World::new(parties + 1, false));
    let locks: Arc<Vec<Watched>> = Arc::new((0..locks).map(|_| Watched::new()).collect());
    let fates = fates(parties as usize, deaths, steps);
    let threads: Vec<_> = (1..=parties)
        .map(|id| {
            let locks = Arc::clone(&locks);
            let theirs = Arc::clone(&locks);
            let last_words =
                move |party: &Party| theirs.iter().for_each(|lock| lock.last_words(party));
            let life = move |party: &Party| {
                life(party, &locks);
                assert!(party.is_quiet(), "an alarm is still named");
            };
            start(&world, id, fates[id as usize - 1], life, last_words)
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let last = Party::new(&world, parties + 1);
    locks.iter().for_each(|lock| lock.settle(&last));
}

fn once_or_twice(party: &Party, locks: &[Watched]) {
    for _ in 0..=random(2) {
        locks[0].lock(party);
        locks[0].unlock(party);
    }
}

#[test]
fn shuttle_lock_three_parties() {
    explore(10, || run(3, 1, 0, 1, once_or_twice));
}

#[test]
fn shuttle_lock_three_parties_with_deaths() {
    explore(25, || run(3, 1, 2, 60, once_or_twice));
}

#[test]
fn shuttle_lock_four_parties_with_deaths() {
    explore(15, || run(4, 1, 2, 60, once_or_twice));
}

/// Waits that end without the lock.
#[test]
fn shuttle_lock_with_deadlines_and_deaths() {
    explore(15, || {
        run(4, 1, 2, 80, |party, locks| {
            for _ in 0..=random(2) {
                let locked = match random(3) {
                    0 => locks[0].try_lock(party),
                    1 => locks[0].lock_until(party, Deadline::after(Duration::ZERO)).is_ok(),
                    _ => {
                        locks[0].lock(party);
                        true
                    }
                };
                if locked {
                    locks[0].unlock(party);
                }
            }
        });
    });
}

/// A second lock, taken while the first is held, takes the pending pointer from it.
#[test]
fn shuttle_lock_nested_with_deaths() {
    explore(25, || {
        run(3, 2, 2, 100, |party, locks| {
            for _ in 0..=random(2) {
                let both = random(3) != 0;
                let first = if both { 0 } else { random(2) as usize };
                locks[first].lock(party);
                if both {
                    locks[1].lock(party);
                    if random(2) == 0 {
                        locks[1].unlock(party);
                        locks[0].unlock(party);
                    } else {
                        locks[0].unlock(party);
                        locks[1].unlock(party);
                    }
                } else {
                    locks[first].unlock(party);
                }
            }
        });
    });
}
