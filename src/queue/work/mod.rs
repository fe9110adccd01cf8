//! Queues whose items are delivered and acknowledged: `WorkQueue`, and `JoinableQueue` over it.

pub(crate) mod blocks;
pub(crate) mod core;
pub(crate) mod list;
pub(crate) mod slot;
pub(crate) mod table;

#[cfg(not(any(loom, shuttle)))]
mod delivery;
#[cfg(not(any(loom, shuttle)))]
mod error;
#[cfg(not(any(loom, shuttle)))]
mod iter;
#[cfg(not(any(loom, shuttle)))]
mod joinable;
#[cfg(not(any(loom, shuttle)))]
mod queue;
#[cfg(not(any(loom, shuttle)))]
mod store;

#[cfg(not(any(loom, shuttle)))]
pub use self::{
    delivery::{DeadLetter, Delivery},
    error::{DeadLettersError, QueueJoinError, TaskDoneError},
    iter::{Deliveries, Tasks},
    joinable::JoinableQueue,
    queue::WorkQueue,
    store::WorkLimits,
};
