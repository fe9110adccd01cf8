//! An event count: sleep until somebody says that something has changed. One word, no list of waiters.
//!
//! The waker changes the world (releases a lock, publishes a message), and then looks at this word: a plain load, no fence, if
//! the word is quiet. The sleeper pays for that: it announces itself, runs a `membarrier`, and only then looks at the world.
//!
//! | state | meaning | who moves it on |
//! |---|---|---|
//! | `QUIET` | nobody sleeps | a sleeper → `CALLED` |
//! | `CALLED` | announced; the heavy fence has not been run yet | any sleeper after its fence → `ARMED` |
//! | `ARMED` | sleepers may sleep; every waker sees that | a waker → `RUNG`, then wakes one |
//! | `RUNG` | a woken sleeper is on its way; wakers need not wake another | that sleeper → `ARMED` |
//!
//! The upper bits count the returns to `QUIET` and the armings after a wake-up, so that a stale sleeper's value never fits again.
//! (Else a wake-up between a sleeper's arming and its sleep could be hidden by one that re-arms the word and is killed: its alarm
//! comes too early for that sleeper. Where every change moves a position that is compared, that would not matter.)
//!
//! - E1 Sleepers sleep on the *bell*, a word beside it that is always 0, and the kernel compares the word with the ARMED value
//!   they saw *after* it has enqueued them there and on the alarm: a wake-up or a death from then on wakes them, one before
//!   that has changed something that is compared.
//! - E2 Since the heavy fence that preceded ARMED, every waker that has changed the world sees a word that is not QUIET, or its
//!   change is seen by the sleeper that looks after arming (asymmetric Dekker):
//!
//! ```text
//!   waker                                sleeper
//!   change the world (store)             word = CALLED
//!   compiler fence                       membarrier: a full fence on the waker's CPU, either
//!   load word                              - before its load  -> it will load CALLED or later, or
//!                                          - after its load   -> its store is visible by now
//!                                        word = ARMED, look at the world, sleep
//! ```
//! - E3 A waker that sees a state other than QUIET runs a full fence and looks again: so when it leaves on CALLED or RUNG, its
//!   change is visible to whoever moves the word on to ARMED and looks *after that*.
//! - E4 In RUNG somebody answers for the wake-up: the waker until it has woken one, then the woken one until it has armed the
//!   word again and looked. Both name the alarm meanwhile: the death of either wakes another sleeper.
//! - E5 Whoever leaves without what it waited for (deadline) wakes one more, for it may have taken a wake-up with it.
//! - E6 One that slept, took something, and sees more to take, rings: messages published during RUNG woke nobody.
//!
//! Calming: a waker that meets CALLED or RUNG very often (dead sleepers cannot say that they are gone) makes the word QUIET, with
//! the next count, and then wakes all: those who fell asleep in between. It names the alarm before that.

use crate::prim::{AtomicU32, Ordering, fence};
use crate::sync::kernel::{ALL, Kernel};

const STATE: u32 = 3;
const QUIET: u32 = 0;
const CALLED: u32 = 1;
const ARMED: u32 = 2;
const RUNG: u32 = 3;
const COUNT_ONE: u32 = 4;

/// See the top of the file. Zeroed memory is a quiet event count.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct EventCount {
    word: AtomicU32,
    /// Always 0: where sleepers sleep. A word of its own, so that a sleeper is enqueued here before the kernel compares `word`.
    bell: AtomicU32,
}

impl EventCount {
    /// Where the bell lies in it.
    pub(crate) const BELL_OFFSET: usize = std::mem::offset_of!(EventCount, bell);
}

/// What `arm` returns and `sleep` compares.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Armed {
    pub(crate) value: u32,
    /// The heavy fence was refused: sleep for a moment only.
    pub(crate) unarmed: bool,
}

impl EventCount {
    #[cfg(not(any(loom, shuttle)))]
    pub(crate) const fn new() -> EventCount {
        EventCount { word: AtomicU32::new(QUIET), bell: AtomicU32::new(0) }
    }

    #[cfg(any(loom, shuttle))]
    pub(crate) fn new() -> EventCount {
        EventCount { word: AtomicU32::new(QUIET), bell: AtomicU32::new(0) }
    }

    /// The word that must still have the armed value when sleep begins.
    pub(crate) fn word(&self) -> &AtomicU32 {
        &self.word
    }

    /// The word on which wake-ups come.
    pub(crate) fn bell(&self) -> &AtomicU32 {
        &self.bell
    }

    /// Whether nobody has announced itself since the word was calmed.
    pub(crate) fn is_quiet(&self) -> bool {
        self.word.load(Ordering::Relaxed) & STATE == QUIET
    }

