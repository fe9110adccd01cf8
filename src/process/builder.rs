//! `spawn` and its options: the parent's side of the fork.

#![expect(unsafe_code, reason = "forks")]

use crate::error::{Error, ErrorKind, Result};
use crate::news;
use crate::process::bequest::Bequest;
use crate::process::child::Child;
use crate::process::family::{self, Family};
use crate::process::lifeline;
use crate::process::panic::{ProcessInfo, Watch};
use crate::process::record::Record;
use crate::process::seat::{self, Seat};
use crate::shm::roster;
use crate::sys::fork::{self, ExitGuard, Side};
use crate::sys::{Errno, pidfd, signal, stdio, wait};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, MutexGuard};

/// Forks a child that runs `body`; [`join`](Child::join) gives what `body` returned.
///
/// The child is a copy of this process: `body` may capture anything, by reference too, and sees the values as they are now.
/// What it changes, it changes in its copy, except in shared memory. It need not be `Send` or `'static`. A captured *value*
/// exists twice from now on: the parent's copy is dropped when this call returns, the child's when `body` ends. So do not move
/// in what must be released once in the world, a guard of a temporary folder for instance: lend it. The end of a
/// [pipe](crate::pipe()) that is moved in is the child's alone.
///
/// The result travels as [`postcard`](https://docs.rs/postcard) encodes it, in shared memory and of any size; nobody waits for
/// a reader. `body`'s panic is caught and arrives in `join`. A `body` that never returns has to say of which type its result
/// would be: `|| -> () { … }`.
///
/// Buffered output of Rust and C is flushed before the fork, so that it is not printed twice. The child ends without running
/// this process's exit handlers, also by [`std::process::exit`] (which does run the destructors of thread-locals that the
/// forking thread has initialised, on the child's copies: end by returning where that matters).
///
/// Signal handlers, the signal mask, file descriptors and the working directory are inherited, as fork does. A fault in the child (SIGSEGV and
/// its kin) is noted for its [`PostMortem`](crate::process::PostMortem) before the handler that was there runs.
///
/// If this process dies in any way, the child is SIGKILLed; see [`Builder::outlive_parent`].
///
/// # Errors
/// - [`MultiThreaded`](ErrorKind::MultiThreaded) if this process has more than one thread; the message names the ways out.
/// - [`LimitReached`](ErrorKind::LimitReached) if no process, or no file descriptor, can be had. A process needs one for
///   each child that it has not joined, and three for them all (lifeline, a kept end of it, results).
/// - [`OutOfMemory`](ErrorKind::OutOfMemory).
///
/// `body` is dropped then.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// let words = vec!["to", "be", "or", "not"];
/// let child = offspring::spawn(|| words.iter().map(|word| word.len()).sum::<usize>())?;
/// assert_eq!(child.join().unwrap(), 9);
/// # Ok(()) }
/// ```
pub fn spawn<F, R>(body: F) -> Result<Child<R>>
where
    F: FnOnce() -> R,
    R: Serialize + DeserializeOwned,
{
    Builder::new().spawn(body)
}

/// Options of a child.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// let child = offspring::Builder::new().name("worker-1").spawn(|| 7)?;
/// assert_eq!(child.name(), "worker-1");
/// assert_eq!(child.join().unwrap(), 7);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until `spawn`"]
pub struct Builder {
    name: Option<String>,
    outlive_parent: bool,
    allow_threads: bool,
    /// Whether the child is there for as long as its parent: a fork server.
    stays: bool,
}

impl Builder {
    /// A child named `child-1`, `child-2`, … that does not outlive its parent.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// Names the child: in [`current`](crate::current), in reports of its panic or of a lock that it died with.
    pub fn name(mut self, name: impl Into<String>) -> Builder {
        self.name = Some(name.into());
        self
    }

    /// Whether the child lives on when its parent dies. By default it is SIGKILLed then, and its own children with it.
    ///
    /// ```
    /// # fn main() -> offspring::Result<()> {
    /// use offspring::{Builder, simplex, spawn};
    /// let (words, from_grandchild) = simplex::<String>()?;
    /// let (go, told_to_go) = simplex::<()>()?;
    /// let parent = spawn(move || {
    ///     Builder::new().outlive_parent(true).spawn(move || {
    ///         told_to_go.recv().unwrap();
    ///         words.send("my parent has gone".to_owned()).unwrap();
    ///     }).unwrap();
    ///     std::process::abort()
    /// })?;
    /// let _: offspring::JoinError = parent.join().map(|()| ()).unwrap_err();
    /// go.send(()).unwrap();
    /// assert_eq!(from_grandchild.recv().unwrap(), "my parent has gone");
    /// # Ok(()) }
    /// ```
    pub fn outlive_parent(mut self, outlive_parent: bool) -> Builder {
        self.outlive_parent = outlive_parent;
        self
    }

    /// Forks although this process has other threads.
    ///
    /// The standard streams are safe to use in the child: their locks are taken around the fork. So is memory allocation.
    ///
    /// # Safety
    /// Other threads do not exist in the child, but the locks that they held at the moment of the fork stay locked there for
    /// ever, and what such a lock protects may be half changed. Until it ends, the child may use no lock, no lazily
    /// initialised static and no library state (a logger, a random number generator, `std::env::set_var`, the panic hook)
    /// that another thread may have been using at that moment.
    ///
    /// [`ForkServer`](crate::ForkServer), started before the threads, has no such condition.
    ///
    /// ```
    /// # fn main() -> offspring::Result<()> {
    /// use std::sync::mpsc::channel;
    /// let (stop, stopped) = channel::<()>();
    /// let thread = std::thread::spawn(move || stopped.recv());
    /// // SAFETY: that thread sleeps in a receive; the child uses nothing that it could hold.
    /// let builder = unsafe { offspring::Builder::new().allow_threads() };
    /// assert_eq!(builder.spawn(|| 6 * 7)?.join().unwrap(), 42);
    /// drop(stop);
    /// let _ = thread.join();
    /// # Ok(()) }
    /// ```
    #[expect(unsafe_code, reason = "the caller answers for the other threads")]
    pub unsafe fn allow_threads(mut self) -> Builder {
        self.allow_threads = true;
        self
    }

