//! What a program wants done first in every child.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

type Hook = &'static (dyn Fn() + Send + Sync);

static HOOKS: Mutex<Vec<Hook>> = Mutex::new(Vec::new());
/// Whether there is one: a child without hooks then touches no lock.
static ANY: AtomicBool = AtomicBool::new(false);

/// Runs `hook` at the start of every child that is [spawned](crate::spawn) from now on, and of their children; in the order
/// of registration, after the child's own set-up and before its closure.
///
/// A fork copies everything, also what should differ: the state of a random number generator, caches of the pid,
/// connections. A hook that panics ends the child as a panic of its closure would.
///
/// Hooks cannot be taken back. A `fork()` that is not this crate's runs none.
///
/// ```
/// # fn main() -> offspring::Result<()> {
/// use std::sync::atomic::{AtomicU64, Ordering};
/// static SEED: AtomicU64 = AtomicU64::new(1);
/// offspring::at_fork_child(|| SEED.store(u64::from(std::process::id()), Ordering::Relaxed));
/// let a = offspring::spawn(|| SEED.load(Ordering::Relaxed))?;
/// let b = offspring::spawn(|| SEED.load(Ordering::Relaxed))?;
/// assert_ne!(a.join().unwrap(), b.join().unwrap());
/// # Ok(()) }
/// ```
pub fn at_fork_child(hook: impl Fn() + Send + Sync + 'static) {
    let hook: Hook = Box::leak(Box::new(hook));
    HOOKS.lock().unwrap_or_else(PoisonError::into_inner).push(hook);
    ANY.store(true, Ordering::Release);
}

/// Runs them all. Not under the lock: a hook may register another, for the children's children.
pub(super) fn run_all() {
    if !ANY.load(Ordering::Acquire) {
        return;
    }
    let hooks = HOOKS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for hook in hooks {
        hook();
    }
}
