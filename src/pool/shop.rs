//! What client, supervisor and workers of one pool share: slots, the ring that delivers their numbers, seats, the morgue.
//!
//! All words are atomics; each has one writer or changes by compare-exchange. Who writes what is told at its field.

#![expect(unsafe_code, reason = "promises that its words may be shared")]

use crate::error::{Error, Result};
use crate::pool::annex::Annex;
use crate::pool::slot::{POLLER, SLEEPER, Slot};
use crate::pool::word::{Kind, Word};
use crate::queue::ring_core::{Patience, RingCore};
use crate::shm::{Region, Shared, ShmSafe, roster};
use crate::sync::event_count::EventCount;
use crate::sync::linux::Linux;
use crate::sys::eventfd::Bell;
use crate::sys::sheet::Sheet;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How the pool is to go on. Only ever raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub(super) enum Mode {
    Open = 0,
    /// What is queued is finished, then all end.
    Closing = 1,
    /// As that, and a death is final.
    ClosingNow = 2,
    /// The workers are ended.
    Terminating = 3,
}

/// Why the pool failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Failure {
    /// Too many workers died without a task.
    Restarts = 1,
    /// The initialiser failed too often; the seat with its report is in `blame`.
    Initializer = 2,
    /// A worker could not be forked; errno is in `blame`.
    Fork = 3,
    /// The supervisor is dead.
    Supervisor = 4,
}

/// The pool's own words.
#[derive(Debug)]
#[repr(C, align(128))]
pub(super) struct Head {
    /// The supervisor's roster id; 0 before it sits. Written by it once.
    pub(super) supervisor: AtomicU32,
    /// [`Mode`]. Raised by the client.
    pub(super) mode: AtomicU32,
    /// How many workers there should be. Written by the client.
    pub(super) target: AtomicU32,
    /// How many workers are to leave although there is work. Raised by the client, lowered by whoever leaves.
    pub(super) retire: AtomicU32,
    /// How many workers there are. Written by the supervisor.
    pub(super) living: AtomicU32,
    /// How many workers were forked in place of one that had ended. Written by the supervisor; for those who look from outside.
    pub(super) replaced: AtomicU64,
    /// How many seats were ever used. Written by the supervisor.
    pub(super) seats_used: AtomicU32,
    /// [`Failure`], 0 while all is well. Set once, with `blame` before it.
    failure: AtomicU32,
    pub(super) blame: AtomicU32,
    /// How many threads of the client wait for more than one task.
    pub(super) watch_all: AtomicU32,
    /// Somebody wants to be told when no more than so many (less one) are queued; 0: nobody.
    pub(super) low_water: AtomicU32,
    /// Until when the supervisor sleeps, in ns since the beginning. Written by it.
    pub(super) planned: AtomicU64,
    /// Whether any task ever had a deadline. Set by the client.
    pub(super) has_deadlines: AtomicU32,
    /// Rung when something has an outcome for which somebody waits, and when a worker begins or ends.
    pub(super) done: EventCount,
    /// Always 0: no wake-up needs it, for every waker is watched (P4).
    pub(super) alarm: AtomicU32,
    /// Always 0.
    pub(super) zero: AtomicU32,
    /// Until when workers that do not end are given time in `Terminating`, in ns since the beginning. Lowered by the client.
    pub(super) grace_ends: AtomicU64,
    /// How long the list of code addresses in the file is, if the supervisor has left one; before it sits.
    pub(super) code_bytes: AtomicU32,
    /// The pool's beginning. Never changes.
    pub(super) base: Instant,
}

/// A worker's place: it outlives the workers that sit in it.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Seat {
    /// The roster id of the last worker here; it writes that itself.
    pub(super) worker: AtomicU32,
    /// The slot that it tried to claim last; [`NO_SLOT`] before the first. Written by it, before the claim (P1).
    pub(super) slot: AtomicU32,
    /// Length of the report of a failed initialiser.
    pub(super) report_bytes: AtomicU32,
    /// Whether it runs a task, or did when it died. Written by it; cleared before a fork.
    pub(super) busy: AtomicU32,
    /// Whether it has done a task. Written by it; cleared before a fork.
    pub(super) has_worked: AtomicU32,
    /// How many workers have ended here, and how the last one did: as in the morgue. Written by the supervisor; for those who look from
    /// outside.
    pub(super) ends: AtomicU32,
    pub(super) last_end: AtomicU64,
}

