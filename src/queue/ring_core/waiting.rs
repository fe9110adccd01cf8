//! Waiting: for an end, for a message or for room, and for the certainty that no message will come any more.

use super::{End, Failed, HELD, Pacer, Patience, RingCore, SHARED, Side};
use crate::deadline::Deadline;
use crate::prim::{AtomicU32, Ordering};
use crate::sync::kernel::{Awaits, Kernel, Sleep, Slept};
use crate::sync::lock_core::{Acquired, Refused, Setting};

impl RingCore {
    #[cold]
    pub(super) fn lock_slow<K: Kernel>(
        &self,
        kernel: &K,
        me: u32,
        side: Side,
        patience: Patience,
        armed: bool,
    ) -> Result<(), Failed> {
        self.lock_slow_until(kernel, me, side, patience, &Waiting { core: self, side, armed })
    }

    pub(super) fn lock_slow_until<K: Kernel>(
        &self,
        kernel: &K,
        me: u32,
        side: Side,
        patience: Patience,
        setting: &impl Setting,
    ) -> Result<(), Failed> {
        let end = self.end(side);
        if patience.is_endless() && end.lock.owner() == me {
            kernel.end();
            panic!(
                "expected an end of the queue that this thread does not hold; it would wait for itself"
            );
        }
        let deadline = match patience {
            Patience::Until(deadline) => deadline,
            Patience::None => match end.lock.try_acquire(kernel, me) {
                Ok(acquired) => {
                    self.entered(kernel, me, end, acquired);
                    return Ok(());
                }
                Err(_) if setting.should_stop() => return Err(Failed::Closed),
                Err(_) if end.mode.load(Ordering::Relaxed) != SHARED => return Err(Failed::NotNow),
                Err(_) => patience.deadline(),
            },
        };
        match end.lock.acquire_slow(kernel, me, setting, deadline) {
            Ok(acquired) => {
                self.entered(kernel, me, end, acquired);
                Ok(())
            }
            Err(Refused::Stopped) => Err(Failed::Closed),
            Err(Refused::Held | Refused::TimedOut) => Err(patience.refusal()),
        }
    }

    /// A dead owner that held the end may have left its mode.
    fn entered<K: Kernel>(&self, kernel: &K, me: u32, end: &End, acquired: Acquired) {
        if acquired != Acquired::Free {
            end.mode.store(SHARED, Ordering::Release);
            kernel.light_fence(me); // pairs with the heavy fence in `drained`: the mode, then `closed`
        }
    }

    /// Waits until there may be something to do on this side; true if it came near sleep (E6 applies).
    #[cold]
    pub(super) fn wait<K: Kernel>(
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
                awaits: side.awaits(),
                bell: event.bell(),
                event: (event.word(), armed.value),
                owner: None,
                world: (!mutant!("no-position-compare")).then_some((
                    position,
                    seen,
                    &self.common.closed,
                )),
                lives: &[],
                alarm: &self.common.alarm,
                unarmed: armed.unarmed,
            };
            let slept = kernel.sleep(sleep, deadline);
            if slept == Slept::Alarmed && !mutant!("alarm-wakes-one") {
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
    pub(super) fn drained<K: Kernel>(
        &self,
        kernel: &K,
        me: u32,
        patience: Patience,
    ) -> Result<bool, Failed> {
        if mutant!("no-drain") {
            return Ok(self.is_empty());
        }
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
                    Ok(acquired) => self.entered(kernel, me, &self.producer, acquired),
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
        let awaits = Awaits::Message;
        let moment = Sleep {
            awaits,
            bell,
            event,
            owner: None,
            world: None,
            lives: &[],
            alarm,
            unarmed: true,
        };
        kernel.sleep(moment, deadline);
    }

    /// Wakes everybody who sleeps on anything here: after a death, or when the ring is closed.
    #[cold]
    pub(super) fn wake_all<K: Kernel>(&self, kernel: &K) {
        self.common.sent.wake_all(kernel);
        self.common.freed.wake_all(kernel);
        self.producer.lock.event().wake_all(kernel);
        self.consumer.lock.event().wake_all(kernel);
        self.gate.wake_all(kernel);
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
pub(super) struct Holding<'a> {
    pub(super) core: &'a RingCore,
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
