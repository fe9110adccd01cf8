//! The work queue's algorithm, over any kernel: a [table](Table) of items in a [monitor](Monitor).
//!
//! - W1 Whoever needs an item, waits for the end of all, or counts, first takes from the dead what they held. So an item that came
//!   back is delivered before younger ones, and nobody is told "empty" or "all done" while a dead thread holds something.
//! - W2 Three kinds wait: receivers, senders, joiners. Whoever waits leaves its kind in `waiting`, under the lock; an operation that
//!   leaves a state which suits a kind that waits wakes *all*, and clears `waiting`. They look again, and say again that they wait.
//! - W3 A sleeper watches the lives of all holders. There is no new holder without an item that was ready, and no item becomes
//!   ready without W2 waking the receivers: they look again, and watch the new one. A joiner must know of a holder only if its
//!   death makes a dead letter: a last delivery wakes the joiners too (`last_chance`).
//! - W4 What `waiting` says may be too much (one that waited has died, or has given up): that costs a wake-up for nothing.

use crate::deadline::Deadline;
use crate::prim::{AtomicU32, AtomicU64};
use crate::queue::gate::{Bell, Latch};
use crate::queue::gauge::{Gauge, half};
use crate::queue::ring_core::Failed;
use crate::queue::work::blocks::Blocks;
#[cfg(feature = "kill-matrix")]
use crate::queue::work::slot;
use crate::queue::work::slot::{Slot, get, set};
use crate::queue::work::table::{self, End, Holder, Letter, Table, TableHead};
use crate::sync::kernel::Kernel;
use crate::sync::monitor::{Attempt, EVERYBODY, Lives, Monitor, NOBODY, ONE, State};
use crate::sync::patience::{GaveUp, Patience};
use std::cell::Cell;
use std::mem::offset_of;

/// The words of a work queue besides its slots, holders and blocks.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct WorkHead {
    monitor: Monitor,
    table: TableHead,
    closed: AtomicU32,
    /// The kinds that wait, or did; see W2.
    waiting: AtomicU32,
    /// How many blocks the most modest of the waiting senders needs.
    wanted: AtomicU32,
    /// Not 0: an item has been delivered for the last time since the joiners were woken.
    last_chance: AtomicU32,
    latch: Latch,
}

/// What somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Sender = 1,
    Receiver = 2,
    Joiner = 4,
}
const ANY_KIND: u32 = 7;

/// A work queue as one thread of one process sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work<'a> {
    head: &'a WorkHead,
    table: Table<'a>,
    /// Of a pollable queue.
    bell: Option<&'a dyn Bell>,
    me: u32,
}

/// An item on delivery to the calling thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) slot: u32,
    /// How often the item has been delivered, with this time.
    pub(crate) attempts: u32,
}

/// How many items there are of each sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) ready: u32,
    pub(crate) leased: u32,
    pub(crate) dead: u32,
}

/// What an outsider reads of a work queue.
pub(crate) fn gauge(bytes: &[u8]) -> Gauge {
    let table = bytes.get(offset_of!(WorkHead, table)..).unwrap_or_default();
    let is_closed = half(bytes, offset_of!(WorkHead, closed)) != 0;
    Gauge { is_closed, ..table::gauge(table) }
}

impl WorkHead {
    pub(crate) fn new(max_attempts: u32) -> WorkHead {
        let zero = || AtomicU32::new(0);
        WorkHead {
            monitor: Monitor::new(),
            table: TableHead::new(max_attempts),
            closed: zero(),
            waiting: zero(),
            wanted: zero(),
            last_chance: zero(),
            latch: Latch::new(),
        }
    }
}

