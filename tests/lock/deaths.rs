//! Owners and waiters that die.

use std::time::Duration;

use offspring::{Builder, Counter, LockError, Mutex, MutexGuard, OwnerDied, Region, Shared};

use crate::floors::{By, LONG, Seats, crew};
use crate::support::{Ended, Kid, Rng, asleep, seed, until};

type Pair = Shared<Mutex<[u64; 2]>>;

fn pair() -> Pair {
    Shared::new(Mutex::new([0; 2])).unwrap()
}

fn park() -> ! {
    loop {
        std::thread::park();
    }
}

#[track_caller]
fn died<'a, T: bytemuck::Pod>(
    locked: Result<MutexGuard<'a, T>, LockError<'a, T>>,
) -> OwnerDied<'a, T> {
    match locked {
        Err(LockError::OwnerDied(died)) => died,
        Err(error) => panic!("expected a dead owner, got {error}"),
        Ok(_) => panic!("expected a dead owner, got the lock without news"),
    }
}

/// Forks a child that takes the lock, says so, and then does `then`.
fn holder<'a>(pair: &'a Pair, then: impl FnOnce(MutexGuard<'a, [u64; 2]>)) -> Kid {
    let ready = Shared::new(Counter::new("ready")).unwrap();
    let kid = Kid::fork(|| {
        let mut guard = pair.lock().unwrap();
        guard[0] += 1;
        ready.add(1);
        then(guard);
    });
    assert!(until(|| ready.get() == 1, LONG));
    kid
}

pub(crate) fn each_way_to_die() {
    type Way<'a> = (&'a str, &'a dyn Fn(&Pair) -> u32);
    let ways: [Way<'_>; 5] = [
        ("killed", &|pair| {
            let kid = holder(pair, |_guard| park());
            let pid = kid.pid();
            kid.kill();
            pid as u32
        }),
        ("exited", &|pair| {
            let kid = holder(pair, |_guard| std::process::exit(3));
            let pid = kid.pid();
            assert_eq!(kid.join(), Ended::Exited(3));
            pid as u32
        }),
        ("aborted", &|pair| {
            let kid = holder(pair, |_guard| std::process::abort());
            let pid = kid.pid();
            assert!(matches!(kid.join(), Ended::Killed(_)));
            pid as u32
        }),
        ("forgot the guard", &|pair| {
            let kid = holder(pair, std::mem::forget);
            let pid = kid.pid();
            assert_eq!(kid.join(), Ended::Exited(0));
            pid as u32
        }),
        ("its thread ended", &|pair| {
            std::thread::scope(|scope| {
                // A scope ends with its closures, a join with the thread.
                scope.spawn(|| std::mem::forget(pair.lock().unwrap())).join().unwrap();
            });
            std::process::id()
        }),
    ];
    for (way, die) in ways {
        println!("{way}");
        let pair = pair();
        let pid = die(&pair);
        let died = died(pair.try_lock());
        assert_eq!((died.owner().pid(), died.owner().panicked()), (Some(pid), false));
        assert!(format!("{died:?}").contains(&pid.to_string()));
        let mut guard = died.recover();
        *guard = [7; 2];
        drop(guard);
        assert_eq!(*pair.lock().unwrap(), [7; 2]);
    }
}

/// The image changes, the process lives on: for the lock that is a death.
pub(crate) fn exec_is_a_death() {
    let pair = pair();
    let kid = holder(&pair, |_guard| {
        use std::os::unix::process::CommandExt;
        let error = std::process::Command::new("sleep").arg("1000").exec();
        panic!("exec: {error}");
    });
    let died = died(pair.lock());
    assert_eq!(died.owner().pid(), Some(kid.pid() as u32));
    drop(died.recover());
    kid.signal(nix::sys::signal::Signal::SIGCONT); // it is there still
    kid.kill();
    drop(pair.lock().unwrap());
}

pub(crate) fn names_of_the_dead() {
    let pair = pair();
    let long = "worker-with-a-name-of-more-than-thirty-two-bytes";
    for (name, kept) in [("worker-7", "worker-7"), ("Jürgen", "Jürgen"), (long, &long[..32])] {
        let child: offspring::Child<()> = Builder::new()
            .name(name)
            .spawn(|| {
                let _guard = pair.lock();
                std::process::abort()
            })
            .unwrap();
        let pid = child.pid();
        assert!(child.join().is_err());
        let died = died(pair.lock());
        let owner = died.owner();
        assert_eq!((owner.pid(), owner.name()), (Some(pid), kept));
        assert_eq!(owner.to_string(), format!("process {pid} ({kept})"));
        drop(died.recover());
    }
}

