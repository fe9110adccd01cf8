#![doc = include_str!("README.md")]

mod deadlock;
mod objects;
mod observer;
mod pools;
mod queues;
mod report;
mod threads;
mod tree;

pub use self::{
    observer::{Observer, snapshot},
    report::{
        Deadlock, Death, Holder, Member, Object, Pool, Process, Queue, Seat, Snapshot, Thread, Wait,
    },
};