    /// Forks a child that runs `body`, as [`spawn`](crate::spawn) does.
    ///
    /// # Errors
    /// As [`spawn`](crate::spawn).
    pub fn spawn<F, R>(self, body: F) -> Result<Child<R>>
    where
        F: FnOnce() -> R,
        R: Serialize + DeserializeOwned,
    {
        self.spawn_as(std::any::type_name::<F>(), body)
    }

    /// The same for a closure of this crate's, which runs another: that one's type is what is told.
    pub(crate) fn spawn_as<F, R>(self, task: &'static str, body: F) -> Result<Child<R>>
    where
        F: FnOnce() -> R,
        R: Serialize + DeserializeOwned,
    {
        match self.fork(std::mem::needs_drop::<F>(), task)? {
            Born::Here(record, bequest) => {
                bequest.tell(body);
                family::say_departed();
                record.say_start();
                Ok(Child::new(record))
            }
            Born::There(seat, family, bequest) => seat.run(family, bequest, body),
        }
    }

    /// For a child that is there for as long as its parent.
    pub(super) fn resident(mut self) -> Builder {
        self.stays = true;
        self
    }

    /// The name that was given, and whether the child may outlive its parent.
    pub(super) fn into_parts(self) -> (Option<String>, bool) {
        (self.name, self.outlive_parent)
    }

    /// Forks, and returns in both processes. Not generic, so that it is compiled once. `owns`: the closure has something to drop.
    pub(super) fn fork(self, owns: bool, task: &'static str) -> Result<Born> {
        if !self.allow_threads {
            check_one_thread(self.name.as_deref())?;
        }
        roster::ensure()?;
        stdio::flush_all();
        let mut family = family::lock();
        family.sweep();
        let parent = family.me();
        let name = self.name.unwrap_or_else(|| family.next_name());
        let error = |operation, errno| Error::os(operation, name.clone(), errno);
        let cell = family.board()?.take().map_err(|errno| error("make room for", errno))?;
        let (bequest, ends) = Bequest::prepare(owns)?;
        // A child that has no ends does not touch the page of this lock; with other threads about it has to.
        let ends = (!bequest.has_no_ends() || self.allow_threads).then_some(ends);
        let leash = lifeline::prepare(parent.pid(), self.outlive_parent, self.stays)?;

        // With other threads about, no one of them may hold these locks at the moment of the fork.
        let streams = self.allow_threads.then(|| (io::stdout().lock(), io::stderr().lock()));
        let guard =
            ExitGuard::new(seat::exit_guard).map_err(|errno| error("guard the exit of", errno))?;
        let watch = Watch::begin();
        // SAFETY: one thread, or the caller of `allow_threads` answers for the others. The child's frames are left by
        // `Seat::run` alone, which does not return.
        let side = unsafe { fork::fork() };
        if side == Ok(Side::Child) {
            // The locks are released here, guard and hook stay.
            drop((streams, ends));
            std::mem::forget((guard, watch));
            if self.allow_threads {
                news::forked_beside_threads();
            }
            let process = ProcessInfo::new(signal::pid(), name);
            return Ok(Born::There(Seat { process, parent, cell, leash }, family, bequest));
        }
        watch.end();
        drop(guard);
        drop((streams, ends));
        leash.forked(matches!(side, Ok(Side::Parent(_))));
        let pid = match side {
            Ok(Side::Parent(pid)) => pid,
            Ok(Side::Child) => unreachable!("returned above"),
            Err(errno) => return Err(error("fork", errno)),
        };
        let pidfd = open(pid).map_err(|errno| error("open", errno))?;
        let record =
            Record::new(parent.pid(), ProcessInfo::new(pid, name), pidfd, cell, leash, task);
        let record = Arc::new(record);
        family.add(Arc::clone(&record));
        Ok(Born::Here(record, bequest))
    }
}

/// The two returns of a fork.
pub(super) enum Born {
    /// In the parent: the child's record, and what to tell it.
    Here(Arc<Record>, Bequest),
    /// In the child: its seat, and the family's lock, which the parent held across the fork; what it will be told.
    There(Seat, MutexGuard<'static, Family>, Bequest),
}

/// The pidfd of a child that has just been forked; if there is none to be had, the child is gone when this returns.
pub(super) fn open(pid: u32) -> std::result::Result<OwnedFd, Errno> {
    let pidfd = match pidfd::open(pid) {
        // It has ended already, and somebody else has reaped it.
        Err(Errno::ESRCH) => pidfd::ended(),
        opened => opened,
    };
    pidfd.inspect_err(|_| {
        signal::kill(pid);
        // A child that is reaped by somebody else is gone as well.
        let _ = wait::reap_pid(pid);
    })
}

fn check_one_thread(name: Option<&str>) -> Result<()> {
    let object = || name.unwrap_or("a child").to_owned();
    match fork::has_one_thread() {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::new(
            ErrorKind::MultiThreaded,
            "spawn",
            object(),
            "this process has other threads, and a lock that one of them holds would stay locked in the child for ever; \
             use a `ForkServer`, started before the threads, or `unsafe Builder::allow_threads()`",
        )),
        Err(errno) => Err(Error::os("count the threads before the fork of", object(), errno)),
    }
}
