//! One end of a ring, held across many operations.

use crate::deadline::Deadline;
use crate::queue::error::{
    RecvError, RecvTimeoutError, SendError, SendManyError, SendTimeoutError, TryRecvError,
    TrySendError,
};
use crate::queue::pacer::Sending;
use crate::queue::plain::Plain;
use crate::queue::ring::{MANY, RingQueue};
use crate::queue::ring_core::{Failed, Patience, Side};
use crate::shm::roster;
use crate::sync::linux::Linux;
use crate::sys::eventfd::Bell;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

/// The sending end of a [`RingQueue`], held by one thread: a send is a load, a copy and a store, without a lock.
///
/// Other senders wait until this is dropped or its process dies (nothing is lost or half-sent then); `try_send` of others says
/// `Full`. A child that inherits it by fork may not use it (it panics), and dropping that copy does nothing.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// let numbers = offspring::RingQueue::<u32>::new(8)?;
/// let mut producer = numbers.producer();
/// for n in 0..5 {
///     producer.send(n).unwrap();
/// }
/// drop(producer);
/// assert_eq!(numbers.try_iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "the end is given back when this is dropped"]
pub struct Producer<'a, T: Plain> {
    queue: &'a RingQueue<T>,
    me: u32,
    /// The holder is a thread: not Send.
    _thread: PhantomData<*mut ()>,
}

/// The receiving end of a [`RingQueue`], held by one thread: a receive is a load, a copy and a store, without a lock.
///
/// Other receivers wait until this is dropped or its process dies (what it had not received is theirs then); `try_recv` of others
/// says `Empty`. A child that inherits it by fork may not use it (it panics), and dropping that copy does nothing.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// let numbers = offspring::RingQueue::<u32>::new(8)?;
/// numbers.send(7).unwrap();
/// let mut consumer = numbers.consumer();
/// assert_eq!(consumer.recv(), Ok(7));
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "the end is given back when this is dropped"]
pub struct Consumer<'a, T: Plain> {
    queue: &'a RingQueue<T>,
    me: u32,
    /// The holder is a thread: not Send.
    _thread: PhantomData<*mut ()>,
}

impl<T: Plain> RingQueue<T> {
    /// Holds the sending end; blocks while another thread holds it.
    ///
    /// # Panics
    /// If the calling thread holds it already.
    pub fn producer(&self) -> Producer<'_, T> {
        match self.producer_until(Patience::Until(Deadline::NEVER)) {
            Some(producer) => producer,
            None => unreachable!("a wait without a deadline ended"),
        }
    }

    /// Holds the sending end if nobody else does.
    pub fn try_producer(&self) -> Option<Producer<'_, T>> {
        self.producer_until(Patience::None)
    }

    /// Holds the sending end; waits for at most `timeout`.
    pub fn producer_timeout(&self, timeout: Duration) -> Option<Producer<'_, T>> {
        self.producer_until(Patience::Until(Deadline::after(timeout)))
    }

    /// Holds the sending end; waits until `deadline` at most.
    pub fn producer_deadline(&self, deadline: Instant) -> Option<Producer<'_, T>> {
        self.producer_until(Patience::Until(Deadline::at(deadline)))
    }

    fn producer_until(&self, patience: Patience) -> Option<Producer<'_, T>> {
        let me = roster::me();
        self.core.hold(&Linux, me, Side::Producer, patience).ok()?;
        Some(Producer { queue: self, me, _thread: PhantomData })
    }

    /// Holds the receiving end; blocks while another thread holds it.
    ///
    /// # Panics
    /// If the calling thread holds it already.
    pub fn consumer(&self) -> Consumer<'_, T> {
        match self.consumer_until(Patience::Until(Deadline::NEVER)) {
            Some(consumer) => consumer,
            None => unreachable!("a wait without a deadline ended"),
        }
    }

    /// Holds the receiving end if nobody else does.
    pub fn try_consumer(&self) -> Option<Consumer<'_, T>> {
        self.consumer_until(Patience::None)
    }

    /// Holds the receiving end; waits for at most `timeout`.
    pub fn consumer_timeout(&self, timeout: Duration) -> Option<Consumer<'_, T>> {
        self.consumer_until(Patience::Until(Deadline::after(timeout)))
    }

    /// Holds the receiving end; waits until `deadline` at most.
    pub fn consumer_deadline(&self, deadline: Instant) -> Option<Consumer<'_, T>> {
        self.consumer_until(Patience::Until(Deadline::at(deadline)))
    }

    fn consumer_until(&self, patience: Patience) -> Option<Consumer<'_, T>> {
        let me = roster::me();
        self.core.hold(&Linux, me, Side::Consumer, patience).ok()?;
        Some(Consumer { queue: self, me, _thread: PhantomData })
    }
}

