//! The lock for readers and writers without deaths: who is inside with whom, time limits, panics, forks.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use offspring::sync::{RwLockReadError, RwLockWriteError};
use offspring::{Counter, LockError, RwLock, RwLockReadGuard, RwLockWriteGuard, Shared};

use crate::floors::{By, LONG, Seats, crew};
use crate::support::{Ended, Kid, Rng, seed, until};

pub(crate) const SHORT: Duration = Duration::from_millis(20);

pub(crate) type Pair = Shared<RwLock<[u64; 2]>>;
pub(crate) type Reading<'a> = Result<RwLockReadGuard<'a, [u64; 2]>, RwLockReadError<'a, [u64; 2]>>;
pub(crate) type Writing<'a> =
    Result<RwLockWriteGuard<'a, [u64; 2]>, RwLockWriteError<'a, [u64; 2]>>;

pub(crate) fn pair() -> Pair {
    Shared::new(RwLock::new([0; 2])).unwrap()
}

pub(crate) fn panics(body: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(body)).is_err()
}

pub(crate) fn is_held<'a, T: bytemuck::Pod, G, H>(result: &Result<H, LockError<'a, T, G>>) -> bool {
    matches!(result, Err(LockError::WouldBlock))
}

pub(crate) fn is_late<'a, T: bytemuck::Pod, G, H>(result: &Result<H, LockError<'a, T, G>>) -> bool {
    matches!(result, Err(LockError::TimedOut))
}

/// Writers write two halves, readers compare them; nobody is inside with a writer.
pub(crate) fn readers_beside_writers() {
    const EACH: u64 = 20_000;
    let seed = seed();
    By::each(|by| {
        let pair = pair();
        let inside = Shared::new(AtomicU32::new(0)).unwrap();
        let together = Shared::new(Counter::new("readers that met others")).unwrap();
        let written = Shared::new(Counter::new("writes")).unwrap();
        const WRITER: u32 = 1 << 16;
        let work = |seat: usize, _: &Seats| {
            let mut rng = Rng::new(seed ^ seat as u64);
            for _ in 0..EACH {
                if rng.one_in(5) {
                    let mut guard = match rng.below(3) {
                        0 => pair.write_timeout(LONG).unwrap(),
                        1 => match pair.try_write() {
                            Ok(guard) => guard,
                            Err(LockError::WouldBlock) => continue,
                            Err(error) => panic!("{error}"),
                        },
                        _ => pair.write().unwrap(),
                    };
                    assert_eq!(inside.fetch_add(WRITER, Ordering::Relaxed), 0);
                    guard[0] += 1;
                    if rng.one_in(50) {
                        std::thread::yield_now();
                    }
                    guard[1] += 1;
                    written.add(1);
                    inside.fetch_sub(WRITER, Ordering::Relaxed);
                } else {
                    let guard = match rng.below(3) {
                        0 => pair.read_timeout(LONG).unwrap(),
                        1 => match pair.try_read() {
                            Ok(guard) => guard,
                            Err(LockError::WouldBlock) => continue,
                            Err(error) => panic!("{error}"),
                        },
                        _ => pair.read().unwrap(),
                    };
                    let others = inside.fetch_add(1, Ordering::Relaxed);
                    assert!(others < WRITER, "a writer is inside");
                    together.add(u64::from(others > 0));
                    let before = *guard;
                    if rng.one_in(50) {
                        std::thread::yield_now();
                    }
                    assert!(before[0] == before[1] && *guard == before, "{before:?}");
                    inside.fetch_sub(1, Ordering::Relaxed);
                }
            }
        };
        crew(by, 6, work, |_| ());
        println!("{} writes, {} readers met", written.get(), together.get());
        assert_eq!(*pair.read().unwrap(), [written.get(); 2]);
    });
}

