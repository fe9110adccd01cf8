//! A worker: takes tasks until there are no more, or it is told to leave.

#![expect(unsafe_code, reason = "calls jobs by their address")]

use crate::deadline::Deadline;
use crate::pool::annex::REPORT_BYTES_MAX;
use crate::pool::job::{self, Done};
use crate::pool::plan::Plan;
use crate::pool::shop::{Mode, NO_SLOT, Shop};
use crate::pool::slot::{Part, Slot};
use crate::pool::word::{Kind, Word};
use crate::process::panic::report_here;
use crate::queue::ring_core::{Failed, Patience};
use crate::shm::roster;
use crate::sync::linux::Linux;
use crate::sys::{fork, signal, stdio};
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

/// Why a worker ended of its own accord.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Leave {
    /// The pool is closed, and nothing is queued.
    Closed,
    /// There were to be fewer.
    Retired,
    /// It has done as many tasks as one worker may.
    Worn,
    /// Nothing came for the idle timeout.
    Idle,
    /// Its task was taken away (P2).
    Robbed,
    /// Its initialiser failed; the report is in the file.
    Uninitialized,
}

/// A buffer that became larger than this for one task is not kept for the next.
const BUFFER_KEPT_BYTES: usize = 1 << 20;

/// One worker, in its process.
struct Worker<'a> {
    shop: &'a Shop,
    seat: u32,
    me: u32,
    argument: Vec<u8>,
    output: Vec<u8>,
}

/// Lives a worker's life in `seat`.
pub(super) fn work(shop: &Shop, plan: &Plan, seat: u32) -> Leave {
    // Where signals cannot be set, they are as the client had them.
    let _ = signal::leave_interrupts_to_others();
    let me = roster::me();
    shop.seat(seat).worker.store(me, Ordering::SeqCst);
    // Whoever sleeps does not watch this life yet (P4).
    if !mutant!("pool-silent-birth") {
        shop.head.done.ring_all(&Linux);
    }
    let mut worker = Worker { shop, seat, me, argument: Vec::new(), output: Vec::new() };
    if let Err(report) = plan.begin() {
        worker.report(&report);
        return Leave::Uninitialized;
    }
    worker.live(plan)
}

