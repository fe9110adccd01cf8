//! The lock against its peers: uncontended, contended by 2, 4 and 8, and recovered from a killed owner.
//!
//! `cargo bench --bench lock`; README.md beside this file states the method.

mod support;

use criterion::{BenchmarkId, Criterion, Throughput};
use std::time::Duration;
use support::crowd::Quota;
use support::locks::{self, Which};
use support::recovery::recovery;
use support::size::Size;

fn uncontended(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("lock/uncontended");
    for which in Which::ALL {
        group.bench_function(which.name(), |bencher| {
            bencher.iter_custom(|ops| {
                let figures = locks::uncontended(which, ops).expect("an uncontended round");
                Duration::from_secs_f64(figures[0] * ops as f64 / 1e9)
            });
        });
    }
    group.finish();
}

fn contended(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("lock/contended");
    group.throughput(Throughput::Elements(1));
    for parties in [2, 4, 8] {
        for which in Which::ALL {
            group.bench_function(BenchmarkId::new(which.name(), parties), |bencher| {
                bencher.iter_custom(|ops| {
                    let quota = Quota::Ops(ops.div_ceil(parties as u64));
                    let figures = locks::contended(which, parties, quota).expect("a round");
                    Duration::from_secs_f64(ops as f64 / figures[0])
                });
            });
        }
    }
    group.finish();
}

fn recovered(criterion: &mut Criterion, size: Size) {
    let mut group = criterion.benchmark_group("lock/recovery");
    for (label, resident) in [("small", 0), ("big", size.big_bytes())] {
        for which in [Which::Ours, Which::PthreadRobust] {
            group.bench_function(BenchmarkId::new(which.name(), label), |bencher| {
                bencher.iter_custom(|kills| {
                    let one = |_| recovery(which, resident).expect("a recovery")[0] as u64;
                    Duration::from_nanos((0..kills).map(one).sum())
                });
            });
        }
    }
    group.finish();
}

fn main() {
    let size = Size::from_env();
    let mut criterion = support::criterion(size);
    uncontended(&mut criterion);
    contended(&mut criterion);
    recovered(&mut criterion, size);
    criterion.final_summary();
}
