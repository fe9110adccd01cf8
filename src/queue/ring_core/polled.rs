//! The ring behind a gate: for those who wait with a file descriptor. See `queue/gate.rs`.

use super::waiting::Holding;
use super::{Failed, Patience, RingCore};
use crate::deadline::Deadline;
use crate::prim::Ordering;
use crate::queue::gate::Bell;
use crate::sync::kernel::Kernel;

impl RingCore {
    /// As `put`, in the gate. Fails with `TimedOut` if somebody was stopped in there.
    #[inline(never)]
    pub(super) fn put_and_tell<K: Kernel>(
        &self,
        kernel: &K,
        me: u32,
        bell: &dyn Bell,
        patience: Patience,
        want: u64,
        write: impl Fn(u64, u64),
    ) -> Result<u64, Failed> {
        let setting = Holding { core: self };
        let entered = self.gate.enter(kernel, me, &setting, patience.deadline());
        entered.map_err(|_| Failed::TimedOut)?;
        self.gate.tell(bell);
        let put = self.put(want, write);
        self.gate.leave(kernel, me, &setting);
        put
    }

    /// After a look without patience that found nothing: true if that is so still, and the bell is silent and will ring; false if
    /// there is something, or somebody was stopped in the gate.
    #[cold]
    pub(crate) fn rest<K: Kernel>(&self, kernel: &K, me: u32, bell: &dyn Bell) -> bool {
        let setting = Holding { core: self };
        kernel.begin(&self.common.alarm);
        let entered = self.gate.enter(kernel, me, &setting, Patience::None.deadline()).is_ok();
        let rests = entered && self.is_empty() && !self.is_closed();
        if rests {
            self.gate.rest(bell);
        }
        if entered {
            self.gate.leave(kernel, me, &setting);
        }
        kernel.end();
        rests
    }

    /// As `close`, in the gate.
    pub(crate) fn close_and_tell<K: Kernel>(&self, kernel: &K, me: u32, bell: &dyn Bell) {
        let setting = Holding { core: self };
        kernel.begin(&self.common.alarm);
        let entered = self.gate.enter(kernel, me, &setting, Deadline::NEVER);
        debug_assert!(entered.is_ok(), "a wait without a deadline ended");
        self.gate.tell(bell);
        self.common.closed.store(1, Ordering::SeqCst);
        self.gate.leave(kernel, me, &setting);
        self.wake_all(kernel);
        kernel.end();
    }
}
