//! The pool's handle, and how a task gets into it.

use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind, Result};
use crate::pool::builder::{PoolBuilder, attempts};
use crate::pool::desk::{Closed, Desk, Ticket};
use crate::pool::error::{TaskError, failure_text};
use crate::pool::future::Callback;
use crate::pool::job::{self, Job};
use crate::pool::passage::{Code, NO_CODE};
use crate::pool::slot::{POLLER, Part};
use crate::pool::task::Task;
use crate::pool::wire;
use crate::pool::word::Kind;
use crate::process::Child;
use crate::shm::roster;
use crate::sys::epoll::AnyOf;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::type_name;
use std::cell::Cell;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

/// Worker processes that run functions on arguments: the crate's answer to Python's `Pool` and `ProcessPoolExecutor`.
///
/// - **Function**: a fn item, or a closure that captures nothing; anything else does not compile. The workers are forks, and have every
///   function that this program had when the pool was made (not those of libraries that were loaded later).
/// - **Arguments and results** are any serde types, encoded with [`postcard`](https://docs.rs/postcard); vectors of numbers travel as they are. They have
///   no limit of size but the machine's memory.
/// - **One outcome a task**: a value or a [`TaskError`]. A panic is an error of its task, and the worker lives on. The death of a worker, in any
///   way, is an error of the one task that it ran; or that task is begun again, if it has [retries](TaskOptions::retries). The worker is
///   replaced. Code that panics where Rust does not unwind (in the drop of a thread's local value, in a drop during a panic) aborts its worker.
/// - **Stopped workers** (SIGSTOP): a task with a [deadline](TaskOptions::deadline) is timed out in time, queued or running, and the worker that
///   was in its way is killed and replaced. Without a deadline, it is waited for.
/// - **Back-pressure**: at most [`capacity`](PoolBuilder::capacity) tasks are queued or running; a submit beyond that blocks.
/// - **End**: dropping the pool finishes what is queued, see [`shutdown`](Self::shutdown). If this process dies in any way, its pool is killed.
/// - **Processes**: a supervisor besides the workers. The workers ignore SIGINT, so that Ctrl-C is this process's to handle: see
///   [`Stopper`](crate::pool::Stopper). If the supervisor is killed, the workers are, too; every task still has its outcome
///   ([`TaskError::PoolFailed`]), and a new pool must be made.
/// - **Threads**: any number of threads may use a pool. It must be made while this process has one thread, as for [`spawn`](crate::spawn);
///   by a [fork server](PoolBuilder::fork_server) any thread makes one at any time.
/// - **Fork**: a child that inherits the handle cannot use it; its copy does nothing. A task may make a pool of its own.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// let pool = offspring::Pool::new(2)?;
/// let lengths = pool.map(|word: String| word.len(), ["to", "be"].map(String::from)).unwrap();
/// assert_eq!(lengths, [2, 2]);
///
/// let unlucky = pool.submit(|()| std::process::abort(), ())?;
/// let unlucky: offspring::Task<()> = unlucky;
/// let error = unlucky.wait().unwrap_err();
/// assert_eq!(error.worker_death().unwrap().exit().unwrap().to_string(), "was ended by SIGABRT");
/// assert_eq!(pool.apply(|(a, b)| a + b, (1, 2)).unwrap(), 3);
/// # Ok(()) }
/// ```
///
/// What captures does not compile:
///
/// ```compile_fail,E0080
/// # fn main() -> offspring::Result<()> {
/// let pool = offspring::Pool::new(1)?;
/// let factor = 3;
/// let task = pool.submit(move |n: u32| n * factor, 4)?;
/// # Ok(()) }
/// ```
pub struct Pool {
    pub(super) desk: Arc<Desk>,
    /// `None` once it has been joined.
    pub(super) supervisor: Mutex<Option<Child<()>>>,
    /// What pollers poll; made when somebody asks.
    pub(super) news: OnceLock<Option<AnyOf>>,
    pub(super) name: String,
    pub(super) code: Code,
    pub(super) on_demand: bool,
    pub(super) drop_timeout: Duration,
}

/// How a task is to be done; see [`Pool::submit_with`].
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// use offspring::pool::{TaskError, TaskOptions};
/// use std::time::Duration;
/// let pool = offspring::Pool::new(1)?;
/// let options = TaskOptions::new().timeout(Duration::from_millis(20)).retries(2);
/// let task = pool.submit_with(options, |()| -> () { loop { std::thread::park() } }, ())?;
/// assert!(matches!(task.wait(), Err(TaskError::TimedOut)));
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use = "options do nothing by themselves"]
pub struct TaskOptions {
    deadline: Option<Instant>,
    retries: u32,
}

impl TaskOptions {
    /// No deadline, no retries.
    pub fn new() -> TaskOptions {
        TaskOptions::default()
    }

