//! A pool's options, and its start.

#![expect(unsafe_code, reason = "the caller may answer for the other threads")]

use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind, Result};
use crate::pool::Pool;
use crate::pool::desk::{Desk, PLENTY_WITHIN};
use crate::pool::owner::Owner;
use crate::pool::passage::{self, Code, NO_CODE};
use crate::pool::plan::{Initializer, Plan, Restarts};
use crate::pool::shop::{Shop, Stock};
use crate::pool::supervisor::supervise;
use crate::pool::word::ATTEMPTS_MAX;
use crate::process::{Builder, Child, ForkServer, available_workers};
use crate::sys::poll;
use std::fmt;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// Options of a [`Pool`].
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// use std::time::Duration;
/// let pool = offspring::Pool::builder()
///     .workers(2)
///     .name("squares")
///     .max_tasks_per_worker(1000)
///     .drop_timeout(Duration::from_secs(5))
///     .build()?;
/// assert_eq!(pool.map(|n: u32| n * n, 0..4).unwrap(), [0, 1, 4, 9]);
/// # Ok(()) }
/// ```
///
/// Workers that are forked when there is work, and end when there is none; each has read its dictionary before its first task, and may not
/// map more than a gibibyte besides:
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// use std::sync::OnceLock;
/// use std::time::Duration;
/// static WORDS: OnceLock<Vec<&str>> = OnceLock::new();
/// let pool = offspring::Pool::builder()
///     .workers(2)
///     .capacity(64)
///     .initializer(|| WORDS.set(vec!["to", "be"]).unwrap())
///     .start_on_demand(true)
///     .idle_timeout(Duration::from_secs(30))
///     .restart_limit(3, Duration::from_secs(60))
///     .memory_limit_per_worker(1 << 30)
///     .build()?;
/// let is_known = |word: String| WORDS.get().unwrap().contains(&word.as_str());
/// assert_eq!(pool.map(is_known, ["be", "is"].map(String::from)).unwrap(), [true, false]);
/// # Ok(()) }
/// ```
#[must_use = "a builder does nothing until `build`"]
pub struct PoolBuilder {
    workers: Option<usize>,
    capacity: usize,
    name: Option<String>,
    plan: Plan,
    allow_threads: bool,
    server: Option<ForkServer>,
    drop_timeout: Duration,
}

static POOLS: AtomicU32 = AtomicU32::new(0);

/// How many tasks can be queued or running, unless the builder says otherwise.
const CAPACITY: usize = 256;
/// More slots could not be counted in the ring and the file.
const CAPACITY_MAX: usize = 1 << 16;
const WORKERS_MAX: usize = 4096;

impl PoolBuilder {
    pub(super) fn new() -> PoolBuilder {
        let plan = Plan {
            name: String::new(),
            initializer: None,
            max_tasks: None,
            idle_timeout: None,
            on_demand: false,
            restarts: Restarts { intensity: 5, period: Duration::from_secs(10) },
            memory_bytes: None,
        };
        PoolBuilder {
            workers: None,
            capacity: CAPACITY,
            name: None,
            plan,
            allow_threads: false,
            server: None,
            drop_timeout: Duration::from_secs(60),
        }
    }

    /// How many workers; [`available_workers`] if not set.
    pub fn workers(mut self, workers: usize) -> PoolBuilder {
        self.workers = Some(workers);
        self
    }

    /// How many tasks can be queued or running at once (256 if not set): a submit beyond that blocks. Each takes 512 bytes of shared memory;
    /// arguments and results of more than 224 bytes take what they need besides.
    pub fn capacity(mut self, tasks: usize) -> PoolBuilder {
        self.capacity = tasks;
        self
    }

    /// Names the pool; its workers are `name-1`, `name-2`, … A worker that replaces another has the next number.
    pub fn name(mut self, name: impl Into<String>) -> PoolBuilder {
        self.name = Some(name.into());
        self
    }

