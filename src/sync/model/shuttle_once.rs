//! The value that is computed once under random schedules, with deaths: it is set at most once, whole, and nobody who lives
//! sleeps for ever while somebody computes.

use crate::deadline::Deadline;
use crate::prim::{AtomicU32, Ordering};
use crate::sync::model::party::Party;
use crate::sync::model::shuttle_run::{explore, fates, start};
use crate::sync::model::world::{World, random};
use crate::sync::once_core::OnceCore;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32 as Note, Ordering::Relaxed};
use std::time::Duration;

struct Watched {
    core: OnceCore,
    /// Equal once there is a value.
    halves: [AtomicU32; 2],
    /// Whose value it is, as seen by those who have seen it.
    seen: Note,
}

impl Watched {
    fn look(&self) {
        assert!(self.core.is_done());
        let [first, second] = self.halves.each_ref().map(|half| half.load(Ordering::Relaxed));
        assert!(first == second && first != 0, "half a value");
        let before = self.seen.swap(first, Relaxed);
        assert!(before == 0 || before == first, "the value has changed");
    }

    fn get_or_init(&self, party: &Party, fails: bool) {
        if !self.core.is_done() && self.core.begin(party, party.id) {
            if fails {
                self.core.abandon(party, party.id);
                return;
            }
            self.halves.iter().for_each(|half| half.store(party.id, Ordering::Relaxed));
            self.core.commit(party, party.id);
        }
        self.look();
    }
}

/// Threads of which some compute, some wait; at most `deaths` of them die. The last one lives, and computes if need be.
fn run(parties: u32, deaths: usize) {
    let world = Arc::new(World::new(parties, false));
    let halves = [AtomicU32::new(0), AtomicU32::new(0)];
    let once = Arc::new(Watched { core: OnceCore::new(), halves, seen: Note::new(0) });
    let mut fates = fates(parties as usize, deaths, 60);
    fates[parties as usize - 1] = 0;
    let threads: Vec<_> = (1..=parties)
        .map(|id| {
            let once = Arc::clone(&once);
            let life = move |party: &Party| {
                match random(4) {
                    _ if id == parties => once.get_or_init(party, false),
                    0 => {
                        if once.core.wait(party, Deadline::after(Duration::ZERO)) {
                            once.look();
                        }
                    }
                    1 => {
                        assert!(once.core.wait(party, Deadline::NEVER));
                        once.look();
                    }
                    way => once.get_or_init(party, way == 2 && random(2) == 0),
                }
                assert!(party.is_quiet(), "an alarm is still named");
            };
            start(&world, id, fates[id as usize - 1], life, |_| ())
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    once.look();
}

#[test]
fn shuttle_once_three_parties_with_deaths() {
    explore(15, || run(3, 2));
}

#[test]
fn shuttle_once_four_parties_with_deaths() {
    explore(15, || run(4, 2));
}
