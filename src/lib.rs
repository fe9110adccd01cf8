//! Fork-based multiprocessing for Linux: children that share locks, counters and queues in memory, and that may die at any
//! instruction without taking the others with them.
//!
//! ```
//! use offspring::{Counter, Shared, spawn};
//!
//! # fn main() -> offspring::Result<()> {
//! let total = Shared::new(Counter::new("total"))?;
//! let mut children = Vec::new();
//! for _ in 0..4 {
//!     children.push(spawn(|| (0..1000).for_each(|_| drop(total.add(1))))?);
//! }
//! for child in children {
//!     child.join().unwrap();
//! }
//! assert_eq!(total.get(), 4000);
//! # Ok(()) }
//! ```
//!
//! # Should I use this?
//!
//! | you want | use |
//! |---|---|
//! | parallel loops over data in memory, code that you trust | [`std::thread::scope`], or rayon: a thread costs a twentieth of a process |
//! | another program | [`std::process::Command`] |
//! | processes on other machines, or processes that do not know each other | sockets |
//! | portable code | not this: Linux alone |
//! | work that may crash, leak, be killed or hang, and must not take the program with it | **this** |
//! | libraries that are not thread-safe, or that lock globally, in parallel | **this** |
//! | a snapshot of a big state to work on while the original changes | **this**: fork copies lazily |
//! | locks and queues between processes at the speed of those between threads | **this** |
//!
//! # What there is
//!
//! | need | type | example |
//! |---|---|---|
//! | run a closure in a child, get its result | [`spawn`], [`Builder`], [`Child`] | `01_counter_race` |
//! | children that all end with a block | [`scope`] | [`scope`] |
//! | the results of many children | [`join_all`] | [`join_all`] |
//! | children of a big process, or of one with threads | [`ForkServer`] | [`ForkServer`] |
//! | memory that all see | [`Shared`], [`Region`] | `02_word_count` |
//! | a number that all add to | [`Counter`], std's atomics | `01_counter_race` |
//! | a value that one at a time may change | [`Mutex`], [`ReentrantMutex`] | `01_counter_race`, `03_crash`, `06_locks` |
//! | a value that many read and few change | [`RwLock`] | `06_locks` |
//! | a value that is computed once | [`OnceLock`] | `06_locks` |
//! | to wait until a value is as it should be | [`Condvar`] | `06_locks` |
//! | to wait for a signal, for permits, for each other | [`Event`], [`Semaphore`], [`Barrier`] | `06_locks` |
//! | a lock under guard types of your own | [`RawMutex`] | [`RawMutex`] |
//! | messages of any serde type, in order, from many to many | [`Queue`] | `04_queue` |
//! | big messages, without a copy | [`Queue::send_bytes`], [`Queue::recv_view`] | [`queue`] |
//! | plain values of fixed size at the highest rate | [`RingQueue`], [`RingQueue::producer`], [`RingQueue::consumer`] | `02_word_count` |
//! | work that must be done, although workers die | [`WorkQueue`], [`JoinableQueue`] | [`WorkQueue`] |
//! | a conversation between two, with an end; file descriptors | [`pipe()`], [`simplex`] | `05_pipe` |
//! | to wait for whatever comes first | [`wait_any`] | [`wait_any`] |
//! | how a child ended | [`Exit`], [`PanicReport`], [`JoinError`] | `03_crash` |
//! | a loop over data in memory, spread over children | [`par_map`], [`par_reduce`], [`par_for_each_chunk_mut`] | [`par`] |
//! | many tasks on a few workers, one outcome each, although workers die | [`Pool`], [`Task`] | `07_pool`, `08_executor`, `12_survive` |
//! | a pool in a big process, or in one with threads | [`PoolBuilder::fork_server`](pool::PoolBuilder::fork_server) | [the same](pool::PoolBuilder::fork_server) |
//! | results one by one, of any input, lazily | [`Pool::imap`], [`pool::as_completed`], [`pool::wait()`] | `07_pool`, `08_executor` |
//! | Ctrl-C while a pool works | [`pool::Stopper`] | [`pool::Stopper`] |
//! | to log, from all processes | [`log_to_stderr`], [`log_through`] | `13_logging` |
//! | what a dead child did last | [`process::PostMortem`], in its error | `13_logging` |
//! | what they do all day: who waits for whom, how full the queues are | [`snapshot()`], [`observe`] | `top` |
//! | how many children are useful | [`available_workers`] | `02_word_count` |
//!
//! # Three rules of fork
//!
//! **A child has a copy of everything.** What it changes, it changes for itself.
//!
//! ```
//! # fn main() -> offspring::Result<()> {
//! let mut list = vec![1];
//! let child = offspring::spawn(|| { list.push(2); list.len() })?;
//! assert_eq!(child.join().unwrap(), 2);
//! assert_eq!(list, [1]);
//! # Ok(()) }
//! ```
//!
//! **Only what was placed in shared memory before the fork is shared.** It holds what means the same in every process: no
//! pointers, so no `Vec` and no `String`. A lock guards plain data ([`bytemuck::Pod`](https://docs.rs/bytemuck)), because its
//! owner may be killed in the middle of a write: the bytes that it leaves may be wrong, and still they are a value.
//!
//! ```compile_fail,E0277
//! let list = offspring::Shared::new(offspring::Mutex::new(vec![1]));
//! ```
//! ```
//! # fn main() -> offspring::Result<()> {
//! use offspring::{Mutex, Shared};
//! let list = Shared::new(Mutex::new([1, 0, 0, 0]))?;
//! let child = offspring::spawn(|| list.lock().unwrap()[1] = 2)?;
//! child.join().unwrap();
//! assert_eq!(*list.lock().unwrap(), [1, 2, 0, 0]);
//! # Ok(()) }
//! ```
//!
//! **Fork first, start threads later.** A lock that another thread holds at the moment of the fork stays locked in the child for
//! ever, whichever library it belongs to. So [`spawn`] refuses while there are other threads (a [`ForkServer`] that was started
//! before them does not):
//!
//! ```
//! # fn main() -> offspring::Result<()> {
//! use std::sync::mpsc::channel;
//! let (stop, stopped) = channel::<()>();
//! let thread = std::thread::spawn(move || stopped.recv());
//! let error = offspring::spawn(|| ()).unwrap_err();
//! assert_eq!(error.kind(), offspring::ErrorKind::MultiThreaded);
//! drop(stop);
//! let _ = thread.join();
//! offspring::spawn(|| ())?.join().unwrap();
//! # Ok(()) }
//! ```
//!
//! # How things end
//!
//! | what happens | what the others see |
//! |---|---|
//! | a child panics | [`JoinError::Exited`] with a [`PanicReport`]: message, place, backtrace. Nothing is printed |
//! | a child is killed, or exits | [`Exit::Signal`], [`Exit::Code`] |
//! | a child hangs | [`Child::join_timeout`] returns, then [`Child::terminate`] or [`Child::kill`] |
//! | the owner of a lock dies | the next to lock has the guard, with the owner's pid and name: [`LockError::OwnerDied`] |
//! | a process dies in a `send` or `recv` | the message was sent or was not, was received or was not; the queue works on |
//! | a process dies with a permit, a read lock, a message that is lent | it returns at once, and whoever waits for it is woken |
//! | a worker dies with a delivery | it is delivered again, to another; after so many attempts it is a dead letter |
//! | a party of a barrier dies while it waits | the others have an error that names it |
//! | the other side of a pipe ends | [`recv`](Connection::recv) has the end of the stream, whatever copies forks have made |
//! | a worker of a pool dies, or hangs past a deadline | [`TaskError`](pool::TaskError) for its task, or another attempt; the worker is replaced |
//! | the parent dies, by SIGKILL too | its children are killed, and theirs (unless [`Builder::outlive_parent`]) |
//! | memory runs out | an error where something is placed, never a SIGBUS later |
//!
//! ```
//! # fn main() -> offspring::Result<()> {
//! use offspring::{Exit, Signal, spawn};
//! let error = spawn(|| { if true { panic!("no luck") } })?.join().unwrap_err();
//! assert_eq!(error.panic().unwrap().message(), "no luck");
//!
//! let child = spawn(|| -> () { loop { std::thread::park() } })?;
//! child.kill()?;
//! assert_eq!(child.join().unwrap_err().exit(), Some(&Exit::Signal(Signal::KILL)));
//! # Ok(()) }
//! ```
//!
//! # Blocking and deadlines
//!
//! What can block comes in four forms: `lock`, `try_lock`, `lock_timeout` (a `Duration`), `lock_deadline` (an `Instant`); so do
//! `send`, `recv`, `wait`, `acquire` and `join`. The deadline covers the whole operation, and the clock is the monotonic one. Who waits spins for some
//! microseconds and then sleeps in the kernel, without polling. A [`Child`] is a file descriptor for `poll` and its kin.
//!
//! ```
//! # fn main() -> offspring::Result<()> {
//! use offspring::queue::RecvTimeoutError;
//! use std::time::Duration;
//! let queue = offspring::RingQueue::<u64>::new(8)?;
//! assert_eq!(queue.recv_timeout(Duration::from_millis(2)), Err(RecvTimeoutError::Timeout));
//! # Ok(()) }
//! ```
//!
//! # Trade-offs, and what this is not
//!
//! - A fork copies page tables: about 0.1 ms for a small process, 40 ms for one with a gibibyte of touched private memory. Memory
//!   in a [`Region`] is not copied and costs nothing here. Keep children, rather than forking one for every task; or have a
//!   [`ForkServer`] fork them, at 0.2 ms from any size.
//! - Shared memory is carved once and given back as a whole: there is no allocator in it.
//! - Locks are not fair, only fair enough (a waiter is woken, and whoever comes first has it), and not reentrant.
//! - What a [`Pool`] or a [`ForkServer`] runs is a function, or a closure that captures nothing, and its argument. [`spawn()`], [`scope()`] and [`par`] take any closure.
//! - Queues are bounded. Nobody closes one implicitly: a queue whose senders have died stays open. A pipe does end by itself.
//! - A message that a killed process had taken out is gone with it, unless it came from a [`WorkQueue`].
//! - No names: shared memory reaches descendants only, not programs that were started separately.
//!
//! # Limits
//!
//! - 64-bit Linux 5.5 or later. From 5.16 on (`futex_waitv`) a sleeper sleeps on a lock and on its owner's life at once; on
//!   older kernels, or where a sandbox refuses that call, it looks once a millisecond.
//! - 16,384 threads that use locks or queues, alive at a time in one process tree; 2^32 - 1 slots in a ring.
//! - Cargo features: `kill-matrix` makes `offspring::proof` public, the harness that kills your own structures at every
//!   instruction. `tracing` adds `observe::ProcessLayer`, for the events and spans of that crate. `mutants` can break this crate on purpose and is for its own tests.
//!
//! # Where next
//!
//! The examples, in order: `01_counter_race` (why locks), `02_word_count` (a queue and workers on real files), `03_crash` (deaths at
//! the worst moment), `04_queue`, `05_pipe`, `06_locks` (what each is for, one screen each), `07_pool` to
//! `10_resize_images` (many tasks), `11_web_server`, `12_survive`, `13_logging`; `tutorial` has what Python's tutorials teach, program by program
//! (docs/FROM_PYTHON.md). Then the pages of [`sync`], [`queue`], [`process`] and [`observe`], which tell the protocols with the bad interleavings by
//! name, and ARCHITECTURE.md, the map of the code.
//!
//! Beside them: docs/CRASH_SAFETY.md (what holds when a process dies, who repairs it, and what has been checked, operation by operation),
//! docs/PERFORMANCE.md (ratios to peers, measured), docs/COMPARED.md (against other libraries, with what this one lacks first).

