//! `imap`: results as an iterator, with a bounded number of chunks under way. The input is pulled when there is room, and not before.

use crate::deadline::Deadline;
use crate::pool::Pool;
use crate::pool::chunk::{self, Chunk};
use crate::pool::desk::Ticket;
use crate::pool::error::TaskError;
use crate::pool::job::Job;
use crate::pool::map::MapOptions;
use crate::pool::task::cancel;
use crate::pool::watch::WatchAll;
use crate::pool::word::Kind;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The results of [`Pool::imap`] and [`Pool::imap_unordered`].
///
/// Each call of `next` first fills the window, and then waits for a result if none is there. Dropping it cancels what has not begun;
/// results of the rest are dropped. It knows its length if the input does, so that a progress bar can be put around it.
#[must_use = "nothing is submitted before `next`"]
pub struct Imap<'a, I, R> {
    pool: &'a Pool,
    input: I,
    job: Job,
    options: MapOptions,
    is_ordered: bool,
    is_exhausted: bool,
    /// What is under way, oldest first, and how many items there are in each.
    tickets: VecDeque<(Arc<Ticket>, u32)>,
    /// How many items those are together.
    under_way: usize,
    ready: VecDeque<Result<R, TaskError>>,
    chunk: Chunk,
    _result: PhantomData<fn() -> R>,
}

impl Pool {
    /// `f` of each item, one after the other, in the order of the items; `next` waits for the oldest.
    ///
    /// An input may be infinite: at most [`window`](MapOptions::window) items are pulled ahead of the results.
    ///
    /// ```
    /// # fn main() -> offspring::Result<()> {
    /// let pool = offspring::Pool::new(2)?;
    /// let squares = pool.imap(|n: u64| n * n, 1u64..);
    /// let first: Vec<u64> = squares.take(3).map(|result| result.unwrap()).collect();
    /// assert_eq!(first, [1, 4, 9]);
    /// # Ok(()) }
    /// ```
    pub fn imap<F, A, R, I>(&self, f: F, items: I) -> Imap<'_, I::IntoIter, R>
    where
        F: Fn(A) -> R + Copy,
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
        I: IntoIterator<Item = A>,
    {
        self.imap_with(MapOptions::new(), f, items)
    }

    /// As [`imap`](Self::imap), in the order in which results come.
    ///
    /// ```
    /// # fn main() -> offspring::Result<()> {
    /// let pool = offspring::Pool::new(2)?;
    /// let sum: u64 = pool.imap_unordered(|n: u64| n * n, 1..=10).map(|result| result.unwrap()).sum();
    /// assert_eq!(sum, 385);
    /// # Ok(()) }
    /// ```
    pub fn imap_unordered<F, A, R, I>(&self, f: F, items: I) -> Imap<'_, I::IntoIter, R>
    where
        F: Fn(A) -> R + Copy,
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
        I: IntoIterator<Item = A>,
    {
        self.imap_unordered_with(MapOptions::new(), f, items)
    }

    /// As [`imap`](Self::imap), with options.
    pub fn imap_with<F, A, R, I>(
        &self,
        options: MapOptions,
        f: F,
        items: I,
    ) -> Imap<'_, I::IntoIter, R>
    where
        F: Fn(A) -> R + Copy,
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
        I: IntoIterator<Item = A>,
    {
        let _ = f; // it has no bytes: its type says all
        Imap {
            pool: self,
            input: items.into_iter(),
            job: chunk::call_each::<F, A, R>(),
            options,
            is_ordered: true,
            is_exhausted: false,
            tickets: VecDeque::new(),
            under_way: 0,
            ready: VecDeque::new(),
            chunk: Chunk::default(),
            _result: PhantomData,
        }
    }

    /// As [`imap_unordered`](Self::imap_unordered), with options.
    pub fn imap_unordered_with<F, A, R, I>(
        &self,
        options: MapOptions,
        f: F,
        items: I,
    ) -> Imap<'_, I::IntoIter, R>
    where
        F: Fn(A) -> R + Copy,
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
        I: IntoIterator<Item = A>,
    {
        let mut results = self.imap_with(options, f, items);
        results.is_ordered = false;
        results
    }
}

