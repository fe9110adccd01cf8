//! Waiting: for an end, for a message or for room, and for the certainty that no message will come any more.

use super::record::Mark;
use super::survey::Lives;
use super::{ByteRing, Records};
use crate::deadline::Deadline;
use crate::prim::{AtomicU32, AtomicU64, Ordering};
use crate::queue::ring_core::{Failed, Pacer, Patience, Side};
use crate::sync::event_count::Armed;
use crate::sync::kernel::{Awaits, Kernel, Sleep, Slept};
use crate::sync::lock_core::{Acquired, LockCore, Refused, Setting};

/// A word, and the value that was seen there.
type Seen<'a> = (&'a AtomicU64, u64);

impl<'a, R: Records> ByteRing<'a, R> {
    /// Waits for an end, to send or to receive.
    #[cold]
    pub(super) fn lock_slow<K: Kernel>(
        self,
        kernel: &K,
        me: u32,
        side: Side,
        patience: Patience,
        armed: bool,
    ) -> Result<(), Failed> {
        let waiting = Waiting { ring: self, side, armed, stops: true };
        self.lock_until(kernel, me, side, patience, &waiting)
    }

    /// Waits for an end, on a closed ring too.
    #[cold]
    pub(super) fn lock_end<K: Kernel>(
        self,
        kernel: &K,
        me: u32,
        side: Side,
        patience: Patience,
    ) -> Result<(), Failed> {
        let waiting = Waiting { ring: self, side, armed: false, stops: false };
        self.lock_until(kernel, me, side, patience, &waiting)
    }

    fn lock_until<K: Kernel>(
        self,
        kernel: &K,
        me: u32,
        side: Side,
        patience: Patience,
        waiting: &Waiting<'_, R>,
    ) -> Result<(), Failed> {
        match self.lock_of(side).acquire_slow(kernel, me, waiting, patience.deadline()) {
            Ok(acquired) => {
                self.entered(kernel, me, side, acquired);
                Ok(())
            }
            Err(Refused::Stopped) => Err(Failed::Closed),
            Err(Refused::Held | Refused::TimedOut) => Err(patience.refusal()),
        }
    }

    fn lock_of(&self, side: Side) -> &LockCore {
        match side {
            Side::Producer => &self.core.producer.lock,
            Side::Consumer => &self.core.consumer.lock,
        }
    }

    /// A dead sender may have noted a claim that it did not make.
    fn entered<K: Kernel>(self, kernel: &K, me: u32, side: Side, acquired: Acquired) {
        if side == Side::Producer && acquired != Acquired::Free {
            let (tail, claimed) = (self.tail(), &self.core.tail.claimed);
            let beyond = Mark(claimed.load(Ordering::Relaxed)).units().wrapping_sub(tail.units());
            if beyond != 0 && beyond <= self.core.common.units {
                claimed.store(tail.0, Ordering::Relaxed);
            }
            kernel.light_fence(me);
        }
    }

    /// Waits until there may be room; true if it came near sleep.
    #[cold]
    pub(super) fn wait_for_room<K: Kernel>(
        self,
        kernel: &K,
        me: u32,
        need: u32,
        patience: Patience,
        pacer: &impl Pacer,
    ) -> Result<bool, Failed> {
        let mut lives = Lives::new();
        let Patience::Until(deadline) = patience else {
            if self.is_littered() {
                self.give_back(kernel, me, patience, &mut lives)?;
            }
            return if self.has_room(need) { Ok(false) } else { Err(Failed::NotNow) };
        };
        let mut step = 0;
        let pace = pacer.pace();
        while kernel.pause(pace, step) {
            if self.has_room(need) || self.is_closed() {
                pacer.found(self.has_room(need.saturating_mul(2)));
                return Ok(false);
            }
            step += 1;
        }
        let common = &self.core.common;
        loop {
            let armed = common.freed.arm(kernel);
            lives.clear();
            // If nothing is in the zone, then room comes up when `take` moves; else when what stands at its front changes: by
            // its holder, whose life is watched, or by a receiver, who moves `turn` before it.
            let mut world = (&self.core.consumer.take, self.taken().0);
            // Whether there is room is decided by the tail of this look: a later claim was not looked at, and its sender may be
            // killed before this one is on the alarm. Then look again.
            let mut tail = self.tail();
            if self.is_littered() {
                (world, tail) = self.give_back(kernel, me, patience, &mut lives)?;
            }
            if self.has_room_behind(tail, need) || self.is_closed() {
                return Ok(true);
            }
            if deadline.has_passed() {
                common.freed.pass_on(kernel);
                return Err(Failed::TimedOut);
            }
            let sleep = Sleep {
                awaits: Awaits::Room,
                bell: common.freed.bell(),
                event: (common.freed.word(), armed.value),
                owner: None,
                world: Some((world.0, world.1, &common.closed)),
                lives: lives.ids(),
                alarm: &common.alarm,
                unarmed: armed.unarmed || lives.overflow,
            };
            if kernel.sleep(sleep, deadline) == Slept::Alarmed {
                self.wake_all(kernel);
            }
        }
    }

