//! What the condition variable promises while nobody dies.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use offspring::{Condvar, Counter, LockError, Mutex, Shared};

use crate::floors::{By, LONG, Seats, crew};
use crate::support::{Ended, Kid, until};

pub(crate) type Pair = Shared<(Mutex<[u64; 2]>, Condvar)>;

pub(crate) fn pair() -> Pair {
    Shared::new((Mutex::new([0; 2]), Condvar::new())).unwrap()
}

/// Three wait, one token after the other is given: each notification lets one of them take a token.
pub(crate) fn notify_one_wakes_one() {
    By::each(|by| {
        let pair = pair();
        let taken = Shared::new(Counter::new("taken")).unwrap();
        let work = |_, _: &Seats| {
            let guard = pair.0.lock().unwrap();
            let mut guard = pair.1.wait_while(guard, |tokens| tokens[0] == 0).unwrap();
            guard[0] -= 1;
            taken.add(1);
        };
        crew(by, 3, work, |seats| {
            seats.await_all_asleep();
            for token in 1..=3 {
                pair.0.lock().unwrap()[0] += 1;
                pair.1.notify_one();
                assert!(until(|| taken.get() == token, LONG));
            }
        });
        assert_eq!(*pair.0.lock().unwrap(), [0, 0]);
    });
}

pub(crate) fn notify_all_wakes_all() {
    By::each(|by| {
        let pair = pair();
        let work = |_, _: &Seats| {
            let guard = pair.0.lock().unwrap();
            pair.1.wait_while(guard, |gate| gate[0] == 0).unwrap()[1] += 1;
        };
        crew(by, 4, work, |seats| {
            seats.await_all_asleep();
            let mut guard = pair.0.lock().unwrap();
            guard[0] = 1;
            pair.1.notify_all(); // with the lock
        });
        assert_eq!(*pair.0.lock().unwrap(), [1, 4]);
    });
}

pub(crate) fn notifications_are_not_remembered() {
    let pair = pair();
    for _ in 0..3 {
        pair.1.notify_one();
        pair.1.notify_all();
        let guard = pair.0.lock().unwrap();
        let (guard, result) = pair.1.wait_timeout(guard, Duration::from_millis(5)).unwrap();
        assert!(result.timed_out());
        drop(guard);
    }
}

pub(crate) fn wait_while_and_its_timeouts() {
    let pair = pair();
    let guard = pair.0.lock().unwrap();
    let guard = pair.1.wait_while(guard, |_| false).unwrap();
    let (guard, result) = pair.1.wait_timeout_while(guard, LONG, |_| false).unwrap();
    assert!(!result.timed_out());
    let brief = Duration::from_millis(3);
    let (guard, result) = pair.1.wait_timeout_while(guard, brief, |_| true).unwrap();
    assert!(result.timed_out());
    let mut asked = 0;
    let (guard, result) = pair
        .1
        .wait_deadline_while(guard, Instant::now(), |_| {
            asked += 1;
            asked == 1
        })
        .unwrap();
    assert!(!result.timed_out(), "the condition is looked at once more");
    drop(guard);
}

pub(crate) fn timeouts_pass_and_give_the_lock_back() {
    let pair = pair();
    let guard = pair.0.lock().unwrap();
    for timeout in [Duration::ZERO, Duration::from_millis(4)] {
        let start = Instant::now();
        let guard = pair.0.lock_timeout(Duration::ZERO);
        assert!(matches!(guard, Err(LockError::TimedOut)));
        assert!(start.elapsed() < LONG && timeout < LONG);
    }
    let start = Instant::now();
    let timeout = Duration::from_millis(4);
    let (guard, result) = pair.1.wait_timeout(guard, timeout).unwrap();
    assert!(result.timed_out() && start.elapsed() >= timeout);
    let (mut guard, result) = pair.1.wait_deadline(guard, start).unwrap();
    assert!(result.timed_out());
    guard[0] = 7;
    drop(guard);
    assert_eq!(*pair.0.try_lock().unwrap(), [7, 0]);
}

/// Two put numbers into a buffer for one, two take them out: the sum arrives.
pub(crate) fn bounded_buffer() {
    const EACH: u64 = 4_000;
    By::each(|by| {
        let shared =
            Shared::new((Mutex::new([0u64; 3]), (Condvar::new(), Condvar::new()))).unwrap();
        let (buffer, (filled, emptied)) = &*shared;
        let work = |seat: usize, _: &Seats| {
            for number in 1..=EACH {
                let guard = buffer.lock().unwrap();
                if seat < 2 {
                    let mut guard = emptied.wait_while(guard, |b| b[0] != 0).unwrap();
                    guard[0] = number;
                    drop(guard);
                    filled.notify_one();
                } else {
                    let mut guard = filled.wait_while(guard, |b| b[0] == 0).unwrap();
                    guard[1] += guard[0];
                    guard[2] += 1;
                    guard[0] = 0;
                    emptied.notify_one();
                }
            }
        };
        crew(by, 4, work, |_| ());
        assert_eq!(*buffer.lock().unwrap(), [0, EACH * (EACH + 1), 2 * EACH]);
    });
}

/// A notification of one condition variable wakes nobody at the other.
pub(crate) fn two_condvars_of_one_mutex() {
    let shared = Shared::new((Mutex::new([0u64; 2]), (Condvar::new(), Condvar::new()))).unwrap();
    let (lock, (one, other)) = &*shared;
    let rounds = Shared::new(Counter::new("rounds")).unwrap();
    let work = |seat: usize, _: &Seats| {
        let mut guard = lock.lock().unwrap();
        while guard[seat] == 0 {
            guard = if seat == 0 { one.wait(guard) } else { other.wait(guard) }.unwrap();
            rounds.add(1);
        }
    };
    crew(By::Processes, 2, work, |seats| {
        seats.await_all_asleep();
        other.notify_all();
        assert!(until(|| rounds.get() == 1, LONG));
        seats.await_all_asleep();
        lock.lock().unwrap()[0] = 1;
        one.notify_one();
        assert!(until(|| rounds.get() == 2, LONG));
        lock.lock().unwrap()[1] = 1;
        other.notify_one();
    });
    assert_eq!(rounds.get(), 3);
}

pub(crate) fn panics_on_misuse() {
    let (pair, other) = (pair(), pair());
    let wait = |lock: &Mutex<[u64; 2]>| {
        let guard = lock.lock().unwrap();
        drop(pair.1.wait_timeout(guard, Duration::ZERO).unwrap());
    };
    wait(&pair.0);
    let second = catch_unwind(AssertUnwindSafe(|| wait(&other.0)));
    assert!(second.is_err(), "a condition variable belongs to one mutex");
    wait(&pair.0);

    let guard = pair.0.lock().unwrap();
    let child = Kid::fork(|| {
        let waited = catch_unwind(AssertUnwindSafe(|| pair.1.wait(guard).map(drop)));
        assert!(waited.is_err(), "a guard that was inherited by fork");
    });
    assert_eq!(child.join(), Ended::Exited(0));
}
