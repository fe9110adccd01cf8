//! The semaphore: every operation, with nobody, one or two asleep; holders, and owners of the monitor's lock, that die.

use std::time::Duration;

use offspring::proof::{Fault, Scenario, Scene, Verdict};
use offspring::{Semaphore, Shared};

use crate::matrix::actors::warm;
use crate::{calibrate, coarse, conclude};

type Permits = Shared<Semaphore>;

fn permits(count: u32) -> impl Fn() -> Permits {
    move || {
        calibrate();
        Shared::new(Semaphore::new(count)).expect("place a semaphore")
    }
}

/// When all are dead or done: so many permits are there, and they work. The effect is how many there are.
fn left(semaphore: &Permits, allowed: std::ops::RangeInclusive<u32>) -> Verdict {
    let left = semaphore.available_permits();
    if !allowed.contains(&left) {
        return Err(Fault::lost(format!("{left} permits are left, not {allowed:?}")));
    }
    let all: Vec<_> = (0..left).map_while(|_| semaphore.try_acquire().ok()).collect();
    if all.len() != left as usize || semaphore.try_acquire().is_ok() {
        return Err(Fault::broken(format!(
            "{left} permits are said to be left, {} are",
            all.len()
        )));
    }
    Ok(u64::from(left))
}

fn waiter(semaphore: &Permits, _: &Scene) {
    drop(semaphore.acquire());
}

/// Scenarios whose bystanders all end before the check looks.
fn after_all(scenario: Scenario<Permits>, count: usize) -> Scenario<Permits> {
    scenario.settles(move |_, scene| (0..count).all(|seat| scene.has_ended(seat)))
}

fn with_waiters(mut scenario: Scenario<Permits>, count: usize) -> Scenario<Permits> {
    for n in 1..=count {
        scenario = scenario.follower(format!("waiter {n}"), waiter);
    }
    after_all(scenario, count)
}

/// Alone.
pub(crate) fn alone() {
    let acquire = Scenario::new("acquire", permits(2))
        .victim(|semaphore, scene| {
            warm();
            scene.begin();
            let permit = semaphore.acquire();
            scene.end();
            drop(permit);
        })
        // It returns whenever the victim dies.
        .check(|semaphore, _| left(semaphore, 2..=2));
    let release = Scenario::new("release", permits(2))
        .victim(|semaphore, scene| {
            warm();
            let permit = semaphore.acquire();
            scene.begin();
            drop(permit);
            scene.end();
        })
        .check(|semaphore, _| left(semaphore, 2..=2));
    let forget = Scenario::new("forget one of two held", permits(3))
        .victim(|semaphore, scene| {
            warm();
            let (first, _second) = (semaphore.acquire(), semaphore.acquire());
            scene.begin();
            first.forget();
            scene.end();
        })
        .check(|semaphore, scene| {
            let there = left(semaphore, 2..=if scene.is_finished() { 2 } else { 3 })?;
            Ok(3 - there)
        });
    let add = Scenario::new("add_permits", permits(1))
        .victim(|semaphore, scene| {
            warm();
            scene.begin();
            semaphore.add_permits(2);
            scene.end();
        })
        .check(|semaphore, scene| {
            let there = left(semaphore, if scene.is_finished() { 3 } else { 1 }..=3)?;
            if there == 2 { Err(Fault::torn("one of two permits was added")) } else { Ok(there) }
        });
    let after_dead = Scenario::new("acquire after a dead holder", permits(2))
        .first_victim(usize::MAX, |semaphore, scene| {
            let both = (semaphore.acquire(), semaphore.acquire());
            scene.begin();
            scene.end();
            drop(both);
        })
        .victim(|semaphore, scene| {
            warm();
            scene.begin();
            let permit = semaphore.acquire();
            scene.end();
            drop(permit);
        })
        .check(|semaphore, _| left(semaphore, 2..=2));
    conclude("semaphore-alone", [acquire, release, forget, add, after_dead]);
}

/// So often that the caller does without the lock from now on.
fn come_often(semaphore: &Permits) {
    (0..40).for_each(|_| drop(semaphore.acquire()));
}

/// The victim, or the one whose spare permits it takes, does without the lock.
pub(crate) fn quick() {
    let acquire = Scenario::new("acquire, quick", permits(2))
        .victim(|semaphore, scene| {
            warm();
            come_often(semaphore);
            scene.begin();
            let permit = semaphore.acquire();
            scene.end();
            drop(permit);
        })
        .check(|semaphore, _| left(semaphore, 2..=2));
    let release = Scenario::new("release, quick", permits(2))
        .victim(|semaphore, scene| {
            warm();
            come_often(semaphore);
            let permit = semaphore.acquire();
            scene.begin();
            drop(permit);
            scene.end();
        })
        .check(|semaphore, _| left(semaphore, 2..=2));
    let more = Scenario::new(
        "acquire and release when quick, one more than there is to spare",
        permits(3),
    )
    .victim(|semaphore, scene| {
        warm();
        come_often(semaphore);
        let first = semaphore.acquire();
        scene.begin();
        let second = semaphore.acquire();
        drop(first);
        scene.end();
        drop(second);
    })
    .check(|semaphore, _| left(semaphore, 3..=3));
    let spare = |name: &str, victim: fn(&Permits, &Scene)| {
        let scenario = Scenario::new(name, permits(1))
            .bystander("one that is quick", |semaphore: &Permits, scene: &Scene| {
                come_often(semaphore);
                scene.hold();
                drop(semaphore.acquire());
            })
            .victim(victim);
        after_all(scenario, 1).check(|semaphore, _| left(semaphore, 1..=1))
    };
    let takes = spare("acquire what another has to spare", |semaphore, scene| {
        warm();
        scene.begin();
        let permit = semaphore.try_acquire();
        scene.end();
        drop(permit.expect("the other one has it to spare"));
    });
    let counts = spare("available_permits beside one that is quick", |semaphore, scene| {
        warm();
        scene.begin();
        let available = semaphore.available_permits();
        scene.end();
        assert_eq!(available, 1);
    });
    let held = Scenario::new("acquire, none available, the holder quick until now", permits(1))
        .bystander("a holder", |semaphore: &Permits, scene: &Scene| {
            come_often(semaphore);
            let permit = semaphore.acquire();
            scene.hold();
            drop(permit);
        })
        .victim(|semaphore, scene| {
            warm();
            scene.begin();
            let permit = semaphore.acquire();
            scene.end();
            drop(permit);
        })
        .wakes_sleeping_victim()
        .every(coarse(9));
    let held = after_all(held, 1).check(|semaphore, _| left(semaphore, 1..=1));
    conclude("semaphore-quick", [acquire, release, more, takes, counts, held]);
}

