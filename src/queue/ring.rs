//! The ring queue's public face: slots with values around the core.

#![expect(unsafe_code, reason = "copies messages into and out of the slots")]

use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind, Result};
use crate::queue::error::{
    RecvError, RecvTimeoutError, SendError, SendManyError, SendTimeoutError, TryRecvError,
    TrySendError,
};
use crate::queue::iter::{Iter, TryIter};
use crate::queue::pacer::{HandlePacer, Sending};
use crate::queue::plain::Plain;
use crate::queue::pollable::or_rest;
use crate::queue::ring_core::{Failed, Patience, RingCore};
use crate::shm::{Region, Shared, ShmCell, ShmSafe, roster};
use crate::sync::linux::Linux;
use crate::sys::eventfd::Bell;
use std::fmt;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A bounded first-in, first-out queue of fixed-size messages between any number of processes and threads.
///
/// A clone is another handle to the same queue; fork copies handles. Messages are copied into shared slots, nothing is encoded.
/// A send is committed by one store, so a process that dies in the middle has sent the message or has not; a receive likewise,
/// so what a dead process had not received yet is received by another. Messages arrive in the order in which they were sent.
///
/// - **Blocking**: `send` blocks while the queue is full, `recv` while it is empty: awake for some microseconds, then asleep.
///   The `try_` operations wait for no message and no room; only for another process's operation that is under way (some
///   nanoseconds, at most 10 ms if that process was descheduled in the middle).
/// - **Closing**: after [`close`](Self::close) sends fail, and receives end when the queue is empty. Nobody closes implicitly: a
///   queue whose senders have all died stays open.
/// - **Panics**: as for [`RawMutex`](crate::RawMutex), if 16,384 threads are alive in the process tree.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// use offspring::RingQueue;
/// let numbers = RingQueue::<u64>::new(128)?;
/// let child = offspring::spawn(|| {
///     for n in 1..=10 {
///         numbers.send(n).unwrap();
///     }
///     numbers.close();
/// })?;
/// assert_eq!(numbers.iter().sum::<u64>(), 55);
/// child.join().unwrap();
/// # Ok(()) }
/// ```
pub struct RingQueue<T: Plain> {
    pub(crate) core: Shared<RingCore>,
    slots: Shared<[Slot<T>]>,
    pub(crate) pacers: [HandlePacer; 2],
    /// Of a pollable queue.
    pub(crate) bell: Option<Arc<Bell>>,
}

/// One message's place. Whole between `head` and `tail` (R2 in `ring_core`), else anything.
struct Slot<T>(ShmCell<MaybeUninit<T>>);

// SAFETY: T: Plain is bytes without pointers or drop glue, and those of a slot that is not whole are never read (R2). Writes
// and reads of one slot are ordered by the positions' release stores and acquire loads (R3), between processes as well.
unsafe impl<T: Plain> ShmSafe for Slot<T> {}
// SAFETY: as above; a `&Slot` gives nothing away.
unsafe impl<T: Plain> Sync for Slot<T> {}

// SAFETY: atomics and numbers that do not change after `new`; see R1 to R5 for what a death leaves.
unsafe impl ShmSafe for RingCore {}

const _: () = assert!(size_of::<RingCore>() <= 1024 - 128, "a ring costs its slots and 1 KiB");

/// How many messages `recv_many` makes room for when there are fewer as it begins.
pub(crate) const MANY: usize = 64;
/// Slots are counted in 32 bits.
const CAPACITY_MAX: usize = u32::MAX as usize;

