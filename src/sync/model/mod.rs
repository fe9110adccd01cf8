//! A kernel for the model checkers: what the cores ask of Linux, built from the checker's own lock and condition variable, so
//! that the checker knows who is blocked, and a lost wake-up is its deadlock.
//!
//! - `world`: what all threads of one model share: who sleeps on which word, who is alive;
//! - `party`: one thread of a model, with its pending pointer; implements [`Kernel`](crate::sync::kernel::Kernel);
//! - `beside`: a lock whose alarm is a word of its own, as condition variables need it;
//! - `time` (shuttle): deadlines that pass at random;
//! - `shuttle_run`: starts random schedules, and replays one;
//! - `loom_…`, `shuttle_…`: the tests of what is in `sync/`. Those of the queues are in `queue/model`.
//!
//! Nothing here is timed: no backstop, and a sleep without a deadline ends by a wake-up alone.

pub(crate) mod beside;
pub(crate) mod party;
pub(crate) mod world;

#[cfg(loom)]
mod loom_barrier;
#[cfg(loom)]
mod loom_cond;
#[cfg(loom)]
mod loom_lock;
#[cfg(loom)]
pub(crate) mod loom_run;
#[cfg(loom)]
mod loom_rw;

#[cfg(shuttle)]
mod shuttle_barrier;
#[cfg(shuttle)]
mod shuttle_cond;
#[cfg(shuttle)]
mod shuttle_event;
#[cfg(shuttle)]
mod shuttle_lock;
#[cfg(shuttle)]
mod shuttle_once;
#[cfg(shuttle)]
pub(crate) mod shuttle_run;
#[cfg(shuttle)]
mod shuttle_rw;
#[cfg(shuttle)]
mod shuttle_semaphore;
