//! Random schedules: how many, from which seed, and how to see a failing one again.
//!
//! Half of a test's schedules are uniformly random, half of them have few preemptions at random places (PCT). A failure prints
//! its schedule; `OFFSPRING_SCHEDULE=<that> models/shuttle.sh <test>` runs it again. `SHUTTLE_RANDOM_SEED` starts elsewhere,
//! `OFFSPRING_SCHEDULES` says how many thousand schedules each test runs.

use crate::prim::mortal::{Killed, doom};
use crate::sync::model::party::Party;
use crate::sync::model::world::{World, random};
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::thread::{self, JoinHandle};
use shuttle::{Config, MaxSteps, Runner};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

const SEED: u64 = 1;
const PREEMPTIONS: usize = 4;
/// A schedule of more steps than that goes round in circles; most have a few hundred.
const STEPS_MAX: usize = 20_000;

/// Runs `thousands` schedules of the test, or what the environment says.
pub(crate) fn explore(thousands: usize, test: fn()) {
    if let Ok(schedule) = std::env::var("OFFSPRING_SCHEDULE") {
        return shuttle::replay(test, schedule.trim());
    }
    let wanted = std::env::var("OFFSPRING_SCHEDULES").ok().and_then(|text| text.parse().ok());
    let half = wanted.unwrap_or(thousands) * 500;
    let mut config = Config::new();
    config.silence_warnings = true;
    config.max_steps = MaxSteps::FailAfter(STEPS_MAX);
    Runner::new(RandomScheduler::new_from_seed(SEED, half), config.clone()).run(test);
    Runner::new(PctScheduler::new_from_seed(SEED, PREEMPTIONS, half), config).run(test);
}

/// Starts the party `id`, which dies at its `steps`-th step (0: never); whether it lived is the thread's result. `last_words`
/// runs at its death, before anybody knows.
pub(crate) fn start(
    world: &Arc<World>,
    id: u32,
    steps: u32,
    life: impl FnOnce(&Party) + Send + 'static,
    last_words: impl FnOnce(&Party) + Send + 'static,
) -> JoinHandle<bool> {
    let party = Party::new(world, id);
    thread::spawn(move || {
        doom(steps);
        let lived = catch_unwind(AssertUnwindSafe(|| life(&party)));
        doom(0);
        match lived {
            Ok(()) => true,
            Err(reason) if reason.is::<Killed>() => {
                last_words(&party);
                party.bury();
                false
            }
            Err(reason) => resume_unwind(reason),
        }
    })
}

/// For each of `parties`, when it dies: at most `deaths` of them do, each within `steps` steps.
pub(crate) fn fates(parties: usize, deaths: usize, steps: u32) -> Vec<u32> {
    let mut fates = vec![0; parties];
    for _ in 0..deaths {
        fates[random(parties as u32) as usize] = random(steps); // 0 is a long life
    }
    fates
}
