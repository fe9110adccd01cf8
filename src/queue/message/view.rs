//! A message that is looked at where it lies.

#![expect(unsafe_code, reason = "gives a slice of shared memory")]

use super::{Queue, Store};
use crate::queue::byte_ring::{ByteCore, ByteRing, Lease};
use crate::shm::roster;
use crate::sync::linux::Linux;
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;

/// A message of a [`Queue`] where it lies, lent to one thread: dereferences to its bytes, without a copy.
///
/// Dropping it consumes the message. If its process dies before that, the message is back in its old place in the queue, for
/// others to receive. Others receive what is behind it meanwhile; but its room, and that of what was received behind it, is free
/// only when it is dropped.
///
/// In a child that inherits it by fork it may not be used (it panics), and dropping that copy does nothing. A thread that ends
/// with a view that it has forgotten (`mem::forget`) aborts the process: the bytes might be in use, and nobody lends them any more.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// let pages = offspring::Queue::<()>::with_capacity_bytes(1 << 20)?;
/// pages.send_bytes(&[7; 100_000]).unwrap();
/// let page = pages.recv_view().unwrap();
/// assert_eq!(page.iter().map(|&byte| byte as usize).sum::<usize>(), 700_000);
/// drop(page);
/// assert_eq!(pages.used_bytes(), 0);
/// # Ok(()) }
/// ```
#[must_use = "dropping a view consumes its message"]
pub struct View<'a> {
    core: &'a ByteCore,
    store: &'a Store,
    me: u32,
    lease: Lease,
    /// It is lent to a thread: not Send.
    _thread: PhantomData<*mut ()>,
}

impl<'a> View<'a> {
    #[inline]
    pub(super) fn new<T>(queue: &'a Queue<T>, me: u32, lease: Lease) -> View<'a> {
        LENT.with(|lent| lent.0.set(lent.0.get() + 1));
        View { core: &queue.core, store: &queue.store, me, lease, _thread: PhantomData }
    }

    fn ring(&self) -> ByteRing<'a, Store> {
        ByteRing { core: self.core, records: self.store }
    }

    /// Whether it is lent to the calling process, and not to the parent from which this copy comes.
    fn is_own(&self) -> bool {
        self.me == roster::my_id()
    }

    /// Puts the message back into its place in the queue: the next receive gets it.
    ///
    /// # Panics
    /// If it was inherited by fork.
    ///
    /// ```
    /// # fn main() -> offspring::Result<()> {
    /// let messages = offspring::Queue::<()>::new()?;
    /// messages.send_bytes(b"for somebody else").unwrap();
    /// let view = messages.recv_view().unwrap();
    /// assert!(view.starts_with(b"for"));
    /// view.put_back();
    /// assert_eq!(messages.recv_bytes().unwrap(), b"for somebody else");
    /// # Ok(()) }
    /// ```
    pub fn put_back(self) {
        self.check();
        let view = ManuallyDrop::new(self);
        view.ring().put_back(&Linux, view.me, &view.lease);
        returned();
    }

    #[inline(always)]
    fn check(&self) {
        if !self.is_own() {
            inherited();
        }
    }
}

impl Deref for View<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.check();
        // SAFETY: lent to this thread until `self` is dropped, which ends the borrow, or the thread ends, which a view that was
        // forgotten turns into the end of the process.
        unsafe { self.store.bytes(self.lease.position, self.lease.bytes) }
    }
}

impl Drop for View<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.is_own() {
            self.ring().finish(&Linux, self.me, &self.lease, false);
            returned();
        }
    }
}

impl fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("bytes", &self.lease.bytes).finish_non_exhaustive()
    }
}

thread_local! {
    /// How many messages are lent to this thread. In a fork child, that and how many were lent to the parent's thread.
    static LENT: Lent = Lent(Cell::new(0), std::process::id());
}

struct Lent(Cell<usize>, u32);

fn returned() {
    let _ = LENT.try_with(|lent| lent.0.set(lent.0.get() - 1));
}

impl Drop for Lent {
    /// With the thread its leases end, and a slice of a forgotten view may live on in another thread.
    fn drop(&mut self) {
        if self.0.get() > 0 && self.1 == std::process::id() {
            eprintln!("offspring: a thread ended with a forgotten view of a message; aborting");
            std::process::abort();
        }
    }
}

#[cold]
#[inline(never)]
fn inherited() -> ! {
    panic!(
        "expected a view held by this process; this one was inherited by fork, and the parent holds it"
    );
}
