#![doc = include_str!("README.md")]

mod builder;
mod desk;
mod end;
mod error;
mod job;
mod morgue;
mod owner;
mod plan;
mod shop;
mod slot;
mod submit;
mod supervisor;
mod task;
mod watch;
mod word;
mod worker;

pub use self::{
    builder::PoolBuilder,
    error::{TaskError, WorkerDeath},
    submit::{Pool, TaskOptions},
    task::Task,
};

use crate::queue::pacer::HandlePacer as Pacer;
