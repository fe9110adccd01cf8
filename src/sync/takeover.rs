//! That a mutex was taken over from a dead owner, kept by the new owner until it has unlocked: nothing is said under a lock (N2 in
//! `news`).
//!
//! The new owner makes its unlock take the slow path, which looks here. So an ordinary unlock pays nothing.

use crate::news;
use crate::shm::roster;
use log::Level;
use std::cell::RefCell;

/// A lock that this thread holds: by its alarm, its own address, and whose it was.
struct News {
    alarm: usize,
    address: usize,
    dead: u32,
}

thread_local! {
    static KEPT: RefCell<Vec<News>> = const { RefCell::new(Vec::new()) };
}

/// Keeps the news, if anybody wants to hear it: then `say` is to be called with this alarm after the unlock.
#[cold]
pub(crate) fn keep(alarm: usize, address: usize, dead: u32) -> bool {
    let keep = |kept: &RefCell<Vec<News>>| kept.borrow_mut().push(News { alarm, address, dead });
    // A thread that is on its last steps keeps nothing.
    news::is_wanted(Level::Warn) && KEPT.try_with(keep).is_ok()
}

/// Says it. The lock is unlocked, and may be gone. Most that come here have nothing to say.
#[cold]
pub(crate) fn say(alarm: usize) {
    let find = |kept: &RefCell<Vec<News>>| {
        let mut kept = kept.borrow_mut();
        let index = kept.iter().position(|news| news.alarm == alarm)?;
        Some(kept.swap_remove(index))
    };
    let Ok(Some(News { address, dead, .. })) = KEPT.try_with(find) else { return };
    let text = format!("the mutex at {address:#x} was taken over from");
    match roster::describe(dead) {
        Some((pid, name)) if name.is_empty() => {
            news!(Warn, "{text} process {pid}, which died with it");
        }
        Some((pid, name)) => news!(Warn, "{text} process {pid} ({name}), which died with it"),
        None => news!(Warn, "{text} a process that is gone"),
    }
}
