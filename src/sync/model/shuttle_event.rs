//! The event under random schedules, with deaths: whoever began to wait before a set comes back.

use crate::deadline::Deadline;
use crate::sync::event_core::EventCore;
use crate::sync::model::party::Party;
use crate::sync::model::shuttle_run::{explore, fates, start};
use crate::sync::model::world::{World, random};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32 as Note, Ordering::SeqCst};
use std::time::Duration;

/// `waiters` wait once; a setter and a clearer, all mortal. When these have ended, whoever does not wait yet is let through by one
/// more set; until then, one who waits for a set that has happened must come back by himself.
fn run(waiters: u32, deaths: usize) {
    let parties = waiters + 2;
    let world = Arc::new(World::new(parties + 1, false));
    let event = Arc::new(EventCore::new());
    let sets = Arc::new(Note::new(0));
    let fates = fates(parties as usize, deaths, 40);
    let begin = |id: u32| {
        let (event, sets) = (Arc::clone(&event), Arc::clone(&sets));
        let life = move |party: &Party| {
            if id == waiters + 1 {
                for _ in 0..=random(2) {
                    sets.fetch_add(1, SeqCst);
                    event.set(party, party.id);
                }
            } else if id == waiters + 2 {
                event.clear();
                event.clear();
            } else if random(4) == 0 {
                event.wait(party, Deadline::after(Duration::ZERO));
            } else {
                event.wait(party, Deadline::NEVER);
            }
            assert!(party.is_quiet(), "an alarm is still named");
        };
        start(&world, id, fates[id as usize - 1], life, |_| ())
    };
    let waiting: Vec<_> = (1..=waiters).map(begin).collect();
    for other in [begin(waiters + 1), begin(waiters + 2)] {
        other.join().unwrap();
    }
    // Those who came after the last set, or to a flag that was taken down, need another one; it goes through the quiet
    // state only, so that a wake-up lost by the dead is not made up for by it.
    let last = Party::new(&world, parties + 1);
    if random(2) == 0 || !event.was_ever_set() || !event.is_set() {
        event.set(&last, last.id);
    }
    for thread in waiting {
        thread.join().unwrap();
    }
}

#[test]
fn shuttle_event_two_wait() {
    explore(20, || run(2, 0));
}

#[test]
fn shuttle_event_two_wait_with_deaths() {
    explore(30, || run(2, 2));
}

#[test]
fn shuttle_event_three_wait_with_deaths() {
    explore(20, || run(3, 2));
}

/// Two who wait already when it is set and cleared at once: both come back, also if the setter dies right after.
#[test]
fn shuttle_event_pulse() {
    explore(40, || {
        let world = Arc::new(World::new(3, false));
        let event = Arc::new(EventCore::new());
        let ready = Arc::new(Note::new(0));
        let begin = |id: u32, steps: u32| {
            let (event, ready) = (Arc::clone(&event), Arc::clone(&ready));
            let life = move |party: &Party| {
                event.wait_from(party, 0, Deadline::NEVER);
                ready.fetch_add(1, SeqCst);
            };
            start(&world, id, steps, life, |_| ())
        };
        let waiting = [begin(1, 0), begin(2, if random(2) == 0 { 0 } else { 1 + random(40) })];
        let theirs = Arc::clone(&event);
        let life = move |party: &Party| theirs.set(party, party.id);
        let setter = start(&world, 3, random(12), life, |_| ());
        setter.join().unwrap();
        if event.was_ever_set() {
            event.clear();
        } else {
            event.set(&Party::new(&world, 3), 3);
        }
        for thread in waiting {
            thread.join().unwrap();
        }
    });
}
