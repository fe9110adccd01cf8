//! The condition variable and the event: every operation killed at every instruction, with and without others asleep.

use std::time::Duration;

use offspring::proof::{Fault, Scenario, Scene, Verdict};
use offspring::{Condvar, Event, LockError, Mutex, MutexGuard, Shared};

use crate::{calibrate, coarse, conclude};

/// A gate (open if not 0), and what was done under the lock.
type Gate = Shared<(Mutex<[u64; 2]>, Condvar)>;

/// Not 0 once the victim is inside.
const INSIDE: usize = 0;

fn gate() -> Gate {
    calibrate();
    Shared::new((Mutex::new([0; 2]), Condvar::new())).expect("place a gate")
}

/// This process takes its roster entry now, so that taking it is not part of what is swept.
fn warm() {
    let own: Mutex<u32> = Mutex::new(0);
    drop(own.lock());
}

/// Waits at the gate; the news of a death counts as an open gate, and is left for the next one.
fn pass(gate: &Gate, _: &Scene) {
    let Ok(mut guard) = gate.0.lock() else { return };
    while guard[0] == 0 {
        match gate.1.wait(guard) {
            Ok(again) => guard = again,
            Err(LockError::OwnerDied(_)) => return,
            Err(error) => panic!("wait() gave {error}"),
        }
    }
}

/// The lock, whoever died with it.
fn enter(gate: &Gate) -> Result<MutexGuard<'_, [u64; 2]>, Fault> {
    match gate.0.lock() {
        Ok(guard) => Ok(guard),
        Err(LockError::OwnerDied(died)) => Ok(died.recover()),
        Err(error) => Err(Fault::broken(error.to_string())),
    }
}

/// Opens the gate. All pass; and the next who waits is notified too.
fn opens(gate: &Gate, scene: &Scene, others: usize) -> Verdict {
    enter(gate)?[0] = 1;
    gate.1.notify_all();
    scene.await_ended(others);
    let guard = enter(gate)?;
    let waited = gate.1.wait_timeout(guard, Duration::from_micros(10));
    match waited {
        Ok((guard, _)) => Ok(guard[1]),
        Err(error) => Err(Fault::broken(format!("wait_timeout() gave {error}"))),
    }
}

fn open_when_let_go(gate: &Gate, scene: &Scene) {
    scene.hold();
    let Ok(mut guard) = enter(gate) else { panic!("no lock") };
    guard[0] = 1;
    // One after the other, for two: which of them gets which does not matter, nor that one of them is dead.
    gate.1.notify_one();
    gate.1.notify_one();
}

/// The victim waits.
pub(crate) fn waits() {
    let victim = |gate: &Gate, scene: &Scene| {
        warm();
        scene.begin();
        pass(gate, scene);
        scene.end();
    };
    let alone = Scenario::new("Condvar::wait, notified", gate)
        .bystander("a notifier", open_when_let_go)
        .every(coarse(3))
        .victim(victim)
        .wakes_sleeping_victim()
        .check(|gate, scene| opens(gate, scene, 1));
    let beside = Scenario::new("Condvar::wait, notified, one more asleep", gate)
        .bystander("a notifier", open_when_let_go)
        .bystander("a waiter", pass)
        .victim(victim)
        .wakes_sleeping_victim()
        .every(coarse(4))
        .settles(|_, scene| scene.has_ended(0) && scene.has_ended(1))
        .check(|gate, scene| opens(gate, scene, 2));
    let times_out = Scenario::new("Condvar::wait_timeout that times out, one asleep", gate)
        .bystander("a waiter", pass)
        .every(coarse(3))
        .victim(|gate, scene| {
            warm();
            scene.begin();
            let guard = gate.0.lock().unwrap();
            let waited = gate.1.wait_timeout(guard, Duration::from_millis(1)).unwrap();
            assert!(waited.1.timed_out());
            drop(waited);
            scene.end();
        })
        .check(|gate, scene| opens(gate, scene, 1));
    conclude("cond-waits", [alone, beside, times_out]);
}

