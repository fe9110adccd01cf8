//! An event: a flag that others wait for.

#![expect(unsafe_code, reason = "promises that it keeps the rules of ShmSafe")]

use crate::deadline::Deadline;
use crate::shm::{ShmSafe, roster};
use crate::sync::event_core::EventCore;
use crate::sync::linux::Linux;
use std::fmt;
use std::time::{Duration, Instant};

/// A flag in shared memory that threads of all processes can wait for, as Python's `multiprocessing.Event`.
///
/// `set` raises the flag and wakes all who wait; `clear` lowers it. Whoever began to wait before a `set` returns, also if a `clear`
/// follows at once. `set` and `clear` are one atomic read-modify-write each, and `set` is a system call besides only when
/// somebody may sleep. What a thread did before `set` is visible to whoever returns from `wait`, or sees the flag.
///
/// - **Death**: a waiter that is killed holds up nobody. One that is killed in `set` has raised the flag or not; if it has, all
///   who wait are woken. A process that dies before it sets leaves the others waiting: nobody can know what it meant to
///   do. Wait for its [`Child`](crate::Child) as well, or use a [`Mutex`](crate::Mutex) with a [`Condvar`](crate::Condvar).
/// - **Fork**: nothing special; the flag is one for all.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// use offspring::{Event, Shared};
/// use std::time::Duration;
/// let ready = Shared::new(Event::new())?;
/// let child = offspring::spawn(|| ready.wait_timeout(Duration::from_secs(10)))?;
/// ready.set();
/// assert!(child.join().unwrap());
/// ready.clear();
/// assert!(!ready.is_set());
/// assert!(!ready.wait_timeout(Duration::from_millis(1)));
/// # Ok(()) }
/// ```
#[repr(C)]
pub struct Event {
    core: EventCore,
}

// SAFETY: atomics alone, used through `&`; any value that a dying process leaves is one that `event_core` handles.
unsafe impl ShmSafe for Event {}

impl Event {
    /// An event that is not set.
    pub const fn new() -> Event {
        Event { core: EventCore::new() }
    }

    /// Raises the flag and wakes all who wait. Never blocks.
    ///
    /// # Panics
    /// If 16,384 threads of one process tree are alive and use locks or events.
    #[inline]
    pub fn set(&self) {
        self.core.set(&Linux, roster::me());
    }

    /// Lowers the flag. Those whom an earlier `set` is about to wake return all the same.
    #[inline]
    pub fn clear(&self) {
        self.core.clear();
    }

    /// Whether the flag is up.
    #[inline]
    pub fn is_set(&self) -> bool {
        self.core.is_set()
    }

    /// Blocks until the flag is up, or was put up since the call began.
    #[inline]
    pub fn wait(&self) {
        self.wait_until(Deadline::NEVER);
    }

    /// The same for at most `timeout`; false if nobody set the event in that time.
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.wait_until(Deadline::after(timeout))
    }

    /// The same until `deadline` at most.
    pub fn wait_deadline(&self, deadline: Instant) -> bool {
        self.wait_until(Deadline::at(deadline))
    }

    #[inline]
    fn wait_until(&self, deadline: Deadline) -> bool {
        self.is_set() || {
            roster::me(); // one that waits must have an entry
            self.core.wait(&Linux, deadline)
        }
    }
}

impl Default for Event {
    fn default() -> Event {
        Event::new()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("is_set", &self.is_set()).finish_non_exhaustive()
    }
}
