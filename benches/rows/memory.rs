//! What locks and queues take: the growth of this process's shared mappings.

use super::{Bar, Row, Rows, Unit};
use crate::support::arena::arena;
use crate::support::kernel::shared_bytes;
use crate::support::ours;
use crate::support::ours::sync::{Condvar, Event, RwLock, Semaphore, ShmSafe, shared};
use crate::support::rings::Message;
use crate::support::size::Size;
use offspring::{Barrier, OnceLock, ReentrantMutex};

const PAGE_BYTES: usize = 4096;

pub(crate) fn rows(_size: Size) -> Rows {
    vec![
        grown("memory of a Shared<Mutex<u64>>", PAGE_BYTES, ours::SharedMutex::new),
        in_a_page("RwLock<u64>", || RwLock::new(0_u64)),
        in_a_page("ReentrantMutex<u64>", || ReentrantMutex::new(0_u64)),
        in_a_page("OnceLock<u64>", OnceLock::<u64>::new),
        in_a_page("Condvar", Condvar::new),
        in_a_page("Event", Event::new),
        in_a_page("Semaphore", || Semaphore::new(1)),
        in_a_page("Barrier", || Barrier::new(2)),
        queue::<[u64; 1]>(1024),
        queue::<[u64; 8]>(1024),
        queue::<[u64; 8]>(16),
        byte_queue(64 << 10),
    ]
}

/// A primitive by itself, and how much of its page it fills.
fn in_a_page<T: ShmSafe>(name: &str, make: impl Fn() -> T) -> Result<Row, String> {
    let what = format!("memory of a Shared<{name}>, {} B of it used", size_of::<T>());
    grown(&what, PAGE_BYTES, || shared(make()))
}

/// Without a bar: its records lie in a mirrored mapping, so each page of them is counted twice here.
fn byte_queue(capacity: usize) -> Result<Row, String> {
    let what = format!("address space of a Queue of {capacity} B, records mapped twice");
    Ok(Row { bar: None, ..grown(&what, capacity, || ours::queue::typed(capacity))? })
}

fn queue<T: Message>(slots: usize) -> Result<Row, String> {
    let bar_bytes = slots * size_of::<T>() + 1024;
    let what = format!("memory of a RingQueue of {slots} × {} B", size_of::<T>());
    grown(&what, bar_bytes.next_multiple_of(PAGE_BYTES), || ours::queue::<T>(slots))
}

fn grown<T>(what: &str, bar_bytes: usize, make: impl Fn() -> T) -> Result<Row, String> {
    let measured = arena(|| {
        // The first object brings tables that all share (the roster); they are not the second's.
        let first = make();
        let before = shared_bytes();
        let second = make();
        let grown = shared_bytes() - before;
        drop((first, second));
        Ok(vec![grown as f64])
    });
    let samples = measured.map_err(|reason| format!("{what}: {reason}"))?;
    Ok(Row::ours(what, Unit::Bytes, &samples).bar(Bar::AtMost(bar_bytes as f64)))
}
