//! How a pool ends, and how it changes its size.

use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind, Result};
use crate::pool::Pool;
use crate::pool::desk::Desk;
use crate::pool::error::failure_text;
use crate::pool::shop::{Failure, Mode};
use crate::pool::word::Kind;
use crate::shm::roster;
use crate::sync::linux::Linux;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long workers have between SIGTERM and SIGKILL if nobody says otherwise.
const GRACE: Duration = Duration::from_secs(1);
/// How long the supervisor has to take note of the end of workers that were killed.
const LAST_PATIENCE: Duration = Duration::from_secs(10);

impl Pool {
    /// Takes nothing more, waits until all that is queued is done, and until workers and supervisor have ended. As long as that takes: a task
    /// that never ends wants [`shutdown_timeout`](Self::shutdown_timeout), or a deadline of its own.
    ///
    /// # Errors
    /// If the pool has failed; the tasks have told that, too.
    ///
    /// ```
    /// # fn main() -> offspring::Result<()> {
    /// let pool = offspring::Pool::new(2)?;
    /// let task = pool.submit(|n: u32| n + 1, 1)?;
    /// pool.shutdown()?;
    /// assert_eq!(task.wait().unwrap(), 2);
    /// # Ok(()) }
    /// ```
    pub fn shutdown(self) -> Result<()> {
        self.close(Mode::Closing);
        self.join(Deadline::NEVER)
    }

    /// As [`shutdown`](Self::shutdown) for at most `timeout`; what is not done then is cancelled, and the workers are terminated.
    ///
    /// # Errors
    /// As [`shutdown`](Self::shutdown).
    pub fn shutdown_timeout(self, timeout: Duration) -> Result<()> {
        self.end(Mode::Closing, timeout)
    }

    /// As [`shutdown`](Self::shutdown), but what is queued and has not begun is cancelled. Waits for what runs, as long as that takes.
    ///
    /// # Errors
    /// As [`shutdown`](Self::shutdown).
    ///
    /// ```
    /// # fn main() -> offspring::Result<()> {
    /// use offspring::pool::TaskError;
    /// use offspring::{Event, Pool, Shared};
    /// static BEGUN: std::sync::OnceLock<Shared<Event>> = std::sync::OnceLock::new();
    /// let begun = BEGUN.get_or_init(|| Shared::new(Event::new()).unwrap());
    /// let pool = Pool::new(1)?;
    /// let runs = pool.submit(|()| BEGUN.get().unwrap().set(), ())?;
    /// begun.wait();
    /// let queued = pool.submit_all(|n: u32| n, 0..100)?;
    /// pool.shutdown_now()?;
    /// runs.wait().unwrap();
    /// assert!(queued.into_iter().all(|task| matches!(task.wait(), Ok(_) | Err(TaskError::Cancelled))));
    /// # Ok(()) }
    /// ```
    pub fn shutdown_now(self) -> Result<()> {
        self.close(Mode::ClosingNow);
        self.join(Deadline::NEVER)
    }

    /// As [`shutdown_now`](Self::shutdown_now) for at most `timeout`; what still runs then is cancelled, and the workers are terminated.
    ///
    /// # Errors
    /// As [`shutdown`](Self::shutdown).
    pub fn shutdown_now_timeout(self, timeout: Duration) -> Result<()> {
        self.end(Mode::ClosingNow, timeout)
    }

    /// Cancels everything and ends the workers: SIGTERM, and SIGKILL for those that live after `grace`. A task's code that catches or blocks SIGTERM
    /// has that time to end in order; what it returns is dropped.
    ///
    /// # Errors
    /// As [`shutdown`](Self::shutdown).
    ///
    /// ```
    /// # fn main() -> offspring::Result<()> {
    /// use offspring::pool::TaskError;
    /// let pool = offspring::Pool::new(1)?;
    /// let task = pool.submit(|()| -> () { loop { std::thread::park() } }, ())?;
    /// pool.terminate(std::time::Duration::from_secs(1))?;
    /// assert!(matches!(task.wait(), Err(TaskError::Cancelled)));
    /// # Ok(()) }
    /// ```
    pub fn terminate(self, grace: Duration) -> Result<()> {
        self.terminate_within(grace)
    }

