//! Locks around a counter, ours and the peers', behind one trait; uncontended and contended rounds.
#![expect(unsafe_code, reason = "pthread mutexes and the value that they guard")]

use super::Figures;
use super::arena::arena;
use super::crowd::{self, Kind, Quota};
use super::ours::SharedMutex;
use super::page::Page;
use super::stats::min_max_share;
use std::cell::UnsafeCell;
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::time::Instant;

/// A lock around a `u64`.
pub(crate) trait Lock: Sync {
    /// Lock, add one, unlock: the body that every side repeats.
    fn add_one(&self);

    /// The count.
    fn value(&self) -> u64;
}

/// A lock whose owner may die.
pub(crate) trait OutlivesOwner: Sync {
    /// Locks for good.
    fn hold(&self);

    /// Locks, repairs and unlocks; whether the lock said that its owner had died.
    fn lock_after_death(&self) -> bool;
}

/// The locks that can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// `Shared<Mutex<u64>>`.
    Ours,
    /// `parking_lot::Mutex<u64>`.
    ParkingLot,
    /// `std::sync::Mutex<u64>`.
    Std,
    /// A pthread mutex with default attributes.
    Pthread,
    /// PTHREAD_PROCESS_SHARED.
    PthreadShared,
    /// PTHREAD_PROCESS_SHARED and PTHREAD_MUTEX_ROBUST.
    PthreadRobust,
}

impl Which {
    /// Every lock, ours first.
    pub(crate) const ALL: [Which; 6] = [
        Which::Ours,
        Which::ParkingLot,
        Which::Std,
        Which::Pthread,
        Which::PthreadShared,
        Which::PthreadRobust,
    ];

    /// The name in tables and plots.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Which::Ours => "offspring",
            Which::ParkingLot => "parking_lot",
            Which::Std => "std",
            Which::Pthread => "pthread",
            Which::PthreadShared => "pthread-shared",
            Which::PthreadRobust => "pthread-robust",
        }
    }

    /// Who contends for it: processes where the lock crosses them, else threads.
    pub(crate) fn kind(self) -> Kind {
        match self {
            Which::Ours | Which::PthreadShared | Which::PthreadRobust => Kind::Processes,
            Which::ParkingLot | Which::Std | Which::Pthread => Kind::Threads,
        }
    }
}

/// Nanoseconds per lock, add, unlock with nobody else at the lock.
///
/// The process has a second, parked thread on every side: glibc elides the atomics of some mutexes while there is only one.
pub(crate) fn uncontended(which: Which, ops: u64) -> Figures {
    arena(|| {
        let (unpark, parked) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || parked.recv());
        let ns_per_op = match which {
            Which::Ours => time_adds(&SharedMutex::new(), ops),
            Which::ParkingLot => time_adds(&parking_lot::Mutex::new(0), ops),
            Which::Std => time_adds(&std::sync::Mutex::new(0), ops),
            pthread => time_adds(&*PthreadMutex::new(pthread), ops),
        };
        drop(unpark);
        let _ = thread.join();
        Ok(vec![ns_per_op])
    })
}

fn time_adds(lock: &impl Lock, ops: u64) -> f64 {
    let add = |count: u64| {
        for _ in 0..count {
            black_box(lock).add_one();
        }
    };
    add(1000);
    let start = Instant::now();
    add(ops);
    let ns = start.elapsed().as_nanos() as f64;
    assert_eq!(lock.value(), 1000 + ops);
    ns / ops as f64
}

/// Operations per second of `parties` at one lock, and the smallest party's share over the biggest's.
pub(crate) fn contended(which: Which, parties: usize, quota: Quota) -> Figures {
    arena(|| match which {
        Which::Ours => contend(which.kind(), &SharedMutex::new(), parties, quota),
        Which::ParkingLot => contend(which.kind(), &parking_lot::Mutex::new(0), parties, quota),
        Which::Std => contend(which.kind(), &std::sync::Mutex::new(0), parties, quota),
        pthread => contend(which.kind(), &*PthreadMutex::new(pthread), parties, quota),
    })
}

