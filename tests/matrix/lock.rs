//! The lock: `Mutex<[u64; 2]>`, whose two halves are equal whenever nobody is inside.

use std::time::Duration;

use offspring::proof::{Fault, Scenario, Scene, Verdict};
use offspring::{LockError, Mutex, MutexGuard, Shared};

use crate::{calibrate, coarse, conclude, stride};

type Pair = Shared<Mutex<[u64; 2]>>;

/// What a check sees of the victim: it never had the lock, it died with it, or it had done its work.
const UNTOUCHED: u64 = 0;
const DIED_INSIDE: u64 = 1;
const DONE: u64 = 2;

/// What a bystander adds, so that its work can be told from the victim's, which adds 1.
const BYSTANDER: u64 = 100;

/// Where the victim leaves its pid.
const PID: usize = 0;

/// Where the second victim leaves its pid.
const SECOND_PID: usize = 3;

/// Not 0 if the victim is one that does not get the lock.
const GIVES_UP: usize = 1;

fn pair() -> Pair {
    calibrate();
    Shared::new(Mutex::new([0; 2])).expect("place a mutex")
}

/// This process takes its roster entry now, so that taking it is not part of what is swept.
fn warm(pair: &Pair, scene: &Scene) {
    scene.note(PID, u64::from(std::process::id()));
    drop(pair.try_lock());
    let own: Mutex<u32> = Mutex::new(0);
    drop(own.lock());
}

fn add(mut guard: MutexGuard<'_, [u64; 2]>, amount: u64) {
    guard[0] += amount;
    guard[1] += amount;
}

/// Locks, whoever died with the lock before, and repairs.
fn enter(pair: &Pair) -> MutexGuard<'_, [u64; 2]> {
    match pair.lock() {
        Ok(guard) => guard,
        Err(LockError::OwnerDied(died)) => {
            let mut guard = died.recover();
            guard[1] = guard[0];
            guard
        }
        Err(error) => panic!("lock() gave {error}"),
    }
}

/// The lock works, says whose death it was if the data may be torn, and then does not say so again. `bystanders` have added
/// what they add.
fn intact(pair: &Pair, scene: &Scene, bystanders: u64) -> Verdict {
    let (sum, effect) = match pair.lock() {
        Ok(guard) if guard[0] != guard[1] => {
            return Err(Fault::torn(format!("{:?} and no word of a dead owner", *guard)));
        }
        Ok(guard) => (guard[0], None),
        Err(LockError::OwnerDied(died)) => {
            if died.owner().pid().map(u64::from) != Some(scene.noted(PID)) {
                return Err(Fault::broken(format!(
                    "the victim was {}, not {}",
                    scene.noted(PID),
                    died.owner()
                )));
            }
            let mut guard = died.recover();
            guard[1] = guard[0];
            (guard[0], Some(DIED_INSIDE))
        }
        Err(error) => return Err(Fault::broken(error.to_string())),
    };
    let works = pair.try_lock().map(drop).is_ok();
    if !works {
        return Err(Fault::broken("the lock does not work after recover"));
    }
    let own = sum % BYSTANDER;
    if sum / BYSTANDER != bystanders || own > 1 {
        return Err(Fault::lost(format!(
            "the sum is {sum} after {bystanders} bystanders and one victim"
        )));
    }
    if scene.is_finished() && own == 0 && scene.noted(GIVES_UP) == 0 {
        return Err(Fault::lost("the victim had finished, and its addition is gone"));
    }
    Ok(effect.unwrap_or(if own == 1 { DONE } else { UNTOUCHED }))
}

