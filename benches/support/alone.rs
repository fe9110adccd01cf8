//! Operations with nobody else there: nanoseconds each, of ours and of the peers.

use super::Figures;
use super::arena::arena;
use super::ours;
use super::page::Page;
use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

/// What is done again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// `RwLock::read`, look, unlock.
    OursRead,
    /// `parking_lot::RwLock::read`.
    ParkingLotRead,
    /// `std::sync::RwLock::read`.
    StdRead,
    /// `RwLock::write`, add one, unlock.
    OursWrite,
    /// `parking_lot::RwLock::write`.
    ParkingLotWrite,
    /// `std::sync::RwLock::write`.
    StdWrite,
    /// `Semaphore::acquire`, and the permit's drop: two operations.
    OursSemaphore,
    /// `Event::set` and `clear` in turn: two operations.
    OursSetClear,
    /// `Event::set` when it is set.
    OursSet,
    /// `Event::is_set`.
    OursIsSet,
    /// `Event::wait` when it is set.
    OursWait,
    /// One `fetch_add` on a word of shared memory, SeqCst: what one atomic read-modify-write costs.
    FetchAdd,
}

impl Which {
    /// The name in tables and plots.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Which::OursRead => "offspring-read",
            Which::ParkingLotRead => "parking_lot",
            Which::StdRead => "std",
            Which::OursWrite => "offspring-write",
            Which::ParkingLotWrite => "parking_lot",
            Which::StdWrite => "std",
            Which::OursSemaphore => "offspring-semaphore",
            Which::OursSetClear => "offspring-set-clear",
            Which::OursSet => "offspring-set",
            Which::OursIsSet => "offspring-is-set",
            Which::OursWait => "offspring-wait",
            Which::FetchAdd => "fetch_add",
        }
    }

    /// How many operations one repetition is.
    fn operations(self) -> f64 {
        if matches!(self, Which::OursSemaphore | Which::OursSetClear) { 2.0 } else { 1.0 }
    }
}

/// Nanoseconds per operation. The process has a second, parked thread on every side, as in `locks`.
pub(crate) fn alone(which: Which, repetitions: u64) -> Figures {
    arena(|| {
        let (unpark, parked) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || parked.recv());
        let ns = measure(which, repetitions);
        drop(unpark);
        let _ = thread.join();
        Ok(vec![ns / which.operations()])
    })
}

fn measure(which: Which, repetitions: u64) -> f64 {
    match which {
        Which::OursRead => ours::sync::time_reads(repetitions),
        Which::OursWrite => ours::sync::time_writes(repetitions),
        Which::OursSemaphore => ours::sync::time_permits(repetitions),
        Which::OursSetClear => ours::sync::time_set_clear(repetitions),
        Which::OursSet => ours::sync::time_set(repetitions),
        Which::OursIsSet => ours::sync::time_is_set(repetitions),
        Which::OursWait => ours::sync::time_wait(repetitions),
        Which::ParkingLotRead => {
            let lock = parking_lot::RwLock::new(7_u64);
            time(repetitions, || *black_box(&lock).read())
        }
        Which::ParkingLotWrite => {
            let lock = parking_lot::RwLock::new(0_u64);
            let ns = time(repetitions, || *black_box(&lock).write() += 1);
            assert_eq!(*lock.read(), WARM_UP + repetitions);
            ns
        }
        Which::StdRead => {
            let lock = std::sync::RwLock::new(7_u64);
            time(repetitions, || *black_box(&lock).read().expect("no panic while locked"))
        }
        Which::StdWrite => {
            let lock = std::sync::RwLock::new(0_u64);
            let add = || *black_box(&lock).write().expect("no panic while locked") += 1;
            time(repetitions, add)
        }
        Which::FetchAdd => {
            let word = Page::new(AtomicU32::new(0));
            let ns = time(repetitions, || black_box(&*word).fetch_add(1, Ordering::SeqCst));
            assert_eq!(u64::from(word.load(Ordering::Relaxed)), WARM_UP + repetitions);
            ns
        }
    }
}

/// How often something is done before it counts.
pub(crate) const WARM_UP: u64 = 1000;

/// Nanoseconds that one `operation` takes.
#[inline(always)]
pub(crate) fn time<T>(repetitions: u64, mut operation: impl FnMut() -> T) -> f64 {
    for _ in 0..WARM_UP {
        black_box(operation());
    }
    let start = Instant::now();
    for _ in 0..repetitions {
        black_box(operation());
    }
    start.elapsed().as_nanos() as f64 / repetitions as f64
}
