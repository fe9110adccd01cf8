//! Explores all executions of two parties, up to a number of preemptions.

use crate::sync::model::party::{Killed, Party};
use crate::sync::model::world::World;
use loom::model::Builder;
use loom::thread::{self, JoinHandle};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

/// Runs the test in every execution with at most `preemptions` preemptions.
pub(crate) fn explore(preemptions: usize, test: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    builder.check(test);
}

/// Starts the party `id`, which dies at its `call`-th call of the kernel (0: never); whether it lived is the thread's result.
pub(crate) fn start(
    world: &Arc<World>,
    id: u32,
    call: u32,
    life: impl FnOnce(&Party) + 'static,
) -> JoinHandle<bool> {
    let party = Party::new(world, id);
    thread::spawn(move || {
        party.doom(call);
        match catch_unwind(AssertUnwindSafe(|| life(&party))) {
            Ok(()) => true,
            Err(reason) if reason.is::<Killed>() => {
                party.bury();
                false
            }
            Err(reason) => resume_unwind(reason),
        }
    })
}
