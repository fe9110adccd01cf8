//! A queue whose sender can wait until all is done: Python's, over a [work queue](WorkQueue).

use crate::deadline::Deadline;
use crate::error::Result;
use crate::queue::message_error::{NotReceived, Unsent};
use crate::queue::work::delivery::{DeadLetter, Delivery};
use crate::queue::work::error::{DeadLettersError, QueueJoinError, TaskDoneError};
use crate::queue::work::queue::WorkQueue;
use crate::queue::work::store::WorkLimits;
use crate::sync::linux::Linux;
use crate::sync::patience::{GaveUp, Patience};
use crate::sys::eventfd::Bell;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A bounded queue whose items are finished by [`task_done`](Self::task_done), and [`join`](Self::join) waits until all are.
///
/// The names are those of Python's `multiprocessing.JoinableQueue`. Unlike there, a worker that dies with unfinished items
/// neither hangs `join` nor takes the items with it: an item that a thread has received, and not finished when it ends (by a
/// return, a panic, `kill -9`), is received again by another one, in its old place in the order. What was received as often as
/// [`WorkLimits::max_attempts`] says (three times unless set) is a dead letter; `join` does not wait for those, but reports them.
///
/// Which item is finished by `task_done` follows from the calling thread: the oldest that *it* has received and not finished. All
/// else is as for [`WorkQueue`], which says by itself which item is done: a new program had better take that.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// let tasks = offspring::queue::JoinableQueue::<u64>::new(16)?;
/// let sum = offspring::Shared::new(offspring::Counter::new("sum"))?;
/// let worker = offspring::spawn(|| {
///     while let Ok(number) = tasks.recv() {
///         sum.add(number);
///         tasks.task_done().unwrap();
///     }
/// })?;
/// for number in 1..=10 {
///     tasks.send(number).unwrap();
/// }
/// tasks.join().unwrap();
/// assert_eq!(sum.get(), 55);
/// tasks.close();
/// worker.join().unwrap();
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct JoinableQueue<T> {
    work: WorkQueue<T>,
}

impl<T: Serialize + DeserializeOwned> JoinableQueue<T> {
    /// A queue for `capacity` items, unfinished ones included; see [`WorkQueue::new`].
    ///
    /// # Errors
    /// As [`WorkQueue::new`].
    pub fn new(capacity: usize) -> Result<JoinableQueue<T>> {
        Ok(JoinableQueue { work: WorkQueue::new(capacity)? })
    }

    /// A queue within these limits.
    ///
    /// # Errors
    /// As [`WorkQueue::with_limits`].
    pub fn with_limits(limits: WorkLimits) -> Result<JoinableQueue<T>> {
        Ok(JoinableQueue { work: WorkQueue::with_limits(limits)? })
    }

    /// Gives the queue a name by which [`snapshot`](crate::snapshot) and `top` call it; see [`Shared::named`](crate::Shared::named).
    pub fn named(self, name: &str) -> Self {
        JoinableQueue { work: self.work.named(name) }
    }

    /// Sends an item; blocks while there is no room for it.
    ///
    /// # Errors
    /// As [`WorkQueue::send`].
    pub fn send(&self, item: T) -> std::result::Result<(), Unsent<T>> {
        self.work.send(item)
    }

    /// Sends an item if there is room for it now.
    ///
    /// # Errors
    /// As [`WorkQueue::try_send`].
    pub fn try_send(&self, item: T) -> std::result::Result<(), Unsent<T>> {
        self.work.try_send(item)
    }

    /// Sends an item; waits for room for at most `timeout`.
    ///
    /// # Errors
    /// As [`WorkQueue::send_timeout`].
    pub fn send_timeout(&self, item: T, timeout: Duration) -> std::result::Result<(), Unsent<T>> {
        self.work.send_timeout(item, timeout)
    }

    /// Sends an item; waits for room until `deadline` at most.
    ///
    /// # Errors
    /// As [`WorkQueue::send_deadline`].
    pub fn send_deadline(&self, item: T, deadline: Instant) -> std::result::Result<(), Unsent<T>> {
        self.work.send_deadline(item, deadline)
    }

    /// Receives the oldest item, which this thread has to finish; blocks while none is ready.
    ///
    /// # Errors
    /// As [`WorkQueue::recv`].
    pub fn recv(&self) -> std::result::Result<T, NotReceived> {
        self.work.recv().map(Delivery::keep)
    }

    /// Receives the oldest item if one is ready now.
    ///
    /// # Errors
    /// As [`WorkQueue::try_recv`].
    pub fn try_recv(&self) -> std::result::Result<T, NotReceived> {
        self.work.try_recv().map(Delivery::keep)
    }

