//! The work queue's public face.

use crate::deadline::Deadline;
use crate::error::Result;
use crate::queue::message_error::{NotReceived, NotSent, Unsent};
use crate::queue::work::delivery::{DeadLetter, Delivery, Held};
use crate::queue::work::store::{Store, WorkLimits};
use crate::shm::Region;
use crate::sync::linux::Linux;
use crate::sync::patience::{GaveUp, Patience};
use crate::sys::eventfd::Bell;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A bounded queue whose items are delivered, and acknowledged when their work is done: a worker that dies loses nothing.
///
/// A clone is another handle to the same queue; fork copies handles. Items are encoded by the sender (serde, postcard) and visible
/// to all when `send` returns. The oldest item that is ready is delivered next.
///
/// - **Death**: an item whose holder (a thread) dies before [`Delivery::ack`] is delivered again, in its old place in the order,
///   with [`attempts`](Delivery::attempts) raised. Receivers that sleep learn of the death at once, from the kernel. If an item
///   was delivered as often as [`WorkLimits::max_attempts`] says (three times unless set) it becomes a dead letter instead, which
///   can be [read](Self::dead_letters), [taken](Self::take_dead_letter) and [retried](Self::retry_dead_letters). A process
///   that dies in the middle of an operation has done it or has not.
/// - **At least once**: a worker may die after its work and before its `ack`. Work that must not happen twice looks at
///   `attempts`.
/// - **Capacity**: an item takes its place, and its bytes, from `send` to `ack`; a dead letter until it is taken. Slow deliveries
///   do not hold up others, only their places.
/// - **Blocking**: `send` blocks while there is no room, `recv` while nothing is ready; all else only while another thread is in
///   the middle of an operation. What is under way is a copy of an item at most, and the `try_` forms wait for it for at most
///   10 ms.
/// - **Closing**: after [`close`](Self::close) sends fail; receivers end when nothing is ready *and* nothing is on delivery to
///   others (it may come back). A queue whose senders have all died stays open.
/// - **Fork**: a child has a handle like its parent's, but none of the deliveries that the parent's threads hold.
/// - **Panics**: as for [`RawMutex`](crate::RawMutex), if 16,384 threads are alive in the process tree.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// use offspring::queue::WorkQueue;
/// let jobs = WorkQueue::<(u32, String)>::new(64)?;
/// jobs.send((1, "one".to_owned())).unwrap();
/// jobs.close();
///
/// let unlucky = offspring::spawn(|| -> () {
///     let _job = jobs.recv().unwrap();
///     std::process::abort()
/// })?;
/// assert!(unlucky.join().is_err());
///
/// let job = jobs.recv().unwrap();
/// assert_eq!((job.attempts(), job.1.as_str()), (2, "one"));
/// job.ack();
/// assert!(jobs.recv().is_err());
/// # Ok(()) }
/// ```
pub struct WorkQueue<T> {
    pub(super) store: Store,
    _items: PhantomData<fn(T) -> T>,
}

impl<T: Serialize + DeserializeOwned> WorkQueue<T> {
    /// A queue for `capacity` items, with the other limits as [`WorkLimits::items`] says, in a shared memory region of its own.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a capacity of 0 or above 2^32 - 2;
    /// [`OutOfMemory`](crate::ErrorKind::OutOfMemory) and [`LimitReached`](crate::ErrorKind::LimitReached) as [`Region::new`].
    pub fn new(capacity: usize) -> Result<WorkQueue<T>> {
        Self::with_limits(WorkLimits::items(capacity))
    }

    /// A queue within these limits.
    ///
    /// # Errors
    /// As [`new`](Self::new), and [`InvalidInput`](crate::ErrorKind::InvalidInput) for limits of 0, or of 512 GiB and more.
    pub fn with_limits(limits: WorkLimits) -> Result<WorkQueue<T>> {
        Ok(WorkQueue { store: Store::new(limits)?, _items: PhantomData })
    }

    /// A queue within these limits, placed in `region`: 72 bytes an item, 260 a block of 256, and 512.
    ///
    /// # Errors
    /// As [`with_limits`](Self::with_limits), and [`OutOfMemory`](crate::ErrorKind::OutOfMemory) if the region has no room left.
    pub fn in_region(region: &Region, limits: WorkLimits) -> Result<WorkQueue<T>> {
        Ok(WorkQueue { store: Store::in_region(region, limits)?, _items: PhantomData })
    }

