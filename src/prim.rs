//! The atomics that the protocols' cores use: std's, or a model checker's.
//!
//! Cores name atomics through this file alone, so that loom and shuttle run the same code. Both checkers see an asymmetric
//! fence (a compiler fence here, `membarrier` there) as a SeqCst fence on both sides.

#[cfg(not(any(loom, shuttle)))]
pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

#[cfg(shuttle)]
pub(crate) use shuttle::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// The cheap half of an asymmetric fence: orders nothing in the CPU by itself, but pairs with the other side's `membarrier`,
/// which runs a full barrier on every CPU where a process of ours runs.
#[inline(always)]
pub(crate) fn light_fence() {
    #[cfg(not(any(loom, shuttle)))]
    std::sync::atomic::compiler_fence(Ordering::SeqCst);
    #[cfg(any(loom, shuttle))]
    fence(Ordering::SeqCst);
}
