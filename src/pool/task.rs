//! The handle of a task.

use crate::deadline::Deadline;
use crate::pool::desk::{Desk, Ticket};
use crate::pool::error::TaskError;
use crate::pool::job;
use crate::pool::word::Kind;
use serde::de::DeserializeOwned;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A task that was submitted to a [`Pool`](crate::Pool), and will have exactly one outcome.
///
/// It outlives the pool: when that has been shut down, every task has its outcome. Dropping the handle does not cancel the task; its
/// outcome is dropped. A thread that waits is awake for some microseconds and then asleep, and learns of the death of a worker at once.
///
/// It belongs to the process that submitted the task. In a child that inherits it by fork it may not be used.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// let pool = offspring::Pool::new(2)?;
/// let task = pool.submit(|n: u64| n * n, 12)?;
/// assert_eq!(task.wait().unwrap(), 144);
/// # Ok(()) }
/// ```
#[must_use = "a task runs also without its handle, but its outcome is lost"]
pub struct Task<R> {
    pub(super) desk: Arc<Desk>,
    pub(super) ticket: Arc<Ticket>,
    /// Whether the outcome has been taken.
    pub(super) is_taken: std::sync::atomic::AtomicBool,
    _result: PhantomData<fn() -> R>,
}

impl<R> Task<R> {
    pub(super) fn new(desk: &Arc<Desk>, ticket: Arc<Ticket>) -> Task<R> {
        let is_taken = false.into();
        Task { desk: Arc::clone(desk), ticket, is_taken, _result: PhantomData }
    }

    /// Whether it has its outcome. Does not wait.
    ///
    /// # Panics
    /// As all calls: in a process that inherited the handle by fork.
    pub fn is_done(&self) -> bool {
        self.desk.insist_own();
        if self.desk.is_done(&self.ticket) {
            return true;
        }
        // Perhaps its worker is dead and nobody has said so yet.
        let (shop, slot) = (&self.desk.shop, self.desk.slot_of(&self.ticket));
        shop.look_for_deaths(slot, slot.word());
        self.desk.is_done(&self.ticket)
    }

    /// Cancels it, if it has no outcome yet; whether this call did. A task that is queued will not run; one that runs is ended by killing
    /// its worker (SIGKILL), which is replaced. Does not wait.
    ///
    /// ```
    /// # fn main() -> offspring::Result<()> {
    /// use offspring::pool::TaskError;
    /// let pool = offspring::Pool::new(1)?;
    /// let task = pool.submit(|()| loop { std::thread::park() }, ())?;
    /// assert!(task.cancel());
    /// let task: offspring::Task<()> = task;
    /// assert!(matches!(task.wait(), Err(TaskError::Cancelled)));
    /// # Ok(()) }
    /// ```
    pub fn cancel(&self) -> bool {
        cancel(&self.desk, &self.ticket, |_| true)
    }
}

/// Cancels a task if it has no outcome and is in a state that `applies`; whether this call did.
pub(super) fn cancel(desk: &Desk, ticket: &Ticket, applies: impl Fn(Kind) -> bool) -> bool {
    desk.insist_own();
    let (shop, slot) = (&desk.shop, desk.slot_of(ticket));
    loop {
        let word = slot.word();
        if word.generation != ticket.generation || word.kind.is_outcome() || !applies(word.kind) {
            return false;
        }
        if slot.step(word, word.as_kind(Kind::Cancelled)) {
            shop.settled(slot);
            if word.kind == Kind::Running {
                shop.bell.ring();
            }
            return true;
        }
    }
}

impl<R: DeserializeOwned> Task<R> {
    /// Waits for the outcome.
    ///
    /// # Errors
    /// The task's, see [`TaskError`].
    pub fn wait(self) -> Result<R, TaskError> {
        match self.wait_by(Deadline::NEVER) {
            Some(result) => result,
            None => unreachable!("a wait without a deadline ended before the task did"),
        }
    }

    /// The outcome if there is one, `None` if not. It is given once: a call after one that gave `Some` is an error
    /// ([`TaskError::Taken`]). This holds for the two that follow as well.
    pub fn try_wait(&self) -> Option<Result<R, TaskError>> {
        self.is_done().then(|| self.take())
    }

    /// Waits for the outcome for at most `timeout`; then `None`, and the task goes on.
    pub fn wait_timeout(&self, timeout: Duration) -> Option<Result<R, TaskError>> {
        self.wait_by(Deadline::after(timeout))
    }

    /// As [`wait_timeout`](Self::wait_timeout), with an instant.
    pub fn wait_deadline(&self, deadline: Instant) -> Option<Result<R, TaskError>> {
        self.wait_by(Deadline::at(deadline))
    }

    fn wait_by(&self, deadline: Deadline) -> Option<Result<R, TaskError>> {
        let slot = self.desk.slot_of(&self.ticket);
        let is_done = self.desk.shop.await_outcome(slot, self.ticket.generation, deadline);
        is_done.then(|| self.take())
    }

    pub(super) fn take(&self) -> Result<R, TaskError> {
        self.desk.insist_own();
        self.is_taken.store(true, std::sync::atomic::Ordering::Relaxed);
        self.desk.collect(&self.ticket, job::decode::<R>)
    }
}

impl<R> Drop for Task<R> {
    fn drop(&mut self) {
        if !*self.is_taken.get_mut() && self.desk.is_own() {
            self.desk.forget(&self.ticket);
        }
    }
}

impl<R> fmt::Debug for Task<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_done = self.desk.is_done(&self.ticket);
        f.debug_struct("Task").field("is_done", &is_done).finish_non_exhaustive()
    }
}
