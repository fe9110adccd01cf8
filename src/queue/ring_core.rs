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

use crate::deadline::Deadline;
use crate::prim::{AtomicU32, AtomicU64, Ordering};
use crate::sync::event_count::EventCount;
use crate::sync::kernel::{ALL, Kernel, Pace, Sleep, Slept};
use crate::sync::lock_core::{Acquired, LockCore, Refused, Setting};
use std::time::Duration;

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
}

/// Which end of the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Producer,
    Consumer,
}

/// How long an operation may wait.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    /// Not for a message or for room; only for a single operation of another process to end, and that for 10 ms at most.
    None,
    /// Until the deadline.
    Until(Deadline),
}

/// Why an operation did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// Full or empty, or the end is held; for those without patience.
    NotNow,
    TimedOut,
    Closed,
}

/// How long waiting has paid off lately: kept by a handle, for one side. See [`Kernel::pause`].
pub(crate) trait Pacer {
    /// How the wait begins.
    fn pace(&self) -> Pace;
    /// A wait awake has ended with something to do, and perhaps with more behind it.
    fn found(&self, more: bool);
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

    /// Sends up to `want` messages at once: `write(position, count)` fills the slots. Waits for room for at least one.
    #[inline(always)]
    pub(crate) fn send<K: Kernel>(
        &self,
        kernel: &K,
        me: u32,
        patience: Patience,
        pacer: &impl Pacer,
        want: u64,
        write: impl Fn(u64, u64),
    ) -> Result<u64, Failed> {
        kernel.begin(&self.common.alarm);
        let mut armed = false;
        let sent = loop {
            if !self.producer.lock.acquire_free(me) {
                if let Err(failed) = self.lock_slow(kernel, me, Side::Producer, patience, armed) {
                    break Err(failed);
                }
            }
            let put = self.put(want, &write);
            self.producer.lock.release(kernel, me, &self.common.alarm);
            match put {
                Ok(count) => {
                    self.rung_sent(kernel, me, count, armed);
                    break Ok(count);
                }
                Err(Failed::Closed) => {
                    // A receiver may wait for this operation to end before it reports the end of the queue.
                    self.common.sent.ring_all(kernel);
                    break Err(Failed::Closed);
                }
                Err(_) => {}
            }
            match self.wait(kernel, Side::Producer, patience, pacer) {
                Ok(did_arm) => armed |= did_arm,
                Err(failed) => break Err(failed),
            }
        };
        kernel.end();
        sent
    }

    /// Receives up to `want` messages at once: `read(position, count)` copies them out. Waits for at least one.
    #[inline(always)]
    pub(crate) fn recv<K: Kernel>(
        &self,
        kernel: &K,
        me: u32,
        patience: Patience,
        pacer: &impl Pacer,
        want: u64,
        mut read: impl FnMut(u64, u64),
    ) -> Result<u64, Failed> {
        kernel.begin(&self.common.alarm);
        let mut armed = false;
        let received = loop {
            let locked = match self.consumer.lock.acquire_free(me) {
                true => Ok(()),
                false => self.lock_slow(kernel, me, Side::Consumer, patience, armed),
            };
            match locked {
                Ok(()) => {
                    let got = self.get(want, &mut read);
                    self.consumer.lock.release(kernel, me, &self.common.alarm);
                    if let Some(count) = got {
                        self.rung_freed(kernel, me, count, armed);
                        break Ok(count);
                    }
                }
                Err(Failed::Closed) => {}
                Err(failed) => break Err(failed),
            }
            if self.is_closed() {
                match self.drained(kernel, me, patience) {
                    Ok(true) => break Err(Failed::Closed),
                    Ok(false) => continue,
                    Err(failed) => break Err(failed),
                }
            }
            match self.wait(kernel, Side::Consumer, patience, pacer) {
                Ok(did_arm) => armed |= did_arm,
                Err(failed) => break Err(failed),
            }
        };
        kernel.end();
        received
    }

    /// Takes an end for many operations. The alarm stays named until [`release_end`](Self::release_end).
    pub(crate) fn hold<K: Kernel>(
        &self,
        kernel: &K,
        me: u32,
        side: Side,
        patience: Patience,
    ) -> Result<(), Failed> {
        kernel.begin(&self.common.alarm);
        let end = self.end(side);
        if !end.lock.acquire_free(me) {
            let holder = Holding { core: self };
            if let Err(failed) = self.lock_slow_until(kernel, me, side, patience, &holder) {
                kernel.end();
                return Err(failed);
            }
        }
        end.mode.store(HELD, Ordering::Release);
        // Other operations of this thread will name other alarms while it holds the end. So let those who sleep on the lock
        // see it as the owner, and watch its life word; and those who wait in `drained` see the mode.
        end.lock.event().ring_all(kernel);
        Ok(())
    }

