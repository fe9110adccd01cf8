//! Why one of the queues of serde types (`Queue`, `WorkQueue`, `JoinableQueue`) did not take a message, or had none to give.

use crate::queue::codec;
use crate::queue::ring_core::Failed;
use serde::de::DeserializeOwned;
use std::any::type_name;
use std::fmt;

/// Why a queue did not take a message.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// use offspring::queue::NotSent;
/// let messages = offspring::Queue::<String>::with_capacity_bytes(4096)?;
/// let novel = "x".repeat(1 << 20);
/// let unsent = messages.try_send(novel).unwrap_err();
/// match unsent.reason() {
///     NotSent::TooLarge { max_bytes, .. } => assert_eq!(*max_bytes, messages.max_message_bytes()),
///     other => panic!("{other}"),
/// }
/// assert_eq!(unsent.into_inner().len(), 1 << 20);
/// # Ok(()) }
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum NotSent {
    /// The queue is closed.
    Closed,
    /// `try_send`: there is no room for it now.
    Full,
    /// `send_timeout`, `send_deadline`: there was no room for it until then.
    Timeout,
    /// It is larger than the queue can ever hold.
    TooLarge {
        /// Its size, encoded.
        message_bytes: usize,
        /// The size of the largest message that this queue can hold.
        max_bytes: usize,
    },
    /// Its `Serialize` failed.
    Encode {
        /// The message's type.
        type_name: &'static str,
        /// What serde or postcard said.
        detail: String,
    },
}

impl fmt::Display for NotSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotSent::Closed => f.write_str("send on a closed queue"),
            NotSent::Full => f.write_str("send on a full queue"),
            NotSent::Timeout => f.write_str("timed out sending on a full queue"),
            NotSent::TooLarge { message_bytes, max_bytes } => {
                write!(
                    f,
                    "send a message of {message_bytes} bytes: the queue holds messages of at most {max_bytes} bytes"
                )
            }
            NotSent::Encode { type_name, detail } => write!(f, "encode a {type_name}: {detail}"),
        }
    }
}

impl std::error::Error for NotSent {}

/// A message that a queue did not take, and why: see [`NotSent`].
#[derive(Clone, PartialEq, Eq)]
pub struct Unsent<T> {
    pub(crate) message: T,
    pub(crate) reason: NotSent,
}

impl<T> Unsent<T> {
    /// Why it was not sent.
    pub fn reason(&self) -> &NotSent {
        &self.reason
    }

    /// The message that was not sent.
    pub fn into_inner(self) -> T {
        self.message
    }
}

impl<T> fmt::Debug for Unsent<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unsent").field("reason", &self.reason).finish_non_exhaustive()
    }
}

impl<T> fmt::Display for Unsent<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl<T> std::error::Error for Unsent<T> {}

/// Why nothing was received from a queue.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// use offspring::queue::NotReceived;
/// let messages = offspring::Queue::<String>::new()?;
/// assert_eq!(messages.try_recv(), Err(NotReceived::Empty));
/// messages.close();
/// assert_eq!(messages.recv(), Err(NotReceived::Closed));
/// # Ok(()) }
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum NotReceived {
    /// The queue is closed, and nothing is left in it that the caller could receive, now or later.
    Closed,
    /// `try_recv` and its kin: there is no message now.
    Empty,
    /// `recv_timeout`, `recv_deadline` and their kin: there was no message until then.
    Timeout,
    /// [`Queue::recv_bytes_into`](crate::Queue::recv_bytes_into) and its kin: the message does not fit into the buffer, and is still in
    /// the queue.
    TooLarge {
        /// Its size.
        message_bytes: usize,
        /// The buffer's size.
        buffer_bytes: usize,
    },
    /// The message is not a value of the queue's type. It is out of the way of those behind it: a [`Queue`](crate::Queue) has consumed it,
    /// in a [`WorkQueue`](crate::WorkQueue) or [`JoinableQueue`](crate::JoinableQueue) it is a dead letter.
    Decode {
        /// The type that was expected.
        type_name: &'static str,
        /// What serde or postcard said.
        detail: String,
    },
}

impl fmt::Display for NotReceived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotReceived::Closed => f.write_str("receive on an empty and closed queue"),
            NotReceived::Empty => f.write_str("receive on an empty queue"),
            NotReceived::Timeout => f.write_str("timed out receiving on an empty queue"),
            NotReceived::TooLarge { message_bytes, buffer_bytes } => {
                write!(
                    f,
                    "receive a message of {message_bytes} bytes into a buffer of {buffer_bytes} bytes"
                )
            }
            NotReceived::Decode { type_name, detail } => {
                write!(f, "decode a {type_name}: {detail}")
            }
        }
    }
}

impl std::error::Error for NotReceived {}

impl From<Failed> for NotSent {
    fn from(failed: Failed) -> NotSent {
        match failed {
            Failed::Closed => NotSent::Closed,
            Failed::NotNow => NotSent::Full,
            Failed::TimedOut => NotSent::Timeout,
        }
    }
}

impl From<Failed> for NotReceived {
    fn from(failed: Failed) -> NotReceived {
        match failed {
            Failed::Closed => NotReceived::Closed,
            Failed::NotNow => NotReceived::Empty,
            Failed::TimedOut => NotReceived::Timeout,
        }
    }
}

impl NotSent {
    pub(super) fn encode<T>(error: &postcard::Error) -> NotSent {
        NotSent::Encode { type_name: type_name::<T>(), detail: error.to_string() }
    }
}

/// All of the bytes as one value.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, NotReceived> {
    let failed = |detail| NotReceived::Decode { type_name: type_name::<T>(), detail };
    match codec::decode(bytes) {
        Ok((value, 0)) => Ok(value),
        Ok((_, rest)) => Err(failed(format!("{rest} bytes are left over"))),
        Err(error) => Err(failed(error.to_string())),
    }
}
