//! The parent's handle on a child.

use crate::deadline::Deadline;
use crate::error::Result;
use crate::process::exit::{Exit, JoinError, Signal};
use crate::process::family;
use crate::process::record::Record;
use serde::de::DeserializeOwned;
use std::fmt;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A child of this process, whose closure returns `R`.
///
/// All but [`join`](Self::join) take `&self` and may be used from several threads at once: one waits, another sends signals.
/// Signals go to this child or to nobody, never to a later process with its pid. A wait ends when the *child* has ended; its
/// own children, and pipes that they may still hold, play no part.
///
/// Dropping the handle detaches the child: it runs on, and a later `spawn`, [`children`](crate::children) or drop of a handle
/// in this process reaps it, so that zombies do not pile up. Nobody can ask for the panic of a detached child, so whoever
/// reaps it prints the report to standard error.
///
/// A copy of the handle in another process (a closure captured it) can signal and poll, but not join.
///
/// As a file descriptor ([`AsFd`]) it is the child's pidfd: readable from the moment when the child has ended.
pub struct Child<R> {
    record: Arc<Record>,
    scoped: bool,
    result: PhantomData<fn() -> R>,
}

impl<R> Child<R> {
    pub(super) fn new(record: Arc<Record>) -> Child<R> {
        Child { record, scoped: false, result: PhantomData }
    }

    /// Leaves the child to a scope: a drop of the handle does not detach it. Returns what the scope waits for.
    pub(super) fn leave_to_scope(&mut self) -> Arc<Record> {
        self.scoped = true;
        Arc::clone(&self.record)
    }

    /// Its pid, as in [`std::process::id`]. It may belong to another process once the child was joined.
    pub fn pid(&self) -> u32 {
        self.record.process().pid()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.record.process().name()
    }

    /// Whether it still runs. Does not wait, and reaps nothing.
    pub fn is_alive(&self) -> bool {
        self.record.is_alive()
    }

    /// Whether it is stopped, by SIGSTOP and its like.
    pub(crate) fn is_stopped(&self) -> bool {
        self.record.is_stopped()
    }

    /// How it ended; `None` while it runs. Does not wait. It reaps the child, and leaves the result to be joined.
    ///
    /// # Errors
    /// [`ExitLost`](crate::ErrorKind::ExitLost) if somebody else has reaped the child and it left no word;
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if it is not this process's child.
    pub fn exit(&self) -> Result<Option<Exit>> {
        if !self.record.try_wait()? {
            return Ok(None);
        }
        family::lock().remove(&self.record);
        self.record.say_end();
        self.record.exit().map(Some)
    }

    /// Asks it to end: SIGTERM. A child that inherited a handler for it, or blocks it, does not end.
    ///
    /// # Errors
    /// If this process may not send signals to it (it has changed its user). None if it has ended already.
    ///
    /// ```
    /// # fn main() -> offspring::Result<()> {
    /// use offspring::{Exit, Signal, spawn};
    /// let child = spawn(|| -> () { loop { std::thread::park() } })?;
    /// child.terminate()?;
    /// assert_eq!(child.join().unwrap_err().exit(), Some(&Exit::Signal(Signal::TERM)));
    /// # Ok(()) }
    /// ```
    pub fn terminate(&self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// Ends it at once: SIGKILL.
    ///
    /// # Errors
    /// As [`terminate`](Self::terminate).
    pub fn kill(&self) -> Result<()> {
        self.signal(Signal::KILL)
    }

    /// Sends it a signal. Nothing happens if it has ended, joined or not.
    ///
    /// # Errors
    /// As [`terminate`](Self::terminate).
    ///
    /// ```
    /// # fn main() -> offspring::Result<()> {
    /// use offspring::{Signal, spawn};
    /// let child = spawn(|| 7)?;
    /// child.signal(Signal::STOP)?; // it holds still, if it has not ended yet
    /// child.signal(Signal::CONT)?;
    /// assert_eq!(child.join().unwrap(), 7);
    /// # Ok(()) }
    /// ```
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.record.signal(signal)
    }
}

impl<R: DeserializeOwned> Child<R> {
    /// Waits until the child has ended, for ever if need be, and gives what its closure returned.
    ///
    /// # Errors
    /// [`JoinError::Exited`] if it ended without a result: by a panic, a signal, `exit`. [`JoinError::Failed`] for the rest.
    pub fn join(self) -> std::result::Result<R, JoinError> {
        match self.answer(self.record.wait()) {
            Some(result) => result,
            None => unreachable!("a wait without a deadline ended before the child did"),
        }
    }

    /// As [`join`](Self::join), if the child has ended; `None` while it runs.
    ///
    /// The result is given once: a join after one that gave `Some` is an error. This holds for the three that follow.
    ///
    /// ```
    /// # fn main() -> offspring::Result<()> {
    /// let child = offspring::spawn(|| 7)?;
    /// let result = loop {
    ///     match child.try_join() {
    ///         Some(result) => break result,
    ///         None => std::thread::yield_now(), // something useful
    ///     }
    /// };
    /// assert_eq!(result.unwrap(), 7);
    /// # Ok(()) }
    /// ```
    pub fn try_join(&self) -> Option<std::result::Result<R, JoinError>> {
        self.answer(self.record.try_wait())
    }

    /// As [`join`](Self::join), but waits no longer than `timeout`: then `None`, and the handle is as good as before.
    ///
    /// ```
    /// # fn main() -> offspring::Result<()> {
    /// use std::time::Duration;
    /// let child = offspring::spawn::<_, ()>(|| loop { std::thread::park() })?;
    /// assert!(child.join_timeout(Duration::from_millis(1)).is_none());
    /// child.kill()?;
    /// let error = child.join().unwrap_err();
    /// assert!(error.to_string().starts_with("join: the child was ended by SIGKILL"));
    /// # Ok(()) }
    /// ```
    pub fn join_timeout(&self, timeout: Duration) -> Option<std::result::Result<R, JoinError>> {
        self.join_by(Deadline::after(timeout))
    }

    /// As [`join_timeout`](Self::join_timeout), with an instant.
    pub fn join_deadline(&self, deadline: Instant) -> Option<std::result::Result<R, JoinError>> {
        self.join_by(Deadline::at(deadline))
    }

    fn join_by(&self, deadline: Deadline) -> Option<std::result::Result<R, JoinError>> {
        self.answer(self.record.wait_until(deadline))
    }

    fn answer(&self, ended: Result<bool>) -> Option<std::result::Result<R, JoinError>> {
        match ended {
            Ok(false) => None,
            Ok(true) => {
                family::lock().remove(&self.record);
                self.record.say_end();
                Some(self.record.take())
            }
            Err(error) => Some(Err(JoinError::Failed(error))),
        }
    }
}

impl<R> Drop for Child<R> {
    fn drop(&mut self) {
        if self.scoped || !self.record.is_own() || self.record.has_been_reaped() {
            return;
        }
        self.record.detach();
        family::lock().sweep();
        family::say_departed();
    }
}

impl<R> AsFd for Child<R> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.record.as_fd()
    }
}

/// For tokio's `AsyncFd`. The descriptor is open, and the same, as long as this lives.
impl<R> AsRawFd for Child<R> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl<R> fmt::Debug for Child<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child").field("pid", &self.pid()).field("name", &self.name()).finish()
    }
}

const _: () = {
    const fn works_from_several_threads<T: Send + Sync>() {}
    // `Cell` is neither; the result is made by whoever joins.
    works_from_several_threads::<Child<std::cell::Cell<u8>>>();
};
