#![cfg_attr(not(any(loom, shuttle)), doc = include_str!("README.md"))]

pub(crate) mod event_count;
pub(crate) mod kernel;
pub(crate) mod lock_core;
#[cfg(all(test, any(loom, shuttle)))]
pub(crate) mod model;
pub(crate) mod rw_core;

#[cfg(not(any(loom, shuttle)))]
mod counter;
#[cfg(not(any(loom, shuttle)))]
pub(crate) mod linux;
#[cfg(not(any(loom, shuttle)))]
mod mutex;
#[cfg(not(any(loom, shuttle)))]
mod owner_died;
#[cfg(not(any(loom, shuttle)))]
mod raw_mutex;
#[cfg(not(any(loom, shuttle)))]
mod rwlock;
#[cfg(not(any(loom, shuttle)))]
mod rwlock_guards;

#[cfg(not(any(loom, shuttle)))]
pub use self::{
    counter::Counter,
    mutex::{Mutex, MutexGuard},
    owner_died::{LockError, Owner, OwnerDied},
    raw_mutex::RawMutex,
    rwlock::{RwLock, RwLockReadError, RwLockWriteError},
    rwlock_guards::{RwLockReadGuard, RwLockWriteGuard},
};
