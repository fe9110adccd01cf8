//! Locking without deaths: exclusion, time limits, who may lock, panics, forks.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use offspring::{Counter, LockError, Mutex, RawMutex, Region, Shared};

use crate::floors::{By, LONG, Seats, crew};
use crate::support::{Ended, Kid, Rng, seed, until};

const SHORT: Duration = Duration::from_millis(20);

fn panics(body: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(body)).is_err()
}

pub(crate) fn mutual_exclusion() {
    const EACH: u64 = 100_000;
    let seed = seed();
    By::each(|by| {
        let pair = Shared::new(Mutex::new([0u64; 2])).unwrap();
        let inside = Shared::new(AtomicU64::new(0)).unwrap();
        let work = |seat: usize, _: &Seats| {
            let mut rng = Rng::new(seed ^ seat as u64);
            for _ in 0..EACH {
                let mut guard = match rng.below(4) {
                    0 => pair.lock_timeout(LONG).unwrap(),
                    1 => match pair.try_lock() {
                        Ok(guard) => guard,
                        Err(LockError::WouldBlock) => pair.lock().unwrap(),
                        Err(error) => panic!("{error}"),
                    },
                    _ => pair.lock().unwrap(),
                };
                assert_eq!(inside.fetch_add(1, Ordering::Relaxed), 0);
                assert_eq!(guard[0], guard[1]);
                guard[0] += 1;
                if rng.one_in(200) {
                    std::thread::yield_now();
                }
                guard[1] += 1;
                inside.fetch_sub(1, Ordering::Relaxed);
            }
        };
        crew(by, 6, work, |_| ());
        assert_eq!(*pair.lock().unwrap(), [6 * EACH; 2]);
    });
}

pub(crate) fn try_and_timeouts() {
    By::each(|by| {
        let lock = Shared::new(Mutex::new(5u64)).unwrap();
        let refused = Shared::new(Counter::new("refused")).unwrap();
        let work = |_, _: &Seats| {
            assert!(matches!(lock.try_lock(), Err(LockError::WouldBlock)));
            let start = Instant::now();
            assert!(matches!(lock.lock_timeout(SHORT), Err(LockError::TimedOut)));
            assert!(start.elapsed() >= SHORT);
            let deadline = Instant::now() + SHORT;
            assert!(matches!(lock.lock_deadline(deadline), Err(LockError::TimedOut)));
            assert!(Instant::now() >= deadline);
            assert!(matches!(lock.lock_deadline(start), Err(LockError::TimedOut)));
            assert!(matches!(lock.lock_timeout(Duration::ZERO), Err(LockError::TimedOut)));
            refused.add(1);
            assert_eq!(*lock.lock_timeout(Duration::MAX).unwrap(), 6);
            assert_eq!(*lock.lock_deadline(start).unwrap(), 6, "a free lock needs no time");
            assert_eq!(*lock.lock_timeout(Duration::ZERO).unwrap(), 6);
            assert_eq!(*lock.try_lock().unwrap(), 6);
        };
        let mut guard = lock.lock().unwrap();
        *guard += 1;
        crew(by, 1, work, |seats| {
            assert!(until(|| refused.get() == 1, LONG));
            seats.await_asleep(0);
            drop(guard);
        });
        assert_eq!(*lock.lock().unwrap(), 6);
    });
}

/// A waiter that gives up leaves the others their wake-ups.
pub(crate) fn timeouts_beside_waiters() {
    let seed = seed();
    By::each(|by| {
        let lock = Shared::new(Mutex::new(0u64)).unwrap();
        let work = |seat: usize, _: &Seats| {
            let mut rng = Rng::new(seed ^ seat as u64);
            for _ in 0..3_000 {
                let mut guard = match seat {
                    0 | 1 => loop {
                        match lock.lock_timeout(Duration::from_micros(rng.below(80))) {
                            Ok(guard) => break guard,
                            Err(error) => assert!(matches!(error, LockError::TimedOut)),
                        }
                    },
                    _ => lock.lock().unwrap(),
                };
                *guard += 1;
                if rng.one_in(8) {
                    std::thread::yield_now();
                }
            }
        };
        crew(by, 4, work, |_| ());
        assert_eq!(*lock.lock().unwrap(), 12_000);
    });
}

