//! How the last workers ended: the supervisor writes, whoever holds the error of a task whose worker died reads.
//!
//! One word a death: roster id | what is known. It is there besides the task's word because a waiter learns of a death from the
//! life word, some milliseconds before `waitid` can say how it came about.

use crate::deadline::Deadline;
use crate::pool::shop::{Seat, Shop};
use crate::pool::watch::WatchAll;
use crate::pool::worker::Leave;
use crate::process::{Exit, JoinError, Signal};
use std::sync::atomic::Ordering;

const CODE: u64 = 1 << 16;
const SIGNAL: u64 = 2 << 16;
const UNKNOWN: u64 = 3 << 16;
const NUMBER: u64 = (1 << 16) - 1;

/// Notes a death; by the supervisor. `place` counts, in whatever steps.
pub(super) fn bury(shop: &Shop, place: u64, seat: &Seat, end: &Result<Leave, JoinError>) {
    let id = seat.worker.load(Ordering::SeqCst);
    let status = match end {
        Ok(_) => CODE,
        Err(JoinError::Exited(Exit::Code(code))) => CODE | code.unsigned_abs() as u64 & NUMBER,
        Err(JoinError::Exited(Exit::Signal(signal))) => {
            SIGNAL | signal.number().unsigned_abs() as u64
        }
        // A panic outside of tasks.
        Err(JoinError::Exited(Exit::Panicked(_))) => CODE | 101,
        Err(JoinError::Failed(_)) => UNKNOWN,
    };
    let taken = |entry: &&std::sync::atomic::AtomicU64| entry.load(Ordering::Relaxed) == 0;
    let oldest = &shop.morgue[place as usize % shop.morgue.len()];
    let entry = shop.morgue.iter().find(taken).unwrap_or(oldest);
    entry.store(u64::from(id) << 32 | status, Ordering::SeqCst);
    seat.last_end.store(u64::from(id) << 32 | status, Ordering::Relaxed);
    seat.ends.fetch_add(1, Ordering::Relaxed);
}

/// How the worker with this roster id ended, if that is known now: `Some(None)` if nobody will ever know.
fn look_up(shop: &Shop, id: u32) -> Option<Option<Exit>> {
    let entries = shop.morgue.iter().map(|entry| entry.load(Ordering::SeqCst));
    let status = entries.map(|entry| (entry >> 32, entry & !(u64::MAX << 32)));
    let status =
        status.filter(|&(whose, _)| whose == u64::from(id)).map(|(_, status)| status).next()?;
    Some(exit_in(status))
}

/// How it ended, by the lower half of an entry; `None` if nobody knows.
pub(super) fn exit_in(status: u64) -> Option<Exit> {
    let number = (status & NUMBER) as i32;
    match status & !NUMBER {
        CODE => Some(Exit::Code(number)),
        SIGNAL => Signal::new(number).map(Exit::Signal),
        _ => None,
    }
}

/// How that worker ended. Waits until the supervisor has reaped it, or is gone itself.
pub(super) fn exit_of(shop: &Shop, id: u32, deadline: Deadline) -> Option<Exit> {
    let _watch = WatchAll::new(shop);
    let mut exit = None;
    let is_known = std::cell::Cell::new(false);
    let look = || {
        is_known.set(is_known.get() || look_up(shop, id).is_some());
        is_known.get() || shop.has_failed()
    };
    if shop.await_any(deadline, look) {
        exit = look_up(shop, id).flatten();
    }
    exit
}