    /// Receives the oldest item; waits for at most `timeout`.
    ///
    /// # Errors
    /// As [`WorkQueue::recv_timeout`].
    pub fn recv_timeout(&self, timeout: Duration) -> std::result::Result<T, NotReceived> {
        self.work.recv_timeout(timeout).map(Delivery::keep)
    }

    /// Receives the oldest item; waits until `deadline` at most.
    ///
    /// # Errors
    /// As [`WorkQueue::recv_deadline`].
    pub fn recv_deadline(&self, deadline: Instant) -> std::result::Result<T, NotReceived> {
        self.work.recv_deadline(deadline).map(Delivery::keep)
    }

    /// As [`WorkQueue::dead_letters`].
    pub fn dead_letters(&self) -> Vec<DeadLetter<T>> {
        self.work.dead_letters()
    }

    /// As [`WorkQueue::take_dead_letter`].
    pub fn take_dead_letter(&self) -> Option<DeadLetter<T>> {
        self.work.take_dead_letter()
    }
}

impl<T> JoinableQueue<T> {
    /// As [`WorkQueue`]'s.
    pub(in crate::queue) fn set_bell(&mut self, bell: Arc<Bell>) {
        self.work.set_bell(bell);
    }

    /// Finishes the oldest item that this thread has received and not finished. Items of a parent are not its child's.
    ///
    /// # Errors
    /// There is none: more calls than items (Python raises `ValueError`).
    pub fn task_done(&self) -> std::result::Result<(), TaskDoneError> {
        match self.work.store.work().end_oldest(&Linux) {
            true => Ok(()),
            false => Err(TaskDoneError),
        }
    }

    /// Waits until every item that was sent is finished or a dead letter. Items that are sent meanwhile count as well.
    ///
    /// # Errors
    /// There are dead letters: items that nobody could finish, and nobody has taken from the list.
    ///
    /// # Panics
    /// If the calling thread has items to finish itself: it would wait for ever.
    pub fn join(&self) -> std::result::Result<(), DeadLettersError> {
        assert!(
            !self.work.store.work().holds_any(&Linux),
            "expected a thread without unfinished items; this one would wait for itself"
        );
        match self.work.join_patiently(Patience::Until(Deadline::NEVER)) {
            Ok(0) => Ok(()),
            Ok(count) => Err(DeadLettersError { count }),
            Err(gave_up) => unreachable!("a wait without a deadline ended: {gave_up:?}"),
        }
    }

    /// As [`join`](Self::join), for at most `timeout`.
    ///
    /// # Errors
    /// [`Timeout`](QueueJoinError::Timeout), or [`DeadLetters`](QueueJoinError::DeadLetters).
    pub fn join_timeout(&self, timeout: Duration) -> std::result::Result<(), QueueJoinError> {
        self.join_until(Deadline::after(timeout))
    }

    /// As [`join`](Self::join), until `deadline` at most.
    ///
    /// # Errors
    /// As [`join_timeout`](Self::join_timeout).
    pub fn join_deadline(&self, deadline: Instant) -> std::result::Result<(), QueueJoinError> {
        self.join_until(Deadline::at(deadline))
    }

    fn join_until(&self, deadline: Deadline) -> std::result::Result<(), QueueJoinError> {
        match self.work.join_patiently(Patience::Until(deadline)) {
            Ok(0) => Ok(()),
            Ok(count) => Err(QueueJoinError::DeadLetters(DeadLettersError { count })),
            Err(GaveUp::NotNow | GaveUp::TimedOut) => Err(QueueJoinError::Timeout),
        }
    }

    /// How many items are ready to be received.
    pub fn len(&self) -> usize {
        self.work.len()
    }

    /// Whether no item is ready to be received.
    pub fn is_empty(&self) -> bool {
        self.work.is_empty()
    }

    /// Whether a send would have to wait for room.
    pub fn is_full(&self) -> bool {
        self.work.is_full()
    }

    /// How many items are neither finished nor dead letters.
    pub fn unfinished(&self) -> usize {
        self.work.unfinished()
    }

    /// As [`WorkQueue::retry_dead_letters`].
    pub fn retry_dead_letters(&self) -> usize {
        self.work.retry_dead_letters()
    }

    /// How many items the queue can hold.
    pub fn capacity(&self) -> usize {
        self.work.capacity()
    }

    /// As [`WorkQueue::close`].
    pub fn close(&self) {
        self.work.close();
    }

    /// As [`WorkQueue::glance`].
    #[cfg(feature = "kill-matrix")]
    #[doc(hidden)]
    pub fn glance(&self) -> [usize; 3] {
        self.work.glance()
    }

    /// Whether the queue has been closed.
    pub fn is_closed(&self) -> bool {
        self.work.is_closed()
    }
}

impl<T> Clone for JoinableQueue<T> {
    fn clone(&self) -> JoinableQueue<T> {
        JoinableQueue { work: self.work.clone() }
    }
}
