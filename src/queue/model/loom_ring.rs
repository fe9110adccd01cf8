//! The ring in all executions of one sender and one receiver: the orderings that shuttle does not see.
//!
//! Slots are loom's cells, so that a missing release or acquire is a data race. A lost wake-up is a deadlock.

#![expect(unsafe_code, reason = "loom's cell gives pointers")]

use crate::deadline::Deadline;
use crate::queue::model::Hasty;
use crate::queue::ring_core::{Failed, Patience, RingCore, Side};
use crate::sync::model::loom_run::{explore, start};
use crate::sync::model::party::Party;
use crate::sync::model::world::World;
use loom::cell::UnsafeCell;
use std::sync::Arc;

const EVER: Patience = Patience::Until(Deadline::NEVER);

struct Ring {
    core: RingCore,
    slots: Vec<UnsafeCell<u32>>,
}

// SAFETY: a slot is touched by the owner of an end alone, between the positions; if that were wrong, loom would report it.
unsafe impl Sync for Ring {}
// SAFETY: as above.
unsafe impl Send for Ring {}

impl Ring {
    fn new(capacity: u64) -> Ring {
        let slots = (0..capacity).map(|_| UnsafeCell::new(0)).collect();
        Ring { core: RingCore::new(capacity), slots }
    }

    fn send(&self, party: &Party, message: u32, held: bool) -> Result<u64, Failed> {
        let write = |position, _| {
            self.slots[self.core.slot(position)].with_mut(|slot| {
                // SAFETY: as for Sync.
                unsafe { *slot = message }
            });
        };
        match held {
            true => self.core.send_held(party, party.id, EVER, &Hasty, 1, write),
            false => self.core.send(party, party.id, EVER, &Hasty, 1, write),
        }
    }

    fn recv(&self, party: &Party, held: bool) -> Result<u32, Failed> {
        let mut message = 0;
        let read = |position, _| {
            message = self.slots[self.core.slot(position)].with(|slot| {
                // SAFETY: as for Sync.
                unsafe { *slot }
            });
        };
        match held {
            true => self.core.recv_held(party, party.id, EVER, &Hasty, 1, read)?,
            false => self.core.recv(party, party.id, EVER, &Hasty, 1, read)?,
        };
        Ok(message)
    }
}

/// One sends 1, 2, …, the other receives them.
fn stream(capacity: u64, messages: u32, held: bool) {
    let world = Arc::new(World::new(2, false));
    let ring = Arc::new(Ring::new(capacity));
    let theirs = Arc::clone(&ring);
    let sender = start(&world, 2, 0, move |party| {
        if held {
            theirs.core.hold(party, party.id, Side::Producer, EVER).unwrap();
        }
        for message in 1..=messages {
            theirs.send(party, message, held).unwrap();
        }
        if held {
            theirs.core.release_end(party, party.id, Side::Producer);
        }
    });
    let party = Party::new(&world, 1);
    if held {
        ring.core.hold(&party, party.id, Side::Consumer, EVER).unwrap();
    }
    for message in 1..=messages {
        assert_eq!(ring.recv(&party, held), Ok(message));
    }
    if held {
        ring.core.release_end(&party, party.id, Side::Consumer);
    }
    sender.join().unwrap();
}

#[test]
fn loom_ring_one_slot() {
    explore(2, || stream(1, 2, false));
}

#[test]
fn loom_ring_two_slots() {
    explore(2, || stream(2, 3, false));
}

#[test]
fn loom_ring_held_one_slot() {
    explore(2, || stream(1, 2, true));
}

#[test]
fn loom_ring_held_two_slots() {
    explore(2, || stream(2, 3, true));
}

/// One sends and closes, or the ring is closed on the sender; the receiver gets what was sent, and then the end.
fn close(by_sender: bool, held: bool) {
    let world = Arc::new(World::new(2, false));
    let ring = Arc::new(Ring::new(1));
    let theirs = Arc::clone(&ring);
    let sender = start(&world, 2, 0, move |party| {
        if held {
            theirs.core.hold(party, party.id, Side::Producer, EVER).unwrap();
        }
        let sent = theirs.send(party, 1, held);
        assert!(!by_sender || sent.is_ok());
        if by_sender {
            theirs.core.close(party);
        }
        if held {
            theirs.core.release_end(party, party.id, Side::Producer);
        }
    });
    let party = Party::new(&world, 1);
    if !by_sender {
        ring.core.close(&party);
    }
    let first = ring.recv(&party, false);
    assert!(first == Ok(1) || !by_sender && first == Err(Failed::Closed));
    assert_eq!(ring.recv(&party, false), Err(Failed::Closed));
    sender.join().unwrap();
    assert!(ring.core.is_empty(), "a message after the end");
}

#[test]
fn loom_ring_closed_by_the_sender() {
    explore(2, || close(true, false));
}

#[test]
fn loom_ring_closed_by_the_receiver() {
    explore(3, || close(false, false));
}

#[test]
fn loom_ring_closed_by_the_receiver_held() {
    explore(3, || close(false, true));
}