pub(crate) fn relocking_panics_or_times_out() {
    let lock = Shared::new(Mutex::new(1u8)).unwrap();
    let guard = lock.lock().unwrap();
    assert!(panics(|| drop(lock.lock())));
    assert!(matches!(lock.try_lock(), Err(LockError::WouldBlock)));
    let start = Instant::now();
    assert!(matches!(lock.lock_timeout(SHORT), Err(LockError::TimedOut)));
    assert!(start.elapsed() >= SHORT);
    drop(guard);
    // The panics above were not with a guard that they had taken.
    assert_eq!(*lock.lock().unwrap(), 1);
    // Two locks are two locks.
    let other = Mutex::new(2u8);
    let _both = (lock.lock().unwrap(), other.lock().unwrap());
}

/// In private memory it is a lock between threads; forgetting guards and moving or dropping the lock is fine.
pub(crate) fn private_locks_may_be_forgotten_moved_and_dropped() {
    let lock = Mutex::new(1u64);
    std::mem::forget(lock.lock().unwrap());
    let mut moved = Box::new(lock);
    assert!(matches!(moved.try_lock(), Err(LockError::WouldBlock)));
    assert_eq!(*moved.get_mut(), 1);
    drop(moved);
    let lock = Mutex::new(2u64);
    std::mem::forget(lock.lock().unwrap());
    assert_eq!(lock.into_inner(), 2);
    let lock = std::sync::Arc::new(Mutex::<[u8; 4]>::default());
    let other = std::sync::Arc::clone(&lock);
    std::thread::spawn(move || {
        std::mem::forget(other.lock().unwrap());
    })
    .join()
    .unwrap();
    let Err(LockError::OwnerDied(died)) = lock.lock() else { panic!("expected a dead owner") };
    assert_eq!(died.owner().pid(), Some(std::process::id()));
    drop(died.recover());
    drop(lock.lock().unwrap());
    // A thread that has waited for the lock, and so has the kernel watch it, and then forgets it.
    let lock = std::sync::Arc::new(Mutex::new(0u64));
    let guard = lock.lock().unwrap();
    let tid = std::sync::Arc::new(AtomicU64::new(0));
    let waiter = std::thread::spawn({
        let (lock, tid) = (std::sync::Arc::clone(&lock), std::sync::Arc::clone(&tid));
        move || {
            tid.store(nix::unistd::gettid().as_raw() as u64, Ordering::SeqCst);
            std::mem::forget(lock.lock().unwrap());
            drop(lock);
            // It goes on to use other locks, contended ones too.
            let own = Mutex::new(0u64);
            *own.lock().unwrap() += 1;
        }
    });
    assert!(until(|| tid.load(Ordering::SeqCst) != 0, LONG));
    let sleeps = || crate::support::asleep(tid.load(Ordering::SeqCst) as u32);
    assert!(until(sleeps, LONG));
    drop(guard);
    waiter.join().unwrap();
    assert!(matches!(lock.lock(), Err(LockError::OwnerDied(_))));
}

/// A guard that came by fork is a copy: it reads nothing, and unlocks nothing.
pub(crate) fn inherited_guards_are_dead_weight() {
    let lock = Shared::new(Mutex::new(1u64)).unwrap();
    let mut guard = Some(lock.lock().unwrap());
    let kid = Kid::fork(|| {
        let mut copy = guard.take().unwrap();
        assert!(panics(|| assert_eq!(*copy, 1)));
        assert!(panics(|| *copy = 2));
        // Also once this process has an id of its own.
        assert!(matches!(lock.try_lock(), Err(LockError::WouldBlock)));
        assert!(panics(|| assert_eq!(*copy, 1)));
        assert!(panics(|| *copy = 2));
        drop(copy);
        assert!(matches!(lock.try_lock(), Err(LockError::WouldBlock)));
        assert!(matches!(lock.lock_timeout(SHORT), Err(LockError::TimedOut)));
    });
    assert_eq!(kid.join(), Ended::Exited(0));
    assert_eq!(**guard.as_ref().unwrap(), 1);
    drop(guard);
    assert_eq!(*lock.lock().unwrap(), 1, "no death to report");
}

