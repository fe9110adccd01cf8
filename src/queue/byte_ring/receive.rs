//! Messages out: copied under the lock if they are small, else lent.

use super::record::{DONE, Mark, READING, READY, kind};
use super::survey::{Lives, Place};
use super::{ByteRing, Records};
use crate::prim::Ordering;
use crate::queue::ring_core::{Failed, Pacer, Patience, Side};
use crate::sync::kernel::Kernel;

/// Which messages a receive takes, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    /// A longer one stays where it is.
    pub(crate) bytes: u64,
    /// Lend also what is small.
    pub(crate) lend: bool,
}

/// What a receive got.
#[derive(Debug)]
pub(crate) enum Got {
    /// A message of so many bytes: `read` has copied it.
    Copied(u64),
    /// A message that stays where it is until [`finish`](ByteRing::finish); the operation is still under way.
    Lent(Lease),
    /// The next message has so many bytes, too many for the limit; it is still there.
    TooLong(u64),
}

/// A message that is lent to one thread.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) position: u32,
    pub(crate) bytes: u64,
}

/// What one look found.
pub(super) enum Found {
    Got(Got),
    /// Nothing, up to this tail.
    Nothing(Mark),
}

impl<R: Records> ByteRing<'_, R> {
    /// Receives the next message; `read(position, bytes)` copies a small one out. Waits for one.
    #[inline(always)]
    pub(crate) fn receive<K: Kernel>(
        self,
        kernel: &K,
        me: u32,
        patience: Patience,
        pacer: &impl Pacer,
        limit: Limit,
        mut read: impl FnMut(u32, u64),
    ) -> Result<Got, Failed> {
        let common = &self.core.common;
        let lock = &self.core.consumer.lock;
        kernel.begin(&common.alarm);
        if lock.acquire_free(me) {
            let got = self.get_front(limit, &mut read);
            if let Some(bytes) = got {
                lock.release(kernel, me, &common.alarm);
                self.ring_freed(kernel, me);
                kernel.end();
                return Ok(Got::Copied(bytes));
            }
            if self.is_bare() {
                lock.release(kernel, me, &common.alarm);
            } else {
                let mut lives = Lives::new();
                let found = self.look_and_release(kernel, me, limit, &mut read, &mut lives);
                if let Found::Got(got) = found {
                    return Ok(self.ended(kernel, got));
                }
            }
        }
        let got = self.receive_slow(kernel, me, patience, pacer, limit, &mut read);
        match got {
            Ok(got) => Ok(self.ended(kernel, got)),
            Err(failed) => {
                kernel.end();
                Err(failed)
            }
        }
    }

    fn ended<K: Kernel>(self, kernel: &K, got: Got) -> Got {
        if !matches!(got, Got::Lent(_)) {
            kernel.end();
        }
        got
    }

    /// By the owner of the consumer end: the usual case, a small message at `take` and nothing in the zone.
    #[inline(always)]
    fn get_front(self, limit: Limit, mut read: impl FnMut(u32, u64)) -> Option<u64> {
        let consumer = &self.core.consumer;
        let take = Mark(consumer.take.load(Ordering::Relaxed));
        let mut tail = Mark(consumer.seen.load(Ordering::Relaxed));
        if tail == take {
            tail = self.tail();
            consumer.seen.store(tail.0, Ordering::Relaxed);
        }
        if tail == take || self.core.head.0.load(Ordering::Relaxed) as u32 != take.units() {
            return None;
        }
        let header = self.records.header(take.units());
        let bytes = header.bytes.load(Ordering::Relaxed);
        let most = limit.bytes.min(u64::from(self.core.common.small));
        if header.state.load(Ordering::Acquire) != READY || bytes > most || limit.lend {
            return None;
        }
        let next = take.past(self.units_at(take.units(), tail.units()));
        read(take.units(), bytes);
        consumer.take.store(next.0, Ordering::Release);
        // Release: the copy out is over.
        self.core.head.0.store(u64::from(next.units()), Ordering::Release);
        Some(bytes)
    }

    /// By the owner of the consumer end, who gives it back by this: the survey, and what it found.
    pub(super) fn look_and_release<K: Kernel>(
        self,
        kernel: &K,
        me: u32,
        limit: Limit,
        read: &mut dyn FnMut(u32, u64),
        lives: &mut Lives,
    ) -> Found {
        let survey = self.survey(kernel, lives);
        let mut freed = survey.freed;
        let found = match survey.found {
            None => Found::Nothing(survey.tail),
            Some(place) => Found::Got(self.pick(kernel, me, place, limit, read, &mut freed)),
        };
        self.core.consumer.lock.release(kernel, me, &self.core.common.alarm);
        if freed {
            self.ring_freed(kernel, me);
        }
        found
    }

    /// By the owner of the consumer end: takes what a survey found.
    fn pick<K: Kernel>(
        self,
        kernel: &K,
        me: u32,
        place: Place,
        limit: Limit,
        read: &mut dyn FnMut(u32, u64),
        freed: &mut bool,
    ) -> Got {
        let consumer = &self.core.consumer;
        let take = Mark(consumer.take.load(Ordering::Relaxed));
        let position = match place {
            Place::Zone(position) => position,
            Place::Front(front) => front.units(),
        };
        let header = self.records.header(position);
        let bytes = header.bytes.load(Ordering::Relaxed);
        if bytes > limit.bytes {
            return Got::TooLong(bytes);
        }
        let lends = limit.lend || bytes > u64::from(self.core.common.small);
        let past = match place {
            Place::Zone(_) => {
                let turn = consumer.turn.load(Ordering::Relaxed).wrapping_add(1);
                consumer.turn.store(turn, Ordering::Release);
                None
            }
            Place::Front(front) => {
                self.overtake(take, front);
                let tail = Mark(consumer.seen.load(Ordering::Relaxed));
                Some(front.past(self.units_at(position, tail.units())))
            }
        };
        if lends {
            header.state.store(READING | me, Ordering::Release);
        } else {
            read(position, bytes);
            // One that had been lent to a dead thread, or lies in the zone, is consumed by its state; another by `take`.
            if past.is_none() || kind(header.state.load(Ordering::Relaxed)) == READING {
                header.state.store(DONE, Ordering::Release);
            }
        }
        if let Some(past) = past {
            consumer.take.store(past.0, Ordering::Release);
        }
        if !lends {
            *freed |= self.free_front(kernel);
        }
        if lends { Got::Lent(Lease { position, bytes }) } else { Got::Copied(bytes) }
    }

    /// By the owner of the consumer end: moves `take` over those that are being written.
    fn overtake(self, take: Mark, front: Mark) {
        let mut at = take.units();
        while at != front.units() {
            let header = self.records.header(at);
            if !mutant!("msg-no-late") {
                header.late.store(1, Ordering::Relaxed);
            }
            at = at.wrapping_add(self.units_at(at, front.units()));
        }
        if front != take {
            self.core.consumer.take.store(front.0, Ordering::Release);
        }
    }

    /// The end of the receive that lent a message which is kept for longer: its holder's death must be seen without the alarm.
    pub(crate) fn keep<K: Kernel>(self, kernel: &K, me: u32) {
        // One sleeper looks, and watches this life from then on.
        self.core.common.sent.ring(kernel, me, &self.core.common.alarm);
        kernel.end();
    }

    /// Consumes a message that was lent; in the operation that is under way, or in one of its own.
    pub(crate) fn finish<K: Kernel>(self, kernel: &K, me: u32, lease: &Lease, under_way: bool) {
        let common = &self.core.common;
        if !under_way {
            kernel.begin(&common.alarm);
        }
        // Release: the copy out is over.
        let state = &self.records.header(lease.position).state;
        self.commit_end(kernel, me, || state.store(DONE, Ordering::Release));
        if self.core.consumer.lock.try_acquire(kernel, me).is_ok() {
            self.survey(kernel, &mut Lives::new());
            self.core.consumer.lock.release(kernel, me, &common.alarm);
        }
        // If somebody else has that end, a sender that is woken here looks for itself.
        self.ring_freed(kernel, me);
        if self.is_closed() {
            common.sent.ring_all(kernel);
        }
        kernel.end();
    }

    /// Puts a message that was lent back into its place.
    pub(crate) fn put_back<K: Kernel>(self, kernel: &K, me: u32, lease: &Lease) {
        let common = &self.core.common;
        kernel.begin(&common.alarm);
        let header = self.records.header(lease.position);
        // The record lies below `take`, and nobody else looks at this mark before it is READY.
        header.late.store(1, Ordering::Relaxed);
        self.commit(kernel, me, || header.state.store(READY, Ordering::Release));
        if self.is_closed() {
            // Others wait for this message to be finished, and only one of them can have it.
            common.sent.ring_all(kernel);
        } else {
            common.sent.ring(kernel, me, &common.alarm);
        }
        kernel.end();
    }

    /// The slow way: another has the end, or there was nothing.
    #[cold]
    fn receive_slow<K: Kernel>(
        self,
        kernel: &K,
        me: u32,
        patience: Patience,
        pacer: &impl Pacer,
        limit: Limit,
        read: &mut dyn FnMut(u32, u64),
    ) -> Result<Got, Failed> {
        let sent = &self.core.common.sent;
        let mut lives = Lives::new();
        let (mut armed, mut settled) = (None, false);
        loop {
            lives.clear();
            let landed = self.core.tail.landed.load(Ordering::Relaxed);
            let closed = self.is_closed();
            let mut seen = self.tail();
            if !self.is_bare() {
                match self.lock_slow(kernel, me, Side::Consumer, patience, armed.is_some()) {
                    Ok(()) => match self.look_and_release(kernel, me, limit, read, &mut lives) {
                        Found::Got(got) => {
                            // E6, and somebody must watch the lives of those at work.
                            if armed.is_some() && !self.is_bare() && !mutant!("no-chain") {
                                sent.ring(kernel, me, &self.core.common.alarm);
                            }
                            return Ok(got);
                        }
                        Found::Nothing(tail) => seen = tail,
                    },
                    Err(Failed::Closed) => continue,
                    Err(failed) => return Err(failed),
                }
            }
            if closed {
                if !settled {
                    self.settle_senders(kernel, me, patience)?;
                    settled = true;
                    continue;
                }
                if !lives.has_others(me) {
                    return Err(Failed::Closed);
                }
            }
            let Patience::Until(deadline) = patience else { return Err(Failed::NotNow) };
            match armed {
                None => {
                    if !self.stays_empty(kernel, pacer, seen, landed, closed) {
                        continue;
                    }
                }
                Some(armed) => {
                    if deadline.has_passed() {
                        sent.pass_on(kernel);
                        return Err(Failed::TimedOut);
                    }
                    self.sleep_for_message(kernel, armed, seen, closed, &lives, deadline);
                }
            }
            armed = Some(sent.arm(kernel));
        }
    }
}
