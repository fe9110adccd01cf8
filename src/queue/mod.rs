#![doc = include_str!("README.md")]

mod ends;
mod error;
mod iter;
mod plain;
mod ring;
pub(crate) mod ring_core;

pub use self::{
    ends::{Consumer, Producer},
    error::{
        RecvError, RecvTimeoutError, SendError, SendManyError, SendTimeoutError, TryRecvError,
        TrySendError,
    },
    iter::{Iter, TryIter},
    plain::Plain,
    ring::RingQueue,
};
