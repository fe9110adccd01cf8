//! What the ends can do, once for all of their types: each operation in its four forms.

/// The methods of an end that sends.
macro_rules! sending {
    ($end:ident) => {
        impl<T: Serialize> $end<T> {
            /// Sends a message, whole or not at all. Waits while the pipe is full (some 200 KB of messages on the way, six if they are
            /// big); not for a receiver.
            ///
            /// # Errors
            /// The message comes back with the [`Obstacle`]: the other side is gone (no SIGPIPE is sent), the value cannot be
            /// encoded, there is no memory.
            pub fn send(&self, message: T) -> Result<(), SendError<T>> {
                values::send(&self.end, message, Patience::ENDLESS)
            }

            /// As [`send`](Self::send), but never waits: [`Obstacle::Full`].
            pub fn try_send(&self, message: T) -> Result<(), SendError<T>> {
                values::send(&self.end, message, Patience::None)
            }

            /// As [`send`](Self::send), but waits no longer than `timeout`: [`Obstacle::Timeout`].
            pub fn send_timeout(&self, message: T, timeout: Duration) -> Result<(), SendError<T>> {
                values::send(&self.end, message, Patience::timeout(timeout))
            }

            /// As [`send_timeout`](Self::send_timeout), with an instant.
            pub fn send_deadline(&self, message: T, deadline: Instant) -> Result<(), SendError<T>> {
                values::send(&self.end, message, Patience::deadline(deadline))
            }
        }

        impl<T> $end<T> {
            /// Sends bytes as they are, for [`recv_bytes`](Connection::recv_bytes) and its kin. Zero bytes are a message too.
            ///
            /// # Errors
            /// As [`send`](Self::send).
            pub fn send_bytes(&self, bytes: &[u8]) -> Result<(), SendError<()>> {
                values::send_bytes(&self.end, bytes, Patience::ENDLESS)
            }

            /// As [`send_bytes`](Self::send_bytes), but never waits: [`Obstacle::Full`].
            pub fn try_send_bytes(&self, bytes: &[u8]) -> Result<(), SendError<()>> {
                values::send_bytes(&self.end, bytes, Patience::None)
            }

            /// As [`send_bytes`](Self::send_bytes), but waits no longer than `timeout`: [`Obstacle::Timeout`].
            pub fn send_bytes_timeout(
                &self,
                bytes: &[u8],
                timeout: Duration,
            ) -> Result<(), SendError<()>> {
                values::send_bytes(&self.end, bytes, Patience::timeout(timeout))
            }

            /// As [`send_bytes_timeout`](Self::send_bytes_timeout), with an instant.
            pub fn send_bytes_deadline(
                &self,
                bytes: &[u8],
                deadline: Instant,
            ) -> Result<(), SendError<()>> {
                values::send_bytes(&self.end, bytes, Patience::deadline(deadline))
            }

            /// Sends a copy of a file descriptor, of any kind and number, for [`recv_fd`](Connection::recv_fd). The receiver's
            /// has a number of its own; both name the same open file.
            ///
            /// # Errors
            /// As [`send`](Self::send).
            pub fn send_fd(&self, fd: BorrowedFd<'_>) -> Result<(), SendError<()>> {
                values::send_fd(&self.end, fd, Patience::ENDLESS)
            }

            /// As [`send_fd`](Self::send_fd), but never waits: [`Obstacle::Full`].
            pub fn try_send_fd(&self, fd: BorrowedFd<'_>) -> Result<(), SendError<()>> {
                values::send_fd(&self.end, fd, Patience::None)
            }

            /// As [`send_fd`](Self::send_fd), but waits no longer than `timeout`: [`Obstacle::Timeout`].
            pub fn send_fd_timeout(
                &self,
                fd: BorrowedFd<'_>,
                timeout: Duration,
            ) -> Result<(), SendError<()>> {
                values::send_fd(&self.end, fd, Patience::timeout(timeout))
            }

            /// As [`send_fd_timeout`](Self::send_fd_timeout), with an instant.
            pub fn send_fd_deadline(
                &self,
                fd: BorrowedFd<'_>,
                deadline: Instant,
            ) -> Result<(), SendError<()>> {
                values::send_fd(&self.end, fd, Patience::deadline(deadline))
            }
        }
    };
}

