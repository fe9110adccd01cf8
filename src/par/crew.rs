//! The parent's side of a call: forks the workers, waits for their ends, reads what they sent, replaces those that died.
//!
//! Invariants. **K1** When [`run`] returns or unwinds, all children are reaped: the crew's drop kills and joins those that are left.
//! **K2** A replacement is forked only for a worker that had claimed a chunk, while chunks are open: so there are no more forks
//! than workers and chunks together, and what kills a worker before its first claim (a hook) is no fork storm.

use crate::error::{Error, ErrorKind, Result};
use crate::par::error::{Failure, Reason};
use crate::par::outbox::{self, Kind};
use crate::par::plan::Plan;
use crate::par::table::Table;
use crate::par::veil;
use crate::par::worker::{Job, Office};
use crate::process::{Builder, Child, Exit, JoinError, ProcessInfo};
use crate::queue::wait_any;
use crate::sys::Errno;
use crate::sys::sheet::Sheet;
use std::collections::HashSet;
use std::os::fd::AsFd;

/// How many work, and where.
pub(super) struct Staff {
    pub(super) workers: usize,
    /// One of them is the calling process.
    pub(super) caller_works: bool,
    /// The options of the forks.
    pub(super) builder: Builder,
}

/// Takes the bytes of an item's result; an error is the reason why they do not decode.
pub(super) type Take<'a> = dyn FnMut(usize, &[u8]) -> std::result::Result<(), String> + 'a;

/// Runs `job` over all chunks. `result` names the type of what `take` takes.
pub(super) fn run(
    staff: &Staff,
    plan: &Plan,
    job: &dyn Job,
    result: &'static str,
    take: &mut Take<'_>,
) -> Result<Harvest> {
    let workers = staff.workers.min(plan.chunks());
    let mut harvest =
        Harvest { result, owners: Vec::new(), ends: Vec::new(), failures: Vec::new() };
    if workers == 0 {
        return Ok(harvest);
    }
    let table = Table::new(plan.chunks(), workers)?;
    let sheet = Sheet::new()
        .map_err(|errno| Error::os("create", "the file for a parallel call's results", errno))?;
    let office = Office { plan, table: &table, sheet: &sheet };
    let children = workers - usize::from(staff.caller_works);
    let mut crew = Crew { office, job, staff, hands: Vec::with_capacity(children), harvest };
    for seat in 0..children {
        match crew.hire(seat) {
            Err(error) if seat == 0 => return Err(error),
            // Fewer do it as well.
            Err(_) => break,
            Ok(()) => {}
        }
    }
    if staff.caller_works {
        crew.lend_a_hand(children, take);
    }
    while !crew.hands.is_empty() {
        crew.wait(take)?;
    }
    harvest = std::mem::replace(&mut crew.harvest, Harvest { result, ..Harvest::default() });
    harvest.look(&table, plan);
    Ok(harvest)
}

/// For the kill matrix: what a call does when its workers have ended, who sat in the first seats; `died` tells how. What is left is
/// done here, in the seat of the first, as by one that takes its place.
#[cfg(feature = "kill-matrix")]
pub(super) fn take_over(
    office: Office<'_>,
    job: &dyn Job,
    staff: &Staff,
    died: &[bool],
    take: &mut Take<'_>,
) -> Harvest {
    let (table, plan) = (office.table, office.plan);
    let mut crew = Crew { office, job, staff, hands: Vec::new(), harvest: Harvest::default() };
    for (seat, &died) in died.iter().enumerate() {
        crew.harvest.ends.push(Ended::WELL);
        let end = match died {
            true => End::Died(None, ProcessInfo::new(0, "a victim")),
            false => End::Well,
        };
        crew.note(seat as u32 + 1, seat, end, take);
        table.seat(seat).clear();
    }
    crew.lend_a_hand(0, take);
    let mut harvest = std::mem::take(&mut crew.harvest);
    harvest.look(table, plan);
    harvest
}