    /// Sleeper: makes the word ARMED. Look at the world after this, then sleep on the value returned.
    pub(crate) fn arm<K: Kernel>(&self, kernel: &K) -> Armed {
        let armed = self.make_armed(kernel);
        // The look at the world comes after the word is ARMED, for E3 (two full fences face each other there).
        fence(Ordering::SeqCst);
        armed
    }

    fn make_armed<K: Kernel>(&self, kernel: &K) -> Armed {
        loop {
            let word = self.word.load(Ordering::SeqCst);
            // A wake-up that came between another's arming and its sleep must not be hidden from it by this arming, which may be
            // the last thing that we do.
            let rung = word & STATE == RUNG;
            let armed = (word & !STATE).wrapping_add(if rung { COUNT_ONE } else { 0 }) | ARMED;
            match word & STATE {
                ARMED => return Armed { value: word, unarmed: false },
                RUNG if mutant!("no-rearm") => {
                    return Armed { value: word, unarmed: false };
                }
                QUIET => {
                    self.replace(word, word & !STATE | CALLED);
                    continue;
                }
                // The count rules out that the word was quiet in between: it has been CALLED all through our fence.
                CALLED if !mutant!("no-heavy-fence") && !kernel.heavy_fence() => {
                    return Armed { value: word, unarmed: true };
                }
                _ => {}
            }
            if self.replace(word, armed) {
                return Armed { value: armed, unarmed: false };
            }
        }
    }

    /// Waker, after it has changed the world: wakes one sleeper if there may be any.
    #[inline(always)]
    pub(crate) fn ring<K: Kernel>(&self, kernel: &K, me: u32, alarm: &AtomicU32) {
        kernel.light_fence(me);
        if self.word.load(Ordering::Relaxed) & STATE != QUIET {
            self.ring_slow(kernel, alarm, 1);
        }
    }

    /// As [`ring`](Self::ring), for a change that `count` sleepers can use.
    #[inline(always)]
    pub(crate) fn ring_many<K: Kernel>(&self, kernel: &K, me: u32, alarm: &AtomicU32, count: u32) {
        kernel.light_fence(me);
        if self.word.load(Ordering::Relaxed) & STATE != QUIET {
            self.ring_slow(kernel, alarm, count);
        }
    }

    #[cold]
    fn ring_slow<K: Kernel>(&self, kernel: &K, alarm: &AtomicU32, count: u32) {
        fence(Ordering::SeqCst);
        loop {
            let word = self.word.load(Ordering::SeqCst);
            match word & STATE {
                QUIET => return,
                ARMED => {
                    // From RUNG on we answer for the wake-up, and no sleeper need be watching *our* life word (E4).
                    let named = kernel.name_alarm(alarm);
                    if mutant!("rung-after-wake") {
                        kernel.wake(&self.bell, count);
                    }
                    let rung = self.replace(word, word & !STATE | RUNG);
                    if rung && !mutant!("rung-after-wake") {
                        kernel.wake(&self.bell, count);
                    }
                    if named {
                        kernel.unname_alarm(alarm);
                    }
                    if rung {
                        return;
                    }
                }
                _ => {
                    if kernel.calm() {
                        self.calm(kernel, alarm, word);
                    }
                    return;
                }
            }
        }
    }

    /// For a change that every sleeper must see: wakes all, if there may be any.
    #[cold]
    pub(crate) fn ring_all<K: Kernel>(&self, kernel: &K) {
        fence(Ordering::SeqCst);
        if self.word.load(Ordering::SeqCst) & STATE != QUIET {
            self.wake_all(kernel);
        }
    }

    /// As [`ring_all`](Self::ring_all), whatever the state: a waker that is killed while it calms leaves QUIET with sleepers.
    #[cold]
    pub(crate) fn wake_all<K: Kernel>(&self, kernel: &K) {
        let word = self.word.load(Ordering::SeqCst);
        if word & STATE == ARMED {
            // Those about to sleep will look again. If this fails, another has changed the word, and they will too.
            self.replace(word, word & !STATE | RUNG);
        }
        kernel.wake(&self.bell, ALL);
    }

    fn calm<K: Kernel>(&self, kernel: &K, alarm: &AtomicU32, word: u32) {
        let named = kernel.name_alarm(alarm);
        if self.replace(word, (word & !STATE).wrapping_add(COUNT_ONE) | QUIET) {
            kernel.wake(&self.bell, ALL);
        }
        if named {
            kernel.unname_alarm(alarm);
        }
    }

    /// A sleeper that leaves without what it came for passes on the wake-up that it may have had (E5).
    pub(crate) fn pass_on<K: Kernel>(&self, kernel: &K) {
        if mutant!("no-pass-on") {
            return;
        }
        kernel.wake(&self.bell, 1);
    }

    fn replace(&self, from: u32, to: u32) -> bool {
        self.word.compare_exchange(from, to, Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }
}
