#![cfg_attr(not(any(loom, shuttle)), doc = include_str!("README.md"))]

pub(crate) mod ring_core;
pub(crate) mod work;

#[cfg(not(any(loom, shuttle)))]
mod ends;
#[cfg(not(any(loom, shuttle)))]
mod error;
#[cfg(not(any(loom, shuttle)))]
mod iter;
#[cfg(not(any(loom, shuttle)))]
mod plain;
#[cfg(not(any(loom, shuttle)))]
mod ring;

#[cfg(all(test, any(loom, shuttle)))]
mod model;

#[cfg(not(any(loom, shuttle)))]
pub use self::{
    ends::{Consumer, Producer},
    error::{
        RecvError, RecvTimeoutError, SendError, SendManyError, SendTimeoutError, TryRecvError,
        TrySendError,
    },
    iter::{Iter, TryIter},
    plain::Plain,
    ring::RingQueue,
    work::{
        DeadLetter, DeadLettersError, DecodeError, Delivery, JoinableQueue, QueueJoinError,
        Refusal, TaskDoneError, WorkLimits, WorkQueue, WorkRecvError, WorkSendError,
    },
};
