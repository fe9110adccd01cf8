//! Messages in.

use super::record::{Mark, READY, WRITING, units_for};
use super::{ByteRing, Records};
use crate::prim::Ordering;
use crate::queue::ring_core::{Failed, Pacer, Patience, Side};
use crate::sync::kernel::Kernel;

impl<R: Records> ByteRing<'_, R> {
    /// Sends a message of `bytes`, at most [`longest`](ByteRing::longest): `write(position)` copies it behind the header at that
    /// position. Waits for room.
    #[inline(always)]
    pub(crate) fn send<K: Kernel>(
        self,
        kernel: &K,
        me: u32,
        patience: Patience,
        pacer: &impl Pacer,
        bytes: u64,
        write: impl Fn(u32),
    ) -> Result<(), Failed> {
        let need = units_for(bytes).expect("a message that fits");
        let common = &self.core.common;
        let producer = &self.core.producer;
        let is_large = bytes > u64::from(common.small);
        kernel.begin(&common.alarm);
        let mut armed = false;
        let sent = loop {
            if !producer.lock.acquire_free(me)
                && let Err(failed) = self.lock_slow(kernel, me, Side::Producer, patience, armed)
            {
                break Err(failed);
            }
            kernel.light_fence(me); // pairs with the heavy fence in `settle_senders`: the lock, then `closed`
            let put = if common.closed.load(Ordering::Acquire) != 0 {
                Err(Failed::Closed)
            } else if is_large {
                self.put(need, bytes, WRITING | me, &write)
            } else {
                let put = || self.put(need, bytes, READY, &write);
                match self.records.bell() {
                    None => put(),
                    Some(bell) => self.commit_and_tell(kernel, me, bell, patience.deadline(), put),
                }
            };
            producer.lock.release(kernel, me, &common.alarm);
            match put {
                Ok(position) => {
                    if is_large {
                        self.land(kernel, me, position, &write);
                    }
                    common.sent.ring(kernel, me, &common.alarm);
                    if armed && self.has_room(1) {
                        self.ring_freed(kernel, me);
                    }
                    break Ok(());
                }
                Err(Failed::Closed) => break Err(Failed::Closed),
                Err(Failed::TimedOut) => break Err(patience.refusal()),
                Err(Failed::NotNow) => {}
            }
            match self.wait_for_room(kernel, me, need, patience, pacer) {
                Ok(did_arm) => armed |= did_arm,
                Err(failed) => break Err(failed),
            }
        };
        kernel.end();
        sent
    }

    /// By the owner of the producer end: a record in `state`. A small one is written and committed by this, a large one claimed.
    #[inline(always)]
    fn put(self, need: u32, bytes: u64, state: u32, write: impl Fn(u32)) -> Result<u32, Failed> {
        let producer = &self.core.producer;
        let tail = Mark(self.core.tail.mark.load(Ordering::Relaxed));
        let free = |head: u64| self.core.common.units - tail.units().wrapping_sub(head as u32);
        if free(producer.seen.load(Ordering::Relaxed)) < need {
            let head = u64::from(self.head());
            producer.seen.store(head, Ordering::Relaxed);
            if free(head) < need {
                return Err(Failed::NotNow);
            }
        }
        let header = self.records.header(tail.units());
        header.state.store(state, Ordering::Relaxed);
        header.late.store(0, Ordering::Relaxed);
        header.bytes.store(bytes, Ordering::Relaxed);
        let next = tail.past(need);
        if mutant!("msg-commit-before-payload") {
            self.core.tail.mark.store(next.0, Ordering::Release);
        }
        if state == READY {
            write(tail.units());
        } else {
            self.core.tail.claimed.store(next.0, Ordering::Relaxed);
        }
        self.core.tail.mark.store(next.0, Ordering::Release);
        Ok(tail.units())
    }

    /// Copies a large message into its claimed record, and commits it.
    #[inline]
    fn land<K: Kernel>(self, kernel: &K, me: u32, position: u32, write: impl Fn(u32)) {
        let header = self.records.header(position);
        if mutant!("msg-land-before-payload") {
            header.state.store(READY, Ordering::Release);
        }
        write(position);
        self.commit(kernel, me, || header.state.store(READY, Ordering::Release));
        // Something that it was not before; who misses it goes to sleep, and looks before that.
        self.core.tail.landed.store(u64::from(position) + 1, Ordering::Relaxed);
    }
}
