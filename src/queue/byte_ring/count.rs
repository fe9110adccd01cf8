//! How many messages there are.

use super::{ByteRing, Records};
use crate::queue::ring_core::{Patience, Side};
use crate::sync::kernel::Kernel;

impl<R: Records> ByteRing<'_, R> {
    /// How many messages are in the ring, exact at some moment during the call: those that can be received, with what a dead
    /// receiver gave back, without what is being written, lent or void.
    ///
    /// If a process was stopped in the middle of a receive, so that nobody can look, this waits for 10 ms and then tells the
    /// difference of the positions: what is being written counts, what a dead receiver held does not.
    pub(crate) fn len<K: Kernel>(self, kernel: &K, me: u32) -> u64 {
        loop {
            let (take, tail) = (self.taken(), self.tail());
            let settled = self.head() == take.units() && !self.has_claims(take);
            // Positions do not repeat: at the look at `head`, these were the tail and the take.
            if self.taken() != take || self.tail() != tail {
                continue;
            }
            let difference = u64::from(tail.count().wrapping_sub(take.count()));
            if settled {
                return difference;
            }
            return self.len_slow(kernel, me).unwrap_or(difference);
        }
    }

    #[cold]
    fn len_slow<K: Kernel>(self, kernel: &K, me: u32) -> Option<u64> {
        kernel.begin(&self.core.common.alarm);
        let locked = self.lock_end(kernel, me, Side::Consumer, Patience::None);
        let count = locked.ok().map(|()| {
            let count = self.count(kernel);
            self.core.consumer.lock.release(kernel, me, &self.core.common.alarm);
            count
        });
        kernel.end();
        count
    }
}
