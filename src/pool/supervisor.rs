//! The supervisor: one process with one thread, which forks, reaps and replaces the workers of a pool. It takes no lock.
//!
//! It looks at everything whenever it wakes: a worker ended (its pidfd), the client rang the bell, a deadline or a back-off is over.
//! What it does to tasks are single steps of their words, as everybody's.

use crate::deadline::Deadline;
use crate::pool::morgue;
use crate::pool::plan::Plan;
use crate::pool::shop::{Failure, Mode, NO_SLOT, Shop};
use crate::pool::word::Kind;
use crate::pool::worker::{self, Leave};
use crate::process::{Builder, Child, JoinError};
use crate::shm::roster;
use crate::sync::linux::Linux;
use crate::sys::{poll, signal};
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// The first back-off, after the second worker in a row that died before it had done a task; it doubles up to the longest.
const BACK_OFF: Duration = Duration::from_millis(10);
const BACK_OFF_LONGEST: Duration = Duration::from_secs(1);

struct Worker {
    child: Child<Leave>,
    seat: u32,
    /// Whether it was ended by this process.
    is_ended: bool,
}

pub(super) struct Supervisor<'a> {
    shop: &'a Arc<Shop>,
    plan: &'a Arc<Plan>,
    workers: Vec<Worker>,
    /// How many workers were forked, for their names.
    births: u64,
    /// When workers died without a task, within the period.
    losses: VecDeque<Instant>,
    /// No fork before this.
    not_before: Option<Instant>,
    /// How many workers in a row were lost before they had done a task.
    streak: u32,
    asked_to_end: bool,
}

/// Runs until the pool is over.
pub(super) fn supervise(shop: &Arc<Shop>, plan: &Arc<Plan>) {
    // Where signals cannot be set, they are as the client had them.
    let _ = signal::leave_interrupts_to_others();
    shop.head.supervisor.store(roster::me(), Ordering::SeqCst);
    shop.head.done.ring_all(&Linux);
    // The client waits for that.
    shop.told.ring();
    let mut supervisor = Supervisor::new(shop, plan);
    while supervisor.round() {}
}

