//! How long an operation may wait, as its caller chose: `x`, `try_x`, `x_timeout`, `x_deadline`.

use crate::deadline::Deadline;
use std::time::Duration;

/// How long an operation may wait.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    /// Not for anything to change; only for a single operation of another process to end, and that for 10 ms at most.
    None,
    /// Until the deadline.
    Until(Deadline),
}

/// Why an operation gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GaveUp {
    /// It could not be done at once, and had no patience.
    NotNow,
    /// It could not be done until the deadline.
    TimedOut,
}

/// The most that an operation without patience waits for another's operation to end.
const TRY_PATIENCE: Duration = Duration::from_millis(10);

impl Patience {
    /// Until it is done.
    pub(crate) const FOREVER: Patience = Patience::Until(Deadline::NEVER);

    pub(crate) fn is_endless(self) -> bool {
        matches!(self, Patience::Until(deadline) if deadline.is_never())
    }

    /// Until when to wait for another's operation that is under way.
    pub(crate) fn deadline(self) -> Deadline {
        match self {
            Patience::None => Deadline::after(TRY_PATIENCE),
            Patience::Until(deadline) => deadline,
        }
    }

    /// How to say that it was in vain.
    pub(crate) fn gave_up(self) -> GaveUp {
        match self {
            Patience::None => GaveUp::NotNow,
            Patience::Until(_) => GaveUp::TimedOut,
        }
    }
}
