//! The ring queue against its peers: messages per second in every shape, held ends, bursts, and round trips.
//!
//! `cargo bench --bench ring`; README.md beside this file states the method.

mod support;

use criterion::{BenchmarkId, Criterion, Throughput};
use std::time::Duration;
use support::crowd::Quota;
use support::rings::{self, Message, Shape, Which};
use support::size::Size;
use support::trips::{self, Place};

fn flows<T: Message>(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(format!("ring/{}B", size_of::<T>()));
    group.throughput(Throughput::Elements(1));
    let many_to_many = [Which::Ours, Which::OursBurst, Which::Crossbeam, Which::Pipe];
    let one_to_one = [Which::OursHeld, Which::StdSync, Which::Rtrb];
    for pairs in [1, 2, 4] {
        let extra = if pairs == 1 { one_to_one.as_slice() } else { &[] };
        for &which in many_to_many.iter().chain(extra) {
            let label = format!("{pairs}-to-{pairs}");
            group.bench_function(BenchmarkId::new(which.name(), label), |bencher| {
                bencher.iter_custom(|messages| {
                    let quota = Quota::Ops(messages.div_ceil(pairs as u64));
                    let figures = rings::flow::<T>(which, Shape::pairs(pairs), quota);
                    Duration::from_secs_f64(messages as f64 / figures.expect("a round")[0])
                });
            });
        }
    }
    group.finish();
}

fn round_trips(criterion: &mut Criterion) {
    use trips::Which::{Crossbeam, Futex, Line, Ours, OursPolled, Pipe};
    let two_cpus = [Ours, OursPolled, Line, Futex, Pipe, Crossbeam].as_slice();
    // Two sides that spin on one CPU wait for the scheduler's tick: no use in measuring that.
    let one_cpu = [Ours, Futex, Pipe, Crossbeam].as_slice();
    for (name, place, sides) in
        [("two-cpus", Place::TwoCpus, two_cpus), ("one-cpu", Place::OneCpu, one_cpu)]
    {
        let mut group = criterion.benchmark_group(format!("ring/round-trip-{name}"));
        for &which in sides {
            group.bench_function(which.name(), |bencher| {
                bencher.iter_custom(|trips| {
                    let figures = trips::round_trips(which, place, trips).expect("a round");
                    Duration::from_secs_f64(figures[2] * trips as f64 / 1e9)
                });
            });
        }
        group.finish();
    }
}

fn main() {
    let mut criterion = support::criterion(Size::from_env());
    flows::<[u64; 1]>(&mut criterion);
    flows::<[u64; 8]>(&mut criterion);
    flows::<[u64; 128]>(&mut criterion);
    round_trips(&mut criterion);
    criterion.final_summary();
}
