//! The lock for readers and writers under random schedules, with deaths: who is inside with whom, whether a torn value comes
//! with news, and that nobody who lives sleeps for ever. Two slots, so that readers wait for a slot, too.

use crate::deadline::Deadline;
use crate::prim::mortal::doom;
use crate::prim::{AtomicU32, Ordering};
use crate::sync::model::party::Party;
use crate::sync::model::shuttle_run::{explore, fates, start};
use crate::sync::model::world::{World, random, yield_now};
use crate::sync::rw_core::RwCore;
use std::sync::Arc;
use std::sync::Mutex as Ledger;
use std::sync::atomic::{AtomicU32 as Note, Ordering::Relaxed};
use std::time::Duration;

/// A lock, and what is known about it without its help: std's types, which no schedule sees.
struct Watched {
    core: RwCore<2>,
    /// Guarded by the lock: equal when nobody writes.
    halves: [AtomicU32; 2],
    /// Who writes.
    writer: Note,
    /// Who reads, each as often as it has shares.
    readers: Ledger<Vec<u32>>,
    dead: Ledger<Vec<u32>>,
}

impl Watched {
    fn new() -> Watched {
        Watched {
            core: RwCore::new(),
            halves: [AtomicU32::new(0), AtomicU32::new(0)],
            writer: Note::new(0),
            readers: Ledger::new(Vec::new()),
            dead: Ledger::new(Vec::new()),
        }
    }

    fn is_dead(&self, id: u32) -> bool {
        self.dead.lock().unwrap().contains(&id)
    }

    fn read(&self, party: &Party, patience: Option<Deadline>) -> Option<usize> {
        let slot = self.core.read(party, party.id, patience).ok()?;
        self.readers.lock().unwrap().push(party.id);
        self.look();
        Some(slot)
    }

    /// By one that reads.
    fn look(&self) {
        let mark = self.core.mark();
        assert!(mark == 0 || self.is_dead(mark), "news of a death that has not happened");
        for _ in 0..=random(2) {
            let writer = self.writer.load(Relaxed);
            assert!(writer == 0 || self.is_dead(writer), "{writer} writes while we read");
            let [first, second] = self.halves();
            assert!(mark != 0 || first == second, "torn, and no word of a dead writer");
        }
    }

    fn halves(&self) -> [u32; 2] {
        self.halves.each_ref().map(|half| half.load(Ordering::Relaxed))
    }

    fn end_reading(&self, party: &Party, slot: usize) {
        self.look();
        self.forget_share(party.id);
        self.core.end_reading(party, party.id, slot);
    }

    fn forget_share(&self, id: u32) {
        let mut readers = self.readers.lock().unwrap();
        let at = readers.iter().position(|&reader| reader == id).expect("it reads");
        readers.remove(at);
    }

    /// The mark to leave.
    fn write(&self, party: &Party, patience: Option<Deadline>) -> Option<u32> {
        self.core.write(party, party.id, patience).ok()?;
        let before = self.writer.swap(party.id, Relaxed);
        assert!(before == 0 || self.is_dead(before), "{before} writes, too");
        let readers = self.readers.lock().unwrap().clone();
        assert!(readers.iter().all(|&id| self.is_dead(id)), "{readers:?} read while we write");
        let mark = self.core.begin_writing(party.id);
        assert!(mark == 0 || self.is_dead(mark), "news of a death that has not happened");
        let [first, second] = self.halves();
        assert!(mark != 0 || first == second, "torn, and no word of a dead writer");
        let recovers = random(3) != 0;
        if mark == 0 || recovers {
            self.halves.iter().for_each(|half| half.store(party.id, Ordering::Relaxed));
            assert_eq!(self.halves(), [party.id; 2]);
        }
        Some(if recovers { 0 } else { mark })
    }

    fn end_writing(&self, party: &Party, mark: u32) {
        assert_eq!(self.writer.swap(0, Relaxed), party.id);
        self.core.end_writing(party, party.id, mark);
    }

    fn downgrade(&self, party: &Party, mark: u32) -> usize {
        self.readers.lock().unwrap().push(party.id);
        assert_eq!(self.writer.swap(0, Relaxed), party.id);
        let slot = self.core.downgrade(party, party.id, mark);
        self.look();
        slot
    }
}

