//! What each lock and signal is for, one short scene each, played by a parent and its children.
//!
//! ```text
//! cargo run --release --example 06_locks
//! ```
//!
//! What it prints (the pid differs):
//!
//! ```text
//! Mutex: one at a time
//!   4 children added 1,000 each: 4,000
//!   a child was killed inside; the lock says so: process 4242 (clumsy) died; the sum is repaired: 4,000
//! Condvar: wait for what others do under a lock
//!   the cook filled the plate 3 times, the guest emptied it 3 times, nobody looked in vain
//! Event: a flag for all
//!   3 runners waited for the start, 3 ran when it was set
//! ```
//!
//! The exit status is 1 if a scene went wrong.

mod terminal;

use offspring::{Builder, Condvar, Counter, Event, LockError, Mutex, Shared, spawn};
use std::error::Error;
use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;
use terminal::{Style, grouped, paint};

/// Much longer than anything here takes.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A scene: its title, and what happened in it.
type Scene = (&'static str, fn() -> Result<String, Box<dyn Error>>);

const SCENES: [Scene; 3] = [
    ("Mutex: one at a time", mutex),
    ("Condvar: wait for what others do under a lock", condvar),
    ("Event: a flag for all", event),
];

fn main() -> ExitCode {
    let mut text = String::new();
    for (title, play) in SCENES {
        match play() {
            Ok(told) => {
                let _ = write!(text, "{}\n{told}", paint(Style::Title, title));
            }
            Err(error) => return terminal::failure(&format!("{title}: {error}")),
        }
    }
    terminal::show(&text, ExitCode::SUCCESS)
}

/// The data lives inside the lock. If a process dies in there, the next one is told, and repairs.
fn mutex() -> Result<String, Box<dyn Error>> {
    let sums = Shared::new(Mutex::new([0u64; 2]))?; // equal, unless somebody dies in between
    let add = || {
        for _ in 0..1000 {
            let mut sums = sums.lock().unwrap();
            sums[0] += 1;
            sums[1] += 1;
        }
    };
    let children = (0..4).map(|_| spawn(add)).collect::<Result<Vec<_>, _>>()?;
    for child in children {
        child.join()?;
    }
    let total = sums.lock().map_err(|error| error.to_string())?[0];

    let clumsy = Builder::new().name("clumsy").spawn(|| -> () {
        let mut sums = sums.lock().unwrap();
        sums[0] += 1;
        std::process::abort()
    })?;
    drop(clumsy.join());
    let Err(LockError::OwnerDied(mut died)) = sums.lock_timeout(TIMEOUT) else {
        return Err("the lock does not know that its owner died".into());
    };
    let owner = died.owner();
    died.get_mut()[0] = died.get()[1];
    let repaired = died.recover()[0];
    Ok(format!(
        "  4 children added 1,000 each: {}\n  a child was killed inside; the lock says so: {owner} died; the sum is repaired: {}\n",
        grouped(total),
        grouped(repaired)
    ))
}

/// The guest waits for a full plate and the cook for an empty one; both sleep meanwhile, and neither holds the lock.
fn condvar() -> Result<String, Box<dyn Error>> {
    let table = Shared::new((Mutex::new(0u32), (Condvar::new(), Condvar::new())))?;
    let (plate, (filled, emptied)) = &*table;
    let guest = spawn(|| {
        for _ in 0..3 {
            let mut plate = filled.wait_while(plate.lock().unwrap(), |plate| *plate == 0).unwrap();
            *plate = 0;
            emptied.notify_one(); // before the unlock: if this process dies, the cook is told instead
        }
        3
    })?;
    let mut cooked = 0;
    while cooked < 3 {
        let empty = plate.lock().map_err(|error| error.to_string())?;
        let (mut plate, result) = emptied
            .wait_timeout_while(empty, TIMEOUT, |plate| *plate == 1)
            .map_err(|error| error.to_string())?;
        if result.timed_out() {
            return Err("the guest does not eat".into());
        }
        *plate = 1;
        cooked += 1;
        filled.notify_one();
    }
    let eaten = guest.join()?;
    Ok(format!(
        "  the cook filled the plate {cooked} times, the guest emptied it {eaten} times, nobody looked in vain\n"
    ))
}

/// Nothing is taken, and nobody goes first: whoever waits goes on when the flag is up.
fn event() -> Result<String, Box<dyn Error>> {
    let start = Shared::new(Event::new())?;
    let ready = Shared::new(Counter::new("at the start"))?;
    let ran = Shared::new(Counter::new("ran"))?;
    let run = || {
        ready.add(1);
        if start.wait_timeout(TIMEOUT) {
            ran.add(1);
        }
    };
    let runners = (0..3).map(|_| spawn(run)).collect::<Result<Vec<_>, _>>()?;
    start.set();
    for runner in runners {
        runner.join()?;
    }
    if (ready.get(), ran.get()) != (3, 3) {
        return Err(format!("{} of {} ran", ran.get(), ready.get()).into());
    }
    Ok(format!("  3 runners waited for the start, {} ran when it was set\n", ran.get()))
}
