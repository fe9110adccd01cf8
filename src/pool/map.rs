//! `map`: many items in chunks, results in the order of the items.
//!
//! The thread that maps holds slots of its own and feeds the ring in batches. It sleeps only when as much is in flight as may be, and is
//! woken when half of that is done, so that neither it nor the workers change between sleep and work for each item.

use crate::pool::Pool;
use crate::pool::chunk::{self, Chunk};
use crate::pool::error::TaskError;
use crate::pool::job::Job;
use crate::pool::slot::Part;
use crate::pool::submit::TaskOptions;
use crate::pool::tour::{Argument, Flight, Tour, Unused};
use crate::pool::values::Values;
use crate::pool::{annex, wire};
use serde::Serialize;
use serde::de::DeserializeOwned;

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

/// A chunk does not grow beyond this.
const CHUNK_BYTES_MAX: usize = 256 << 10;
/// Nor does it have more items.
const SIZE_MAX: usize = 1 << 16;
/// What of numbers fits onto the stage.
const STAGED_BYTES: usize = annex::PLACE_BYTES - chunk::HEAD;

/// A `map` under way.
struct Mapping<'a, R> {
    tour: Tour<'a>,
    values: Values<R>,
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

impl<R: DeserializeOwned> Mapping<'_, R> {
    fn run<A: Serialize>(
        pool: &Pool,
        options: MapOptions,
        job: Job,
        mut items: impl Iterator<Item = A>,
    ) -> Values<R> {
        let is_staged = wire::is_number::<A>() && options.chunk.is_none();
        let most = match (wire::is_number::<A>(), wire::is_number::<R>()) {
            (true, true) => STAGED_BYTES / size_of::<A>().max(size_of::<R>()),
            _ => SIZE_MAX,
        };
        let mut mapping = Mapping {
            tour: Tour::new(pool, options, job, is_staged),
            values: Values::with_capacity(items.size_hint().0),
        };
        if let Err(error) = pool.check_owner().and_then(|()| pool.check_code(job)) {
            mapping.refuse(items.count(), &TaskError::NotSubmitted(error.to_string()));
            return mapping.values;
        }
        let mut chunk = Chunk::default();
        let mut size = 0;
        let mut has_more = true;
        while has_more || mapping.tour.is_under_way() {
            while has_more && mapping.tour.may_have_another() {
                let slot = match mapping.tour.take_slot() {
                    Ok(Some(slot)) => slot,
                    Ok(None) => break,
                    Err(text) => {
                        mapping.refuse(items.by_ref().count(), &TaskError::NotSubmitted(text));
                        has_more = false;
                        break;
                    }
                };
                size = mapping.tour.next_size(size, most, items.size_hint().0);
                has_more = mapping.feed(&mut items, &mut chunk, size, slot);
            }
            mapping.tour.send();
            if mapping.collect() == 0 && mapping.tour.is_under_way() {
                mapping.tour.sleep(has_more);
            }
        }
        mapping.values
    }

    /// Makes one chunk a task in `slot`; false when there are no more items.
    fn feed<A: Serialize>(
        &mut self,
        items: &mut impl Iterator<Item = A>,
        chunk: &mut Chunk,
        size: usize,
        slot: u32,
    ) -> bool {
        let tour = &self.tour;
        let slot = Unused { pool: tour.pool, slot };
        let first = self.values.len();
        let annex = &tour.pool.desk.shop.annex;
        let staged = match tour.is_staged {
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
            self.refuse(1, &TaskError::NotSubmitted(text));
        }
        if count > 0
            && let Err(error) = self.tour.launch(slot, first, count, argument)
        {
            let error = TaskError::NotSubmitted(error.to_string());
            self.values.fail(first..first + count as usize, &error);
        }
        if self.is_to_stop() {
            self.tour.stop();
            self.refuse(items.count(), &TaskError::Cancelled);
            has_more = false;
        }
        has_more
    }

    /// Takes what is done; how many chunks.
    fn collect(&mut self) -> usize {
        let values = &mut self.values;
        let collected =
            self.tour.collect(&mut |Flight { first, count, .. }, outcome| match outcome {
                Ok(bytes) => values.take(first, count, bytes),
                Err(error) => values.fail(first..first + count as usize, &error),
            });
        if self.is_to_stop() {
            self.tour.stop();
        }
        collected
    }

    fn is_to_stop(&self) -> bool {
        self.tour.options.stop_at_error && self.values.has_errors()
    }

    /// So many more have the same error.
    fn refuse(&mut self, items: usize, error: &TaskError) {
        let first = self.values.len();
        self.values.extend(items);
        self.values.fail(first..first + items, error);
    }
}
