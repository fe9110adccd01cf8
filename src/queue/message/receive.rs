//! Receiving: a value decoded by the caller, bytes into memory of the caller, or a look at the bytes where they are.

use super::{Queue, SMALL_BYTES, View, scratch};
use crate::deadline::Deadline;
use crate::queue::byte_ring::{Got, Limit};
use crate::queue::message_error::{NotReceived, decode};
use crate::queue::pollable::or_rest;
use crate::queue::ring_core::Patience;
use crate::shm::roster;
use crate::sync::linux::Linux;
use crate::sys::eventfd::Bell;
use serde::de::DeserializeOwned;
use std::time::{Duration, Instant};

const EVER: Patience = Patience::Until(Deadline::NEVER);
const ANY: Limit = Limit { bytes: u64::MAX, lend: false };

impl<T: DeserializeOwned> Queue<T> {
    /// Receives the oldest message; blocks while there is none.
    ///
    /// # Errors
    /// [`Closed`](NotReceived::Closed) if the queue is closed and empty; [`Decode`](NotReceived::Decode) if the message is no
    /// `T`: it is consumed, and the next one is not affected.
    #[inline]
    pub fn recv(&self) -> Result<T, NotReceived> {
        self.recv_value(EVER)
    }

    /// Receives the oldest message if there is one now.
    ///
    /// # Errors
    /// [`Empty`](NotReceived::Empty), and as [`recv`](Self::recv).
    #[inline]
    pub fn try_recv(&self) -> Result<T, NotReceived> {
        self.or_rest(self.recv_value(Patience::None), || self.recv_value(Patience::None))
    }

    /// Receives the oldest message; waits for at most `timeout`.
    ///
    /// # Errors
    /// [`Timeout`](NotReceived::Timeout), and as [`recv`](Self::recv).
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, NotReceived> {
        self.recv_value(Patience::Until(Deadline::after(timeout)))
    }

    /// Receives the oldest message; waits until `deadline` at most.
    ///
    /// # Errors
    /// As [`recv_timeout`](Self::recv_timeout).
    pub fn recv_deadline(&self, deadline: Instant) -> Result<T, NotReceived> {
        self.recv_value(Patience::Until(Deadline::at(deadline)))
    }

    /// A large message is decoded where it lies, outside all locks; dropping the view consumes it, also if the decoding panics.
    #[inline]
    fn recv_value(&self, patience: Patience) -> Result<T, NotReceived> {
        scratch::with(|buffer| {
            buffer.reserve(SMALL_BYTES as usize);
            let me = roster::me();
            let read = |position, bytes| self.store.read(position, bytes, buffer);
            match self.ring().receive(&Linux, me, patience, &self.pacers[1], ANY, read) {
                Ok(Got::Lent(lease)) => {
                    self.ring().keep(&Linux, me);
                    decode(&View::new(self, me, lease))
                }
                Ok(_) => decode(buffer),
                Err(failed) => Err(failed.into()),
            }
        })
    }
}

impl<T> Queue<T> {
    /// What a receive without patience has `received`: if nothing, on a pollable queue, the bell is silent afterwards, or is rung
    /// anew.
    #[inline(always)]
    fn or_rest<R>(
        &self,
        received: Result<R, NotReceived>,
        again: impl FnOnce() -> Result<R, NotReceived>,
    ) -> Result<R, NotReceived> {
        let rest = |bell: &Bell| self.ring().rest(&Linux, roster::me(), bell);
        let is_nothing = |error: &NotReceived| *error == NotReceived::Empty;
        or_rest(received, self.store.bell.as_deref(), again, is_nothing, rest)
    }

    /// Receives the oldest message as the bytes that it travelled as.
    ///
    /// # Errors
    /// [`Closed`](NotReceived::Closed).
    pub fn recv_bytes(&self) -> Result<Vec<u8>, NotReceived> {
        self.recv_vec(EVER)
    }

    /// As [`recv_bytes`](Self::recv_bytes), if there is a message now.
    ///
    /// # Errors
    /// [`Empty`](NotReceived::Empty), or [`Closed`](NotReceived::Closed).
    pub fn try_recv_bytes(&self) -> Result<Vec<u8>, NotReceived> {
        self.or_rest(self.recv_vec(Patience::None), || self.recv_vec(Patience::None))
    }

    /// As [`recv_bytes`](Self::recv_bytes); waits for at most `timeout`.
    ///
    /// # Errors
    /// [`Timeout`](NotReceived::Timeout), or [`Closed`](NotReceived::Closed).
    pub fn recv_bytes_timeout(&self, timeout: Duration) -> Result<Vec<u8>, NotReceived> {
        self.recv_vec(Patience::Until(Deadline::after(timeout)))
    }

    /// As [`recv_bytes`](Self::recv_bytes); waits until `deadline` at most.
    ///
    /// # Errors
    /// As [`recv_bytes_timeout`](Self::recv_bytes_timeout).
    pub fn recv_bytes_deadline(&self, deadline: Instant) -> Result<Vec<u8>, NotReceived> {
        self.recv_vec(Patience::Until(Deadline::at(deadline)))
    }

    fn recv_vec(&self, patience: Patience) -> Result<Vec<u8>, NotReceived> {
        scratch::with(|buffer| {
            buffer.reserve(SMALL_BYTES as usize);
            let me = roster::me();
            let read = |position, bytes| self.store.read(position, bytes, buffer);
            let got = self.ring().receive(&Linux, me, patience, &self.pacers[1], ANY, read);
            match got? {
                Got::Lent(lease) => {
                    self.ring().keep(&Linux, me);
                    Ok(View::new(self, me, lease).to_vec())
                }
                _ => Ok(buffer.to_vec()),
            }
        })
    }