/// The methods of an end that receives.
macro_rules! receiving {
    ($end:ident) => {
        impl<T: DeserializeOwned> $end<T> {
            /// Receives the next message; waits until there is one, or the end of the stream.
            ///
            /// # Errors
            /// [`RecvError`]: the end of the stream, a message of another kind, one that does not decode.
            pub fn recv(&self) -> Result<T, RecvError> {
                values::recv(&self.end, Patience::ENDLESS)
            }

            /// As [`recv`](Self::recv), but never waits: [`RecvError::Empty`].
            pub fn try_recv(&self) -> Result<T, RecvError> {
                values::recv(&self.end, Patience::None)
            }

            /// As [`recv`](Self::recv), but waits no longer than `timeout`: [`RecvError::Timeout`].
            pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvError> {
                values::recv(&self.end, Patience::timeout(timeout))
            }

            /// As [`recv_timeout`](Self::recv_timeout), with an instant.
            pub fn recv_deadline(&self, deadline: Instant) -> Result<T, RecvError> {
                values::recv(&self.end, Patience::deadline(deadline))
            }
        }

        impl<T> $end<T> {
            /// Waits until there is something to receive, the end of the stream included; false if there is not after `timeout`.
            pub fn poll(&self, timeout: Duration) -> bool {
                self.end.is_ready(Deadline::after(timeout))
            }

            /// Whether a receive would not wait: there is a message, or the end of the stream.
            pub fn is_ready(&self) -> bool {
                self.end.is_ready(Deadline::after(Duration::ZERO))
            }

            /// Receives what was sent by [`send_bytes`](Connection::send_bytes).
            ///
            /// # Errors
            /// As [`recv`](Self::recv).
            pub fn recv_bytes(&self) -> Result<Vec<u8>, RecvError> {
                values::recv_bytes(&self.end, Patience::ENDLESS)
            }

            /// As [`recv_bytes`](Self::recv_bytes), but never waits: [`RecvError::Empty`].
            pub fn try_recv_bytes(&self) -> Result<Vec<u8>, RecvError> {
                values::recv_bytes(&self.end, Patience::None)
            }

            /// As [`recv_bytes`](Self::recv_bytes), but waits no longer than `timeout`: [`RecvError::Timeout`].
            pub fn recv_bytes_timeout(&self, timeout: Duration) -> Result<Vec<u8>, RecvError> {
                values::recv_bytes(&self.end, Patience::timeout(timeout))
            }

            /// As [`recv_bytes_timeout`](Self::recv_bytes_timeout), with an instant.
            pub fn recv_bytes_deadline(&self, deadline: Instant) -> Result<Vec<u8>, RecvError> {
                values::recv_bytes(&self.end, Patience::deadline(deadline))
            }

            /// Receives bytes to the beginning of `buffer`, without an allocation; returns how many.
            ///
            /// # Errors
            /// As [`recv`](Self::recv), and [`RecvError::TooSmall`]: the message then stays with this handle, which is ready and
            /// gives it to its next receive; a clone does not see it. What `buffer` holds after an error is not said.
            pub fn recv_bytes_into(&self, buffer: &mut [u8]) -> Result<usize, RecvError> {
                values::recv_bytes_into(&self.end, buffer, Patience::ENDLESS)
            }

            /// As [`recv_bytes_into`](Self::recv_bytes_into), but never waits: [`RecvError::Empty`].
            pub fn try_recv_bytes_into(&self, buffer: &mut [u8]) -> Result<usize, RecvError> {
                values::recv_bytes_into(&self.end, buffer, Patience::None)
            }

            /// As [`recv_bytes_into`](Self::recv_bytes_into), but waits no longer than `timeout`: [`RecvError::Timeout`].
            pub fn recv_bytes_into_timeout(
                &self,
                buffer: &mut [u8],
                timeout: Duration,
            ) -> Result<usize, RecvError> {
                values::recv_bytes_into(&self.end, buffer, Patience::timeout(timeout))
            }

            /// As [`recv_bytes_into_timeout`](Self::recv_bytes_into_timeout), with an instant.
            pub fn recv_bytes_into_deadline(
                &self,
                buffer: &mut [u8],
                deadline: Instant,
            ) -> Result<usize, RecvError> {
                values::recv_bytes_into(&self.end, buffer, Patience::deadline(deadline))
            }

            /// Receives a file descriptor that was sent by [`send_fd`](Connection::send_fd); close-on-exec.
            ///
            /// # Errors
            /// As [`recv`](Self::recv).
            pub fn recv_fd(&self) -> Result<OwnedFd, RecvError> {
                values::recv_fd(&self.end, Patience::ENDLESS)
            }

            /// As [`recv_fd`](Self::recv_fd), but never waits: [`RecvError::Empty`].
            pub fn try_recv_fd(&self) -> Result<OwnedFd, RecvError> {
                values::recv_fd(&self.end, Patience::None)
            }

            /// As [`recv_fd`](Self::recv_fd), but waits no longer than `timeout`: [`RecvError::Timeout`].
            pub fn recv_fd_timeout(&self, timeout: Duration) -> Result<OwnedFd, RecvError> {
                values::recv_fd(&self.end, Patience::timeout(timeout))
            }

            /// As [`recv_fd_timeout`](Self::recv_fd_timeout), with an instant.
            pub fn recv_fd_deadline(&self, deadline: Instant) -> Result<OwnedFd, RecvError> {
                values::recv_fd(&self.end, Patience::deadline(deadline))
            }
        }
    };
}

/// What every end can do.
macro_rules! every_end {
    ($end:ident) => {
        impl<T> $end<T> {
            fn new(end: End) -> $end<T> {
                $end { end, carries: PhantomData }
            }

            /// Another handle on this end, which counts as an end of its own: to keep one and move one into a child, or to give
            /// several children the same end. A message goes to one of those who receive, whole.
            ///
            /// # Errors
            /// If no file descriptor is left.
            pub fn try_clone(&self) -> crate::error::Result<$end<T>> {
                self.end.try_clone().map($end::new)
            }
        }

        impl<T> AsFd for $end<T> {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.end.as_fd()
            }
        }

        /// For tokio's `AsyncFd`. The descriptor is open, and the same, as long as this lives.
        impl<T> AsRawFd for $end<T> {
            fn as_raw_fd(&self) -> RawFd {
                self.as_fd().as_raw_fd()
            }
        }

        impl<T> fmt::Debug for $end<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($end)).field("fd", &self.end.as_fd()).finish()
            }
        }
    };
}

pub(super) use {every_end, receiving, sending};
