//! A number that two parties change in turn, waiting for each other on a condition variable; and an eventfd. Of the peers.
#![expect(unsafe_code, reason = "pthread condition variables, and the number under their mutex")]

use super::page::Page;
use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// A number under a lock, with a condition variable.
pub(crate) trait Turns: Sync {
    /// Locks, puts `mine` there, notifies one, waits until `theirs` stands there, unlocks.
    fn put_and_wait(&self, mine: u64, theirs: u64);

    /// Locks, waits until `theirs` stands there, puts `mine` there, notifies one, unlocks.
    fn wait_and_put(&self, theirs: u64, mine: u64);
}

/// `pthread_mutex_t` and `pthread_cond_t`, both PROCESS_SHARED.
pub(crate) struct PthreadTurns {
    mutex: UnsafeCell<libc::pthread_mutex_t>,
    condition: UnsafeCell<libc::pthread_cond_t>,
    number: UnsafeCell<u64>,
}

// SAFETY: mutex and condition are made to be shared, and the number is touched by the mutex's owner alone.
unsafe impl Sync for PthreadTurns {}

impl PthreadTurns {
    pub(crate) fn new() -> Page<PthreadTurns> {
        let page = Page::new(PthreadTurns {
            mutex: UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER),
            condition: UnsafeCell::new(libc::PTHREAD_COND_INITIALIZER),
            number: UnsafeCell::new(0),
        });
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: `attributes` is valid to write to.
        unsafe { libc::pthread_mutexattr_init(attributes.as_mut_ptr()) };
        // SAFETY: the call above has filled it.
        let mut attributes: libc::pthread_mutexattr_t = unsafe { attributes.assume_init() };
        // SAFETY: `attributes` has been initialised.
        unsafe {
            libc::pthread_mutexattr_setpshared(&mut attributes, libc::PTHREAD_PROCESS_SHARED)
        };
        // SAFETY: nobody uses the mutex yet; it stays where it is, in its page.
        let status = unsafe { libc::pthread_mutex_init(page.mutex.get(), &attributes) };
        assert_eq!(status, 0, "pthread_mutex_init");
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: `attributes` is valid to write to.
        unsafe { libc::pthread_condattr_init(attributes.as_mut_ptr()) };
        // SAFETY: the call above has filled it.
        let mut attributes: libc::pthread_condattr_t = unsafe { attributes.assume_init() };
        // SAFETY: `attributes` has been initialised.
        unsafe { libc::pthread_condattr_setpshared(&mut attributes, libc::PTHREAD_PROCESS_SHARED) };
        // SAFETY: nobody uses the condition yet; it stays where it is, in its page.
        let status = unsafe { libc::pthread_cond_init(page.condition.get(), &attributes) };
        assert_eq!(status, 0, "pthread_cond_init");
        page
    }

    fn lock(&self) {
        // SAFETY: `new` initialised the mutex, which never moves.
        unsafe { libc::pthread_mutex_lock(self.mutex.get()) };
    }

    fn unlock(&self) {
        // SAFETY: the caller owns the mutex.
        unsafe { libc::pthread_mutex_unlock(self.mutex.get()) };
    }

    /// The caller owns the mutex.
    fn put(&self, number: u64) {
        // SAFETY: the caller owns the mutex, so nobody else touches the number.
        unsafe { self.number.get().write(number) };
        // SAFETY: `new` initialised the condition, which never moves.
        unsafe { libc::pthread_cond_signal(self.condition.get()) };
    }

    /// The caller owns the mutex.
    fn wait(&self, number: u64) {
        // SAFETY: the caller owns the mutex, so nobody else touches the number.
        while unsafe { self.number.get().read() } != number {
            // SAFETY: `new` initialised both, neither moves, and the caller owns the mutex.
            unsafe { libc::pthread_cond_wait(self.condition.get(), self.mutex.get()) };
        }
    }
}

impl Turns for PthreadTurns {
    fn put_and_wait(&self, mine: u64, theirs: u64) {
        self.lock();
        self.put(mine);
        self.wait(theirs);
        self.unlock();
    }

    fn wait_and_put(&self, theirs: u64, mine: u64) {
        self.lock();
        self.wait(theirs);
        self.put(mine);
        self.unlock();
    }
}

/// Something that one party sets and another waits for, and takes back.
pub(crate) trait Flag: Sync {
    fn set(&self);

    /// Waits until it is set, and clears it.
    fn take(&self);
}

/// An eventfd: `write` sets it, `read` waits and clears.
pub(crate) struct EventFd(OwnedFd);

impl EventFd {
    pub(crate) fn new() -> EventFd {
        // SAFETY: eventfd has no precondition.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
        assert!(fd >= 0, "eventfd: {}", std::io::Error::last_os_error());
        // SAFETY: the descriptor is new and nobody else's.
        EventFd(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

impl Flag for EventFd {
    fn set(&self) {
        let one: u64 = 1;
        // SAFETY: eight readable bytes.
        let count = unsafe { libc::write(self.0.as_raw_fd(), (&raw const one).cast(), 8) };
        assert_eq!(count, 8, "write to an eventfd");
    }

    fn take(&self) {
        let mut value: u64 = 0;
        // SAFETY: eight writable bytes.
        let count = unsafe { libc::read(self.0.as_raw_fd(), (&raw mut value).cast(), 8) };
        assert_eq!((count, value), (8, 1), "read of an eventfd");
    }
}