/// Until somebody recovers, everybody is told.
pub(crate) fn mark_stays_until_recovered() {
    let pair = pair();
    let first = holder(&pair, |_guard| park());
    let first_pid = first.pid() as u32;
    first.kill();
    for _ in 0..3 {
        let died = died(pair.lock());
        assert_eq!(died.owner().pid(), Some(first_pid));
        assert_eq!(*died.get(), [1, 0]);
    }
    // One that dies while it looks is the next dead owner.
    let second = Kid::fork(|| std::mem::forget(died(pair.lock())));
    let second_pid = second.pid() as u32;
    assert_eq!(second.join(), Ended::Exited(0));
    assert_eq!(died(pair.try_lock()).owner().pid(), Some(second_pid));
    // And so is one that has recovered and not unlocked.
    let third = Kid::fork(|| std::mem::forget(died(pair.lock()).recover()));
    let third_pid = third.pid() as u32;
    assert_eq!(third.join(), Ended::Exited(0));
    let last = died(pair.lock_timeout(LONG));
    assert_eq!(last.owner().pid(), Some(third_pid));
    drop(last.recover());
    drop(pair.lock().unwrap());
}

/// Three sleep when the owner dies: each gets the lock in turn, the first with the news.
pub(crate) fn sleepers_get_a_dead_owners_lock() {
    By::each(|by| {
        let pair = pair();
        let news = Shared::new(Counter::new("news")).unwrap();
        let owner = holder(&pair, |_guard| park());
        let work = |_, _: &Seats| {
            let mut guard = match pair.lock() {
                Ok(guard) => guard,
                Err(LockError::OwnerDied(died)) => {
                    news.add(1);
                    died.recover()
                }
                Err(error) => panic!("{error}"),
            };
            guard[1] += 1;
        };
        crew(by, 3, work, |seats| {
            seats.await_all_asleep();
            owner.kill();
        });
        assert_eq!((*pair.lock().unwrap(), news.get()), ([1, 3], 1));
    });
}

