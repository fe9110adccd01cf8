//! The semaphore, and with it the monitor, under random schedules with deaths: never more permits out than there are, all of the dead
//! return, and nobody who lives sleeps for ever.

use crate::deadline::Deadline;
use crate::sync::kernel::Kernel;
use crate::sync::model::party::Party;
use crate::sync::model::shuttle_run::{explore, fates, start};
use crate::sync::model::world::{World, random};
use crate::sync::patience::Patience;
use crate::sync::semaphore_core::SemaphoreCore;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32 as Note, Ordering::Relaxed};
use std::time::Duration;

/// A semaphore, and what is known about it without its help: std's types, which no schedule sees.
struct Watched {
    core: SemaphoreCore,
    /// The permits that a party has for certain: noted after it got one, and before it gives one back.
    held: Vec<Note>,
    /// The most and the fewest permits that there may be.
    most: Note,
    least: Note,
}

impl Watched {
    fn new(permits: u32, parties: u32) -> Watched {
        Watched {
            core: SemaphoreCore::new(permits),
            held: (0..parties).map(|_| Note::new(0)).collect(),
            most: Note::new(permits),
            least: Note::new(permits),
        }
    }

    fn acquire(&self, party: &Party, patience: Patience) -> Option<u32> {
        let at = self.core.acquire(party, party.id, patience).ok()?;
        self.held[party.id as usize - 1].fetch_add(1, Relaxed);
        let out: u32 = self.held.iter().map(|held| held.load(Relaxed)).sum();
        assert!(out <= self.most.load(Relaxed), "{out} permits are out");
        Some(at)
    }

    /// Between two operations the thread may be killed with the permit: no alarm is named.
    fn let_go(&self, party: &Party) {
        for _ in 0..=random(12) {
            party.heavy_fence();
        }
        self.held[party.id as usize - 1].fetch_sub(1, Relaxed);
    }

    fn release(&self, party: &Party, at: u32) {
        self.let_go(party);
        self.core.release(party, party.id, at);
    }

    fn forget(&self, party: &Party, at: u32) {
        self.let_go(party);
        self.least.fetch_sub(1, Relaxed);
        self.core.forget(party, party.id, at);
        self.most.fetch_sub(1, Relaxed);
    }

    fn add(&self, party: &Party, count: u32) {
        self.most.fetch_add(count, Relaxed);
        self.core.add(party, party.id, count).unwrap();
        self.least.fetch_add(count, Relaxed);
    }
}

