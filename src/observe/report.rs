//! What a look at a process tree has found: plain data, for programs and as JSON.

use serde::Serialize;
use std::fmt;

/// A process tree at a moment, as [`snapshot`](crate::snapshot) or [`Observer::look`](crate::observe::Observer::look) saw it.
///
/// Nothing was stopped: the parts were read one after the other, some microseconds apart. What a [`Wait`] or a [`Deadlock`] says was so at
/// one moment; numbers of different objects are of different moments.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Snapshot {
    /// The process that was asked for.
    pub pid: u32,
    /// When: seconds of CLOCK_MONOTONIC.
    pub at_s: f64,
    /// The processes, each before its children, in the order of pids.
    pub processes: Vec<Process>,
    /// The queues, by name.
    pub queues: Vec<Queue>,
    /// The pools, by name.
    pub pools: Vec<Pool>,
    /// Threads that wait for each other, in a circle.
    pub deadlocks: Vec<Deadlock>,
}

/// A process, of a [`snapshot`](crate::snapshot).
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Process {
    /// Its pid.
    pub pid: u32,
    /// Its parent's.
    pub parent: u32,
    /// How many of its ancestors are in the snapshot.
    pub depth: usize,
    /// As it was named when it was spawned; of one that is not of the tree's program (any more), its command.
    pub name: String,
    /// The letter of `/proc/PID/stat`: `R`unning, `S`leeping, `T` stopped, `Z`ombie, ….
    pub state: char,
    /// Whether it has the tree's shared memory.
    pub is_member: bool,
    /// Its threads that ever used a lock or a queue.
    pub threads: Vec<Thread>,
}

/// A thread that has used a lock or a queue, of a [`snapshot`](crate::snapshot).
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Thread {
    /// Its id, as in `/proc/PID/task`.
    pub tid: u32,
    /// What it sleeps on, if it does.
    pub wait: Option<Wait>,
}

/// What a thread sleeps on, of a [`snapshot`](crate::snapshot).
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Wait {
    /// `lock`, `readers` (to leave), `notification`, `event`, `permit or item`, `parties` (of a barrier), `value`, `message`, `room`, `outcome`.
    pub what: &'static str,
    /// The object.
    pub object: Object,
    /// For how long, in seconds; a wake-up in vain begins it anew. The clock is some milliseconds coarse.
    pub for_s: f64,
    /// Whether the wait has a deadline.
    pub has_deadline: bool,
    /// Who has what it waits for, as far as that is known (five at most).
    pub holders: Vec<Holder>,
}

/// Something in shared memory, of a [`snapshot`](crate::snapshot).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct Object {
    /// The name that it was given, or one made of its type and place: `Mutex<u64> 1025+64`.
    pub name: String,
    /// Its type without paths; empty if it was not placed by this crate, or too long ago.
    pub type_name: String,
    /// The inode of the memory's file and the offset in it. Of memory that is not shared: 0 and the address.
    pub place: (u64, u64),
}

/// One who has what another waits for, of a [`snapshot`](crate::snapshot).
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Holder {
    /// Its process.
    pub pid: u32,
    /// Its thread; 0 if it has ended.
    pub tid: u32,
    /// Its process's name.
    pub name: String,
    /// Whether the thread lives. What the dead hold is free for whoever comes next.
    pub is_alive: bool,
}

/// A queue.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Queue {
    /// The queue.
    pub object: Object,
    /// How many messages are in it; of a work queue, how many are ready.
    pub depth: u64,
    /// How many fit; `None` where bytes are counted.
    pub capacity: Option<u64>,
    /// Bytes in use, where bytes are counted.
    pub used_bytes: Option<u64>,
    /// Bytes in all, where bytes are counted.
    pub capacity_bytes: Option<u64>,
    /// Of a work queue: items on delivery.
    pub leased: Option<u64>,
    /// Of a work queue: dead letters.
    pub dead_letters: Option<u64>,
    /// How many messages were ever sent; of a `Queue`, modulo 2^32; of a work queue, about so many, if a process died in an operation.
    pub sent: u64,
    /// How many were received or delivered; as `sent`.
    pub received: u64,
    /// Sent per second since the last look of the same observer.
    pub sent_per_s: Option<f64>,
    /// Received per second since the last look of the same observer.
    pub received_per_s: Option<f64>,
    /// Whether it was closed.
    pub is_closed: bool,
}