/// Others sleep, or hold what the victim wants.
pub(crate) fn contended() {
    let release = |name: &str, waiters: usize| {
        let scenario = Scenario::new(name, permits(1)).victim(|semaphore, scene| {
            warm();
            let permit = semaphore.acquire();
            scene.begin();
            drop(permit);
            scene.end();
        });
        with_waiters(scenario, waiters).check(|semaphore, _| left(semaphore, 1..=1))
    };
    let add = |name: &str, waiters: usize| {
        // Woken by the permit that is added; if there is none, the check adds one.
        let mut scenario = Scenario::new(name, permits(0));
        for n in 1..=waiters {
            scenario = scenario.bystander(format!("waiter {n}"), waiter);
        }
        scenario
            .victim(|semaphore, scene| {
                warm();
                scene.begin();
                semaphore.add_permits(1);
                scene.end();
            })
            .settles(move |_, scene| {
                let ended = (0..waiters).all(|seat| scene.has_ended(seat));
                ended || !scene.is_finished()
            })
            .check(move |semaphore, scene| {
                semaphore.add_permits(1);
                scene.await_ended(waiters);
                left(semaphore, if scene.is_finished() { 2 } else { 1 }..=2)
            })
    };
    let holder = |semaphore: &Permits, scene: &Scene| {
        let permit = semaphore.acquire();
        scene.hold();
        drop(permit);
    };
    let waiting_victim = |semaphore: &Permits, scene: &Scene| {
        warm();
        scene.begin();
        let permit = semaphore.acquire();
        scene.end();
        drop(permit);
    };
    let waits = Scenario::new("acquire, none available", permits(1))
        .bystander("a holder", holder)
        .victim(waiting_victim)
        .wakes_sleeping_victim()
        .every(coarse(5));
    let waits = after_all(waits, 1).check(|semaphore, _| left(semaphore, 1..=1));
    let waits_behind = Scenario::new("acquire, none available, one asleep", permits(1))
        .bystander("a holder", holder)
        .bystander("a waiter", waiter)
        .victim(waiting_victim)
        .wakes_sleeping_victim()
        .every(coarse(5));
    let waits_behind = after_all(waits_behind, 2).check(|semaphore, _| left(semaphore, 1..=1));
    let holder_dies = Scenario::new("acquire, the holder dies, one asleep", permits(1))
        .bystander("a holder", |semaphore: &Permits, scene: &Scene| {
            let permit = semaphore.acquire();
            scene.hold();
            std::mem::forget(permit);
        })
        .bystander("a waiter", waiter)
        .victim(waiting_victim)
        .wakes_sleeping_victim()
        .every(coarse(5));
    let holder_dies = after_all(holder_dies, 2).check(|semaphore, _| left(semaphore, 1..=1));
    let times_out = Scenario::new("acquire_timeout that times out, one asleep", permits(1))
        .bystander("a holder", holder)
        .bystander("a waiter", waiter)
        .victim(|semaphore, scene| {
            warm();
            scene.begin();
            let result = semaphore.acquire_timeout(Duration::from_millis(2));
            scene.end();
            assert!(result.is_err(), "the holder holds the permit all the time");
        });
    let times_out = after_all(times_out, 2).check(|semaphore, _| left(semaphore, 1..=1));
    conclude(
        "semaphore-contended",
        [
            release("release, one asleep", 1),
            release("release, two asleep", 2),
            add("add_permits, one asleep", 1),
            add("add_permits, one of two asleep", 1),
            waits,
            waits_behind,
            holder_dies,
            times_out,
        ],
    );
}

/// The one that gives back dies at some of its instructions, and the one that is woken by that at some of its own.
pub(crate) fn double_faults() {
    let relay = |name: &str, waiters: usize| {
        let scenario = Scenario::new(name, permits(1))
            .first_victim(coarse(30), |semaphore, scene| {
                warm();
                let permit = semaphore.acquire();
                scene.begin();
                drop(permit);
                scene.end();
            })
            .first_dies_late()
            .every(coarse(79))
            .victim(|semaphore, scene| {
                warm();
                scene.begin();
                drop(semaphore.acquire());
                scene.end();
            });
        with_waiters(scenario, waiters).check(|semaphore, _| left(semaphore, 1..=1))
    };
    let one = relay("release, killed; the woken one killed", 0);
    let two = relay("release, killed; the woken one killed; one more asleep", 1);
    conclude("semaphore-double", [one, two]);
}