pub(crate) fn try_and_timeouts() {
    By::each(|by| {
        let pair = pair();
        let refused = Shared::new(Counter::new("refused")).unwrap();
        let past = Instant::now();
        let work = |seat: usize, _: &Seats| {
            if seat == 0 {
                assert!(is_held(&pair.try_read()));
                assert!(is_late(&pair.read_deadline(past)));
                let start = Instant::now();
                assert!(is_late(&pair.read_timeout(SHORT)));
                assert!(start.elapsed() >= SHORT);
            }
            assert!(is_held(&pair.try_write()));
            assert!(is_late(&pair.write_timeout(Duration::ZERO)));
            let deadline = Instant::now() + SHORT;
            assert!(is_late(&pair.write_deadline(deadline)));
            assert!(Instant::now() >= deadline);
            refused.add(1);
            assert!(until(|| refused.get() == 3, LONG));
            // A free lock needs no time.
            assert_eq!(pair.read_deadline(past).unwrap()[0], 7);
            assert_eq!(pair.read_timeout(Duration::ZERO).unwrap()[0], 7);
            assert_eq!(pair.read_timeout(Duration::MAX).unwrap()[0], 7);
        };
        let mut all = pair.write().unwrap();
        all[0] = 7;
        crew(by, 1, work, |_| {
            assert!(until(|| refused.get() == 1, LONG));
            drop(all);
            refused.add(2);
        });
        // Readers keep writers out, and let readers in.
        refused.reset();
        let one = pair.read().unwrap();
        let work = |_, _: &Seats| {
            assert_eq!(pair.try_read().unwrap()[0], 7);
            assert!(is_held(&pair.try_write()));
            assert!(is_late(&pair.write_timeout(SHORT)));
            assert_eq!(pair.read().unwrap()[0], 7);
            refused.add(1);
            assert_eq!(pair.write_timeout(Duration::MAX).unwrap()[0], 7);
        };
        crew(by, 1, work, |seats| {
            assert!(until(|| refused.get() == 1, LONG));
            seats.await_asleep(0);
            drop(one);
        });
        drop(pair.try_write().unwrap());
        drop(pair.write_deadline(past).unwrap());
    });
}

/// They count, in whatever order the guards go.
pub(crate) fn many_shares_of_one_thread() {
    let pair = pair();
    let mut rng = Rng::new(seed());
    for count in [1, 2, 3, 200] {
        let mut guards: Vec<_> = (0..count).map(|_| pair.read().unwrap()).collect();
        guards.extend(pair.try_read());
        while !guards.is_empty() {
            assert!(is_held(&pair.try_write()));
            drop(guards.swap_remove(rng.below(guards.len() as u64) as usize));
        }
        drop(pair.try_write().unwrap());
    }
}

pub(crate) fn waiting_for_oneself_panics_or_times_out() {
    let pair = pair();
    let share = pair.read().unwrap();
    assert!(panics(|| drop(pair.write())));
    assert!(is_held(&pair.try_write()));
    let start = Instant::now();
    assert!(is_late(&pair.write_timeout(SHORT)));
    assert!(start.elapsed() >= SHORT);
    drop(pair.read().unwrap());
    drop(share);
    let all = pair.write().unwrap();
    assert!(panics(|| drop(pair.read())));
    assert!(panics(|| drop(pair.write())));
    assert!(is_held(&pair.try_read()) && is_held(&pair.try_write()));
    assert!(is_late(&pair.read_timeout(SHORT)) && is_late(&pair.write_timeout(SHORT)));
    drop(all);
    // The panics above were not with a guard that they had taken.
    drop(pair.write().unwrap());
    // Also when another one is about to write: it waits for us, and we would wait for it.
    let share = pair.read().unwrap();
    let work = |_, _: &Seats| drop(pair.write().unwrap());
    crew(By::Threads, 1, work, |seats| {
        seats.await_asleep(0);
        assert!(panics(|| drop(pair.write())));
        drop(share);
    });
    // Two locks are two locks.
    let other = RwLock::new(2u8);
    let _both = (pair.read().unwrap(), other.write().unwrap());
}

/// Those who waited come in, and no writer does in between.
pub(crate) fn downgraded_without_a_gap() {
    By::each(|by| {
        let pair = pair();
        let inside = Shared::new(Counter::new("readers inside")).unwrap();
        let work = |seat: usize, _: &Seats| {
            if seat == 0 {
                pair.write().unwrap()[1] += 10;
            } else {
                let guard = pair.read().unwrap();
                inside.add(1);
                assert_eq!(guard[0], 1);
            }
        };
        let mut all = pair.write().unwrap();
        crew(by, 3, work, |seats| {
            seats.await_all_asleep();
            all[0] += 1;
            let share = RwLockWriteGuard::downgrade(all);
            assert_eq!(*share, [1, 0]);
            assert!(is_held(&pair.try_write()));
            assert_eq!(*share, [1, 0], "a writer was inside");
            drop(share);
        });
        assert_eq!(*pair.read().unwrap(), [1, 10]);
    });
}