    /// Runs first in every worker. It may capture anything, as the client has it now (nothing, with a
    /// [fork server](Self::fork_server)). If it panics, the worker ends and is replaced, within
    /// the [restart limit](Self::restart_limit); beyond that the pool fails, and its tasks' errors say what the panic said.
    pub fn initializer(mut self, initializer: impl Fn() + Send + Sync + 'static) -> PoolBuilder {
        self.plan.initializer = Some(Initializer::new(initializer));
        self
    }

    /// Replaces a worker after it has done so many tasks (a chunk of a `map` counts as one).
    pub fn max_tasks_per_worker(mut self, tasks: u64) -> PoolBuilder {
        self.plan.max_tasks = Some(tasks);
        self
    }

    /// Lets a worker end that had nothing to do for so long. It is replaced when there is something to do.
    pub fn idle_timeout(mut self, timeout: Duration) -> PoolBuilder {
        self.plan.idle_timeout = Some(timeout);
        self.start_on_demand(true)
    }

    /// Forks workers when there is something to do, and not before.
    pub fn start_on_demand(mut self, on_demand: bool) -> PoolBuilder {
        self.plan.on_demand = on_demand;
        self
    }

    /// How many workers that died *without a task to blame* (idle, or in the initialiser) are replaced within `period`: 5 in 10 s if not
    /// set. One more, and the pool fails. From the second one in a row that has not done any task, forks are delayed: 10 ms, 20 ms, … up to a second. A worker that
    /// dies with a task is replaced at once and without limit; that task's attempts are what is limited.
    pub fn restart_limit(mut self, intensity: u32, period: Duration) -> PoolBuilder {
        self.plan.restarts = Restarts { intensity, period };
        self
    }

    /// How many bytes each worker may map beyond what it has when its first task begins (RLIMIT_AS). An allocation beyond that fails, which
    /// aborts the worker unless the code handles it.
    pub fn memory_limit_per_worker(mut self, bytes: u64) -> PoolBuilder {
        self.plan.memory_bytes = Some(bytes);
        self
    }

    /// How long a drop of the pool waits for its tasks before it terminates the workers; 60 s if not set.
    pub fn drop_timeout(mut self, timeout: Duration) -> PoolBuilder {
        self.drop_timeout = timeout;
        self
    }

    /// Has the pool's processes come from a fork server: then it is made by any thread at any time, and they are as small as this process was
    /// when the server started, however large it is by now; those that replace others, too.
    ///
    /// - **What the workers have** is what [a child of a fork server](ForkServer#what-a-child-of-a-fork-server-has) has: statics, environment,
    ///   descriptors as of the server's start, and the functions that the program had then. What a task needs besides travels in its argument.
    /// - **The initializer** must capture nothing.
    /// - **The server** is asked once, by `build`, for the supervisor, which is a child of this process and forks the workers. If it has died
    ///   before, it is started anew or the error is [`ServerDied`](ErrorKind::ServerDied), see [`ForkServer`]. What becomes of it later is nothing
    ///   to the pool.
    ///
    /// ```
    /// # fn main() -> offspring::Result<()> {
    /// use offspring::{ForkServer, Pool};
    /// // First thing, while there is one thread and little memory.
    /// let server = ForkServer::start()?;
    /// let sum = std::thread::scope(|threads| {
    ///     threads.spawn(|| {
    ///         let pool = Pool::builder().workers(2).fork_server(&server).build().unwrap();
    ///         pool.map(|n: u64| n * n, 1..=10).unwrap().into_iter().sum::<u64>()
    ///     }).join().unwrap()
    /// });
    /// assert_eq!(sum, 385);
    /// # Ok(()) }
    /// ```
    pub fn fork_server(mut self, server: &ForkServer) -> PoolBuilder {
        self.server = Some(server.clone());
        self
    }

    /// Starts the pool although this process has other threads. With a [fork server](Self::fork_server) it does so anyway.
    ///
    /// # Safety
    /// As for [`Builder::allow_threads`]; the workers and all code that they run are the child.
    pub unsafe fn allow_threads(mut self) -> PoolBuilder {
        self.allow_threads = true;
        self
    }