/// The victim changes something and notifies while it owns the lock. Once it is inside, all who sleep end: by the
/// notification, or by the news of its death.
pub(crate) fn notifies() {
    let scenario = |name: String, all: bool, sleepers: usize| {
        let mut scenario = Scenario::new(name, gate);
        for sleeper in 1..=sleepers {
            scenario = scenario.bystander(format!("waiter {sleeper}"), pass);
        }
        scenario
            .victim(move |gate, scene| {
                warm();
                scene.begin();
                let mut guard = gate.0.lock().unwrap();
                scene.note(INSIDE, 1);
                guard[0] = 1;
                guard[1] += 1;
                if all {
                    gate.1.notify_all()
                } else {
                    gate.1.notify_one()
                }
                drop(guard);
                scene.end();
            })
            .settles(move |_, scene| {
                let ended = (0..sleepers).filter(|&seat| scene.has_ended(seat)).count();
                let wanted = match (scene.noted(INSIDE), all) {
                    (0, _) => 0,
                    (_, true) => sleepers,
                    (_, false) => sleepers.min(1),
                };
                ended >= wanted
            })
            .check(move |gate, scene| opens(gate, scene, sleepers))
    };
    let scenarios = (0..=2).flat_map(|sleepers| {
        ["one", "all"].map(|whom| {
            let name = format!("lock, Condvar::notify_{whom}, unlock; {sleepers} asleep");
            scenario(name, whom == "all", sleepers)
        })
    });
    conclude("cond-notifies", scenarios);
}

/// An owner dies with the lock while the victim and another one wait: the victim is killed on its way.
pub(crate) fn double_faults() {
    let scenario = Scenario::new("Condvar::wait, the owner dies, one more asleep", gate)
        .bystander("the owner", |gate, scene| {
            scene.hold();
            warm();
            std::mem::forget(enter(gate));
        })
        .bystander("a waiter", pass)
        .victim(|gate, scene| {
            warm();
            scene.begin();
            pass(gate, scene);
            scene.end();
        })
        .wakes_sleeping_victim()
        .every(coarse(7))
        .settles(|_, scene| scene.has_ended(0) && scene.has_ended(1))
        .check(|gate, scene| opens(gate, scene, 2));
    conclude("cond-double", [scenario]);
}

fn event() -> Shared<Event> {
    calibrate();
    Shared::new(Event::new()).expect("place an event")
}

/// Each operation of the event, killed at every instruction.
pub(crate) fn events() {
    let check = |event: &Shared<Event>, scene: &Scene, others: usize| {
        let was_set = event.is_set();
        event.set();
        event.clear();
        scene.await_ended(others);
        if event.is_set() || event.wait_timeout(Duration::ZERO) {
            return Err(Fault::broken("a clear event is set"));
        }
        Ok(u64::from(was_set))
    };
    let set = |sleepers: usize| {
        let mut scenario = Scenario::new(format!("Event::set, {sleepers} asleep"), event);
        for sleeper in 1..=sleepers {
            scenario = scenario.bystander(format!("waiter {sleeper}"), |event, _| event.wait());
        }
        scenario
            .victim(|event, scene| {
                warm();
                scene.begin();
                event.set();
                scene.end();
            })
            .settles(move |event, scene| {
                !event.is_set() || (0..sleepers).all(|seat| scene.has_ended(seat))
            })
            .check(move |event, scene| check(event, scene, sleepers))
    };
    let clear = Scenario::new("Event::clear", || {
        let event = event();
        event.set();
        event
    })
    .victim(|event, scene| {
        scene.begin();
        event.clear();
        scene.end();
    })
    .check(move |event, scene| check(event, scene, 0).map(|was_set| 1 - was_set));
    let wait = Scenario::new("Event::wait, one more asleep", event)
        .bystander("a setter", |event, scene| {
            scene.hold();
            event.set();
        })
        .bystander("a waiter", |event, _| event.wait())
        .victim(|event, scene| {
            warm();
            scene.begin();
            event.wait();
            scene.end();
        })
        .wakes_sleeping_victim()
        .settles(|_, scene| scene.has_ended(0) && scene.has_ended(1))
        .check(move |event, scene| check(event, scene, 2));
    conclude("event", [set(0), set(1), set(2), clear, wait]);
}