    /// Gives back an end that the caller holds.
    pub(crate) fn release_end<K: Kernel>(&self, kernel: &K, me: u32, side: Side) {
        let end = self.end(side);
        end.mode.store(SHARED, Ordering::Release);
        end.lock.release(kernel, me, &self.common.alarm);
        kernel.end();
    }

    /// As [`send`](Self::send), by the one that holds the producer end.
    #[inline(always)]
    pub(crate) fn send_held<K: Kernel>(
        &self,
        kernel: &K,
        me: u32,
        patience: Patience,
        pacer: &impl Pacer,
        want: u64,
        write: impl Fn(u64, u64),
    ) -> Result<u64, Failed> {
        kernel.begin_held(&self.common.alarm);
        let mut armed = false;
        loop {
            self.producer.mode.store(HELD_BUSY, Ordering::Relaxed);
            kernel.light_fence(me); // pairs with the heavy fence in `drained`
            let put = self.put(want, &write);
            self.producer.mode.store(HELD, Ordering::Release);
            match put {
                Ok(count) => {
                    self.rung_sent(kernel, me, count, armed);
                    return Ok(count);
                }
                Err(Failed::Closed) => {
                    self.common.sent.ring_all(kernel);
                    return Err(Failed::Closed);
                }
                Err(_) => armed |= self.wait(kernel, Side::Producer, patience, pacer)?,
            }
        }
    }

    /// As [`recv`](Self::recv), by the one that holds the consumer end.
    #[inline(always)]
    pub(crate) fn recv_held<K: Kernel>(
        &self,
        kernel: &K,
        me: u32,
        patience: Patience,
        pacer: &impl Pacer,
        want: u64,
        mut read: impl FnMut(u64, u64),
    ) -> Result<u64, Failed> {
        kernel.begin_held(&self.common.alarm);
        let mut armed = false;
        loop {
            if let Some(count) = self.get(want, &mut read) {
                self.rung_freed(kernel, me, count, armed);
                return Ok(count);
            }
            if self.is_closed() {
                match self.drained(kernel, me, patience)? {
                    true => {
                        // Those who wait behind this end need not wait any longer.
                        self.consumer.lock.event().ring_all(kernel);
                        return Err(Failed::Closed);
                    }
                    false => continue,
                }
            }
            armed |= self.wait(kernel, Side::Consumer, patience, pacer)?;
        }
    }

    /// By the owner of the producer end: fills free slots and commits.
    #[inline(always)]
    fn put(&self, want: u64, write: impl Fn(u64, u64)) -> Result<u64, Failed> {
        if self.common.closed.load(Ordering::Acquire) != 0 {
            return Err(Failed::Closed);
        }
        let tail = self.tail.0.load(Ordering::Relaxed);
        let capacity = self.common.capacity;
        let mut free = capacity - tail.wrapping_sub(self.producer.seen.load(Ordering::Relaxed));
        if free < want {
            // Acquire: the receivers' copies out of these slots are over.
            let head = self.head.0.load(Ordering::Acquire);
            self.producer.seen.store(head, Ordering::Relaxed);
            free = capacity - tail.wrapping_sub(head);
            if free == 0 {
                return Err(Failed::NotNow);
            }
        }
        let count = want.min(free);
        if cfg!(feature = "mutant-commit-before-payload") {
            self.tail.0.store(tail.wrapping_add(count), Ordering::Release);
        }
        write(tail, count);
        self.tail.0.store(tail.wrapping_add(count), Ordering::Release);
        Ok(count)
    }

    /// By the owner of the consumer end: copies messages out and commits.
    #[inline(always)]
    fn get(&self, want: u64, mut read: impl FnMut(u64, u64)) -> Option<u64> {
        let head = self.head.0.load(Ordering::Relaxed);
        let mut ready = self.consumer.seen.load(Ordering::Relaxed).wrapping_sub(head);
        if ready < want {
            // Acquire: the messages below the tail are whole.
            let tail = self.tail.0.load(Ordering::Acquire);
            self.consumer.seen.store(tail, Ordering::Relaxed);
            ready = tail.wrapping_sub(head);
            if ready == 0 {
                return None;
            }
        }
        let count = want.min(ready);
        read(head, count);
        self.head.0.store(head.wrapping_add(count), Ordering::Release);
        Some(count)
    }

    #[inline(always)]
    fn rung_sent<K: Kernel>(&self, kernel: &K, me: u32, count: u64, armed: bool) {
        self.common.sent.ring_many(
            kernel,
            me,
            &self.common.alarm,
            u32::try_from(count).unwrap_or(ALL),
        );
        if armed && !self.is_full() {
            self.common.freed.ring(kernel, me, &self.common.alarm);
        }
    }