    /// The task must be done at `deadline`, else it is [timed out](TaskError::TimedOut), whether it runs (its worker is killed then) or not.
    ///
    /// ```
    /// # fn main() -> offspring::Result<()> {
    /// use offspring::pool::TaskOptions;
    /// use std::time::{Duration, Instant};
    /// let pool = offspring::Pool::new(1)?;
    /// let tea_time = Instant::now() + Duration::from_secs(60);
    /// let options = TaskOptions::new().deadline(tea_time);
    /// assert_eq!(pool.submit_with(options, |n: u32| n + 1, 1)?.wait().unwrap(), 2);
    /// # Ok(()) }
    /// ```
    pub fn deadline(mut self, deadline: Instant) -> TaskOptions {
        self.deadline = Some(deadline);
        self
    }

    /// As [`deadline`](Self::deadline), from now on.
    pub fn timeout(mut self, timeout: Duration) -> TaskOptions {
        self.deadline = Instant::now().checked_add(timeout);
        self
    }

    /// How often the task is begun again if its worker dies (62 times at most): the function must bear that. Panics are not retried.
    pub fn retries(mut self, retries: u32) -> TaskOptions {
        self.retries = retries;
        self
    }
}

thread_local! {
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A buffer that became larger than this is not kept.
const SCRATCH_KEPT_BYTES: usize = 1 << 20;

impl Pool {
    /// A pool of so many workers, otherwise as [`builder`](Self::builder) has it.
    ///
    /// # Errors
    /// As [`PoolBuilder::build`].
    pub fn new(workers: usize) -> Result<Pool> {
        Pool::builder().workers(workers).build()
    }

    /// Options for a pool.
    pub fn builder() -> PoolBuilder {
        PoolBuilder::new()
    }

    /// Queues `f(argument)`. Blocks while as many tasks as the pool has [capacity](PoolBuilder::capacity) are queued or running.
    ///
    /// # Errors
    /// [`Encoding`](ErrorKind::Encoding) if the argument cannot be encoded, [`OutOfMemory`](ErrorKind::OutOfMemory) if there is no room for
    /// it, [`Closed`](ErrorKind::Closed) if the pool was shut down or has failed, [`InvalidInput`](ErrorKind::InvalidInput) in another process than
    /// the one that made the pool, and for a function of a library that was loaded after the start of the pool's
    /// [fork server](PoolBuilder::fork_server).
    pub fn submit<F, A, R>(&self, f: F, argument: A) -> Result<Task<R>>
    where
        F: Fn(A) -> R + Copy,
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        self.submit_with(TaskOptions::new(), f, argument)
    }

    /// As [`submit`](Self::submit), with options.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub fn submit_with<F, A, R>(&self, options: TaskOptions, f: F, argument: A) -> Result<Task<R>>
    where
        F: Fn(A) -> R + Copy,
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        let _ = f; // it has no bytes: its type says all
        self.check_owner()?;
        let job = job::call::<F, A, R>();
        let submit = |bytes: &[u8]| self.submit_ticket(options, job, bytes, None);
        let ticket = self.encoded(&argument, submit)??;
        Ok(Task::new(&self.desk, ticket))
    }

    /// Queues `f(argument)` for each argument; the tasks in their order. As [`submit`](Self::submit) in a loop: it blocks while the pool is full.
    /// For all the results at once there is [`map`](Self::map), which is faster.
    ///
    /// # Errors
    /// That of the first [`submit`](Self::submit) that failed. The tasks before it run; their outcomes are dropped.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = offspring::Pool::new(2)?;
    /// let tasks = pool.submit_all(|n: u32| 12 / n, [3, 0, 4])?;
    /// for (place, result) in offspring::pool::as_completed(tasks) {
    ///     match result {
    ///         Ok(quotient) => assert_eq!(quotient, [4, 0, 3][place]),
    ///         Err(error) => assert_eq!(error.panic().unwrap().message(), "attempt to divide by zero"),
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    pub fn submit_all<F, A, R>(
        &self,
        f: F,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Vec<Task<R>>>
    where
        F: Fn(A) -> R + Copy,
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        arguments.into_iter().map(|argument| self.submit(f, argument)).collect()
    }

    /// Runs `f(argument)` in a worker and waits for it.
    ///
    /// # Errors
    /// The task's; [`NotSubmitted`](TaskError::NotSubmitted) with the reason if it could not be submitted.
    pub fn apply<F, A, R>(&self, f: F, argument: A) -> std::result::Result<R, TaskError>
    where
        F: Fn(A) -> R + Copy,
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        match self.submit(f, argument) {
            Ok(task) => task.wait(),
            Err(error) => Err(TaskError::NotSubmitted(error.to_string())),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many workers the supervisor has forked and not reaped: right after the start, and while one is being replaced, fewer than there
    /// are to be.
    pub fn workers(&self) -> usize {
        self.desk.shop.head.living.load(Ordering::Relaxed) as usize
    }

    pub(super) fn encoded<A: Serialize, T>(
        &self,
        argument: &A,
        then: impl FnOnce(&[u8]) -> T,
    ) -> Result<T> {
        let mut buffer = SCRATCH.take();
        buffer.clear();
        let result = match wire::encode(argument, &mut buffer) {
            Ok(()) => Ok(then(&buffer)),
            Err(error) => {
                let object = format!("an argument of type {}", type_name::<A>());
                Err(Error::new(ErrorKind::Encoding, "encode", object, error.to_string()))
            }
        };
        if buffer.capacity() <= SCRATCH_KEPT_BYTES {
            SCRATCH.set(buffer);
        }
        result
    }

    /// Queues a job with an encoded argument.
    pub(super) fn submit_ticket(
        &self,
        options: TaskOptions,
        job: Job,
        argument: &[u8],
        callback: Option<Callback>,
    ) -> Result<Arc<Ticket>> {
        self.check_code(job)?;
        let index = match self.desk.take(Deadline::NEVER) {
            Ok(Some(index)) => index,
            Ok(None) | Err(Closed) => return Err(self.closed()),
        };
        self.fill(index, options, job, argument)?;
        let is_called = callback.is_some();
        let ticket = self.desk.issue(index, callback);
        if is_called {
            self.desk.slot_of(&ticket).watched.store(POLLER, Ordering::SeqCst);
        }
        self.commit(index);
        if self.enqueue(&[index]) {
            return Ok(ticket);
        }
        self.desk.note(&ticket, |notes| notes.callback = None);
        self.desk.forget(&ticket);
        Err(self.closed())
    }

    /// Puts an argument into a free slot; gives the slot back if there is no memory.
    pub(super) fn fill(
        &self,
        index: u32,
        options: TaskOptions,
        job: Job,
        argument: &[u8],
    ) -> Result<()> {
        self.prepare(index, options, job);
        let (shop, slot) = (&self.desk.shop, self.desk.shop.slot(index));
        slot.write(&shop.annex, index, Part::Argument, argument).map_err(|errno| {
            slot.in_ring.store(0, Ordering::Relaxed);
            self.desk.release(index);
            Error::os("make room for", format!("an argument of {} bytes", argument.len()), errno)
        })
    }

    /// Makes a free slot ready for a job, but for the argument.
    pub(super) fn prepare(&self, index: u32, options: TaskOptions, job: Job) {
        let shop = &self.desk.shop;
        let deadline = options.deadline.map_or(0, |deadline| shop.nanos_of(deadline));
        shop.slot(index).prepare(job.addresses(), deadline, attempts(options.retries));
        if deadline != 0 {
            shop.head.has_deadlines.store(1, Ordering::SeqCst);
        }
    }

    /// Makes a filled slot a task.
    pub(super) fn commit(&self, index: u32) {
        let slot = self.desk.shop.slot(index);
        slot.set(slot.word().as_kind(Kind::Queued));
    }

    /// Puts tasks into the ring, and tells the supervisor what it must know. False if the pool takes nothing: they are no tasks then.
    pub(super) fn enqueue(&self, slots: &[u32]) -> bool {
        let shop = &self.desk.shop;
        if !shop.enqueue(roster::me(), &self.desk.pacer, slots) {
            for &index in slots {
                let slot = shop.slot(index);
                let word = slot.word();
                // Whoever resolves everything may have been faster; the first ones may even be in the ring, and run.
                if word.kind == Kind::Queued {
                    slot.step(word, word.as_kind(Kind::Cancelled));
                }
                slot.in_ring.store(0, Ordering::Release);
            }
            return false;
        }
        if shop.head.has_deadlines.load(Ordering::Relaxed) != 0 {
            let planned = shop.head.planned.load(Ordering::SeqCst);
            let deadlines =
                slots.iter().map(|&slot| shop.slot(slot).deadline.load(Ordering::Relaxed));
            if deadlines.filter(|&deadline| deadline != 0).any(|deadline| deadline < planned) {
                shop.bell.ring();
            }
        }
        if self.on_demand {
            let (living, target) = (&shop.head.living, &shop.head.target);
            if living.load(Ordering::SeqCst) < target.load(Ordering::Relaxed)
                && !shop.ring.is_empty()
            {
                shop.bell.ring();
            }
        }
        true
    }

    pub(super) fn check_owner(&self) -> Result<()> {
        if self.desk.is_own() {
            return Ok(());
        }
        let detail =
            "the pool belongs to another process, of which this one is a fork; make a pool here";
        Err(Error::new(ErrorKind::InvalidInput, "submit to", self.name.clone(), detail))
    }

    /// Refuses what the workers have no code for.
    #[inline]
    pub(super) fn check_code(&self, job: Job) -> Result<()> {
        match job.addresses().into_iter().all(|address| self.code.has(address)) {
            true => Ok(()),
            false => Err(self.no_code()),
        }
    }

    #[cold]
    fn no_code(&self) -> Error {
        Error::new(ErrorKind::InvalidInput, "submit to", self.name.clone(), NO_CODE)
    }

    /// Why it takes nothing.
    pub(super) fn closed(&self) -> Error {
        let detail = match self.desk.shop.failure() {
            Some(_) => format!("the pool has failed: {}", failure_text(&self.desk.shop)),
            None => "it was shut down".to_owned(),
        };
        Error::new(ErrorKind::Closed, "submit to", self.name.clone(), detail)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Pool");
        debug.field("name", &self.name).field("workers", &self.workers()).finish_non_exhaustive()
    }
}