impl<I, A, R> Imap<'_, I, R>
where
    I: Iterator<Item = A>,
    A: Serialize,
    R: DeserializeOwned,
{
    fn fill(&mut self) {
        let workers = self.pool.desk.shop.head.target.load(Ordering::Relaxed) as usize;
        let window = self.options.window.unwrap_or(2 * workers);
        while !self.is_exhausted && self.tickets.len() < window {
            self.feed();
        }
    }

    /// Submits one chunk, or finds out that there is no more.
    fn feed(&mut self) {
        self.chunk.clear();
        let size = self.options.chunk.unwrap_or(1) as u32;
        let mut refused = None;
        while self.chunk.count() < size && refused.is_none() {
            let Some(item) = self.input.next() else {
                self.is_exhausted = true;
                break;
            };
            refused = self.chunk.push(item).err();
        }
        let count = self.chunk.count();
        if count > 0 {
            let (options, argument) = (self.options.task, self.chunk.finish());
            let submitted = self
                .pool
                .check_owner()
                .and_then(|()| self.pool.submit_ticket(options, self.job, argument, None));
            match submitted {
                Ok(ticket) => {
                    self.tickets.push_back((ticket, count));
                    self.under_way += count as usize;
                }
                Err(error) => {
                    // Nothing that comes after this would fare better.
                    self.is_exhausted = true;
                    let error = TaskError::NotSubmitted(error.to_string());
                    self.ready.extend((0..count).map(|_| Err(error.clone())));
                }
            }
        }
        self.ready.extend(refused.map(|text| Err(TaskError::NotSubmitted(text))));
    }

    /// Waits for a chunk and takes its results.
    fn collect(&mut self) {
        let desk = &self.pool.desk;
        let place = match self.is_ordered {
            true => 0,
            false => {
                let find = || self.tickets.iter().position(|(ticket, _)| desk.is_done(ticket));
                find().unwrap_or_else(|| {
                    let _watch = WatchAll::new(&desk.shop);
                    desk.shop.await_any(Deadline::NEVER, || find().is_some());
                    find().unwrap_or(0)
                })
            }
        };
        let Some((ticket, count)) = self.tickets.remove(place) else { return };
        desk.shop.await_outcome(desk.slot_of(&ticket), ticket.generation, Deadline::NEVER);
        self.under_way -= count as usize;
        let (before, ready) = (self.ready.len(), &mut self.ready);
        let opened = desk
            .collect(&ticket, |bytes| chunk::open(bytes, count, |result| ready.push_back(result)));
        if let Err(error) = opened {
            let missing = before + count as usize - self.ready.len();
            self.ready.extend((0..missing).map(|_| Err(error.clone())));
        }
    }
}

impl<I, A, R> Iterator for Imap<'_, I, R>
where
    I: Iterator<Item = A>,
    A: Serialize,
    R: DeserializeOwned,
{
    type Item = Result<R, TaskError>;

    fn next(&mut self) -> Option<Result<R, TaskError>> {
        loop {
            self.fill();
            if let Some(result) = self.ready.pop_front() {
                return Some(result);
            }
            if self.tickets.is_empty() {
                return None;
            }
            self.collect();
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let here = self.under_way + self.ready.len();
        let (low, high) = match self.is_exhausted {
            true => (0, Some(0)),
            false => self.input.size_hint(),
        };
        (low.saturating_add(here), high.and_then(|high| high.checked_add(here)))
    }
}

impl<I, A, R> ExactSizeIterator for Imap<'_, I, R>
where
    I: ExactSizeIterator<Item = A>,
    A: Serialize,
    R: DeserializeOwned,
{
}

impl<I, R> Drop for Imap<'_, I, R> {
    fn drop(&mut self) {
        if !self.pool.desk.is_own() {
            return;
        }
        for (ticket, _) in &self.tickets {
            cancel(&self.pool.desk, ticket, |kind| kind == Kind::Queued);
            self.pool.desk.forget(ticket);
        }
    }
}

impl<I, R> fmt::Debug for Imap<'_, I, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Imap").field("under_way", &self.under_way).finish_non_exhaustive()
    }
}
