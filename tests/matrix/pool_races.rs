//! The pool's shared operations where several do something to one task, the client's own steps, and the slots that come free.

use offspring::Task;
use offspring::pool::{TaskError, TaskOptions};
use offspring::proof::{Fault, Scenario, Scene, Verdict};
use std::time::Duration;

use crate::matrix::actors::warm;
use crate::matrix::pool::*;
use crate::{coarse, conclude};

/// A note: what `cancel` said, and one.
const CANCEL: usize = 2;
/// What nobody had as an outcome: task 1 timed out, the supervisor is gone.
const LATE: u64 = 4001;
const BROKEN: u64 = 5001;
const KILLED: u64 = DIED + 1;
const TAKEN: u64 = CANCELLED + 1;

fn enter(scene: &Scene) {
    let _ = SCENE.set(scene.clone());
    warm();
}

fn own_scene() -> &'static Scene {
    SCENE.get().expect("a worker has a scene")
}

/// The sweep begins at the end of this job: what follows is the commit.
fn begins(number: u64) -> [u64; 2] {
    let words = job(number);
    own_scene().begin();
    words
}

/// A job that is in the midst until the victim is dead, or held.
fn holds(number: u64) -> [u64; 2] {
    let words = job(number);
    own_scene().hold();
    words
}

fn submitted(
    rig: Rig,
    options: TaskOptions,
    task: impl FnOnce(&Rig, TaskOptions) -> Task<[u64; 2]>,
) -> Rig {
    let task = task(&rig, options);
    Rig { tasks: vec![task], ..rig }
}

fn beginning() -> Rig {
    submitted(rig_of(0, 0)(), TaskOptions::new(), |rig, options| {
        rig.pool.pool().submit_with(options, begins, 1).expect("there is room")
    })
}

fn late_and_held() -> Rig {
    let options = TaskOptions::new().timeout(Duration::ZERO);
    let rig = submitted(rig_of(0, 0)(), options, |rig, options| {
        rig.pool.pool().submit_with(options, holds, 1).expect("there is room")
    });
    let other = rig.pool.pool().submit(job, 2).expect("there is room");
    let tasks = rig.tasks.into_iter().chain([other]).collect();
    Rig { tasks, ..rig }
}

fn cancels(rig: &Rig, scene: &Scene) {
    scene.note(CANCEL, 1 + u64::from(rig.tasks[0].cancel()));
}

/// Cancels when the victim is dead, or held.
fn late_canceller(rig: &Rig, scene: &Scene) {
    warm();
    scene.hold();
    cancels(rig, scene);
}

/// Who waited was told this of task 1, and it is true; by `cancel`'s word as well.
fn told(rig: &Rig, scene: &Scene) -> Result<u64, Fault> {
    let logged = scene.logged();
    let others: Vec<u64> = logged.iter().copied().filter(|n| !(RAN..DIED).contains(n)).collect();
    let outcomes: Vec<u64> = match others.is_empty() {
        true => return Err(Fault::lost("who waits was told nothing")),
        false => others,
    };
    let [told] = outcomes[..] else { return Err(Fault::doubled(format!("{logged:?}"))) };
    let result = rig.tasks[0].try_wait().ok_or_else(|| Fault::lost("no outcome is left"))?;
    // Who waited has taken a value, and given the slot back.
    let left = match result {
        Err(TaskError::Taken) => told,
        result => outcome(1, result)?,
    };
    let (ran, cancel) = (runs(scene, 1), scene.noted(CANCEL));
    let is_right = left == told
        && ran <= 1
        && (told != 1 || ran == 1)
        && (cancel == 0 || (cancel == 2) == (told == TAKEN));
    match is_right {
        true => Ok(told),
        false => Err(Fault::broken(format!("{logged:?}, {left} is left, cancel: {cancel}"))),
    }
}

/// As `told`, and it is one of these; then everything goes on.
fn ends_in(rig: &Rig, scene: &Scene, outcomes: &[u64]) -> Verdict {
    let told = told(rig, scene)?;
    if !outcomes.contains(&told) || (scene.noted(GREEDY) == 2) != (told == 1) {
        return Err(Fault::broken(format!("{told}, went on + 1: {}", scene.noted(GREEDY))));
    }
    enter(scene);
    is_whole(rig, scene)
}

