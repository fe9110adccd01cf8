//! Readers, writers and waiters that die.

use offspring::{Counter, LockError, Shared};

use crate::floors::{By, LONG, Seats, crew};
use crate::support::{Ended, Kid, Rng, asleep, seed, until};
use crate::sync_rw::rwlock::{Pair, Reading, Writing, is_held, pair};

fn park() -> ! {
    loop {
        std::thread::park();
    }
}

/// Forks a child that does `take`, says so, and parks with what it got.
fn holder<G>(take: impl FnOnce() -> G) -> Kid {
    let ready = Shared::new(Counter::new("ready")).unwrap();
    let kid = Kid::fork(|| {
        let _guard = take();
        ready.add(1);
        park()
    });
    assert!(until(|| ready.get() == 1, LONG));
    kid
}

fn sleeper(body: impl FnOnce()) -> Kid {
    let kid = Kid::fork(body);
    assert!(until(|| asleep(kid.pid()), LONG));
    kid
}

/// Reads, whoever died; whether there was news.
fn look(read: Reading<'_>) -> bool {
    match read {
        Ok(share) => {
            assert_eq!(share[0], share[1], "torn, and no word of a dead writer");
            false
        }
        Err(LockError::OwnerDied(died)) => {
            drop(died.into_guard());
            true
        }
        Err(error) => panic!("{error}"),
    }
}

/// Writes, whoever died, and recovers; whether there was news.
fn change(write: Writing<'_>) -> bool {
    let (mut all, news) = match write {
        Ok(all) => (all, false),
        Err(LockError::OwnerDied(died)) => (died.recover(), true),
        Err(error) => panic!("{error}"),
    };
    assert!(news || all[0] == all[1], "torn, and no word of a dead writer");
    all[0] += 1;
    all[1] = all[0];
    news
}

pub(crate) fn shares_of_the_dead_return() {
    let pair = pair();
    type Ways<'a> = [&'a dyn Fn() -> Vec<Kid>; 3];
    let one = || holder(|| pair.read().unwrap());
    let ways: Ways<'_> =
        [&|| vec![one()], &|| vec![holder(|| [(); 3].map(|()| pair.read().unwrap()))], &|| {
            (0..5).map(|_| one()).collect()
        }];
    for way in ways {
        for then in 0..4 {
            let kids = way();
            assert!(is_held(&pair.try_write()));
            kids.into_iter().for_each(|kid| _ = kid.kill());
            match then {
                0 => drop(pair.try_write().unwrap()),
                1 => assert!(!change(pair.write())),
                2 => drop(pair.write_timeout(LONG).unwrap()),
                _ => assert!(!look(pair.try_read())),
            }
        }
    }
    // The slot of a dead thread with many shares is as good as new.
    for _ in 0..130 {
        std::thread::scope(|scope| {
            let forgets = || (0..3).for_each(|_| std::mem::forget(pair.read().unwrap()));
            scope.spawn(forgets).join().unwrap();
        });
        let shares = (pair.read().unwrap(), pair.read().unwrap());
        drop(shares);
    }
    drop(pair.try_write().unwrap());
}

/// A writer sleeps, the readers are killed one by one, in each order.
pub(crate) fn readers_killed_while_a_writer_sleeps() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        for leaves in 0..4 {
            let pair = pair();
            let go = Shared::new(Counter::new("go")).unwrap();
            let mut readers: Vec<_> = (0..3)
                .map(|n| {
                    let ready = Shared::new(Counter::new("ready")).unwrap();
                    let kid = Kid::fork(|| {
                        let share = pair.read().unwrap();
                        ready.add(1);
                        assert!(until(|| n == leaves && go.get() == 1, LONG));
                        drop(share);
                    });
                    assert!(until(|| ready.get() == 1, LONG));
                    Some(kid)
                })
                .collect();
            let writer = sleeper(|| assert!(!change(pair.write())));
            let behind = sleeper(|| assert!(!look(pair.read())));
            for n in order {
                let reader = readers[n].take().unwrap();
                if n == leaves {
                    go.add(1); // this one is not killed, but leaves
                    assert_eq!(reader.join(), Ended::Exited(0));
                } else {
                    reader.kill();
                }
            }
            assert_eq!(writer.join(), Ended::Exited(0));
            assert_eq!(behind.join(), Ended::Exited(0));
            assert!(!look(pair.try_read()));
        }
    }
}

/// Three sleep when the writer dies: each gets in, those before a recovery with the news.
pub(crate) fn writer_killed_while_others_sleep() {
    for writers in 0..=3 {
        By::each(|by| {
            let pair = pair();
            let news = Shared::new(Counter::new("news")).unwrap();
            let owner = holder(|| {
                let mut all = pair.write().unwrap();
                all[0] = 1;
                all
            });
            let work = |seat: usize, _: &Seats| {
                let told = match seat < writers {
                    true => change(pair.write()),
                    false => look(pair.read()),
                };
                news.add(u64::from(told));
            };
            crew(by, 3, work, |seats| {
                seats.await_all_asleep();
                owner.kill();
            });
            match writers {
                0 => assert_eq!(news.get(), 3),
                _ => assert!(news.get() >= 1),
            }
            assert_eq!(look(pair.read()), writers == 0);
            assert_eq!(change(pair.write()), writers == 0);
            assert!(!look(pair.read()));
        });
    }
}

