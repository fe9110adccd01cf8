//! The byte ring in all executions of one sender and one receiver: payloads are loom's cells, so a missing order is a data race.

#![expect(unsafe_code, reason = "loom's cell gives pointers")]

use crate::deadline::Deadline;
use crate::queue::byte_ring::{ByteCore, ByteRing, Got, Header, Limit, Records};
use crate::queue::model::Hasty;
use crate::queue::ring_core::{Failed, Patience};
use crate::sync::model::loom_run::{explore, start};
use crate::sync::model::party::Party;
use crate::sync::model::world::World;
use loom::cell::UnsafeCell;
use std::sync::Arc;

const EVER: Patience = Patience::Until(Deadline::NEVER);

struct Units(Vec<Header>);

impl Records for Units {
    fn header(&self, position: u32) -> &Header {
        &self.0[position as usize % self.0.len()]
    }

    fn broken(&self) -> ! {
        panic!("a record longer than the ring");
    }
}

struct Ring {
    core: ByteCore,
    units: Units,
    payloads: Vec<UnsafeCell<u32>>,
}

// SAFETY: a payload is touched by the owner of an end, or by who wrote its name into the record; if that were wrong, loom would
// report it.
unsafe impl Sync for Ring {}
// SAFETY: as above.
unsafe impl Send for Ring {}

impl Ring {
    fn new(units: u32, small: u32) -> Ring {
        Ring {
            core: ByteCore::new(units, small),
            units: Units((0..units).map(|_| Header::new()).collect()),
            payloads: (0..units).map(|_| UnsafeCell::new(0)).collect(),
        }
    }

    fn ring(&self) -> ByteRing<'_, Units> {
        ByteRing { core: &self.core, records: &self.units }
    }

    fn send(&self, party: &Party, message: u32) -> Result<(), Failed> {
        let write = |position: u32| {
            self.payloads[(position as usize + 1) % self.payloads.len()].with_mut(|payload| {
                // SAFETY: as for Sync.
                unsafe { *payload = message }
            });
        };
        self.ring().send(party, party.id, EVER, &Hasty, 16, write)
    }

    fn look(&self, position: u32) -> u32 {
        self.payloads[(position as usize + 1) % self.payloads.len()].with(|payload| {
            // SAFETY: as for Sync.
            unsafe { *payload }
        })
    }

    fn recv(&self, party: &Party) -> Result<u32, Failed> {
        let mut message = 0;
        let limit = Limit { bytes: u64::MAX, lend: false };
        let read = |position, _| message = self.look(position);
        if let Got::Lent(lease) = self.ring().receive(party, party.id, EVER, &Hasty, limit, read)? {
            message = self.look(lease.position);
            self.ring().finish(party, party.id, &lease, true);
        }
        Ok(message)
    }
}

/// One sends 1, 2, …, the other receives them. Messages of 16 bytes take two units.
fn stream(units: u32, small: u32, messages: u32) {
    let world = Arc::new(World::new(2, false));
    let ring = Arc::new(Ring::new(units, small));
    let theirs = Arc::clone(&ring);
    let sender = start(&world, 2, 0, move |party| {
        for message in 1..=messages {
            theirs.send(party, message).unwrap();
        }
    });
    let party = Party::new(&world, 1);
    for message in 1..=messages {
        assert_eq!(ring.recv(&party), Ok(message));
    }
    sender.join().unwrap();
}

#[test]
fn loom_bytes_small_one_place() {
    explore(2, || stream(2, 16, 2));
}

#[test]
fn loom_bytes_small_two_places() {
    explore(2, || stream(4, 16, 3));
}

#[test]
fn loom_bytes_large_one_place() {
    explore(2, || stream(2, 0, 2));
}

#[test]
fn loom_bytes_large_two_places() {
    explore(2, || stream(4, 0, 2));
}
