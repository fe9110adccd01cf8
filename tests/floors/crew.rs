//! Workers beside the test: processes or threads, with the same code.

use std::sync::atomic::{AtomicU32, Ordering};

use offspring::{Region, Shared};

use super::LONG;
use crate::support::{Ended, Kid, asleep, until};

/// What the workers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Processes,
    Threads,
}

impl By {
    /// Runs `test` with processes, then with threads.
    pub(crate) fn each(mut test: impl FnMut(By)) {
        for by in [By::Processes, By::Threads] {
            println!("by {by:?}");
            test(by);
        }
    }
}

/// Where the workers sit: their thread ids, as far as they have started. The last seat is the test's own.
#[derive(Clone)]
pub(crate) struct Seats(Shared<[AtomicU32]>);

impl Seats {
    fn new(workers: usize) -> Seats {
        let region = Region::new(4096).expect("a region for the seats");
        Seats(region.place_slice(workers + 1, |_| AtomicU32::new(0)).expect("place the seats"))
    }

    fn sit(&self, seat: usize) {
        self.0[seat].store(nix::unistd::gettid().as_raw() as u32, Ordering::SeqCst);
    }

    /// The thread id on this seat, 0 before it has started.
    pub(crate) fn tid(&self, seat: usize) -> u32 {
        self.0[seat].load(Ordering::SeqCst)
    }

    /// Waits until the worker sleeps in a futex call.
    pub(crate) fn await_asleep(&self, seat: usize) {
        let sleeps = || self.tid(seat) != 0 && asleep(self.tid(seat));
        assert!(until(sleeps, LONG), "worker {seat} does not sleep");
    }

    /// The same for all workers but the last seat, the test's own.
    pub(crate) fn await_all_asleep(&self) {
        (0..self.0.len() - 1).for_each(|seat| self.await_asleep(seat));
    }

    /// The test's own seat.
    pub(crate) fn own(&self) -> usize {
        self.0.len() - 1
    }
}

/// Runs `work(seat)` in `count` workers and `lead` here, at the same time; waits for all. A worker's panic fails the test.
pub(crate) fn crew<R>(
    by: By,
    count: usize,
    work: impl Fn(usize, &Seats) + Sync,
    lead: impl FnOnce(&Seats) -> R,
) -> R {
    let seats = Seats::new(count);
    seats.sit(seats.own());
    match by {
        By::Processes => {
            let fork = |seat| {
                let seats = seats.clone();
                let work = &work;
                Kid::fork(move || {
                    seats.sit(seat);
                    work(seat, &seats);
                })
            };
            let kids: Vec<Kid> = (0..count).map(fork).collect();
            let result = lead(&seats);
            for (seat, kid) in kids.into_iter().enumerate() {
                assert_eq!(kid.join(), Ended::Exited(0), "worker {seat}");
            }
            result
        }
        By::Threads => std::thread::scope(|scope| {
            for seat in 0..count {
                let seats = seats.clone();
                let work = &work;
                scope.spawn(move || {
                    seats.sit(seat);
                    work(seat, &seats);
                });
            }
            lead(&seats)
        }),
    }
}
