//! A point in time until which an operation may wait, or none.
//!
//! `Instant` is CLOCK_MONOTONIC on Linux; the futex calls take that clock's absolute time. A deadline is made once, at the
//! door of an operation, and covers all of it: the inner lock, the wait, the next round after a spurious wake-up.

use std::time::{Duration, Instant};

/// Until when to wait: for ever, or an instant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    /// Waits for ever.
    pub(crate) const NEVER: Deadline = Deadline(None);

    /// Waits until `instant`.
    pub(crate) fn at(instant: Instant) -> Deadline {
        Deadline(Some(instant))
    }

    /// Waits for `timeout` from now; a timeout too long for the clock waits for ever.
    pub(crate) fn after(timeout: Duration) -> Deadline {
        Deadline(Instant::now().checked_add(timeout))
    }

    /// Whether this is no deadline at all.
    pub(crate) fn is_never(&self) -> bool {
        self.0.is_none()
    }

    /// Whether the time has come.
    pub(crate) fn has_passed(&self) -> bool {
        self.0.is_some_and(|instant| Instant::now() >= instant)
    }

    /// What is left, `None` for ever.
    pub(crate) fn remaining(&self) -> Option<Duration> {
        self.0.map(|instant| instant.saturating_duration_since(Instant::now()))
    }

    /// This deadline, or the one after `timeout` if that is earlier.
    pub(crate) fn or_after(&self, timeout: Duration) -> Deadline {
        let other = Instant::now().checked_add(timeout);
        Deadline(self.0.map_or(other, |own| other.map(|other| own.min(other)).or(Some(own))))
    }
}
