//! The semaphore without deaths: bounds, time limits, signalling, limits, forks.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use offspring::sync::AcquireError;
use offspring::{Counter, Semaphore, Shared};

use crate::floors::{By, LONG, Seats, crew};
use crate::support::{Ended, Kid, Rng, seed, until};

const SHORT: Duration = Duration::from_millis(20);

pub(crate) fn semaphore(permits: u32) -> Shared<Semaphore> {
    Shared::new(Semaphore::new(permits)).unwrap()
}

fn panics(body: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(body)).is_err()
}

/// Never more out than there are, whoever takes them how.
pub(crate) fn permits_are_bounded() {
    const EACH: u64 = 20_000;
    const PERMITS: u64 = 3;
    let seed = seed();
    By::each(|by| {
        let semaphore = semaphore(PERMITS as u32);
        let out = Shared::new(AtomicU64::new(0)).unwrap();
        let work = |seat: usize, _: &Seats| {
            let mut rng = Rng::new(seed ^ seat as u64);
            for _ in 0..EACH {
                let permit = match rng.below(4) {
                    0 => semaphore.acquire_timeout(LONG).unwrap(),
                    1 => semaphore.try_acquire().unwrap_or_else(|_| semaphore.acquire()),
                    _ => semaphore.acquire(),
                };
                assert!(out.fetch_add(1, Ordering::SeqCst) < PERMITS);
                if rng.one_in(200) {
                    std::thread::yield_now();
                }
                out.fetch_sub(1, Ordering::SeqCst);
                drop(permit);
            }
        };
        crew(by, 6, work, |_| ());
        assert_eq!(semaphore.available_permits(), PERMITS as u32);
    });
}

/// The same in long runs by one of them at a time, which nobody sleeps for: so they go without the lock, and lose their spare
/// permits to each other, all the time. Whoever looks never sees more available than there are.
pub(crate) fn spare_permits_are_bounded() {
    const RUNS: u64 = 300;
    const PERMITS: u64 = 2;
    let seed = seed();
    By::each(|by| {
        let semaphore = semaphore(PERMITS as u32);
        let out = Shared::new(AtomicU64::new(0)).unwrap();
        let work = |seat: usize, _: &Seats| {
            let mut rng = Rng::new(seed ^ seat as u64);
            for _ in 0..RUNS {
                for _ in 0..rng.below(200) {
                    let Ok(permit) = semaphore.try_acquire() else {
                        std::thread::yield_now();
                        continue;
                    };
                    assert!(out.fetch_add(1, Ordering::SeqCst) < PERMITS);
                    let second = semaphore.try_acquire();
                    if second.is_ok() {
                        assert!(out.fetch_add(1, Ordering::SeqCst) < PERMITS);
                        out.fetch_sub(1, Ordering::SeqCst);
                    }
                    out.fetch_sub(1, Ordering::SeqCst);
                    drop((permit, second));
                }
                assert!(u64::from(semaphore.available_permits()) <= PERMITS);
                std::thread::yield_now();
            }
        };
        crew(by, 3, work, |_| ());
        assert_eq!(semaphore.available_permits(), PERMITS as u32);
    });
}

pub(crate) fn try_and_timeouts() {
    let semaphore = semaphore(1);
    let permit = semaphore.try_acquire().unwrap();
    assert_eq!(semaphore.available_permits(), 0);
    assert_eq!(semaphore.try_acquire().unwrap_err(), AcquireError::NoPermits);
    let start = Instant::now();
    assert_eq!(semaphore.acquire_timeout(SHORT).unwrap_err(), AcquireError::TimedOut);
    assert!(start.elapsed() >= SHORT);
    assert_eq!(semaphore.acquire_deadline(start).unwrap_err(), AcquireError::TimedOut);
    // One that gives up beside one that does not.
    let gave_up = Shared::new(Counter::new("gave up")).unwrap();
    crew(
        By::Processes,
        2,
        |seat, _| {
            let patience = if seat == 0 { SHORT } else { LONG };
            assert_eq!(semaphore.acquire_timeout(patience).is_ok(), seat == 1);
            gave_up.add(u64::from(seat == 0));
        },
        |seats| {
            seats.await_asleep(1);
            assert!(until(|| gave_up.get() == 1, LONG));
            drop(permit);
        },
    );
    drop(semaphore.acquire_timeout(Duration::MAX).unwrap());
    assert_eq!(semaphore.available_permits(), 1);
}