    /// Changes the number of workers. Those that are too many end when they have done their task.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for none, for more than 256 and more than there were at the beginning, and in another process.
    ///
    /// ```
    /// # fn main() -> offspring::Result<()> {
    /// let pool = offspring::Pool::new(1)?;
    /// pool.resize(3)?;
    /// assert_eq!(pool.map(|n: u32| n, 0..10).unwrap().len(), 10);
    /// assert!(pool.resize(0).is_err());
    /// # Ok(()) }
    /// ```
    pub fn resize(&self, workers: usize) -> Result<()> {
        self.check_owner()?;
        let shop = &self.desk.shop;
        if workers == 0 || workers > shop.seats.len() {
            let detail = format!("from 1 to {} workers, not {workers}", shop.seats.len());
            return Err(Error::new(ErrorKind::InvalidInput, "resize", self.name.clone(), detail));
        }
        let workers = workers as u32;
        let before = shop.head.target.swap(workers, Ordering::SeqCst);
        if let Some(fewer) = before.checked_sub(workers).filter(|&fewer| fewer > 0) {
            shop.head.retire.fetch_add(fewer, Ordering::SeqCst);
            shop.nudge(roster::me(), &self.desk.pacer, fewer);
        }
        shop.bell.ring();
        Ok(())
    }

    fn close(&self, mode: Mode) {
        close(&self.desk, mode);
        if mode == Mode::ClosingNow && self.desk.is_own() {
            self.desk.shop.resolve_all(Kind::Cancelled, false);
        }
    }

    /// Waits for the supervisor's end, and kills it at the deadline.
    fn join(&self, deadline: Deadline) -> Result<()> {
        let mut supervisor = self.supervisor.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(child) = supervisor.take().filter(|_| self.desk.is_own()) else { return Ok(()) };
        let timeout = deadline.remaining().unwrap_or(Duration::MAX);
        let end = child.join_timeout(timeout);
        let shop = &self.desk.shop;
        if end.is_none() {
            shop.fail(Failure::Supervisor);
            child.kill()?;
            let _ = child.join_timeout(LAST_PATIENCE);
        }
        let is_well = matches!(end, Some(Ok(())));
        if !is_well {
            shop.fail(Failure::Supervisor);
        }
        // After a good end there is nothing left to resolve.
        shop.resolve_all(Kind::Broken, true);
        self.dispatch();
        match shop.failure() {
            Some(_) if !(is_well && shop.failure() == Some(Failure::Supervisor)) => {
                let detail = format!("the pool has failed: {}", failure_text(shop));
                Err(Error::new(ErrorKind::Closed, "shut down", self.name.clone(), detail))
            }
            _ => Ok(()),
        }
    }

    fn is_joined(&self) -> bool {
        self.supervisor.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Whether the supervisor ends within the time.
    fn ends_within(&self, timeout: Duration) -> bool {
        let supervisor = self.supervisor.lock().unwrap_or_else(PoisonError::into_inner);
        match supervisor.as_ref() {
            None => true,
            Some(child) => matches!(
                crate::sys::poll::is_readable(
                    std::os::fd::AsFd::as_fd(child),
                    Deadline::after(timeout)
                ),
                Ok(true)
            ),
        }
    }

    fn end(&self, mode: Mode, timeout: Duration) -> Result<()> {
        self.close(mode);
        match self.ends_within(timeout) {
            true => self.join(Deadline::NEVER),
            false => self.terminate_within(GRACE),
        }
    }

    fn terminate_within(&self, grace: Duration) -> Result<()> {
        if !self.desk.is_own() {
            return Ok(());
        }
        stop(&self.desk, grace);
        self.join(Deadline::after(grace.saturating_add(LAST_PATIENCE)))
    }
}

fn close(desk: &Desk, mode: Mode) {
    if !desk.is_own() {
        return;
    }
    let shop = &desk.shop;
    shop.head.mode.fetch_max(mode as u32, Ordering::SeqCst);
    // Closing takes an entry in the roster, for the alarm.
    roster::me();
    shop.ring.close(&Linux);
    shop.bell.ring();
}

/// Cancels everything and has the workers ended, without waiting for that.
pub(super) fn stop(desk: &Desk, grace: Duration) {
    if !desk.is_own() {
        return;
    }
    let shop = &desk.shop;
    let grace = u64::try_from(grace.as_nanos()).unwrap_or(u64::MAX / 2);
    shop.head.grace_ends.fetch_min(shop.now().saturating_add(grace), Ordering::SeqCst);
    // P6: nothing is queued any more when the mode says that all is over, and the mode says so before a task is cancelled for it.
    close(desk, Mode::Closing);
    shop.head.mode.fetch_max(Mode::Terminating as u32, Ordering::SeqCst);
    shop.resolve_all(Kind::Cancelled, true);
    shop.bell.ring();
}

impl Drop for Pool {
    fn drop(&mut self) {
        if !self.desk.is_own() || self.is_joined() {
            return;
        }
        // What is wrong was told to those who wait for tasks.
        let _ = match std::thread::panicking() {
            false => self.end(Mode::Closing, self.drop_timeout),
            true => self.terminate_within(Duration::ZERO),
        };
    }
}