/// The child's id is its own, whether or not the parent had one at the fork.
pub(crate) fn child_is_another_owner() {
    let first = Shared::new(Mutex::new(0u64)).unwrap();
    let second = Shared::new(Mutex::new(0u64)).unwrap();
    let held = first.lock().unwrap();
    let kid = Kid::fork(|| {
        let _own = second.lock().unwrap();
        assert!(matches!(first.try_lock(), Err(LockError::WouldBlock)));
        let grandkid = Kid::fork(|| {
            assert!(matches!(first.try_lock(), Err(LockError::WouldBlock)));
            assert!(matches!(second.try_lock(), Err(LockError::WouldBlock)));
        });
        assert_eq!(grandkid.join(), Ended::Exited(0));
        drop(first.lock().unwrap()); // sleeps until the parent unlocks
    });
    assert!(until(|| crate::support::asleep(kid.pid()), LONG));
    assert!(matches!(second.try_lock(), Err(LockError::WouldBlock)));
    drop(held);
    assert_eq!(kid.join(), Ended::Exited(0));
    drop((first.lock().unwrap(), second.lock().unwrap()));
}

/// A panic with the guard held is reported like a death, by the pid of the one that panicked.
pub(crate) fn panic_with_the_guard_is_reported() {
    By::each(|by| {
        let lock = Shared::new(Mutex::new(1u64)).unwrap();
        let work = |_, _: &Seats| {
            assert!(panics(|| {
                let mut guard = lock.lock().unwrap();
                *guard = 2;
                panic!("with the guard");
            }));
            // While the one that panicked lives on.
            for _ in 0..2 {
                let Err(LockError::OwnerDied(died)) = lock.lock() else { panic!("no news") };
                assert!(died.owner().panicked() && died.owner().pid() == Some(std::process::id()));
                assert!(format!("{}", LockError::OwnerDied(died)).contains("panicked"));
            }
        };
        crew(by, 1, work, |_| ());
        let Err(LockError::OwnerDied(mut died)) = lock.try_lock() else { panic!("no news") };
        assert!(died.owner().panicked());
        assert_eq!(*died.get(), 2);
        *died.get_mut() = 3;
        assert_eq!(*died.recover(), 3);
        assert_eq!(*lock.lock().unwrap(), 3);
    });
}

/// What a destructor locks and unlocks during somebody else's panic is whole.
pub(crate) fn guard_taken_while_unwinding_is_no_news() {
    struct Locks<'a>(&'a Mutex<u64>);
    impl Drop for Locks<'_> {
        fn drop(&mut self) {
            *self.0.lock().unwrap() += 1;
        }
    }
    let lock = Mutex::new(0u64);
    assert!(panics(|| {
        let _locks = Locks(&lock);
        panic!("outside");
    }));
    assert_eq!(*lock.lock().unwrap(), 1);
    // Recovering in a destructor counts, too.
    assert!(panics(|| {
        let _guard = lock.lock().unwrap();
        panic!("inside");
    }));
    struct Recovers<'a>(&'a Mutex<u64>);
    impl Drop for Recovers<'_> {
        fn drop(&mut self) {
            let Err(LockError::OwnerDied(died)) = self.0.lock() else { return };
            drop(died.recover());
        }
    }
    assert!(panics(|| {
        let _recovers = Recovers(&lock);
        panic!("outside");
    }));
    assert_eq!(*lock.lock().unwrap(), 1);
}

/// `lock_api`'s own mutex on our raw lock.
struct Wrapped(parking_lot::lock_api::Mutex<RawMutex, u64>);
// SAFETY: a RawMutex, and a number of which every value is fine whoever died.
unsafe impl offspring::ShmSafe for Wrapped {}