/// `add_permits(1)` here and `acquire().forget()` there, as many times.
pub(crate) fn signals_are_not_lost() {
    const EACH: u32 = 5_000;
    By::each(|by| {
        let semaphore = semaphore(0);
        let work = |seat: usize, _: &Seats| {
            for _ in 0..EACH {
                match seat {
                    0 | 1 => semaphore.acquire().forget(),
                    _ => semaphore.add_permits(1),
                }
            }
        };
        crew(by, 4, work, |_| ());
        assert_eq!(semaphore.available_permits(), 0);
    });
}

pub(crate) fn forget_and_add() {
    let semaphore = semaphore(2);
    semaphore.acquire().forget();
    assert_eq!(semaphore.available_permits(), 1);
    let (first, second) = (semaphore.acquire(), semaphore.try_acquire());
    assert!(second.is_err());
    semaphore.add_permits(2);
    let more = [semaphore.acquire(), semaphore.acquire()];
    assert!(semaphore.try_acquire().is_err());
    drop((first, more));
    assert_eq!(semaphore.available_permits(), 3);
    // Many at once wake many.
    let none = Shared::new(Semaphore::new(0)).unwrap();
    crew(
        By::Processes,
        3,
        |_, _| none.acquire().forget(),
        |seats| {
            seats.await_all_asleep();
            none.add_permits(3);
        },
    );
    assert_eq!(none.available_permits(), 0);
}

pub(crate) fn limits() {
    let most = Semaphore::MAX_PERMITS;
    assert!(panics(|| _ = Semaphore::new(most + 1)));
    let semaphore = Semaphore::new(most - 1);
    let permit = semaphore.acquire();
    semaphore.add_permits(1);
    assert!(panics(|| semaphore.add_permits(1)));
    assert!(panics(|| semaphore.add_permits(u32::MAX)));
    assert_eq!(semaphore.available_permits(), most - 1);
    permit.forget();
    semaphore.add_permits(1);
    assert_eq!(semaphore.available_permits(), most);
}

/// 130 threads want to hold a permit at the same time, and 120 can.
pub(crate) fn more_holders_than_places() {
    const THREADS: usize = 130;
    const PLACES: u64 = 120;
    let semaphore = Semaphore::new(1000);
    let (holding, done) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let permits = [semaphore.acquire(), semaphore.acquire()];
                holding.fetch_add(1, Ordering::SeqCst);
                assert!(until(|| holding.load(Ordering::SeqCst) >= PLACES, LONG));
                let refused = semaphore.try_acquire().is_err();
                assert!(!refused, "one that has a place gets more");
                drop(permits);
                done.fetch_add(1, Ordering::SeqCst);
            });
        }
    });
    assert_eq!((done.into_inner(), semaphore.available_permits()), (THREADS as u64, 1000));
}

pub(crate) fn inherited_permits_are_dead_weight() {
    let semaphore = semaphore(1);
    let told = Shared::new(Counter::new("panics")).unwrap();
    let mut permit = Some(semaphore.acquire());
    let kid = Kid::fork(|| {
        drop(permit.take());
        assert_eq!(semaphore.available_permits(), 0);
    });
    assert_eq!(kid.join(), Ended::Exited(0));
    let kid = Kid::fork(|| {
        told.add(u64::from(panics(|| permit.take().unwrap().forget())));
    });
    assert_eq!(kid.join(), Ended::Exited(0));
    assert_eq!((told.get(), semaphore.available_permits()), (1, 0));
    drop(permit);
    assert_eq!(semaphore.available_permits(), 1);
}