impl<T: Plain> RingQueue<T> {
    /// A queue for `capacity` messages, in a shared memory region of its own.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for a capacity of 0 or above 2^32 - 1;
    /// [`OutOfMemory`](ErrorKind::OutOfMemory) and [`LimitReached`](ErrorKind::LimitReached) as [`Region::new`].
    pub fn new(capacity: usize) -> Result<RingQueue<T>> {
        Self::check(capacity)?;
        let bytes = size_of::<RingCore>() + align_of::<RingCore>() + align_of::<Slot<T>>();
        let bytes =
            size_of::<Slot<T>>().checked_mul(capacity).and_then(|slots| slots.checked_add(bytes));
        let Some(bytes) = bytes else {
            let object = format!("ring queue of {capacity} messages");
            return Err(Error::new(
                ErrorKind::OutOfMemory,
                "create",
                object,
                "more than the address space",
            ));
        };
        Self::in_region(&Region::new(bytes)?, capacity)
    }

    /// A queue for `capacity` messages, placed in `region`: the slots and less than 1 KiB.
    ///
    /// # Errors
    /// As [`new`](Self::new), and [`OutOfMemory`](ErrorKind::OutOfMemory) if the region has no room left.
    ///
    /// ```
    /// # fn main() -> offspring::Result<()> {
    /// use offspring::{Event, Region, RingQueue};
    /// let region = Region::new(64 << 10)?;
    /// let numbers = RingQueue::<u64>::in_region(&region, 100)?;
    /// let words = RingQueue::<[u8; 16]>::in_region(&region, 10)?;
    /// let done = region.place(Event::new())?;
    /// assert_eq!((numbers.capacity(), words.capacity(), done.is_set()), (100, 10, false));
    /// # Ok(()) }
    /// ```
    pub fn in_region(region: &Region, capacity: usize) -> Result<RingQueue<T>> {
        Self::check(capacity)?;
        let core = region.place(RingCore::new(capacity as u64))?;
        let slots = region.place_slice(capacity, |_| Slot(ShmCell::new(MaybeUninit::uninit())))?;
        Ok(RingQueue { core, slots, pacers: Default::default(), bell: None })
    }

    /// Gives the queue a name by which [`snapshot`](crate::snapshot) and `top` call it; see [`Shared::named`](crate::Shared::named).
    pub fn named(self, name: &str) -> Self {
        drop(self.core.clone().named(name));
        self
    }

    fn check(capacity: usize) -> Result<()> {
        if (1..=CAPACITY_MAX).contains(&capacity) {
            return Ok(());
        }
        let object = format!("ring queue of {capacity} messages");
        Err(Error::new(
            ErrorKind::InvalidInput,
            "create",
            object,
            "the capacity is from 1 to 4294967295",
        ))
    }

    /// Sends a message; blocks while the queue is full.
    ///
    /// # Errors
    /// The queue is closed; the message comes back.
    #[inline]
    pub fn send(&self, value: T) -> std::result::Result<(), SendError<T>> {
        self.send_one(value, Patience::Until(Deadline::NEVER)).map_err(|_| SendError(value))
    }

    /// Sends a message if there is room now.
    ///
    /// # Errors
    /// [`Full`](TrySendError::Full) if there is none or another process holds the sending end, [`Closed`](TrySendError::Closed);
    /// the message comes back.
    ///
    /// ```
    /// # fn main() -> offspring::Result<()> {
    /// use offspring::queue::{TryRecvError, TrySendError};
    /// let numbers = offspring::RingQueue::<u32>::new(1)?;
    /// assert_eq!(numbers.try_recv(), Err(TryRecvError::Empty));
    /// numbers.try_send(1).unwrap();
    /// let full = numbers.try_send(2).unwrap_err();
    /// assert!(matches!(full, TrySendError::Full(2)));
    /// assert_eq!(full.into_inner(), 2);
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn try_send(&self, value: T) -> std::result::Result<(), TrySendError<T>> {
        self.send_one(value, Patience::None).map_err(|failed| match failed {
            Failed::Closed => TrySendError::Closed(value),
            Failed::NotNow | Failed::TimedOut => TrySendError::Full(value),
        })
    }