#![cfg_attr(any(loom, shuttle), allow(dead_code, unused_imports, missing_docs))]

#[macro_use]
mod prim;

#[cfg_attr(all(shuttle, test), path = "sync/model/time.rs")]
mod deadline;
mod error;
#[cfg(not(any(loom, shuttle)))]
#[macro_use]
mod news;

#[cfg(not(any(loom, shuttle)))]
mod sys;

#[cfg(not(any(loom, shuttle)))]
pub mod shm;

pub mod sync;

pub mod queue;

#[cfg(not(any(loom, shuttle)))]
pub mod process;

#[cfg(not(any(loom, shuttle)))]
pub mod par;

#[cfg(not(any(loom, shuttle)))]
pub mod pool;

#[cfg(not(any(loom, shuttle)))]
pub mod observe;

#[cfg(all(feature = "kill-matrix", not(any(loom, shuttle))))]
pub mod proof;

pub use error::{Error, ErrorKind, Result};

#[cfg(not(any(loom, shuttle)))]
pub use observe::{LogRecord, LogRelay, log_through, log_to, log_to_stderr, snapshot};
#[cfg(not(any(loom, shuttle)))]
pub use par::{
    Par, ParError, SharedVec, par_for_each_chunk_mut, par_map, par_map_plain, par_reduce,
};
#[cfg(not(any(loom, shuttle)))]
pub use pool::{Pool, Task};
#[cfg(not(any(loom, shuttle)))]
pub use process::{
    Builder, Child, Current, Exit, ForkServer, JoinError, PanicLocation, PanicReport, ProcessInfo,
    Scope, ScopedChild, Signal, SpawnError, at_fork_child, available_workers, children, current,
    join_all, scope, spawn,
};
#[cfg(not(any(loom, shuttle)))]
pub use queue::{
    JoinableQueue, Queue, RingQueue, WorkQueue,
    pipe::{Connection, Receiver, Sender, pipe, simplex},
    try_wait_any, wait_any, wait_any_deadline, wait_any_timeout,
};
#[cfg(not(any(loom, shuttle)))]
pub use shm::{Region, Shared, ShmSafe};
#[cfg(not(any(loom, shuttle)))]
pub use sync::{
    Barrier, Condvar, Counter, Event, LockError, Mutex, MutexGuard, OnceLock, Owner, OwnerDied,
    Permit, RawMutex, ReentrantMutex, ReentrantMutexGuard, RwLock, RwLockReadGuard,
    RwLockWriteGuard, Semaphore, WaitTimeoutResult,
};

/// The README's example is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
