//! Spawn and join against bare fork and its relatives, from a small parent and from one with a gibibyte resident.
//!
//! `cargo bench --bench spawn`; README.md beside this file states the method.

mod support;

use criterion::{BenchmarkId, Criterion};
use std::time::Duration;
use support::size::Size;
use support::spawns::{self, Which};

fn spawn_and_join(criterion: &mut Criterion, size: Size) {
    let mut group = criterion.benchmark_group("spawn");
    let sides = [
        Which::Ours,
        Which::OursResult,
        Which::OursServer,
        Which::Fork,
        Which::PosixSpawn,
        Which::Thread,
    ];
    for (label, resident) in [("small-parent", 0), ("big-parent", size.big_bytes())] {
        for which in sides {
            group.bench_function(BenchmarkId::new(which.name(), label), |bencher| {
                bencher.iter_custom(|count| {
                    let figures = spawns::seconds(which, resident, count).expect("a round");
                    Duration::from_secs_f64(figures[0])
                });
            });
        }
    }
    group.finish();
}

fn main() {
    let size = Size::from_env();
    let mut criterion = support::criterion(size);
    spawn_and_join(&mut criterion, size);
    criterion.final_summary();
}