impl<'a> Work<'a> {
    /// The queue for the thread `me`. There are as many holders as slots, one link for each block, and equally many words.
    pub(crate) fn new(
        head: &'a WorkHead,
        slots: &'a [Slot],
        holders: &'a [Holder],
        links: &'a [AtomicU32],
        words: &'a [AtomicU64],
        me: u32,
    ) -> Work<'a> {
        let blocks = Blocks { free: &head.table.blocks, links, words };
        Work { head, table: Table { head: &head.table, slots, holders, blocks }, bell: None, me }
    }

    /// The same queue with its bell.
    pub(crate) fn with_bell(self, bell: Option<&'a dyn Bell>) -> Work<'a> {
        Work { bell, ..self }
    }

    /// Once, before anybody else sees the queue: all is free.
    pub(crate) fn found(&self) {
        self.table.repair();
    }

    /// Sends an item.
    pub(crate) fn send<K: Kernel>(
        &self,
        kernel: &K,
        patience: Patience,
        payload: &[u8],
    ) -> Result<(), Failed> {
        let sent = self.operate(kernel, patience, Kind::Sender, || {
            if self.is_closed() {
                return Some(Err(Failed::Closed));
            }
            if !self.table.has_room(payload.len()) {
                let needed = self.table.blocks.needed(payload.len());
                let wanted = match self.waits(Kind::Sender) {
                    true => get(&self.head.wanted).min(needed),
                    false => needed,
                };
                set(&self.head.wanted, wanted);
                return None;
            }
            self.tell();
            self.table.put(payload);
            Some(Ok(()))
        });
        sent.unwrap_or_else(|gave_up| Err(gave_up.into()))
    }

    /// Leases the oldest item to this thread.
    pub(crate) fn recv<K: Kernel>(&self, kernel: &K, patience: Patience) -> Result<Lease, Failed> {
        let rests = Cell::new(false);
        let received = self.operate(kernel, patience, Kind::Receiver, || {
            if let Some((slot, attempts)) = self.table.take(self.me) {
                if attempts >= self.table.max_attempts() {
                    set(&self.head.last_chance, 1);
                }
                return Some(Ok(Lease { slot, attempts }));
            }
            // What others hold may come back; what this thread holds cannot while it waits.
            let is_over = self.is_closed() && self.table.leased() == self.table.leased_by(self.me);
            if let (false, Patience::None, Some(bell)) = (is_over, patience, self.bell) {
                self.head.latch.rest(bell);
                rests.set(true);
            }
            is_over.then_some(Err(Failed::Closed))
        });
        received.unwrap_or_else(|gave_up| {
            if let (false, Patience::None, Some(bell)) = (rests.get(), patience, self.bell) {
                // Somebody was stopped in the middle of an operation: whoever polls must come back.
                bell.ring();
            }
            Err(gave_up.into())
        })
    }

    /// The payload of an item that this thread holds. Needs no lock.
    pub(crate) fn payload(&self, lease: Lease) -> Vec<u8> {
        self.table.payload(lease.slot)
    }

    /// Ends a lease of this thread.
    pub(crate) fn end<K: Kernel>(&self, kernel: &K, lease: Lease, end: End) {
        self.at_once(kernel, || {
            self.tell_unless(end == End::Done);
            self.table.end(self.me, lease.slot, end);
        });
    }

    /// Ends this thread's oldest lease, as done; false if it has none.
    pub(crate) fn end_oldest<K: Kernel>(&self, kernel: &K) -> bool {
        self.at_once(kernel, || {
            self.tell_unless(true);
            self.table.end_oldest(self.me)
        })
    }

    /// Whether this thread holds items.
    pub(crate) fn holds_any<K: Kernel>(&self, kernel: &K) -> bool {
        self.at_once(kernel, || self.table.leased_by(self.me) > 0)
    }

    /// Waits until nothing is ready and nothing on delivery; how many dead letters there are then.
    pub(crate) fn join<K: Kernel>(&self, kernel: &K, patience: Patience) -> Result<u32, GaveUp> {
        let is_done = || (self.unfinished() == 0).then(|| self.table.dead());
        self.operate(kernel, patience, Kind::Joiner, is_done)
    }

    /// Closes the queue for senders, and for receivers once all is done with.
    pub(crate) fn close<K: Kernel>(&self, kernel: &K) {
        self.at_once(kernel, || {
            self.tell();
            set(&self.head.closed, 1);
        });
    }

    pub(crate) fn is_closed(&self) -> bool {
        get(&self.head.closed) != 0
    }

    /// How many items there are, after the dead have given theirs back.
    pub(crate) fn count<K: Kernel>(&self, kernel: &K) -> Counts {
        let count = || {
            let (ready, leased) = (self.table.ready(), self.table.leased());
            Some(Counts { ready, leased, dead: self.table.dead() })
        };
        // A joiner that never waits.
        let counts = self.operate(kernel, Patience::Until(Deadline::NEVER), Kind::Joiner, count);
        counts.unwrap_or_else(|_| unreachable!("a wait without a deadline ended"))
    }

    /// Whether a send of so many bytes would have to wait.
    pub(crate) fn is_full<K: Kernel>(&self, kernel: &K, bytes: usize) -> bool {
        self.at_once(kernel, || !self.table.has_room(bytes))
    }

    /// A copy of the dead letter after this one, or of the first.
    pub(crate) fn letter_after<K: Kernel>(
        &self,
        kernel: &K,
        before: Option<&Letter>,
    ) -> Option<Letter> {
        self.count(kernel);
        self.at_once(kernel, || self.table.letter_after(before))
    }

    /// Removes the first dead letter.
    pub(crate) fn take_letter<K: Kernel>(&self, kernel: &K) -> Option<Letter> {
        self.count(kernel);
        self.at_once(kernel, || self.table.take_letter())
    }

    /// Makes all dead letters items again; how many.
    pub(crate) fn retry_letters<K: Kernel>(&self, kernel: &K) -> u32 {
        self.count(kernel);
        self.at_once(kernel, || {
            self.tell();
            self.table.retry_letters()
        })
    }

    /// How many items there are, as far as a glance tells: without the lock, from the slots' words alone.
    #[cfg(feature = "kill-matrix")]
    pub(crate) fn glance(&self) -> Counts {
        let mut counts = Counts { ready: 0, leased: 0, dead: 0 };
        for slot in self.table.slots {
            match slot.standing().kind {
                slot::Kind::Free => {}
                slot::Kind::Ready => counts.ready += 1,
                slot::Kind::Leased => counts.leased += 1,
                slot::Kind::Dead => counts.dead += 1,
            }
        }
        counts
    }

    fn unfinished(&self) -> u32 {
        self.table.ready() + self.table.leased()
    }

    fn waits(&self, kind: Kind) -> bool {
        get(&self.head.waiting) & kind as u32 != 0
    }

    /// Runs `attempt` under the lock until it has a result.
    fn operate<K: Kernel, R>(
        &self,
        kernel: &K,
        patience: Patience,
        kind: Kind,
        attempt: impl Fn() -> Option<R>,
    ) -> Result<R, GaveUp> {
        let waiter = Waiter { work: *self, kind };
        loop {
            let done = self.head.monitor.run(kernel, self.me, patience, &waiter, |_| {
                let reaped = kind != Kind::Sender && self.reap(kernel);
                match attempt() {
                    Some(result) => Attempt::Done(Some(result), self.wakes()),
                    // Something has changed all the same: tell it, then come again.
                    None if reaped => Attempt::Done(None, self.wakes()),
                    None => {
                        set(&self.head.waiting, get(&self.head.waiting) | kind as u32);
                        Attempt::Wait
                    }
                }
            })?;
            if let Some(result) = done {
                return Ok(result);
            }
        }
    }

    /// Runs `change` under the lock, once.
    fn at_once<K: Kernel, R>(&self, kernel: &K, change: impl Fn() -> R) -> R {
        let patience = Patience::Until(Deadline::NEVER);
        let result = self.operate(kernel, patience, Kind::Sender, || Some(change()));
        result.unwrap_or_else(|_| unreachable!("a wait without a deadline ended"))
    }

    /// W1.
    fn reap<K: Kernel>(&self, kernel: &K) -> bool {
        if mutant!("work-reap-late") && self.table.ready() > 0 {
            return false;
        }
        self.table.reap(|id| {
            let is_dead = id != self.me && kernel.is_dead(id);
            if is_dead {
                self.tell();
            }
            is_dead
        })
    }

    /// Under the lock, before something may become receivable: those who poll a pollable queue are told.
    fn tell(&self) {
        if let Some(bell) = self.bell {
            self.head.latch.tell(bell);
        }
    }

    /// The same before the end of a delivery; one that leaves no item is news only on a closed queue, which may be over then.
    fn tell_unless(&self, leaves_none: bool) {
        if !leaves_none || self.is_closed() {
            self.tell();
        }
    }

    /// Whom an operation wakes, at its end (W2).
    fn wakes(&self) -> u32 {
        let head = self.head;
        if get(&head.waiting) == 0 {
            return NOBODY;
        }
        let closed = self.is_closed();
        let receivers = self.waits(Kind::Receiver) && (closed || self.table.ready() > 0);
        let room =
            || self.table.unused() > 0 && self.table.blocks.free_count() >= get(&head.wanted);
        let senders = self.waits(Kind::Sender) && (closed || room());
        let done = || self.unfinished() == 0 || get(&head.last_chance) != 0;
        let joiners = self.waits(Kind::Joiner) && done();
        if !(receivers || senders || joiners) {
            return NOBODY;
        }
        set(&head.waiting, 0);
        set(&head.last_chance, 0);
        if mutant!("work-wakes-one") { ONE } else { EVERYBODY }
    }
}

/// One that may have to wait.
struct Waiter<'a> {
    work: Work<'a>,
    kind: Kind,
}

impl State for Waiter<'_> {
    fn repair(&self) {
        if !mutant!("work-no-repair") {
            self.work.table.repair();
        }
        // The dead owner may have cleared this, and not woken anybody.
        set(&self.work.head.waiting, ANY_KIND);
        set(&self.work.head.wanted, 0);
        set(&self.work.head.last_chance, 1);
    }

    fn lives(&self, lives: &mut Lives) {
        if self.kind == Kind::Sender {
            return; // a holder's death makes no room
        }
        let me = self.work.me;
        // Should there be too many, let others watch others.
        self.work.table.holders_from(me).filter(|&id| id != me).for_each(|id| lives.push(id));
    }
}
