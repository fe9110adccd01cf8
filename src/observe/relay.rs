//! The way of a child's records to the process that has the logger: a message queue, never waited for.

use crate::error::{Error, ErrorKind};
use crate::news;
use crate::observe::logger::sink;
use crate::observe::record::LogRecord;
use crate::queue::{NotReceived, Queue};
use crate::shm::Shared;
use crate::sys::signal;
use log::Record;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What children need of it.
pub(super) struct Route {
    queue: Queue<LogRecord>,
    /// Where it leads.
    pid: u32,
    /// How many records were not sent. Raised by whoever has lost one.
    lost: Shared<AtomicU64>,
}

/// The end of [`log_through`] in the process whose logger is to have the records.
pub struct LogRelay {
    queue: Queue<LogRecord>,
    lost: Shared<AtomicU64>,
    /// How many of the lost ones the logger was told of.
    told: AtomicU64,
}

/// Leads the records of all processes that are forked below this one from now on through `queue`, to this process's own logger.
///
/// That logger is the one that [`log_to_stderr`](crate::log_to_stderr) or [`log_to`](crate::log_to) has set, here and before. Records of this
/// process go to it at once, as before. Those of its descendants (workers of pools and children of fork servers too, if pool or server is
/// started later) are put into the queue with the name and the pid of their process and the time, and arrive when somebody here asks for
/// them: this crate starts no thread. Ask now and then, before a join for instance, or after it; or let a thread of yours run
/// [`forward_until_closed`](LogRelay::forward_until_closed), started after the forks or beside a [`ForkServer`](crate::ForkServer).
///
/// - **Blocking**: a process that logs never waits for room. If the queue is full because nobody asks, or closed, or the
///   record is larger than the queue, it is lost, and counted ([`LogRelay::lost`]); the logger is told how many.
/// - **Death**: a child that is killed has sent a record or has not; what it had sent arrives. If this process dies and a child lives on
///   ([`outlive_parent`](crate::Builder::outlive_parent)), its records fill the queue, and are lost from then on.
/// - **Fork**: one queue a program: descendants of descendants send to the same one.
///
/// # Errors
/// [`InvalidInput`](ErrorKind::InvalidInput) if neither `log_to_stderr` nor `log_to` was called (the loggers that children inherit cannot be
/// replaced), or this was called before; otherwise as [`Shared::new`].
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use offspring::{LogRecord, Queue};
/// offspring::log_to_stderr(log::LevelFilter::Info)?;
/// let relay = offspring::log_through(&Queue::<LogRecord>::new()?)?;
/// offspring::spawn(|| log::info!("hello"))?.join()?;
/// assert_eq!(relay.forward(), 1); // [INFO/child-1] hello
/// assert_eq!(relay.lost(), 0);
/// # Ok(()) }
/// ```
pub fn log_through(queue: &Queue<LogRecord>) -> Result<LogRelay, Error> {
    let refused = |detail| Error::new(ErrorKind::InvalidInput, "log through", "a queue", detail);
    let sink = sink().ok_or_else(|| {
        refused(
            "there is no logger here that it could lead to; call `log_to_stderr` or `log_to` first",
        )
    })?;
    let lost = Shared::new(AtomicU64::new(0))?;
    let route = Route { queue: queue.clone(), pid: signal::pid(), lost: lost.clone() };
    sink.route.set(route).map_err(|_| refused("records go through a queue already"))?;
    // In children nothing comes to the program's logger any more.
    news::logger_survives_forks();
    Ok(LogRelay { queue: queue.clone(), lost, told: AtomicU64::new(0) })
}

impl Route {
    /// Whether this process is the one that has the logger.
    pub(super) fn leads_here(&self) -> bool {
        self.pid == signal::pid()
    }

    /// Sends a record, if there is room.
    pub(super) fn send(&self, record: &Record<'_>) {
        if self.queue.try_send(LogRecord::of(record)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl LogRelay {
    /// Gives the logger all records that are in the queue now; how many that were. Does not wait.
    ///
    /// A record that cannot be decoded (somebody sent bytes of their own) is skipped.
    pub fn forward(&self) -> usize {
        self.forward_while(|| self.queue.try_recv())
    }

    /// The same, but waits for the first record, for at most `timeout`. It is 0 if none came.
    pub fn forward_timeout(&self, timeout: Duration) -> usize {
        self.forward_first(self.queue.recv_timeout(timeout))
    }

    /// The same, until `deadline` at most.
    pub fn forward_deadline(&self, deadline: Instant) -> usize {
        self.forward_first(self.queue.recv_deadline(deadline))
    }

    /// Gives the logger all records as they come, until somebody [closes](Queue::close) the queue and it is empty; how many that were.
    pub fn forward_until_closed(&self) -> usize {
        self.forward_while(|| self.queue.recv())
    }

    /// How many records were lost so far, because the queue was full or closed, or they were too large for it.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    fn forward_first(&self, first: Result<LogRecord, NotReceived>) -> usize {
        let mut first = Some(first);
        self.forward_while(|| first.take().unwrap_or_else(|| self.queue.try_recv()))
    }

    fn forward_while(&self, mut receive: impl FnMut() -> Result<LogRecord, NotReceived>) -> usize {
        let mut count = 0;
        loop {
            match receive() {
                Ok(record) => {
                    record.forward();
                    count += 1;
                }
                Err(NotReceived::Decode { .. }) => {}
                Err(_) => break,
            }
        }
        self.tell_losses();
        count
    }

    fn tell_losses(&self) {
        let lost = self.lost();
        let told = self.told.swap(lost, Ordering::Relaxed);
        if lost > told {
            news!(
                Warn,
                "{} log records of children were lost: nobody made room for them",
                lost - told
            );
        }
    }
}

impl fmt::Debug for LogRelay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogRelay").field("lost", &self.lost()).finish_non_exhaustive()
    }
}