pub(crate) fn lock_api_mutex() {
    By::each(|by| {
        let lock = Shared::new(Wrapped(parking_lot::lock_api::Mutex::new(0))).unwrap();
        let work = |_, _: &Seats| {
            for _ in 0..20_000 {
                *lock.0.lock() += 1;
            }
        };
        crew(by, 4, work, |_| ());
        assert_eq!(*lock.0.lock(), 80_000);
        let held = lock.0.lock();
        let work = |_, _: &Seats| {
            assert!(lock.0.is_locked());
            assert!(lock.0.try_lock().is_none());
            assert!(lock.0.try_lock_for(SHORT).is_none());
            assert!(lock.0.try_lock_until(Instant::now() + SHORT).is_none());
        };
        crew(by, 1, work, |_| ());
        drop(held);
        assert!(!lock.0.is_locked());
    });
    // The dead owner's lock is simply free; what it left is there.
    let lock = Shared::new(Wrapped(parking_lot::lock_api::Mutex::new(0))).unwrap();
    let kid = Kid::fork(|| {
        let mut guard = lock.0.lock();
        *guard = 7;
        std::mem::forget(guard);
    });
    assert_eq!(kid.join(), Ended::Exited(0));
    assert!(!lock.0.is_locked());
    assert_eq!(*lock.0.lock(), 7);
    // An inherited guard unlocks nothing.
    let mut held = Some(lock.0.lock());
    assert_eq!(Kid::fork(|| drop(held.take())).join(), Ended::Exited(0));
    assert!(lock.0.is_locked());
}

/// Threads and children that come, lock once and go: the roster gives their entries to others.
pub(crate) fn many_short_lives() {
    const CHILDREN: u64 = 20_000;
    let lock = Shared::new(Mutex::new([0u64; 2])).unwrap();
    let add = |which: usize| {
        let mut guard = lock.lock().unwrap();
        guard[which] += 1;
    };
    let mut running = std::collections::VecDeque::new();
    for _ in 0..CHILDREN {
        running.push_back(Kid::fork(|| add(0)));
        if running.len() == 4 {
            assert_eq!(running.pop_front().unwrap().join(), Ended::Exited(0));
        }
    }
    running.into_iter().for_each(|kid| assert_eq!(kid.join(), Ended::Exited(0)));
    for _ in 0..CHILDREN / 4 {
        std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(|| add(1)))));
    }
    assert_eq!(*lock.lock().unwrap(), [CHILDREN; 2]);
    // Whose death it was is known for a while, and then forgotten rather than mistaken.
    let kid = Kid::fork(|| std::mem::forget(lock.lock().unwrap()));
    let pid = kid.pid() as u32;
    assert_eq!(kid.join(), Ended::Exited(0));
    (0..100).for_each(|_| assert_eq!(Kid::fork(|| drop(lock.try_lock())).join(), Ended::Exited(0)));
    let Err(LockError::OwnerDied(died)) = lock.lock() else { panic!("no news") };
    assert_eq!(died.owner().pid(), Some(pid));
    drop(died);
    for _ in 0..1 << 14 {
        std::thread::spawn(|| drop(Mutex::new(0u8).lock().unwrap())).join().unwrap();
    }
    let Err(LockError::OwnerDied(died)) = lock.lock() else { panic!("no news") };
    assert_eq!((died.owner().pid(), died.owner().name()), (None, ""));
}

pub(crate) fn counters_count() {
    let region = Region::new(4096).unwrap();
    By::each(|by| {
        let count = region.place(Counter::new("käse")).unwrap();
        crew(
            by,
            4,
            |_, _: &Seats| (0..10_000).for_each(|_| assert!(count.add(2).is_multiple_of(2))),
            |_| (),
        );
        assert_eq!((count.get(), count.name()), (80_000, "käse"));
        assert_eq!((count.reset(), count.get()), (80_000, 0));
        assert_eq!((count.add(u64::MAX), count.add(2), count.get()), (0, u64::MAX, 1));
    });
    let long = "ä".repeat(100);
    assert_eq!(Counter::new(&long).name(), &long[..48]);
    assert_eq!(Counter::new(&format!("x{long}")).name().len(), 47, "whole characters");
}