/// It has changed nothing.
pub(crate) fn writer_killed_while_it_waits_is_no_news() {
    let pair = pair();
    let share = pair.read().unwrap();
    let writer = sleeper(|| drop(pair.write()));
    let reader = sleeper(|| assert!(!look(pair.read())));
    let other = sleeper(|| assert!(!change(pair.write())));
    assert!(is_held(&pair.try_write()));
    writer.kill();
    // The reader behind it, or the other writer, is next; one more writer does not come in while we read.
    drop(share);
    assert_eq!(reader.join(), Ended::Exited(0));
    assert_eq!(other.join(), Ended::Exited(0));
    assert!(!change(pair.write()));
}

/// The sleepers are killed one by one, in each order, before the holder leaves or dies: the last one gets in.
pub(crate) fn killed_sleepers_take_nothing_with_them() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        for holder_writes in [false, true] {
            for holder_dies in [false, true] {
                let pair = pair();
                let go = Shared::new(Counter::new("go")).unwrap();
                let ready = Shared::new(Counter::new("ready")).unwrap();
                let holder = Kid::fork(|| {
                    let guards = match holder_writes {
                        true => (Some(pair.write().unwrap()), None),
                        false => (None, Some(pair.read().unwrap())),
                    };
                    ready.add(1);
                    assert!(until(|| go.get() == 1, LONG));
                    if holder_dies {
                        std::mem::forget(guards);
                    }
                });
                assert!(until(|| ready.get() == 1, LONG));
                let mut sleepers: Vec<_> = (0..3)
                    .map(|n| {
                        // Where a reader holds the lock, the first to sleep is a writer, or nobody would.
                        Some(sleeper(|| match n {
                            1 => assert_eq!(look(pair.read()), holder_writes && holder_dies),
                            _ => assert_eq!(change(pair.write()), holder_writes && holder_dies),
                        }))
                    })
                    .collect();
                sleepers[order[0]].take().unwrap().kill();
                sleepers[order[1]].take().unwrap().kill();
                go.add(1);
                assert_eq!(sleepers[order[2]].take().unwrap().join(), Ended::Exited(0));
                assert_eq!(holder.join(), Ended::Exited(0));
            }
        }
    }
}

/// One that has been woken is killed at some moment on its way, while others barge in: the next sleeper gets in.
pub(crate) fn killed_on_the_way_from_a_wake_up() {
    const ROUNDS: usize = 200;
    let mut rng = Rng::new(seed());
    for round in 0..ROUNDS {
        let pair = pair();
        let held = match round % 2 {
            0 => (pair.write().ok(), None),
            _ => (None, pair.read().ok()),
        };
        let first = sleeper(|| _ = change(pair.write()));
        let second = sleeper(|| {
            _ = match round % 3 {
                0 => look(pair.read()),
                _ => change(pair.write()),
            }
        });
        drop(held);
        let barged = pair.try_read().ok();
        for _ in 0..rng.below(3_000) {
            std::hint::spin_loop();
        }
        first.kill();
        drop(barged);
        assert_eq!(second.join(), Ended::Exited(0));
    }
}

/// Until a writer recovers, everybody is told.
pub(crate) fn mark_stays_until_a_writer_recovers() {
    let pair: Pair = pair();
    let take = || {
        let mut all = pair.write().unwrap();
        all[0] += 1;
        all
    };
    let first = holder(take);
    let pid = first.pid() as u32;
    first.kill();
    for _ in 0..3 {
        let Err(LockError::OwnerDied(died)) = pair.read() else { panic!("expected the news") };
        assert_eq!((died.owner().pid(), *died.get()), (Some(pid), [1, 0]));
        let message = format!("{:?}", pair.try_read());
        assert!(message.contains(&format!("pid: Some({pid})")), "{message}");
        drop(died);
        // A writer that looks and leaves has not recovered.
        let Err(LockError::OwnerDied(died)) = pair.write() else { panic!("expected the news") };
        assert_eq!((died.owner().pid(), *died.get()), (Some(pid), [1, 0]));
    }
    // A reader that dies with the news takes nothing with it.
    let reader = Kid::fork(|| std::mem::forget(pair.read()));
    assert_eq!(reader.join(), Ended::Exited(0));
    assert!(look(pair.read()));
    // A writer that dies while it looks is the next dead owner, and so is one that has recovered and not unlocked.
    for recovers in [false, true] {
        let next = Kid::fork(|| {
            let Err(LockError::OwnerDied(died)) = pair.write() else { panic!("expected the news") };
            match recovers {
                true => std::mem::forget(died.recover()),
                false => std::mem::forget(died),
            }
        });
        let pid = next.pid() as u32;
        assert_eq!(next.join(), Ended::Exited(0));
        let Err(LockError::OwnerDied(died)) = pair.try_write() else { panic!("no news") };
        assert_eq!(died.owner().pid(), Some(pid));
    }
    assert!(change(pair.write()));
    assert!(!look(pair.read()));
}
