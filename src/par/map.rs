//! A result for each item, in the order of the items.

use crate::par::crew::{self, Harvest};
use crate::par::error::ParError;
use crate::par::options::Par;
use crate::par::outbox::Outbox;
use crate::par::plan::Plan;
use crate::par::slots::Slots;
use crate::par::worker::{Desk, Job};
use crate::queue::{Plain, codec};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::type_name;
use std::ops::Range;

/// Calls `f` for each item, in children that are forked now, and gives the results in the order of the items.
///
/// Children see everything as it is at the moment of the call, without copying: `f` may capture and borrow anything. What it
/// changes is lost with its child (shared memory excepted). Items are claimed in small chunks by whoever is free; which child
/// does which item is not determined.
///
/// Results travel as [`postcard`](https://docs.rs/postcard) encodes them. Plain ones need no encoding: see [`par_map_plain`].
/// [`Par`] has options. Blocks until the last child has ended; there is no deadline.
///
/// # Errors
/// An item that panics, or whose child dies, does not stop the others. If any item has no result, or its result does not encode,
/// the [`ParError`] says which and why, and has the results that are there. A child that dies is replaced.
///
/// If nothing can begin, the error is that of [`spawn`](crate::spawn):
/// [`MultiThreaded`](crate::ErrorKind::MultiThreaded) if this process has other threads,
/// [`OutOfMemory`](crate::ErrorKind::OutOfMemory), [`LimitReached`](crate::ErrorKind::LimitReached).
///
/// # Panics
/// If the code that decodes a result panics. No child is left then.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let words = ["fork", "now", "join", "later"];
/// let loud = offspring::par_map(&words, |word| word.to_uppercase())?;
/// assert_eq!(loud, ["FORK", "NOW", "JOIN", "LATER"]);
/// # Ok(()) }
/// ```
pub fn par_map<T, R>(items: &[T], f: impl Fn(&T) -> R) -> Result<Vec<R>, ParError<R>>
where
    R: Serialize + DeserializeOwned,
{
    Par::new().map(items, f)
}

/// As [`par_map`], for results that are plain data: they are written where the caller reads them, without encoding.
///
/// # Errors
/// As [`par_map`]; the memory for all results is committed first.
///
/// # Panics
/// If `R` is aligned to more than a page.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let numbers: Vec<u32> = (0..10_000).collect();
/// let squares = offspring::par_map_plain(&numbers, |&n| u64::from(n) * u64::from(n))?;
/// assert_eq!(squares[9_999], 99_980_001);
/// # Ok(()) }
/// ```
pub fn par_map_plain<T, R: Plain>(items: &[T], f: impl Fn(&T) -> R) -> Result<Vec<R>, ParError<R>> {
    Par::new().map_plain(items, f)
}

impl Par {
    /// [`par_map`] with these options.
    ///
    /// # Errors
    /// As [`par_map`].
    ///
    /// # Panics
    /// As [`par_map`].
    pub fn map<T, R>(&self, items: &[T], f: impl Fn(&T) -> R) -> Result<Vec<R>, ParError<R>>
    where
        R: Serialize + DeserializeOwned,
    {
        let (staff, plan) = self.staff(items.len());
        let mut results: Vec<Option<R>> = Vec::new();
        results.resize_with(items.len(), || None);
        let harvest =
            crew::run(&staff, &plan, &Map { items, f }, type_name::<R>(), &mut |item, bytes| {
                results[item] = Some(decode(bytes)?);
                Ok(())
            })?;
        settle(harvest, &plan, results)
    }

    /// [`par_map_plain`] with these options.
    ///
    /// # Errors
    /// As [`par_map_plain`].
    ///
    /// # Panics
    /// As [`par_map_plain`].
    pub fn map_plain<T, R: Plain>(
        &self,
        items: &[T],
        f: impl Fn(&T) -> R,
    ) -> Result<Vec<R>, ParError<R>> {
        let (staff, plan) = self.staff(items.len());
        let slots = Slots::new(items.len())?;
        let job = MapPlain { items, f, slots: &slots };
        let harvest = crew::run(&staff, &plan, &job, type_name::<R>(), &mut |_, _| Ok(()))?;
        settle_plain(harvest, &plan, &slots, items.len())
    }
}

/// All results, or the error with those that are there.
pub(super) fn settle<R>(
    harvest: Harvest,
    plan: &Plan,
    results: Vec<Option<R>>,
) -> Result<Vec<R>, ParError<R>> {
    let missing = harvest.missing(plan, false, &|item, _| results[item].is_some());
    match missing.is_empty() {
        true => Ok(results.into_iter().map(|result| result.expect("nothing is missing")).collect()),
        false => Err(ParError::of(results.len(), missing, results)),
    }
}

/// The same of plain results.
pub(super) fn settle_plain<R: Plain>(
    harvest: Harvest,
    plan: &Plan,
    slots: &Slots<R>,
    items: usize,
) -> Result<Vec<R>, ParError<R>> {
    let missing = harvest.missing(plan, false, &|item, progress| item < progress);
    let read = |item| slots.read(item).expect("what a worker wrote is a value");
    if missing.is_empty() {
        return Ok((0..items).map(read).collect());
    }
    let mut partial = Vec::with_capacity(items);
    for failure in &missing {
        partial.extend((partial.len()..failure.items().start).map(|item| Some(read(item))));
        partial.resize(failure.items().end, None);
    }
    partial.extend((partial.len()..items).map(|item| Some(read(item))));
    Err(ParError::of(items, missing, partial))
}

/// Decodes a whole result.
pub(super) fn decode<R: DeserializeOwned>(bytes: &[u8]) -> Result<R, String> {
    match codec::decode(bytes) {
        Ok((value, 0)) => Ok(value),
        Ok((_, left)) => Err(format!("{left} bytes are left over")),
        Err(error) => Err(error.to_string()),
    }
}

pub(super) struct Map<'a, T, F> {
    pub(super) items: &'a [T],
    pub(super) f: F,
}

impl<T, R: Serialize, F: Fn(&T) -> R> Job for Map<'_, T, F> {
    fn task(&self) -> &'static str {
        type_name::<F>()
    }

    fn run(&self, _chunk: usize, items: Range<usize>, desk: &mut Desk<'_>) {
        desk.each(items, |item, outbox| outbox.value(item, &(self.f)(&self.items[item])));
    }
}

pub(super) struct MapPlain<'a, T, R: Plain, F> {
    pub(super) items: &'a [T],
    pub(super) f: F,
    pub(super) slots: &'a Slots<R>,
}

impl<T, R: Plain, F: Fn(&T) -> R> Job for MapPlain<'_, T, R, F> {
    fn task(&self) -> &'static str {
        type_name::<F>()
    }

    fn run(&self, _chunk: usize, items: Range<usize>, desk: &mut Desk<'_>) {
        let one = |item: usize, _: &mut Outbox<'_>| {
            self.slots.write(item, (self.f)(&self.items[item]));
        };
        desk.each(items, one);
    }
}
