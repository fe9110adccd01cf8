//! The barrier without deaths: rounds, leaders, time limits, breaking.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use offspring::sync::BarrierError;
use offspring::{Barrier, Region, Shared};

use crate::floors::{By, LONG, Seats, crew};
use crate::support::{asleep, until};

pub(crate) fn barrier(parties: usize) -> Shared<Barrier> {
    Shared::new(Barrier::new(parties)).unwrap()
}

/// Each round has one leader and each index once, and nobody leaves before all have come.
pub(crate) fn rounds() {
    const ROUNDS: usize = 1_000;
    const PARTIES: usize = 4;
    By::each(|by| {
        let region = Region::new(64 << 10).unwrap();
        let barrier = region.place(Barrier::new(PARTIES)).unwrap();
        let came = region.place_slice(ROUNDS, |_| AtomicU64::new(0)).unwrap();
        let indices = region.place_slice(ROUNDS, |_| AtomicU64::new(0)).unwrap();
        let leaders = region.place_slice(ROUNDS, |_| AtomicU64::new(0)).unwrap();
        let work = |_: usize, _: &Seats| {
            for round in 0..ROUNDS {
                came[round].fetch_add(1, Ordering::SeqCst);
                let result = barrier.wait().unwrap();
                assert_eq!(came[round].load(Ordering::SeqCst), PARTIES as u64);
                indices[round].fetch_add(1 << (8 * result.index()), Ordering::SeqCst);
                leaders[round].fetch_add(u64::from(result.is_leader()), Ordering::SeqCst);
            }
        };
        crew(by, PARTIES, work, |_| ());
        for round in 0..ROUNDS {
            assert_eq!(indices[round].load(Ordering::SeqCst), 0x0101_0101);
            assert_eq!(leaders[round].load(Ordering::SeqCst), 1);
        }
        assert_eq!((barrier.waiting(), barrier.is_broken()), (0, false));
    });
}

pub(crate) fn alone() {
    let barrier = barrier(1);
    for _ in 0..3 {
        let result = barrier.wait_timeout(Duration::ZERO).unwrap();
        assert!(result.is_leader() && result.index() == 0);
    }
    assert_eq!(barrier.parties(), 1);
}

/// As in Python: who gives up breaks it for those who wait and for those who come, until a reset.
pub(crate) fn timeout_breaks_it_for_all() {
    const SHORT: Duration = Duration::from_millis(20);
    By::each(|by| {
        let barrier = barrier(4);
        let work = |seat: usize, seats: &Seats| {
            let start = Instant::now();
            let result = match seat {
                0 | 1 => barrier.wait(),
                _ => {
                    seats.await_asleep(0);
                    seats.await_asleep(1);
                    let result = barrier.wait_timeout(SHORT);
                    assert!(start.elapsed() >= SHORT);
                    result
                }
            };
            assert_eq!(result, Err(BarrierError::TimedOut));
        };
        crew(by, 3, work, |_| ());
        assert!(barrier.is_broken());
        assert_eq!(barrier.waiting(), 0);
        assert_eq!(barrier.wait(), Err(BarrierError::TimedOut));
        assert_eq!(barrier.wait_deadline(Instant::now()), Err(BarrierError::TimedOut));
        barrier.reset();
        assert!(!barrier.is_broken());
        crew(by, 4, |_, _| _ = barrier.wait_timeout(LONG).unwrap(), |_| ());
    });
}

pub(crate) fn abort_and_reset() {
    By::each(|by| {
        let barrier = barrier(3);
        type Break = (fn(&Barrier), BarrierError);
        let breaks: [Break; 2] =
            [(Barrier::abort, BarrierError::Aborted), (Barrier::reset, BarrierError::Reset)];
        for (breaks, error) in breaks {
            let work = |_: usize, _: &Seats| assert_eq!(barrier.wait(), Err(error.clone()));
            crew(by, 2, work, |seats| {
                seats.await_all_asleep();
                assert_eq!(barrier.waiting(), 2);
                breaks(&barrier);
            });
            let is_aborted = error == BarrierError::Aborted;
            assert_eq!((barrier.is_broken(), barrier.waiting()), (is_aborted, 0));
            if is_aborted {
                assert_eq!(
                    barrier.wait().unwrap_err().to_string(),
                    "wait at a barrier: it was aborted"
                );
                barrier.reset();
            }
            crew(by, 3, |_, _| _ = barrier.wait().unwrap(), |_| ());
        }
        // An abort of what is broken, and a reset of what is new, change nothing.
        assert_eq!(barrier.wait_timeout(Duration::ZERO), Err(BarrierError::TimedOut));
        barrier.abort();
        assert_eq!(barrier.wait(), Err(BarrierError::TimedOut));
        barrier.reset();
        barrier.reset();
        crew(by, 3, |_, _| _ = barrier.wait().unwrap(), |_| ());
    });
}

/// As many parties as there may be, all asleep but the last.
pub(crate) fn limits() {
    for parties in [0, Barrier::MAX_PARTIES + 1] {
        let refused = catch_unwind(AssertUnwindSafe(|| _ = Barrier::new(parties)));
        assert!(refused.is_err());
    }
    let parties = Barrier::MAX_PARTIES;
    let barrier = Barrier::new(parties);
    std::thread::scope(|scope| {
        for _ in 1..parties {
            scope.spawn(|| _ = barrier.wait().unwrap());
        }
        assert!(until(|| barrier.waiting() == parties - 1, LONG));
        assert_eq!(barrier.wait().unwrap().index(), parties - 1);
    });
    assert!(!asleep(std::process::id()));
}