    #[inline(always)]
    fn rung_freed<K: Kernel>(&self, kernel: &K, me: u32, count: u64, armed: bool) {
        self.common.freed.ring_many(
            kernel,
            me,
            &self.common.alarm,
            u32::try_from(count).unwrap_or(ALL),
        );
        if armed && !self.is_empty() {
            self.common.sent.ring(kernel, me, &self.common.alarm);
        }
    }

    #[cold]
    fn lock_slow<K: Kernel>(
        &self,
        kernel: &K,
        me: u32,
        side: Side,
        patience: Patience,
        armed: bool,
    ) -> Result<(), Failed> {
        self.lock_slow_until(kernel, me, side, patience, &Waiting { core: self, side, armed })
    }

    fn lock_slow_until<K: Kernel>(
        &self,
        kernel: &K,
        me: u32,
        side: Side,
        patience: Patience,
        setting: &impl Setting,
    ) -> Result<(), Failed> {
        let end = self.end(side);
        assert!(
            !patience.is_endless() || end.lock.owner() != me,
            "expected an end of the queue that this thread does not hold: waiting for it would never end"
        );
        let deadline = match patience {
            Patience::Until(deadline) => deadline,
            Patience::None => match end.lock.try_acquire(kernel, me) {
                Ok(acquired) => return Ok(self.entered(end, acquired)),
                Err(_) if setting.should_stop() => return Err(Failed::Closed),
                Err(_) if end.mode.load(Ordering::Relaxed) != SHARED => return Err(Failed::NotNow),
                Err(_) => patience.deadline(),
            },
        };
        match end.lock.acquire_slow(kernel, me, setting, deadline) {
            Ok(acquired) => Ok(self.entered(end, acquired)),
            Err(Refused::Stopped) => Err(Failed::Closed),
            Err(Refused::Held | Refused::TimedOut) => Err(patience.refusal()),
        }
    }

    /// A dead owner that held the end may have left its mode.
    fn entered(&self, end: &End, acquired: Acquired) {
        if acquired != Acquired::Free {
            end.mode.store(SHARED, Ordering::Release);
        }
    }

    /// Waits until there may be something to do on this side; true if it came near sleep (E6 applies).
    #[cold]
    fn wait<K: Kernel>(
        &self,
        kernel: &K,
        side: Side,
        patience: Patience,
        pacer: &impl Pacer,
    ) -> Result<bool, Failed> {
        let Patience::Until(deadline) = patience else { return Err(Failed::NotNow) };
        let mut step = 0;
        let pace = pacer.pace();
        while kernel.pause(pace, step) {
            if self.has_work(side) {
                pacer.found(self.has_more_work(side));
                return Ok(false);
            }
            step += 1;
        }
        let event = self.event(side);
        let position = match side {
            Side::Producer => &self.head.0,
            Side::Consumer => &self.tail.0,
        };
        loop {
            let armed = event.arm(kernel);
            let seen = position.load(Ordering::Acquire);
            if self.has_work(side) {
                return Ok(true);
            }
            if deadline.has_passed() {
                event.pass_on(kernel);
                return Err(Failed::TimedOut);
            }
            let sleep = Sleep {
                bell: event.bell(),
                event: (event.word(), armed.value),
                owner: None,
                world: Some((position, seen, &self.common.closed)),
                alarm: &self.common.alarm,
                unarmed: armed.unarmed,
            };
            if kernel.sleep(sleep, deadline) == Slept::Alarmed {
                self.wake_all(kernel);
            }
        }
    }

    /// On a closed ring that looks empty: whether that is for good. False if there is something to receive after all.
    ///
    /// A sender that had found the ring open may still be about to commit. It owns the producer end meanwhile, and if it holds
    /// the end, its mode says busy. After a heavy fence, whoever is not seen at work here will see `closed`:
    ///
    /// ```text
    ///   sender                              receiver
    ///   lock, or mode = HELD_BUSY           closed seen
    ///   (light fence)                       heavy fence
    ///   load closed: 0                      load the lock and the mode: sees the sender at work, or it sees closed
    ///   store tail                          wait until it is not; look at the tail again
    /// ```
    #[cold]
    fn drained<K: Kernel>(&self, kernel: &K, me: u32, patience: Patience) -> Result<bool, Failed> {
        let deadline = patience.deadline();
        let fenced = kernel.heavy_fence();
        if !fenced {
            self.nap(kernel, deadline); // long enough for any store to have become visible
        }
        let lock = &self.producer.lock;
        loop {
            let owner = lock.owner();
            let mode = self.producer.mode.load(Ordering::Acquire);
            let idle = owner == 0 && fenced;
            if idle || owner != 0 && (mode == HELD || kernel.is_dead(owner)) {
                break;
            }
            if mode == SHARED {
                // A single operation, which is about to end. Having had the lock is as good as a fence.
                match lock.acquire_slow(kernel, me, &Settling { core: self }, deadline) {
                    Ok(acquired) => self.entered(&self.producer, acquired),
                    Err(Refused::Stopped) => continue,
                    Err(_) => return Err(patience.refusal()),
                }
                lock.release(kernel, me, &self.common.alarm);
                break;
            }
            if deadline.has_passed() {
                return Err(patience.refusal());
            }
            // The holder is in the middle of an operation of a few instructions; it may have been stopped there.
            self.nap(kernel, deadline);
        }
        Ok(self.is_empty())
    }