const _: () = assert!(size_of::<Seat>() == 32);

/// No slot.
pub(super) const NO_SLOT: u32 = u32::MAX;
/// In the ring: no task, only a reason to look up.
const NUDGE: u64 = u64::MAX;
/// How many deaths are remembered.
pub(super) const MORGUE: usize = 256;
/// How many seats there are at least.
const SEATS: usize = 256;

// SAFETY: atomics, used through `&`: any value that a dying process leaves is one that the others handle. And a point of the monotonic
// clock, which all processes share, written before anybody else sees it.
unsafe impl ShmSafe for Head {}
// SAFETY: atomics alone.
unsafe impl ShmSafe for Seat {}

/// See the top of the file. Each process has its own handle, made by fork, or from a list of what is where (`passage.rs`).
#[derive(Debug)]
pub(super) struct Shop {
    pub(super) head: Shared<Head>,
    pub(super) seats: Shared<[Seat]>,
    pub(super) slots: Shared<[Slot]>,
    pub(super) ring: Shared<RingCore>,
    pub(super) entries: Shared<[AtomicU64]>,
    /// How the last workers ended: roster id, and what `waitid` said. Written by the supervisor.
    pub(super) morgue: Shared<[AtomicU64]>,
    pub(super) annex: Annex,
    /// Rung for the supervisor.
    pub(super) bell: Bell,
    /// Rung for those who poll for outcomes.
    pub(super) told: Bell,
}

/// How many of each there are.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Stock {
    pub(super) slots: usize,
    pub(super) seats: usize,
    pub(super) entries: usize,
}

impl Stock {
    pub(super) fn new(slots: usize, workers: usize) -> Stock {
        // Twice as many entries as slots: a worker that died may leave a number of which the slot has gone on.
        Stock { slots, seats: SEATS.max(workers), entries: (2 * slots).next_power_of_two() }
    }

    /// How large the region is.
    pub(super) fn bytes(self) -> usize {
        let Stock { slots, seats, entries } = self;
        slots * size_of::<Slot>()
            + entries * size_of::<AtomicU64>()
            + seats * size_of::<Seat>()
            + MORGUE * size_of::<AtomicU64>()
            + size_of::<Head>()
            + size_of::<RingCore>()
            + 8 * align_of::<Head>()
    }
}

impl Shop {
    pub(super) fn new(slots: usize, workers: usize, name: &str) -> Result<Shop> {
        let stock = Stock::new(slots, workers);
        Shop::furnish(&Region::new(stock.bytes())?, stock, workers, name)
    }

    /// Places everything.
    pub(super) fn furnish(
        region: &Region,
        stock: Stock,
        workers: usize,
        name: &str,
    ) -> Result<Shop> {
        let Stock { slots, seats, entries } = stock;
        let os = |errno| Error::os("create", "a pool", errno);
        let bell = || Bell::ringing().map_err(os);
        let shop = Shop {
            head: region.place(Head::new(workers as u32))?,
            ring: region.place(RingCore::new(entries as u64))?,
            entries: region.place_slice(entries, |_| AtomicU64::new(0))?,
            seats: region.place_slice(seats, |_| Seat::new())?,
            slots: region.place_slice(slots, |_| Slot::new())?,
            morgue: region.place_slice(MORGUE, |_| AtomicU64::new(0))?,
            annex: Annex::new(Sheet::new().map_err(os)?),
            bell: bell()?,
            told: bell()?,
        };
        shop.told.silence();
        drop(shop.head.clone().named(name));
        Ok(shop)
    }

    pub(super) fn slot(&self, index: u32) -> &Slot {
        &self.slots[index as usize]
    }

    pub(super) fn seat(&self, index: u32) -> &Seat {
        &self.seats[index as usize]
    }

