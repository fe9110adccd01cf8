//! Deadlines for shuttle: no clock, a deadline passes at random, so that schedules can be replayed. Stands in for
//! `deadline.rs`.

use crate::sync::model::world::random;
use std::time::{Duration, Instant};

/// Until when to wait: for ever, or some time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    passes: bool,
}

impl Deadline {
    /// Waits for ever.
    pub(crate) const NEVER: Deadline = Deadline { passes: false };

    /// Passes some time.
    pub(crate) fn at(_instant: Instant) -> Deadline {
        Deadline { passes: true }
    }

    /// Passes some time.
    pub(crate) fn after(_timeout: Duration) -> Deadline {
        Deadline { passes: true }
    }

    /// Whether it never passes.
    pub(crate) fn is_never(&self) -> bool {
        !self.passes
    }

    /// Whether the time has come: anew at random each time that somebody asks.
    pub(crate) fn has_passed(&self) -> bool {
        self.passes && random(3) == 0
    }
}
