//! The gate of a pollable queue: through it goes whatever makes something receivable, so that a file descriptor says so first.
//!
//! A queue is pollable from the beginning or never, and has a *bell* then: a descriptor that all its handles share. `armed` says
//! that the bell is silent and must be rung before the next commit. Both change with the gate held, and so
//!
//! - G1 every commit that makes a queue receivable (a message, or the news that it is closed and drained) is made in the gate;
//!   before it, the bell is rung if it is armed, and then `armed` is cleared;
//! - G2 the bell is silenced in the gate, when nothing is receivable, after `armed` has been set.
//!
//! | | `armed` | the bell |
//! |---|---|---|
//! | told | 0 | rings |
//! | resting | 1 | silent |
//! | one has died in the gate, or is in it | 1 | rings |
//!
//! So at every instruction: what is receivable is under a bell that rings, and a silent bell is armed. A death in the gate leaves
//! a ringing bell at worst, for nothing; there is nothing to repair. Whoever is woken too early, before the commit, finds nothing,
//! and to silence the bell again it must enter the gate: after the commit, or after the death before it.

use crate::prim::{AtomicU32, Ordering, program_order};
use crate::sync::kernel::Kernel;
use crate::sync::lock_core::{LockCore, Refused, Setting};

use crate::deadline::Deadline;

/// What pollers wait for.
pub(crate) trait Bell: std::fmt::Debug {
    /// Makes it readable.
    fn ring(&self);
    /// Makes it not readable.
    fn silence(&self);
}

/// See the top of the file.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct Gate {
    lock: LockCore,
    latch: Latch,
}

/// `armed`, and what is done with it. Where another lock covers all commits, it is the gate, and this is enough.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Latch {
    armed: AtomicU32,
}

impl Gate {
    /// The gate of a queue whose bell, if it has one, rings.
    pub(crate) fn new() -> Gate {
        Gate { lock: LockCore::new(), latch: Latch::new() }
    }

    /// Enters; the caller's operation names the alarm of `setting`.
    pub(crate) fn enter<K: Kernel>(
        &self,
        kernel: &K,
        me: u32,
        setting: &impl Setting,
        deadline: Deadline,
    ) -> Result<(), Refused> {
        if self.lock.acquire_free(me) {
            return Ok(());
        }
        self.lock.acquire_slow(kernel, me, setting, deadline).map(drop)
    }

    pub(crate) fn leave<K: Kernel>(&self, kernel: &K, me: u32, setting: &impl Setting) {
        self.lock.release(kernel, me, setting.alarm());
    }

    /// As [`Latch::tell`].
    #[inline]
    pub(crate) fn tell(&self, bell: &dyn Bell) {
        self.latch.tell(bell);
    }

    /// As [`Latch::rest`].
    pub(crate) fn rest(&self, bell: &dyn Bell) {
        self.latch.rest(bell);
    }

    /// Wakes those who wait to enter.
    pub(crate) fn wake_all<K: Kernel>(&self, kernel: &K) {
        self.lock.event().wake_all(kernel);
    }
}

impl Latch {
    /// Of a bell that rings.
    pub(crate) fn new() -> Latch {
        Latch { armed: AtomicU32::new(0) }
    }

    /// In the gate, before a commit.
    #[inline]
    pub(crate) fn tell(&self, bell: &dyn Bell) {
        if self.armed.load(Ordering::Relaxed) != 0 {
            bell.ring();
            program_order();
            self.armed.store(0, Ordering::Relaxed);
            program_order();
        }
    }

    /// In the gate, when nothing is receivable.
    pub(crate) fn rest(&self, bell: &dyn Bell) {
        self.armed.store(1, Ordering::Relaxed);
        program_order();
        bell.silence();
    }
}
