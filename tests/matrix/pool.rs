//! The pool's shared operations: take, start, finish, cancel, reap. There is no supervisor; the check does what it would do.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::Duration;

use offspring::pool::{Rehearsal, TaskError, TaskOptions};
use offspring::proof::{Fault, Scenario, Scene, Verdict};
use offspring::{Event, Shared, Task};

use crate::matrix::actors::warm;
use crate::{calibrate, coarse, conclude};

pub(crate) const CAPACITY: usize = 4;
const SEATS: u32 = 3;
/// What a log entry is about: a task's number is added.
pub(crate) const RAN: u64 = 1000;
pub(crate) const DIED: u64 = 2000;
pub(crate) const CANCELLED: u64 = 3000;
const TIMED_OUT: u64 = 4000;
const FAILED: u64 = 5000;

/// A pool with tasks in it; task n is in slot n - 1.
pub(crate) struct Rig {
    pub(crate) pool: Rehearsal,
    pub(crate) tasks: Vec<Task<[u64; 2]>>,
    /// For who must not end before another one has come so far.
    pub(crate) gate: Shared<Event>,
}

/// What this process's jobs use: they capture nothing.
pub(crate) static SCENE: OnceLock<Scene> = OnceLock::new();
thread_local! {
    static OWN: Cell<Option<Rc<Rig>>> = const { Cell::new(None) };
    static IS_FIRST: Cell<bool> = const { Cell::new(false) };
}

/// A note: a worker went on although it was robbed.
pub(crate) const GREEDY: usize = 0;
/// A note: so many slots, and one, were free when it should have been fewer.
pub(crate) const ROOM: usize = 1;

pub(crate) fn job(number: u64) -> [u64; 2] {
    SCENE.get().expect("a worker has a scene").log(RAN + number);
    [number, !number]
}

/// `count` tasks, which may be run again so often.
pub(crate) fn rig_of(count: u64, retries: u32) -> impl Fn() -> Rig {
    move || {
        calibrate();
        let pool = Rehearsal::new(CAPACITY, SEATS).expect("make a pool");
        let options = TaskOptions::new().retries(retries);
        let submit = |n| pool.pool().submit_with(options, job, n).expect("there is room");
        let tasks = (1..=count).map(submit).collect();
        Rig { pool, tasks, gate: Shared::new(Event::new()).expect("place an event") }
    }
}

/// A worker in `seat` for so many tasks.
pub(crate) fn works(seat: u32, tasks: u64) -> impl Fn(&Rig, &Scene) {
    move |rig, scene| {
        let _ = SCENE.set(scene.clone());
        warm();
        scene.begin();
        rig.pool.work(seat, tasks, true);
        scene.end();
    }
}

/// What came of a task, as a number.
pub(crate) fn outcome(number: u64, result: Result<[u64; 2], TaskError>) -> Result<u64, Fault> {
    match result {
        Ok(words) if words == [number, !number] => Ok(number),
        Ok(words) => Err(Fault::torn(format!("{words:?} of task {number}"))),
        Err(TaskError::WorkerDied(_)) => Ok(DIED + number),
        Err(TaskError::Cancelled) => Ok(CANCELLED + number),
        Err(TaskError::TimedOut) => Ok(TIMED_OUT + number),
        Err(TaskError::PoolFailed(_)) => Ok(FAILED + number),
        Err(other) => Err(Fault::broken(format!("task {number}: {other:?}"))),
    }
}

/// A client's thread: waits for task 1 and logs its outcome.
pub(crate) fn waiter(rig: &Rig, scene: &Scene) {
    let result = rig.tasks[0].wait_timeout(Duration::MAX).expect("no timeout");
    scene.log(outcome(1, result).unwrap_or(u64::MAX));
}

/// What the supervisor and other workers do after the death of the worker in seat 0.
pub(crate) fn clean_up(rig: &Rig, scene: &Scene) {
    let _ = SCENE.set(scene.clone());
    rig.pool.reap(0);
    for seat in 0..2 {
        rig.pool.work(seat, u64::MAX, false);
    }
}

pub(crate) fn runs(scene: &Scene, number: u64) -> u64 {
    scene.logged().iter().filter(|&&entry| entry == RAN + number).count() as u64
}

