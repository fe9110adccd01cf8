//! One item's place in the table: where it stands, in one word.
//!
//! | word | meaning | what may follow, and who stores it |
//! |---|---|---|
//! | `FREE` | no item | `READY`, by a sender, when the payload is whole |
//! | `READY`, last holder, attempts | may be delivered | `LEASED`, by a receiver, with itself as the holder and one attempt more |
//! | `LEASED`, holder, attempts | on delivery | `FREE` or `READY` or `DEAD`, by the holder; the last two by anybody if the holder is dead |
//! | `DEAD`, last holder, attempts | a dead letter | `FREE` or `READY` (without attempts), by whoever takes or retries it |
//!
//! All of it by the owner of the table's lock. The attempts are in the word so that a delivery and its count are one store.

use crate::prim::{AtomicU32, AtomicU64, Ordering};

/// No index.
pub(super) const NONE: u32 = u32::MAX;

const KIND_SHIFT: u32 = 62;
const HOLDER_SHIFT: u32 = 32;
const HOLDER_MASK: u64 = (1 << (KIND_SHIFT - HOLDER_SHIFT)) - 1;

/// Where an item stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Free = 0,
    Ready = 1,
    Leased = 2,
    /// A dead letter.
    Dead = 3,
}

/// What a slot's word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) kind: Kind,
    /// The roster id of the holder, or of the last one; 0 before the first delivery.
    pub(crate) holder: u32,
    /// How often the item has been delivered.
    pub(crate) attempts: u32,
}

impl Standing {
    pub(super) const FREE: Standing = Standing { kind: Kind::Free, holder: 0, attempts: 0 };

    fn from_word(word: u64) -> Standing {
        let kind = match word >> KIND_SHIFT {
            0 => Kind::Free,
            1 => Kind::Ready,
            2 => Kind::Leased,
            _ => Kind::Dead,
        };
        let holder = (word >> HOLDER_SHIFT & HOLDER_MASK) as u32;
        Standing { kind, holder, attempts: word as u32 }
    }

    fn to_word(self) -> u64 {
        let holder = u64::from(self.holder) & HOLDER_MASK;
        (self.kind as u64) << KIND_SHIFT | holder << HOLDER_SHIFT | u64::from(self.attempts)
    }
}

/// An item's place. Everything is written by the owner of the table's lock; the payload's fields are the holder's to read
/// without it while the slot is leased.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Slot {
    /// The committing word, see the top of the file.
    word: AtomicU64,
    /// The item's place in the order of sends; it keeps that for life.
    pub(super) number: AtomicU64,
    /// The delivery's place in the order of deliveries.
    pub(super) lease: AtomicU64,
    /// Length of the payload.
    pub(super) bytes: AtomicU32,
    /// The first block of the payload.
    pub(super) block: AtomicU32,
    /// Neighbours in the list that the slot is in. They follow from the words of all slots.
    pub(super) next: AtomicU32,
    pub(super) previous: AtomicU32,
}

impl Slot {
    pub(crate) fn new() -> Slot {
        Slot {
            word: AtomicU64::new(Standing::FREE.to_word()),
            number: AtomicU64::new(0),
            lease: AtomicU64::new(0),
            bytes: AtomicU32::new(0),
            block: AtomicU32::new(NONE),
            next: AtomicU32::new(NONE),
            previous: AtomicU32::new(NONE),
        }
    }

    pub(crate) fn standing(&self) -> Standing {
        Standing::from_word(self.word.load(Ordering::Relaxed))
    }

    pub(crate) fn number(&self) -> u64 {
        self.number.load(Ordering::Relaxed)
    }

    /// The committing store of every operation on an item. Release costs nothing here and says what it means: all that belongs to
    /// the item is in place.
    pub(super) fn commit(&self, standing: Standing) {
        self.word.store(standing.to_word(), Ordering::Release);
    }
}

/// A number that the owner of the lock alone reads and writes.
pub(super) fn get(cell: &AtomicU32) -> u32 {
    cell.load(Ordering::Relaxed)
}

/// As [`get`].
pub(super) fn set(cell: &AtomicU32, value: u32) {
    cell.store(value, Ordering::Relaxed);
}
