//! That a lock was taken over from a dead owner, kept by the new owner until it has unlocked: nothing is said under a lock (N2 in `news`).
//!
//! A guard that has something to say is marked in the id of its owner, which guards compare with the thread's id anyway: so an ordinary
//! guard pays nothing.

use crate::news;
use crate::shm::roster;
use log::Level;
use std::cell::RefCell;

/// In a guard's copy of its owner's id. Ids leave the top two bits free.
pub(crate) const TELLS: u32 = 1 << 30;

thread_local! {
    /// Addresses of locks that this thread holds, and whose they were.
    static KEPT: RefCell<Vec<(usize, u32)>> = const { RefCell::new(Vec::new()) };
}

/// Keeps the news that the lock at `address`, which this thread holds now, was `dead`'s. Whether the guard is to be marked.
#[cold]
pub(crate) fn keep(address: usize, dead: u32) -> bool {
    let is_wanted = news::is_wanted(Level::Warn);
    if is_wanted {
        KEPT.with(|kept| kept.borrow_mut().push((address, dead)));
    }
    is_wanted
}

/// Says it; the lock is unlocked, and may be gone.
#[cold]
pub(crate) fn say(address: usize) {
    if let Some(dead) = forget(address) {
        match roster::describe(dead) {
            Some((pid, name)) if name.is_empty() => {
                news!(
                    Warn,
                    "the mutex at {address:#x} was taken over from process {pid}, which died with it"
                );
            }
            Some((pid, name)) => {
                news!(
                    Warn,
                    "the mutex at {address:#x} was taken over from process {pid} ({name}), which died with it"
                );
            }
            None => {
                news!(Warn, "the mutex at {address:#x} was taken over from a process that is gone")
            }
        }
    }
}

/// Takes the news back.
pub(crate) fn forget(address: usize) -> Option<u32> {
    KEPT.with(|kept| {
        let mut kept = kept.borrow_mut();
        let index = kept.iter().position(|&(kept, _)| kept == address)?;
        Some(kept.swap_remove(index).1)
    })
}