fn run(parties: u32, permits: u32, deaths: usize, steps: u32, life: fn(&Party, &Watched)) {
    let world = Arc::new(World::new(parties + 1, false));
    let watched = Arc::new(Watched::new(permits, parties));
    let fates = fates(parties as usize, deaths, steps);
    let threads: Vec<_> = (1..=parties)
        .map(|id| {
            let (mine, theirs) = (Arc::clone(&watched), Arc::clone(&watched));
            let life = move |party: &Party| {
                life(party, &mine);
                assert!(party.is_quiet(), "an alarm is still named");
            };
            let last_words = move |party: &Party| {
                theirs.held[party.id as usize - 1].store(0, Relaxed);
            };
            start(&world, id, fates[id as usize - 1], life, last_words)
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let last = Party::new(&world, parties + 1);
    let left = watched.core.available(&last, last.id);
    let (least, most) = (watched.least.load(Relaxed), watched.most.load(Relaxed));
    assert!((least..=most).contains(&left), "{left} permits are left of {least} to {most}");
}

fn once_or_twice(party: &Party, watched: &Watched) {
    for _ in 0..=random(2) {
        let at = watched.acquire(party, Patience::FOREVER).unwrap();
        watched.release(party, at);
    }
}

/// Every way to wait, and to come by more permits and fewer.
fn all_ways(party: &Party, watched: &Watched) {
    for _ in 0..=random(2) {
        let patience = match random(4) {
            0 => Patience::None,
            1 => Patience::Until(Deadline::after(Duration::ZERO)),
            _ => Patience::FOREVER,
        };
        match random(4) {
            0 => {
                // In this order those who wait are never left without any.
                watched.add(party, 1);
                if let Some(at) = watched.acquire(party, patience) {
                    watched.forget(party, at);
                }
            }
            1 => _ = watched.core.available(party, party.id),
            _ => {
                if let Some(at) = watched.acquire(party, patience) {
                    watched.release(party, at);
                }
            }
        }
    }
}

#[test]
fn shuttle_semaphore() {
    explore(8, || run(3, 1, 0, 1, once_or_twice));
}

#[test]
fn shuttle_semaphore_with_deaths() {
    explore(25, || run(3, 1, 2, 120, once_or_twice));
}

/// If the other one dies, nobody comes later who could help.
#[test]
fn shuttle_semaphore_of_two_with_deaths() {
    explore(25, || run(2, 1, 1, 50, once_or_twice));
}

/// The third one only looks, so it takes over from the dead and leaves without a word.
#[test]
fn shuttle_semaphore_beside_one_that_looks() {
    explore(25, || {
        run(3, 1, 1, 50, |party, watched| match party.id {
            3 => _ = watched.core.available(party, party.id),
            _ => once_or_twice(party, watched),
        });
    });
}

/// One adds a permit, and may be killed at that; one waits for it; and `lookers` only look, so that they may take over from the dead
/// and leave without a word. If the permit was added, the one that waits needs no help.
fn signal(lookers: u32) {
    let world = Arc::new(World::new(3 + lookers, false));
    let core = Arc::new(SemaphoreCore::new(0));
    let spawn = |id: u32, steps: u32, life: fn(&Party, &SemaphoreCore)| {
        let core = Arc::clone(&core);
        start(&world, id, steps, move |party| life(party, &core), |_| ())
    };
    let adder = spawn(1, random(30), |party, core| core.add(party, party.id, 1).unwrap());
    let mut others = vec![spawn(2, 0, |party, core| {
        core.acquire(party, party.id, Patience::FOREVER).unwrap();
    })];
    others.extend(
        (0..lookers).map(|n| spawn(4 + n, 0, |party, core| _ = core.available(party, party.id))),
    );
    if !adder.join().unwrap() && core.total() == 0 {
        let helper = Party::new(&world, 3);
        core.add(&helper, helper.id, 1).unwrap();
    }
    for other in others {
        other.join().unwrap();
    }
}

#[test]
fn shuttle_semaphore_signal_with_a_death() {
    explore(25, || signal(0));
}

#[test]
fn shuttle_semaphore_signal_beside_one_that_looks() {
    explore(40, || signal(1));
}

#[test]
fn shuttle_semaphore_two_permits_with_deaths() {
    explore(20, || run(4, 2, 2, 120, once_or_twice));
}

/// Four parties and two places; a party may die with two permits.
#[test]
fn shuttle_semaphore_crowded_with_deaths() {
    explore(15, || {
        run(4, 4, 2, 160, |party, watched| {
            let first = watched.acquire(party, Patience::FOREVER).unwrap();
            let second = match random(2) {
                0 => watched.acquire(party, Patience::None),
                _ => None,
            };
            watched.release(party, first);
            if let Some(second) = second {
                watched.release(party, second);
            }
        });
    });
}

/// Two of the four wait for a place while there are permits, which the others take and give back meanwhile.
#[test]
fn shuttle_semaphore_crowded_beside_quick_ones() {
    explore(25, || {
        run(4, 8, 0, 1, |party, watched| {
            let first = watched.acquire(party, Patience::FOREVER).unwrap();
            // The others may fall asleep in this time.
            for _ in 0..random(100) {
                party.heavy_fence();
            }
            let second = watched.acquire(party, Patience::FOREVER).unwrap();
            watched.release(party, first);
            watched.release(party, second);
        });
    });
}

#[test]
fn shuttle_semaphore_all_ways_with_deaths() {
    explore(25, || run(4, 1, 2, 200, all_ways));
}
