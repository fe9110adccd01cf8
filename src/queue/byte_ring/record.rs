//! A record's header, its states, and the mark that counts messages and units in one word.

use super::UNIT_BYTES;
use crate::prim::{AtomicU32, AtomicU64};

/// What stands before a message in the ring: one unit. All of it but `state` is written under a lock.
#[derive(Debug)]
#[repr(C, align(16))]
pub(crate) struct Header {
    /// One of the states below; with the roster id of a thread if it is WRITING or READING.
    pub(super) state: AtomicU32,
    /// 1 if `take` has passed this record while it was being written.
    pub(super) late: AtomicU32,
    /// Bytes of the payload; of a consumed record, up to the next one that is not.
    pub(super) bytes: AtomicU64,
}

const _: () = assert!(cfg!(any(loom, shuttle)) || size_of::<Header>() as u64 == UNIT_BYTES);

impl Header {
    /// Any numbers: a header is written before it is looked at.
    #[cfg(any(loom, shuttle))]
    pub(crate) fn new() -> Header {
        Header { state: AtomicU32::new(0), late: AtomicU32::new(0), bytes: AtomicU64::new(0) }
    }
}

pub(super) const READY: u32 = 0;
pub(super) const WRITING: u32 = 1 << 30;
pub(super) const READING: u32 = 2 << 30;
pub(super) const DONE: u32 = 3 << 30;
const KIND: u32 = 3 << 30;

/// Which of the states it is.
pub(super) fn kind(state: u32) -> u32 {
    state & KIND
}

/// Who writes or reads.
pub(super) fn holder(state: u32) -> u32 {
    state & !KIND
}

/// How many units a message of so many bytes takes, with its header; `None` if no ring is that large.
pub(super) fn units_for(bytes: u64) -> Option<u32> {
    u32::try_from(bytes.div_ceil(UNIT_BYTES).checked_add(1)?).ok()
}

/// A position in units, and how many messages lie before it; both go round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark(pub(super) u64);

impl Mark {
    pub(super) fn units(self) -> u32 {
        self.0 as u32
    }

    pub(super) fn count(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Behind one more message, which takes so many units.
    pub(super) fn past(self, units: u32) -> Mark {
        let (count, units) = (self.count().wrapping_add(1), self.units().wrapping_add(units));
        Mark(u64::from(count) << 32 | u64::from(units))
    }
}