/// Lock, work, unlock, with nobody else about.
pub(crate) fn alone() {
    let first = Scenario::new("lock + unlock, the process's first", pair)
        .victim(|pair, scene| {
            scene.note(PID, u64::from(std::process::id()));
            scene.begin();
            add(pair.lock().unwrap(), 1);
            scene.end();
        })
        .check(|pair, scene| intact(pair, scene, 0));
    let warmed = Scenario::new("lock + unlock", pair)
        .victim(|pair, scene| {
            warm(pair, scene);
            scene.begin();
            add(pair.lock().unwrap(), 1);
            scene.end();
        })
        .check(|pair, scene| intact(pair, scene, 0));
    let tries = Scenario::new("try_lock + unlock", pair)
        .victim(|pair, scene| {
            warm(pair, scene);
            scene.begin();
            add(pair.try_lock().unwrap(), 1);
            scene.end();
        })
        .check(|pair, scene| intact(pair, scene, 0));
    let dead = Scenario::new("lock after a dead owner", pair)
        .first_victim(usize::MAX, |pair, scene| {
            scene.note(PID, u64::from(std::process::id()));
            let guard = pair.lock().unwrap();
            scene.begin();
            scene.end();
            drop(guard);
        })
        .victim(|pair, scene| {
            let own: Mutex<u32> = Mutex::new(0);
            drop(own.lock());
            scene.note(SECOND_PID, u64::from(std::process::id()));
            scene.begin();
            add(enter(pair), 1);
            scene.end();
        })
        .check(|pair, scene| {
            // Whose death is reported depends on how far the second one came: both are dead owners.
            let died = match pair.lock() {
                Err(LockError::OwnerDied(died)) => died.owner().pid(),
                Ok(_) => None,
                Err(error) => return Err(Fault::broken(error.to_string())),
            };
            if died.map(u64::from) == Some(scene.noted(SECOND_PID)) {
                scene.note(PID, scene.noted(SECOND_PID));
            }
            intact(pair, scene, 0).map(|effect| if died.is_some() { 0 } else { effect })
        });
    conclude("lock-alone", [first, warmed, tries, dead]);
}

/// The owner that a waiting victim meets: holds the lock until the victim sleeps or is dead.
fn owner(pair: &Pair, scene: &Scene) {
    let guard = pair.lock().unwrap();
    scene.hold();
    add(guard, BYSTANDER);
}

/// Waits for the lock behind others.
fn waiter(pair: &Pair, _: &Scene) {
    add(enter(pair), BYSTANDER);
}

/// A victim that waits.
fn waiting_victim(pair: &Pair, scene: &Scene) {
    warm(pair, scene);
    scene.begin();
    add(enter(pair), 1);
    scene.end();
}

/// The victim waits for a lock that others hold, or lets it go while others wait.
pub(crate) fn contended() {
    let waits = Scenario::new("lock, held by another", pair)
        .bystander("the owner", owner)
        .victim(waiting_victim)
        .wakes_sleeping_victim()
        .check(|pair, scene| intact(pair, scene, 1));
    let waits_behind = Scenario::new("lock, held by another, one asleep", pair)
        .bystander("the owner", owner)
        .bystander("a waiter", waiter)
        .victim(waiting_victim)
        .wakes_sleeping_victim()
        .settles(|_, scene| scene.has_ended(0) && scene.has_ended(1))
        .check(|pair, scene| intact(pair, scene, 2));
    let owner_dies = Scenario::new("lock, its owner dies, one asleep", pair)
        .bystander("the owner", |pair, scene| {
            let guard = pair.lock().unwrap();
            scene.hold();
            std::mem::forget(guard);
        })
        .bystander("a waiter", waiter)
        .victim(waiting_victim)
        .wakes_sleeping_victim()
        .settles(|_, scene| scene.has_ended(0) && scene.has_ended(1))
        .check(|pair, _| {
            // The owner's death is reported if nobody has recovered since.
            match pair.lock() {
                Err(LockError::OwnerDied(died)) => drop(died.recover()),
                Ok(guard) if guard[0] != guard[1] => {
                    return Err(Fault::torn(format!("{:?}", *guard)));
                }
                Ok(_) => {}
                Err(error) => return Err(Fault::broken(error.to_string())),
            }
            let sum = pair.lock().unwrap()[0];
            if sum / BYSTANDER != 1 {
                return Err(Fault::lost(format!("the waiter's work is gone: {sum}")));
            }
            Ok(sum % BYSTANDER)
        });
    let times_out = Scenario::new("lock_timeout that times out", pair)
        .bystander("the owner", owner)
        .victim(timing_out_victim)
        .check(|pair, scene| intact(pair, scene, 1));
    let times_out_behind = Scenario::new("lock_timeout that times out, one asleep", pair)
        .bystander("the owner", owner)
        .bystander("a waiter", waiter)
        .victim(timing_out_victim)
        .settles(|_, scene| scene.has_ended(0) && scene.has_ended(1))
        .check(|pair, scene| intact(pair, scene, 2));
    let unlocks = |name: &str, followers: usize| {
        let mut scenario = Scenario::new(name, pair).victim(|pair, scene| {
            warm(pair, scene);
            let guard = pair.lock().unwrap();
            scene.begin();
            add(guard, 1);
            scene.end();
        });
        for follower in 1..=followers {
            scenario = scenario.follower(format!("waiter {follower}"), waiter_that_notes_a_death);
        }
        scenario
            .settles(move |_, scene| (0..followers).all(|seat| scene.has_ended(seat)))
            .check(move |pair, scene| after_unlock(pair, scene, followers as u64))
    };
    let scenarios = [
        waits,
        waits_behind,
        owner_dies,
        times_out,
        times_out_behind,
        unlocks("unlock, one asleep", 1),
        unlocks("unlock, two asleep", 2),
    ];
    conclude("lock-contended", scenarios);
}

