//! Conditions, events, semaphores and the lock of many readers against the peers: alone, and in turn with another.
//!
//! `cargo bench --bench sync`; README.md beside this file states the method.

mod support;

use criterion::{BenchmarkId, Criterion};
use std::time::Duration;
use support::size::Size;
use support::trips::Place;
use support::{alone, turns};

fn with_nobody_else(criterion: &mut Criterion) {
    use alone::Which::{
        FetchAdd, OursIsSet, OursRead, OursSemaphore, OursSet, OursSetClear, OursWait, OursWrite,
        ParkingLotRead, ParkingLotWrite, StdRead, StdWrite,
    };
    let reads = [OursRead, ParkingLotRead, StdRead].as_slice();
    let writes = [OursWrite, ParkingLotWrite, StdWrite].as_slice();
    let singles = [OursSemaphore, OursSetClear, OursSet, OursIsSet, OursWait, FetchAdd].as_slice();
    for (name, sides) in [("read", reads), ("write", writes), ("one-instruction", singles)] {
        let mut group = criterion.benchmark_group(format!("sync/{name}"));
        for &which in sides {
            group.bench_function(which.name(), |bencher| {
                bencher.iter_custom(|operations| {
                    let figures = alone::alone(which, operations).expect("a round");
                    Duration::from_secs_f64(figures[0] * operations as f64 / 1e9)
                });
            });
        }
        group.finish();
    }
}

fn in_turn(criterion: &mut Criterion) {
    use turns::Which::{EventFd, OursCondvar, OursEvent, PthreadCondvar};
    let mut group = criterion.benchmark_group("sync/in-turn");
    for (label, place) in [("two-cpus", Place::TwoCpus), ("one-cpu", Place::OneCpu)] {
        for which in [OursCondvar, PthreadCondvar, OursEvent, EventFd] {
            group.bench_function(BenchmarkId::new(which.name(), label), |bencher| {
                bencher.iter_custom(|count| {
                    let figures = turns::turns(which, place, count).expect("a round");
                    Duration::from_secs_f64(figures[2] * count as f64 / 1e9)
                });
            });
        }
    }
    group.finish();
}

fn main() {
    let mut criterion = support::criterion(Size::from_env());
    with_nobody_else(&mut criterion);
    in_turn(&mut criterion);
    criterion.final_summary();
}