    /// Frees what is over at the front, with the consumer end. Returns what changes when more may be over, and the tail up to
    /// which it has looked.
    fn give_back<K: Kernel>(
        self,
        kernel: &K,
        me: u32,
        patience: Patience,
        lives: &mut Lives,
    ) -> Result<(Seen<'a>, Mark), Failed> {
        let consumer = &self.core.consumer;
        if !consumer.lock.acquire_free(me) {
            let waiting = Waiting { ring: self, side: Side::Producer, armed: false, stops: true };
            self.lock_until(kernel, me, Side::Consumer, patience, &waiting)?;
        }
        let survey = self.survey(kernel, lives);
        let take = self.taken();
        let world = match self.head() == take.units() {
            true => (&self.core.consumer.take, take.0),
            false => (&self.core.consumer.turn, consumer.turn.load(Ordering::Relaxed)),
        };
        consumer.lock.release(kernel, me, &self.core.common.alarm);
        if survey.freed {
            self.ring_freed(kernel, me);
        }
        Ok((world, survey.tail))
    }

    /// Waits awake; false if something may have come.
    pub(super) fn stays_empty<K: Kernel>(
        self,
        kernel: &K,
        pacer: &impl Pacer,
        seen: Mark,
        landed: u64,
        closed: bool,
    ) -> bool {
        let mut step = 0;
        let pace = pacer.pace();
        while kernel.pause(pace, step) {
            let tail = self.tail();
            let is_new = tail != seen || self.core.tail.landed.load(Ordering::Relaxed) != landed;
            if is_new || self.is_closed() != closed {
                pacer.found(tail.count().wrapping_sub(self.taken().count()) > 1);
                return false;
            }
            step += 1;
        }
        true
    }

    /// Sleeps on an armed event count, after a look that found nothing up to `seen`.
    pub(super) fn sleep_for_message<K: Kernel>(
        self,
        kernel: &K,
        armed: Armed,
        seen: Mark,
        closed: bool,
        lives: &Lives,
        deadline: Deadline,
    ) {
        let common = &self.core.common;
        // On a closed ring it waits for others to finish; the alarm is always 0.
        let flag = if closed { &common.alarm } else { &common.closed };
        let sleep = Sleep {
            awaits: Awaits::Message,
            bell: common.sent.bell(),
            event: (common.sent.word(), armed.value),
            owner: None,
            world: (!mutant!("no-position-compare")).then_some((
                &self.core.tail.mark,
                seen.0,
                flag,
            )),
            lives: lives.ids(),
            alarm: &common.alarm,
            unarmed: armed.unarmed || lives.overflow,
        };
        let slept = kernel.sleep(sleep, deadline);
        if slept == Slept::Alarmed && !mutant!("alarm-wakes-one") {
            self.wake_all(kernel);
        }
    }

    /// On a closed ring: when this returns, no send will claim or commit a small message any more.
    ///
    /// A sender that had found the ring open owns the producer end until it has done so. After a heavy fence, whoever is not seen
    /// to own it will see `closed`. The same fence makes visible what was `DONE` before its holder found the ring open.
    #[cold]
    pub(super) fn settle_senders<K: Kernel>(
        self,
        kernel: &K,
        me: u32,
        patience: Patience,
    ) -> Result<(), Failed> {
        if mutant!("no-drain") {
            return Ok(());
        }
        let lock = &self.core.producer.lock;
        let owner_gone = kernel.heavy_fence() && lock.owner() == 0;
        if !owner_gone {
            // Having had the lock is as good as a fence.
            self.lock_end(kernel, me, Side::Producer, patience)?;
            lock.release(kernel, me, &self.core.common.alarm);
        }
        Ok(())
    }
}

/// The setting of an end's lock, as one who waits for that end sees it.
pub(super) struct Waiting<'a, R> {
    pub(super) ring: ByteRing<'a, R>,
    /// What the waiter wants to do.
    pub(super) side: Side,
    /// The waiter may have had a wake-up for a message.
    pub(super) armed: bool,
    /// Whether it need not wait once the ring is closed.
    pub(super) stops: bool,
}

impl<R: Records> Setting for Waiting<'_, R> {
    fn alarm(&self) -> &AtomicU32 {
        &self.ring.core.common.alarm
    }

    fn is_own(&self) -> bool {
        false
    }

    fn alarmed<K: Kernel>(&self, kernel: &K) {
        self.ring.wake_all(kernel);
    }

    /// Passes the wake-up on: perhaps to one who can have the end.
    fn delayed<K: Kernel>(&self, kernel: &K) {
        if self.armed && self.side == Side::Consumer {
            self.ring.core.common.sent.pass_on(kernel);
        }
    }

    fn should_stop(&self) -> bool {
        self.stops
            && self.ring.is_closed()
            && match self.side {
                Side::Producer => true,
                Side::Consumer => self.ring.is_bare(),
            }
    }
}
