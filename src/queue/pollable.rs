//! Queues as file descriptors: for `wait_any`, `poll(2)`, `epoll`, mio, tokio's `AsyncFd`.

use crate::error::{Error, Result};
use crate::queue::{JoinableQueue, Plain, Queue, RingQueue, WorkLimits, WorkQueue};
use crate::shm::Region;
use crate::sys::eventfd::Bell;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;

/// A [`RingQueue`], [`Queue`], [`WorkQueue`] or [`JoinableQueue`] that is a file descriptor as well ([`AsFd`]), so that one can wait for it together with others:
/// in [`wait_any`](crate::wait_any), `poll(2)`, `epoll`, mio, or tokio's `AsyncFd`.
///
/// It dereferences to the queue, and all that the queue can do works. The descriptor is readable while something can be
/// received, and when the queue is closed and empty. It stops being readable when a `try_` receive, of any handle in any process,
/// has found nothing ([`Empty`](crate::queue::TryRecvError::Empty)). So whoever is woken calls `try_recv`, once or until it finds
/// nothing; edge-triggered pollers (mio; `AsyncFd` by `clear_ready`) until it finds nothing. Now and then it finds nothing at once:
/// others took it, or the descriptor was made readable a moment too early. From then on the next message wakes all pollers.
///
/// - **Whether to poll** is chosen at the beginning, for all handles: the descriptor (an eventfd) is made with the queue, and
///   clones, children of a fork and theirs have it under the same number. A clone of what it dereferences to is pollable too,
///   without showing it. Do not read, write or close the descriptor by other means, nor use the queue in a child that has closed it.
/// - **Cost**: a send takes one more lock, some nanoseconds. The descriptor is written only by the first send after a `try_` receive
///   has found nothing; and a `try_` receive that finds nothing is a system call. Other queues pay nothing.
/// - **Deaths**: a sender that dies has sent its message, and made the descriptor readable before that, or has not; a
///   poller that dies leaves the descriptor readable, or the next message will make it so. What a process had in its hands
///   when it died (a [`View`](crate::queue::View), a large message that it was copying, an item on delivery) can be received again at once, but no descriptor tells it: wait
///   for the [`Child`](crate::Child) too, and look when it has ended. The same holds for the end of a closed queue that waited for it.
/// - **Fork**: a child shares the descriptor, and with it what it says: whether anything is there, not who has seen it.
///   An `epoll` instance that was made before a fork is shared as well; make one in each process.
/// - **Held ends**: while another process holds the receiving end as a [`Consumer`](crate::queue::Consumer), a poller is woken by
///   what it cannot have, again and again. Poll where the end is held, or do not hold it.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// use offspring::queue::Pollable;
/// use offspring::{Queue, RingQueue};
/// let numbers = Pollable::<RingQueue<u64>>::new(16)?;
/// let words = Pollable::<Queue<String>>::new()?;
/// let child = offspring::spawn(|| {
///     numbers.send(7).unwrap();
///     words.send("seven".to_string()).unwrap();
/// })?;
/// let (mut number, mut word) = (None, None);
/// while number.is_none() || word.is_none() {
///     for index in offspring::wait_any(&[&numbers, &words])? {
///         match index {
///             0 => number = numbers.try_recv().ok().or(number),
///             _ => word = words.try_recv().ok().or(word),
///         }
///     }
/// }
/// assert_eq!((number, word.as_deref()), (Some(7), Some("seven")));
/// child.join().unwrap();
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Pollable<Q> {
    queue: Q,
    bell: Arc<Bell>,
}

/// The descriptor of a queue that is about to be made.
fn bell() -> Result<Arc<Bell>> {
    let bell = Bell::ringing().map_err(|errno| Error::os("create", "an eventfd", errno))?;
    Ok(Arc::new(bell))
}

impl<T: Plain> Pollable<RingQueue<T>> {
    /// As [`RingQueue::new`], pollable.
    ///
    /// # Errors
    /// As that, and [`LimitReached`](crate::ErrorKind::LimitReached) if this process has no descriptor left.
    pub fn new(capacity: usize) -> Result<Self> {
        Ok(Self::of(RingQueue::new(capacity)?, bell()?))
    }

    /// As [`RingQueue::in_region`], pollable.
    ///
    /// # Errors
    /// As that, and as [`new`](Self::new).
    pub fn in_region(region: &Region, capacity: usize) -> Result<Self> {
        let bell = bell()?;
        Ok(Self::of(RingQueue::in_region(region, capacity)?, bell))
    }