/// The children of a call.
struct Crew<'a> {
    office: Office<'a>,
    job: &'a dyn Job,
    staff: &'a Staff,
    hands: Vec<Hand>,
    harvest: Harvest,
}

/// One child that works.
struct Hand {
    child: Child<Option<i32>>,
    number: u32,
    seat: usize,
}

impl Crew<'_> {
    /// Forks a worker for a free seat.
    fn hire(&mut self, seat: usize) -> Result<()> {
        let number = self.harvest.ends.len() as u32 + 1;
        let builder = self.staff.builder.clone().name(format!("par-{number}"));
        let (office, job) = (&self.office, self.job);
        let child = veil::lending(|| {
            builder.spawn_as(job.task(), || {
                veil::lent();
                office.work(number, seat, job).err().map(|errno| errno as i32)
            })
        })?;
        self.hands.push(Hand { child, number, seat });
        self.harvest.ends.push(Ended::WELL);
        Ok(())
    }

    /// Works in this process until nothing is left to claim.
    fn lend_a_hand(&mut self, seat: usize, take: &mut Take<'_>) {
        let number = self.harvest.ends.len() as u32 + 1;
        self.harvest.ends.push(Ended::WELL);
        let end = match self.office.work(number, seat, self.job) {
            Ok(()) => End::Well,
            Err(errno) => End::Unsent(errno),
        };
        self.note(number, seat, end, take);
    }

    /// Waits until a child has ended, and sees to all that have.
    fn wait(&mut self, take: &mut Take<'_>) -> Result<()> {
        let children: Vec<&dyn AsFd> = self.hands.iter().map(|hand| &hand.child as _).collect();
        let mut ready = wait_any(&children)?;
        while let Some(index) = ready.pop() {
            // From the back: what is swapped in is no one that is still to be seen to.
            let Hand { child, number, seat } = self.hands.swap_remove(index);
            let process = ProcessInfo::new(child.pid(), child.name());
            let end = match child.join() {
                Ok(None) => End::Well,
                Ok(Some(errno)) => End::Unsent(Errno::from_raw(errno)),
                Err(JoinError::Exited(exit, _)) => End::Died(Some(exit), process),
                Err(JoinError::Failed(_)) => End::Died(None, process),
            };
            self.note(number, seat, end, take);
            let table = self.office.table;
            let went_well = matches!(self.harvest.ends[number as usize - 1].end, End::Well);
            table.seat(seat).clear();
            if !went_well && table.is_open() && table.last_of(number).is_some() {
                // If it cannot be forked, the others do its share; if there are none, it is told (`NotBegun`).
                let _ = self.hire(seat);
            }
        }
        Ok(())
    }

    /// Reads what a worker that has ended leaves.
    fn note(&mut self, number: u32, seat: usize, end: End, take: &mut Take<'_>) {
        let office = &self.office;
        let at = office.table.seat(seat).at();
        let harvest = &mut self.harvest;
        let mut failures = Vec::new();
        let read =
            outbox::read_all(office.sheet, office.table.seat(seat), seat, |kind, item, bytes| {
                if let Some(reason) = harvest.read(kind, item, bytes, take) {
                    let items = if self.job.is_by_chunk() {
                        office.plan.items(office.plan.chunk_of(item))
                    } else {
                        item..item + 1
                    };
                    failures.push(Failure::new(items, item, reason));
                }
            });
        harvest.failures.append(&mut failures);
        let end = read.err().map_or(end, End::Unsent);
        harvest.ends[number as usize - 1] = Ended { end, at, last: office.table.last_of(number) };
    }
}

impl Drop for Crew<'_> {
    fn drop(&mut self) {
        for hand in &self.hands {
            let _ = hand.child.kill();
        }
        for hand in self.hands.drain(..) {
            let _ = hand.child.join();
        }
    }
}

/// How a worker ended, how far it was then, and in which chunk.
struct Ended {
    end: End,
    at: usize,
    last: Option<usize>,
}

