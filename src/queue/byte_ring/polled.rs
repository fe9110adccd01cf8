//! The byte ring behind a gate: for those who wait with a file descriptor. See `queue/gate.rs`.

use super::survey::Lives;
use super::waiting::Waiting;
use super::{ByteRing, Records};
use crate::deadline::Deadline;
use crate::prim::Ordering;
use crate::queue::gate::Bell;
use crate::queue::ring_core::{Failed, Patience, Side};
use crate::sync::kernel::Kernel;

impl<'a, R: Records> ByteRing<'a, R> {
    /// How those who wait to enter the gate see it.
    fn at_gate(self) -> Waiting<'a, R> {
        Waiting { ring: self, side: Side::Producer, armed: false, stops: false }
    }

    /// Commits a message in the gate; `TimedOut` if somebody was stopped in there.
    #[inline(never)]
    pub(super) fn commit_and_tell<K: Kernel, T>(
        self,
        kernel: &K,
        me: u32,
        bell: &dyn Bell,
        deadline: Deadline,
        commit: impl FnOnce() -> Result<T, Failed>,
    ) -> Result<T, Failed> {
        let (gate, setting) = (&self.core.gate, self.at_gate());
        gate.enter(kernel, me, &setting, deadline).map_err(|_| Failed::TimedOut)?;
        gate.tell(bell);
        let committed = commit();
        gate.leave(kernel, me, &setting);
        committed
    }

    /// Does what makes something receivable: on a pollable queue in the gate, however long that takes.
    #[inline(always)]
    pub(super) fn commit<K: Kernel>(self, kernel: &K, me: u32, commit: impl FnOnce()) {
        match self.records.bell() {
            None => commit(),
            Some(bell) => {
                let committed = self.commit_and_tell(kernel, me, bell, Deadline::NEVER, || {
                    commit();
                    Ok(())
                });
                debug_assert!(committed.is_ok(), "a wait without a deadline ended");
            }
        }
    }

    /// The same for what makes a closed ring drained, perhaps, and nothing receivable on an open one.
    #[inline(always)]
    pub(super) fn commit_end<K: Kernel>(self, kernel: &K, me: u32, commit: impl FnOnce()) {
        let Some(bell) = self.records.bell() else { return commit() };
        let (gate, setting) = (&self.core.gate, self.at_gate());
        let entered = gate.enter(kernel, me, &setting, Deadline::NEVER);
        debug_assert!(entered.is_ok(), "a wait without a deadline ended");
        if self.is_closed() {
            gate.tell(bell);
        }
        commit();
        gate.leave(kernel, me, &setting);
    }

    /// After a look without patience that found nothing: true if that is so still, and the bell is silent and will ring; false if
    /// there is something, or somebody was stopped in the gate or with the consumer end.
    #[cold]
    pub(crate) fn rest<K: Kernel>(self, kernel: &K, me: u32, bell: &dyn Bell) -> bool {
        let common = &self.core.common;
        kernel.begin(&common.alarm);
        let locked = self.lock_end(kernel, me, Side::Consumer, Patience::None).is_ok();
        let (mut rests, mut freed) = (false, false);
        let (gate, setting) = (&self.core.gate, self.at_gate());
        if locked && gate.enter(kernel, me, &setting, Patience::None.deadline()).is_ok() {
            let mut lives = Lives::new();
            let survey = self.survey(kernel, &mut lives);
            freed = survey.freed;
            rests = survey.found.is_none() && (!self.is_closed() || lives.has_others(me));
            if rests {
                gate.rest(bell);
            }
            gate.leave(kernel, me, &setting);
        }
        if locked {
            self.core.consumer.lock.release(kernel, me, &common.alarm);
        }
        if freed {
            self.ring_freed(kernel, me);
        }
        kernel.end();
        rests
    }

    /// As `close`, in the gate.
    pub(crate) fn close_and_tell<K: Kernel>(self, kernel: &K, me: u32) {
        kernel.begin(&self.core.common.alarm);
        self.commit(kernel, me, || self.core.common.closed.store(1, Ordering::SeqCst));
        self.wake_all(kernel);
        kernel.end();
    }
}
