//! How long an operation may wait: the four forms of a call (`x`, `try_x`, `x_timeout`, `x_deadline`) are one.

use crate::deadline::Deadline;
use crate::sys::Errno;
use std::time::{Duration, Instant};

/// Until when to wait, if at all.
#[derive(Clone, Copy, Debug)]
pub(super) enum Patience {
    None,
    Until(Deadline),
}

impl Patience {
    pub(super) const ENDLESS: Patience = Patience::Until(Deadline::NEVER);

    pub(super) fn timeout(timeout: Duration) -> Patience {
        Patience::Until(Deadline::after(timeout))
    }

    pub(super) fn deadline(deadline: Instant) -> Patience {
        Patience::Until(Deadline::at(deadline))
    }

    /// Without a deadline the kernel may block the call itself: one call instead of two.
    pub(super) fn is_endless(self) -> bool {
        matches!(self, Patience::Until(deadline) if deadline.is_never())
    }

    /// Waits until another try is worth it; EAGAIN if there is no time for one.
    pub(super) fn wait(
        self,
        ready: impl FnOnce(Deadline) -> Result<bool, Errno>,
    ) -> Result<(), Errno> {
        let Patience::Until(deadline) = self else { return Err(Errno::EAGAIN) };
        if ready(deadline)? { Ok(()) } else { Err(Errno::EAGAIN) }
    }
}