/// The client is killed in the midst of its own steps. (Its pool dies with it: nobody waits for what it left. Its threads go on only
/// if it lives.) Nothing that others do is harmed.
pub(crate) fn clients() {
    let submit = Scenario::new("submit, a task queued before", rig_of(1, 0))
        .victim(|rig, scene| {
            warm();
            scene.begin();
            std::mem::forget(rig.pool.pool().submit(job, 2));
            scene.end();
        })
        .every(coarse(2))
        .check(|rig, scene| {
            if !rig.pool.set_aside() {
                return Err(Fault::broken("no slot for the victim"));
            }
            clean_up(rig, scene);
            let outcomes = collect(rig, scene, 0)?;
            let (standing, ran) = (rig.pool.standing(1), runs(scene, 2));
            let is_right = match ran {
                0 => !scene.is_finished() && !standing.is_running && !standing.is_outcome,
                _ => ran == 1 && standing.is_outcome,
            };
            if outcomes != [1] || !is_right || scene.logged().len() as u64 != 1 + ran {
                let logged = scene.logged();
                return Err(Fault::broken(format!("{outcomes:?}, {standing:?}, {logged:?}")));
            }
            has_room(rig, scene, CAPACITY - 1)
        });
    let cancel = Scenario::new("cancel, queued", rig_of(2, 0))
        .victim(|rig, scene| {
            warm();
            scene.begin();
            cancels(rig, scene);
            scene.end();
        })
        .check(|rig, scene| {
            clean_up(rig, scene);
            let outcomes = collect(rig, scene, 0)?;
            match (&outcomes[..], runs(scene, 1), scene.noted(CANCEL)) {
                ([TAKEN, 2], 0, 0 | 2) => {}
                ([1, 2], 1, 0) if !scene.is_finished() => {}
                other => return Err(Fault::broken(format!("{other:?}"))),
            }
            is_whole(rig, scene)
        });
    conclude("pool-clients", vec![submit, cancel]);
}

fn waits_and_opens(rig: &Rig, scene: &Scene) {
    waiter(rig, scene);
    rig.gate.set();
}

/// Nobody dies: one is held at every instruction while the others do all that they can.
pub(crate) fn held_up() {
    // It outlives its one task, so that nobody who waits wakes up because it has ended.
    let victim = |rig: &Rig, scene: &Scene| {
        enter(scene);
        let is_well = rig.pool.work(0, 1, true);
        scene.note(GREEDY, 1 + u64::from(is_well));
        scene.end();
        rig.gate.wait();
    };
    let one_comes = Scenario::new("a worker is held, one comes to wait", beginning)
        .bystander("a waiter", |rig, scene| {
            warm();
            scene.hold();
            waits_and_opens(rig, scene);
        })
        .victim(victim)
        .every(coarse(2))
        .settles(|_, scene| scene.has_ended(0))
        .check(|rig, scene| ends_in(rig, scene, &[1]));
    let cancelled = Scenario::new("a worker is held, another cancels, one waits", beginning)
        .bystander("a waiter", waits_and_opens)
        .bystander("a canceller", late_canceller)
        .victim(victim)
        .every(coarse(7))
        .settles(|_, scene| scene.has_ended(0) && scene.has_ended(1))
        .check(|rig, scene| ends_in(rig, scene, &[1, TAKEN]));
    let late_worker = |rig: &Rig, scene: &Scene| {
        enter(scene);
        // Whoever sleeps was told of its birth before this.
        let is_well = rig.pool.work_after(0, 1, true, || own_scene().hold());
        scene.note(GREEDY, 1 + u64::from(is_well));
        rig.gate.wait();
    };
    let waits = Scenario::new("a waiter is held, a worker comes", rig_of(1, 0))
        .bystander("a worker", late_worker)
        .victim(|rig, scene| {
            warm();
            scene.begin();
            rig.pool.await_asleep(0);
            waits_and_opens(rig, scene);
            scene.end();
        })
        .settles(|_, scene| scene.has_ended(0))
        .every(coarse(5))
        .check(|rig, scene| ends_in(rig, scene, &[1]));
    let canceller = Scenario::new("a canceller is held, a worker comes, one waits", rig_of(1, 0))
        .bystander("a waiter", waiter)
        .bystander("a worker", |rig, scene| {
            enter(scene);
            scene.hold();
            rig.pool.work(0, 1, false);
        })
        .victim(|rig, scene| {
            warm();
            scene.begin();
            cancels(rig, scene);
            scene.end();
        })
        .settles(|_, scene| scene.has_ended(0) && scene.has_ended(1))
        .check(|rig, scene| {
            let told = told(rig, scene)?;
            enter(scene);
            match runs(scene, 1) == u64::from(told == 1) {
                true => is_whole(rig, scene),
                false => Err(Fault::broken(format!("{told}, {:?}", scene.logged()))),
            }
        });
    let waits = waits.wakes_sleeping_victim();
    let scenarios = [waits, canceller, one_comes, cancelled];
    conclude("pool-held-up", scenarios.map(Scenario::pauses));
}