    /// Copies the oldest message to the start of `buffer` and returns its length; blocks while there is none.
    ///
    /// # Errors
    /// [`TooLarge`](NotReceived::TooLarge) if it does not fit: it stays where it is. [`Closed`](NotReceived::Closed).
    ///
    /// ```
    /// # fn main() -> offspring::Result<()> {
    /// use offspring::queue::NotReceived;
    /// let messages = offspring::Queue::<()>::new()?;
    /// messages.send_bytes(&[7; 100]).unwrap();
    /// let too_small = messages.recv_bytes_into(&mut [0; 10]).unwrap_err();
    /// assert_eq!(too_small, NotReceived::TooLarge { message_bytes: 100, buffer_bytes: 10 });
    /// let mut buffer = [0; 128];
    /// let bytes = messages.recv_bytes_into(&mut buffer).unwrap();
    /// assert_eq!(buffer[..bytes], [7; 100]);
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn recv_bytes_into(&self, buffer: &mut [u8]) -> Result<usize, NotReceived> {
        self.recv_slice(buffer, EVER)
    }

    /// As [`recv_bytes_into`](Self::recv_bytes_into), if there is a message now.
    ///
    /// # Errors
    /// [`Empty`](NotReceived::Empty), and as [`recv_bytes_into`](Self::recv_bytes_into).
    #[inline]
    pub fn try_recv_bytes_into(&self, buffer: &mut [u8]) -> Result<usize, NotReceived> {
        self.or_rest(self.recv_slice(buffer, Patience::None), || {
            self.recv_slice(buffer, Patience::None)
        })
    }

    /// As [`recv_bytes_into`](Self::recv_bytes_into); waits for at most `timeout`.
    ///
    /// # Errors
    /// [`Timeout`](NotReceived::Timeout), and as [`recv_bytes_into`](Self::recv_bytes_into).
    pub fn recv_bytes_into_timeout(
        &self,
        buffer: &mut [u8],
        timeout: Duration,
    ) -> Result<usize, NotReceived> {
        self.recv_slice(buffer, Patience::Until(Deadline::after(timeout)))
    }

    /// As [`recv_bytes_into`](Self::recv_bytes_into); waits until `deadline` at most.
    ///
    /// # Errors
    /// As [`recv_bytes_into_timeout`](Self::recv_bytes_into_timeout).
    pub fn recv_bytes_into_deadline(
        &self,
        buffer: &mut [u8],
        deadline: Instant,
    ) -> Result<usize, NotReceived> {
        self.recv_slice(buffer, Patience::Until(Deadline::at(deadline)))
    }

    #[inline]
    fn recv_slice(&self, buffer: &mut [u8], patience: Patience) -> Result<usize, NotReceived> {
        let me = roster::me();
        let buffer_bytes = buffer.len();
        let limit = Limit { bytes: buffer_bytes as u64, lend: false };
        let read = |position, bytes| self.store.read_into(position, bytes, buffer);
        let got = self.ring().receive(&Linux, me, patience, &self.pacers[1], limit, read);
        match got? {
            Got::Copied(bytes) => Ok(bytes as usize),
            Got::TooLong(bytes) => {
                Err(NotReceived::TooLarge { message_bytes: bytes as usize, buffer_bytes })
            }
            Got::Lent(lease) => {
                self.store.read_into(lease.position, lease.bytes, buffer);
                self.ring().finish(&Linux, me, &lease, true);
                Ok(lease.bytes as usize)
            }
        }
    }

    /// Lends the oldest message where it lies; blocks while there is none. See [`View`].
    ///
    /// # Errors
    /// [`Closed`](NotReceived::Closed).
    #[inline]
    pub fn recv_view(&self) -> Result<View<'_>, NotReceived> {
        self.lend(EVER)
    }

    /// As [`recv_view`](Self::recv_view), if there is a message now.
    ///
    /// # Errors
    /// [`Empty`](NotReceived::Empty), or [`Closed`](NotReceived::Closed).
    #[inline]
    pub fn try_recv_view(&self) -> Result<View<'_>, NotReceived> {
        self.or_rest(self.lend(Patience::None), || self.lend(Patience::None))
    }

    /// As [`recv_view`](Self::recv_view); waits for at most `timeout`.
    ///
    /// # Errors
    /// [`Timeout`](NotReceived::Timeout), or [`Closed`](NotReceived::Closed).
    pub fn recv_view_timeout(&self, timeout: Duration) -> Result<View<'_>, NotReceived> {
        self.lend(Patience::Until(Deadline::after(timeout)))
    }

    /// As [`recv_view`](Self::recv_view); waits until `deadline` at most.
    ///
    /// # Errors
    /// As [`recv_view_timeout`](Self::recv_view_timeout).
    pub fn recv_view_deadline(&self, deadline: Instant) -> Result<View<'_>, NotReceived> {
        self.lend(Patience::Until(Deadline::at(deadline)))
    }

    #[inline]
    fn lend(&self, patience: Patience) -> Result<View<'_>, NotReceived> {
        let me = roster::me();
        let limit = Limit { bytes: u64::MAX, lend: true };
        let got = self.ring().receive(&Linux, me, patience, &self.pacers[1], limit, |_, _| ());
        let Got::Lent(lease) = got? else {
            unreachable!("it was asked to lend, and there is no limit")
        };
        self.ring().keep(&Linux, me);
        Ok(View::new(self, me, lease))
    }
}