    /// Sends a message; waits for room for at most `timeout`.
    ///
    /// # Errors
    /// [`Timeout`](SendTimeoutError::Timeout) or [`Closed`](SendTimeoutError::Closed); the message comes back.
    pub fn send_timeout(
        &self,
        value: T,
        timeout: Duration,
    ) -> std::result::Result<(), SendTimeoutError<T>> {
        self.send_until(value, Deadline::after(timeout))
    }

    /// Sends a message; waits for room until `deadline` at most.
    ///
    /// # Errors
    /// As [`send_timeout`](Self::send_timeout).
    pub fn send_deadline(
        &self,
        value: T,
        deadline: Instant,
    ) -> std::result::Result<(), SendTimeoutError<T>> {
        self.send_until(value, Deadline::at(deadline))
    }

    fn send_until(
        &self,
        value: T,
        deadline: Deadline,
    ) -> std::result::Result<(), SendTimeoutError<T>> {
        self.send_one(value, Patience::Until(deadline)).map_err(|failed| match failed {
            Failed::Closed => SendTimeoutError::Closed(value),
            Failed::NotNow | Failed::TimedOut => SendTimeoutError::Timeout(value),
        })
    }

    #[inline(always)]
    fn send_one(&self, value: T, patience: Patience) -> std::result::Result<(), Failed> {
        let write = move |position, _| self.write(position, value);
        match &self.bell {
            None => self.core.send(&Linux, roster::me(), patience, &self.pacers[0], 1, write),
            Some(bell) => self.send_polled(bell, patience, 1, write),
        }
        .map(drop)
    }

