//! A byte ring, and what is known of its messages without its help.
//!
//! As `watched` does for the ring of slots. A payload is two words, so that a half-written one shows. Messages of 16 bytes are
//! small, of 32 bytes large. Positions do not go round here, and are the keys.

use crate::deadline::Deadline;
use crate::prim::{AtomicU64, Ordering};
use crate::queue::byte_ring::{ByteCore, ByteRing, Got, Header, Lease, Limit, Records};
use crate::queue::model::Hasty;
use crate::queue::ring_core::{Failed, Patience};
use crate::sync::model::party::Party;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

pub(super) const SMALL: u64 = 16;
pub(super) const LARGE: u64 = 32;

/// Headers, one for each unit.
#[derive(Debug)]
struct Units(Vec<Header>);

impl Records for Units {
    fn header(&self, position: u32) -> &Header {
        &self.0[position as usize % self.0.len()]
    }

    fn broken(&self) -> ! {
        panic!("a record longer than the ring");
    }
}

#[derive(Debug, Default)]
struct Ledger {
    /// What was last written at a position: sender in the upper half, a number in the lower.
    written: BTreeMap<u32, u64>,
    sent: BTreeSet<u32>,
    received: BTreeSet<u32>,
    /// What a party is writing; what it is reading and has not given up if it dies; what it is about to consume.
    writing: BTreeMap<u32, u32>,
    reading: BTreeMap<u32, u32>,
    /// What the dead may have sent or received in their last step.
    last_written: BTreeSet<u32>,
    last_read: BTreeSet<u32>,
    numbers: BTreeMap<u32, u32>,
    order: BTreeMap<(u32, u32), u32>,
    ended: bool,
}

/// See the top of the file.
#[derive(Debug)]
pub(super) struct Recorded {
    core: ByteCore,
    units: Units,
    words: Vec<[AtomicU64; 2]>,
    /// Whether anybody may die: what comes back is received out of order.
    mortal: bool,
    ledger: Mutex<Ledger>,
}

impl Recorded {
    pub(super) fn new(units: u32, mortal: bool) -> Recorded {
        Recorded {
            core: ByteCore::new(units, SMALL as u32),
            units: Units((0..units).map(|_| Header::new()).collect()),
            words: (0..units).map(|_| [AtomicU64::new(0), AtomicU64::new(0)]).collect(),
            mortal,
            ledger: Mutex::default(),
        }
    }

