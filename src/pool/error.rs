//! Why a task has no result.

use crate::deadline::Deadline;
use crate::pool::morgue;
use crate::pool::shop::{Failure, Shop};
use crate::process::{Exit, PanicReport, PostMortem};
use crate::shm::roster;
use crate::sys::Errno;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Why a task of a [`Pool`](crate::Pool) has no result. Every task has exactly one outcome: its result, or one of these.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TaskError {
    /// The function panicked (or the drop of its argument or result did). Its worker lives on.
    Panicked(PanicReport),
    /// The worker that ran it died: killed by a signal, aborted, exited; as often as the task had attempts.
    WorkerDied(WorkerDeath),
    /// Its deadline passed, before or while it ran. A worker that ran it was killed.
    TimedOut,
    /// It was cancelled, or the pool was shut down before it ran. A worker that ran it was killed.
    Cancelled,
    /// Its result could not be encoded.
    Encode(String),
    /// Its argument could not be decoded in the worker, or its result here.
    Decode(String),
    /// There was no memory for its result.
    OutOfMemory(String),
    /// The pool has failed: its supervisor was killed, or its workers died again and again without a task to blame.
    PoolFailed(String),
    /// It was not submitted, for a reason that `submit` would have given as an error.
    NotSubmitted(String),
    /// The result was taken by an earlier call.
    Taken,
}

impl TaskError {
    /// The panic, if that is why there is no result.
    pub fn panic(&self) -> Option<&PanicReport> {
        match self {
            TaskError::Panicked(report) => Some(report),
            _ => None,
        }
    }

    /// The worker's death, if that is why there is no result.
    pub fn worker_death(&self) -> Option<&WorkerDeath> {
        match self {
            TaskError::WorkerDied(death) => Some(death),
            _ => None,
        }
    }

    pub(super) fn unwritable(number: &[u8]) -> TaskError {
        let number = number.first_chunk().map_or(0, |bytes| i32::from_ne_bytes(*bytes));
        TaskError::OutOfMemory(Errno::from_raw(number).to_string())
    }

    /// For a task that nobody will do any more.
    pub(super) fn pool_failed(shop: &Shop) -> TaskError {
        TaskError::PoolFailed(failure_text(shop))
    }
}

/// Why the pool has failed.
pub(super) fn failure_text(shop: &Shop) -> String {
    let blame = shop.head.blame.load(Ordering::Relaxed);
    match shop.failure() {
        Some(Failure::Restarts) => {
            "too many workers died without a task, one after the other".to_owned()
        }
        Some(Failure::Initializer) => {
            let bytes = shop.seat(blame).report_bytes.load(Ordering::Acquire) as usize;
            let mut report = vec![0; bytes];
            let read = shop.annex.read_report(blame, &mut report);
            let report = postcard::from_bytes::<PanicReport>(&report);
            match (read, report) {
                (Ok(()), Ok(report)) => format!("the initializer panicked in {report}"),
                _ => "the initializer panicked".to_owned(),
            }
        }
        Some(Failure::Fork) => {
            format!("a worker could not be forked: {}", Errno::from_raw(blame.cast_signed()))
        }
        Some(Failure::Supervisor) | None => "its supervisor is gone".to_owned(),
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TaskError::Panicked(report) => write!(f, "the task panicked in {report}"),
            TaskError::WorkerDied(death) => death.fmt(f),
            TaskError::TimedOut => f.write_str("the task's deadline has passed"),
            TaskError::Cancelled => f.write_str("the task was cancelled"),
            TaskError::Encode(text) => write!(f, "the task's result: {text}"),
            TaskError::Decode(text) => write!(f, "the task's argument or result: {text}"),
            TaskError::OutOfMemory(text) => write!(f, "no memory for the task's result: {text}"),
            TaskError::PoolFailed(text) => write!(f, "the pool has failed: {text}"),
            TaskError::NotSubmitted(text) => write!(f, "the task was not submitted: {text}"),
            TaskError::Taken => f.write_str("the task's result was taken by an earlier call"),
        }
    }
}

impl std::error::Error for TaskError {}

/// The death of a worker in the middle of a task.
///
/// The news of a death comes from the kernel at once; how it came about can be asked when the dead process has been taken apart,
/// which takes a few hundred microseconds, or some 40 ms for a gibibyte.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// use offspring::{Exit, Signal};
/// let pool = offspring::Pool::new(1)?;
/// let task = pool.submit(|()| -> () { std::process::abort() }, ())?;
/// let error = task.wait().unwrap_err();
/// let death = error.worker_death().unwrap();
/// assert_eq!((death.exit(), death.attempts()), (Some(Exit::Signal(Signal::ABRT)), 1));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct WorkerDeath {
    shop: Arc<Shop>,
    worker: u32,
    attempts: u32,
    /// The type of the task's function.
    task: &'static str,
}

/// How long `exit` waits at most: a process that is stuck in the kernel cannot be reaped.
const EXIT_PATIENCE: Duration = Duration::from_secs(10);

impl WorkerDeath {
    pub(super) fn new(
        shop: &Arc<Shop>,
        worker: u32,
        attempts: u32,
        task: &'static str,
    ) -> WorkerDeath {
        WorkerDeath { shop: Arc::clone(shop), worker, attempts, task }
    }

    /// How the worker ended. Waits until it has been reaped (10 s at most); `None` if nobody could tell any more: the supervisor is
    /// gone, or hundreds of workers have died since.
    pub fn exit(&self) -> Option<Exit> {
        morgue::exit_of(&self.shop, self.worker, Deadline::after(EXIT_PATIENCE))
    }

    /// The type of the task's function, as the compiler names it: `my_crate::crunch`.
    pub fn task(&self) -> &str {
        self.task
    }

    /// What the worker left behind: its last log lines, the fault that it met. Waits as [`exit`](Self::exit) does.
    pub fn post_mortem(&self) -> Option<PostMortem> {
        self.exit()?;
        self.post_mortem_now()
    }

    fn post_mortem_now(&self) -> Option<PostMortem> {
        morgue::post_mortem_of(&self.shop, self.worker)
            .map(|post_mortem| post_mortem.of_task(self.task))
    }

    /// How often the task was begun: as often a worker died with it.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The last worker's pid, unless it died long ago.
    pub fn pid(&self) -> Option<u32> {
        roster::describe(self.worker).map(|(pid, _)| pid)
    }
}

impl fmt::Display for WorkerDeath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match roster::describe(self.worker) {
            Some((pid, name)) => write!(f, "the worker {name} (pid {pid}) died with the task")?,
            None => f.write_str("a worker died with the task")?,
        }
        write!(f, " {}", self.task)?;
        if self.attempts > 1 {
            write!(f, ", in its attempt {}", self.attempts)?;
        }
        let Some(exit) = morgue::exit_of(&self.shop, self.worker, Deadline::after(Duration::ZERO))
        else {
            return Ok(());
        };
        write!(f, ": it {exit}")?;
        match self.post_mortem_now() {
            // The task was named above.
            Some(post_mortem) => post_mortem.of_task("").describe(Some(&exit), f),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for WorkerDeath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("WorkerDeath");
        debug.field("pid", &self.pid()).field("attempts", &self.attempts).finish_non_exhaustive()
    }
}
