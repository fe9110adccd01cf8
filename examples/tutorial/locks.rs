//! Chapter 3: locks. The counter with and without one is the example `01_counter_race`.

use crate::Done;
use offspring::{Event, Mutex, Shared, scope};
use std::io::{Write, stdout};

/// Writes a line letter by letter, as slowly as can be: whoever writes meanwhile tears it.
fn greet(name: &str) {
    for letter in format!("hello, {name}\n").chars() {
        print!("{letter}");
        stdout().flush().expect("standard output is open");
    }
}

/// Six children greet at the same moment, one at a time.
pub(crate) fn greetings() -> Done {
    let (start, lock) = (Shared::new(Event::new())?, Shared::new(Mutex::new(()))?);
    scope(|s| {
        for name in ["Ada", "Barbara", "Edsger", "Grace", "Leslie", "Tony"] {
            s.spawn(|| {
                start.wait();
                let _turn = lock.lock().expect("nobody dies with the lock");
                greet(name);
            })?;
        }
        start.set();
        Ok(())
    })
}