    fn ring(&self) -> ByteRing<'_, Units> {
        ByteRing { core: &self.core, records: &self.units }
    }

    fn payload(&self, position: u32) -> &[AtomicU64; 2] {
        &self.words[(position as usize + 1) % self.words.len()]
    }

    pub(super) fn send(&self, party: &Party, patience: Patience, bytes: u64) -> Result<(), Failed> {
        let number = *self.ledger().numbers.entry(party.id).or_insert(1);
        let message = u64::from(party.id) << 32 | u64::from(number);
        let write = |position: u32| {
            {
                let mut ledger = self.ledger();
                assert!(!ledger.sent.contains(&position), "a second send at {position}");
                ledger.written.insert(position, message);
                ledger.writing.insert(party.id, position);
            }
            let [first, second] = self.payload(position);
            first.store(message, Ordering::Relaxed);
            second.store(!message, Ordering::Relaxed);
        };
        let sent = self.ring().send(party, party.id, patience, &Hasty, bytes, write);
        let mut ledger = self.ledger();
        let position = ledger.writing.remove(&party.id);
        assert_eq!(position.is_some(), sent.is_ok(), "{sent:?}");
        if let Some(position) = position {
            assert_eq!(ledger.written[&position], message, "overwritten unsent");
            ledger.sent.insert(position);
            ledger.numbers.insert(party.id, number + 1);
        }
        sent
    }

    fn look(&self, position: u32) -> u64 {
        let [first, second] = self.payload(position);
        let message = first.load(Ordering::Relaxed);
        assert_eq!(message, !second.load(Ordering::Relaxed), "half a message at {position}");
        let ledger = self.ledger();
        assert_eq!(ledger.written.get(&position), Some(&message), "an old message at {position}");
        assert!(!ledger.received.contains(&position), "{position} again");
        assert!(!ledger.ended, "a message after the end was reported");
        message
    }

    /// Receives; a message that is lent is kept for as long as `meanwhile` takes, if that is given.
    pub(super) fn recv(
        &self,
        party: &Party,
        patience: Patience,
        meanwhile: Option<&dyn Fn()>,
    ) -> Result<(), Failed> {
        let limit = Limit { bytes: u64::MAX, lend: meanwhile.is_some() };
        let mut copied = None;
        let read = |position: u32, _| {
            self.look(position);
            copied = Some(position);
            self.ledger().reading.insert(party.id, position);
        };
        let got = self.ring().receive(party, party.id, patience, &Hasty, limit, read);
        match got {
            Ok(Got::Copied(_)) => self.received(party, copied.expect("read")),
            Ok(Got::TooLong(bytes)) => panic!("{bytes} bytes are not too many"),
            Ok(Got::Lent(lease)) => {
                self.look(lease.position);
                if let Some(meanwhile) = meanwhile {
                    self.ring().keep(party, party.id);
                    meanwhile();
                }
                self.consume(party, &lease, meanwhile.is_none());
            }
            Err(failed) => {
                self.ledger().ended |= failed == Failed::Closed;
                return Err(failed);
            }
        }
        Ok(())
    }

    fn consume(&self, party: &Party, lease: &Lease, under_way: bool) {
        self.look(lease.position);
        self.ledger().reading.insert(party.id, lease.position);
        self.ring().finish(party, party.id, lease, under_way);
        self.received(party, lease.position);
    }

    fn received(&self, party: &Party, position: u32) {
        let mut ledger = self.ledger();
        ledger.reading.remove(&party.id);
        let message = ledger.written[&position];
        assert!(ledger.received.insert(position), "{position} received twice");
        let (sender, number) = ((message >> 32) as u32, message as u32);
        let last = ledger.order.insert((party.id, sender), number).unwrap_or(0);
        assert!(self.mortal || number > last, "{number} of {sender} after {last}");
    }

    pub(super) fn close(&self, party: &Party) {
        self.ring().close(party);
    }

    pub(super) fn len(&self, party: &Party) -> u64 {
        self.ring().len(party, party.id)
    }

    /// Whether a message has been received, also by one that died at it.
    pub(super) fn may_be_consumed(&self) -> bool {
        let ledger = self.ledger();
        !ledger.received.is_empty() || !ledger.last_read.is_empty()
    }

    /// At the death of `party`.
    pub(super) fn last_words(&self, party: &Party) {
        let mut ledger = self.ledger();
        let (read, written) = (ledger.reading.remove(&party.id), ledger.writing.remove(&party.id));
        ledger.last_read.extend(read);
        ledger.last_written.extend(written);
    }

    /// When all threads have ended: takes what is left, and checks that nothing was lost.
    pub(super) fn settle(&self, party: &Party) {
        let left = self.len(party);
        let mut taken = 0;
        while self.recv(party, Patience::Until(Deadline::NEVER), None).is_ok() {
            taken += 1;
        }
        assert_eq!(left, taken, "len said {left}");
        let ledger = self.ledger();
        for position in &ledger.sent {
            let was_taken = ledger.received.contains(position);
            assert!(was_taken || ledger.last_read.contains(position), "{position} was lost");
        }
        for position in &ledger.received {
            let was_sent = ledger.sent.contains(position);
            assert!(
                was_sent || ledger.last_written.contains(position),
                "{position} was never sent"
            );
        }
        assert_eq!(self.ring().used(), 0, "room is missing");
    }

    fn ledger(&self) -> std::sync::MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }
}