/// A victim that waits in vain.
fn timing_out_victim(pair: &Pair, scene: &Scene) {
    warm(pair, scene);
    scene.note(GIVES_UP, 1);
    scene.begin();
    let result = pair.lock_timeout(Duration::from_millis(2));
    scene.end();
    assert!(matches!(result, Err(LockError::TimedOut)), "the owner holds the lock all the time");
}

/// The note under which a waiter says that it was told of a death.
const TOLD: usize = 2;

fn waiter_that_notes_a_death(pair: &Pair, scene: &Scene) {
    let guard = match pair.lock() {
        Ok(guard) => {
            assert_eq!(guard[0], guard[1], "half-written, and no word of a dead owner");
            guard
        }
        Err(LockError::OwnerDied(died)) => {
            assert_eq!(died.owner().pid().map(u64::from), Some(scene.noted(PID)));
            scene.note(TOLD, scene.noted(TOLD) + 1);
            let mut guard = died.recover();
            guard[1] = guard[0];
            guard
        }
        Err(error) => panic!("lock() gave {error}"),
    };
    add(guard, BYSTANDER);
}

/// All waiters have had the lock; at most one of them was told of the victim's death.
fn after_unlock(pair: &Pair, scene: &Scene, waiters: u64) -> Verdict {
    let told = scene.noted(TOLD);
    let effect = intact(pair, scene, waiters)?;
    match (told, effect) {
        (0, DONE) => Ok(DONE),
        (1, UNTOUCHED | DONE) => Ok(DIED_INSIDE),
        other => Err(Fault::broken(format!("waiters told, effect: {other:?}"))),
    }
}

