//! What became of a queue's items, as `join` and `task_done` tell it.

use std::fmt;

/// All items are done with, but some of them nobody could do: so many [dead letters](crate::queue::DeadLetter) are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadLettersError {
    pub(super) count: usize,
}

impl DeadLettersError {
    /// How many dead letters there were at the end of the wait.
    pub fn count(&self) -> usize {
        self.count
    }
}

impl fmt::Display for DeadLettersError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "join a queue: {} of its items are dead letters", self.count)
    }
}

impl std::error::Error for DeadLettersError {}

/// Why `join_timeout` or `join_deadline` of a queue was not a success.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// use offspring::queue::QueueJoinError;
/// use std::time::Duration;
/// let tasks = offspring::JoinableQueue::<u32>::new(8)?;
/// assert!(tasks.task_done().is_err()); // there is none
/// tasks.send(1).unwrap();
/// assert_eq!(tasks.join_timeout(Duration::from_millis(1)), Err(QueueJoinError::Timeout));
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueJoinError {
    /// There were unfinished items until the deadline.
    Timeout,
    /// There are none, but dead letters.
    DeadLetters(DeadLettersError),
}

impl fmt::Display for QueueJoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QueueJoinError::Timeout => {
                f.write_str("join a queue: unfinished items until the deadline")
            }
            QueueJoinError::DeadLetters(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for QueueJoinError {}

/// [`task_done`](crate::JoinableQueue::task_done) was called more often than this thread has received items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskDoneError;

impl fmt::Display for TaskDoneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("task_done: this thread has no unfinished item of the queue")
    }
}

impl std::error::Error for TaskDoneError {}
