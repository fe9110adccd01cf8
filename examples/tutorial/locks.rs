//! Chapter 3: locks. The counter with and without one is the example `01_counter_race`.

use crate::Done;
use offspring::{Event, Mutex, Shared, spawn};
use std::io::{Write, stdout};
use std::thread::yield_now;

/// Writes a line letter by letter, and lets others run in between: whoever writes then tears it.
fn greet(name: &str) {
    for letter in format!("hello, {name}\n").chars() {
        print!("{letter}");
        stdout().flush().expect("standard output is open");
        yield_now();
    }
}

/// Six children greet at the same moment, one at a time.
pub(crate) fn greetings() -> Done {
    let (start, lock) = (Shared::new(Event::new())?, Shared::new(Mutex::new(()))?);
    let mut children = Vec::new();
    for name in ["Ada", "Barbara", "Edsger", "Grace", "Leslie", "Tony"] {
        children.push(spawn(|| {
            start.wait();
            let _turn = lock.lock().expect("nobody dies with the lock");
            greet(name);
        })?);
    }
    start.set();
    for child in children {
        child.join()?;
    }
    Ok(())
}
