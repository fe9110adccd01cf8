//! The message queue's algorithm, over any kernel: records of any length in a ring, one behind the other. Their bytes belong to
//! the caller.
//!
//! ```text
//!   head ───────────┐            ┌─────── take            ┌─────── tail
//!   [ free ][ READING ][ done ][ WRITING late ][ READY ][ WRITING ][ READY ][ free ]
//!                   └── zone ────────────────┘└─────── not taken ─────────┘
//! ```
//!
//! Positions count units of 16 bytes since the beginning. A record is a [`Header`] and its payload, rounded up to units. `tail` and
//! `take` are one word each: the position, and above it how many messages have passed it.
//!
//! | state of a record | from `take` to `tail` | below `take` (in the zone) |
//! |---|---|---|
//! | `READY` | a message | consumed; if marked *late*: a message, older than those from `take` on |
//! | `WRITING` by a living thread | being copied in, outside the lock; is overtaken | the same (marked late) |
//! | `WRITING` by a dead one | void | void |
//! | `READING` by a living thread | (not there when the lock is free) | lent: being copied out, or looked at |
//! | `READING` by a dead one | a message: the receiver died before it moved `take` | a message, in its old place |
//! | `DONE` | consumed | consumed |
//!
//! - B1 `tail` is written by the owner of the producer end; `take`, `head`, `turn` and *late* by the owner of the consumer end.
//! - B2 A small send is one release store of `tail`, behind its payload. A large one claims its record by that store, and commits by
//!   `READY`. A small receive is one store of `take` (or of `DONE`, in the zone); a large one is `READING`, which lends the
//!   message, and `DONE`, which consumes it.
//! - B3 The state of a `WRITING` or `READING` record is changed by the thread that it names; when that is dead, by the owner of the
//!   consumer end.
//! - B4 `head` moves over what is consumed or void, never past anything else. Nobody writes between `head` and `tail` but the
//!   sender of a `WRITING` record into that record.
//! - B5 A message that was claimed later may be received earlier only while the sender of the earlier one is still copying: its
//!   send has not returned, so either order is one in which the sends took effect.
//! - B6 Every operation names the alarm. What is `WRITING` or `READING` is besides watched by the sleepers that have seen it, by the
//!   life of its holder; and who lends a message beyond its operation wakes one sleeper, to be seen.

mod count;
mod polled;
mod receive;
mod record;
mod send;
mod survey;
mod waiting;

pub(crate) use self::{
    receive::{Got, Lease, Limit},
    record::Header,
};

use crate::prim::{AtomicU32, AtomicU64, Ordering};
use crate::queue::gate::{Bell, Gate};
use crate::queue::gauge::{Gauge, half, word};
use crate::sync::event_count::EventCount;
use crate::sync::kernel::{ALL, Kernel};
use crate::sync::lock_core::LockCore;
use record::Mark;
use std::mem::offset_of;

/// Bytes of a unit, and of a record's header.
pub(crate) const UNIT_BYTES: u64 = 16;

/// Where the records lie.
pub(crate) trait Records {
    /// The header of the record at a position; it need not be one (then any numbers will do).
    fn header(&self, position: u32) -> &Header;

    /// The records contradict each other: memory has been overwritten by somebody else.
    fn broken(&self) -> !;

    /// The bell of a pollable queue.
    #[inline(always)]
    fn bell(&self) -> Option<&dyn Bell> {
        None
    }
}

#[derive(Debug)]
#[repr(C, align(128))]
struct ProducerEnd {
    lock: LockCore,
    /// `head` as last seen; a lower bound. Written under the lock.
    seen: AtomicU64,
}

/// What receivers poll.
#[derive(Debug)]
#[repr(C, align(128))]
struct Tail {
    mark: AtomicU64,
    /// The mark behind the last claim of a large message; written under the lock, before `mark`.
    claimed: AtomicU64,
    /// Changes when a large message has been committed: a hint for those who wait awake.
    landed: AtomicU64,
}

#[derive(Debug)]
#[repr(C, align(128))]
struct ConsumerEnd {
    lock: LockCore,
    take: AtomicU64,
    /// `tail` as last seen; a lower bound.
    seen: AtomicU64,
    /// Counts what was taken from the zone: moves before the record's state does.
    turn: AtomicU64,
}

/// What senders poll.
#[derive(Debug)]
#[repr(C, align(128))]
struct Head(AtomicU64);

#[derive(Debug)]
#[repr(C, align(128))]
struct Common {
    /// Units in the ring, a power of two, at most 2^31.
    units: u32,
    /// Payloads of at most so many bytes are copied under the lock.
    small: u32,
    closed: AtomicU32,
    /// Always 0; see B6.
    alarm: AtomicU32,
    /// Rung when there is a message, and when there may be room.
    sent: EventCount,
    freed: EventCount,
}

/// The words of the queue; see the top of the file.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct ByteCore {
    producer: ProducerEnd,
    tail: Tail,
    consumer: ConsumerEnd,
    head: Head,
    common: Common,
    gate: Gate,
}

