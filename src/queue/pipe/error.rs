//! Why something did not go through a pipe. One type for each direction and all forms of a call; each variant says which forms it
//! comes from.

use super::patience::Patience;
use crate::error::{Error, ErrorKind};
use crate::sys::Errno;
use std::fmt;

/// What a packet carries. Both sides must agree on whose turn it is: a value is received by [`recv`](super::Connection::recv),
/// bytes by [`recv_bytes`](super::Connection::recv_bytes), a descriptor by [`recv_fd`](super::Connection::recv_fd).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Payload {
    /// From `send`.
    Value,
    /// From `send_bytes`.
    Bytes,
    /// From `send_fd`.
    Descriptor,
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Payload::Value => "a value",
            Payload::Bytes => "bytes",
            Payload::Descriptor => "a file descriptor",
        })
    }
}

/// What stands in the way of a send.
#[derive(Debug)]
#[non_exhaustive]
pub enum Obstacle {
    /// There is no room now; from the `try_` forms.
    Full,
    /// There was no room until the deadline; from the `_timeout` and `_deadline` forms.
    Timeout,
    /// All ends of the other side are dropped, or their processes are dead: nobody will ever receive.
    Disconnected,
    /// This end was inherited by a fork, not moved into this process.
    NotMoved,
    /// The value could not be encoded; the error names its type.
    Encoding(Error),
    /// The kernel refused: no memory, no file descriptor.
    Os(Error),
}

impl Obstacle {
    pub(super) fn new(errno: Errno, patience: Patience) -> Obstacle {
        match errno {
            Errno::EAGAIN => match patience {
                Patience::None => Obstacle::Full,
                Patience::Until(_) => Obstacle::Timeout,
            },
            Errno::EPIPE | Errno::ECONNRESET | Errno::ENOTCONN => Obstacle::Disconnected,
            Errno::ENOTSOCK => Obstacle::NotMoved,
            errno => Obstacle::Os(Error::os("send", "through a pipe", errno)),
        }
    }
}

/// What says that an end is not this process's.
const NOT_MOVED: &str = "this end of the pipe was inherited by the fork, not moved into this child: use \
                         `spawn(move || …)` with nobody else holding it, and `try_clone` it before to keep one in both";

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Obstacle::Full => f.write_str("send: the pipe is full"),
            Obstacle::Timeout => f.write_str("send: timed out, the pipe is full"),
            Obstacle::Disconnected => f.write_str("send: the other side of the pipe is gone"),
            Obstacle::NotMoved => write!(f, "send: {NOT_MOVED}"),
            Obstacle::Encoding(error) | Obstacle::Os(error) => error.fmt(f),
        }
    }
}

/// A message that was not sent, and why. Nothing of it was.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// use offspring::queue::pipe::Obstacle;
/// let (sender, receiver) = offspring::simplex::<String>()?;
/// drop(receiver);
/// let error = sender.send("anybody?".to_owned()).unwrap_err();
/// assert!(matches!(error.obstacle(), Obstacle::Disconnected));
/// assert_eq!(error.into_inner(), "anybody?");
/// # Ok(()) }
/// ```
pub struct SendError<T> {
    pub(super) message: T,
    pub(super) obstacle: Obstacle,
}

impl<T> SendError<T> {
    /// Why it was not sent.
    pub fn obstacle(&self) -> &Obstacle {
        &self.obstacle
    }

    /// The message.
    pub fn into_inner(self) -> T {
        self.message
    }
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendError").field("obstacle", &self.obstacle).finish_non_exhaustive()
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.obstacle.fmt(f)
    }
}

impl<T> std::error::Error for SendError<T> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.obstacle {
            Obstacle::Encoding(error) | Obstacle::Os(error) => error.source(),
            _ => None,
        }
    }
}

/// Why nothing was received.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// use offspring::queue::pipe::{Payload, RecvError};
/// let (sender, receiver) = offspring::simplex::<u32>()?;
/// assert!(matches!(receiver.try_recv(), Err(RecvError::Empty)));
/// sender.send_bytes(b"not a number").unwrap();
/// let error = receiver.recv().unwrap_err();
/// assert!(matches!(error, RecvError::OutOfTurn { found: Payload::Bytes, .. }));
/// drop(sender);
/// assert!(receiver.recv().unwrap_err().is_end_of_stream());
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum RecvError {
    /// The end of the stream: all ends of the other side are dropped, or their processes are dead, and everything that they
    /// had sent was received.
    EndOfStream,
    /// There is no message now; from the `try_` forms.
    Empty,
    /// There was no message until the deadline; from the `_timeout` and `_deadline` forms.
    Timeout,
    /// The next message was of another kind. It is gone (a descriptor is closed); the one behind it is next.
    OutOfTurn {
        /// What was asked for.
        expected: Payload,
        /// What came.
        found: Payload,
    },
    /// The message is longer than the buffer; from `recv_bytes_into`. It stays with this handle, for the next receive.
    TooSmall {
        /// The message's length.
        message_bytes: usize,
        /// The buffer's length.
        buffer_bytes: usize,
    },
    /// The message does not decode as a value; the error names the type. It is gone; the one behind it is next.
    Decoding(Error),
    /// This end was inherited by a fork, not moved into this process.
    NotMoved,
    /// The kernel refused. If it lacked a file descriptor for a message that came with one (a message of more than 64 KiB does),
    /// or memory for its body, then that message is gone.
    Os(Error),
}

impl RecvError {
    pub(super) fn new(errno: Errno, patience: Patience) -> RecvError {
        match errno {
            Errno::EAGAIN => match patience {
                Patience::None => RecvError::Empty,
                Patience::Until(_) => RecvError::Timeout,
            },
            Errno::ENOTSOCK => RecvError::NotMoved,
            errno => RecvError::Os(Error::os("receive", "from a pipe", errno)),
        }
    }

    pub(super) fn foreign(detail: &'static str) -> RecvError {
        RecvError::Os(Error::new(ErrorKind::InvalidInput, "receive", "from a pipe", detail))
    }

    /// Whether this is the end of the stream.
    pub fn is_end_of_stream(&self) -> bool {
        matches!(self, RecvError::EndOfStream)
    }
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecvError::EndOfStream => f.write_str("receive: the stream has ended"),
            RecvError::Empty => f.write_str("receive: the pipe is empty"),
            RecvError::Timeout => f.write_str("receive: timed out, the pipe is empty"),
            RecvError::OutOfTurn { expected, found } => {
                write!(f, "receive: expected {expected}, {found} came")
            }
            RecvError::TooSmall { message_bytes, buffer_bytes } => write!(
                f,
                "receive: a message of {message_bytes} bytes does not fit into a buffer of {buffer_bytes}"
            ),
            RecvError::NotMoved => write!(f, "receive: {NOT_MOVED}"),
            RecvError::Decoding(error) | RecvError::Os(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RecvError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            RecvError::Decoding(error) | RecvError::Os(error) => error.source(),
            _ => None,
        }
    }
}
