//! The message queue's public face: values of any type, encoded by the sender, in the records of a byte ring.

mod iter;
mod receive;
mod scratch;
mod send;
mod store;
mod view;

pub use self::{
    iter::{Messages, MessagesNow},
    view::View,
};

use crate::error::{Error, ErrorKind, Result};
use crate::queue::byte_ring::{ByteCore, ByteRing, UNIT_BYTES};
use crate::queue::pacer::HandlePacer;
use crate::shm::{Shared, roster};
use crate::sync::linux::Linux;
use crate::sys::eventfd::Bell;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use store::Store;

/// A bounded first-in, first-out queue of messages of any serde type, and of any size, between any number of processes and
/// threads.
///
/// A clone is another handle to the same queue; fork copies handles. `send` encodes in the caller (with
/// [`postcard`](https://docs.rs/postcard)), copies the bytes into a ring in shared memory, and when it returns every process can
/// receive the message, and its sender may exit: there is no thread, no pipe and no flush behind it. Messages arrive in the
/// order in which they were sent, those of one sender always in its order. `len` and `is_empty` are exact.
///
/// - **Sizes**: a message takes its encoded size, rounded up to 16, and 16 bytes more. One that is larger than the queue is an
///   error; one that is larger than the room left waits for it. Small ones may overtake the sender of a large one that waits.
/// - **Bytes**: [`send_bytes`](Self::send_bytes) sends bytes as they are, for [`recv_bytes`](Self::recv_bytes),
///   [`recv_bytes_into`](Self::recv_bytes_into) and [`recv_view`](Self::recv_view), which lends them where they are. Large copies are
///   made outside all locks.
/// - **Blocking**: `send` blocks while there is no room, `recv` while there is no message: awake for some microseconds, then asleep.
///   The `try_` operations wait for neither; only for another process's operation that is under way (some nanoseconds, at most
///   10 ms if that process was descheduled in the middle).
/// - **Deaths**: a process that dies in `send` has sent the message or has not; one that dies in `recv`, before it returned,
///   has not received it: the next one does, in the old place (a message of at most a few KiB that had been copied out is gone
///   with it, in the last instructions).
/// - **Closing**: after [`close`](Self::close) sends fail, and receives end when the queue is empty and no other process is looking at
///   a message (if it died, the message would come back). Nobody closes implicitly.
/// - **Panics**: as for [`RawMutex`](crate::RawMutex), if 16,384 threads are alive in the process tree.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// use offspring::Queue;
/// let words = Queue::<(u32, String)>::new()?;
/// let child = offspring::spawn(|| {
///     for (n, word) in ["to", "be", "or"].iter().enumerate() {
///         words.send((n as u32, word.to_string())).unwrap();
///     }
/// })?;
/// child.join().unwrap();
/// assert_eq!(words.len(), 3);
/// assert_eq!(words.recv().unwrap(), (0, "to".to_string()));
/// # Ok(()) }
/// ```
pub struct Queue<T> {
    core: Shared<ByteCore>,
    store: Store,
    pacers: [HandlePacer; 2],
    _values: PhantomData<fn(T) -> T>,
}

/// The capacity of [`Queue::new`].
const DEFAULT_BYTES: usize = 1 << 20;

/// Payloads of at most so many bytes are copied under a lock; copying more costs more than lending.
const SMALL_BYTES: u32 = 2048;

/// Units are counted in 32 bits.
const CAPACITY_BYTES_MAX: usize = 1 << 35;

impl<T> Queue<T> {
    /// A queue of 1 MiB: for messages that take so much together, and one of at most 16 bytes less.
    ///
    /// # Errors
    /// [`OutOfMemory`](ErrorKind::OutOfMemory) and [`LimitReached`](ErrorKind::LimitReached) as
    /// [`Region::new`](crate::Region::new).
    pub fn new() -> Result<Queue<T>> {
        Self::with_ring_bytes(DEFAULT_BYTES)
    }

    /// A queue into which a message of `bytes` fits: that and 16 bytes, rounded up to a power of two and at least a page, is its
    /// capacity. All of it is committed now.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for no bytes or more than 32 GiB less 16, otherwise as [`new`](Self::new).
    pub fn with_capacity_bytes(bytes: usize) -> Result<Queue<T>> {
        if bytes == 0 || bytes > CAPACITY_BYTES_MAX - UNIT_BYTES as usize {
            let object = format!("queue of {bytes} bytes");
            let detail = "the capacity is from 1 to 34359738352 bytes";
            return Err(Error::new(ErrorKind::InvalidInput, "create", object, detail));
        }
        Self::with_ring_bytes((bytes + UNIT_BYTES as usize).next_power_of_two())
    }

    /// Gives the queue a name by which [`snapshot`](crate::snapshot) and `top` call it; see [`Shared::named`](crate::Shared::named).
    pub fn named(self, name: &str) -> Self {
        drop(self.core.clone().named(name));
        self
    }

    fn with_ring_bytes(bytes: usize) -> Result<Queue<T>> {
        let store = Store::new(bytes)?;
        let core = Shared::new(ByteCore::new(store.units(), SMALL_BYTES))?;
        Ok(Queue { core, store, pacers: Default::default(), _values: PhantomData })
    }

    /// Makes this, the only handle, pollable.
    pub(in crate::queue) fn set_bell(&mut self, bell: Arc<Bell>) {
        self.store.bell = Some(bell);
    }

    #[inline(always)]
    fn ring(&self) -> ByteRing<'_, Store> {
        ByteRing { core: &self.core, records: &self.store }
    }

    /// How many messages are in the queue: exact at some moment during the call. Those that are still being copied in do not count,
    /// those that are being received do not; one whose receiver died does.
    ///
    /// If another process was stopped in the middle of a receive, this waits for it for 10 ms, and then counts messages whose
    /// senders have not finished as well.
    pub fn len(&self) -> usize {
        self.ring().len(&Linux, roster::me()) as usize
    }

    /// Whether no message is in the queue, as [`len`](Self::len).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes messages can take, with 16 bytes for each and rounded up to 16.
    pub fn capacity_bytes(&self) -> usize {
        self.ring().capacity() as usize
    }

    /// How many bytes messages take now; what is being received or viewed too.
    pub fn used_bytes(&self) -> usize {
        self.ring().used() as usize
    }

    /// The largest message that the queue can hold, in bytes.
    pub fn max_message_bytes(&self) -> usize {
        self.ring().longest() as usize
    }

    /// Closes the queue, for all handles in all processes: sends fail from now on, receives end once it is empty, and whoever
    /// waits is woken. Closing again does nothing.
    pub fn close(&self) {
        let me = roster::me();
        match self.store.bell {
            None => self.ring().close(&Linux),
            Some(_) => self.ring().close_and_tell(&Linux, me),
        }
    }

    /// Whether the queue has been closed.
    pub fn is_closed(&self) -> bool {
        self.ring().is_closed()
    }
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Queue<T> {
        let (core, store) = (self.core.clone(), self.store.clone());
        Queue { core, store, pacers: Default::default(), _values: PhantomData }
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Queue");
        debug
            .field("used_bytes", &self.used_bytes())
            .field("capacity_bytes", &self.capacity_bytes());
        debug.field("closed", &self.is_closed()).finish_non_exhaustive()
    }
}
