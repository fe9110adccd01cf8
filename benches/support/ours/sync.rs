//! Conditions, events, semaphores and the lock of many readers, each in a shared mapping.

use crate::support::alone::{WARM_UP, time};
use crate::support::conditions::{Flag, Turns};
pub(crate) use offspring::{Condvar, Event, Mutex, RwLock, Semaphore, Shared, ShmSafe};
use std::hint::black_box;

pub(crate) fn shared<T: ShmSafe>(value: T) -> Shared<T> {
    Shared::new(value).expect("a shared value")
}

/// A number under a `Mutex`, and a `Condvar`.
pub(crate) struct CondvarTurns(Shared<Mutex<u64>>, Shared<Condvar>);

pub(crate) fn turns() -> CondvarTurns {
    CondvarTurns(shared(Mutex::new(0)), shared(Condvar::new()))
}

impl Turns for CondvarTurns {
    fn put_and_wait(&self, mine: u64, theirs: u64) {
        let mut number = self.0.lock().expect("no death while locked");
        *number = mine;
        self.1.notify_one();
        while *number != theirs {
            number = self.1.wait(number).expect("no death while locked");
        }
    }

    fn wait_and_put(&self, theirs: u64, mine: u64) {
        let mut number = self.0.lock().expect("no death while locked");
        while *number != theirs {
            number = self.1.wait(number).expect("no death while locked");
        }
        *number = mine;
        self.1.notify_one();
    }
}

/// An `Event`, which `wait` leaves set.
pub(crate) struct EventFlag(Shared<Event>);

pub(crate) fn flag() -> EventFlag {
    EventFlag(shared(Event::new()))
}

impl Flag for EventFlag {
    fn set(&self) {
        self.0.set();
    }

    fn take(&self) {
        self.0.wait();
        self.0.clear();
    }
}

pub(crate) fn time_reads(repetitions: u64) -> f64 {
    let lock = shared(RwLock::new(7_u64));
    time(repetitions, || *black_box(&lock).read().expect("no death while locked"))
}

pub(crate) fn time_writes(repetitions: u64) -> f64 {
    let lock = shared(RwLock::new(0_u64));
    let ns = time(repetitions, || *black_box(&lock).write().expect("no death while locked") += 1);
    assert_eq!(*lock.read().expect("no death while locked"), WARM_UP + repetitions);
    ns
}

pub(crate) fn time_permits(repetitions: u64) -> f64 {
    let semaphore = shared(Semaphore::new(1));
    time(repetitions, || drop(black_box(&semaphore).acquire()))
}

pub(crate) fn time_set_clear(repetitions: u64) -> f64 {
    let event = shared(Event::new());
    time(repetitions, || {
        black_box(&event).set();
        black_box(&event).clear();
    })
}

pub(crate) fn time_set(repetitions: u64) -> f64 {
    let event = shared(Event::new());
    time(repetitions, || black_box(&event).set())
}

pub(crate) fn time_is_set(repetitions: u64) -> f64 {
    let event = shared(Event::new());
    time(repetitions, || black_box(&event).is_set())
}

pub(crate) fn time_wait(repetitions: u64) -> f64 {
    let event = shared(Event::new());
    event.set();
    time(repetitions, || black_box(&event).wait())
}
