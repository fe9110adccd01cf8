//! The byte ring under random schedules, with deaths: nothing lost, nothing doubled, and nobody who lives waits for ever for what
//! is there.

use crate::deadline::Deadline;
use crate::queue::model::records::{LARGE, Recorded, SMALL};
use crate::queue::ring_core::Patience;
use crate::sync::model::party::Party;
use crate::sync::model::shuttle_run::{explore, fates, start};
use crate::sync::model::world::{World, random, yield_now};
use shuttle::thread::JoinHandle;
use std::sync::Arc;
use std::time::Duration;

const EVER: Patience = Patience::Until(Deadline::NEVER);

/// Two senders (parties 1 and 2), two receivers (3 and 4), one that settles (5); the fourth never dies.
struct Stage {
    world: Arc<World>,
    ring: Arc<Recorded>,
    fates: Vec<u32>,
}

impl Stage {
    fn new(deaths: usize, steps: u32) -> Stage {
        let mut fates = fates(3, deaths, steps);
        fates.extend([0, 0]);
        let (world, ring) = (World::new(5, false), Recorded::new(4 << random(2), deaths > 0));
        Stage { world: Arc::new(world), ring: Arc::new(ring), fates }
    }

    fn start(&self, id: u32, life: fn(&Party, &Recorded)) -> JoinHandle<bool> {
        let (ring, theirs) = (Arc::clone(&self.ring), Arc::clone(&self.ring));
        let fate = self.fates[id as usize - 1];
        let life = move |party: &Party| {
            life(party, &ring);
            assert!(party.is_quiet(), "an alarm is still named");
        };
        start(&self.world, id, fate, life, move |party| theirs.last_words(party))
    }

    /// Both kinds run, then the ring is closed, and all is counted.
    fn run(self, send: fn(&Party, &Recorded), recv: fn(&Party, &Recorded)) {
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

fn size() -> u64 {
    if random(2) == 0 { SMALL } else { LARGE }
}

fn send_two(party: &Party, ring: &Recorded) {
    for _ in 0..2 {
        assert_eq!(ring.send(party, EVER, size()), Ok(()));
    }
}

fn recv_all(party: &Party, ring: &Recorded) {
    while recv_somehow(party, ring, EVER) {}
}

/// With or without a view, which is held for a while.
fn recv_somehow(party: &Party, ring: &Recorded, patience: Patience) -> bool {
    let meanwhile: Option<&dyn Fn()> = if random(2) == 0 { Some(&|| yield_now()) } else { None };
    ring.recv(party, patience, meanwhile).is_ok()
}

#[test]
fn shuttle_bytes_two_to_two() {
    explore(8, || Stage::new(0, 1).run(send_two, recv_all));
}

#[test]
fn shuttle_bytes_two_to_two_with_deaths() {
    explore(30, || Stage::new(2, 150).run(send_two, recv_all));
}

/// Receivers that take what they came for and leave: a message that nobody was woken for is not found by chance.
#[test]
fn shuttle_bytes_each_receives_two() {
    fn recv_two(party: &Party, ring: &Recorded) {
        for _ in 0..2 {
            assert!(recv_somehow(party, ring, EVER));
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

/// A receiver that may die, also with a view while it does something else, and one that needs what it leaves. The ring is closed
/// only when the message has been consumed: nothing but the death tells of it. (If nobody hears, this goes round for ever.)
#[test]
fn shuttle_bytes_what_a_dead_receiver_leaves() {
    fn send_one(party: &Party, ring: &Recorded) {
        assert_eq!(ring.send(party, EVER, LARGE), Ok(()));
    }
    explore(20, || {
        let mut stage = Stage::new(1, 1);
        stage.fates = vec![0, 0, 1 + random(80), 0, 0];
        let last = Party::new(&stage.world, 5);
        let threads = [stage.start(3, recv_all), stage.start(4, recv_all)];
        join(stage.start(1, send_one));
        while !stage.ring.may_be_consumed() {
            yield_now();
        }
        stage.ring.close(&last);
        threads.into_iter().for_each(join);
    });
}

/// Any of two senders and a receiver may die or give up.
#[test]
fn shuttle_bytes_with_deadlines_and_deaths() {
    fn patience() -> Patience {
        match random(3) {
            0 => Patience::None,
            1 => Patience::Until(Deadline::after(Duration::ZERO)),
            _ => EVER,
        }
    }
    fn send(party: &Party, ring: &Recorded) {
        for _ in 0..3 {
            let _ = ring.send(party, patience(), size());
        }
    }
    fn recv(party: &Party, ring: &Recorded) {
        for _ in 0..random(3) {
            recv_somehow(party, ring, Patience::None);
            ring.len(party);
        }
        recv_all(party, ring);
    }
    explore(15, || Stage::new(2, 150).run(send, recv));
}

/// Closed by a sender while the others are at work: whoever is told of the end has seen it.
#[test]
fn shuttle_bytes_closed_at_work_with_deaths() {
    fn send(party: &Party, ring: &Recorded) {
        for _ in 0..2 {
            if party.id == 1 && random(3) == 0 {
                ring.close(party);
            }
            let _ = ring.send(party, EVER, size());
        }
    }
    explore(20, || Stage::new(2, 150).run(send, recv_all));
}