/// One dies who does something to a task, and another one does something else to it.
pub(crate) fn taken_away() {
    let dies = Scenario::new("a worker dies in its commit, another cancels, one waits", beginning)
        .bystander("a waiter", waiter)
        .bystander("a canceller", late_canceller)
        .victim(|rig, scene| {
            enter(scene);
            rig.pool.work(0, 1, true);
            scene.end();
        })
        .every(coarse(2))
        .settles(|_, scene| scene.has_ended(0) && scene.has_ended(1))
        .check(|rig, scene| {
            let told = told(rig, scene)?;
            if scene.is_finished() && told != 1 || ![1, KILLED, TAKEN].contains(&told) {
                return Err(Fault::broken(format!("{told}")));
            }
            enter(scene);
            is_whole(rig, scene)
        });
    let expires = Scenario::new("a deadline passes as it runs, one waits", late_and_held)
        .bystander("a worker", |rig, scene| {
            enter(scene);
            scene.note(GREEDY, 1 + u64::from(rig.pool.work(0, 2, false)));
        })
        .follower("a waiter", waiter)
        .victim(|rig, scene| {
            warm();
            rig.pool.supervise();
            scene.begin();
            rig.pool.expire();
            scene.end();
        })
        .settles(|_, scene| scene.has_ended(0) && scene.has_ended(1))
        .check(|rig, scene| {
            let told = told(rig, scene)?;
            let is_right = match told {
                LATE => true,
                1 | BROKEN => !scene.is_finished(),
                _ => false,
            };
            if !is_right || runs(scene, 2) > 1 || (scene.noted(GREEDY) == 2) != (told == 1) {
                let went_on = scene.noted(GREEDY);
                return Err(Fault::broken(format!("{told}, went on + 1: {went_on}")));
            }
            Ok(0)
        });
    conclude("pool-taken-away", vec![dies, expires]);
}

/// Slots whose tasks are over while their numbers are in the ring (P3, P5).
pub(crate) fn rooms() {
    // As many tasks as there are slots, all cancelled: each slot is free as soon as a worker has taken its number out.
    let full = || {
        let rig = rig_of(CAPACITY as u64, 0)();
        for task in &rig.tasks {
            assert!(task.cancel());
            let _ = task.try_wait();
        }
        rig
    };
    let comes_free = Scenario::new("submit, full of cancelled tasks, held; a worker comes", full)
        .bystander("a worker", |rig, scene| {
            enter(scene);
            // Whoever sleeps was told of its birth before this.
            rig.pool.work_after(0, 1, true, || own_scene().hold());
        })
        .victim(|rig, scene| {
            warm();
            scene.note(ROOM, rig.pool.room() as u64);
            scene.begin();
            let task = rig.pool.pool().submit(job, 9).expect("the pool is open");
            scene.end();
            std::mem::forget(task);
        })
        .wakes_sleeping_victim()
        .pauses()
        .every(coarse(12))
        .settles(|_, scene| scene.has_ended(0))
        .check(|_, scene| match (scene.noted(ROOM), runs(scene, 9)) {
            (0, 1) => Ok(0),
            other => Err(Fault::broken(format!("room and runs: {other:?}"))),
        });
    // The dead one's number may still be in the ring when its slot has a new tenant: that one must wait for its own turn.
    let new_tenant = Scenario::new("a worker dies, its slot has a new tenant", rig_of(2, 0))
        .victim(works(0, 1))
        .every(coarse(2))
        .check(|rig, scene| {
            enter(scene);
            rig.pool.reap(0);
            let _ = rig.tasks[0].try_wait();
            let third = rig.pool.pool().submit(job, 3).expect("there is room");
            rig.pool.work(1, u64::MAX, false);
            let ran: Vec<u64> =
                scene.logged().iter().map(|n| n - RAN).filter(|&n| n != 1).collect();
            let third = third.try_wait().ok_or_else(|| Fault::lost("the new tenant"))?;
            if ran != [2, 3] || outcome(3, third)? != 3 || runs(scene, 1) > 1 {
                return Err(Fault::broken(format!("{:?}", scene.logged())));
            }
            let _ = collect(rig, scene, 1)?;
            let _ = rig.tasks[0].try_wait();
            is_whole(rig, scene)
        });
    conclude("pool-rooms", vec![comes_free, new_tenant]);
}
