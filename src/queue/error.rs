//! Why a message was not sent or received, with the message. The names are crossbeam's; its "disconnected" is our "closed".

use std::fmt;

macro_rules! error {
    ($(#[$doc:meta])* $name:ident) => { error!{ $(#[$doc])* $name, } };
    ($(#[$doc:meta])* $name:ident, $($(#[$vdoc:meta])* $variant:ident: $text:literal),*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum $name { $($(#[$vdoc])* $variant),* }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $($name::$variant => $text),* })
            }
        }

        impl std::error::Error for $name {}
    };
}

macro_rules! error_with_message {
    ($(#[$doc:meta])* $name:ident, $($(#[$vdoc:meta])* $variant:ident: $text:literal),*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub enum $name<T> { $($(#[$vdoc])* $variant(T)),* }

        impl<T> $name<T> {
            /// The message that was not sent.
            pub fn into_inner(self) -> T {
                match self { $($name::$variant(value) => value),* }
            }
        }

        impl<T> fmt::Display for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $($name::$variant(_) => $text),* })
            }
        }

        impl<T> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $($name::$variant(_) => stringify!($variant)),* })?;
                f.write_str("(..)")
            }
        }

        impl<T> std::error::Error for $name<T> {}
    };
}

/// The queue is closed; the message comes back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError<T>(pub T);

impl<T> SendError<T> {
    /// The message that was not sent.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendError(..)")
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("send on a closed queue")
    }
}

impl<T> std::error::Error for SendError<T> {}

/// A [`send_many`](crate::RingQueue::send_many) found the queue closed before all messages were sent; the first [`sent`](Self::sent) of them were.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SendManyError {
    pub(crate) sent: usize,
}

impl SendManyError {
    /// How many messages were sent, from the front of the slice.
    pub fn sent(&self) -> usize {
        self.sent
    }
}

impl fmt::Display for SendManyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "send on a closed queue, after {} messages", self.sent)
    }
}

impl std::error::Error for SendManyError {}

error_with_message! {
    /// Why `try_send` did not send; the message comes back.
    TrySendError,
    /// No slot is free, or another process holds the sending end as a [`Producer`](crate::queue::Producer).
    Full: "try_send on a full queue",
    /// The queue is closed.
    Closed: "try_send on a closed queue"
}

error_with_message! {
    /// Why `send_timeout` or `send_deadline` did not send; the message comes back, as from
    /// [`try_send`](crate::RingQueue::try_send).
    SendTimeoutError,
    /// The queue was full until the deadline.
    Timeout: "timed out sending on a full queue",
    /// The queue is closed.
    Closed: "send on a closed queue"
}

/// The queue is closed and all its messages have been received.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecvError;

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("receive on an empty and closed queue")
    }
}

impl std::error::Error for RecvError {}

error! {
    /// Why `try_recv` received nothing.
    TryRecvError,
    /// There is no message, or another process holds the receiving end as a [`Consumer`](crate::queue::Consumer).
    Empty: "try_recv on an empty queue",
    /// The queue is closed and all its messages have been received.
    Closed: "try_recv on an empty and closed queue"
}

error! {
    /// Why `recv_timeout` or `recv_deadline` received nothing.
    RecvTimeoutError,
    /// There was no message until the deadline.
    Timeout: "timed out receiving on an empty queue",
    /// The queue is closed and all its messages have been received.
    Closed: "receive on an empty and closed queue"
}