#[derive(Clone)]
enum End {
    Well,
    Died(Option<Exit>, ProcessInfo),
    Unsent(Errno),
}

impl Ended {
    const WELL: Ended = Ended { end: End::Well, at: 0, last: None };
}

/// What a call brought, but for its results.
#[derive(Default)]
pub(super) struct Harvest {
    result: &'static str,
    /// By chunk; only where something may be missing.
    owners: Vec<u32>,
    /// By worker's number, less one.
    ends: Vec<Ended>,
    /// Told by workers.
    failures: Vec<Failure>,
}

impl Harvest {
    fn read(&self, kind: Kind, item: usize, bytes: &[u8], take: &mut Take<'_>) -> Option<Reason> {
        let refused = |operation, why: String| {
            let object = format!("the result of item {item}, a {}", self.result);
            Reason::Encoding(Error::new(ErrorKind::Encoding, operation, object, why))
        };
        match kind {
            Kind::Value => take(item, bytes).err().map(|why| refused("decode", why)),
            Kind::Unencodable => {
                Some(refused("encode", String::from_utf8_lossy(bytes).into_owned()))
            }
            // What postcard has encoded it decodes.
            Kind::Panic => Some(match postcard::from_bytes(bytes) {
                Ok(report) => Reason::Panicked(report),
                Err(error) => refused("decode", error.to_string()),
            }),
        }
    }

    /// Notes who owns what, unless all went well.
    fn look(&mut self, table: &Table, plan: &Plan) {
        let all_well = self.ends.iter().all(|ended| matches!(ended.end, End::Well));
        if !all_well || !self.failures.is_empty() || table.is_open() {
            self.owners = (0..plan.chunks()).map(|chunk| table.owner(chunk)).collect();
        }
    }

    /// Everything that has no result, in order. `is_there(item, progress)` is asked for items that no worker has told of;
    /// `progress` is where the item's worker was, in that item's chunk. `whole`: chunks have results, not items.
    pub(super) fn missing(
        self,
        plan: &Plan,
        whole: bool,
        is_there: &dyn Fn(usize, usize) -> bool,
    ) -> Vec<Failure> {
        let mut failures = self.failures;
        let told: HashSet<usize> = failures.iter().map(|failure| failure.items().start).collect();
        let last = self.ends.iter().rev().find_map(|ended| match &ended.end {
            End::Died(exit, _) => exit.clone(),
            End::Well | End::Unsent(_) => None,
        });
        for (chunk, &owner) in self.owners.iter().enumerate() {
            let items = plan.items(chunk);
            let ended = self.ends.get((owner as usize).wrapping_sub(1));
            let (end, progress) = match ended {
                None => (None, items.start),
                Some(ended) if ended.last == Some(chunk) => {
                    (Some(&ended.end), ended.at.clamp(items.start, items.end))
                }
                Some(ended) => (Some(&ended.end), items.end),
            };
            let reason = || match end {
                Some(End::Died(exit, process)) => {
                    Reason::Died { exit: exit.clone(), process: process.clone() }
                }
                Some(End::Unsent(errno)) => {
                    Reason::Unsent(Error::os("send", "results of a parallel call", *errno))
                }
                Some(End::Well) | None => Reason::NotBegun { last: last.clone() },
            };
            let is_missing = |item: usize| !told.contains(&item) && !is_there(item, progress);
            let mut item = items.start;
            while item < items.end {
                let first = item;
                if whole {
                    item = if is_missing(first) { items.end } else { first };
                } else {
                    item += (item..items.end).take_while(|&item| is_missing(item)).count();
                }
                if item > first {
                    let at = progress.clamp(first, item - 1);
                    failures.push(Failure::new(first..item, at, reason()));
                }
                item = if whole { items.end } else { item + 1 };
            }
        }
        failures.sort_by_key(|failure| failure.items().start);
        failures.dedup_by(|next, failure| failure.absorb(next));
        failures
    }
}
