#![cfg_attr(not(any(loom, shuttle)), doc = include_str!("README.md"))]

pub(crate) mod cond_core;
pub(crate) mod event_core;
pub(crate) mod event_count;
pub(crate) mod kernel;
pub(crate) mod lock_core;
#[cfg(all(test, any(loom, shuttle)))]
pub(crate) mod model;

#[cfg(not(any(loom, shuttle)))]
mod condvar;
#[cfg(not(any(loom, shuttle)))]
mod counter;
#[cfg(not(any(loom, shuttle)))]
mod event;
#[cfg(not(any(loom, shuttle)))]
pub(crate) mod linux;
#[cfg(not(any(loom, shuttle)))]
mod mutex;
#[cfg(not(any(loom, shuttle)))]
mod owner_died;
#[cfg(not(any(loom, shuttle)))]
mod raw_mutex;

#[cfg(not(any(loom, shuttle)))]
pub use self::{
    condvar::{Condvar, WaitTimeoutResult},
    counter::Counter,
    event::Event,
    mutex::{Mutex, MutexGuard},
    owner_died::{LockError, Owner, OwnerDied},
    raw_mutex::RawMutex,
};
