#![doc = include_str!("README.md")]

mod deadlock;
mod logger;
mod objects;
mod observer;
mod pools;
mod queues;
mod record;
mod relay;
mod report;
#[cfg(feature = "tracing")]
mod spans;
mod threads;
mod tree;

#[cfg(feature = "tracing")]
pub use self::spans::ProcessLayer;
pub use self::{
    logger::{log_to, log_to_stderr},
    observer::{Observer, snapshot},
    record::LogRecord,
    relay::{LogRelay, log_through},
    report::{
        Deadlock, Death, Holder, Member, Object, Pool, Process, Queue, Seat, Snapshot, Thread, Wait,
    },
};
