//! Who has claimed which chunk, and how far each worker is: the one table of a call, in shared memory.
//!
//! A claim is **one store**: the compare-exchange of the chunk's owner from nobody to the worker's number. A worker that dies
//! just before it has claimed nothing, just after it the chunk is its. (With a counter of claimed chunks, taken by `fetch_add`
//! and noted afterwards, a death between the two would lose a chunk that nobody can name.) The *hint* only spares the search:
//! it is the number of chunks from the front that are certainly claimed; one that lags behind costs a few looks.
//!
//! Invariants. **T1** An owner changes once, from 0. **T2** A worker's chunks have ascending numbers, because the hint only rises
//! and the search goes upwards: so all but the highest of its chunks are finished. **T3** `at` and `sent` of a seat are
//! written by the worker that sits there, read by the parent after its end.
//!
//! A killed worker leaves its number at its chunks, and its progress in its seat. Nobody repairs; the parent reads.

use crate::error::Result;
use crate::shm::{Region, Shared};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Two cache lines, for the prefetcher fetches pairs.
type Padded = [AtomicU64; 16];

/// The table.
pub(super) struct Table {
    /// The number of the worker that claimed the chunk; 0 for nobody. Writers: workers (T1). AcqRel, though it orders nothing
    /// but itself.
    owners: Shared<[AtomicU32]>,
    hint: Shared<Padded>,
    seats: Shared<[Padded]>,
}

/// What one worker at a time writes; see T3.
#[derive(Clone, Copy)]
pub(super) struct Seat<'a> {
    words: &'a Padded,
}

impl Table {
    /// A table of unclaimed chunks and empty seats.
    pub(super) fn new(chunks: usize, seats: usize) -> Result<Table> {
        let bytes = chunks * size_of::<AtomicU32>() + (seats + 1) * size_of::<Padded>() + 64;
        let region = Region::new(bytes)?;
        let padded = || [const { AtomicU64::new(0) }; 16];
        Ok(Table {
            hint: region.place(padded())?,
            seats: region.place_slice(seats, |_| padded())?,
            owners: region.place_slice(chunks, |_| AtomicU32::new(0))?,
        })
    }

    /// Claims the first free chunk for `worker`, whose number is not 0.
    pub(super) fn claim(&self, worker: u32) -> Option<usize> {
        if mutant!("par-claim-by-count") {
            let chunk = self.hint[0].fetch_add(1, Ordering::AcqRel) as usize;
            self.owners.get(chunk)?.store(worker, Ordering::Release);
            return Some(chunk);
        }
        let mut chunk = self.hint[0].load(Ordering::Relaxed) as usize;
        while chunk < self.owners.len() {
            let owner = &self.owners[chunk];
            chunk += 1;
            if owner.load(Ordering::Relaxed) == 0
                && owner.compare_exchange(0, worker, Ordering::AcqRel, Ordering::Relaxed).is_ok()
            {
                self.hint[0].fetch_max(chunk as u64, Ordering::Relaxed);
                return Some(chunk - 1);
            }
        }
        None
    }

    /// Who has claimed the chunk; 0 for nobody.
    pub(super) fn owner(&self, chunk: usize) -> u32 {
        self.owners[chunk].load(Ordering::Acquire)
    }

    /// Whether there is a chunk that nobody has claimed.
    pub(super) fn is_open(&self) -> bool {
        (0..self.owners.len()).rev().any(|chunk| self.owner(chunk) == 0)
    }

    /// The highest chunk that `worker` has claimed: the one that it worked on last (T2).
    pub(super) fn last_of(&self, worker: u32) -> Option<usize> {
        (0..self.owners.len()).rev().find(|&chunk| self.owner(chunk) == worker)
    }

    /// A seat.
    pub(super) fn seat(&self, seat: usize) -> Seat<'_> {
        Seat { words: &self.seats[seat] }
    }
}

impl Seat<'_> {
    /// Empties the seat for another worker.
    pub(super) fn clear(self) {
        self.words[0].store(0, Ordering::Relaxed);
        self.words[1].store(0, Ordering::Relaxed);
    }

    /// Says that all items of the chunk before `item` are done, and that `item` is next. A plain store on x86.
    #[inline(always)]
    pub(super) fn set_at(self, item: usize) {
        self.words[0].store(item as u64, Ordering::Release);
    }

    /// The item that the worker was at.
    pub(super) fn at(self) -> usize {
        self.words[0].load(Ordering::Acquire) as usize
    }

    /// Says that so many bytes of the outbox are complete.
    pub(super) fn set_sent(self, bytes: u64) {
        self.words[1].store(bytes, Ordering::Release);
    }

    /// How many bytes of the outbox are complete.
    pub(super) fn sent(self) -> u64 {
        self.words[1].load(Ordering::Acquire)
    }
}