    pub(super) fn used_seats(&self) -> &[Seat] {
        &self.seats[..self.head.seats_used.load(Ordering::Acquire) as usize]
    }

    pub(super) fn mode(&self) -> Mode {
        match self.head.mode.load(Ordering::Acquire) {
            0 => Mode::Open,
            1 => Mode::Closing,
            2 => Mode::ClosingNow,
            _ => Mode::Terminating,
        }
    }

    pub(super) fn failure(&self) -> Option<Failure> {
        match self.head.failure.load(Ordering::Acquire) {
            0 => None,
            1 => Some(Failure::Restarts),
            2 => Some(Failure::Initializer),
            3 => Some(Failure::Fork),
            _ => Some(Failure::Supervisor),
        }
    }

    /// The first failure counts.
    pub(super) fn fail(&self, failure: Failure) {
        let set = (0, failure as u32);
        let _ =
            self.head.failure.compare_exchange(set.0, set.1, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Nanoseconds since the pool's beginning; the clock is the same in all processes.
    pub(super) fn now(&self) -> u64 {
        self.head.base.elapsed().as_nanos() as u64
    }

    pub(super) fn nanos_of(&self, instant: Instant) -> u64 {
        (instant.saturating_duration_since(self.head.base).as_nanos() as u64).max(1)
    }

    pub(super) fn instant_of(&self, nanos: u64) -> Instant {
        self.head.base + Duration::from_nanos(nanos)
    }

    /// Puts slots into the ring, behind all others; the caller is a thread of the client. False if the pool takes nothing.
    #[inline]
    pub(super) fn enqueue(&self, me: u32, pacer: &super::Pacer, slots: &[u32]) -> bool {
        let mut sent = 0;
        while sent < slots.len() {
            let write = |position: u64, count: u64| {
                for nth in 0..count {
                    let slot = slots[sent + nth as usize];
                    let entry = &self.entries[self.ring.slot(position.wrapping_add(nth))];
                    entry.store(
                        entry_of(slot, self.slot(slot).word().generation),
                        Ordering::Relaxed,
                    );
                }
            };
            let want = (slots.len() - sent) as u64;
            match self.ring.send(&Linux, me, Patience::FOREVER, pacer, want, write) {
                Ok(count) => sent += count as usize,
                Err(_) => return false,
            }
        }
        true
    }

    /// Lets `count` idle workers look up.
    pub(super) fn nudge(&self, me: u32, pacer: &super::Pacer, count: u32) {
        for _ in 0..count {
            let write = |position: u64, _| {
                self.entries[self.ring.slot(position)].store(NUDGE, Ordering::Relaxed);
            };
            // If it is full, nobody is idle.
            let _ = self.ring.send(&Linux, me, Patience::None, pacer, 1, write);
        }
    }

    /// In the ring's receive: claims what is at a position for `me`, who sits in `seat`. See P1 and the table of steps.
    #[inline]
    pub(super) fn claim(&self, position: u64, seat: &Seat, me: u32) -> Option<(u32, Word)> {
        let entry = self.entries[self.ring.slot(position)].load(Ordering::Relaxed);
        if entry == NUDGE {
            return None;
        }
        let (index, generation) = (entry as u32, (entry >> 32) as u32);
        let slot = self.slots.get(index as usize)?;
        if !mutant!("pool-no-seat-note") {
            seat.slot.store(index, Ordering::Release);
        }
        let word = slot.word();
        if word.generation != generation && !mutant!("pool-any-generation") {
            return None;
        }
        let begun = word.begun_by(me);
        let is_claimed = word.kind == Kind::Queued && slot.step(word, begun);
        // Only now: a slot with its number in the ring has no new tenant.
        if is_claimed {
            slot.in_ring.store(0, Ordering::Release);
            return Some((index, begun));
        }
        // SeqCst, for `made_room`.
        slot.in_ring.store(0, Ordering::SeqCst);
        None
    }

    /// After a look into the ring that claimed nothing: the slot of a task that was over may be free now (P5).
    #[cold]
    pub(super) fn made_room(&self) {
        if self.head.watch_all.load(Ordering::SeqCst) != 0 && !mutant!("pool-silent-room") {
            self.head.done.ring_all(&Linux);
        }
    }

    /// After a step to an outcome: wakes whoever waits for it.
    #[inline]
    pub(super) fn settled(&self, slot: &Slot) {
        // All SeqCst: see P4.
        let watched = slot.watched.load(Ordering::SeqCst);
        let all = self.head.watch_all.load(Ordering::SeqCst);
        let low = self.head.low_water.load(Ordering::SeqCst);
        if watched | all | low != 0 {
            self.settled_slow(watched, all, low);
        }
    }

    #[cold]
    fn settled_slow(&self, watched: u32, all: u32, low: u32) {
        let is_low = low != 0
            && self.ring.len() < u64::from(low)
            && self.head.low_water.swap(0, Ordering::SeqCst) != 0;
        if watched & SLEEPER != 0 || all != 0 || is_low {
            self.head.done.ring_all(&Linux);
        }
        if watched & POLLER != 0 {
            self.told.ring();
        }
    }

    /// Whether the worker in a seat is in a task's function, or on its way from there to the commit.
    pub(super) fn is_in_task(&self, seat: &Seat) -> bool {
        let Some(slot) = self.slots.get(seat.slot.load(Ordering::SeqCst) as usize) else {
            return false;
        };
        let word = slot.word();
        seat.busy.load(Ordering::SeqCst) != 0
            && word.kind == Kind::Running
            && word.holder == seat.worker.load(Ordering::SeqCst)
    }

    /// Resolves a task that a dead worker was running, if that was its last attempt. Whether the word has changed.
    pub(super) fn bury(&self, slot: &Slot, word: Word) -> bool {
        let is_last = match slot.is_last_attempt(word) {
            true => !mutant!("pool-never-final"),
            false => mutant!("pool-always-final"),
        };
        let is_final = is_last || self.mode() >= Mode::ClosingNow;
        if word.kind != Kind::Running || !is_final || !roster::is_dead(word.holder) {
            return false;
        }
        // In this order: who dies of the supervisor's death dies after it, so here that is known.
        let kind = if self.has_failed() { Kind::Broken } else { Kind::Died };
        let changes = slot.step(word, word.as_kind(kind));
        if changes {
            self.settled(slot);
        }
        changes
    }

    /// Gives every task without an outcome this one.
    pub(super) fn resolve_all(&self, kind: Kind, also_running: bool) {
        for slot in &*self.slots {
            loop {
                let word = slot.word();
                let applies =
                    word.kind == Kind::Queued || also_running && word.kind == Kind::Running;
                if !applies {
                    break;
                }
                if slot.step(word, word.as_kind(kind)) {
                    self.settled(slot);
                    break;
                }
            }
        }
    }
}

fn entry_of(slot: u32, generation: u32) -> u64 {
    u64::from(generation) << 32 | u64::from(slot)
}

impl Head {
    /// For those who look from outside.
    pub(super) const FAILURE_OFFSET: usize = std::mem::offset_of!(Head, failure);

    fn new(workers: u32) -> Head {
        let zero = || AtomicU32::new(0);
        Head {
            supervisor: zero(),
            mode: zero(),
            target: AtomicU32::new(workers),
            retire: zero(),
            living: zero(),
            replaced: AtomicU64::new(0),
            seats_used: zero(),
            failure: zero(),
            blame: zero(),
            watch_all: zero(),
            low_water: zero(),
            planned: AtomicU64::new(u64::MAX),
            has_deadlines: zero(),
            done: EventCount::new(),
            alarm: zero(),
            zero: zero(),
            grace_ends: AtomicU64::new(u64::MAX),
            code_bytes: zero(),
            base: Instant::now(),
        }
    }
}

impl Seat {
    fn new() -> Seat {
        let zero = || AtomicU32::new(0);
        Seat {
            worker: zero(),
            slot: AtomicU32::new(NO_SLOT),
            report_bytes: zero(),
            busy: zero(),
            has_worked: zero(),
            ends: zero(),
            last_end: AtomicU64::new(0),
        }
    }
}
