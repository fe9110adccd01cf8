#![cfg_attr(not(any(loom, shuttle)), doc = include_str!("README.md"))]

pub(crate) mod byte_ring;
pub(crate) mod gate;
pub(crate) mod gauge;
pub(crate) mod ring_core;
pub(crate) mod work;

#[cfg(not(any(loom, shuttle)))]
pub(crate) mod codec;
#[cfg(not(any(loom, shuttle)))]
mod ends;
#[cfg(not(any(loom, shuttle)))]
mod error;
#[cfg(not(any(loom, shuttle)))]
mod iter;
#[cfg(not(any(loom, shuttle)))]
mod message;
#[cfg(not(any(loom, shuttle)))]
mod message_error;
#[cfg(not(any(loom, shuttle)))]
pub(crate) mod pacer;
#[cfg(not(any(loom, shuttle)))]
pub mod pipe;
#[cfg(not(any(loom, shuttle)))]
mod plain;
#[cfg(not(any(loom, shuttle)))]
mod pollable;
#[cfg(not(any(loom, shuttle)))]
mod ring;
#[cfg(not(any(loom, shuttle)))]
mod wait_any;

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
    message::{Messages, MessagesNow, Queue, View},
    message_error::{NotReceived, NotSent, Unsent},
    plain::Plain,
    pollable::Pollable,
    ring::RingQueue,
    wait_any::{try_wait_any, wait_any, wait_any_deadline, wait_any_timeout},
    work::{
        DeadLetter, DeadLettersError, Deliveries, Delivery, JoinableQueue, QueueJoinError,
        TaskDoneError, Tasks, WorkLimits, WorkQueue,
    },
};
