//! The look from outside: finds the shared memory of a process tree through /proc, and reads it.

use crate::error::{Error, ErrorKind, Result};
use crate::observe::deadlock::circles;
use crate::observe::objects::Objects;
use crate::observe::queues::{self, Counts};
use crate::observe::report::{Deadlock, Process, Snapshot, Thread, Wait};
use crate::observe::threads::{Sleeper, Threads, holder_of, what};
use crate::observe::tree::{Member, Tree, refused};
use crate::observe::{pools, report};
use crate::shm::outside::RawHeader;
use crate::shm::roster;
use crate::sync::kernel::Awaits;
use crate::sys::futex::coarse_nanos;
use std::collections::BTreeMap;

/// Looks at a process tree, again and again: the rates in a [`Snapshot`] are those since the last look.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// use offspring::{RingQueue, observe::Observer};
/// let jobs = RingQueue::<u64>::new(8)?.named("jobs");
/// let mut observer = Observer::new(std::process::id())?;
/// observer.look()?;
/// jobs.send(5).unwrap();
/// let snapshot = observer.look()?;
/// assert_eq!((snapshot.queues[0].object.name.as_str(), snapshot.queues[0].depth), ("jobs", 1));
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Observer {
    pid: u32,
    /// The inode of the tree's roster.
    file: u64,
    /// What the last look has counted, and when.
    last: Option<(Counts, u64)>,
}

/// Looks once at the process tree that `pid` belongs to, without stopping anything: what its processes do, what each waits for, who holds
/// that, how full the queues are, what the pools do, and who waits for each other.
///
/// It works from any process that may read the other's memory (`/proc/PID/mem`): the same user's, and where `kernel.yama.ptrace_scope` is 1
/// only an ancestor's, or root's. It reads, and never writes or waits for anybody; it blocks only in /proc, for some milliseconds. The same
/// build of this crate must be on both sides.
///
/// # Errors
/// [`InvalidInput`](ErrorKind::InvalidInput) if there is no such process or it is in no tree of this crate's,
/// [`Unsupported`](ErrorKind::Unsupported) if its memory may not be read or it runs another version of this crate.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// use offspring::{Event, Shared};
/// let go = Shared::new(Event::new())?.named("go");
/// let child = offspring::Builder::new().name("runner").spawn(|| go.wait())?;
/// let snapshot = loop {
///     let snapshot = offspring::snapshot(std::process::id())?;
///     if snapshot.waits().next().is_some() {
///         break snapshot;
///     }
/// };
/// let (process, _, wait) = snapshot.waits().next().unwrap();
/// assert_eq!((process.name.as_str(), wait.what, wait.object.name.as_str()), ("runner", "event", "go"));
/// go.set();
/// child.join().unwrap();
/// # Ok(()) }
/// ```
pub fn snapshot(pid: u32) -> Result<Snapshot> {
    Observer::new(pid)?.look()
}

impl Observer {
    /// Finds the tree that `pid` belongs to.
    ///
    /// # Errors
    /// As [`snapshot`].
    pub fn new(pid: u32) -> Result<Observer> {
        let (member, file) = Self::open(pid, None)?;
        let observer = Observer { pid, file, last: None };
        observer.header(&member).map(|_| observer)
    }

    fn open(pid: u32, file: Option<u64>) -> Result<(Member, u64)> {
        Member::open(pid, file).map_err(|errno| refused(pid, errno))?.ok_or_else(|| {
            let detail =
                "it has no shared memory of this crate's: no tree of ours, or it has ended";
            Error::new(ErrorKind::InvalidInput, "look at", format!("process {pid}"), detail)
        })
    }

    fn header(&self, member: &Member) -> Result<RawHeader> {
        let object = || format!("process {}", self.pid);
        let header = member.header().ok_or_else(|| {
            let detail = "what it maps by that name is no roster";
            Error::new(ErrorKind::InvalidInput, "look at", object(), detail)
        })?;
        if header.layout != roster::LAYOUT {
            let (theirs, ours) = (header.layout, roster::LAYOUT);
            let detail = format!(
                "it runs another version of this crate: its shared memory has layout {theirs:#x}, and this program reads {ours:#x}"
            );
            return Err(Error::new(ErrorKind::Unsupported, "look at", object(), detail));
        }
        Ok(header)
    }

