//! A `map` under way, apart from what it maps: which chunks are where, how large the next one is to be, when to send and when to sleep.
//! The same for all types, and compiled once.

use crate::deadline::Deadline;
use crate::error::Result;
use crate::pool::Pool;
use crate::pool::annex;
use crate::pool::desk::Closed;
use crate::pool::error::TaskError;
use crate::pool::job::Job;
use crate::pool::map::MapOptions;
use crate::pool::shop::Mode;
use crate::pool::slot::{Part, SLEEPER};
use crate::pool::word::Kind;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// The first chunk of a `map` that chooses for itself.
const FIRST_CHUNK: usize = 16;
/// Work of less time is not worth a chunk of its own.
const CHUNK_NS_MIN: usize = 20_000;
/// How many tasks are put into the ring at once.
const BATCH: usize = 16;
/// So many items are worth a wake-up, in however many tasks they are.
const BATCH_ITEMS: usize = 128;

/// A chunk that is under way: its slot, and its items.
#[derive(Clone, Copy)]
pub(super) struct Flight {
    slot: u32,
    pub(super) first: usize,
    pub(super) count: u32,
}

/// A chunk's argument.
pub(super) enum Argument<'a> {
    Bytes(&'a [u8]),
    /// On the stage already, so many bytes.
    Staged(usize),
}

/// A slot that goes back if nothing is put into it.
pub(super) struct Unused<'a> {
    pub(super) pool: &'a Pool,
    pub(super) slot: u32,
}

impl Unused<'_> {
    fn into_slot(self) -> u32 {
        std::mem::ManuallyDrop::new(self).slot
    }
}

impl Drop for Unused<'_> {
    fn drop(&mut self) {
        self.pool.desk.release(self.slot);
    }
}

/// See the top of the file.
pub(super) struct Tour<'a> {
    pub(super) pool: &'a Pool,
    pub(super) options: MapOptions,
    job: Job,
    flights: Vec<Flight>,
    /// Filled slots that are not in the ring yet.
    pending: Vec<u32>,
    released: Vec<u32>,
    window: usize,
    /// Arguments are written to the stage.
    pub(super) is_staged: bool,
    begun: Instant,
    /// How many items have come back.
    done: usize,
}

/// How many of the items that are left the next chunk may have. Of what nobody knows (0), any number.
fn share_of(left: usize, workers: usize, worthwhile: usize) -> usize {
    if left == 0 {
        return usize::MAX;
    }
    // Small enough for the last ones to balance; larger where that is too little work, but there is something for everybody.
    (left / (8 * workers)).max(worthwhile.min(left / (2 * workers)))
}

/// Takes what came of a chunk.
pub(super) type Take<'a> = dyn FnMut(Flight, std::result::Result<&[u8], TaskError>) + 'a;

