//! Sending: a value encoded by the caller, or bytes as they are.

use super::{Queue, scratch};
use crate::deadline::Deadline;
use crate::queue::codec;
use crate::queue::message_error::{NotSent, Unsent};
use crate::queue::ring_core::Patience;
use crate::shm::roster;
use crate::sync::linux::Linux;
use serde::Serialize;
use std::time::{Duration, Instant};

impl<T: Serialize> Queue<T> {
    /// Sends a message; blocks while there is no room for it. When this returns, every process can receive it.
    ///
    /// # Errors
    /// [`Closed`](NotSent::Closed); [`TooLarge`](NotSent::TooLarge) if it is larger than the queue;
    /// [`Encode`](NotSent::Encode) if its `Serialize` failed. The message comes back.
    #[inline]
    pub fn send(&self, message: T) -> Result<(), Unsent<T>> {
        self.send_value(message, Patience::Until(Deadline::NEVER))
    }

    /// Sends a message if there is room for it now.
    ///
    /// # Errors
    /// [`Full`](NotSent::Full), and as [`send`](Self::send). The message comes back.
    #[inline]
    pub fn try_send(&self, message: T) -> Result<(), Unsent<T>> {
        self.send_value(message, Patience::None)
    }

    /// Sends a message; waits for room for at most `timeout`.
    ///
    /// # Errors
    /// [`Timeout`](NotSent::Timeout), and as [`send`](Self::send). The message comes back.
    pub fn send_timeout(&self, message: T, timeout: Duration) -> Result<(), Unsent<T>> {
        self.send_value(message, Patience::Until(Deadline::after(timeout)))
    }

    /// Sends a message; waits for room until `deadline` at most.
    ///
    /// # Errors
    /// As [`send_timeout`](Self::send_timeout).
    pub fn send_deadline(&self, message: T, deadline: Instant) -> Result<(), Unsent<T>> {
        self.send_value(message, Patience::Until(Deadline::at(deadline)))
    }

    #[inline]
    fn send_value(&self, message: T, patience: Patience) -> Result<(), Unsent<T>> {
        let sent = scratch::with(|buffer| match codec::encode(&message, buffer) {
            Ok(bytes) => self.send_slice(bytes, patience),
            Err(error) => Err(NotSent::encode::<T>(&error)),
        });
        sent.map_err(|reason| Unsent { message, reason })
    }
}

impl<T> Queue<T> {
    /// Sends bytes as they are; blocks while there is no room for them. [`recv_bytes`](Self::recv_bytes) and its kin receive them;
    /// [`recv`](Self::recv) would try to decode them.
    ///
    /// # Errors
    /// [`Closed`](NotSent::Closed), or [`TooLarge`](NotSent::TooLarge).
    #[inline]
    pub fn send_bytes(&self, bytes: &[u8]) -> Result<(), NotSent> {
        self.send_slice(bytes, Patience::Until(Deadline::NEVER))
    }

    /// Sends bytes if there is room now.
    ///
    /// # Errors
    /// [`Full`](NotSent::Full), and as [`send_bytes`](Self::send_bytes).
    #[inline]
    pub fn try_send_bytes(&self, bytes: &[u8]) -> Result<(), NotSent> {
        self.send_slice(bytes, Patience::None)
    }

    /// Sends bytes; waits for room for at most `timeout`.
    ///
    /// # Errors
    /// [`Timeout`](NotSent::Timeout), and as [`send_bytes`](Self::send_bytes).
    pub fn send_bytes_timeout(&self, bytes: &[u8], timeout: Duration) -> Result<(), NotSent> {
        self.send_slice(bytes, Patience::Until(Deadline::after(timeout)))
    }

    /// Sends bytes; waits for room until `deadline` at most.
    ///
    /// # Errors
    /// As [`send_bytes_timeout`](Self::send_bytes_timeout).
    pub fn send_bytes_deadline(&self, bytes: &[u8], deadline: Instant) -> Result<(), NotSent> {
        self.send_slice(bytes, Patience::Until(Deadline::at(deadline)))
    }

    #[inline]
    fn send_slice(&self, bytes: &[u8], patience: Patience) -> Result<(), NotSent> {
        let ring = self.ring();
        if bytes.len() as u64 > ring.longest() {
            return Err(NotSent::TooLarge {
                message_bytes: bytes.len(),
                max_bytes: ring.longest() as usize,
            });
        }
        let write = |position| self.store.write(position, bytes);
        let length = bytes.len() as u64;
        let sent = ring.send(&Linux, roster::me(), patience, &self.pacers[0], length, write);
        sent.map_err(NotSent::from)
    }
}