impl<T: Plain> Producer<'_, T> {
    /// As [`RingQueue::send`].
    ///
    /// # Errors
    /// The queue is closed; the message comes back.
    #[inline]
    pub fn send(&mut self, value: T) -> Result<(), SendError<T>> {
        self.send_one(value, Patience::Until(Deadline::NEVER)).map_err(|_| SendError(value))
    }

    /// As [`RingQueue::try_send`].
    ///
    /// # Errors
    /// There is no room, or the queue is closed; the message comes back.
    #[inline]
    pub fn try_send(&mut self, value: T) -> Result<(), TrySendError<T>> {
        let failed = self.send_one(value, Patience::None);
        failed.map_err(|failed| match failed {
            Failed::Closed => TrySendError::Closed(value),
            Failed::NotNow | Failed::TimedOut => TrySendError::Full(value),
        })
    }

    /// As [`RingQueue::send_timeout`].
    ///
    /// # Errors
    /// The time has passed, or the queue is closed; the message comes back.
    pub fn send_timeout(&mut self, value: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        self.send_until(value, Deadline::after(timeout))
    }

    /// As [`RingQueue::send_deadline`].
    ///
    /// # Errors
    /// As [`send_timeout`](Self::send_timeout).
    pub fn send_deadline(
        &mut self,
        value: T,
        deadline: Instant,
    ) -> Result<(), SendTimeoutError<T>> {
        self.send_until(value, Deadline::at(deadline))
    }

    fn send_until(&mut self, value: T, deadline: Deadline) -> Result<(), SendTimeoutError<T>> {
        self.send_one(value, Patience::Until(deadline)).map_err(|failed| match failed {
            Failed::Closed => SendTimeoutError::Closed(value),
            Failed::NotNow | Failed::TimedOut => SendTimeoutError::Timeout(value),
        })
    }

    #[inline(always)]
    fn send_one(&mut self, value: T, patience: Patience) -> Result<(), Failed> {
        check(self.me);
        let queue = self.queue;
        let write = move |position, _| queue.write(position, value);
        match &queue.bell {
            None => queue.core.send_held(&Linux, self.me, patience, &queue.pacers[0], 1, write),
            Some(bell) => self.send_polled(bell, patience, 1, write),
        }
        .map(drop)
    }

    /// Out of line, as [`RingQueue::send_polled`].
    #[inline(never)]
    fn send_polled(
        &self,
        bell: &Bell,
        patience: Patience,
        want: u64,
        write: impl Fn(u64, u64),
    ) -> Result<u64, Failed> {
        let sending = Sending { pacer: &self.queue.pacers[0], bell };
        self.queue.core.send_held(&Linux, self.me, patience, &sending, want, write)
    }

    /// As [`RingQueue::send_many`], without other senders' messages in between.
    ///
    /// # Errors
    /// The queue was closed; the error says how many had been sent.
    pub fn send_many(&mut self, values: &[T]) -> Result<(), SendManyError> {
        check(self.me);
        let (queue, patience) = (self.queue, Patience::Until(Deadline::NEVER));
        let mut sent = 0;
        while sent < values.len() {
            let rest = &values[sent..];
            let write = |position, count: u64| queue.write_many(position, &rest[..count as usize]);
            let want = rest.len() as u64;
            let done = match &queue.bell {
                None => {
                    queue.core.send_held(&Linux, self.me, patience, &queue.pacers[0], want, write)
                }
                Some(bell) => self.send_polled(bell, patience, want, write),
            };
            match done {
                Ok(count) => sent += count as usize,
                Err(_) => return Err(SendManyError { sent }),
            }
        }
        Ok(())
    }
}

