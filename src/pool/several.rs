//! Waiting for several tasks: the first, the first that fails, all; or one after the other as they are done.

use crate::deadline::Deadline;
use crate::pool::desk::Desk;
use crate::pool::error::TaskError;
use crate::pool::task::Task;
use crate::pool::watch::WatchAll;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Instant;

/// What [`wait`] waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// One of them is done.
    FirstCompleted,
    /// One of them is done and has no result, or all are done.
    FirstError,
    /// All are done.
    All,
}

/// Which tasks are done, by their places in the slice; see [`wait`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waited {
    /// In ascending order.
    pub done: Vec<usize>,
    /// In ascending order.
    pub not_done: Vec<usize>,
}

/// Waits until `when` holds for the tasks, or until the deadline (`None`: for ever). Takes no result.
///
/// # Panics
/// If the tasks are not all of one pool.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// use offspring::pool::{wait, When};
/// let pool = offspring::Pool::new(2)?;
/// let tasks = [pool.submit(|n: u32| n, 1)?, pool.submit(|n: u32| n, 2)?];
/// let waited = wait(&tasks, When::All, None);
/// assert_eq!(waited.done, [0, 1]);
/// # Ok(()) }
/// ```
pub fn wait<R>(tasks: &[Task<R>], when: When, deadline: Option<Instant>) -> Waited {
    let Some(desk) = desk_of(tasks) else { return Waited { done: vec![], not_done: vec![] } };
    let is_done = |task: &Task<R>| desk.is_done(&task.ticket);
    let holds = || match when {
        When::FirstCompleted => tasks.iter().any(is_done),
        When::FirstError => {
            tasks.iter().all(is_done) || tasks.iter().any(|task| desk.has_failed(&task.ticket))
        }
        When::All => tasks.iter().all(is_done),
    };
    let _watch = WatchAll::new(&desk.shop);
    desk.shop.await_any(deadline.map_or(Deadline::NEVER, Deadline::at), holds);
    let (done, not_done) = (0..tasks.len()).partition(|&index| is_done(&tasks[index]));
    Waited { done, not_done }
}

/// The outcomes of the tasks in the order in which they are done, each with its place in the input.
///
/// # Panics
/// If the tasks are not all of one pool.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// let pool = offspring::Pool::new(2)?;
/// let tasks = [pool.submit(|n: u32| n * 10, 1)?, pool.submit(|n: u32| n * 10, 2)?];
/// for (place, result) in offspring::pool::as_completed(tasks) {
///     assert_eq!(result.unwrap(), 10 * (place as u32 + 1));
/// }
/// # Ok(()) }
/// ```
pub fn as_completed<R>(tasks: impl IntoIterator<Item = Task<R>>) -> AsCompleted<R> {
    let tasks: Vec<(usize, Task<R>)> = tasks.into_iter().enumerate().collect();
    if let Some((_, first)) = tasks.first() {
        tasks.iter().for_each(|(_, task)| assert_one_pool(&first.desk, &task.desk));
    }
    AsCompleted { tasks, deadline: Deadline::NEVER }
}

/// The iterator that [`as_completed`] returns.
#[derive(Debug)]
#[must_use = "iterators do nothing unless they are asked"]
pub struct AsCompleted<R> {
    tasks: Vec<(usize, Task<R>)>,
    deadline: Deadline,
}

impl<R> AsCompleted<R> {
    /// Ends at `deadline`, whatever is done by then; [`into_rest`](Self::into_rest) gives the others.
    ///
    /// ```
    /// # fn main() -> offspring::Result<()> {
    /// use std::time::{Duration, Instant};
    /// let pool = offspring::Pool::new(2)?;
    /// let quick_or_not = |n: u32| if n == 0 { loop { std::thread::park() } } else { n };
    /// let tasks = pool.submit_all(quick_or_not, [1, 0])?;
    /// let mut done = offspring::pool::as_completed(tasks).until(Instant::now() + Duration::from_millis(300));
    /// while let Some((place, result)) = done.next() {
    ///     assert_eq!((place, result.unwrap()), (0, 1));
    /// }
    /// for task in done.into_rest() {
    ///     task.cancel();
    /// }
    /// # Ok(()) }
    /// ```
    pub fn until(mut self, deadline: Instant) -> AsCompleted<R> {
        self.deadline = Deadline::at(deadline);
        self
    }

    /// The tasks whose outcomes have not been given.
    pub fn into_rest(self) -> Vec<Task<R>> {
        self.tasks.into_iter().map(|(_, task)| task).collect()
    }
}

impl<R: DeserializeOwned> Iterator for AsCompleted<R> {
    type Item = (usize, Result<R, TaskError>);

    fn next(&mut self) -> Option<Self::Item> {
        let (_, first) = self.tasks.first()?;
        let desk = Arc::clone(&first.desk);
        let find = || self.tasks.iter().position(|(_, task)| desk.is_done(&task.ticket));
        let place = find().or_else(|| {
            let _watch = WatchAll::new(&desk.shop);
            desk.shop.await_any(self.deadline, || find().is_some());
            find()
        })?;
        let (index, task) = self.tasks.remove(place);
        Some((index, task.take()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let low = if self.deadline.is_never() { self.tasks.len() } else { 0 };
        (low, Some(self.tasks.len()))
    }
}

fn desk_of<R>(tasks: &[Task<R>]) -> Option<&Arc<Desk>> {
    let first = &tasks.first()?.desk;
    tasks.iter().for_each(|task| assert_one_pool(first, &task.desk));
    Some(first)
}

fn assert_one_pool(one: &Arc<Desk>, other: &Arc<Desk>) {
    assert!(Arc::ptr_eq(one, other), "expected tasks of one pool; these are of several");
}