    /// Gives the queue a name by which [`snapshot`](crate::snapshot) and `top` call it; see [`Shared::named`](crate::Shared::named).
    pub fn named(self, name: &str) -> Self {
        self.store.set_name(name);
        self
    }

    /// Sends an item; blocks while there is no room for it.
    ///
    /// # Errors
    /// [`Closed`](NotSent::Closed), [`TooLarge`](NotSent::TooLarge) or [`Encode`](NotSent::Encode); the item comes back.
    pub fn send(&self, item: T) -> std::result::Result<(), Unsent<T>> {
        self.send_patiently(item, Patience::Until(Deadline::NEVER))
    }

    /// Sends an item if there is room for it now.
    ///
    /// # Errors
    /// As [`send`](Self::send), and [`Full`](NotSent::Full).
    pub fn try_send(&self, item: T) -> std::result::Result<(), Unsent<T>> {
        self.send_patiently(item, Patience::None)
    }

    /// Sends an item; waits for room for at most `timeout`.
    ///
    /// # Errors
    /// As [`send`](Self::send), and [`Timeout`](NotSent::Timeout).
    pub fn send_timeout(&self, item: T, timeout: Duration) -> std::result::Result<(), Unsent<T>> {
        self.send_patiently(item, Patience::Until(Deadline::after(timeout)))
    }

    /// Sends an item; waits for room until `deadline` at most.
    ///
    /// # Errors
    /// As [`send_timeout`](Self::send_timeout).
    pub fn send_deadline(&self, item: T, deadline: Instant) -> std::result::Result<(), Unsent<T>> {
        self.send_patiently(item, Patience::Until(Deadline::at(deadline)))
    }

    fn send_patiently(&self, message: T, patience: Patience) -> std::result::Result<(), Unsent<T>> {
        self.send_encoded(&message, patience).map_err(|reason| Unsent { message, reason })
    }

    fn send_encoded(&self, message: &T, patience: Patience) -> std::result::Result<(), NotSent> {
        let payload = postcard::to_stdvec(message).map_err(|error| NotSent::encode::<T>(&error))?;
        let (message_bytes, max_bytes) = (payload.len(), self.store.bytes());
        if message_bytes > max_bytes {
            return Err(NotSent::TooLarge { message_bytes, max_bytes });
        }
        Ok(self.store.work().send(&Linux, patience, &payload)?)
    }

    /// Receives the oldest item that is ready; blocks while none is.
    ///
    /// # Errors
    /// [`Closed`](NotReceived::Closed): nothing is ready and nothing can come back. (What the calling thread itself holds cannot
    /// come back while it waits.) [`Decode`](NotReceived::Decode): the item is not a `T`, and is a dead letter now.
    pub fn recv(&self) -> std::result::Result<Delivery<'_, T>, NotReceived> {
        self.recv_patiently(Patience::Until(Deadline::NEVER))
    }

    /// Receives the oldest item that is ready, if one is.
    ///
    /// # Errors
    /// As [`recv`](Self::recv), and [`Empty`](NotReceived::Empty).
    pub fn try_recv(&self) -> std::result::Result<Delivery<'_, T>, NotReceived> {
        self.recv_patiently(Patience::None)
    }

    /// Receives the oldest item that is ready; waits for at most `timeout`.
    ///
    /// # Errors
    /// As [`recv`](Self::recv), and [`Timeout`](NotReceived::Timeout).
    pub fn recv_timeout(
        &self,
        timeout: Duration,
    ) -> std::result::Result<Delivery<'_, T>, NotReceived> {
        self.recv_patiently(Patience::Until(Deadline::after(timeout)))
    }

    /// Receives the oldest item that is ready; waits until `deadline` at most.
    ///
    /// # Errors
    /// As [`recv_timeout`](Self::recv_timeout).
    pub fn recv_deadline(
        &self,
        deadline: Instant,
    ) -> std::result::Result<Delivery<'_, T>, NotReceived> {
        self.recv_patiently(Patience::Until(Deadline::at(deadline)))
    }

    fn recv_patiently(
        &self,
        patience: Patience,
    ) -> std::result::Result<Delivery<'_, T>, NotReceived> {
        let lease = self.store.work().recv(&Linux, patience)?;
        Held::new(&self.store, lease).open()
    }

    /// Copies of all dead letters, oldest first; they stay where they are. Others may take some meanwhile.
    pub fn dead_letters(&self) -> Vec<DeadLetter<T>> {
        let work = self.store.work();
        let mut letters = Vec::new();
        let mut next = work.letter_after(&Linux, None);
        while let Some(letter) = next {
            letters.push(DeadLetter::new(&letter));
            next = work.letter_after(&Linux, Some(&letter));
        }
        letters
    }

    /// Removes the oldest dead letter, which makes room for an item. If this process dies now, the letter is gone.
    pub fn take_dead_letter(&self) -> Option<DeadLetter<T>> {
        self.store.work().take_letter(&Linux).map(|letter| DeadLetter::new(&letter))
    }
}