/// In private memory it is a lock between threads; forgetting guards and moving or dropping the lock is fine.
pub(crate) fn private_locks_may_be_forgotten_moved_and_dropped() {
    let lock = RwLock::new(1u64);
    std::mem::forget(lock.read().unwrap());
    let mut moved = Box::new(lock);
    assert!(is_held(&moved.try_write()));
    assert_eq!(*moved.get_mut(), 1);
    drop(moved);
    let lock = RwLock::new(2u64);
    std::mem::forget(lock.write().unwrap());
    assert!(format!("{lock:?}").starts_with("RwLock { writer: "));
    assert_eq!(lock.into_inner(), 2);
    let lock = std::sync::Arc::new(RwLock::<[u8; 4]>::default());
    for writes in [false, true] {
        let other = std::sync::Arc::clone(&lock);
        std::thread::spawn(move || match writes {
            true => std::mem::forget(other.write().unwrap()),
            false => std::mem::forget(other.read().unwrap()),
        })
        .join()
        .unwrap();
        match lock.write() {
            Ok(_) => assert!(!writes),
            Err(LockError::OwnerDied(died)) => {
                assert!(writes && died.owner().pid() == Some(std::process::id()));
                drop(died.recover());
            }
            Err(error) => panic!("{error}"),
        }
    }
    drop(lock.write().unwrap());
}

/// A guard that comes by fork is a copy: it reads nothing, and unlocks nothing.
pub(crate) fn inherited_guards_are_dead_weight() {
    let pair = pair();
    let mut share = Some(pair.read().unwrap());
    let kid = Kid::fork(|| {
        let copy = share.take().unwrap();
        assert!(panics(|| assert_eq!(copy[0], 0)));
        assert_eq!(pair.read().unwrap()[0], 0);
        assert!(panics(|| assert_eq!(copy[0], 0)));
        drop(copy);
        assert!(is_held(&pair.try_write()));
    });
    assert_eq!(kid.join(), Ended::Exited(0));
    assert_eq!(share.as_ref().unwrap()[0], 0);
    drop(share);

    let mut all = Some(pair.write().unwrap());
    let kid = Kid::fork(|| {
        let mut copy = all.take().unwrap();
        assert!(panics(|| assert_eq!(copy[0], 1)));
        assert!(is_held(&pair.try_read()) && is_held(&pair.try_write()));
        assert!(panics(|| copy[0] = 2));
        drop(copy);
        assert!(is_held(&pair.try_read()));
        assert!(is_late(&pair.write_timeout(SHORT)));
    });
    assert_eq!(kid.join(), Ended::Exited(0));
    all.as_mut().unwrap()[0] = 1;
    let kid = Kid::fork(|| {
        assert!(panics(|| drop(RwLockWriteGuard::downgrade(all.take().unwrap()))));
        assert!(is_held(&pair.try_read()));
    });
    assert_eq!(kid.join(), Ended::Exited(0));
    drop(all);
    assert_eq!(pair.try_write().unwrap()[0], 1, "no death to report");
}

pub(crate) fn panic_of_a_writer_is_reported() {
    let pair = pair();
    assert!(panics(|| {
        let mut all = pair.write().unwrap();
        all[0] = 5;
        panic!("in the middle");
    }));
    for _ in 0..2 {
        let Err(LockError::OwnerDied(died)) = pair.read() else { panic!("expected the news") };
        assert!(died.owner().panicked());
        assert_eq!(died.owner().pid(), Some(std::process::id()));
        assert_eq!((*died.get(), died.into_guard()[0]), ([5, 0], 5));
    }
    // Whoever panics with the news in hand is the one to be reported.
    let kid = Kid::fork(|| {
        assert!(panics(|| {
            let _died = pair.write();
            panic!("while repairing");
        }));
    });
    let pid = kid.pid() as u32;
    assert_eq!(kid.join(), Ended::Exited(0));
    let error = pair.write().unwrap_err();
    let message = error.to_string();
    assert_eq!(message, format!("write under an rwlock: process {pid} panicked while it held it"));
    let LockError::OwnerDied(mut died) = error else { panic!("expected the news") };
    died.get_mut()[1] = 5;
    drop(died.recover());
    assert_eq!(*pair.read().unwrap(), [5; 2]);
}

pub(crate) fn panic_of_a_reader_is_no_news() {
    let pair = pair();
    assert!(panics(|| {
        let _share = pair.read().unwrap();
        panic!("nothing has changed");
    }));
    drop(pair.read().unwrap());
    drop(pair.try_write().unwrap());
    // Nor is a guard that was taken, and dropped, while unwinding.
    struct WritesInDrop<'a>(&'a Pair);
    impl Drop for WritesInDrop<'_> {
        fn drop(&mut self) {
            self.0.write().unwrap()[0] += 1;
        }
    }
    assert!(panics(|| {
        let _last = WritesInDrop(&pair);
        panic!("with an empty hand");
    }));
    assert_eq!(pair.read().unwrap()[0], 1);
}