/// Each task from the `from`th on has one outcome, and was not run more often than it has attempts; these outcomes in order.
pub(crate) fn collect(rig: &Rig, scene: &Scene, from: usize) -> Result<Vec<u64>, Fault> {
    let mut outcomes = Vec::new();
    for (index, task) in rig.tasks.iter().enumerate().skip(from) {
        let number = index as u64 + 1;
        let standing = rig.pool.standing(index as u32);
        let Some(result) = task.try_wait() else {
            return Err(Fault::lost(format!("task {number} will have no outcome: {standing:?}")));
        };
        let (ran, outcome) = (runs(scene, number), outcome(number, result)?);
        if ran > u64::from(standing.attempts) {
            return Err(Fault::doubled(format!("task {number} ran {ran} times, {standing:?}")));
        }
        if outcome == number && ran == 0 {
            return Err(Fault::broken(format!("task {number} has a value and was never run")));
        }
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

/// All slots are free again, and new tasks in them are run once.
pub(crate) fn is_whole(rig: &Rig, scene: &Scene) -> Verdict {
    has_room(rig, scene, CAPACITY)
}

/// So many slots are free, and new tasks in them are run once.
pub(crate) fn has_room(rig: &Rig, scene: &Scene, slots: usize) -> Verdict {
    let room = rig.pool.room();
    if room != slots {
        return Err(Fault::lost(format!("room for {room} tasks")));
    }
    let fresh: Vec<_> =
        (0..slots as u64).map(|n| rig.pool.pool().submit(job, 100 + n).unwrap()).collect();
    rig.pool.work(2, u64::MAX, false);
    for (number, task) in (100..).zip(fresh) {
        let result = task.try_wait();
        let result = result.ok_or_else(|| Fault::lost(format!("task {number}, a new one")))?;
        if outcome(number, result)? != number || runs(scene, number) != 1 {
            return Err(Fault::doubled(format!("task {number}, a new one")));
        }
    }
    // Encoding allocates, and the way through the allocator varies: no effect is told.
    Ok(0)
}

/// A worker takes, runs and finishes tasks.
fn runs_tasks(name: &str, tasks: u64, retries: u32) -> Scenario<Rig> {
    let scenario = Scenario::new(name, rig_of(2, retries)).victim(works(0, tasks));
    scenario.every(coarse(4)).check(move |rig, scene| {
        let ran_before = runs(scene, 1);
        clean_up(rig, scene);
        let outcomes = collect(rig, scene, 0)?;
        let is_right = |number: u64| match outcomes[number as usize - 1] {
            outcome if outcome == number => retries > 0 || runs(scene, number) == 1,
            outcome => outcome == DIED + number && retries == 0 && !scene.is_finished(),
        };
        // One death costs one task at most.
        let died = outcomes.iter().filter(|&&outcome| outcome > DIED).count();
        if !(1..=2).all(is_right) || died > 1 {
            return Err(Fault::broken(format!("{outcomes:?}, run {ran_before} times before")));
        }
        is_whole(rig, scene)
    })
}

/// Alone.
pub(crate) fn alone() {
    conclude(
        "pool-runs",
        vec![
            runs_tasks("take, run, finish one of two", 1, 0),
            runs_tasks("take, run, finish one of two, retried", 1, 1),
            runs_tasks("take, run, finish two", 2, 0),
        ],
    );
}

/// Somebody sleeps until the victim's task has an outcome.
pub(crate) fn awaited() {
    let worker = |name: &str, retries: u32| {
        Scenario::new(name, rig_of(1, retries))
            .bystander("a waiter", waiter)
            .victim(works(0, 1))
            .every(coarse(8))
            .settles(move |rig, scene| {
                let standing = rig.pool.standing(0);
                let may_run = standing.is_running && standing.attempts <= retries;
                scene.has_ended(0) || standing.is_queued || may_run
            })
            .check(move |rig, scene| {
                clean_up(rig, scene);
                scene.await_ended(1);
                let logged = scene.logged();
                let outcomes: Vec<_> = logged.iter().filter(|&&n| n != RAN + 1).collect();
                match (outcomes.as_slice(), runs(scene, 1)) {
                    ([1], ran) if ran == 1 || ran == 2 && retries == 1 => Ok(0),
                    ([2001], 0 | 1) if retries == 0 && !scene.is_finished() => Ok(0),
                    _ => Err(Fault::broken(format!("{logged:?}"))),
                }
            })
    };
    let late = || {
        let rig = rig_of(0, 0)();
        let options = TaskOptions::new().timeout(Duration::ZERO);
        let task = rig.pool.pool().submit_with(options, job, 1).expect("there is room");
        Rig { tasks: vec![task], ..rig }
    };
    let expires = Scenario::new("a deadline passes, one waits", late)
        .victim(|rig, scene| {
            warm();
            rig.pool.supervise();
            scene.begin();
            rig.pool.expire();
            scene.end();
        })
        .follower("a waiter", waiter)
        .settles(|_, scene| scene.has_ended(0))
        .check(|_, scene| match scene.logged()[..] {
            [4001] => Ok(1),
            [5001] if !scene.is_finished() => Ok(0),
            ref other => Err(Fault::broken(format!("{other:?}"))),
        });
    conclude(
        "pool-awaited",
        vec![
            worker("run a task, one waits", 0),
            worker("run a task, retried, one waits", 1),
            expires,
        ],
    );
}

/// The task is cancelled as it runs: its worker takes no other (P2), and its slot is not free while that worker lives (P3).
pub(crate) fn taken_away() {
    let rig = || {
        let rig = rig_of(0, 0)();
        let robbed = rig.pool.pool().submit(robs, 1).expect("there is room");
        let other = rig.pool.pool().submit(job, 2).expect("there is room");
        Rc::new(Rig { tasks: vec![robbed, other], ..rig })
    };
    let scenario = Scenario::new("cancelled as it runs", rig)
        .every(coarse(4))
        .victim(|rig, scene| {
            let _ = SCENE.set(scene.clone());
            OWN.set(Some(Rc::clone(rig)));
            warm();
            scene.begin();
            if rig.pool.work(0, 2, true) {
                scene.note(GREEDY, 1);
            }
            scene.end();
        })
        .check(|rig, scene| {
            clean_up(rig, scene);
            let outcomes = collect(rig, scene, 0)?;
            if scene.noted(GREEDY) != 0 || scene.noted(ROOM) != 0 {
                let notes = [scene.noted(GREEDY), scene.noted(ROOM)];
                return Err(Fault::broken(format!("went on, room + 1: {notes:?}")));
            }
            match outcomes[..] {
                [1 | 2001, 2] if !scene.is_finished() => is_whole(rig, scene),
                [3001, 2] if runs(scene, 1) == 1 => is_whole(rig, scene),
                _ => Err(Fault::broken(format!("{outcomes:?}"))),
            }
        });
    conclude("pool-taken", vec![scenario]);
}

/// The victim's own handles, for its job.
fn robs(number: u64) -> [u64; 2] {
    let words = job(number);
    let Some(rig) = OWN.take() else { return words };
    if rig.tasks[0].cancel() {
        let _ = rig.tasks[0].try_wait();
        if rig.pool.room() != CAPACITY - rig.tasks.len() {
            SCENE.get().expect("a worker has a scene").note(ROOM, 1 + rig.pool.room() as u64);
        }
    }
    words
}

/// The next worker in a dead one's seat, and who reaps, die as well.
pub(crate) fn double_faults() {
    // The first one dies in the job, having marked its end there.
    let rig = |retries: u32| {
        move || {
            let rig = rig_of(0, 0)();
            let options = TaskOptions::new().retries(retries);
            let first = rig.pool.pool().submit_with(options, ends, 1).expect("there is room");
            let other = rig.pool.pool().submit_with(options, job, 2).expect("there is room");
            Rig { tasks: vec![first, other], ..rig }
        }
    };
    let dies_in_job = |rig: &Rig, scene: &Scene| {
        let _ = SCENE.set(scene.clone());
        IS_FIRST.set(true);
        warm();
        scene.begin();
        rig.pool.work(0, 1, true);
    };
    let checked = |scenario: Scenario<Rig>, last: u32| {
        scenario.check(move |rig, scene| {
            clean_up(rig, scene);
            let attempts = rig.pool.standing(0).attempts;
            match collect(rig, scene, 0)?[..] {
                [1, 2] if attempts <= last => is_whole(rig, scene),
                [2001, 2] if attempts == last => is_whole(rig, scene),
                ref other => Err(Fault::broken(format!("{other:?}, {attempts} attempts"))),
            }
        })
    };
    let inherits = Scenario::new("a worker died in a task, the next in its seat dies", rig(1))
        .first_victim(usize::MAX, dies_in_job)
        .victim(works(0, 1))
        .every(coarse(5));
    let anywhere = Scenario::new("a worker died anywhere, the next in its seat dies", rig_of(2, 1))
        .first_victim(coarse(401), works(0, 1))
        .victim(works(0, 1))
        .every(coarse(41));
    let reaps = Scenario::new("a worker died in its last attempt, who reaps dies", rig(0))
        .first_victim(usize::MAX, dies_in_job)
        .victim(|rig, scene| {
            warm();
            scene.begin();
            rig.pool.reap(0);
            scene.end();
        });
    let scenarios = vec![checked(inherits, 2), checked(anywhere, 2), checked(reaps, 1)];
    conclude("pool-double", scenarios);
}

/// The first victim's job ends in its end marker.
fn ends(number: u64) -> [u64; 2] {
    let words = job(number);
    if IS_FIRST.get() {
        SCENE.get().expect("a worker has a scene").end();
    }
    words
}