impl<'a> Supervisor<'a> {
    pub(super) fn new(shop: &'a Arc<Shop>, plan: &'a Arc<Plan>) -> Supervisor<'a> {
        Supervisor {
            shop,
            plan,
            workers: Vec::new(),
            births: 0,
            losses: VecDeque::new(),
            not_before: None,
            streak: 0,
            asked_to_end: false,
        }
    }

    /// One look at everything, then sleep; false when the pool is over.
    fn round(&mut self) -> bool {
        self.shop.bell.silence();
        self.reap();
        let (next_deadline, was_queued) = self.expire();
        self.end_robbed();
        if was_queued {
            self.end_stopped();
        }
        if self.shop.failure().is_some() {
            return self.give_up();
        }
        let grace = self.end_all_if_asked();
        if self.is_over() {
            return false;
        }
        self.hire();
        if self.shop.failure().is_some() {
            return self.give_up();
        }
        let back_off = self.not_before.filter(|_| self.vacancies() > 0);
        let until = [next_deadline, grace, back_off].into_iter().flatten().min();
        let mut fds: Vec<BorrowedFd<'_>> = vec![self.shop.bell.as_fd()];
        fds.extend(self.workers.iter().map(|worker| worker.child.as_fd()));
        // A failure to wait is a reason to look.
        let _ = poll::readable(&fds, until.map_or(Deadline::NEVER, Deadline::at));
        true
    }

    /// Takes note of all workers that have ended.
    fn reap(&mut self) {
        let mut any = false;
        let mut index = 0;
        while index < self.workers.len() {
            let Some(end) = self.workers[index].child.try_join() else {
                index += 1;
                continue;
            };
            let worker = self.workers.swap_remove(index);
            any = true;
            self.note_end(&worker, end);
        }
        if any {
            self.shop.head.living.store(self.workers.len() as u32, Ordering::SeqCst);
            // Also for those who did not watch that life, and for who waits for the morgue's entry.
            self.shop.head.done.ring_all(&Linux);
            self.shop.told.ring();
        }
    }

    fn note_end(&mut self, worker: &Worker, end: Result<Leave, JoinError>) {
        let seat = self.shop.seat(worker.seat);
        morgue::bury(self.shop, self.births, seat, &end);
        let index = seat.slot.load(Ordering::Acquire);
        if index != NO_SLOT {
            let slot = self.shop.slot(index);
            self.shop.bury(slot, slot.word());
        }
        let was_busy = seat.busy.load(Ordering::Acquire) != 0;
        let (name, pid) = (worker.child.name(), worker.child.pid());
        match &end {
            Ok(leave) => news!(Debug, "{name} (pid {pid}) leaves its pool: {leave:?}"),
            Err(_) if worker.is_ended => news!(Debug, "{name} (pid {pid}) was ended by its pool"),
            Err(_) if was_busy => news!(Warn, "{name} (pid {pid}) died with a task"),
            Err(_) => news!(Warn, "{name} (pid {pid}) died without a task"),
        }
        match end {
            Ok(Leave::Uninitialized) => self.lost(Failure::Initializer, worker.seat, false),
            Err(_) if !was_busy && !worker.is_ended => {
                let has_worked = seat.has_worked.load(Ordering::Relaxed) != 0;
                self.lost(Failure::Restarts, worker.seat, has_worked)
            }
            _ => {}
        }
    }

    /// A worker was lost without a task to blame, or could not be forked.
    fn lost(&mut self, failure: Failure, blame: u32, has_worked: bool) {
        let now = Instant::now();
        let period = self.plan.restarts.period;
        self.losses.retain(|&loss| now.duration_since(loss) < period);
        self.losses.push_back(now);
        if self.losses.len() > self.plan.restarts.intensity as usize {
            self.shop.head.blame.store(blame, Ordering::Relaxed);
            self.shop.fail(failure);
        }
        self.streak = if has_worked { 0 } else { self.streak.saturating_add(1) };
        if let Some(doublings) = self.streak.checked_sub(2) {
            let pause = BACK_OFF.saturating_mul(1 << doublings.min(16)).min(BACK_OFF_LONGEST);
            self.not_before = Some(now + pause);
        }
    }

    /// Times out what is late; when the next one will be, and whether one was late that no worker had begun.
    pub(super) fn expire(&self) -> (Option<Instant>, bool) {
        let shop = self.shop;
        if shop.head.has_deadlines.load(Ordering::SeqCst) == 0 {
            return (None, false);
        }
        // A deadline that is set from now on is announced, or seen below.
        shop.head.planned.store(u64::MAX, Ordering::SeqCst);
        let now = shop.now();
        let (mut next, mut was_queued) = (u64::MAX, false);
        for slot in &*shop.slots {
            let word = slot.word();
            let deadline = slot.deadline.load(Ordering::Relaxed);
            if deadline == 0 || !matches!(word.kind, Kind::Queued | Kind::Running) {
                continue;
            }
            if now < deadline {
                next = next.min(deadline);
            } else if slot.step(word, word.as_kind(Kind::TimedOut)) {
                shop.settled(slot);
                was_queued |= word.kind == Kind::Queued;
            } else {
                next = now; // it has changed: look again
            }
        }
        shop.head.planned.store(next, Ordering::SeqCst);
        ((next != u64::MAX).then(|| shop.instant_of(next)), was_queued)
    }

    /// Ends the workers whose task was taken away (P2).
    fn end_robbed(&mut self) {
        for worker in self.workers.iter_mut().filter(|worker| !worker.is_ended) {
            let seat = self.shop.seat(worker.seat);
            let id = seat.worker.load(Ordering::SeqCst);
            let Some(slot) = self.shop.slots.get(seat.slot.load(Ordering::SeqCst) as usize) else {
                continue;
            };
            let word = slot.word();
            let is_robbed =
                word.holder == id && matches!(word.kind, Kind::Cancelled | Kind::TimedOut);
            // In this order: what was cancelled for the end of the pool says so here, and its worker has the grace period (P6).
            if is_robbed && self.shop.mode() != Mode::Terminating {
                worker.is_ended = true;
                // It fails for processes of other users only.
                let _ = worker.child.kill();
            }
        }
    }

    /// Ends the workers that are stopped while they run no task: one of them may be in the way of what was late. One that is stopped
    /// in a task is waited for, as long as that task's own deadline says.
    fn end_stopped(&mut self) {
        let shop = self.shop;
        for worker in self.workers.iter_mut().filter(|worker| !worker.is_ended) {
            if worker.child.is_stopped() && !shop.is_in_task(shop.seat(worker.seat)) {
                worker.is_ended = true;
                let _ = worker.child.kill();
            }
        }
    }

    /// `Terminating`: asks all to end, once, and makes them when the grace period is over; when that is.
    fn end_all_if_asked(&mut self) -> Option<Instant> {
        if self.shop.mode() != Mode::Terminating {
            return None;
        }
        if !self.asked_to_end {
            self.asked_to_end = true;
            // The client is about to, but no worker may be ended before (P6).
            self.shop.resolve_all(Kind::Cancelled, true);
            for worker in &mut self.workers {
                worker.is_ended = true;
                let _ = worker.child.terminate();
            }
        }
        let grace_ends = self.shop.head.grace_ends.load(Ordering::Acquire);
        if self.shop.now() < grace_ends {
            return Some(self.shop.instant_of(grace_ends));
        }
        self.workers.iter().for_each(|worker| _ = worker.child.kill());
        None
    }

    fn is_over(&self) -> bool {
        self.shop.mode() != Mode::Open && self.workers.is_empty() && self.vacancies() == 0
    }

    /// How many workers are missing.
    fn vacancies(&self) -> usize {
        let living = self.workers.len();
        let target = self.shop.head.target.load(Ordering::SeqCst) as usize;
        let has_work = !self.shop.ring.is_empty();
        let wanted = match self.shop.mode() {
            Mode::Terminating => return 0,
            Mode::Closing | Mode::ClosingNow if !has_work => 0,
            Mode::Open if self.plan.on_demand && !has_work => 0,
            Mode::Open if self.plan.on_demand => target.min(living + 1),
            _ => target,
        };
        wanted.saturating_sub(living).max(self.orphans().count())
    }

    /// Seats without a worker, with a task that is to be run again.
    fn orphans(&self) -> impl Iterator<Item = u32> + '_ {
        let used = self.shop.head.seats_used.load(Ordering::Relaxed);
        (0..used).filter(|&seat| self.is_vacant(seat)).filter(|&seat| {
            let slot =
                self.shop.slots.get(self.shop.seat(seat).slot.load(Ordering::Acquire) as usize);
            slot.is_some_and(|slot| {
                let word = slot.word();
                let is_orphan = word.kind == Kind::Running && roster::is_dead(word.holder);
                is_orphan && !self.shop.bury(slot, word)
            })
        })
    }

    fn is_vacant(&self, seat: u32) -> bool {
        self.workers.iter().all(|worker| worker.seat != seat)
    }

    /// Fills vacancies, unless it is too early.
    fn hire(&mut self) {
        while self.not_before.is_none_or(|time| Instant::now() >= time) && self.vacancies() > 0 {
            let seats = self.shop.seats.len() as u32;
            let vacant = (0..seats).find(|&seat| self.is_vacant(seat));
            let Some(seat) = self.orphans().next().or(vacant) else { return };
            if let Err(error) = self.fork(seat) {
                let errno = error.raw_os_error().unwrap_or(0).unsigned_abs();
                self.lost(Failure::Fork, errno, false);
                self.not_before.get_or_insert(Instant::now() + BACK_OFF);
                return;
            }
        }
    }

    fn fork(&mut self, seat: u32) -> crate::error::Result<()> {
        self.births += 1;
        let head = &self.shop.head;
        head.seats_used.fetch_max(seat + 1, Ordering::SeqCst);
        self.shop.seat(seat).busy.store(0, Ordering::Relaxed);
        self.shop.seat(seat).has_worked.store(0, Ordering::Relaxed);
        let name = format!("{}-{}", self.plan.name, self.births);
        if self.shop.seat(seat).worker.load(Ordering::Relaxed) != 0 {
            news!(Debug, "{name} takes the place of a worker that is gone");
        }
        let (shop, plan) = (Arc::clone(self.shop), Arc::clone(self.plan));
        let living = self.workers.len() as u32;
        // Before it can do anything of which the client hears.
        head.living.store(living + 1, Ordering::SeqCst);
        let forked = Builder::new().name(name).spawn(move || worker::work(&shop, &plan, seat));
        if forked.is_err() {
            head.living.store(living, Ordering::SeqCst);
        }
        self.workers.push(Worker { child: forked?, seat, is_ended: false });
        if self.shop.seat(seat).ends.load(Ordering::Relaxed) != 0 {
            head.replaced.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The pool has failed: nobody is left to do anything.
    fn give_up(&mut self) -> bool {
        self.workers.iter().for_each(|worker| _ = worker.child.kill());
        for worker in self.workers.drain(..) {
            let _ = worker.child.join();
        }
        self.shop.resolve_all(Kind::Broken, true);
        self.shop.head.done.ring_all(&Linux);
        self.shop.told.ring();
        false
    }
}