fn contend(kind: Kind, lock: &impl Lock, parties: usize, quota: Quota) -> Figures {
    let outcome = crowd::run(kind, parties, quota, |party| {
        let mut done = 0;
        while party.goes_on() {
            black_box(lock).add_one();
            done += 1;
        }
        [done, 0, 0, 0]
    })?;
    let counts = outcome.counts(0..parties);
    let total: u64 = counts.iter().sum();
    if lock.value() != total {
        return Err(format!("{total} additions under the lock made {}", lock.value()));
    }
    Ok(vec![total as f64 / outcome.seconds, min_max_share(&counts)])
}

impl Lock for parking_lot::Mutex<u64> {
    #[inline(always)]
    fn add_one(&self) {
        *self.lock() += 1;
    }

    fn value(&self) -> u64 {
        *self.lock()
    }
}

impl Lock for std::sync::Mutex<u64> {
    #[inline(always)]
    fn add_one(&self) {
        *self.lock().expect("no panic while locked") += 1;
    }

    fn value(&self) -> u64 {
        *self.lock().expect("no panic while locked")
    }
}

/// A pthread mutex beside the counter that it guards.
pub(crate) struct PthreadMutex {
    mutex: UnsafeCell<libc::pthread_mutex_t>,
    value: UnsafeCell<u64>,
}

// SAFETY: the mutex is made to be shared, and the value is touched by its owner alone.
unsafe impl Sync for PthreadMutex {}

impl PthreadMutex {
    /// One of the pthread kinds, in a page that processes share.
    pub(crate) fn new(which: Which) -> Page<PthreadMutex> {
        let mutex = UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER);
        let page = Page::new(PthreadMutex { mutex, value: UnsafeCell::new(0) });
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: `attributes` is valid to write to.
        unsafe { libc::pthread_mutexattr_init(attributes.as_mut_ptr()) };
        // SAFETY: the call above has filled it.
        let mut attributes: libc::pthread_mutexattr_t = unsafe { attributes.assume_init() };
        if matches!(which, Which::PthreadShared | Which::PthreadRobust) {
            let shared = libc::PTHREAD_PROCESS_SHARED;
            // SAFETY: `attributes` has been initialised.
            unsafe { libc::pthread_mutexattr_setpshared(&mut attributes, shared) };
        }
        if which == Which::PthreadRobust {
            let robust = libc::PTHREAD_MUTEX_ROBUST;
            // SAFETY: `attributes` has been initialised.
            unsafe { libc::pthread_mutexattr_setrobust(&mut attributes, robust) };
        }
        // SAFETY: nobody uses the mutex yet; it stays where it is, in its page.
        let status = unsafe { libc::pthread_mutex_init(page.mutex.get(), &attributes) };
        assert_eq!(status, 0, "pthread_mutex_init");
        page
    }

    /// Locks; whether the previous owner had died.
    #[inline(always)]
    fn lock(&self) -> bool {
        // SAFETY: `new` initialised the mutex, which never moves.
        let status = unsafe { libc::pthread_mutex_lock(self.mutex.get()) };
        debug_assert!(status == 0 || status == libc::EOWNERDEAD);
        status == libc::EOWNERDEAD
    }

    #[inline(always)]
    fn unlock(&self) {
        // SAFETY: the caller owns the mutex.
        unsafe { libc::pthread_mutex_unlock(self.mutex.get()) };
    }
}

impl Lock for PthreadMutex {
    #[inline(always)]
    fn add_one(&self) {
        self.lock();
        // SAFETY: we own the mutex, so nobody else touches the value.
        unsafe { *self.value.get() += 1 };
        self.unlock();
    }

    fn value(&self) -> u64 {
        self.lock();
        // SAFETY: we own the mutex, so nobody else touches the value.
        let value = unsafe { *self.value.get() };
        self.unlock();
        value
    }
}

impl OutlivesOwner for PthreadMutex {
    fn hold(&self) {
        self.lock();
    }

    fn lock_after_death(&self) -> bool {
        let owner_died = self.lock();
        if owner_died {
            // SAFETY: we own the mutex; the status above says that it is inconsistent.
            unsafe { libc::pthread_mutex_consistent(self.mutex.get()) };
        }
        self.unlock();
        owner_died
    }
}
