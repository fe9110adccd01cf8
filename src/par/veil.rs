//! Which shared vectors a new child may touch: none, unless it works for a parallel call.
//!
//! A [`SharedVec`](crate::SharedVec) is shared memory that its owner uses as plain memory, by `&` and `&mut`. So no other process may
//! see it while the owner may change it, and a child of `spawn` lives as long as it likes, with copies of all references that
//! there were at the fork. A worker of a parallel call is different: the caller waits for it, and what its closure borrows
//! stays borrowed.
//!
//! So each child of a `spawn` veils the vectors that it inherited before its closure runs: it takes its right to those pages away.
//! A use through the vector panics (its generation is an old one), a use through a reference is SIGSEGV, and not a read of
//! memory that changes under a `&`. The addresses stay taken, so nothing else ever lies there.

#![expect(unsafe_code, reason = "takes this process's rights to pages away")]

use crate::process::at_fork_child;
use crate::sys::memory;
use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, Once, PoisonError, TryLockError};

/// Address and length of a vector's mapping.
type Stretch = (usize, usize);

/// The vectors of this process that are not veiled.
static HELD: Mutex<Vec<Stretch>> = Mutex::new(Vec::new());
/// Counts the veilings in this process's ancestry; vectors of an earlier generation are veiled.
static GENERATION: AtomicU32 = AtomicU32::new(0);

thread_local! {
    /// This thread is forking a worker of a parallel call.
    static LENDS: Cell<bool> = const { Cell::new(false) };
}

/// Forks a worker in `fork`, which may see what its parent sees.
pub(super) fn lending<T>(fork: impl FnOnce() -> T) -> T {
    struct Back;
    impl Drop for Back {
        fn drop(&mut self) {
            LENDS.set(false);
        }
    }
    LENDS.set(true);
    let _back = Back;
    fork()
}

/// In the worker, before anything else: its own children are not lent anything by this.
pub(super) fn lent() {
    LENDS.set(false);
}

/// Notes the mapping of a new vector; its generation.
pub(super) fn hold(first: NonNull<u8>, bytes: usize) -> u32 {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| at_fork_child(veil));
    HELD.lock().unwrap_or_else(PoisonError::into_inner).push((first.addr().get(), bytes));
    GENERATION.load(Ordering::Relaxed)
}

/// Forgets the mapping of a vector that goes.
pub(super) fn release(first: NonNull<u8>) {
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    held.retain(|stretch| stretch.0 != first.addr().get());
}

/// Whether a vector of this generation may be used here.
#[inline(always)]
pub(super) fn is_ours(generation: u32) -> bool {
    generation == GENERATION.load(Ordering::Relaxed)
}

/// The hook: first in each child.
fn veil() {
    if LENDS.replace(false) {
        return;
    }
    let mut held = match HELD.try_lock() {
        Ok(held) => held,
        Err(TryLockError::Poisoned(error)) => error.into_inner(),
        Err(TryLockError::WouldBlock) => {
            panic!("another thread made or dropped a SharedVec at the moment of the fork")
        }
    };
    GENERATION.fetch_add(1, Ordering::Relaxed);
    for (address, bytes) in held.drain(..) {
        let first = std::ptr::without_provenance_mut(address);
        // SAFETY: a vector's own mapping, which this process still has: it is released (`release`) before it is unmapped. Nothing
        // here but copies of the parent's references leads there; whoever uses one is to die of it.
        unsafe { memory::veil(first, bytes) }.expect("take the rights to a page away");
    }
}