    /// Sleeps for a moment.
    fn nap<K: Kernel>(&self, kernel: &K, deadline: Deadline) {
        let sent = &self.common.sent;
        let event = (sent.word(), sent.arm(kernel).value);
        let (bell, alarm) = (sent.bell(), &self.common.alarm);
        let moment = Sleep { bell, event, owner: None, world: None, alarm, unarmed: true };
        kernel.sleep(moment, deadline);
    }

    /// Wakes everybody who sleeps on anything here: after a death, or when the ring is closed.
    #[cold]
    fn wake_all<K: Kernel>(&self, kernel: &K) {
        self.common.sent.wake_all(kernel);
        self.common.freed.wake_all(kernel);
        self.producer.lock.event().wake_all(kernel);
        self.consumer.lock.event().wake_all(kernel);
    }

    fn has_work(&self, side: Side) -> bool {
        self.is_closed()
            || match side {
                Side::Producer => !self.is_full(),
                Side::Consumer => !self.is_empty(),
            }
    }

    fn has_more_work(&self, side: Side) -> bool {
        let len =
            self.tail.0.load(Ordering::Relaxed).wrapping_sub(self.head.0.load(Ordering::Relaxed));
        match side {
            Side::Producer => len.wrapping_add(1) < self.common.capacity,
            Side::Consumer => len > 1,
        }
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

/// The most that an operation without patience waits for another's operation to end.
const TRY_PATIENCE: Duration = Duration::from_millis(10);

impl Patience {
    fn is_endless(self) -> bool {
        matches!(self, Patience::Until(deadline) if deadline.is_never())
    }

    fn deadline(self) -> Deadline {
        match self {
            Patience::None => Deadline::after(TRY_PATIENCE),
            Patience::Until(deadline) => deadline,
        }
    }

    fn refusal(self) -> Failed {
        match self {
            Patience::None => Failed::NotNow,
            Patience::Until(_) => Failed::TimedOut,
        }
    }
}

/// The setting of an end's lock, as one who waits for that end sees it.
struct Waiting<'a> {
    core: &'a RingCore,
    side: Side,
    /// The waiter may have had a wake-up from this side's event count.
    armed: bool,
}

impl Setting for Waiting<'_> {
    fn alarm(&self) -> &AtomicU32 {
        &self.core.common.alarm
    }

    fn is_own(&self) -> bool {
        false
    }

    fn alarmed<K: Kernel>(&self, kernel: &K) {
        self.core.wake_all(kernel);
    }

    /// Passes the wake-up on: perhaps to the one that holds this end, and sleeps on the event count.
    fn delayed<K: Kernel>(&self, kernel: &K) {
        if self.armed {
            self.core.event(self.side).pass_on(kernel);
        }
    }

    fn should_stop(&self) -> bool {
        self.core.is_closed()
            && match self.side {
                Side::Producer => true,
                Side::Consumer => self.core.is_empty(),
            }
    }
}

/// The setting of an end's lock, as seen by one who wants to hold it, also on a closed ring.
struct Holding<'a> {
    core: &'a RingCore,
}

impl Setting for Holding<'_> {
    fn alarm(&self) -> &AtomicU32 {
        &self.core.common.alarm
    }

    fn is_own(&self) -> bool {
        false
    }

    fn alarmed<K: Kernel>(&self, kernel: &K) {
        self.core.wake_all(kernel);
    }
}

/// The setting of the producer end's lock, as seen by a receiver that waits for the operation there to end.
struct Settling<'a> {
    core: &'a RingCore,
}

impl Setting for Settling<'_> {
    fn alarm(&self) -> &AtomicU32 {
        &self.core.common.alarm
    }

    fn is_own(&self) -> bool {
        false
    }

    fn alarmed<K: Kernel>(&self, kernel: &K) {
        self.core.wake_all(kernel);
    }

    fn should_stop(&self) -> bool {
        self.core.producer.mode.load(Ordering::Acquire) != SHARED
    }
}
