//! The ring under random schedules, with deaths: nothing lost, nothing doubled, in order, and nobody who lives waits for ever
//! for what is there.

use crate::deadline::Deadline;
use crate::queue::model::watched::Watched;
use crate::queue::ring_core::{Patience, Side};
use crate::sync::model::party::Party;
use crate::sync::model::shuttle_run::{explore, fates, start};
use crate::sync::model::world::{World, random};
use shuttle::thread::JoinHandle;
use std::sync::Arc;
use std::time::Duration;

const EVER: Patience = Patience::Until(Deadline::NEVER);

/// Two senders (parties 1 and 2), two receivers (3 and 4), one that settles (5); the fourth never dies.
struct Stage {
    world: Arc<World>,
    ring: Arc<Watched>,
    fates: Vec<u32>,
}

impl Stage {
    fn new(deaths: usize, steps: u32) -> Stage {
        let capacity = u64::from(1 + random(2));
        let mut fates = fates(3, deaths, steps);
        fates.extend([0, 0]);
        let (world, ring) = (World::new(5, false), Watched::new(capacity));
        Stage { world: Arc::new(world), ring: Arc::new(ring), fates }
    }

    fn start(&self, id: u32, life: fn(&Party, &Watched)) -> JoinHandle<bool> {
        let (ring, theirs) = (Arc::clone(&self.ring), Arc::clone(&self.ring));
        let fate = self.fates[id as usize - 1];
        let life = move |party: &Party| {
            life(party, &ring);
            assert!(party.is_quiet(), "an alarm is still named");
        };
        start(&self.world, id, fate, life, move |party| theirs.last_words(party))
    }

    /// Both kinds run, then the ring is closed, and all is counted.
    fn run(self, send: fn(&Party, &Watched), recv: fn(&Party, &Watched)) {
        let last = Party::new(&self.world, 5);
        let senders = [self.start(1, send), self.start(2, send)];
        let receivers = [self.start(3, recv), self.start(4, recv)];
        senders.into_iter().for_each(join);
        self.ring.close(&last);
        receivers.into_iter().for_each(join);
        self.ring.settle(&last);
    }
}

fn join(thread: JoinHandle<bool>) {
    thread.join().unwrap();
}

fn send_two(party: &Party, ring: &Watched) {
    for _ in 0..2 {
        assert_eq!(ring.send(party, EVER, 1, false), Ok(1));
    }
}

fn recv_all(party: &Party, ring: &Watched) {
    while ring.recv(party, EVER, 1, false).is_ok() {}
}

#[test]
fn shuttle_ring_two_to_two() {
    explore(8, || Stage::new(0, 1).run(send_two, recv_all));
}

#[test]
fn shuttle_ring_two_to_two_with_deaths() {
    explore(20, || Stage::new(2, 120).run(send_two, recv_all));
}

/// Receivers that take what they came for and leave: a message that nobody was woken for is not found by chance.
#[test]
fn shuttle_ring_each_receives_two() {
    fn recv_two(party: &Party, ring: &Watched) {
        for _ in 0..2 {
            assert_eq!(ring.recv(party, EVER, 1, false), Ok(1));
        }
    }
    explore(12, || {
        let stage = Stage::new(0, 1);
        let threads = [
            stage.start(1, send_two),
            stage.start(2, send_two),
            stage.start(3, recv_two),
            stage.start(4, recv_two),
        ];
        threads.into_iter().for_each(join);
    });
}

/// One of two receivers may die or give up; what it leaves is the other's.
#[test]
fn shuttle_ring_with_deadlines_and_deaths() {
    fn send(party: &Party, ring: &Watched) {
        for _ in 0..3 {
            let patience = match random(3) {
                0 => Patience::None,
                1 => Patience::Until(Deadline::after(Duration::ZERO)),
                _ => EVER,
            };
            let _ = ring.send(party, patience, u64::from(1 + random(2)), false);
        }
    }
    fn recv(party: &Party, ring: &Watched) {
        for _ in 0..random(3) {
            let patience = match random(2) {
                0 => Patience::None,
                _ => Patience::Until(Deadline::after(Duration::ZERO)),
            };
            let _ = ring.recv(party, patience, u64::from(1 + random(2)), false);
        }
        recv_all(party, ring);
    }
    explore(15, || Stage::new(2, 150).run(send, recv));
}

/// Ends that are held for a while, among single operations of others.
#[test]
fn shuttle_ring_held_ends_with_deaths() {
    fn send(party: &Party, ring: &Watched) {
        let held = random(2) == 0;
        if held {
            ring.hold(party, Side::Producer);
        }
        for _ in 0..2 {
            assert!(ring.send(party, EVER, 1, held).is_ok());
        }
        if held {
            ring.give_back(party, Side::Producer);
        }
    }
    fn recv(party: &Party, ring: &Watched) {
        if random(2) == 0 {
            ring.hold(party, Side::Consumer);
            for _ in 0..random(3) {
                if ring.recv(party, EVER, 1, true).is_err() {
                    break;
                }
            }
            ring.give_back(party, Side::Consumer);
        }
        recv_all(party, ring);
    }
    explore(20, || Stage::new(2, 150).run(send, recv));
}

/// Closed by a sender while the others are at work: whoever is told of the end has seen it.
#[test]
fn shuttle_ring_closed_at_work_with_deaths() {
    fn send(party: &Party, ring: &Watched) {
        let held = random(2) == 0;
        if held {
            ring.hold(party, Side::Producer);
        }
        for _ in 0..2 {
            if party.id == 1 && random(3) == 0 {
                ring.close(party);
            }
            let _ = ring.send(party, EVER, 1, held);
        }
        if held {
            ring.give_back(party, Side::Producer);
        }
    }
    explore(20, || Stage::new(2, 150).run(send, recv_all));
}