impl<T: Plain> Drop for Producer<'_, T> {
    fn drop(&mut self) {
        if self.me == roster::my_id() {
            self.queue.core.release_end(&Linux, self.me, Side::Producer);
        }
    }
}

impl<T: Plain> Consumer<'_, T> {
    /// As [`RingQueue::recv`].
    ///
    /// # Errors
    /// The queue is closed and empty.
    #[inline]
    pub fn recv(&mut self) -> Result<T, RecvError> {
        self.recv_one(Patience::Until(Deadline::NEVER)).map_err(|_| RecvError)
    }

    /// As [`RingQueue::try_recv`].
    ///
    /// # Errors
    /// There is no message, or the queue is closed and empty.
    #[inline]
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        let queue = self.queue;
        let received = self.recv_one(Patience::None);
        let received = queue.or_rest(received, || self.recv_one(Patience::None));
        received.map_err(|failed| match failed {
            Failed::Closed => TryRecvError::Closed,
            Failed::NotNow | Failed::TimedOut => TryRecvError::Empty,
        })
    }

    /// As [`RingQueue::recv_timeout`].
    ///
    /// # Errors
    /// The time has passed, or the queue is closed and empty.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.recv_until(Deadline::after(timeout))
    }

    /// As [`RingQueue::recv_deadline`].
    ///
    /// # Errors
    /// As [`recv_timeout`](Self::recv_timeout).
    pub fn recv_deadline(&mut self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        self.recv_until(Deadline::at(deadline))
    }

    fn recv_until(&mut self, deadline: Deadline) -> Result<T, RecvTimeoutError> {
        self.recv_one(Patience::Until(deadline)).map_err(|failed| match failed {
            Failed::Closed => RecvTimeoutError::Closed,
            Failed::NotNow | Failed::TimedOut => RecvTimeoutError::Timeout,
        })
    }

    #[inline(always)]
    fn recv_one(&mut self, patience: Patience) -> Result<T, Failed> {
        check(self.me);
        let queue = self.queue;
        let mut message = None;
        let read = |position, _| message = Some(queue.read(position));
        queue.core.recv_held(&Linux, self.me, patience, &queue.pacers[1], 1, read)?;
        Ok(message.expect("a receive that succeeds has read a message"))
    }

    /// As [`RingQueue::recv_many`].
    ///
    /// # Errors
    /// The queue is closed and empty.
    pub fn recv_many(&mut self, messages: &mut Vec<T>, max: usize) -> Result<usize, RecvError> {
        check(self.me);
        if max == 0 {
            return Ok(0);
        }
        let (queue, patience) = (self.queue, Patience::Until(Deadline::NEVER));
        let max = max.min(queue.len().max(MANY));
        messages.reserve(max);
        let read = |position, count| queue.read_many(position, count, messages);
        let received =
            queue.core.recv_held(&Linux, self.me, patience, &queue.pacers[1], max as u64, read);
        received.map(|count| count as usize).map_err(|_| RecvError)
    }
}

impl<T: Plain> Drop for Consumer<'_, T> {
    fn drop(&mut self) {
        if self.me == roster::my_id() {
            self.queue.core.release_end(&Linux, self.me, Side::Consumer);
        }
    }
}

/// A child that inherited an end by fork does not hold it.
#[inline(always)]
fn check(me: u32) {
    if me != roster::my_id() {
        inherited();
    }
}

#[cold]
#[inline(never)]
fn inherited() -> ! {
    panic!(
        "expected an end held by this process; this one was inherited by fork, and the parent holds it"
    );
}