    /// Sends all of `values`, in order; blocks while the queue is full. As many as there is room for are committed by one store,
    /// so a death leaves a whole number of them sent; other senders' messages may come in between.
    ///
    /// # Errors
    /// The queue was closed; the error says how many had been sent.
    ///
    /// ```
    /// # fn main() -> offspring::Result<()> {
    /// let numbers = offspring::RingQueue::<u32>::new(64)?;
    /// numbers.send_many(&[1, 2, 3]).unwrap();
    /// numbers.close();
    /// assert_eq!(numbers.send_many(&[4]).unwrap_err().sent(), 0);
    /// let mut got = Vec::new();
    /// assert_eq!(numbers.recv_many(&mut got, 2), Ok(2));
    /// assert_eq!((got, numbers.len()), (vec![1, 2], 1));
    /// # Ok(()) }
    /// ```
    pub fn send_many(&self, values: &[T]) -> std::result::Result<(), SendManyError> {
        let patience = Patience::Until(Deadline::NEVER);
        let mut sent = 0;
        while sent < values.len() {
            let rest = &values[sent..];
            let write = |position, count: u64| self.write_many(position, &rest[..count as usize]);
            let want = rest.len() as u64;
            let done = match &self.bell {
                None => {
                    self.core.send(&Linux, roster::me(), patience, &self.pacers[0], want, write)
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

    /// Receives the oldest message; blocks while the queue is empty.
    ///
    /// # Errors
    /// The queue is closed and empty.
    #[inline]
    pub fn recv(&self) -> std::result::Result<T, RecvError> {
        self.recv_one(Patience::Until(Deadline::NEVER)).map_err(|_| RecvError)
    }

    /// Receives the oldest message if there is one now.
    ///
    /// # Errors
    /// [`Empty`](TryRecvError::Empty) if there is none or another process holds the receiving end,
    /// [`Closed`](TryRecvError::Closed) if the queue is closed and empty.
    #[inline]
    pub fn try_recv(&self) -> std::result::Result<T, TryRecvError> {
        let received = self.recv_one(Patience::None);
        let received = self.or_rest(received, || self.recv_one(Patience::None));
        received.map_err(|failed| match failed {
            Failed::Closed => TryRecvError::Closed,
            Failed::NotNow | Failed::TimedOut => TryRecvError::Empty,
        })
    }

    /// Receives the oldest message; waits for at most `timeout`.
    ///
    /// # Errors
    /// [`Timeout`](RecvTimeoutError::Timeout), or [`Closed`](RecvTimeoutError::Closed) if the queue is closed and empty.
    pub fn recv_timeout(&self, timeout: Duration) -> std::result::Result<T, RecvTimeoutError> {
        self.recv_until(Deadline::after(timeout))
    }

    /// Receives the oldest message; waits until `deadline` at most.
    ///
    /// # Errors
    /// As [`recv_timeout`](Self::recv_timeout).
    pub fn recv_deadline(&self, deadline: Instant) -> std::result::Result<T, RecvTimeoutError> {
        self.recv_until(Deadline::at(deadline))
    }

    fn recv_until(&self, deadline: Deadline) -> std::result::Result<T, RecvTimeoutError> {
        self.recv_one(Patience::Until(deadline)).map_err(|failed| match failed {
            Failed::Closed => RecvTimeoutError::Closed,
            Failed::NotNow | Failed::TimedOut => RecvTimeoutError::Timeout,
        })
    }

    #[inline(always)]
    fn recv_one(&self, patience: Patience) -> std::result::Result<T, Failed> {
        let mut message = MaybeUninit::uninit();
        let read = |position, _| {
            message.write(self.read(position));
        };
        self.core.recv(&Linux, roster::me(), patience, &self.pacers[1], 1, read)?;
        // SAFETY: a receive that succeeds has called `read` once, which wrote the message.
        Ok(unsafe { message.assume_init() })
    }

    /// Receives up to `max` messages that are there, appends them to `messages`, and returns how many; blocks while the queue is
    /// empty, never to fill up. They are taken by one store: if this process dies before that, all of them are still there.
    /// With a `max` of 0 it does nothing.
    ///
    /// # Errors
    /// The queue is closed and empty.
    pub fn recv_many(
        &self,
        messages: &mut Vec<T>,
        max: usize,
    ) -> std::result::Result<usize, RecvError> {
        if max == 0 {
            return Ok(0);
        }
        let max = max.min(self.len().max(MANY));
        messages.reserve(max); // not while others wait for the lock
        let read = |position, count| self.read_many(position, count, messages);
        let patience = Patience::Until(Deadline::NEVER);
        let received =
            self.core.recv(&Linux, roster::me(), patience, &self.pacers[1], max as u64, read);
        received.map(|count| count as usize).map_err(|_| RecvError)
    }

    /// An iterator that receives until the queue is closed and empty, and blocks in between.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { queue: self }
    }

    /// An iterator that receives what is there, and ends at the first moment when nothing is.
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter { queue: self }
    }

    /// How many messages are in the queue, at some moment during the call.
    pub fn len(&self) -> usize {
        self.core.len() as usize
    }

    /// Whether no message is in the queue.
    pub fn is_empty(&self) -> bool {
        self.core.is_empty()
    }

    /// Whether a send would have to wait for room.
    pub fn is_full(&self) -> bool {
        self.core.is_full()
    }

    /// How many messages the queue can hold.
    pub fn capacity(&self) -> usize {
        self.core.capacity() as usize
    }

    /// Closes the queue, for all handles in all processes: sends fail from now on, receives end once it is empty, and whoever
    /// waits is woken. Closing again does nothing.
    ///
    /// ```
    /// # fn main() -> offspring::Result<()> {
    /// use offspring::queue::{RecvError, SendError};
    /// let numbers = offspring::RingQueue::<u32>::new(4)?;
    /// numbers.send(1).unwrap();
    /// numbers.close();
    /// assert_eq!(numbers.send(2), Err(SendError(2)));
    /// assert_eq!((numbers.recv(), numbers.recv()), (Ok(1), Err(RecvError)));
    /// # Ok(()) }
    /// ```
    pub fn close(&self) {
        let me = roster::me();
        match &self.bell {
            None => self.core.close(&Linux),
            Some(bell) => self.core.close_and_tell(&Linux, me, &**bell),
        }
    }

    /// Whether the queue has been closed.
    pub fn is_closed(&self) -> bool {
        self.core.is_closed()
    }

    /// Out of line: a branch on the bell in the midst of a send would cost the others a third of their speed.
    #[inline(never)]
    fn send_polled(
        &self,
        bell: &Bell,
        patience: Patience,
        want: u64,
        write: impl Fn(u64, u64),
    ) -> std::result::Result<u64, Failed> {
        let sending = Sending { pacer: &self.pacers[0], bell };
        self.core.send(&Linux, roster::me(), patience, &sending, want, write)
    }

    /// What a receive without patience has `received`: if nothing, on a pollable queue, the bell is silent afterwards, or is rung
    /// anew; see [`pollable`](crate::queue::pollable).
    #[inline(always)]
    pub(crate) fn or_rest<R>(
        &self,
        received: std::result::Result<R, Failed>,
        again: impl FnOnce() -> std::result::Result<R, Failed>,
    ) -> std::result::Result<R, Failed> {
        let rest = |bell: &Bell| self.core.rest(&Linux, roster::me(), bell);
        let is_nothing = |failed: &Failed| *failed == Failed::NotNow;
        or_rest(received, self.bell.as_deref(), again, is_nothing, rest)
    }

    /// Fills the slot of a position. The caller owns the sending end, and the position is free (R1, R2).
    #[inline(always)]
    pub(crate) fn write(&self, position: u64, value: T) {
        let slot = self.slots[self.core.slot(position)].0.get();
        // SAFETY: the slot is between the tail and the head, so no receiver in any process reads it before the tail has passed
        // it, and no other sender writes it while we own the end.
        unsafe { (*slot).write(value) };
    }

    /// Copies the message at a position out. The caller owns the receiving end, and the position is filled.
    #[inline(always)]
    pub(crate) fn read(&self, position: u64) -> T {
        let slot = self.slots[self.core.slot(position)].0.get().cast::<T::Bits>();
        // SAFETY: the slot is between head and tail: a whole T, published by the tail's release store, which no sender
        // overwrites before the head has passed it. Its bytes are read as T::Bits, for which any bytes are valid, and which
        // has the layout of T (CheckedBitPattern).
        let bits = unsafe { slot.read() };
        check(bits)
    }

    /// Fills the slots from a position on, as [`write`](Self::write).
    pub(crate) fn write_many(&self, position: u64, values: &[T]) {
        for (index, value) in values.iter().enumerate() {
            self.write(position.wrapping_add(index as u64), *value);
        }
    }

    /// Copies messages out, as [`read`](Self::read).
    pub(crate) fn read_many(&self, position: u64, count: u64, messages: &mut Vec<T>) {
        messages.extend((0..count).map(|index| self.read(position.wrapping_add(index))));
    }
}

#[inline(always)]
fn check<T: Plain>(bits: T::Bits) -> T {
    let bomb = Bomb;
    if !T::is_valid_bit_pattern(&bits) {
        broken();
    }
    std::mem::forget(bomb);
    // SAFETY: CheckedBitPattern: bits that are valid are a T, of the same size.
    unsafe { std::mem::transmute_copy(&bits) }
}

/// Aborts when it is dropped: a user's check of bits that panics must not unwind out of a locked end.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        broken();
    }
}

/// Somebody wrote into the region past this crate. Unwinding would leave the end locked, and all that follows is a guess.
#[cold]
fn broken() -> ! {
    eprintln!("offspring: a filled slot of a ring queue does not hold a message; aborting");
    std::process::abort();
}

impl<T: Plain> Clone for RingQueue<T> {
    fn clone(&self) -> RingQueue<T> {
        RingQueue {
            core: self.core.clone(),
            slots: self.slots.clone(),
            pacers: Default::default(),
            bell: self.bell.clone(),
        }
    }
}

impl<T: Plain> fmt::Debug for RingQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("RingQueue");
        debug.field("len", &self.len()).field("capacity", &self.capacity());
        debug.field("closed", &self.is_closed()).finish()
    }
}
