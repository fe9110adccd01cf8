//! An item on delivery, and what becomes of it: acknowledged, given back, or a dead letter.

use crate::queue::message_error::{NotReceived, decode};
use crate::queue::work::core::Lease;
use crate::queue::work::store::Store;
use crate::queue::work::table::{End, Letter};
use crate::shm::roster;
use crate::sync::linux::Linux;
use serde::de::DeserializeOwned;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

/// An item that a [`WorkQueue`](crate::queue::WorkQueue) has delivered to this thread: dereferences to it, and is
/// acknowledged when its work is done.
///
/// Until [`ack`](Self::ack) the queue keeps the item. It is delivered again, in its old place in the order, if this is dropped (a
/// panic does that too) or given back by [`nack`](Self::nack), or if this thread ends in any way: when it has been forgotten, or
/// its process is killed. Nobody takes it from a thread that is alive, however slow it is. The value is this thread's copy: changes
/// to it go with it, and the next delivery has the item as it was sent.
///
/// A child that inherits this by fork does not hold the item: dropping that copy does nothing, and `ack` and `nack` panic.
///
/// It stays on its thread:
///
/// ```compile_fail,E0277
/// let queue = offspring::queue::WorkQueue::<u32>::new(8).unwrap();
/// let delivery = queue.recv().unwrap();
/// std::thread::scope(|s| { s.spawn(move || delivery.ack()); });
/// ```
#[must_use = "dropping this without `ack` has the item delivered again"]
pub struct Delivery<'a, T> {
    held: Held<'a>,
    value: T,
}

/// A lease; dropping it gives the item back.
#[derive(Debug)]
pub(super) struct Held<'a> {
    store: &'a Store,
    lease: Lease,
    me: u32,
    /// The holder is a thread: not Send.
    _thread: PhantomData<*mut ()>,
}

impl<'a> Held<'a> {
    pub(super) fn new(store: &'a Store, lease: Lease) -> Held<'a> {
        Held { store, lease, me: roster::my_id(), _thread: PhantomData }
    }

    /// Decodes the item; if that fails, it becomes a dead letter.
    pub(super) fn open<T: DeserializeOwned>(self) -> Result<Delivery<'a, T>, NotReceived> {
        match decode(&self.store.work().payload(self.lease)) {
            Ok(value) => Ok(Delivery { held: self, value }),
            Err(error) => {
                self.end(End::Hopeless);
                Err(error)
            }
        }
    }

    fn end(self, end: End) {
        assert!(
            self.me == roster::my_id(),
            "expected a delivery to this process; this one was inherited by fork, and the parent has the item"
        );
        self.store.work().end(&Linux, self.lease, end);
        std::mem::forget(self);
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if self.me == roster::my_id() {
            self.store.work().end(&Linux, self.lease, End::Again);
        }
    }
}

impl<T> Delivery<'_, T> {
    /// How often the item has been delivered, this time included: 1 the first time. Each delivery counts, whether its holder died,
    /// gave the item back, or never came to look at it.
    pub fn attempts(&self) -> u32 {
        self.held.lease.attempts
    }

    /// The work is done: the item is gone from the queue, and its value is the caller's. Blocks only while another thread is in the
    /// middle of an operation. If this process dies in this call, the item is gone or is delivered again.
    ///
    /// # Panics
    /// In a child that inherited this by fork.
    pub fn ack(self) -> T {
        self.held.end(End::Done);
        self.value
    }

    /// Gives the item back at once, as dropping this does: it is delivered again, before all younger items, to this thread
    /// perhaps. If this was its last attempt, it becomes a dead letter.
    ///
    /// # Panics
    /// In a child that inherited this by fork.
    ///
    /// ```
    /// # fn main() -> offspring::Result<()> {
    /// let jobs = offspring::WorkQueue::<u32>::new(8)?;
    /// jobs.send(1).unwrap();
    /// jobs.recv().unwrap().nack(); // not now
    /// let job = jobs.recv().unwrap();
    /// assert_eq!((job.attempts(), *job), (2, 1));
    /// job.ack();
    /// # Ok(()) }
    /// ```
    pub fn nack(self) {
        self.held.end(End::Again);
    }

    /// Makes the item a dead letter at once: nobody can do it.
    ///
    /// # Panics
    /// In a child that inherited this by fork.
    ///
    /// ```
    /// # fn main() -> offspring::Result<()> {
    /// let jobs = offspring::WorkQueue::<u32>::new(8)?;
    /// jobs.send(13).unwrap();
    /// let job = jobs.recv().unwrap();
    /// match *job {
    ///     13 => job.reject(),
    ///     _ => drop(job.ack()),
    /// }
    /// assert_eq!((jobs.dead_letter_count(), jobs.unfinished()), (1, 0));
    /// # Ok(()) }
    /// ```
    pub fn reject(self) {
        self.held.end(End::Hopeless);
    }

    /// Leaves the item on delivery to this thread.
    pub(super) fn keep(self) -> T {
        std::mem::forget(self.held);
        self.value
    }
}

impl<T> Deref for Delivery<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Delivery<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: fmt::Debug> fmt::Debug for Delivery<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut show = f.debug_struct("Delivery");
        show.field("attempts", &self.attempts()).field("value", &self.value).finish()
    }
}

/// An item that was delivered as often as it may be, or that nobody could decode.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// let jobs = offspring::WorkQueue::<String>::new(8)?;
/// jobs.send("impossible".to_owned()).unwrap();
/// for _ in 0..3 {
///     drop(jobs.recv().unwrap()); // no `ack`
/// }
/// let letters = jobs.dead_letters();
/// assert_eq!((letters[0].value().unwrap().as_str(), letters[0].attempts()), ("impossible", 3));
/// assert_eq!(letters[0].last_pid(), Some(std::process::id()));
///
/// assert_eq!(jobs.retry_dead_letters(), 1); // perhaps now?
/// jobs.recv().unwrap().reject();
/// let letter = jobs.take_dead_letter().unwrap();
/// assert_eq!(letter.into_value().unwrap(), "impossible");
/// assert!(jobs.take_dead_letter().is_none());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter<T> {
    value: Result<T, NotReceived>,
    attempts: u32,
    pid: Option<u32>,
    name: String,
}

impl<T: DeserializeOwned> DeadLetter<T> {
    pub(super) fn new(letter: &Letter) -> DeadLetter<T> {
        let (pid, name) = roster::describe(letter.standing.holder).unzip();
        let (value, attempts) = (decode(&letter.payload), letter.standing.attempts);
        DeadLetter { value, attempts, pid, name: name.unwrap_or_default() }
    }
}

impl<T> DeadLetter<T> {
    /// The item.
    ///
    /// # Errors
    /// [`Decode`](NotReceived::Decode): it is not a `T`.
    pub fn value(&self) -> Result<&T, &NotReceived> {
        self.value.as_ref()
    }

    /// As [`value`](Self::value), moved out.
    ///
    /// # Errors
    /// [`Decode`](NotReceived::Decode): it is not a `T`.
    pub fn into_value(self) -> Result<T, NotReceived> {
        self.value
    }

    /// How often it was delivered.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The process that had it last; `None` if so many threads have come since that the roster has forgotten it.
    pub fn last_pid(&self) -> Option<u32> {
        self.pid
    }

    /// That process's name, as given to [`Builder::name`](crate::Builder::name); empty if it had none or is forgotten.
    pub fn last_name(&self) -> &str {
        &self.name
    }
}
