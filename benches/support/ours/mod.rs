//! The one place that names the crate under test: the lock, the ring queue and children here, the rest beside this file.

pub(crate) mod par;
pub(crate) mod pipe;
pub(crate) mod pool;
pub(crate) mod queue;
pub(crate) mod sync;

use crate::support::locks::{Lock, OutlivesOwner};
use crate::support::rings::Message;
use offspring::process::ForkServer;
pub(crate) use offspring::queue::RingQueue;
use offspring::shm::Shared;
use offspring::sync::{LockError, Mutex};
use std::sync::OnceLock;

/// `Shared<Mutex<u64>>`, as a program would use it.
pub(crate) struct SharedMutex(Shared<Mutex<u64>>);

impl SharedMutex {
    pub(crate) fn new() -> SharedMutex {
        SharedMutex(Shared::new(Mutex::new(0)).expect("a shared mutex"))
    }
}

impl Lock for SharedMutex {
    #[inline(always)]
    fn add_one(&self) {
        *self.0.lock().expect("no death while locked") += 1;
    }

    fn value(&self) -> u64 {
        *self.0.lock().expect("no death while locked")
    }
}

impl OutlivesOwner for SharedMutex {
    fn hold(&self) {
        std::mem::forget(self.0.lock().expect("no death while locked"));
    }

    fn lock_after_death(&self) -> bool {
        match self.0.lock() {
            Err(LockError::OwnerDied(died)) => {
                *died.recover() += 1;
                true
            }
            _ => false,
        }
    }
}

/// A queue of our own for `capacity` messages.
pub(crate) fn queue<T: Message>(capacity: usize) -> RingQueue<T> {
    RingQueue::new(capacity).expect("a ring queue")
}

/// Spawns a child that does nothing, and joins it.
pub(crate) fn spawn_empty() {
    offspring::process::spawn(|| ()).expect("spawn").join().expect("join");
}

static SERVER: OnceLock<ForkServer> = OnceLock::new();

/// Starts the fork server for [`spawn_by_server`].
pub(crate) fn start_server() {
    SERVER.get_or_init(|| ForkServer::start().expect("a fork server"));
}

/// Has the fork server spawn a child that does nothing, and joins it.
pub(crate) fn spawn_by_server() {
    let server = SERVER.get().expect("started before");
    server.spawn(|()| (), ()).expect("spawn").join().expect("join");
}

/// Spawns a child that returns a small vector, and joins it.
pub(crate) fn spawn_with_result() {
    let numbers = offspring::process::spawn(|| vec![1_u64, 2, 3]).expect("spawn").join();
    assert_eq!(numbers.expect("join"), [1, 2, 3]);
}