impl Worker<'_> {
    fn live(&mut self, plan: &Plan) -> Leave {
        let mut tasks = 0;
        let mut next = self.inherit();
        let pacer = super::Pacer::default();
        loop {
            if let Some((index, word)) = next.take() {
                if !self.run(index, word) {
                    return Leave::Robbed;
                }
                tasks += 1;
                if plan.max_tasks.is_some_and(|max| tasks >= max) {
                    return Leave::Worn;
                }
            }
            if self.shop.head.retire.load(Ordering::Relaxed) != 0 && self.retires() {
                return Leave::Retired;
            }
            if self.shop.mode() == Mode::Terminating {
                return Leave::Closed;
            }
            let patience = match plan.idle_timeout {
                None => Patience::FOREVER,
                Some(timeout) => Patience::Until(Deadline::after(timeout)),
            };
            let seat = self.shop.seat(self.seat);
            let mut late = None;
            let claim = |position, _| match mutant!("pool-late-claim") {
                false => next = self.shop.claim(position, seat, self.me),
                true => late = Some(position),
            };
            match self.shop.ring.recv(&Linux, self.me, patience, &pacer, 1, claim) {
                Ok(_) => {
                    next = next.or_else(|| self.shop.claim(late?, seat, self.me));
                    if next.is_none() {
                        self.shop.made_room();
                    }
                }
                Err(Failed::Closed) => return Leave::Closed,
                Err(Failed::TimedOut | Failed::NotNow) => return Leave::Idle,
            }
        }
    }

    /// What the last worker in this seat died of, if it is to be tried again.
    fn inherit(&self) -> Option<(u32, Word)> {
        let index = self.shop.seat(self.seat).slot.load(Ordering::Acquire);
        if index == NO_SLOT {
            return None;
        }
        let slot = self.shop.slot(index);
        let word = slot.word();
        if word.kind != Kind::Running || !roster::is_dead(word.holder) || self.shop.bury(slot, word)
        {
            return None;
        }
        let begun = word.begun_by(self.me);
        slot.step(word, begun).then_some((index, begun))
    }

    /// Takes one of the departures that are asked for.
    fn retires(&self) -> bool {
        let fewer = |count: u32| count.checked_sub(1);
        self.shop.head.retire.fetch_update(Ordering::AcqRel, Ordering::Relaxed, fewer).is_ok()
    }

    /// Runs a task to its commit; false if it was taken away meanwhile.
    #[inline]
    fn run(&mut self, index: u32, word: Word) -> bool {
        let slot = self.shop.slot(index);
        let busy = &self.shop.seat(self.seat).busy;
        busy.store(1, Ordering::Relaxed);
        let kind = self.produce(slot, index);
        if roster::my_id() != self.me {
            // The user's code forked by itself, and this is the copy: the task is not its own.
            stdio::flush_all();
            fork::exit_now(0);
        }
        let kind = match slot.write(&self.shop.annex, index, Part::Result, &self.output) {
            Ok(()) => kind,
            Err(errno) => {
                // Four bytes fit into any slot.
                let number = (errno as i32).to_ne_bytes();
                let _ = slot.write(&self.shop.annex, index, Part::Result, &number);
                Kind::Unwritable
            }
        };
        if self.output.capacity() > BUFFER_KEPT_BYTES {
            self.output = Vec::new();
        }
        let early = mutant!("pool-early-look").then(|| slot.watched.load(Ordering::SeqCst));
        let is_ours = slot.step(word, word.as_kind(kind));
        busy.store(0, Ordering::Relaxed);
        self.shop.seat(self.seat).has_worked.store(1, Ordering::Relaxed);
        if is_ours && early != Some(0) {
            self.shop.settled(slot);
        }
        is_ours || mutant!("pool-robbed-goes-on")
    }

    /// Runs the user's code; what came out is in `output`.
    fn produce(&mut self, slot: &Slot, index: u32) -> Kind {
        // SAFETY: the client, whose fork this process is, wrote it from a Job before it queued the task.
        let run = unsafe { job::run_at(slot.job.load(Ordering::Relaxed)) };
        self.output.clear();
        let output = &mut self.output;
        let call = |argument: &[u8]| catch_unwind(AssertUnwindSafe(|| run(argument, output)));
        let called = slot.read(&self.shop.annex, index, Part::Argument, &mut self.argument, call);
        if self.argument.capacity() > BUFFER_KEPT_BYTES {
            self.argument = Vec::new();
        }
        match called {
            Ok(Ok(Done::Value)) => Kind::Value,
            Ok(Ok(Done::Undecodable)) => Kind::Undecodable,
            Ok(Ok(Done::Unencodable)) => Kind::Unencodable,
            Ok(Err(payload)) => {
                self.output = encode_panic(payload);
                Kind::Panicked
            }
            Err(errno) => {
                let text = format!("read the argument: {errno}");
                job::fail(Done::Undecodable, &text, &mut self.output);
                Kind::Undecodable
            }
        }
    }

    fn report(&self, report: &[u8]) {
        let bytes = &report[..report.len().min(REPORT_BYTES_MAX)];
        if self.shop.annex.write_report(self.seat, bytes).is_ok() {
            let seat = self.shop.seat(self.seat);
            seat.report_bytes.store(bytes.len() as u32, Ordering::Release);
        }
    }
}

/// A caught panic as bytes.
#[cold]
pub(super) fn encode_panic(payload: Box<dyn Any + Send>) -> Vec<u8> {
    let report = report_here(&*payload);
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        // A payload that panics as it is dropped; another one inside would do no better.
        std::mem::forget(again);
    }
    // Strings and numbers always encode.
    postcard::to_stdvec(&report).unwrap_or_default()
}
