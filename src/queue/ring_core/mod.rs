//! The ring's algorithm, over any kernel: positions, ends, who waits for what. The slots' bytes belong to the caller.
//!
//! ```text
//!   producer end: lock, mode, head as last seen      consumer end: lock, mode, tail as last seen
//!   tail ─────────────────────────────────┐          ┌────────────────────── head
//!   slots   [ free ][ free ][ msg ][ msg ][ msg ][ free ]        each in cache lines of its own
//! ```
//!
//! A position counts messages since the beginning; its slot is the position modulo the capacity.
//!
//! - R1 `tail` is written by the owner of the producer end alone, `head` by the owner of the consumer end alone.
//! - R2 `head <= tail <= head + capacity`. Slots from `head` to `tail` hold whole messages.
//! - R3 A send is one release store of `tail`, behind its payload; a receive is one release store of `head`, behind its copy.
//!   Before that store nothing has changed, after it everything has. The positions last seen are hints (lower bounds).
//! - R4 `closed` is read by a sender that owns the producer end, before it writes: see `drained` for what receivers conclude.
//! - R5 The *alarm* is named by every thread for the length of its operation (and while it holds an end). It covers the lock,
//!   the commit and the wake-up after it: if the thread dies in between, the kernel wakes one sleeper, which wakes all.
//!   Those about to sleep compare the position and `closed` as they are enqueued, so they miss neither the change nor the alarm.
//!
//! What a `kill -9` leaves: a lock with a dead owner, which the next one takes over. There is nothing to repair.

mod polled;
mod transfer;
mod waiting;

use crate::prim::{AtomicU32, AtomicU64, Ordering};
use crate::queue::gate::{Bell, Gate};
use crate::queue::gauge::{Gauge, half, word};
use crate::sync::event_count::EventCount;
use crate::sync::kernel::{Awaits, Kernel, Pace};
use crate::sync::lock_core::LockCore;
use crate::sync::patience::GaveUp;
pub(crate) use crate::sync::patience::Patience;
use std::mem::offset_of;

/// `mode` of an end: used by single operations.
const SHARED: u32 = 0;
/// Held across operations, none under way.
const HELD: u32 = 1;
/// Held, an operation is under way.
const HELD_BUSY: u32 = 2;

/// One end: who may move its position, and what that one remembers.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct End {
    lock: LockCore,
    mode: AtomicU32,
    /// The other end's position as this end's owner last saw it; a lower bound. Written under the lock.
    seen: AtomicU64,
}

/// A position in a cache line of its own: the other end polls it.
#[derive(Debug)]
#[repr(C, align(128))]
struct Position(AtomicU64);

/// What all read and few write.
#[derive(Debug)]
#[repr(C, align(128))]
struct Common {
    capacity: u64,
    /// `capacity - 1` if that is a power of two, else 0.
    mask: u64,
    closed: AtomicU32,
    /// Always 0; see R5.
    alarm: AtomicU32,
    /// Rung when `tail` has moved, and when `head` has.
    sent: EventCount,
    freed: EventCount,
}

/// See the top of the file.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct RingCore {
    producer: End,
    tail: Position,
    consumer: End,
    head: Position,
    common: Common,
    gate: Gate,
}

/// Which end of the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Producer,
    Consumer,
}

/// What an outsider reads of a ring.
pub(crate) fn gauge(bytes: &[u8]) -> Gauge {
    let closed = offset_of!(RingCore, common) + offset_of!(Common, closed);
    Gauge {
        sent: word(bytes, offset_of!(RingCore, tail)),
        received: word(bytes, offset_of!(RingCore, head)),
        capacity: Some(word(bytes, offset_of!(RingCore, common) + offset_of!(Common, capacity))),
        is_closed: half(bytes, closed) != 0,
        ..Gauge::default()
    }
}

impl Side {
    /// What those wait for who wait on this side.
    fn awaits(self) -> Awaits {
        match self {
            Side::Producer => Awaits::Room,
            Side::Consumer => Awaits::Message,
        }
    }
}

