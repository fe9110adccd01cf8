//! The value that is computed once.

#![expect(unsafe_code, reason = "forks in an initialiser")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use offspring::{Counter, OnceLock, Shared};

use crate::floors::{By, LONG, Seats, crew};
use crate::support::{Ended, Kid, Rng, asleep, seed, until};
use crate::sync_rw::rwlock::{SHORT, panics};

type Words = [u64; 3];

fn fresh() -> Shared<OnceLock<Words>> {
    Shared::new(OnceLock::new()).unwrap()
}

fn counter() -> Shared<Counter> {
    Shared::new(Counter::new("times")).unwrap()
}

pub(crate) fn one_runs_it() {
    By::each(|by| {
        for _ in 0..50 {
            let (once, runs) = (fresh(), counter());
            let work = |seat: usize, _: &Seats| {
                let compute = || {
                    runs.add(1);
                    std::thread::yield_now();
                    [seat as u64; 3]
                };
                let seen = match seat {
                    0 => *once.wait(),
                    1 => *once.wait_timeout(LONG).unwrap(),
                    2 => *once.get_or_try_init(|| Ok::<_, ()>(compute())).unwrap(),
                    _ => *once.get_or_init(compute),
                };
                assert_eq!(seen, *once.get().unwrap());
                assert!(seen[0] == seen[1] && seen[1] == seen[2]);
            };
            crew(by, 5, work, |_| ());
            assert_eq!(runs.get(), 1);
        }
    });
}

pub(crate) fn values_come_back() {
    let once = fresh();
    assert_eq!((once.get(), format!("{once:?}")), (None, "Shared(OnceLock(None))".to_owned()));
    assert_eq!(once.set([1; 3]), Ok(()));
    assert_eq!(once.set([2; 3]), Err([2; 3]));
    assert_eq!(once.get(), Some(&[1; 3]));
    assert_eq!(once.get_or_init(|| panic!("it is set")), &[1; 3]);
    assert_eq!((once.wait(), once.wait_deadline(Instant::now())), (&[1; 3], Some(&[1; 3])));
    let kid = Kid::fork(|| assert_eq!(once.set([3; 3]), Err([3; 3])));
    assert_eq!(kid.join(), Ended::Exited(0));
    let mut own: OnceLock<u8> = OnceLock::default();
    assert_eq!(own.get_mut(), None);
    own.set(1).unwrap();
    *own.get_mut().unwrap() += 1;
    assert_eq!(own.into_inner(), Some(2));
    assert_eq!(OnceLock::<u8>::new().into_inner(), None);
}

pub(crate) fn failed_initialisers() {
    let once = fresh();
    assert_eq!(once.get_or_try_init(|| Err("not yet")), Err("not yet"));
    assert!(panics(|| _ = once.get_or_init(|| panic!("in the middle"))));
    // One that asks for what it computes would wait for itself.
    assert!(panics(|| _ = once.get_or_init(|| *once.get_or_init(|| [1; 3]))));
    assert!(panics(|| _ = once.get_or_init(|| *once.wait())));
    assert!(panics(|| _ = once.get_or_init(|| once.set([1; 3]).map(|()| [1; 3]).unwrap())));
    let late = once.get_or_init(|| {
        assert_eq!((once.get(), once.wait_timeout(SHORT)), (None, None));
        [4; 3]
    });
    assert_eq!(late, &[4; 3]);
    // Those who wait for one that fails run their own, one by one.
    By::each(|by| {
        let (once, runs) = (fresh(), counter());
        let work = |seat: usize, _: &Seats| {
            let result = once.get_or_try_init(|| match runs.add(1) {
                3 => Ok([seat as u64; 3]),
                _ => Err(()),
            });
            assert!(result.is_err() || result == Ok(once.get().unwrap()));
        };
        crew(by, 6, work, |_| ());
        assert!(once.get().is_some() && runs.get() == 4);
    });
}

/// The initialiser is killed with others asleep: one of them computes, and all have its value.
pub(crate) fn dead_initialisers() {
    for deaths in 1..=3 {
        let (once, runs) = (fresh(), counter());
        let kids: Vec<Kid> = (0..5)
            .map(|n| {
                let kid = Kid::fork(|| {
                    let value = match n {
                        3 => once.wait(),
                        _ => once.get_or_init(|| match runs.add(1) {
                            run if run < deaths => std::process::abort(),
                            run => [run; 3],
                        }),
                    };
                    assert_eq!(*value, [deaths; 3]);
                });
                let started =
                    || n == 0 || asleep(kid.pid()) || crate::support::has_ended(kid.pid());
                assert!(until(started, LONG));
                kid
            })
            .collect();
        let ends: Vec<Ended> = kids.into_iter().map(Kid::join).collect();
        let killed = ends.iter().filter(|end| **end == Ended::Killed(Signal::SIGABRT)).count();
        assert_eq!(killed as u64, deaths, "{ends:?}");
        assert_eq!(ends.iter().filter(|end| **end == Ended::Exited(0)).count(), 5 - killed);
    }
    // Killed in its sleep, and then in the middle of the value's computation.
    let (once, ready) = (fresh(), counter());
    let initialiser = Kid::fork(|| {
        once.get_or_init(|| {
            ready.add(1);
            assert!(until(|| ready.get() == 2, LONG));
            [1; 3]
        });
    });
    assert!(until(|| ready.get() == 1, LONG));
    let sleepers: Vec<Kid> = (0..3)
        .map(|_| {
            let kid = Kid::fork(|| assert_eq!(once.get_or_init(|| [2; 3]), &[2; 3]));
            assert!(until(|| asleep(kid.pid()), LONG));
            kid
        })
        .collect();
    initialiser.kill();
    sleepers.into_iter().for_each(|kid| assert_eq!(kid.join(), Ended::Exited(0)));
}

