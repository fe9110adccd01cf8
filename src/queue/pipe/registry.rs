//! The living ends of this process, so that a fork can be followed by what `move` means: an end that was moved into the child is
//! the child's alone, any other stays the parent's alone.
//!
//! fork(2) copies every descriptor, and each copy holds the end of the stream back. So the parent notes which ends go with the
//! closure that it drops after the fork ([`dropping`]), tells the child, and the child lets go of all others
//! ([`keep_only`]): it puts a stand-in on their numbers. A number that was merely closed would soon name something else, and values
//! that own or borrow it are still about.
//!
//! Invariants. **N1** An end is made, and closed, under the registry's lock, and the forking thread holds that lock across the
//! fork: the child's copy of the registry lists exactly the ends that it has copies of. **N2** An id is never used again.
//!
//! The children of a bare `fork()` keep copies of all ends, as fork does: nobody can say what was moved.

use crate::sys::{Errno, pidfd, socket};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

static REGISTRY: Mutex<Registry> =
    Mutex::new(Registry { last_id: 0, live: BTreeMap::new(), stand_in: None });

thread_local! {
    /// Ids of the ends that this thread drops, while it wants to know.
    static DROPPED: RefCell<Option<Vec<u64>>> = const { RefCell::new(None) };
}

/// See the file's head.
pub(crate) struct Registry {
    last_id: u64,
    live: BTreeMap<u64, RawFd>,
    /// What a let-go number names: always readable, and no socket. There while there are ends, so that a child at its limit of
    /// descriptors can let go as well.
    stand_in: Option<OwnedFd>,
}

/// The registry, locked: nobody makes or closes an end meanwhile.
pub(crate) fn lock() -> MutexGuard<'static, Registry> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Registry {
    /// Whether this process has no ends.
    pub(crate) fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    fn add(&mut self, fd: &OwnedFd) -> u64 {
        self.last_id += 1;
        self.live.insert(self.last_id, fd.as_raw_fd());
        self.last_id
    }

    fn remove(&mut self, id: u64) {
        self.live.remove(&id);
        if self.live.is_empty() {
            self.stand_in = None;
        }
    }

    fn make_stand_in(&mut self) -> Result<(), Errno> {
        if self.stand_in.is_none() {
            self.stand_in = Some(pidfd::ended()?);
        }
        Ok(())
    }
}

/// A descriptor that the registry knows.
#[derive(Debug)]
pub(super) struct Listed {
    /// `None` in mid-drop alone.
    fd: Option<OwnedFd>,
    id: u64,
}

impl Listed {
    /// Two connected ends.
    pub(super) fn pair() -> Result<(Listed, Listed), Errno> {
        let mut registry = lock();
        registry.make_stand_in()?;
        let (a, b) = socket::pair()?;
        let (a_id, b_id) = (registry.add(&a), registry.add(&b));
        Ok((Listed { fd: Some(a), id: a_id }, Listed { fd: Some(b), id: b_id }))
    }

    /// Another descriptor of the same end.
    pub(super) fn try_clone(&self) -> Result<Listed, Errno> {
        let mut registry = lock();
        registry.make_stand_in()?;
        let error =
            |error: std::io::Error| error.raw_os_error().map_or(Errno::EMFILE, Errno::from_raw);
        let fd = self.fd().try_clone().map_err(error)?;
        let id = registry.add(&fd);
        Ok(Listed { fd: Some(fd), id })
    }

    pub(super) fn fd(&self) -> &OwnedFd {
        self.fd.as_ref().expect("open until its drop")
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut registry = lock();
        drop(self.fd.take());
        registry.remove(self.id);
        // A thread that is ending records nothing.
        let _ = DROPPED.try_with(|dropped| {
            if let Some(ids) = &mut *dropped.borrow_mut() {
                ids.push(self.id);
            }
        });
    }
}

/// Drops `value`, and hands the ids of the ends that went with it to `tell`; also if the drop panics.
pub(crate) fn dropping<V>(value: V, tell: impl FnOnce(&[u64])) {
    /// Ends the recording, and gives what was recorded to the one around it too.
    struct Recording<F: FnOnce(&[u64])> {
        outer: Option<Vec<u64>>,
        tell: Option<F>,
    }
    impl<F: FnOnce(&[u64])> Drop for Recording<F> {
        fn drop(&mut self) {
            let outer = self.outer.take();
            let ids = DROPPED.with(|dropped| dropped.replace(outer)).unwrap_or_default();
            if let Some(tell) = self.tell.take() {
                tell(&ids);
            }
            DROPPED.with(|dropped| {
                if let Some(outer) = &mut *dropped.borrow_mut() {
                    outer.extend(ids);
                }
            });
        }
    }
    let outer = DROPPED.with(|dropped| dropped.replace(Some(Vec::new())));
    let _recording = Recording { outer, tell: Some(tell) };
    drop(value);
}

/// In a child: lets go of all ends but these, ids in ascending order. What it has let go says so when it is used.
pub(crate) fn keep_only(ids: &[u64]) -> Result<(), Errno> {
    let mut registry = lock();
    let Some(stand_in) = registry.stand_in.take() else { return Ok(()) };
    let mut kept = BTreeMap::new();
    let mut done = Ok(());
    for (id, fd) in std::mem::take(&mut registry.live) {
        if ids.binary_search(&id).is_ok() {
            kept.insert(id, fd);
        } else {
            done = done.and(socket::replace(fd, stand_in.as_fd()));
        }
    }
    registry.stand_in = (!kept.is_empty()).then_some(stand_in);
    registry.live = kept;
    done
}