    fn of(mut queue: RingQueue<T>, bell: Arc<Bell>) -> Self {
        queue.bell = Some(bell.clone());
        Pollable { queue, bell }
    }
}

impl<T> Pollable<Queue<T>> {
    /// As [`Queue::new`], pollable.
    ///
    /// # Errors
    /// As that, and [`LimitReached`](crate::ErrorKind::LimitReached) if this process has no descriptor left.
    pub fn new() -> Result<Self> {
        Ok(Self::of(Queue::new()?, bell()?))
    }

    /// As [`Queue::with_capacity_bytes`], pollable.
    ///
    /// # Errors
    /// As that, and as [`new`](Self::new).
    pub fn with_capacity_bytes(bytes: usize) -> Result<Self> {
        Ok(Self::of(Queue::with_capacity_bytes(bytes)?, bell()?))
    }

    fn of(mut queue: Queue<T>, bell: Arc<Bell>) -> Self {
        queue.set_bell(bell.clone());
        Pollable { queue, bell }
    }
}

impl<T: Serialize + DeserializeOwned> Pollable<WorkQueue<T>> {
    /// As [`WorkQueue::new`], pollable.
    ///
    /// # Errors
    /// As that, and [`LimitReached`](crate::ErrorKind::LimitReached) if this process has no descriptor left.
    pub fn new(capacity: usize) -> Result<Self> {
        Self::with_limits(WorkLimits::items(capacity))
    }

    /// As [`WorkQueue::with_limits`], pollable.
    ///
    /// # Errors
    /// As that, and as [`new`](Self::new).
    pub fn with_limits(limits: WorkLimits) -> Result<Self> {
        let (mut queue, bell) = (WorkQueue::with_limits(limits)?, bell()?);
        queue.set_bell(bell.clone());
        Ok(Pollable { queue, bell })
    }
}

impl<T: Serialize + DeserializeOwned> Pollable<JoinableQueue<T>> {
    /// As [`JoinableQueue::new`], pollable.
    ///
    /// # Errors
    /// As that, and [`LimitReached`](crate::ErrorKind::LimitReached) if this process has no descriptor left.
    pub fn new(capacity: usize) -> Result<Self> {
        Self::with_limits(WorkLimits::items(capacity))
    }

    /// As [`JoinableQueue::with_limits`], pollable.
    ///
    /// # Errors
    /// As that, and as [`new`](Self::new).
    pub fn with_limits(limits: WorkLimits) -> Result<Self> {
        let (mut queue, bell) = (JoinableQueue::with_limits(limits)?, bell()?);
        queue.set_bell(bell.clone());
        Ok(Pollable { queue, bell })
    }
}

impl<Q> Deref for Pollable<Q> {
    type Target = Q;

    fn deref(&self) -> &Q {
        &self.queue
    }
}

impl<Q> AsFd for Pollable<Q> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

/// For tokio's `AsyncFd`. The descriptor is open, and the same, as long as this lives.
impl<Q> AsRawFd for Pollable<Q> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

/// What a receive without patience has `received`. If that is nothing, on a pollable queue, `rest` silences the bell; where that is
/// not possible because something is there, or was, it looks `again`; where that is not possible either (the end is held, or
/// somebody was stopped in the middle of an operation), the bell is rung anew, so that whoever polls comes back.
#[inline(always)]
pub(super) fn or_rest<R, E>(
    received: std::result::Result<R, E>,
    bell: Option<&Bell>,
    again: impl FnOnce() -> std::result::Result<R, E>,
    is_nothing: impl Fn(&E) -> bool,
    rest: impl Fn(&Bell) -> bool,
) -> std::result::Result<R, E> {
    match (&received, bell) {
        (Err(error), Some(bell)) if is_nothing(error) => match rest(bell) {
            true => received,
            false => look_again(bell, again, is_nothing, rest),
        },
        _ => received,
    }
}

/// Out of line, for `again` is a second copy of a fast path.
#[cold]
#[inline(never)]
fn look_again<R, E>(
    bell: &Bell,
    again: impl FnOnce() -> std::result::Result<R, E>,
    is_nothing: impl Fn(&E) -> bool,
    rest: impl Fn(&Bell) -> bool,
) -> std::result::Result<R, E> {
    let received = again();
    if matches!(&received, Err(error) if is_nothing(error)) && !rest(bell) {
        bell.ring();
    }
    received
}
