//! Chapter 4: an executor, and one worker with a queue.
#![expect(clippy::disallowed_methods, reason = "has work that waits")]

use crate::Done;
use offspring::pool::as_completed;
use offspring::{Pool, Queue, spawn};
use std::thread;
use std::time::{Duration, Instant};

/// How long an item takes.
const UNIT: Duration = Duration::from_millis(20);

/// Every third number: the items to handle.
fn items() -> impl Iterator<Item = u32> {
    (1..=30).step_by(3)
}

/// The first item takes four times as long as the others.
fn units(item: u32) -> u32 {
    if item == 1 { 4 } else { 1 }
}

/// Stands for work that waits: for a disk, for an answer from elsewhere.
fn handle(item: u32) -> u32 {
    thread::sleep(UNIT * units(item));
    item
}

/// Four workers share the items. Results are taken in the order in which they are there.
pub(crate) fn executor() -> Done {
    let pool = Pool::new(4)?;
    let started = Instant::now();
    let tasks: Result<Vec<_>, _> = items().map(|item| pool.submit(handle, item)).collect();
    for (_, item) in as_completed(tasks?) {
        println!("item {} is done", item?);
    }
    let (took, sum) = (started.elapsed(), UNIT * items().map(units).sum());
    println!("{} ms; one after the other, {} ms", took.as_millis(), sum.as_millis());
    Ok(())
}

/// One worker handles the items in the order in which they were sent, until there is no item.
pub(crate) fn in_order() -> Done {
    let queue = Queue::<Option<u32>>::new()?;
    let child = spawn(|| {
        while let Some(item) = queue.recv().expect("nobody closes it") {
            println!("item {} is done", handle(item));
        }
    })?;
    for item in items() {
        queue.send(Some(item))?;
    }
    queue.send(None)?;
    child.join()?;
    Ok(())
}