/// Why an operation did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// Full or empty, or the end is held; for those without patience.
    NotNow,
    TimedOut,
    Closed,
}

/// How long waiting has paid off lately: kept by a handle, for one side. See [`Kernel::pause`]. And what a pollable queue's senders ring.
pub(crate) trait Pacer {
    /// How the wait begins.
    fn pace(&self) -> Pace;
    /// A wait awake has ended with something to do, and perhaps with more behind it.
    fn found(&self, more: bool);
    /// The bell of a pollable queue, to be rung before a commit.
    #[inline(always)]
    fn bell(&self) -> Option<&dyn Bell> {
        None
    }
}

impl RingCore {
    /// A ring for `capacity` messages, at least one.
    pub(crate) fn new(capacity: u64) -> RingCore {
        let end =
            || End { lock: LockCore::new(), mode: AtomicU32::new(SHARED), seen: AtomicU64::new(0) };
        RingCore {
            producer: end(),
            tail: Position(AtomicU64::new(0)),
            consumer: end(),
            head: Position(AtomicU64::new(0)),
            common: Common {
                capacity,
                mask: if capacity.is_power_of_two() { capacity - 1 } else { 0 },
                closed: AtomicU32::new(0),
                alarm: AtomicU32::new(0),
                sent: EventCount::new(),
                freed: EventCount::new(),
            },
            gate: Gate::new(),
        }
    }

    pub(crate) fn capacity(&self) -> u64 {
        self.common.capacity
    }

    /// The slot of a position.
    #[inline(always)]
    pub(crate) fn slot(&self, position: u64) -> usize {
        let mask = self.common.mask;
        let slot = if mask != 0 { position & mask } else { position % self.common.capacity };
        slot as usize
    }

    /// How many messages are in the ring: exact at some moment during the call.
    pub(crate) fn len(&self) -> u64 {
        loop {
            let tail = self.tail.0.load(Ordering::SeqCst);
            let head = self.head.0.load(Ordering::SeqCst);
            // If the tail has not moved, head <= tail held when the head was read (positions do not repeat).
            if self.tail.0.load(Ordering::SeqCst) == tail {
                return tail.wrapping_sub(head);
            }
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.common.closed.load(Ordering::Acquire) != 0
    }

    /// Closes the ring and wakes everybody.
    pub(crate) fn close<K: Kernel>(&self, kernel: &K) {
        kernel.begin(&self.common.alarm);
        self.common.closed.store(1, Ordering::SeqCst);
        self.wake_all(kernel);
        kernel.end();
    }

    /// Whether the ring is empty; for one who looks while others work.
    pub(crate) fn is_empty(&self) -> bool {
        let head = self.head.0.load(Ordering::Acquire);
        self.tail.0.load(Ordering::Acquire) == head
    }

    /// Whether the ring is full; for one who looks while others work.
    pub(crate) fn is_full(&self) -> bool {
        let tail = self.tail.0.load(Ordering::Acquire);
        tail.wrapping_sub(self.head.0.load(Ordering::Acquire)) == self.common.capacity
    }

    /// What those sleep on who wait on this side: for room, or for a message.
    fn event(&self, side: Side) -> &EventCount {
        match side {
            Side::Producer => &self.common.freed,
            Side::Consumer => &self.common.sent,
        }
    }

    fn end(&self, side: Side) -> &End {
        match side {
            Side::Producer => &self.producer,
            Side::Consumer => &self.consumer,
        }
    }
}

impl Patience {
    pub(in crate::queue) fn refusal(self) -> Failed {
        self.gave_up().into()
    }
}

impl From<GaveUp> for Failed {
    fn from(gave_up: GaveUp) -> Failed {
        match gave_up {
            GaveUp::NotNow => Failed::NotNow,
            GaveUp::TimedOut => Failed::TimedOut,
        }
    }
}
