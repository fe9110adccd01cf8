//! A lock with an alarm beside it, as the roster's is: the setting of a mutex with condition variables.

use crate::deadline::Deadline;
use crate::prim::AtomicU32;
use crate::sync::kernel::Kernel;
use crate::sync::lock_core::{Acquired, LockCore, Refused, Setting};
use crate::sync::model::party::Party;

/// See the top of the file.
#[derive(Debug)]
pub(crate) struct Beside {
    pub(crate) core: LockCore,
    alarm: AtomicU32,
}

impl Beside {
    pub(crate) fn new() -> Beside {
        Beside { core: LockCore::new(), alarm: AtomicU32::new(0) }
    }

    /// As `Mutex::lock`.
    pub(crate) fn lock(&self, party: &Party, deadline: Deadline) -> Result<Acquired, Refused> {
        if self.core.acquire_free(party.id) {
            return Ok(Acquired::Free);
        }
        self.core.acquire_slow(party, party.id, self, deadline)
    }

    pub(crate) fn unlock(&self, party: &Party) {
        self.core.release(party, party.id, &self.alarm);
    }
}

impl Setting for Beside {
    fn alarm(&self) -> &AtomicU32 {
        &self.alarm
    }

    fn is_own(&self) -> bool {
        true
    }

    /// `Linux::sleep` does this: whoever the kernel wakes for a death wakes all on the echo.
    fn alarmed<K: Kernel>(&self, kernel: &K) {
        if !mutant!("cond-alarm-wakes-one") {
            kernel.echo(&self.alarm);
        }
    }
}
