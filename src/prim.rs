//! The atomics that the protocols' cores use: std's, or a model checker's.
//!
//! Cores name atomics through this file alone, so that loom and shuttle run the same code. Both checkers see an asymmetric
//! fence (a compiler fence here, `membarrier` there) as a SeqCst fence on both sides. Under shuttle each access is also a
//! point where the thread may be killed.

/// Whether a rule is to be broken on purpose, so that the proofs can show that they notice: the mutant of that name. Always false
/// without the feature `mutants`; with it, the environment variable `OFFSPRING_MUTANT` names one.
macro_rules! mutant {
    ($name:literal) => {{
        #[cfg(not(feature = "mutants"))]
        let is_on = false;
        #[cfg(feature = "mutants")]
        let is_on = {
            static IS_ON: std::sync::LazyLock<bool> = std::sync::LazyLock::new(|| {
                std::env::var_os("OFFSPRING_MUTANT").is_some_and(|name| name == $name)
            });
            *IS_ON
        };
        is_on
    }};
}

#[cfg(not(any(loom, shuttle)))]
pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

#[cfg(shuttle)]
pub(crate) use {
    mortal::{AtomicU32, AtomicU64},
    shuttle::sync::atomic::{Ordering, fence},
};

/// The cheap half of an asymmetric fence: orders nothing in the CPU by itself, but pairs with the other side's `membarrier`,
/// which runs a full barrier on every CPU where a process of ours runs.
#[inline(always)]
pub(crate) fn light_fence() {
    #[cfg(not(any(loom, shuttle)))]
    std::sync::atomic::compiler_fence(Ordering::SeqCst);
    #[cfg(any(loom, shuttle))]
    fence(Ordering::SeqCst);
}

/// Keeps the compiler from moving an access across: for the order in which a death leaves what one thread has stored. No other
/// thread pairs with it, so it is nothing to a model checker.
#[inline(always)]
pub(crate) fn program_order() {
    std::sync::atomic::compiler_fence(std::sync::atomic::Ordering::SeqCst);
}

/// Atomics before each access of which a model's thread may die: it unwinds with [`Killed`](mortal::Killed).
#[cfg(shuttle)]
pub(crate) mod mortal {
    use shuttle::sync::atomic as checked;
    use std::cell::Cell;
    use std::sync::atomic::Ordering;

    shuttle::thread_local! {
        /// How many steps the thread has left to live; 0 is for ever.
        static LEFT: Cell<u32> = Cell::new(0);
    }

    /// What a killed thread unwinds with.
    #[derive(Debug)]
    pub(crate) struct Killed;

    /// The calling thread will die at its `steps`-th step from now; 0: never.
    pub(crate) fn doom(steps: u32) {
        LEFT.with(|left| left.set(steps));
    }

    /// How many steps the calling thread has left; 0 is for ever.
    pub(crate) fn steps_left() -> u32 {
        LEFT.with(Cell::get)
    }

    /// One step: an atomic access, or a call of the kernel.
    pub(crate) fn step() {
        let left = steps_left();
        if left == 0 {
            return;
        }
        doom(left - 1);
        if left == 1 {
            die();
        }
    }

    /// Dies now, without the panic's message: a killed process says nothing either.
    pub(crate) fn die() -> ! {
        doom(0);
        std::panic::resume_unwind(Box::new(Killed));
    }

    /// Runs `work` in the kernel, where a thread cannot be killed.
    pub(crate) fn uninterrupted<R>(work: impl FnOnce() -> R) -> R {
        let left = LEFT.with(|left| left.replace(0));
        let result = work();
        doom(left);
        result
    }

    macro_rules! mortal {
        ($name:ident, $int:ty) => {
            /// As std's.
            #[derive(Debug)]
            #[repr(transparent)]
            pub(crate) struct $name(checked::$name);

            impl $name {
                pub(crate) const fn new(value: $int) -> $name {
                    $name(checked::$name::new(value))
                }

                pub(crate) fn load(&self, order: Ordering) -> $int {
                    step();
                    self.0.load(order)
                }

                pub(crate) fn store(&self, value: $int, order: Ordering) {
                    step();
                    self.0.store(value, order);
                }

                pub(crate) fn compare_exchange(
                    &self,
                    current: $int,
                    new: $int,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$int, $int> {
                    step();
                    self.0.compare_exchange(current, new, success, failure)
                }

                pub(crate) fn fetch_add(&self, value: $int, order: Ordering) -> $int {
                    step();
                    self.0.fetch_add(value, order)
                }

                pub(crate) fn fetch_sub(&self, value: $int, order: Ordering) -> $int {
                    step();
                    self.0.fetch_sub(value, order)
                }

                pub(crate) fn fetch_or(&self, value: $int, order: Ordering) -> $int {
                    step();
                    self.0.fetch_or(value, order)
                }

                pub(crate) fn fetch_and(&self, value: $int, order: Ordering) -> $int {
                    step();
                    self.0.fetch_and(value, order)
                }
            }
        };
    }

    mortal!(AtomicU32, u32);
    mortal!(AtomicU64, u64);
}
