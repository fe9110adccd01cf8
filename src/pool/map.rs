//! `map`: many items in chunks, results in the order of the items.
//!
//! The thread that maps holds slots of its own and feeds the ring in batches. It sleeps only when as much is in flight as may be, and is
//! woken when half of that is done, so that neither it nor the workers change between sleep and work for each item.

use crate::deadline::Deadline;
use crate::error::Result;
use crate::pool::Pool;
use crate::pool::chunk::{self, Chunk};
use crate::pool::desk::Closed;
use crate::pool::error::TaskError;
use crate::pool::job::Job;
use crate::pool::shop::Mode;
use crate::pool::slot::{Part, SLEEPER};
use crate::pool::submit::TaskOptions;
use crate::pool::values::Values;
use crate::pool::word::Kind;
use crate::pool::{annex, wire};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// How items are mapped; see [`Pool::map_with`], [`Pool::imap_with`].
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// use offspring::pool::MapOptions;
/// let pool = offspring::Pool::new(2)?;
/// let halves = pool.map_with(MapOptions::new().chunk(10), |n: u32| n / 2, 0..100).unwrap();
/// assert_eq!(halves[99], 49);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use = "options do nothing by themselves"]
pub struct MapOptions {
    pub(super) chunk: Option<usize>,
    pub(super) window: Option<usize>,
    pub(super) stop_at_error: bool,
    pub(super) task: TaskOptions,
}

impl MapOptions {
    /// Chunks as `map` finds right; all items are tried.
    pub fn new() -> MapOptions {
        MapOptions::default()
    }

    /// How many items travel together, and share their fate if their worker dies. By default a `map` begins with few and ends with few,
    /// with an eighth of a worker's part of what is left in between (up to a half where that would be less than 20 µs of work); an `imap` has one.
    pub fn chunk(mut self, items: usize) -> MapOptions {
        self.chunk = Some(items.max(1));
        self
    }

    /// For `imap`: how many chunks are under way at most. By default twice as many as workers.
    ///
    /// ```
    /// # fn main() -> offspring::Result<()> {
    /// use offspring::pool::MapOptions;
    /// let pool = offspring::Pool::new(2)?;
    /// let mut pulled = 0;
    /// let items = (0..100u64).inspect(|_| pulled += 1);
    /// let first = pool.imap_with(MapOptions::new().window(4), |n: u64| n, items).next();
    /// assert!(matches!(first, Some(Ok(0))));
    /// assert!(pulled <= 5);
    /// # Ok(()) }
    /// ```
    pub fn window(mut self, chunks: usize) -> MapOptions {
        self.window = Some(chunks.max(1));
        self
    }

    /// For `map`: after the first error nothing more is begun. Those that are not tried are [cancelled](TaskError::Cancelled).
    ///
    /// ```
    /// # fn main() -> offspring::Result<()> {
    /// use offspring::pool::{MapOptions, TaskError};
    /// let pool = offspring::Pool::new(1)?;
    /// let options = MapOptions::new().chunk(1).stop_at_error(true);
    /// let error = pool.map_with(options, |n: u32| 1 / n, [1, 0, 1]).unwrap_err();
    /// assert!(matches!(error, TaskError::Panicked(_)));
    /// # Ok(()) }
    /// ```
    pub fn stop_at_error(mut self, stop: bool) -> MapOptions {
        self.stop_at_error = stop;
        self
    }

    /// Deadline and retries of each chunk's task.
    ///
    /// ```
    /// # fn main() -> offspring::Result<()> {
    /// use offspring::pool::{MapOptions, TaskOptions};
    /// let pool = offspring::Pool::new(2)?;
    /// let twice = MapOptions::new().chunk(1).task(TaskOptions::new().retries(1));
    /// let unreliable = |n: u32| if n == 3 { std::process::abort() } else { n };
    /// let error = pool.map_with(twice, unreliable, 0..6).unwrap_err();
    /// assert_eq!(error.worker_death().unwrap().attempts(), 2);
    /// # Ok(()) }
    /// ```
    pub fn task(mut self, options: TaskOptions) -> MapOptions {
        self.task = options;
        self
    }
}

/// The first chunk of a `map` that chooses for itself.
const FIRST_CHUNK: usize = 16;
/// Work of less time is not worth a chunk of its own.
const CHUNK_NS_MIN: usize = 20_000;
/// A chunk does not grow beyond this.
const CHUNK_BYTES_MAX: usize = 256 << 10;
/// Nor does it have more items.
const SIZE_MAX: usize = 1 << 16;
/// What of numbers fits onto the stage.
const STAGED_BYTES: usize = annex::PLACE_BYTES - chunk::HEAD;
/// How many tasks are put into the ring at once.
const BATCH: usize = 16;
/// So many items are worth a wake-up, in however many tasks they are.
const BATCH_ITEMS: usize = 128;

/// A chunk that is under way: its slot, and its items.
#[derive(Clone, Copy)]
struct Flight {
    slot: u32,
    first: usize,
    count: u32,
}

