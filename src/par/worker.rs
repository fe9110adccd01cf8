//! A worker's life: claim a chunk, do its items, send what is to be told, claim the next.
//!
//! It runs in a child, and in the calling process too if that one takes part.

use crate::par::outbox::Outbox;
use crate::par::plan::Plan;
use crate::par::table::{Seat, Table};
use crate::process::report_caught;
use crate::sys::Errno;
use crate::sys::sheet::Sheet;
use std::cell::Cell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a call does with a chunk. All else is the same for all calls, and compiled once.
pub(super) trait Job {
    /// Whether the chunks have results, not the items.
    fn is_by_chunk(&self) -> bool {
        false
    }

    /// The type of the caller's function, for what is told of the workers.
    fn task(&self) -> &'static str;

    /// Does the items of a chunk.
    fn run(&self, chunk: usize, items: Range<usize>, desk: &mut Desk<'_>);
}

/// What every worker of a call sees: made before the fork.
pub(super) struct Office<'a> {
    pub(super) plan: &'a Plan,
    pub(super) table: &'a Table,
    pub(super) sheet: &'a Sheet,
}

/// Where one worker sits.
pub(super) struct Desk<'a> {
    seat: Seat<'a>,
    outbox: Outbox<'a>,
}

impl Office<'_> {
    /// Works until nothing is left to claim. An error if results could not be sent: those are lost, and the worker stops.
    pub(super) fn work(&self, worker: u32, seat: usize, job: &dyn Job) -> Result<(), Errno> {
        let (number, seat) = (seat, self.table.seat(seat));
        let mut desk = Desk { seat, outbox: Outbox::new(self.sheet, seat, number) };
        while let Some(chunk) = self.table.claim(worker) {
            let items = self.plan.items(chunk);
            let end = items.end;
            job.run(chunk, items, &mut desk);
            desk.outbox.flush()?;
            seat.set_at(end);
        }
        Ok(())
    }
}

impl Desk<'_> {
    /// Calls `one` for each item, notes before each that it is next, and tells of those that panic.
    #[inline(always)]
    pub(super) fn each(&mut self, items: Range<usize>, one: impl Fn(usize, &mut Outbox<'_>)) {
        let mut next = items.start;
        while next < items.end {
            let (seat, outbox) = (self.seat, &mut self.outbox);
            let left = next..items.end;
            let done = catch_unwind(AssertUnwindSafe(|| {
                for item in left {
                    seat.set_at(item + usize::from(mutant!("par-at-too-early")));
                    one(item, outbox);
                }
            }));
            let Err(payload) = done else { return };
            next = self.seat.at() + 1;
            self.tell_panic(next - 1, payload);
        }
    }

    /// Calls `all` once for the whole chunk and tells its value under the chunk's first item, or the panic under the item that
    /// `all` has noted.
    #[inline(always)]
    pub(super) fn once<A: serde::Serialize>(
        &mut self,
        items: Range<usize>,
        all: impl FnOnce(Range<usize>, &Cell<usize>) -> A,
    ) {
        let at = Cell::new(items.start);
        self.seat.set_at(items.start);
        let outbox = &mut self.outbox;
        let done = catch_unwind(AssertUnwindSafe(|| {
            let first = items.start;
            outbox.value(first, &all(items, &at));
        }));
        if let Err(payload) = done {
            self.tell_panic(at.get(), payload);
        }
    }

    #[cold]
    fn tell_panic(&mut self, item: usize, payload: Box<dyn std::any::Any + Send>) {
        self.outbox.panicked(item, &report_caught(&*payload));
        // Its drop is the user's code, and could panic.
        std::mem::forget(payload);
    }
}