impl ByteCore {
    /// A ring of `units`; payloads of at most `small` bytes are copied under the lock.
    pub(crate) fn new(units: u32, small: u32) -> ByteCore {
        assert!(units.is_power_of_two() && units <= 1 << 31, "{units} units");
        ByteCore {
            producer: ProducerEnd { lock: LockCore::new(), seen: AtomicU64::new(0) },
            tail: Tail {
                mark: AtomicU64::new(0),
                claimed: AtomicU64::new(0),
                landed: AtomicU64::new(0),
            },
            consumer: ConsumerEnd {
                lock: LockCore::new(),
                take: AtomicU64::new(0),
                seen: AtomicU64::new(0),
                turn: AtomicU64::new(0),
            },
            head: Head(AtomicU64::new(0)),
            common: Common {
                units,
                small,
                closed: AtomicU32::new(0),
                alarm: AtomicU32::new(0),
                sent: EventCount::new(),
                freed: EventCount::new(),
            },
            gate: Gate::new(),
        }
    }
}

/// What an outsider reads of a ring of bytes. Messages that are being written count, those that are being read do not.
pub(crate) fn gauge(bytes: &[u8]) -> Gauge {
    let mark = |at| Mark(word(bytes, at));
    let tail = mark(offset_of!(ByteCore, tail) + offset_of!(Tail, mark));
    let take = mark(offset_of!(ByteCore, consumer) + offset_of!(ConsumerEnd, take));
    let head = half(bytes, offset_of!(ByteCore, head));
    let common = offset_of!(ByteCore, common);
    let bytes_of = |units: u32| u64::from(units) * UNIT_BYTES;
    Gauge {
        sent: u64::from(tail.count()),
        received: u64::from(take.count()),
        used_bytes: Some(bytes_of(tail.units().wrapping_sub(head))),
        capacity_bytes: Some(bytes_of(half(bytes, common + offset_of!(Common, units)))),
        is_closed: half(bytes, common + offset_of!(Common, closed)) != 0,
        is_narrow: true,
        ..Gauge::default()
    }
}

/// The words and the records, as one process sees them: the operations are here.
#[derive(Debug)]
pub(crate) struct ByteRing<'a, R> {
    pub(crate) core: &'a ByteCore,
    pub(crate) records: &'a R,
}

impl<R> Clone for ByteRing<'_, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for ByteRing<'_, R> {}

impl<R: Records> ByteRing<'_, R> {
    fn tail(self) -> Mark {
        // Acquire: the records below are whole, or say that they are not.
        Mark(self.core.tail.mark.load(Ordering::Acquire))
    }

    fn taken(self) -> Mark {
        Mark(self.core.consumer.take.load(Ordering::Acquire))
    }

    fn head(self) -> u32 {
        // Acquire: all copies out of what is free are over.
        self.core.head.0.load(Ordering::Acquire) as u32
    }

    /// The longest message that fits, in bytes.
    pub(crate) fn longest(self) -> u64 {
        (u64::from(self.core.common.units) - 1) * UNIT_BYTES
    }

    /// Bytes of the ring.
    pub(crate) fn capacity(self) -> u64 {
        u64::from(self.core.common.units) * UNIT_BYTES
    }

    /// Bytes that are not free, headers and rounding included.
    pub(crate) fn used(self) -> u64 {
        let head = self.head();
        u64::from(self.tail().units().wrapping_sub(head).min(self.core.common.units)) * UNIT_BYTES
    }

    pub(crate) fn is_closed(self) -> bool {
        self.core.common.closed.load(Ordering::Acquire) != 0
    }

    /// Closes the ring and wakes everybody.
    pub(crate) fn close<K: Kernel>(self, kernel: &K) {
        kernel.begin(&self.core.common.alarm);
        self.core.common.closed.store(1, Ordering::SeqCst);
        self.wake_all(kernel);
        kernel.end();
    }

    /// Whether nothing at all is in the ring: no message, nothing being written, nothing lent.
    fn is_bare(self) -> bool {
        let take = self.taken();
        self.tail() == take && self.head() == take.units()
    }

    /// Whether a message of so many units would fit now.
    fn has_room(self, need: u32) -> bool {
        self.has_room_behind(self.tail(), need)
    }

    /// Whether it would have fitted behind this tail; the head is as it is now.
    fn has_room_behind(self, tail: Mark, need: u32) -> bool {
        let used = tail.units().wrapping_sub(self.head());
        // A head beyond that tail: everything up to it has been freed.
        used > self.core.common.units || self.core.common.units - used >= need
    }

    /// Whether a survey might give room back: something is in the zone, or was claimed and not yet taken.
    fn is_littered(self) -> bool {
        let take = self.taken();
        self.head() != take.units() || self.has_claims(take)
    }

    /// Whether a large message may be among those not taken.
    fn has_claims(self, take: Mark) -> bool {
        let claimed = Mark(self.core.tail.claimed.load(Ordering::Acquire));
        let ahead = claimed.units().wrapping_sub(take.units());
        // Beyond the tail: of a claim that is just being made, perhaps not the first one, or of one that was not made.
        ahead != 0 && ahead <= self.core.common.units
    }

    /// Wakes everybody who sleeps on anything here: after a death, or when the ring is closed.
    #[cold]
    fn wake_all<K: Kernel>(self, kernel: &K) {
        self.core.common.sent.wake_all(kernel);
        self.core.common.freed.wake_all(kernel);
        self.core.producer.lock.event().wake_all(kernel);
        self.core.consumer.lock.event().wake_all(kernel);
        self.core.gate.wake_all(kernel);
    }

    /// Room has come up: senders need different amounts, so all of them look.
    #[inline(always)]
    fn ring_freed<K: Kernel>(self, kernel: &K, me: u32) {
        self.core.common.freed.ring_many(kernel, me, &self.core.common.alarm, ALL);
    }
}