/// The sleepers are killed one by one, in each order, before the owner unlocks or dies: the last one gets the lock.
pub(crate) fn killed_sleepers_take_nothing_with_them() {
    const ORDERS: [[usize; 3]; 6] =
        [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for order in ORDERS {
        for owner_dies in [false, true] {
            let pair = pair();
            let go = Shared::new(Counter::new("go")).unwrap();
            let owner = holder(&pair, |guard| {
                assert!(until(|| go.get() == 1, LONG));
                if owner_dies {
                    std::mem::forget(guard);
                }
            });
            let mut sleepers: Vec<Option<Kid>> = (0..3)
                .map(|_| {
                    let kid = Kid::fork(|| match pair.lock() {
                        Ok(guard) => assert!(guard[0] == 1 && !owner_dies),
                        Err(LockError::OwnerDied(died)) => drop(died.recover()),
                        Err(error) => panic!("{error}"),
                    });
                    assert!(until(|| asleep(kid.pid()), LONG));
                    Some(kid)
                })
                .collect();
            sleepers[order[0]].take().unwrap().kill();
            sleepers[order[1]].take().unwrap().kill();
            go.add(1);
            assert_eq!(sleepers[order[2]].take().unwrap().join(), Ended::Exited(0));
            assert_eq!(owner.join(), Ended::Exited(0));
        }
    }
}

/// The one that an unlock has woken is killed at some moment on its way, while others barge in: the next sleeper gets the lock.
pub(crate) fn killed_on_the_way_from_a_wake_up() {
    const ROUNDS: usize = 300;
    let mut rng = Rng::new(seed());
    for round in 0..ROUNDS {
        let pair = pair();
        let guard = pair.lock().unwrap();
        let sleeper = || {
            let kid = Kid::fork(|| match pair.lock() {
                Ok(mut guard) => guard[1] += 1,
                Err(LockError::OwnerDied(died)) => died.recover()[1] += 1,
                Err(error) => panic!("{error}"),
            });
            assert!(until(|| asleep(kid.pid()), LONG));
            kid
        };
        let (first, second) = (sleeper(), sleeper());
        drop(guard);
        let barged = if round % 2 == 0 { pair.try_lock().ok() } else { None };
        for _ in 0..rng.below(3_000) {
            std::hint::spin_loop();
        }
        first.kill();
        drop(barged);
        assert_eq!(second.join(), Ended::Exited(0));
    }
}

/// A thread holds locks that it had to wait for, so that the kernel is told of the last one only, and is killed. On each sleep
/// two that came before it got the lock.
pub(crate) fn nested_locks_of_a_killed_owner() {
    for depth in [2, 3] {
        for kept in 0..=depth {
            let region = Region::new(4096).unwrap();
            let locks = region.place_slice(depth, |_| Mutex::new(0u64)).unwrap();
            let go = region.place(Counter::new("go")).unwrap();
            let taken = region.place(Counter::new("locks taken")).unwrap();
            let mut guards: Vec<_> = locks.iter().map(|lock| lock.lock().unwrap()).collect();
            let owner = Kid::fork(|| {
                guards.clear();
                let take = |lock| {
                    let guard = Mutex::lock(lock).unwrap();
                    taken.add(1);
                    guard
                };
                let mut held: Vec<_> = locks.iter().map(take).collect();
                assert!(until(|| go.get() == 1, LONG));
                held.truncate(kept);
                go.add(1);
                park();
            });
            let mut sleepers = Vec::new();
            for (n, guard) in guards.drain(..).enumerate() {
                assert!(until(|| taken.get() == n as u64 && asleep(owner.pid()), LONG));
                for _ in 0..2 {
                    let kid = Kid::fork(|| match locks[n].lock() {
                        Ok(mut guard) => *guard += 1,
                        Err(LockError::OwnerDied(died)) => *died.recover() += 1,
                        Err(error) => panic!("{error}"),
                    });
                    assert!(until(|| asleep(kid.pid()), LONG));
                    sleepers.push(kid);
                }
                drop(guard); // the owner has waited longest
            }
            assert!(until(|| taken.get() == depth as u64, LONG));
            go.add(1);
            assert!(until(|| go.get() == 2, LONG));
            owner.kill();
            sleepers.into_iter().for_each(|kid| assert_eq!(kid.join(), Ended::Exited(0)));
            locks.iter().for_each(|lock| assert_eq!(*lock.lock().unwrap(), 2, "{kept} of {depth}"));
        }
    }
}

/// Many processes, each killed at a random moment, on a few locks taken in nested order: the sum is what was confirmed, or one
/// more for each that died inside.
pub(crate) fn random_kills() {
    const ROUNDS: u64 = 400;
    let seed = seed();
    let mut rng = Rng::new(seed);
    let region = Region::new(64 << 10).unwrap();
    let locks = region.place_slice(2, |_| Mutex::new([0u64; 2])).unwrap();
    let confirmed = region.place_slice(2, |_| Counter::new("confirmed")).unwrap();
    let repaired = region.place(Counter::new("repaired")).unwrap();
    let enter = |which: usize| match locks[which].lock_timeout(LONG) {
        Ok(guard) => guard,
        Err(LockError::OwnerDied(died)) => {
            let mut guard = died.recover();
            // It had added once at most.
            repaired.add(u64::from(guard[0] != guard[1]));
            guard[1] = guard[0];
            guard
        }
        Err(error) => panic!("{error}"),
    };
    let work = |seed: u64| {
        let mut rng = Rng::new(seed);
        loop {
            let first = rng.below(2) as usize;
            let mut outer = enter(first);
            outer[0] += 1;
            if first == 0 && rng.one_in(3) {
                let mut inner = enter(1);
                inner[0] += 1;
                inner[1] += 1;
                confirmed[1].add(1);
            }
            outer[1] += 1;
            confirmed[first].add(1);
        }
    };
    let mut kids: Vec<Kid> = (0..6).map(|n| Kid::fork(|| work(seed ^ n))).collect();
    for round in 0..ROUNDS {
        let target: u64 = confirmed.iter().map(Counter::get).sum::<u64>() + rng.below(40);
        assert!(until(|| confirmed.iter().map(Counter::get).sum::<u64>() >= target, LONG));
        let victim = rng.below(6) as usize;
        let fresh = Kid::fork(|| work(seed ^ (round + 6)));
        assert_eq!(
            std::mem::replace(&mut kids[victim], fresh).kill(),
            Ended::Killed(nix::sys::signal::Signal::SIGKILL)
        );
    }
    let ends: Vec<Ended> = kids.into_iter().map(Kid::kill).collect();
    assert!(
        ends.iter().all(|end| *end == Ended::Killed(nix::sys::signal::Signal::SIGKILL)),
        "{ends:?}"
    );
    let deaths = ROUNDS + 6;
    for (which, confirmed) in confirmed.iter().enumerate() {
        let sum = enter(which)[0];
        println!("{sum} additions, {} confirmed, {} repaired", confirmed.get(), repaired.get());
        assert!(sum >= confirmed.get() && sum - confirmed.get() <= deaths);
    }
    assert!(repaired.get() <= deaths);
}

/// Time limits count for a lock whose owner dies, too.
pub(crate) fn timed_waiters_get_a_dead_owners_lock() {
    let pair = pair();
    let owner = holder(&pair, |_guard| park());
    let waiter = Kid::fork(|| drop(died(pair.lock_timeout(Duration::from_secs(1000))).recover()));
    assert!(until(|| asleep(waiter.pid()), LONG));
    owner.kill();
    assert_eq!(waiter.join(), Ended::Exited(0));
    drop(pair.lock().unwrap());
}
