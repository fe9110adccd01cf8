#![cfg_attr(not(any(loom, shuttle)), doc = include_str!("README.md"))]

pub(crate) mod barrier_core;
pub(crate) mod cond_core;
pub(crate) mod event_core;
pub(crate) mod event_count;
pub(crate) mod kernel;
pub(crate) mod lock_core;
#[cfg(all(test, any(loom, shuttle)))]
pub(crate) mod model;
pub(crate) mod monitor;
pub(crate) mod once_core;
pub(crate) mod patience;
pub(crate) mod rw_core;
pub(crate) mod semaphore_core;

#[cfg(not(any(loom, shuttle)))]
mod barrier;
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
mod once;
#[cfg(not(any(loom, shuttle)))]
mod owner_died;
#[cfg(not(any(loom, shuttle)))]
mod raw_mutex;
#[cfg(not(any(loom, shuttle)))]
mod reentrant;
#[cfg(not(any(loom, shuttle)))]
pub(crate) mod rwlock;
#[cfg(not(any(loom, shuttle)))]
mod rwlock_guards;
#[cfg(not(any(loom, shuttle)))]
mod semaphore;
#[cfg(not(any(loom, shuttle)))]
mod takeover;

#[cfg(not(any(loom, shuttle)))]
pub use self::{
    barrier::{Barrier, BarrierError, BarrierWaitResult, Party},
    condvar::{Condvar, WaitTimeoutResult},
    counter::Counter,
    event::Event,
    mutex::{Mutex, MutexGuard},
    once::OnceLock,
    owner_died::{LockError, Owner, OwnerDied},
    raw_mutex::RawMutex,
    reentrant::{ReentrantMutex, ReentrantMutexError, ReentrantMutexGuard},
    rwlock::{RwLock, RwLockReadError, RwLockWriteError},
    rwlock_guards::{RwLockReadGuard, RwLockWriteGuard},
    semaphore::{AcquireError, Permit, Semaphore},
};
