//! Messages in and out: the operations, with and without an end held, and the two steps that they are made of.

use super::waiting::Holding;
use super::{Failed, HELD, HELD_BUSY, Pacer, Patience, RingCore, SHARED, Side};
use crate::prim::Ordering;
use crate::sync::kernel::{ALL, Kernel};

impl RingCore {
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
            if !self.producer.lock.acquire_free(me)
                && let Err(failed) = self.lock_slow(kernel, me, Side::Producer, patience, armed)
            {
                break Err(failed);
            }
            kernel.light_fence(me); // pairs with the heavy fence in `drained`: the lock, then `closed`
            let put = match pacer.bell() {
                None => self.put(want, &write),
                Some(bell) => self.put_and_tell(kernel, me, bell, patience, want, &write),
            };
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
                Err(Failed::TimedOut) => break Err(patience.refusal()),
                Err(Failed::NotNow) => {}
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
        kernel.end_held();
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
            let put = match pacer.bell() {
                None => self.put(want, &write),
                Some(bell) => self.put_and_tell(kernel, me, bell, patience, want, &write),
            };
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
                Err(Failed::TimedOut) => return Err(patience.refusal()),
                Err(Failed::NotNow) => {
                    armed |= self.wait(kernel, Side::Producer, patience, pacer)?
                }
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
                if self.is_closed() && self.is_empty() {
                    self.consumer.lock.event().ring_all(kernel);
                }
                return Ok(count);
            }
            if self.is_closed() {
                match self.drained(kernel, me, patience)? {
                    true => {
                        // Those who wait behind this end need not wait any longer, here and above.
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
    pub(super) fn put(&self, want: u64, write: impl Fn(u64, u64)) -> Result<u64, Failed> {
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
        if mutant!("commit-before-payload") {
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
        if armed && !self.is_full() && !mutant!("no-chain") {
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
        if armed && !self.is_empty() && !mutant!("no-chain") {
            self.common.sent.ring(kernel, me, &self.common.alarm);
        }
    }
}
