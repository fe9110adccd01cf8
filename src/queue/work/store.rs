//! A work queue's memory, and what it is made for.

#![expect(unsafe_code, reason = "promises that the queue's words keep the rules of ShmSafe")]

use crate::error::{Error, ErrorKind, Result};
use crate::prim::{AtomicU32, AtomicU64};
use crate::queue::gate;
use crate::queue::work::blocks::BLOCKS_MAX;
use crate::queue::work::core::{Work, WorkHead};
use crate::queue::work::slot::Slot;
use crate::queue::work::table::Holder;
use crate::shm::{Region, Shared, ShmSafe, roster};
use crate::sys::eventfd::Bell;
use std::sync::Arc;

/// What a work queue holds at most, and how often it delivers an item.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// use offspring::queue::{WorkLimits, WorkQueue};
/// let limits = WorkLimits::items(100).bytes(1 << 20).max_attempts(5);
/// let queue = WorkQueue::<String>::with_limits(limits)?;
/// assert_eq!(queue.capacity(), 100);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkLimits {
    pub(crate) items: usize,
    pub(crate) bytes: usize,
    pub(crate) max_attempts: u32,
}

/// A payload lies in blocks of so many bytes.
const BLOCK_BYTES: usize = 256;
const BLOCK_WORDS: usize = BLOCK_BYTES / size_of::<u64>();
/// How many bytes each item gets if nobody says otherwise, and all together at least.
const ITEM_BYTES: usize = 1024;
const BYTES_MIN: usize = 64 * 1024;
const BYTES_MAX: usize = BLOCKS_MAX * BLOCK_BYTES;
const ATTEMPTS: u32 = 3;
const ITEMS_MAX: usize = u32::MAX as usize - 1;

impl WorkLimits {
    /// At most `count` items: those that are ready, those on delivery, and the dead letters. Their encoded bytes have room for
    /// 1 KiB each and 64 KiB at least; an item is delivered three times at most.
    pub fn items(count: usize) -> WorkLimits {
        let bytes = count.saturating_mul(ITEM_BYTES).clamp(BYTES_MIN, BYTES_MAX);
        WorkLimits { items: count, bytes, max_attempts: ATTEMPTS }
    }

    /// At most so many encoded bytes in all items together, each rounded up to a multiple of 256. A single item may take all.
    pub fn bytes(self, bytes: usize) -> WorkLimits {
        WorkLimits { bytes, ..self }
    }

    /// An item is delivered so many times at most; then it is a dead letter.
    pub fn max_attempts(self, count: u32) -> WorkLimits {
        WorkLimits { max_attempts: count, ..self }
    }

    fn check(self) -> Result<()> {
        let detail = match self {
            WorkLimits { items, .. } if !(1..=ITEMS_MAX).contains(&items) => {
                format!("the capacity is from 1 to {ITEMS_MAX} items, not {items}")
            }
            WorkLimits { bytes, .. } if !(1..=BYTES_MAX).contains(&bytes) => {
                format!("the capacity is from 1 to {BYTES_MAX} bytes, not {bytes}")
            }
            WorkLimits { max_attempts: 0, .. } => "an item is delivered once at least".to_owned(),
            _ => return Ok(()),
        };
        Err(Error::new(ErrorKind::InvalidInput, "create", "a work queue", detail))
    }

    fn blocks(self) -> usize {
        self.bytes.div_ceil(BLOCK_BYTES)
    }
}

// SAFETY: atomics alone; whatever a dead process leaves in them, the next owner of the lock recomputes from the slots' words,
// each of which is one store (`table.rs`).
unsafe impl ShmSafe for WorkHead {}
// SAFETY: as above.
unsafe impl ShmSafe for Slot {}
// SAFETY: as above.
unsafe impl ShmSafe for Holder {}

/// The parts of a work queue in shared memory; a clone is another handle.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    head: Shared<WorkHead>,
    slots: Shared<[Slot]>,
    holders: Shared<[Holder]>,
    links: Shared<[AtomicU32]>,
    words: Shared<[AtomicU64]>,
    /// Of a pollable queue.
    pub(crate) bell: Option<Arc<Bell>>,
}

impl Store {
    /// A store in a region of its own.
    pub(crate) fn new(limits: WorkLimits) -> Result<Store> {
        limits.check()?;
        let item = size_of::<Slot>() + size_of::<Holder>();
        let block = size_of::<AtomicU32>() + BLOCK_BYTES;
        let around = size_of::<WorkHead>() + 2 * align_of::<WorkHead>();
        let bytes = limits.items.saturating_mul(item);
        let bytes = bytes.saturating_add(limits.blocks() * block).saturating_add(around);
        Self::in_region(&Region::new(bytes)?, limits)
    }

    /// A store in a part of the region.
    pub(crate) fn in_region(region: &Region, limits: WorkLimits) -> Result<Store> {
        limits.check()?;
        let (items, blocks) = (limits.items, limits.blocks());
        let store = Store {
            head: region.place(WorkHead::new(limits.max_attempts))?,
            slots: region.place_slice(items, |_| Slot::new())?,
            holders: region.place_slice(items, |_| Holder::new())?,
            words: region.place_slice(blocks * BLOCK_WORDS, |_| AtomicU64::new(0))?,
            links: region.place_slice(blocks, |_| AtomicU32::new(0))?,
            bell: None,
        };
        store.work().found();
        Ok(store)
    }

    pub(super) fn set_name(&self, name: &str) {
        drop(self.head.clone().named(name));
    }

    /// The queue for the calling thread.
    pub(crate) fn work(&self) -> Work<'_> {
        let me = roster::me();
        Work::new(&self.head, &self.slots, &self.holders, &self.links, &self.words, me)
            .with_bell(self.bell.as_deref().map(|bell| bell as &dyn gate::Bell))
    }

    pub(crate) fn items(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.links.len() * BLOCK_BYTES
    }
}
