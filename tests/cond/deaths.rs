//! Waiters, notifiers and owners that are killed.

use offspring::{Condvar, Counter, Event, LockError, Mutex, MutexGuard, RingQueue, Shared};

use super::condvar::{Pair, pair};
use crate::floors::LONG;
use crate::support::{Ended, Kid, Rng, asleep, seed, until};

fn park() -> ! {
    loop {
        std::thread::park();
    }
}

/// Locks, and waits for a token, whoever dies meanwhile; repairs, and takes the token.
fn take(pair: &Pair) {
    let mut guard = entered(pair.0.lock());
    while guard[0] == 0 {
        guard = entered(pair.1.wait(guard));
    }
    guard[0] -= 1;
    guard[1] += 1;
}

fn entered<'a>(
    locked: Result<MutexGuard<'a, [u64; 2]>, LockError<'a, [u64; 2]>>,
) -> MutexGuard<'a, [u64; 2]> {
    match locked {
        Ok(guard) => guard,
        Err(LockError::OwnerDied(died)) => died.recover(),
        Err(error) => panic!("{error}"),
    }
}

fn sleeper(body: impl FnOnce()) -> Kid {
    let kid = Kid::fork(body);
    assert!(until(|| asleep(kid.pid()), LONG));
    kid
}

fn give(pair: &Pair, all: bool) {
    entered(pair.0.lock())[0] += 1;
    if all { pair.1.notify_all() } else { pair.1.notify_one() }
}

pub(crate) fn killed_sleepers_block_no_notifier() {
    for all in [false, true] {
        for killed in 0..3 {
            let pair = pair();
            let mut sleepers: Vec<Kid> = (0..3).map(|_| sleeper(|| take(&pair))).collect();
            sleepers.remove(killed).kill();
            for _ in 0..2 {
                give(&pair, all);
            }
            sleepers.into_iter().for_each(|kid| assert_eq!(kid.join(), Ended::Exited(0)));
            assert_eq!(*pair.0.lock().unwrap(), [0, 2]);
            give(&pair, all); // to nobody
        }
    }
}

pub(crate) fn killed_sleepers_block_no_setter() {
    for killed in 0..3 {
        let event = Shared::new(Event::new()).unwrap();
        let mut sleepers: Vec<Kid> = (0..3).map(|_| sleeper(|| event.wait())).collect();
        sleepers.remove(killed).kill();
        event.set();
        event.clear();
        sleepers.into_iter().for_each(|kid| assert_eq!(kid.join(), Ended::Exited(0)));
        event.set();
    }
}

/// The one that a notification woke is killed on its way: another one gets the token.
pub(crate) fn consumer_killed_after_its_wake_up() {
    const ROUNDS: usize = 250;
    let mut rng = Rng::new(seed());
    for _ in 0..ROUNDS {
        let pair = pair();
        let (first, second) = (sleeper(|| take(&pair)), sleeper(|| take(&pair)));
        give(&pair, false);
        for _ in 0..rng.below(3_000) {
            std::hint::spin_loop();
        }
        first.kill();
        if entered(pair.0.lock())[1] == 0 {
            // The token is there, and so is somebody who waits for it.
            assert!(until(|| entered(pair.0.lock())[1] == 1, LONG), "nobody takes the token");
        } else if entered(pair.0.lock())[0] == 0 {
            give(&pair, false);
        }
        if !until(|| !asleep(second.pid()) || entered(pair.0.lock())[1] == 2, LONG) {
            panic!("the second one sleeps on");
        }
        drop(second);
    }
}

/// An owner is killed that has changed nothing and notified nobody: all who wait are woken, and somebody is told.
pub(crate) fn owner_killed_while_others_wait() {
    for waiters in 1..=3 {
        let shared =
            Shared::new((Mutex::new([0u64; 2]), (Condvar::new(), Condvar::new()))).unwrap();
        let (lock, (one, other)) = &*shared;
        let told = Shared::new(Counter::new("told")).unwrap();
        let kids: Vec<Kid> = (0..waiters)
            .map(|n| {
                sleeper(|| {
                    let mut guard = lock.lock().unwrap();
                    while guard[1] == 0 {
                        let condvar = if n % 2 == 0 { one } else { other };
                        match condvar.wait(guard) {
                            Ok(again) => guard = again,
                            Err(LockError::OwnerDied(died)) => {
                                told.add(1);
                                guard = died.recover();
                                guard[1] = 1;
                            }
                            Err(error) => panic!("{error}"),
                        }
                    }
                })
            })
            .collect();
        let inside = Shared::new(Counter::new("inside")).unwrap();
        let owner = Kid::fork(|| {
            let _guard = lock.lock().unwrap();
            inside.add(1);
            park();
        });
        assert!(until(|| inside.get() == 1, LONG));
        owner.kill();
        kids.into_iter().for_each(|kid| assert_eq!(kid.join(), Ended::Exited(0)));
        assert_eq!(told.get(), 1);
    }
}

/// A waiter is notified, has the lock, and dies with it: the other one hears of that.
pub(crate) fn notified_waiter_killed_as_the_owner() {
    let pair = pair();
    let inside = Shared::new(Counter::new("inside")).unwrap();
    let wait = || {
        let guard = pair.0.lock().unwrap();
        match pair.1.wait_while(guard, |tokens| tokens[0] == 0) {
            Ok(_guard) => {
                inside.add(1);
                park();
            }
            Err(LockError::OwnerDied(died)) => drop(died.recover()),
            Err(error) => panic!("{error}"),
        }
    };
    let (first, second) = (sleeper(wait), sleeper(wait));
    give(&pair, false);
    assert!(until(|| inside.get() == 1, LONG));
    first.kill(); // the kernel wakes in the order of going to sleep
    assert_eq!(second.join(), Ended::Exited(0));
}

/// An owner whose pending pointer is needed for something else meanwhile, and that is killed then.
pub(crate) fn owner_with_other_business_killed() {
    let pair = pair();
    let queue = RingQueue::<u64>::new(4).unwrap();
    let event = Shared::new(Event::new()).unwrap();
    for business in 0..3 {
        let waiter = || match pair.1.wait(entered(pair.0.lock())) {
            Ok(_) => panic!("woken without news"),
            Err(LockError::OwnerDied(died)) => drop(died), // and the next one is told too
            Err(error) => panic!("{error}"),
        };
        let kids = [sleeper(waiter), sleeper(waiter)];
        let inside = Shared::new(Counter::new("inside")).unwrap();
        let owner = Kid::fork(|| {
            let _guard = pair.0.lock().unwrap();
            match business {
                0 => queue.send(1).unwrap(),
                1 => event.set(),
                _ => drop(pair.0.try_lock()),
            }
            inside.add(1);
            park();
        });
        assert!(until(|| inside.get() == 1, LONG));
        owner.kill();
        for kid in kids {
            assert_eq!(kid.join(), Ended::Exited(0));
        }
        drop(entered(pair.0.lock()));
    }
}