impl<'a> Tour<'a> {
    pub(super) fn new(pool: &'a Pool, options: MapOptions, job: Job, is_staged: bool) -> Tour<'a> {
        // Of numbers, so much is under way as there are places on the stage.
        let window_max = if is_staged { annex::PLACES as usize } else { usize::MAX };
        Tour {
            pool,
            options,
            job,
            flights: Vec::new(),
            pending: Vec::new(),
            released: Vec::new(),
            window: (pool.desk.shop.slots.len() * 3 / 4).clamp(1, window_max),
            is_staged,
            begun: Instant::now(),
            done: 0,
        }
    }

    pub(super) fn is_under_way(&self) -> bool {
        !self.flights.is_empty()
    }

    pub(super) fn may_have_another(&self) -> bool {
        self.flights.len() < self.window
    }

    fn workers(&self) -> usize {
        self.pool.desk.shop.head.target.load(Ordering::Relaxed).max(1) as usize
    }

    /// How many items the next chunk is to have, after one of `last`; no chunk has more than `most`, and so many are `left`.
    pub(super) fn next_size(&self, last: usize, most: usize, left: usize) -> usize {
        if let Some(size) = self.options.chunk {
            return size;
        }
        let workers = self.workers();
        // As far as is known, and with the time for starting.
        let ns = self.begun.elapsed().as_nanos() as usize * workers / self.done.max(1);
        let worthwhile = if self.done == 0 { 1 } else { CHUNK_NS_MIN / ns.max(1) };
        let share = share_of(left, workers, worthwhile);
        share.min((2 * last).clamp(FIRST_CHUNK, most)).max(1)
    }

    /// A slot for the next chunk. Waits for one only if this `map` has none at all: what it has must be collected first.
    pub(super) fn take_slot(&self) -> std::result::Result<Option<u32>, String> {
        let desk = &self.pool.desk;
        if desk.shop.mode() != Mode::Open {
            return Err(self.pool.closed().to_string());
        }
        match desk.try_take() {
            None if self.flights.is_empty() => {
                desk.take(Deadline::NEVER).map_err(|Closed| self.pool.closed().to_string())
            }
            slot => Ok(slot),
        }
    }

    /// Makes the `count` items from `first` a task.
    pub(super) fn launch(
        &mut self,
        slot: Unused<'_>,
        first: usize,
        count: u32,
        argument: Argument<'_>,
    ) -> Result<()> {
        let slot = slot.into_slot();
        match argument {
            Argument::Bytes(bytes) => self.pool.fill(slot, self.options.task, self.job, bytes)?,
            Argument::Staged(bytes) => {
                self.pool.prepare(slot, self.options.task, self.job);
                self.pool.desk.shop.slot(slot).set_staged(Part::Argument, bytes);
            }
        }
        self.pool.commit(slot);
        self.pending.push(slot);
        self.flights.push(Flight { slot, first, count });
        if self.is_batch() || self.flights.len() <= 2 * self.workers() {
            self.send();
        }
        Ok(())
    }

    /// Whether there is enough that is pending. The workers are to begin while the rest is being fed.
    fn is_batch(&self) -> bool {
        let pending = &self.flights[self.flights.len() - self.pending.len()..];
        pending.len() >= BATCH
            || pending.iter().map(|flight| flight.count as usize).sum::<usize>() >= BATCH_ITEMS
    }

    /// Puts into the ring what is pending. If the pool takes nothing they have an outcome that says so.
    pub(super) fn send(&mut self) {
        if !self.pending.is_empty() {
            self.pool.enqueue(&self.pending);
            self.pending.clear();
        }
    }

    /// Hands over what is done; how many chunks.
    pub(super) fn collect(&mut self, take: &mut Take<'_>) -> usize {
        let (desk, before) = (&self.pool.desk, self.flights.len());
        let mut kept = 0;
        for at in 0..before {
            let flight = self.flights[at];
            let word = desk.shop.slot(flight.slot).word();
            if !word.kind.is_outcome() {
                self.flights.swap(kept, at);
                kept += 1;
                continue;
            }
            if let Err(error) = desk.outcome(flight.slot, word, |bytes| take(flight, Ok(bytes))) {
                take(flight, Err(error));
            }
            self.done += flight.count as usize;
            self.released.push(flight.slot);
        }
        self.flights.truncate(kept);
        desk.release_all(&self.released);
        self.released.clear();
        before - self.flights.len()
    }

    /// Waits until it is worth looking: for the next one if all are under way, else for half of them.
    pub(super) fn sleep(&mut self, has_more: bool) {
        let shop = &self.pool.desk.shop;
        let place = if has_more { self.flights.len() / 2 } else { 0 };
        let Some(flight) = self.flights.get(place) else { return };
        let slot = shop.slot(flight.slot);
        let generation = slot.word().generation;
        if !has_more {
            shop.await_outcome(slot, generation, Deadline::NEVER);
            return;
        }
        // Woken by that one, or by whoever finds that few are queued.
        let low = (self.window / 2).max(1) as u32;
        let is_any_done =
            || self.flights.iter().any(|flight| shop.slot(flight.slot).word().kind.is_outcome());
        shop.await_any(Deadline::NEVER, || {
            slot.watched.fetch_or(SLEEPER, Ordering::SeqCst);
            shop.head.low_water.fetch_max(low, Ordering::SeqCst);
            slot.word().kind.is_outcome() || shop.ring.len() < u64::from(low) && is_any_done()
        });
    }

    /// Cancels what has not begun.
    pub(super) fn stop(&mut self) {
        self.send();
        for flight in &self.flights {
            let slot = self.pool.desk.shop.slot(flight.slot);
            let word = slot.word();
            if word.kind == Kind::Queued && slot.step(word, word.as_kind(Kind::Cancelled)) {
                self.pool.desk.shop.settled(slot);
            }
        }
    }
}

impl Drop for Tour<'_> {
    /// If code of the user's panicked: nobody will ask for what is under way.
    fn drop(&mut self) {
        if self.flights.is_empty() {
            return;
        }
        self.pool.enqueue(&self.pending);
        for flight in &self.flights {
            let ticket = self.pool.desk.issue(flight.slot, None);
            self.pool.desk.forget(&ticket);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes last may cost more than all before it: whatever that was worth, no worker gets it all.
    #[test]
    fn the_last_items_are_for_all_workers() {
        for (left, workers) in [(100_000, 2), (4096, 2), (100, 2), (5000, 64)] {
            for worthwhile in [1, 100, 10_000, usize::MAX] {
                let share = share_of(left, workers, worthwhile);
                assert!(share <= left / (2 * workers), "{share} of {left} for {workers}");
                assert!(share >= (left / (8 * workers)).min(worthwhile), "{share} of {left}");
            }
        }
        assert_eq!(share_of(0, 2, 1), usize::MAX);
        assert_eq!((share_of(1, 4, 1000), share_of(6400, 2, 500)), (0, 500));
    }
}