    /// Starts the pool: forks its supervisor, which forks the workers. Returns without waiting for them.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for no worker or more than 4096, and for a capacity of 0 or above 65,536; otherwise as
    /// [`spawn`](crate::spawn), in particular [`MultiThreaded`](ErrorKind::MultiThreaded). With a fork server as
    /// [`ForkServer::spawn`], and `InvalidInput` also for an initializer that captures something.
    pub fn build(self) -> Result<Pool> {
        let workers = self.workers.unwrap_or_else(available_workers);
        let name = self
            .name
            .clone()
            .unwrap_or_else(|| format!("pool-{}", POOLS.fetch_add(1, Ordering::Relaxed) + 1));
        check("workers", workers, WORKERS_MAX, &name)?;
        check("tasks", self.capacity, CAPACITY_MAX, &name)?;
        let owner = Owner::this()?;
        let plan = Plan { name: name.clone(), ..self.plan };
        let on_demand = plan.on_demand;
        let mut builder = Builder::new().name(format!("{name}-supervisor"));
        if self.allow_threads {
            // SAFETY: the caller of our `allow_threads` answers for them.
            builder = unsafe { builder.allow_threads() };
        }
        let (shop, supervisor) = match &self.server {
            None => {
                let shop = Arc::new(Shop::new(self.capacity, workers, &name)?);
                let theirs = (Arc::clone(&shop), Arc::new(plan));
                let supervisor = builder.spawn(move || supervise(&theirs.0, &theirs.1))?;
                (shop, supervisor)
            }
            Some(server) => {
                let stock = Stock::new(self.capacity, workers);
                passage::open(server, builder, &plan, stock, workers)?
            }
        };
        let supervisor = await_seated(&shop, supervisor, &name)?;
        let code = self.server.map_or(Code::everywhere(), |_| Code::read(&shop));
        let (desk, supervisor) =
            (Arc::new(Desk::new(shop, owner, PLENTY_WITHIN)), Mutex::new(Some(supervisor)));
        let news = OnceLock::new();
        Ok(Pool { desk, supervisor, news, name, code, on_demand, drop_timeout: self.drop_timeout })
    }
}

/// Waits until the supervisor sits: who sleeps watches its life, and it says itself under which number. That is one of the first
/// things that it does.
fn await_seated(shop: &Shop, supervisor: Child<()>, name: &str) -> Result<Child<()>> {
    let fds = [shop.told.as_fd(), supervisor.as_fd()];
    // Asleep, for the supervisor may need this CPU. Where that fails, by looking again and again.
    while !poll::readable(&fds, Deadline::NEVER).is_ok_and(|ready| ready.contains(&0)) {
        if supervisor.is_alive() {
            continue;
        }
        if shop.head.supervisor.load(Ordering::Acquire) != 0 {
            // It sat, and the pool is over already. Its tasks will tell.
            break;
        }
        let (kind, detail) = match supervisor.join() {
            Ok(()) => (ErrorKind::InvalidInput, format!("its initializer: {NO_CODE}")),
            Err(error) => (ErrorKind::Os, format!("its supervisor ended before it began: {error}")),
        };
        return Err(Error::new(kind, "start", name.to_owned(), detail));
    }
    shop.told.silence();
    Ok(supervisor)
}

fn check(what: &str, number: usize, max: usize, name: &str) -> Result<()> {
    if (1..=max).contains(&number) {
        return Ok(());
    }
    let detail = format!("the number of {what} is from 1 to {max}, not {number}");
    Err(Error::new(ErrorKind::InvalidInput, "start", name.to_owned(), detail))
}

/// How often a task may be begun.
pub(super) fn attempts(retries: u32) -> u32 {
    retries.saturating_add(1).min(ATTEMPTS_MAX)
}

impl fmt::Debug for PoolBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("PoolBuilder");
        debug
            .field("workers", &self.workers)
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}