/// A chunk's argument.
enum Argument<'a> {
    Bytes(&'a [u8]),
    /// On the stage already, so many bytes.
    Staged(usize),
}

/// A slot that goes back if nothing is put into it.
struct Unused<'a> {
    pool: &'a Pool,
    slot: u32,
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

/// A `map` under way.
struct Mapping<'a, R> {
    pool: &'a Pool,
    options: MapOptions,
    job: Job,
    values: Values<R>,
    flights: Vec<Flight>,
    /// Filled slots that are not in the ring yet.
    pending: Vec<u32>,
    released: Vec<u32>,
    window: usize,
    /// Arguments are written to the stage.
    is_staged: bool,
    begun: Instant,
    /// How many items have come back.
    done: usize,
}

impl Pool {
    /// `f` of each item, in the order of the items. All items are tried; blocks until that is done. Chunks are chosen so that many
    /// small items cost little and uneven ones balance.
    ///
    /// # Errors
    /// That of the first item, in their order, that has one. [`map_each`](Self::map_each) gives all.
    pub fn map<F, A, R>(
        &self,
        f: F,
        items: impl IntoIterator<Item = A>,
    ) -> std::result::Result<Vec<R>, TaskError>
    where
        F: Fn(A) -> R + Copy,
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        self.map_with(MapOptions::new(), f, items)
    }

    /// As [`map`](Self::map), with options.
    ///
    /// # Errors
    /// As [`map`](Self::map).
    pub fn map_with<F, A, R>(
        &self,
        options: MapOptions,
        f: F,
        items: impl IntoIterator<Item = A>,
    ) -> std::result::Result<Vec<R>, TaskError>
    where
        F: Fn(A) -> R + Copy,
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        let _ = f; // it has no bytes: its type says all
        let job = chunk::call_each::<F, A, R>();
        Mapping::run(self, options, job, items.into_iter()).into_all()
    }

    /// As [`map_with`](Self::map_with), but each item has a result or an error of its own.
    ///
    /// ```
    /// # fn main() -> offspring::Result<()> {
    /// use offspring::pool::MapOptions;
    /// let pool = offspring::Pool::new(2)?;
    /// let results = pool.map_each(MapOptions::new(), |n: u32| 12 / n, [3, 0, 4]);
    /// assert_eq!(*results[2].as_ref().unwrap(), 3);
    /// assert!(results[1].as_ref().unwrap_err().panic().unwrap().message().contains("divide by zero"));
    /// # Ok(()) }
    /// ```
    pub fn map_each<F, A, R>(
        &self,
        options: MapOptions,
        f: F,
        items: impl IntoIterator<Item = A>,
    ) -> Vec<std::result::Result<R, TaskError>>
    where
        F: Fn(A) -> R + Copy,
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        let _ = f; // it has no bytes: its type says all
        let job = chunk::call_each::<F, A, R>();
        Mapping::run(self, options, job, items.into_iter()).into_each()
    }
}

/// How many of the items that are left the next chunk may have. Of what nobody knows (0), any number.
fn share_of(left: usize, workers: usize, worthwhile: usize) -> usize {
    if left == 0 {
        return usize::MAX;
    }
    // Small enough for the last ones to balance; larger where that is too little work, but there is something for everybody.
    (left / (8 * workers)).max(worthwhile.min(left / (2 * workers)))
}

