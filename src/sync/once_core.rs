//! The algorithm of a value that is computed once, over any kernel: who computes it, and how others wait for that.
//!
//! - O1 `done` goes from 0 to 1 once, by a release store of the owner of `init`, behind the value; the value is written before that
//!   by an owner of `init`, and never after it.
//! - O2 Whoever stores the 1 has named the alarm before, and wakes all after it. Those who sleep in [`wait`](OnceCore::wait) have named
//!   it, too; the kernel compares `done` as it enqueues them.
//! - O3 Those who sleep on `init` sleep as on every lock; after a 1 there is no point in that, so they stop.
//!
//! What a `kill -9` leaves before the 1: a dead owner of `init`, and a value that nobody looks at. After it: perhaps sleepers, whom the
//! alarm wakes.

use crate::deadline::Deadline;
use crate::prim::{AtomicU32, AtomicU64, Ordering};
use crate::sync::event_count::EventCount;
use crate::sync::kernel::{Awaits, Kernel, Sleep, Slept};
use crate::sync::lock_core::{LockCore, Refused, Setting};

/// See the top of the file. Zeroed memory has no value yet.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct OnceCore {
    done: AtomicU64,
    init: LockCore,
    /// Rung when `done` is 1.
    set: EventCount,
    /// Always 0.
    alarm: AtomicU32,
    _unused: u32,
}

impl OnceCore {
    #[cfg(not(any(loom, shuttle)))]
    pub(crate) const fn new() -> OnceCore {
        OnceCore {
            done: AtomicU64::new(0),
            init: LockCore::new(),
            set: EventCount::new(),
            alarm: AtomicU32::new(0),
            _unused: 0,
        }
    }

    #[cfg(any(loom, shuttle))]
    pub(crate) fn new() -> OnceCore {
        OnceCore {
            done: AtomicU64::new(0),
            init: LockCore::new(),
            set: EventCount::new(),
            alarm: AtomicU32::new(0),
            _unused: 0,
        }
    }

    /// Whether there is a value, to be read.
    #[inline(always)]
    pub(crate) fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire) != 0
    }

    /// Who computes, or 0; perhaps a dead thread.
    pub(crate) fn initialiser(&self) -> u32 {
        self.init.owner()
    }

    /// Makes `me` the one that computes; false if there is a value by now.
    ///
    /// # Panics
    /// If `me` computes already.
    pub(crate) fn begin<K: Kernel>(&self, kernel: &K, me: u32) -> bool {
        if !self.init.acquire_free(me) {
            assert!(
                self.init.owner() != me,
                "expected a value that this thread is not computing; the initialiser asked for it"
            );
            match self.init.acquire_slow(kernel, me, &Computing(self), Deadline::NEVER) {
                Ok(_) => {}
                Err(Refused::Stopped) => return false,
                Err(refused) => unreachable!("a wait without a deadline ended with {refused:?}"),
            }
        }
        let fresh = !self.is_done();
        if !fresh {
            self.abandon(kernel, me);
        }
        fresh
    }

    /// The one that computes has written the value.
    pub(crate) fn commit<K: Kernel>(&self, kernel: &K, me: u32) {
        let named = kernel.name_alarm(&self.alarm);
        self.done.store(1, Ordering::Release);
        if !mutant!("once-no-wake") {
            self.set.ring_all(kernel);
        }
        self.init.event().ring_all(kernel);
        if named {
            kernel.unname_alarm(&self.alarm);
        }
        self.abandon(kernel, me);
    }

    /// The one that computes lets others do it.
    pub(crate) fn abandon<K: Kernel>(&self, kernel: &K, me: u32) {
        self.init.release(kernel, me, &self.alarm);
    }

    /// Waits until there is a value; false if there is none at the deadline.
    #[cold]
    pub(crate) fn wait<K: Kernel>(&self, kernel: &K, deadline: Deadline) -> bool {
        kernel.begin(&self.alarm);
        let done = loop {
            let armed = self.set.arm(kernel);
            if self.is_done() {
                break true;
            }
            if deadline.has_passed() {
                break false;
            }
            let sleep = Sleep {
                awaits: Awaits::Value,
                bell: self.set.bell(),
                event: (self.set.word(), armed.value),
                owner: None,
                // The flag that must be 0: the bell is.
                world: Some((&self.done, 0, self.set.bell())),
                lives: &[],
                alarm: &self.alarm,
                unarmed: armed.unarmed,
            };
            if kernel.sleep(sleep, deadline) == Slept::Alarmed {
                self.wake_all(kernel);
            }
        };
        kernel.end();
        done
    }

    fn wake_all<K: Kernel>(&self, kernel: &K) {
        self.set.wake_all(kernel);
        self.init.event().wake_all(kernel);
    }
}

/// `init`, as those see it who want to compute.
struct Computing<'a>(&'a OnceCore);

impl Setting for Computing<'_> {
    fn alarm(&self) -> &AtomicU32 {
        &self.0.alarm
    }

    fn is_own(&self) -> bool {
        true
    }

    fn alarmed<K: Kernel>(&self, kernel: &K) {
        self.0.wake_all(kernel);
    }

    fn should_stop(&self) -> bool {
        self.0.is_done()
    }
}