/// A pool.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Pool {
    /// The pool; its name is the pool's.
    pub object: Object,
    /// `open`, `closing` or `terminating`.
    pub stage: &'static str,
    /// Whether it has failed.
    pub has_failed: bool,
    /// The supervisor, if it lives.
    pub supervisor: Option<Holder>,
    /// How many workers there should be.
    pub target: u32,
    /// How many there are.
    pub living: u32,
    /// Tasks that no worker has begun.
    pub queued: u64,
    /// How many workers were forked in place of others that had ended.
    pub restarts: u64,
    /// The workers' places.
    pub seats: Vec<Seat>,
}

/// A worker's place in a pool.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// let pool = offspring::Pool::builder().workers(1).name("squares").build()?;
/// let pid = pool.apply(|()| std::process::id(), ()).unwrap();
/// let snapshot = offspring::snapshot(std::process::id())?;
/// assert_eq!(snapshot.pools[0].object.name, "squares");
/// let seat = &snapshot.pools[0].seats[0];
/// assert_eq!(seat.worker.as_ref().map(|worker| worker.pid), Some(pid));
/// assert!(seat.last_death.is_none());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Seat {
    /// The worker, if one sits there.
    pub worker: Option<Holder>,
    /// The slot of the task that it runs, if it does.
    pub task: Option<u32>,
    /// For which time that task is tried.
    pub attempt: Option<u32>,
    /// How many workers have ended here.
    pub ends: u32,
    /// Who was the last to end here, and how.
    pub last_death: Option<Death>,
}

/// How a worker ended, of a [`Seat`].
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Death {
    /// Its pid, as long as the roster remembers.
    pub pid: Option<u32>,
    /// Its name, likewise.
    pub name: Option<String>,
    /// `killed by SIGKILL`, `exited with status 0`, …
    pub how: String,
}

/// Threads of which each waits for the next one, and the last for the first.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// use offspring::{Barrier, Mutex, Shared, spawn};
/// let (left, right) = (Shared::new(Mutex::new(0u32))?.named("left"), Shared::new(Mutex::new(0u32))?.named("right"));
/// let both = Shared::new(Barrier::new(2))?;
/// let take = |first: &Mutex<u32>, second: &Mutex<u32>| {
///     let _first = first.lock();
///     both.wait().unwrap();
///     drop(second.lock());
/// };
/// let children = [spawn(|| take(&left, &right))?, spawn(|| take(&right, &left))?];
/// let snapshot = loop {
///     let snapshot = offspring::snapshot(std::process::id())?;
///     if !snapshot.deadlocks.is_empty() {
///         break snapshot;
///     }
/// };
/// let text = snapshot.deadlocks[0].to_string();
/// assert!(text.contains("waits for left") && text.contains("waits for right"), "{text}");
/// children.iter().for_each(|child| child.kill().unwrap());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Deadlock {
    /// Each waits for what the next one holds.
    pub members: Vec<Member>,
    /// One of the waits has a deadline: then it will end by itself.
    pub has_deadline: bool,
}

/// One of the threads in a [`Deadlock`].
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Member {
    /// The thread.
    pub waiter: Holder,
    /// What it waits for; the next member holds it.
    pub waits_for: Object,
    /// For how long, in seconds.
    pub for_s: f64,
}

impl Snapshot {
    /// All waits, with their processes and threads.
    pub fn waits(&self) -> impl Iterator<Item = (&Process, &Thread, &Wait)> {
        self.processes.iter().flat_map(|process| {
            process
                .threads
                .iter()
                .filter_map(move |thread| thread.wait.as_ref().map(|wait| (process, thread, wait)))
        })
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dead = if self.is_alive { "" } else { ", dead" };
        write!(f, "{} ({}{dead})", self.name, self.pid)
    }
}

impl fmt::Display for Deadlock {
    /// `a (17) waits for left, which b (18) holds; b (18) waits for right, which a (17) holds`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, member) in self.members.iter().enumerate() {
            let next = &self.members[(index + 1) % self.members.len()];
            let Member { waiter, waits_for, .. } = member;
            let separator = if index == 0 { "" } else { "; " };
            let object = &waits_for.name;
            write!(f, "{separator}{waiter} waits for {object}, which {} holds", next.waiter)?;
        }
        Ok(())
    }
}
