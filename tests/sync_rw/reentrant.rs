//! The lock that its owner may lock again.

use std::time::Duration;

use offspring::{Counter, LockError, ReentrantMutex, Shared};

use crate::floors::{By, LONG, Seats, crew};
use crate::support::{Ended, Kid, Rng, asleep, seed, until};
use crate::sync_rw::rwlock::{SHORT, is_held, is_late, panics};

type Total = Shared<ReentrantMutex<u64>>;

fn total() -> Total {
    Shared::new(ReentrantMutex::new(0)).unwrap()
}

/// Whether another process gets the lock at once.
fn is_free(total: &Total) -> bool {
    let kid = Kid::fork(|| assert!(total.try_lock().is_ok()));
    kid.join() == Ended::Exited(0)
}

pub(crate) fn depth() {
    let total = total();
    let mut rng = Rng::new(seed());
    for count in [1, 2, 50] {
        let mut guards: Vec<_> = (0..count)
            .map(|n| match n % 3 {
                0 => total.lock().unwrap(),
                1 => total.try_lock().unwrap(),
                _ => total.lock_timeout(Duration::ZERO).unwrap(),
            })
            .collect();
        while !guards.is_empty() {
            assert!(!is_free(&total));
            let guard = guards.swap_remove(rng.below(guards.len() as u64) as usize);
            guard.set(guard.get() + 1);
        }
        assert!(is_free(&total));
    }
    assert_eq!(total.lock().unwrap().get(), 53);
    // One guard's change is seen through the other.
    let (one, other) = (total.lock().unwrap(), total.lock().unwrap());
    one.set(7);
    assert_eq!((other.get(), format!("{one:?}")), (7, "7".to_owned()));
    let mut own: ReentrantMutex<[u8; 2]> = ReentrantMutex::default();
    std::mem::forget(own.lock().unwrap());
    own.get_mut()[1] = 3;
    assert!(format!("{own:?}").starts_with("ReentrantMutex { owner: "));
    assert_eq!(own.into_inner(), [0, 3]);
}

pub(crate) fn exclusion() {
    const EACH: u64 = 20_000;
    By::each(|by| {
        let total = total();
        let add = |depth: u64| {
            let guard = total.lock().unwrap();
            guard.set(guard.get() + depth);
        };
        let work = |_, _: &Seats| {
            for _ in 0..EACH {
                let guard = total.lock().unwrap();
                let before = guard.get();
                add(1);
                add(2);
                assert_eq!(guard.get(), before + 3);
            }
        };
        crew(by, 4, work, |_| ());
        assert_eq!(total.lock().unwrap().get(), 4 * 3 * EACH);
    });
}

pub(crate) fn try_and_timeouts() {
    By::each(|by| {
        let total = total();
        let refused = Shared::new(Counter::new("refused")).unwrap();
        let work = |_, _: &Seats| {
            assert!(is_held(&total.try_lock()));
            assert!(is_late(&total.lock_timeout(SHORT)));
            assert!(is_late(&total.lock_deadline(std::time::Instant::now())));
            refused.add(1);
            total.lock().unwrap().set(1);
        };
        let guards = (total.lock().unwrap(), total.lock().unwrap());
        crew(by, 1, work, |seats| {
            assert!(until(|| refused.get() == 1, LONG));
            seats.await_asleep(0);
            drop(guards.0);
            assert_eq!(guards.1.get(), 0);
            seats.await_asleep(0);
            drop(guards.1);
        });
        assert_eq!(total.lock().unwrap().get(), 1);
    });
}

pub(crate) fn panics_and_inherited_guards() {
    let total = total();
    let outer = total.lock().unwrap();
    assert!(panics(|| {
        let _inner = total.lock().unwrap();
        panic!("the outer guard lives");
    }));
    drop(outer);
    drop(total.lock().unwrap());
    assert!(panics(|| {
        let outer = total.lock().unwrap();
        let _inner = total.lock().unwrap();
        outer.set(5);
        panic!("with both");
    }));
    let outer = total.lock();
    let Err(LockError::OwnerDied(outer)) = outer else { panic!("expected the news") };
    assert!(outer.owner().panicked());
    // So does an inner lock, until somebody recovers.
    let Err(LockError::OwnerDied(inner)) = total.try_lock() else { panic!("expected the news") };
    assert_eq!(inner.get().get(), 5);
    let inner = inner.recover();
    drop(total.lock().unwrap());
    inner.set(6);
    drop((inner, outer));
    assert_eq!(total.lock().unwrap().get(), 6);

    let mut guard = Some(total.lock().unwrap());
    let kid = Kid::fork(|| {
        let copy = guard.take().unwrap();
        assert!(panics(|| copy.set(1)));
        assert!(is_held(&total.try_lock()));
        drop(copy);
        assert!(is_held(&total.try_lock()));
    });
    assert_eq!(kid.join(), Ended::Exited(0));
    assert_eq!(guard.unwrap().get(), 6);
    assert!(is_free(&total));
}

/// Killed at any depth, with others asleep: the next one has the news, and a guard of depth 1.
pub(crate) fn deaths() {
    for depth in [1, 2, 3] {
        let total = total();
        let ready = Shared::new(Counter::new("ready")).unwrap();
        let owner = Kid::fork(|| {
            let guards: Vec<_> = (0..depth).map(|_| total.lock().unwrap()).collect();
            guards[0].set(1);
            ready.add(1);
            assert!(until(|| ready.get() == 2, LONG));
        });
        assert!(until(|| ready.get() == 1, LONG));
        let pid = owner.pid() as u32;
        let sleepers: Vec<Kid> = (0..2)
            .map(|_| {
                let kid = Kid::fork(|| match total.lock() {
                    Ok(guard) => guard.set(guard.get() + 1),
                    Err(LockError::OwnerDied(died)) => {
                        assert_eq!(died.owner().pid(), Some(pid));
                        let guard = died.recover();
                        guard.set(10);
                        drop((total.lock().unwrap(), total.lock().unwrap()));
                    }
                    Err(error) => panic!("{error}"),
                });
                assert!(until(|| asleep(kid.pid()), LONG));
                kid
            })
            .collect();
        owner.kill();
        sleepers.into_iter().for_each(|kid| assert_eq!(kid.join(), Ended::Exited(0)));
        assert!(is_free(&total));
        assert_eq!(total.lock().unwrap().get(), 11);
    }
}