/// Threads that do `life`; at most `deaths` of them die. Afterwards the lock works.
fn run(parties: u32, deaths: usize, steps: u32, life: fn(&Party, &Watched)) {
    let world = Arc::new(World::new(parties + 1, false));
    let lock = Arc::new(Watched::new());
    let fates = fates(parties as usize, deaths, steps);
    let threads: Vec<_> = (1..=parties)
        .map(|id| {
            let (lock, theirs) = (Arc::clone(&lock), Arc::clone(&lock));
            let last_words = move |party: &Party| theirs.dead.lock().unwrap().push(party.id);
            let life = move |party: &Party| {
                life(party, &lock);
                assert!(party.is_quiet(), "an alarm is still named");
            };
            start(&world, id, fates[id as usize - 1], life, last_words)
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let last = Party::new(&world, parties + 1);
    let mark = lock.write(&last, None).expect("a dead or absent thread holds the lock");
    lock.end_writing(&last, mark);
    let slot = lock.read(&last, None).expect("a dead or absent thread writes");
    lock.end_reading(&last, slot);
}

fn for_ever() -> Option<Deadline> {
    Some(Deadline::NEVER)
}

fn reads(party: &Party, lock: &Watched, patience: Option<Deadline>) {
    if let Some(slot) = lock.read(party, patience) {
        lock.end_reading(party, slot);
    }
}

fn writes(party: &Party, lock: &Watched, patience: Option<Deadline>) {
    if let Some(mark) = lock.write(party, patience) {
        lock.end_writing(party, mark);
    }
}

fn reads_and_writes(party: &Party, lock: &Watched) {
    for _ in 0..=random(2) {
        match party.id {
            1 => writes(party, lock, for_ever()),
            2 => reads(party, lock, for_ever()),
            _ if random(2) == 0 => writes(party, lock, for_ever()),
            _ => reads(party, lock, for_ever()),
        }
    }
}

#[test]
fn shuttle_rw_three_parties() {
    explore(10, || run(3, 0, 1, reads_and_writes));
}

#[test]
fn shuttle_rw_three_parties_with_deaths() {
    explore(15, || run(3, 2, 90, reads_and_writes));
}

#[test]
fn shuttle_rw_four_parties_with_deaths() {
    explore(15, || run(4, 2, 90, reads_and_writes));
}

/// Further shares of one thread, given back in any order, while others want to write; a writer that becomes a reader.
#[test]
fn shuttle_rw_shares_and_downgrades_with_deaths() {
    explore(15, || {
        run(3, 2, 120, |party, lock| {
            for _ in 0..=random(2) {
                match random(4) {
                    0 => writes(party, lock, for_ever()),
                    1 => {
                        let mark = lock.write(party, for_ever()).unwrap();
                        let slot = lock.downgrade(party, mark);
                        lock.end_reading(party, slot);
                    }
                    _ => {
                        let first = lock.read(party, for_ever()).unwrap();
                        let second = lock.read(party, for_ever()).unwrap();
                        let (one, other) =
                            if random(2) == 0 { (first, second) } else { (second, first) };
                        lock.end_reading(party, one);
                        reads(party, lock, for_ever());
                        lock.end_reading(party, other);
                    }
                }
            }
        });
    });
}

/// Writers wait behind one that becomes a reader. Two of them die: one that was woken, and the owner that waits for that
/// reader, and was woken by that death. The third one is left.
#[test]
fn shuttle_rw_owners_that_die_waiting() {
    explore(15, || {
        run(4, 0, 1, |party, lock| match party.id {
            1 => {
                let mark = lock.write(party, for_ever()).unwrap();
                (0..random(48)).for_each(|_| yield_now());
                let slot = lock.downgrade(party, mark);
                (0..random(48)).for_each(|_| yield_now());
                lock.end_reading(party, slot);
            }
            2 => {
                // This one comes when the first one leaves, and is the owner before the sleepers wake up.
                for _ in 0..200 {
                    if lock.writer.load(Relaxed) == 0 && lock.core.writer() == 0 {
                        break;
                    }
                    yield_now();
                }
                doom(60);
                writes(party, lock, for_ever());
            }
            3 => {
                doom(60);
                writes(party, lock, for_ever());
            }
            _ => writes(party, lock, for_ever()),
        });
    });
}

/// Waits that end without the lock.
#[test]
fn shuttle_rw_with_deadlines_and_deaths() {
    explore(15, || {
        run(4, 2, 90, |party, lock| {
            for _ in 0..=random(2) {
                let patience = match random(4) {
                    0 => None,
                    1 => Some(Deadline::after(Duration::ZERO)),
                    _ => for_ever(),
                };
                match random(2) {
                    0 => writes(party, lock, patience),
                    _ => reads(party, lock, patience),
                }
            }
        });
    });
}
