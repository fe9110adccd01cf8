//! Why an item was not sent, with the item; why none was received; what became of a queue's items.

use std::fmt;

/// Why an item was not sent. The item comes back: [`into_inner`](Self::into_inner).
#[derive(Clone, PartialEq, Eq)]
pub struct WorkSendError<T> {
    pub(super) reason: Refusal,
    pub(super) value: T,
}

/// The reason of a [`WorkSendError`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The queue is closed.
    Closed,
    /// `try_send`: there is no room now.
    Full,
    /// There was no room until the deadline.
    Timeout,
    /// The item can never be sent: encoded, it is larger than the queue.
    TooLarge {
        /// How many bytes it has.
        bytes: usize,
        /// How many the queue holds.
        capacity_bytes: usize,
    },
    /// Serde refused to encode the item, and says why.
    Encode(String),
}

impl<T> WorkSendError<T> {
    /// Why.
    pub fn reason(&self) -> &Refusal {
        &self.reason
    }

    /// The item that was not sent.
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T> fmt::Debug for WorkSendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkSendError").field("reason", &self.reason).finish_non_exhaustive()
    }
}

impl<T> fmt::Display for WorkSendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            Refusal::Closed => f.write_str("send on a closed queue"),
            Refusal::Full => f.write_str("try_send on a full queue"),
            Refusal::Timeout => f.write_str("timed out sending on a full queue"),
            Refusal::TooLarge { bytes, capacity_bytes } => {
                write!(f, "send an item of {bytes} bytes to a queue of {capacity_bytes} bytes")
            }
            Refusal::Encode(why) => {
                write!(f, "encode an item of type {}: {why}", std::any::type_name::<T>())
            }
        }
    }
}

impl<T> std::error::Error for WorkSendError<T> {}

/// Why no item was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkRecvError {
    /// The queue is closed, no item is ready, and none is on delivery to others.
    Closed,
    /// `try_recv`: no item is ready.
    Empty,
    /// No item was ready until the deadline.
    Timeout,
    /// The oldest item is not a `T`. It is a dead letter now, and is not lost.
    Decode(DecodeError),
}

impl fmt::Display for WorkRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WorkRecvError::Closed => f.write_str("receive on an empty and closed queue"),
            WorkRecvError::Empty => f.write_str("try_recv on an empty queue"),
            WorkRecvError::Timeout => f.write_str("timed out receiving on an empty queue"),
            WorkRecvError::Decode(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for WorkRecvError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            WorkRecvError::Decode(error) => Some(error),
            _ => None,
        }
    }
}

/// The bytes of an item are no value of its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    pub(super) type_name: &'static str,
    pub(super) why: String,
}

impl DecodeError {
    /// The type that was to be decoded.
    pub fn type_name(&self) -> &'static str {
        self.type_name
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "decode an item of type {}: {}", self.type_name, self.why)
    }
}

impl std::error::Error for DecodeError {}

/// All items are done with, but some of them nobody could do: so many dead letters are there.
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

/// `task_done` was called more often than this thread has received items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskDoneError;

impl fmt::Display for TaskDoneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("task_done: this thread has no unfinished item of the queue")
    }
}

impl std::error::Error for TaskDoneError {}
