//! The condition variable under random schedules, with deaths: whoever waits and lives comes back.

use crate::deadline::Deadline;
use crate::prim::mortal::{die, doom};
use crate::prim::{AtomicU32, Ordering};
use crate::sync::cond_core::CondCore;
use crate::sync::kernel::{ALL, Kernel};
use crate::sync::lock_core::{Acquired, Setting};
use crate::sync::model::beside::Beside;
use crate::sync::model::party::Party;
use crate::sync::model::shuttle_run::{explore, fates, start};
use crate::sync::model::world::{World, random};
use std::sync::Arc;
use std::time::Duration;

struct Shared {
    lock: Beside,
    conds: [CondCore; 2],
    /// Guarded by the lock, as all that follows.
    tokens: AtomicU32,
    over: AtomicU32,
    /// Of other business.
    elsewhere: AtomicU32,
}

impl Shared {
    fn new() -> Shared {
        Shared {
            lock: Beside::new(),
            conds: [CondCore::new(), CondCore::new()],
            tokens: AtomicU32::new(0),
            over: AtomicU32::new(0),
            elsewhere: AtomicU32::new(0),
        }
    }

    fn enter(&self, party: &Party) -> Acquired {
        self.lock.lock(party, Deadline::NEVER).unwrap()
    }

    /// As `Condvar::wait`; has the lock again.
    fn wait(&self, party: &Party, cond: usize, deadline: Deadline) -> Acquired {
        let lock = &self.lock;
        match self.conds[cond].wait(party, party.id, &lock.core, lock, deadline) {
            Ok(woken) => woken.acquired,
            Err(_) => self.enter(party),
        }
    }

    fn notify(&self, party: &Party, cond: usize, count: u32) {
        if !self.conds[cond].is_quiet() {
            self.conds[cond].notify(party, self.lock.alarm(), count);
        }
    }

    /// Waits for a token at the first condition variable, and takes it.
    fn take(&self, party: &Party, hurried: bool) {
        self.enter(party);
        while self.tokens.load(Ordering::Relaxed) == 0 {
            let brief = hurried && random(2) == 0;
            let deadline = if brief { Deadline::after(Duration::ZERO) } else { Deadline::NEVER };
            self.wait(party, 0, deadline);
        }
        self.tokens.store(self.tokens.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
        self.lock.unlock(party);
    }

    fn give(&self, party: &Party) {
        self.enter(party);
        self.tokens.store(self.tokens.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        let early = random(2) == 0;
        if early {
            self.notify(party, 0, 1);
        }
        self.lock.unlock(party);
        if !early {
            self.notify(party, 0, 1);
        }
    }
}

/// `takers` wait for a token each, and some die; one gives as many tokens, and lives. With `noise`, another one notifies for
/// nothing, and may die of it.
fn tokens(takers: u32, deaths: usize, noise: bool, hurried: bool) {
    let parties = takers + u32::from(noise);
    let world = Arc::new(World::new(parties + 1, false));
    let shared = Arc::new(Shared::new());
    let fates = fates(parties as usize, deaths, 90);
    let threads: Vec<_> = (1..=parties)
        .map(|id| {
            let shared = Arc::clone(&shared);
            let life = move |party: &Party| {
                if id <= takers {
                    shared.take(party, hurried);
                } else {
                    for _ in 0..2 {
                        shared.notify(party, 0, if random(2) == 0 { 1 } else { ALL });
                    }
                }
                assert!(party.is_quiet(), "an alarm is still named");
            };
            start(&world, id, fates[id as usize - 1], life, |_| ())
        })
        .collect();
    let giver = Party::new(&world, parties + 1);
    for _ in 0..takers {
        shared.give(&giver);
    }
    assert!(giver.is_quiet(), "an alarm is still named");
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn shuttle_cond_two_takers() {
    explore(15, || tokens(2, 0, false, false));
}

#[test]
fn shuttle_cond_two_takers_with_deaths() {
    explore(30, || tokens(2, 1, true, false));
}

#[test]
fn shuttle_cond_three_takers_with_deaths() {
    explore(20, || tokens(3, 2, false, false));
}

#[test]
fn shuttle_cond_deadlines_and_deaths() {
    explore(20, || tokens(3, 1, true, true));
}

/// `waiters` wait at two condition variables for the death of one who dies with the lock, and notifies nobody. The first to
/// hear of it says so, and notifies nobody either.
fn death_of_the_owner(waiters: u32, business: bool) {
    let world = Arc::new(World::new(waiters + 1, false));
    let shared = Arc::new(Shared::new());
    let mut threads: Vec<_> = (1..=waiters)
        .map(|id| {
            let shared = Arc::clone(&shared);
            let life = move |party: &Party| {
                let mut acquired = shared.enter(party);
                loop {
                    if acquired != Acquired::Free {
                        shared.over.store(1, Ordering::Relaxed);
                    }
                    if shared.over.load(Ordering::Relaxed) != 0 {
                        break;
                    }
                    acquired = shared.wait(party, id as usize % 2, Deadline::NEVER);
                }
                shared.lock.unlock(party);
                assert!(party.is_quiet(), "an alarm is still named");
            };
            start(&world, id, 0, life, |_| ())
        })
        .collect();
    let theirs = Arc::clone(&shared);
    let life = move |party: &Party| {
        theirs.enter(party);
        doom(random(12));
        if business {
            party.begin(&theirs.elsewhere);
            party.end();
        }
        party.heavy_fence(); // a place to die in
        theirs.tokens.load(Ordering::Relaxed);
        die();
    };
    threads.push(start(&world, waiters + 1, 0, life, |_| ()));
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn shuttle_cond_owner_dies_two_wait() {
    explore(20, || death_of_the_owner(2, false));
}

#[test]
fn shuttle_cond_owner_dies_three_wait() {
    explore(20, || death_of_the_owner(3, false));
}

#[test]
fn shuttle_cond_owner_with_other_business_dies() {
    explore(30, || death_of_the_owner(2, true));
}

/// All who wait at a gate pass when it is opened and all are notified once. One who notifies for nothing dies of it.
fn gate(waiters: u32, noise: bool) {
    let world = Arc::new(World::new(waiters + 2, false));
    let shared = Arc::new(Shared::new());
    let begin = |id: u32, steps: u32| {
        let shared = Arc::clone(&shared);
        let life = move |party: &Party| {
            if id > waiters {
                return shared.notify(party, 0, 1);
            }
            shared.enter(party);
            while shared.over.load(Ordering::Relaxed) == 0 {
                shared.wait(party, 0, Deadline::NEVER);
            }
            shared.lock.unlock(party);
        };
        start(&world, id, steps, life, |_| ())
    };
    let mut threads: Vec<_> = (1..=waiters).map(|id| begin(id, 0)).collect();
    if noise {
        threads.push(begin(waiters + 1, 6)); // after the state has become QUIET, before its wake-up
    }
    let opener = Party::new(&world, waiters + 2);
    shared.enter(&opener);
    shared.over.store(1, Ordering::Relaxed);
    shared.lock.unlock(&opener);
    shared.notify(&opener, 0, ALL);
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn shuttle_cond_gate() {
    explore(40, || gate(2, false));
}

#[test]
fn shuttle_cond_gate_and_a_notifier_that_dies() {
    explore(60, || gate(1 + random(2), true));
}
