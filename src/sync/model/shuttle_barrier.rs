//! The barrier under random schedules with deaths: a round completes for all or breaks for all, and nobody who lives waits for a
//! party that died while it waited.

use crate::deadline::Deadline;
use crate::sync::barrier_core::{BarrierCore, Broken};
use crate::sync::kernel::Kernel;
use crate::sync::model::party::Party;
use crate::sync::model::shuttle_run::{explore, fates, start};
use crate::sync::model::world::{World, random};
use shuttle::thread;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex as Ledger};
use std::time::Duration;

/// A barrier, and what its parties were told, which no schedule sees.
struct Watched {
    core: BarrierCore,
    /// For each round: the indices of those who completed it.
    completed: Ledger<Vec<HashSet<u32>>>,
    /// Somebody died who had not been counted: the others may have to be helped.
    died_early: AtomicBool,
}

impl Watched {
    fn note(&self, round: usize, index: u32) {
        let mut completed = self.completed.lock().unwrap();
        let length = completed.len().max(round + 1);
        completed.resize_with(length, HashSet::new);
        assert!(completed[round].insert(index), "two have index {index}");
    }

    fn is_mixed(&self, round: usize) -> bool {
        self.completed.lock().unwrap().get(round).is_some_and(|indices| !indices.is_empty())
    }
}

fn no_deadline() -> Deadline {
    Deadline::NEVER
}

fn some_deadline() -> Deadline {
    if random(2) == 0 { Deadline::after(Duration::ZERO) } else { Deadline::NEVER }
}

/// Meets `rounds` times, without resets; the first break is for good, and for all.
fn meet(party: &Party, watched: &Watched, rounds: usize, deadline: fn() -> Deadline) {
    for round in 0..rounds {
        match watched.core.wait(party, party.id, deadline()) {
            Ok(index) => watched.note(round, index),
            Err(broken) => {
                if let Broken::Died(id) = broken {
                    assert!(party.is_dead(id), "{id} is alive");
                }
                assert!(watched.core.wait(party, party.id, Deadline::NEVER).is_err());
                assert!(!watched.is_mixed(round), "a mixed round");
                return;
            }
        }
    }
}

/// `parties` (and `absent` others, who never come) do `life`, at most `deaths` die. For each of them stands one that aborts the barrier if it died before it was counted;
/// or, if `always`, whenever it died: for it will not come to the next round.
fn run(
    parties: u32,
    absent: u32,
    deaths: usize,
    steps: u32,
    always: bool,
    life: impl Fn(&Party, &Watched) + Copy + Send + 'static,
) {
    let world = Arc::new(World::new(2 * parties, false));
    let watched = Arc::new(Watched {
        core: BarrierCore::new(parties + absent),
        completed: Ledger::default(),
        died_early: AtomicBool::new(false),
    });
    let fates = fates(parties as usize, deaths, steps);
    let helpers: Vec<_> = (1..=parties)
        .map(|id| {
            let (mine, theirs) = (Arc::clone(&watched), Arc::clone(&watched));
            let life = move |party: &Party| {
                life(party, &mine);
                assert!(party.is_quiet(), "an alarm is still named");
            };
            let last_words = move |party: &Party| {
                if theirs.core.is_missing(party.id) {
                    theirs.died_early.store(true, Relaxed);
                }
            };
            let victim = start(&world, id, fates[id as usize - 1], life, last_words);
            let (helper, watched) = (Party::new(&world, parties + id), Arc::clone(&watched));
            thread::spawn(move || {
                let lived = victim.join().unwrap();
                if !lived && (always || watched.died_early.load(Relaxed)) {
                    watched.core.abort(&helper);
                }
            })
        })
        .collect();
    for helper in helpers {
        helper.join().unwrap();
    }
    let completed = watched.completed.lock().unwrap();
    if deaths == 0 {
        assert!(completed.iter().all(|indices| [0, parties as usize].contains(&indices.len())));
    }
}

#[test]
fn shuttle_barrier() {
    explore(8, || run(3, 0, 0, 1, false, |party, watched| meet(party, watched, 2, no_deadline)));
}

/// One round: a death of one that has arrived is noticed without help.
#[test]
fn shuttle_barrier_with_deaths() {
    explore(25, || run(3, 0, 2, 60, false, |party, watched| meet(party, watched, 1, no_deadline)));
}

#[test]
fn shuttle_barrier_of_two_with_deaths() {
    explore(20, || run(2, 0, 1, 60, false, |party, watched| meet(party, watched, 1, no_deadline)));
}

/// A third party never comes, so nobody else will look: if one dies that has arrived, the other one leaves all the same.
#[test]
fn shuttle_barrier_incomplete_with_deaths() {
    explore(25, || {
        run(2, 1, 1, 40, false, |party, watched| {
            let deadlines = [no_deadline, || Deadline::after(Duration::ZERO)];
            meet(party, watched, 1, deadlines[party.id as usize - 1]);
        });
    });
}

#[test]
fn shuttle_barrier_rounds_with_deaths() {
    explore(15, || run(3, 0, 2, 120, true, |party, watched| meet(party, watched, 2, no_deadline)));
}

#[test]
fn shuttle_barrier_with_deadlines_and_deaths() {
    explore(15, || run(3, 0, 1, 80, true, |party, watched| meet(party, watched, 2, some_deadline)));
}

/// Each meets the others once, however often the barrier is reset meanwhile: were a round mixed, some would be left over.
#[test]
fn shuttle_barrier_with_resets() {
    explore(20, || {
        let world = Arc::new(World::new(4, false));
        let core = Arc::new(BarrierCore::new(3));
        let threads: Vec<_> = (1..=3)
            .map(|id| {
                let (party, core) = (Party::new(&world, id), Arc::clone(&core));
                thread::spawn(move || {
                    loop {
                        match core.wait(&party, party.id, Deadline::NEVER) {
                            Ok(index) => return index,
                            // Those who come are told of it until the reset that follows.
                            Err(Broken::Aborted | Broken::Reset) => thread::yield_now(),
                            Err(broken) => panic!("{broken:?}"),
                        }
                    }
                })
            })
            .collect();
        let party = Party::new(&world, 4);
        for _ in 0..random(3) {
            if random(2) == 0 {
                core.abort(&party);
            }
            core.reset(&party);
        }
        let mut indices: Vec<u32> = threads.into_iter().map(|t| t.join().unwrap()).collect();
        indices.sort_unstable();
        assert_eq!(indices, [0, 1, 2]);
    });
}