impl<T> WorkQueue<T> {
    /// Makes all dead letters items again, in their old places in the order, with no attempts; how many. Those that no receiver could
    /// decode will be dead letters again.
    pub fn retry_dead_letters(&self) -> usize {
        self.store.work().retry_letters(&Linux) as usize
    }

    /// How many items are ready to be delivered. Exact at some moment during the call, as are all counts here: what the dead held
    /// is ready again, or a dead letter.
    pub fn len(&self) -> usize {
        self.store.work().count(&Linux).ready as usize
    }

    /// Whether no item is ready.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many items are on delivery.
    pub fn in_delivery(&self) -> usize {
        self.store.work().count(&Linux).leased as usize
    }

    /// How many items are ready or on delivery.
    pub fn unfinished(&self) -> usize {
        let counts = self.store.work().count(&Linux);
        (counts.ready + counts.leased) as usize
    }

    /// How many dead letters there are.
    pub fn dead_letter_count(&self) -> usize {
        self.store.work().count(&Linux).dead as usize
    }

    /// Whether a send would have to wait for room, even of an item without bytes.
    pub fn is_full(&self) -> bool {
        self.store.work().is_full(&Linux, 0)
    }

    /// How many items the queue can hold.
    pub fn capacity(&self) -> usize {
        self.store.items()
    }

    /// How many encoded bytes the queue can hold, if each item's are rounded up to a multiple of 256.
    pub fn capacity_bytes(&self) -> usize {
        self.store.bytes()
    }

    /// Closes the queue, for all handles in all processes: sends fail from now on, receives end once all is done with, and
    /// whoever waits is woken. Closing again does nothing.
    pub fn close(&self) {
        self.store.work().close(&Linux);
    }

    /// Whether the queue has been closed.
    pub fn is_closed(&self) -> bool {
        self.store.work().is_closed()
    }

    /// How many items are ready, on delivery and dead letters, without the lock, and so without taking from the dead what they
    /// held or waking anybody: for proofs that look and must not touch.
    #[cfg(feature = "kill-matrix")]
    #[doc(hidden)]
    pub fn glance(&self) -> [usize; 3] {
        let counts = self.store.work().glance();
        [counts.ready, counts.leased, counts.dead].map(|count| count as usize)
    }

    /// Makes this handle, and its later copies, those of a pollable queue.
    pub(in crate::queue) fn set_bell(&mut self, bell: Arc<Bell>) {
        self.store.bell = Some(bell);
    }

    /// Waits until nothing is ready or on delivery; how many dead letters there are then.
    pub(super) fn join_patiently(&self, patience: Patience) -> std::result::Result<usize, GaveUp> {
        self.store.work().join(&Linux, patience).map(|count| count as usize)
    }
}

impl<T> Clone for WorkQueue<T> {
    fn clone(&self) -> WorkQueue<T> {
        WorkQueue { store: self.store.clone(), _items: PhantomData }
    }
}

impl<T> fmt::Debug for WorkQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut show = f.debug_struct("WorkQueue");
        show.field("capacity", &self.capacity()).field("is_closed", &self.is_closed());
        show.finish_non_exhaustive()
    }
}
