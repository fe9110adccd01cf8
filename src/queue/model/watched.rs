//! A ring, and what is known of its messages without its help.
//!
//! A message is two words, so that a half-written one shows; each access of a word is a point where the thread may be killed. The
//! ledger is std's, which no schedule sees. Positions are its keys: the message at a position was sent by whoever wrote there
//! last, and was received by those whose `read` of that position was followed by the return of their receive.

use crate::deadline::Deadline;
use crate::prim::{AtomicU64, Ordering};
use crate::queue::model::Hasty;
use crate::queue::ring_core::{Failed, Patience, RingCore, Side};
use crate::sync::model::party::Party;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// Sender in the upper half, a running number in the lower.
type Message = u64;

#[derive(Debug, Default)]
struct Ledger {
    /// What was last written at a position, by whom.
    written: BTreeMap<u64, Message>,
    /// The positions of sends that returned.
    sent: BTreeMap<u64, Message>,
    /// The positions of receives that returned.
    received: BTreeMap<u64, Message>,
    /// The positions that a party has read in the operation that is under way.
    reading: BTreeMap<u32, Vec<u64>>,
    writing: BTreeMap<u32, Vec<u64>>,
    /// What the dead had read or written in their last operation.
    last_read: Vec<u64>,
    last_written: Vec<u64>,
    /// For each receiver and sender, the number of the last message.
    order: BTreeMap<(u32, u32), u32>,
    /// A receive has reported the end.
    ended: bool,
    /// A send that began after the close has returned.
    numbers: BTreeMap<u32, u32>,
}

/// See the top of the file.
#[derive(Debug)]
pub(super) struct Watched {
    core: RingCore,
    slots: Vec<[AtomicU64; 2]>,
    ledger: Mutex<Ledger>,
}

impl Watched {
    pub(super) fn new(capacity: u64) -> Watched {
        Watched {
            core: RingCore::new(capacity),
            slots: (0..capacity).map(|_| [AtomicU64::new(0), AtomicU64::new(0)]).collect(),
            ledger: Mutex::default(),
        }
    }

    /// Sends up to `want` messages.
    pub(super) fn send(
        &self,
        party: &Party,
        patience: Patience,
        want: u64,
        held: bool,
    ) -> Result<u64, Failed> {
        let first = *self.ledger().numbers.entry(party.id).or_insert(1);
        let message = |index: u64| u64::from(party.id) << 32 | (u64::from(first) + index);
        let write = |position: u64, count: u64| {
            for index in 0..count {
                self.write(party, position + index, message(index));
            }
        };
        let sent = match held {
            true => self.core.send_held(party, party.id, patience, &Hasty, want, write),
            false => self.core.send(party, party.id, patience, &Hasty, want, write),
        };
        let mut ledger = self.ledger();
        let positions = ledger.writing.remove(&party.id).unwrap_or_default();
        assert_eq!(positions.len() as u64, *sent.as_ref().unwrap_or(&0), "wrote {positions:?}");
        for (index, position) in positions.into_iter().enumerate() {
            let message = message(index as u64);
            assert_eq!(ledger.written.get(&position), Some(&message), "overwritten unsent");
            assert_eq!(ledger.sent.insert(position, message), None, "two sends at {position}");
        }
        ledger.numbers.insert(party.id, first + sent.unwrap_or(0) as u32);
        sent
    }

    fn write(&self, party: &Party, position: u64, message: Message) {
        {
            let mut ledger = self.ledger();
            assert!(!ledger.sent.contains_key(&position), "a second send at {position}");
            assert!(!ledger.ended, "sent after the end was reported");
            ledger.written.insert(position, message);
            ledger.writing.entry(party.id).or_default().push(position);
        }
        let slot = &self.slots[self.core.slot(position)];
        slot[0].store(message, Ordering::Relaxed);
        slot[1].store(!message, Ordering::Relaxed);
    }

    /// Receives up to `want` messages.
    pub(super) fn recv(
        &self,
        party: &Party,
        patience: Patience,
        want: u64,
        held: bool,
    ) -> Result<u64, Failed> {
        let read = |position: u64, count: u64| {
            for position in position..position + count {
                self.read(party, position);
            }
        };
        let received = match held {
            true => self.core.recv_held(party, party.id, patience, &Hasty, want, read),
            false => self.core.recv(party, party.id, patience, &Hasty, want, read),
        };
        let mut ledger = self.ledger();
        let positions = ledger.reading.remove(&party.id).unwrap_or_default();
        assert_eq!(positions.len() as u64, *received.as_ref().unwrap_or(&0), "read {positions:?}");
        for position in positions {
            let message = ledger.written[&position];
            assert_eq!(ledger.received.insert(position, message), None, "received twice");
            let (sender, number) = ((message >> 32) as u32, message as u32);
            let last = ledger.order.insert((party.id, sender), number).unwrap_or(0);
            assert!(number > last, "{number} of {sender} after {last}");
        }
        ledger.ended |= received == Err(Failed::Closed);
        received
    }

    fn read(&self, party: &Party, position: u64) {
        let slot = &self.slots[self.core.slot(position)];
        let message = slot[0].load(Ordering::Relaxed);
        let check = slot[1].load(Ordering::Relaxed);
        let mut ledger = self.ledger();
        assert_eq!(message, !check, "half a message at {position}");
        assert_eq!(ledger.written.get(&position), Some(&message), "an old message at {position}");
        assert!(!ledger.received.contains_key(&position), "{position} again");
        assert!(!ledger.ended, "a message after the end was reported");
        ledger.reading.entry(party.id).or_default().push(position);
    }

    pub(super) fn close(&self, party: &Party) {
        self.core.close(party);
    }

    pub(super) fn hold(&self, party: &Party, side: Side) {
        self.core.hold(party, party.id, side, Patience::Until(Deadline::NEVER)).unwrap();
    }

    pub(super) fn give_back(&self, party: &Party, side: Side) {
        self.core.release_end(party, party.id, side);
    }

    /// At the death of `party`.
    pub(super) fn last_words(&self, party: &Party) {
        let mut ledger = self.ledger();
        let (read, written) = (ledger.reading.remove(&party.id), ledger.writing.remove(&party.id));
        ledger.last_read.extend(read.unwrap_or_default());
        ledger.last_written.extend(written.unwrap_or_default());
    }

    /// When all threads have ended: takes what is left, and checks that nothing was lost.
    pub(super) fn settle(&self, party: &Party) {
        while self.recv(party, Patience::Until(Deadline::NEVER), 1, false).is_ok() {}
        let ledger = self.ledger();
        for position in ledger.sent.keys() {
            let taken = ledger.received.contains_key(position);
            assert!(taken || ledger.last_read.contains(position), "{position} was lost");
        }
        for position in ledger.received.keys() {
            let sent = ledger.sent.contains_key(position);
            assert!(sent || ledger.last_written.contains(position), "{position} was never sent");
        }
        assert!(self.core.is_empty());
    }

    fn ledger(&self) -> std::sync::MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }
}