/// Nobody dies: the victim is held at every instruction while the others do all that they can.
pub(crate) fn held_up() {
    let waits = Scenario::new("lock, held up while the owner unlocks", pair)
        .bystander("the owner", owner)
        .victim(waiting_victim)
        .pauses()
        .wakes_sleeping_victim()
        .check(|pair, scene| intact(pair, scene, 1));
    let waits_behind = Scenario::new("the same, one asleep", pair)
        .bystander("the owner", owner)
        .bystander("a waiter", waiter)
        .victim(waiting_victim)
        .pauses()
        .wakes_sleeping_victim()
        .check(|pair, scene| {
            scene.await_ended(2);
            intact(pair, scene, 2)
        });
    let unlocking_victim = |pair: &Pair, scene: &Scene| {
        warm(pair, scene);
        let guard = pair.lock().unwrap();
        scene.begin();
        add(guard, 1);
        scene.end();
    };
    let late = |pair: &Pair, scene: &Scene| {
        scene.hold();
        waiter(pair, scene);
    };
    let unlocks = Scenario::new("unlock, held up while one comes", pair)
        .follower("a late waiter", late)
        .victim(unlocking_victim)
        .pauses()
        .settles(|_, scene| scene.has_ended(0))
        .check(|pair, scene| intact(pair, scene, 1));
    let unlocks_twice = Scenario::new("unlock, held up while two come", pair)
        .follower("a late waiter", late)
        .follower("another", late)
        .victim(unlocking_victim)
        .pauses()
        .settles(|_, scene| scene.has_ended(0) && scene.has_ended(1))
        .check(|pair, scene| intact(pair, scene, 2));
    let unlocks_mixed = Scenario::new("unlock, one asleep, held up while one comes", pair)
        .follower("a waiter", waiter)
        .follower("a late waiter", late)
        .victim(unlocking_victim)
        .pauses()
        .settles(|_, scene| scene.has_ended(0) && scene.has_ended(1))
        .check(|pair, scene| intact(pair, scene, 2));
    let owner_dies = Scenario::new("lock, held up while the owner is killed in unlock", pair)
        .first_victim(coarse(20), |pair, scene| {
            warm(pair, scene);
            let guard = pair.lock().unwrap();
            scene.begin();
            add(guard, 1);
            scene.end();
        })
        .first_dies_late()
        .every(coarse(13))
        .victim(|pair, scene| {
            let own: Mutex<u32> = Mutex::new(0);
            drop(own.lock());
            scene.begin();
            add(enter(pair), 1);
            scene.end();
        })
        .pauses()
        .check(|pair, _| match enter(pair)[0] {
            sum @ 1..=2 => Ok(sum),
            sum => Err(Fault::lost(format!("the sum is {sum}"))),
        });
    let scenarios = [owner_dies, waits, waits_behind, unlocks, unlocks_twice, unlocks_mixed];
    conclude("lock-held-up", scenarios);
}

/// The owner dies at each of its instructions, and who recovers from that at each of its own.
pub(crate) fn double_faults() {
    let pairs = Scenario::new("lock + unlock, twice killed", pair)
        .first_victim(stride(5), |pair, scene| {
            warm(pair, scene);
            scene.begin();
            add(pair.lock().unwrap(), 1);
            scene.end();
        })
        .victim(|pair, scene| {
            warm(pair, scene);
            scene.begin();
            add(enter(pair), BYSTANDER);
            scene.end();
        })
        .check(|pair, _| {
            let sum = enter(pair)[0];
            drop(pair.try_lock().map_err(|error| Fault::broken(error.to_string()))?);
            if sum % BYSTANDER > 1 || sum / BYSTANDER > 1 {
                return Err(Fault::torn(format!("the sum is {sum}")));
            }
            Ok(sum / BYSTANDER)
        });
    let relay = |name: &str, waiters: usize| {
        let mut scenario = Scenario::new(name, pair)
            .first_victim(coarse(25), |pair, scene| {
                warm(pair, scene);
                let guard = pair.lock().unwrap();
                scene.begin();
                add(guard, 1);
                scene.end();
            })
            .first_dies_late()
            .every(coarse(7))
            .victim(|pair, scene| {
                let own: Mutex<u32> = Mutex::new(0);
                drop(own.lock());
                scene.begin();
                add(enter(pair), 1);
                scene.end();
            });
        for waiter_number in 1..=waiters {
            scenario = scenario.follower(format!("waiter {waiter_number}"), waiter);
        }
        scenario.settles(move |_, scene| (0..waiters).all(|seat| scene.has_ended(seat))).check(
            move |pair, _| {
                let sum = enter(pair)[0];
                drop(pair.try_lock().map_err(|error| Fault::broken(error.to_string()))?);
                if sum / BYSTANDER != waiters as u64 || sum % BYSTANDER > 2 {
                    return Err(Fault::lost(format!("the sum is {sum} after {waiters} waiters")));
                }
                Ok(sum)
            },
        )
    };
    let one = relay("unlock, killed; the woken one killed", 0);
    let two = relay("unlock, killed; the woken one killed; one more asleep", 1);
    conclude("lock-double", [pairs, one, two]);
}
