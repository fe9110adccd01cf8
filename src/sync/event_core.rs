//! The event's algorithm, over any kernel: a flag that all wait for, and a count of how often it was set.
//!
//! ```text
//!  word    63 … 32               31 … 0             set    fetch_add of 1 to both halves: one instruction
//!        ┌─────────────────────┬───────────────────┐ clear  fetch_and of the low half: one instruction
//!        │ sets since a clear  │ sets ever         │ is_set high half != 0
//!        └─────────────────────┴───────────────────┘ wait   until set, or until the low half is not what it was at first
//! ```
//!
//! - V1 Every `set` changes the low half, `clear` does not: one that began to wait before a `set` returns, whatever comes after.
//! - V2 Both are read-modify-writes, also when they change nothing: so what was done before a `set` is seen by whoever cleared the
//!   flag after it (`clear`, look, `wait` misses nothing).
//! - V3 `set` names the alarm before the change and until it has woken all sleepers: if it is killed in between, the kernel wakes
//!   one of them, and that one wakes the others. A sleeper names it while it waits, so that this wake-up does not die with it.
//!
//! The low half overflows into the high one, which only counts one set more; the high half is folded long before it overflows.

use crate::deadline::Deadline;
use crate::prim::{AtomicU32, AtomicU64, Ordering};
use crate::sync::event_count::EventCount;
use crate::sync::kernel::{ALL, Awaits, Kernel, Pace, Sleep, Slept};

const SET: u64 = 1 << 32;
const EVER: u64 = SET - 1;
/// What `set` adds.
const ONE: u64 = SET | 1;
/// With so many sets since the last clear, the high half is folded to 1.
const MANY: u64 = 1 << 62;

/// How one who waits stays awake for a while.
const PACE: Pace = Pace::Queue { linger: 0 };

/// See the top of the file. Zeroed memory is a clear event.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct EventCore {
    word: AtomicU64,
    event: EventCount,
    /// Always 0: the word that deaths ring; a kernel may let another one stand for it.
    alarm: AtomicU32,
    /// Always 0, for [`Sleep::world`].
    zero: AtomicU32,
}

impl EventCore {
    #[cfg(not(any(loom, shuttle)))]
    pub(crate) const fn new() -> EventCore {
        EventCore {
            word: AtomicU64::new(0),
            event: EventCount::new(),
            alarm: AtomicU32::new(0),
            zero: AtomicU32::new(0),
        }
    }

    #[cfg(any(loom, shuttle))]
    pub(crate) fn new() -> EventCore {
        EventCore {
            word: AtomicU64::new(0),
            event: EventCount::new(),
            alarm: AtomicU32::new(0),
            zero: AtomicU32::new(0),
        }
    }

    #[inline(always)]
    pub(crate) fn set<K: Kernel>(&self, kernel: &K, me: u32) {
        if !mutant!("event-set-no-alarm") {
            kernel.begin(&self.alarm);
        }
        let before = self.word.fetch_add(ONE, Ordering::SeqCst);
        self.event.ring_many(kernel, me, &self.alarm, ALL);
        kernel.end();
        if before >= MANY {
            self.fold();
        }
    }

    #[inline(always)]
    pub(crate) fn clear(&self) {
        self.word.fetch_and(EVER, Ordering::SeqCst);
    }

    #[inline(always)]
    pub(crate) fn is_set(&self) -> bool {
        self.word.load(Ordering::Acquire) >= SET
    }

    /// Keeps the high half from overflowing; a `set` or `clear` in between makes this unnecessary, or leaves it to the next.
    #[cold]
    fn fold(&self) {
        let word = self.word.load(Ordering::Relaxed);
        if word >= MANY {
            let folded = SET | word & EVER;
            let _ = self.word.compare_exchange(word, folded, Ordering::SeqCst, Ordering::Relaxed);
        }
    }

    /// Waits until the event is set or was set since the call began; false if the deadline passed before.
    #[inline]
    pub(crate) fn wait<K: Kernel>(&self, kernel: &K, deadline: Deadline) -> bool {
        let seen = self.word.load(Ordering::Acquire);
        seen >= SET || self.wait_slow(kernel, seen, deadline)
    }

    /// As [`wait`](Self::wait), of one who began when the word was `seen`.
    #[cfg(all(test, any(loom, shuttle)))]
    pub(crate) fn wait_from<K: Kernel>(&self, kernel: &K, seen: u64, deadline: Deadline) -> bool {
        self.has_come(seen) || self.wait_slow(kernel, seen, deadline)
    }

    /// Whether anybody has set it.
    #[cfg(all(test, any(loom, shuttle)))]
    pub(crate) fn was_ever_set(&self) -> bool {
        self.word.load(Ordering::SeqCst) & EVER != 0
    }

    #[cold]
    fn wait_slow<K: Kernel>(&self, kernel: &K, seen: u64, deadline: Deadline) -> bool {
        let mut step = 0;
        while kernel.pause(PACE, step) {
            if self.has_come(seen) {
                return true;
            }
            step += 1;
        }
        kernel.begin(&self.alarm);
        let came = self.sleep_until_set(kernel, seen, deadline);
        kernel.end();
        came
    }

    fn sleep_until_set<K: Kernel>(&self, kernel: &K, seen: u64, deadline: Deadline) -> bool {
        loop {
            let armed = self.event.arm(kernel);
            if self.has_come(seen) {
                return true;
            }
            if deadline.has_passed() {
                // All that sleep are woken together, so this one has not had a wake-up that is another's (E5).
                return false;
            }
            let sleep = Sleep {
                awaits: Awaits::Event,
                bell: self.event.bell(),
                event: (self.event.word(), armed.value),
                owner: None,
                world: (!mutant!("event-no-compare")).then_some((&self.word, seen, &self.zero)),
                lives: &[],
                alarm: &self.alarm,
                unarmed: armed.unarmed,
            };
            if kernel.sleep(sleep, deadline) == Slept::Alarmed && !mutant!("event-alarm-wakes-one")
            {
                kernel.echo(&self.alarm);
                self.event.wake_all(kernel);
            }
        }
    }

    fn has_come(&self, seen: u64) -> bool {
        let word = self.word.load(Ordering::Acquire);
        if mutant!("event-no-generation") {
            return word >= SET;
        }
        word >= SET || word & EVER != seen & EVER
    }
}