    /// Looks.
    ///
    /// # Errors
    /// As [`snapshot`]; when the process has ended, that there is no such process.
    pub fn look(&mut self) -> Result<Snapshot> {
        let (member, _) = Self::open(self.pid, Some(self.file))?;
        let header = self.header(&member)?;
        let entries = |member: &Member| Some(Threads::new(member.entries(header.entries)?));
        let gone = || refused(self.pid, crate::sys::Errno::ESRCH);
        let scouted = member.entries(header.entries).ok_or_else(gone)?;
        let objects = Objects::read(&member, header);
        let tree = Tree::new(self.pid, self.file, &scouted)?;
        let threads = entries(&member).ok_or_else(gone)?;
        let sleepers = threads.sleepers(&tree, || entries(&member));
        let now = coarse_nanos();

        let pools = pools::read(&tree, &objects, &threads);
        let places: Vec<_> = pools.keys().copied().collect();
        let before = self.last.as_ref();
        let before = before.map(|(counts, then)| (counts, seconds(now.saturating_sub(*then))));
        let (queues, counts) = queues::read(&tree, &objects, &places, before);
        self.last = Some((counts, now));
        let look = Look { tree: &tree, objects: &objects, threads: &threads, now };
        let mut pools: Vec<_> = pools.into_values().collect();
        pools.sort_by(|a, b| a.object.cmp(&b.object));
        Ok(Snapshot {
            pid: self.pid,
            at_s: seconds(now),
            processes: look.processes(header.name_at, &sleepers),
            queues,
            pools,
            deadlocks: look.deadlocks(&sleepers),
        })
    }
}

/// What a look has read.
struct Look<'a> {
    tree: &'a Tree,
    objects: &'a Objects,
    threads: &'a Threads,
    now: u64,
}

impl Look<'_> {
    fn processes(&self, name_at: u64, sleepers: &[Sleeper]) -> Vec<Process> {
        let process = |(stat, depth): &(crate::sys::outside::Stat, usize)| {
            let member = self.tree.members.get(&stat.pid);
            let name = match (member, *depth) {
                (Some(member), 0) => member.name(name_at).unwrap_or_else(|| "main".to_owned()),
                (Some(member), _) => member.name(name_at).unwrap_or_else(|| stat.command.clone()),
                (None, _) => stat.command.clone(),
            };
            let own = self.threads.iter().filter(|entry| entry.pid == stat.pid && entry.tid != 0);
            let threads = own.map(|entry| {
                let sleeper = sleepers.iter().find(|sleeper| sleeper.entry.index == entry.index);
                Thread { tid: entry.tid, wait: sleeper.and_then(|sleeper| self.wait(sleeper)) }
            });
            Process {
                pid: stat.pid,
                parent: stat.parent,
                depth: *depth,
                name,
                state: stat.state,
                is_member: member.is_some(),
                threads: if member.is_some() { threads.collect() } else { Vec::new() },
            }
        };
        self.tree.order.iter().map(process).collect()
    }

    fn wait(&self, sleeper: &Sleeper) -> Option<Wait> {
        Some(Wait {
            what: what(sleeper.wait.kind),
            object: self.object(sleeper)?,
            for_s: self.for_s(sleeper),
            has_deadline: sleeper.wait.timed,
            holders: sleeper.holders.iter().filter_map(|&id| self.threads.holder(id)).collect(),
        })
    }

    fn object(&self, sleeper: &Sleeper) -> Option<report::Object> {
        let member = self.tree.members.get(&sleeper.entry.pid)?;
        Some(self.objects.at(member.place_of(sleeper.wait.address)))
    }

    fn for_s(&self, sleeper: &Sleeper) -> f64 {
        seconds(self.now.saturating_sub(sleeper.wait.since))
    }

    fn deadlocks(&self, sleepers: &[Sleeper]) -> Vec<Deadlock> {
        let is_lock = |sleeper: &&Sleeper| {
            [Awaits::Lock as u32, Awaits::Readers as u32].contains(&sleeper.wait.kind)
        };
        let by_index: BTreeMap<u32, &Sleeper> =
            sleepers.iter().filter(is_lock).map(|sleeper| (sleeper.entry.index, sleeper)).collect();
        let next = |sleeper: &Sleeper| {
            let living = sleeper.holders.iter().filter_map(|&id| self.threads.living(id));
            living.map(|entry| entry.index).filter(|index| by_index.contains_key(index)).collect()
        };
        let edges = by_index.iter().map(|(&index, sleeper)| (index, next(sleeper))).collect();
        let member = |index: &u32| {
            let sleeper = by_index[index];
            let waits_for = self.object(sleeper)?;
            let waiter = holder_of(&sleeper.entry);
            Some(report::Member { waiter, waits_for, for_s: self.for_s(sleeper) })
        };
        let deadlock = |circle: Vec<u32>| Deadlock {
            has_deadline: circle.iter().any(|index| by_index[index].wait.timed),
            members: circle.iter().filter_map(member).collect(),
        };
        circles(&edges).into_iter().map(deadlock).collect()
    }
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}