pub(crate) fn waiters() {
    By::each(|by| {
        let (once, late) = (fresh(), counter());
        let work = |seat: usize, _: &Seats| match seat {
            0 => {
                assert_eq!(once.wait_timeout(SHORT), None);
                late.add(1);
            }
            1 => {
                assert_eq!(once.wait_deadline(Instant::now()), None);
                late.add(1);
            }
            2 => assert_eq!(once.wait_timeout(LONG), Some(&[1; 3])),
            _ => assert_eq!(once.wait(), &[1; 3]),
        };
        crew(by, 5, work, |seats| {
            (2..5).for_each(|seat| seats.await_asleep(seat));
            assert!(until(|| late.get() == 2, LONG));
            once.set([1; 3]).unwrap();
        });
    });
}

/// Some of those who sleep are killed, before or after the value comes: the others have it.
pub(crate) fn killed_waiters() {
    let mut rng = Rng::new(seed());
    for round in 0..100 {
        let once = fresh();
        let sleeper = |computes: bool| {
            let kid = Kid::fork(|| match computes {
                true => assert_eq!(once.get_or_init(|| [2; 3]), &[1; 3]),
                false => assert_eq!(once.wait(), &[1; 3]),
            });
            assert!(until(|| asleep(kid.pid()), LONG));
            kid
        };
        let mut kids = Vec::new();
        once.get_or_init(|| {
            kids = (0..4).map(|n| sleeper(n % 2 == 0)).collect();
            if round % 2 == 0 {
                kids.remove(rng.below(4) as usize).kill();
            }
            [1; 3]
        });
        for _ in 0..rng.below(3_000) {
            std::hint::spin_loop();
        }
        let victim = rng.below(kids.len() as u64) as usize;
        kids.remove(victim).kill();
        kids.into_iter().for_each(|kid| assert_eq!(kid.join(), Ended::Exited(0)));
    }
}

pub(crate) fn signals_and_stops() {
    crate::sync_rw::waiting::ignore_usr1();
    let (once, ready) = (fresh(), counter());
    let initialiser = Kid::fork(|| {
        once.get_or_init(|| {
            ready.add(1);
            assert!(until(|| ready.get() == 2, LONG));
            [1; 3]
        });
    });
    assert!(until(|| ready.get() == 1, LONG));
    initialiser.signal(Signal::SIGSTOP);
    assert_eq!(once.wait_timeout(SHORT), None);
    let ways: [&dyn Fn(); 3] = [
        &|| assert_eq!(once.wait(), &[1; 3]),
        &|| assert_eq!(once.wait_timeout(LONG), Some(&[1; 3])),
        &|| assert_eq!(once.get_or_init(|| [2; 3]), &[1; 3]),
    ];
    let kids: Vec<Kid> = ways.iter().map(Kid::fork).collect();
    for _ in 0..50 {
        for kid in &kids {
            assert!(until(|| asleep(kid.pid()), LONG));
            kid.signal(Signal::SIGUSR1);
        }
    }
    ready.add(1);
    initialiser.signal(Signal::SIGCONT);
    kids.into_iter().for_each(|kid| assert_eq!(kid.join(), Ended::Exited(0)));
    assert_eq!(initialiser.join(), Ended::Exited(0));
}

/// A child that is forked in the initialiser, and returns from it, does not set the value, and does not give it up either.
pub(crate) fn inherited_initialisers() {
    let once = fresh();
    let parent = std::process::id();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        *once.get_or_init(|| {
            // SAFETY: this process has one thread, so the child finds every lock free.
            match unsafe { fork() }.unwrap() {
                ForkResult::Child => [9; 3],
                ForkResult::Parent { child } => {
                    assert_eq!(waitpid(child, None), Ok(WaitStatus::Exited(child, 7)));
                    [1; 3]
                }
            }
        })
    }));
    if std::process::id() != parent {
        let untouched = outcome.is_err() && once.wait_timeout(SHORT).is_none();
        // SAFETY: `_exit` has no preconditions.
        unsafe { libc::_exit(if untouched { 7 } else { 1 }) };
    }
    assert_eq!((outcome.unwrap(), once.get()), ([1; 3], Some(&[1; 3])));
}