impl<R: DeserializeOwned> Mapping<'_, R> {
    fn run<A: Serialize>(
        pool: &Pool,
        options: MapOptions,
        job: Job,
        mut items: impl Iterator<Item = A>,
    ) -> Values<R> {
        // Of numbers, so much is under way as there are places on the stage.
        let is_staged = wire::is_number::<A>() && options.chunk.is_none();
        let window_max = if is_staged { annex::PLACES as usize } else { usize::MAX };
        let mut mapping = Mapping {
            pool,
            options,
            job,
            values: Values::with_capacity(items.size_hint().0),
            flights: Vec::new(),
            pending: Vec::new(),
            released: Vec::new(),
            window: (pool.desk.shop.slots.len() * 3 / 4).clamp(1, window_max),
            is_staged,
            begun: Instant::now(),
            done: 0,
        };
        if let Err(error) = pool.check_owner().and_then(|()| pool.check_code(job)) {
            mapping.refuse(items, &TaskError::NotSubmitted(error.to_string()));
            return mapping.into_values();
        }
        let mut chunk = Chunk::default();
        let mut size = 0;
        let mut has_more = true;
        while has_more || !mapping.flights.is_empty() {
            while has_more && mapping.flights.len() < mapping.window {
                let slot = match mapping.take_slot() {
                    Ok(Some(slot)) => slot,
                    Ok(None) => break,
                    Err(text) => {
                        mapping.refuse(&mut items, &TaskError::NotSubmitted(text));
                        has_more = false;
                        break;
                    }
                };
                size = mapping.next_size::<A>(size, items.size_hint().0);
                has_more = mapping.feed(&mut items, &mut chunk, size, slot);
            }
            mapping.send();
            if mapping.collect() == 0 && !mapping.flights.is_empty() {
                mapping.sleep(has_more);
            }
        }
        mapping.into_values()
    }

    fn into_values(mut self) -> Values<R> {
        std::mem::replace(&mut self.values, Values::with_capacity(0))
    }

    /// How many items the next chunk is to have.
    fn next_size<A>(&self, last: usize, left: usize) -> usize {
        if let Some(size) = self.options.chunk {
            return size;
        }
        let workers = self.pool.desk.shop.head.target.load(Ordering::Relaxed).max(1) as usize;
        let most = match (wire::is_number::<A>(), wire::is_number::<R>()) {
            (true, true) => STAGED_BYTES / size_of::<A>().max(size_of::<R>()),
            _ => SIZE_MAX,
        };
        // As far as is known, and with the time for starting.
        let ns = self.begun.elapsed().as_nanos() as usize * workers / self.done.max(1);
        let worthwhile = if self.done == 0 { 1 } else { CHUNK_NS_MIN / ns.max(1) };
        share_of(left, workers, worthwhile).min((2 * last).clamp(FIRST_CHUNK, most)).max(1)
    }

    /// A slot for the next chunk. Waits for one only if this `map` has none at all: what it has must be collected first.
    fn take_slot(&self) -> std::result::Result<Option<u32>, String> {
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

    /// Makes one chunk a task in `slot`; false when there are no more items.
    fn feed<A: Serialize>(
        &mut self,
        items: &mut impl Iterator<Item = A>,
        chunk: &mut Chunk,
        size: usize,
        slot: u32,
    ) -> bool {
        let slot = Unused { pool: self.pool, slot };
        let first = self.values.len();
        let annex = &self.pool.desk.shop.annex;
        let staged = match self.is_staged {
            true => annex.fill(slot.slot, Part::Argument, |place| chunk::fill(place, items, size)),
            false => None,
        };
        let (count, extended, argument) = match staged {
            Some((count, bytes)) => (count, Ok(count as usize == size), Argument::Staged(bytes)),
            None => {
                chunk.clear();
                let extended = chunk.extend(items, size, CHUNK_BYTES_MAX);
                (chunk.count(), extended, Argument::Bytes(chunk.finish()))
            }
        };
        self.values.extend(count as usize);
        let mut has_more = extended.as_ref().copied().unwrap_or(true);
        if let Err(text) = extended {
            self.refuse(std::iter::once(()), &TaskError::NotSubmitted(text));
        }
        if count > 0
            && let Err(error) = self.launch(slot, first, count, argument)
        {
            let error = TaskError::NotSubmitted(error.to_string());
            self.values.fail(first..first + count as usize, &error);
        }
        if self.options.stop_at_error && self.values.has_errors() {
            self.stop();
            self.refuse(items, &TaskError::Cancelled);
            has_more = false;
        }
        has_more
    }

    fn launch(
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
        let workers = self.pool.desk.shop.head.target.load(Ordering::Relaxed) as usize;
        if self.is_batch() || self.flights.len() <= 2 * workers {
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
    fn send(&mut self) {
        if !self.pending.is_empty() {
            self.pool.enqueue(&self.pending);
            self.pending.clear();
        }
    }

    /// Takes what is done; how many chunks.
    fn collect(&mut self) -> usize {
        let (desk, before) = (&self.pool.desk, self.flights.len());
        let mut kept = 0;
        for at in 0..before {
            let Flight { slot, first, count } = self.flights[at];
            let word = desk.shop.slot(slot).word();
            if !word.kind.is_outcome() {
                self.flights.swap(kept, at);
                kept += 1;
                continue;
            }
            let values = &mut self.values;
            let taken = desk.outcome(slot, word, |bytes| values.take(first, count, bytes));
            if let Err(error) = taken {
                self.values.fail(first..first + count as usize, &error);
            }
            self.done += count as usize;
            self.released.push(slot);
        }
        self.flights.truncate(kept);
        desk.release_all(&self.released);
        self.released.clear();
        if self.options.stop_at_error && self.values.has_errors() {
            self.stop();
        }
        before - self.flights.len()
    }

    /// Waits until it is worth looking: for the next one if all are under way, else for half of them.
    fn sleep(&mut self, has_more: bool) {
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
    fn stop(&mut self) {
        self.send();
        for flight in &self.flights {
            let slot = self.pool.desk.shop.slot(flight.slot);
            let word = slot.word();
            if word.kind == Kind::Queued && slot.step(word, word.as_kind(Kind::Cancelled)) {
                self.pool.desk.shop.settled(slot);
            }
        }
    }

    /// All that is left has the same error.
    fn refuse<A>(&mut self, items: impl Iterator<Item = A>, error: &TaskError) {
        for _ in items {
            let index = self.values.len();
            self.values.extend(1);
            self.values.fail(index..index + 1, error);
        }
    }
}

impl<R> Drop for Mapping<'_, R> {
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
