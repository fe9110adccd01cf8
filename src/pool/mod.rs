#![doc = include_str!("README.md")]

mod annex;
mod builder;
mod chunk;
mod desk;
mod end;
mod error;
mod future;
mod imap;
mod job;
mod map;
mod morgue;
pub(crate) mod outside;
mod owner;
mod passage;
mod plan;
#[cfg(feature = "kill-matrix")]
mod rehearsal;
mod several;
mod shop;
mod slot;
mod stopper;
mod submit;
mod supervisor;
mod task;
mod tour;
mod values;
mod watch;
mod wire;
mod word;
mod worker;

pub use self::{
    builder::PoolBuilder,
    error::{TaskError, WorkerDeath},
    imap::Imap,
    map::MapOptions,
    several::{AsCompleted, Waited, When, as_completed, wait},
    stopper::Stopper,
    submit::{Pool, TaskOptions},
    task::Task,
};

#[cfg(feature = "kill-matrix")]
#[doc(hidden)]
pub use self::rehearsal::{Rehearsal, Standing};

use crate::queue::pacer::HandlePacer as Pacer;
